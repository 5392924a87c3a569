"""The data dictionary: what a column is called, holds, and may hold.

The same words describe a dataset at a hospital (written by the steward) and what a study expects of
it (written by the investigator). Levels in a dictionary are the only words that may leave a hospital.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from atoll.errors import DataError

ColumnType = Literal["number", "category", "flag", "date", "person"]


@dataclass(frozen=True)
class Column:
    """One column.

    type     number · category (words or codes) · flag (0/1) · date · person (identifies the person; never leaves)
    levels   of a category, in order; the first is the reference
    unit     as UCUM writes it (`a`, `mg/dL`, `d`), or empty
    low, high   allowed range of a number, inclusive; rows outside are treated as missing by nobody: they are an error
    ahead    made from what comes after the index date, as an outcome is; follows from a recipe and is not written down
    """

    type: ColumnType
    levels: tuple[str, ...] = ()
    unit: str = ""
    low: float | None = None
    high: float | None = None
    label: str = ""
    ahead: bool = False

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types; empty fields are left out."""
        document: dict[str, Any] = {"type": self.type}
        if self.levels:
            document["levels"] = list(self.levels)
        if self.unit:
            document["unit"] = self.unit
        if self.low is not None or self.high is not None:
            document["range"] = [self.low, self.high]
        if self.label:
            document["label"] = self.label
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Column:
        """The inverse of `to_document`; the caller has checked keys and types."""
        low, high = document.get("range", (None, None))
        return cls(
            type=document["type"],
            levels=tuple(str(level) for level in document.get("levels", ())),
            unit=document.get("unit", ""),
            low=low,
            high=high,
            label=document.get("label", ""),
        )


Dictionary = Mapping[str, Column]


def person_column(columns: Dictionary) -> str | None:
    """The column that identifies persons, or None when every row is one person."""
    return next((name for name, column in columns.items() if column.type == "person"), None)


OTHER = "…"  # stands for the levels of a category that too few persons hold; no level may be called this


def code_name(value: float) -> str:
    """A number as the word that names it: the level of a numeric category, or a person's number."""
    return str(value) if type(value) is int else f"{value:.15g}"


def differences(own: Dictionary, wanted: Dictionary) -> dict[str, str]:
    """Where a hospital's dictionary does not give what a study expects: a few words by column, empty when it does."""
    found = {}
    for name, column in wanted.items():
        here = own.get(name)
        if here is None:
            found[name] = "is not registered here"
        elif here.type != column.type and {here.type, column.type} != {"flag", "number"}:
            found[name] = f"is a {here.type} here and a {column.type} in the study"
        elif here.unit and column.unit and here.unit != column.unit:
            found[name] = f"is in {here.unit} here and in {column.unit} in the study"
    return found


def words_of(columns: Dictionary) -> frozenset[str]:
    """The only words that may leave a hospital: `column=level`, as tallies name them."""
    flags = {f"{name}={code}" for name, column in columns.items() if column.type == "flag" for code in (0, 1)}
    return frozenset(
        flags | {f"{name}={level}" for name, column in columns.items() for level in (*column.levels, OTHER)}
    )


def agreed(proposed: Mapping[str, Dictionary], *, ranges: bool) -> Dictionary:
    """One dictionary for all sites: the same columns, levels of all sites together, and ranges where they are wanted.

    Raises
    ------
    DataError
        When a column is a number at one site and words at another.
    """
    first, *others = proposed.values()
    shared = [name for name in first if all(name in other for other in others)]
    by_site = {name: {site: columns[name] for site, columns in proposed.items()} for name in shared}
    return {name: _one_column(name, columns, ranges) for name, columns in by_site.items()}


def _one_column(name: str, by_site: Mapping[str, Column], ranges: bool) -> Column:
    types = {column.type for column in by_site.values()}
    if types == {"flag", "number"}:
        types = {"number"}
    if len(types) > 1:
        raise DataError(
            f"Column {name!r} is {' and '.join(f'a {c.type} at {site}' for site, c in by_site.items())}.",
            "Make the tables alike, or give `columns`.",
            code="WRONG_TYPE",
            subject=name,
        )
    levels = tuple(sorted({level for column in by_site.values() for level in column.levels}))
    unit = next((column.unit for column in by_site.values() if column.unit), "")
    lows = [column.low for column in by_site.values() if column.low is not None]
    highs = [column.high for column in by_site.values() if column.high is not None]
    kind = types.pop()
    if ranges and kind == "number" and lows and highs:
        return Column(kind, levels, unit, min(lows), max(highs))
    return Column(kind, levels, unit)
