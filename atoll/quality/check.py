"""One check of data quality: what is looked at, what counts as a fault, and how many faults are allowed.

Kahn's frame (Kahn et al. 2016, doi:10.13063/2327-9214.1244): *conformance* (do values keep to the model),
*completeness* (are they there) and *plausibility* (can they be true). A family is one function that makes its checks
from the tables of the model and from tables of parameters; nothing here reads data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from atoll.cdm.sql import Sql, name, sql

Kind = Literal["conformance", "completeness", "plausibility"]
Shape = Literal["table", "type", "rows", "codes", "links", "key", "months", "persons", "units", "sexes",
                "tests", "pairs", "doubles", "births"]  # fmt: skip
TRUE = sql("TRUE")
ROWS: tuple[Shape, ...] = ("rows", "codes", "links", "key", "persons", "units", "sexes", "births")
TESTS_OF_ROWS = ("one_unit", "no_negative", "one_scale", "no_second_unit")  # of `tests`, those of single values


@dataclass(frozen=True)
class Check:
    """One check.

    family    the function that made it
    shape     how it is run: see `quality.run`
    of        which rows are looked at; `t` is the row (of `codes`: `value` and `c`, its concept)
    fault     which of them are at fault
    among     of `units` the units that are plausible, of `sexes` the sex that is not, of `pairs` what is below
    allowed   largest share of faults that passes
    subject   what the fault is about, in words of the model: a concept, a unit, another table
    """

    family: str
    kind: Kind
    shape: Shape
    table: str
    column: str = ""
    concept: int = 0
    subject: str = ""
    of: Sql = TRUE
    fault: Sql = TRUE
    among: tuple[int, ...] = ()
    allowed: float = 0.0

    def __post_init__(self) -> None:
        if self.shape == "codes" and set(self.needs) - {"c"}:
            raise ValueError(f"{self.id} counts codes: it reads `value` and `c`, its concept, and no person.")
        if self.shape != "codes" and "c" in self.needs:
            raise ValueError(f"{self.id} reads a concept as `c`, which only a check of `codes` has.")

    @property
    def needs(self) -> tuple[str, ...]:
        """What a row is joined to: p (its person), d (the person's death), o (the time from the first to the last of
        the person's observation), g (the gap in it in which the row lies); of a code: c (its concept)."""
        return tuple(part for part in "pdogc" if re.search(rf"\b{part}\.", f"{self.of} {self.fault}"))

    def reads(self) -> Iterator[tuple[str, str]]:
        """Tables and columns that its conditions name."""
        tables = {"t": self.table, "p": "person", "c": "concept"}
        for alias, column in re.findall(r"\b([tpc])\.([a-z_]+)", f"{self.of} {self.fault}"):
            yield tables[alias], column

    def by_row(self) -> Check:
        """Of `codes` the same about a row: `value` is its column, `c` the concept of that column (`concept_alias`)."""
        if self.shape != "codes":
            return self
        own = sql("t.{c}", c=name(self.column))

        def about_row(condition: Sql) -> Sql:
            with_value = re.sub(r"\bvalue\b", own, condition)
            return Sql(re.sub(r"\bc\.", f"{self.concept_alias}.", with_value))

        of = sql("{v} IS NOT NULL AND ({o})", v=own, o=about_row(self.of))
        return replace(self, shape="rows", of=of, fault=about_row(self.fault))

    @property
    def of_rows(self) -> bool:
        """Whether single rows are at fault, which `quality.rows` can list; else columns, months or groups are."""
        return self.shape in ROWS or (self.shape == "tests" and self.family in TESTS_OF_ROWS)

    @property
    def counted(self) -> str:
        """What its two numbers count."""
        shapes = {"table": "columns", "type": "columns", "months": "months", "persons": "persons", "pairs": "pairs"}
        return shapes.get(self.shape, "rows" if self.of_rows or self.shape == "doubles" else "groups")

    @property
    def concept_alias(self) -> Sql:
        """The name, in a query over rows, of the concept in the column: a row has several columns with concepts."""
        return name(f"c_{self.column}")

    @property
    def id(self) -> str:
        """What the check is called in every report: family:table.column:concept:subject."""
        place = f"{self.table}.{self.column}" if self.column else self.table
        return ":".join(filter(None, [self.family, place, str(self.concept or ""), self.subject]))


@dataclass(frozen=True)
class Finding:
    """What a check found. `total` rows were looked at, `faults` of them are at fault; None: it could not be run.

    verdict   passed · failed · empty (nothing to look at) · missing (no such table or column)
    """

    check: Check
    total: int
    faults: int
    verdict: Literal["passed", "failed", "empty", "missing"]

    @property
    def share(self) -> float:
        """Faults per row looked at."""
        return self.faults / self.total if self.total else 0.0


def judged(check: Check, total: int, faults: int) -> Finding:
    """A finding from its two numbers."""
    if not total:
        return Finding(check, 0, 0, "empty")
    return Finding(check, total, faults, "failed" if faults > check.allowed * total else "passed")
