"""Where the middle of a test's values lies among people: by sex and age, from published surveys and handbooks.

`references.csv` has for each test the interval in which most people's values lie (`low`, `high`; a survey's 10th and
90th percentile, or a handbook's reference interval) with its source, and the `middle` where the source has one.
`factor` is our own judgement: so far outside the interval the median of a hospital's patients may still lie, who are
ill. It is small for what the body holds fast (sodium, haemoglobin), large for what illness moves (C-reactive protein).
A test that is wrong as a whole, in another unit than it says or ten times what it is, differs from no other value of
the database; here it differs from people.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from atoll.cdm.sql import sql
from atoll.cdm.tables import FEMALE, MALE
from atoll.quality.check import Check
from atoll.study.units import UnitError, conversion, unit_concepts

ZEROS = 0.01  # share of values that are 0 where nobody alive has none
LONGEST, LONGER = 366, 0.01  # days of a supply, and the share of supplies that may be longer
SYSTOLIC, DIASTOLIC = 3004249, 3012888  # LOINC 8480-6 and 8462-4
REVERSED = 0.01  # share of blood pressures whose upper value is not above the lower one
APART = 1.11  # ratio of the sexes' middles from which on their order is to be expected
MOVED = 1.6  # factor above which illness says more of a test than sex does
TOLERATED = 1.04  # so far the order may be reversed: the patients of a hospital are not people in general
SEXES = {"female": FEMALE, "male": MALE}


@dataclass(frozen=True)
class Reference:
    """The interval of one test in one sex (or both: "") from an age on, up to another; in `unit`, a UCUM code."""

    concept: int
    unit: str
    analyte: str
    sex: str
    age_from: int
    age_to: float
    low: float
    middle: float
    high: float
    factor: float

    def holds(self, sex: int, age: int) -> bool:
        """Whether it is of this sex (a concept) and age."""
        return self.sex in ("", _word(sex)) and self.age_from <= age < self.age_to


@functools.cache
def references() -> dict[int, tuple[Reference, ...]]:
    """All intervals by the concept of their test."""
    made: dict[int, list[Reference]] = {}
    text = files("atoll.quality").joinpath("references.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        concept = int(row["concept_id"])
        reference = Reference(
            concept, row["unit"], row["analyte"], row["sex"], int(row["age_from"]), float(row["age_to"] or math.inf),
            float(row["low"]), float(row["middle"] or math.nan), float(row["high"]), float(row["factor"]),
        )  # fmt: skip
        made.setdefault(concept, []).append(reference)
    return {concept: tuple(found) for concept, found in made.items()}


def middle_of(concept: int, unit: int, sex: int, age: int, *, widened: bool = True) -> tuple[float, float] | None:
    """Between which values the median of a test may lie, in a unit (a concept); None where nothing is known of it.

    widened   by what illness moves; else the interval of people in general
    """
    for reference in references().get(concept, ()):
        if reference.holds(sex, age):
            try:
                slope, offset = conversion(reference.unit, _codes()[unit], reference.analyte)
            except (UnitError, KeyError):
                return None
            factor = reference.factor if widened else 1.0
            low, high = reference.low / factor, reference.high * factor
            return slope * low + offset, slope * high + offset
    return None


def higher_sex(concept: int, age: int) -> int | None:
    """The sex (a concept) whose middle is clearly the higher one at an age; None where neither is, or nothing known."""
    known = [r for r in references().get(concept, ()) if r.factor <= MOVED]
    found = {sex: r.middle for r in known for sex in SEXES.values() if r.holds(sex, age)}
    if len(found) < len(SEXES) or any(math.isnan(middle) for middle in found.values()):
        return None
    first, second = sorted(found, key=lambda sex: -found[sex])
    return first if found[first] > APART * found[second] else None


def of_one_sex() -> dict[int, str]:
    """Tests that one sex has: concept → sex."""
    sexes = {concept: {r.sex for r in found} for concept, found in references().items()}
    return {concept: next(iter(found)) for concept, found in sexes.items() if len(found) == 1 and "" not in found}


@functools.cache
def _codes() -> dict[int, str]:
    """UCUM codes by their concept."""
    return {concept: code for code, concept in unit_concepts().items()}


def _word(sex: int) -> str:
    return next((word for word, concept in SEXES.items() if concept == sex), "")


def not_zero() -> Iterator[Check]:
    """Of what everybody alive has some, nobody has none: a zero stands for “not measured”."""
    for concept, found in references().items():
        if min(reference.low for reference in found) > 0:
            of = sql("t.measurement_concept_id = {c} AND t.value_as_number IS NOT NULL", c=concept)
            yield Check("not_zero", "plausibility", "rows", "measurement", "value_as_number", concept, of=of,
                        fault=sql("t.value_as_number = 0"), allowed=ZEROS)  # fmt: skip


def supply_possible() -> Iterator[Check]:
    """Nobody is given drugs for longer than a year at once."""
    of, fault = sql("t.days_supply IS NOT NULL"), sql("t.days_supply > {d}", d=LONGEST)
    yield Check("supply_possible", "plausibility", "rows", "drug_exposure", "days_supply", of=of, fault=fault,
                allowed=LONGER)  # fmt: skip


def pressure_in_order() -> Iterator[Check]:
    """The systolic pressure is above the diastolic one of the same person and day."""
    yield Check("pressure_in_order", "plausibility", "pairs", "measurement", "value_as_number", SYSTOLIC,
                among=(DIASTOLIC,), allowed=REVERSED)  # fmt: skip


FAMILIES = (not_zero, supply_possible, pressure_in_order)
