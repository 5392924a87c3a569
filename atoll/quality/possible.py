"""Single results that nobody alive has: 999 for “not measured”, a lost decimal point, two numbers run together.

What people have is in `references`, with its sources; how far beyond it a patient's value may lie is our own judgement:
ten times for what the body holds fast, and more for what illness moves (the sixth power of the test's `factor`, at most
a thousand times). So the limits are wide on purpose: a potassium of 60 mmol/L is a fault, an ALT of 9,000 U/L is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from atoll.cdm.sql import Sql, joined, sql
from atoll.quality.check import Check
from atoll.quality.plausibility import units_of_tests
from atoll.quality.references import Reference, references
from atoll.study.units import UnitError, conversion, unit_concepts

LEAST, MOST, POWER = 10.0, 1000.0, 6  # times beyond the interval; of the test's factor
IMPOSSIBLE = 0.001  # share of values that may be: a slip of the hand is nobody's system


def limits(concept: int) -> dict[int, tuple[float, float]]:
    """Unit (a concept) → between which values a result of a test may lie, 0 below where no least one is known."""
    found = references().get(concept, ())
    low, high = min((r.low for r in found), default=0.0), max((r.high for r in found), default=0.0)
    made = {}
    for code, unit in unit_concepts().items():
        line = _line(found[0], code) if found and _usual(found[0], code, unit) else None
        if line is not None:
            slope, offset = line
            times = min(max(LEAST, found[0].factor ** POWER), MOST)
            made[unit] = slope * low / times + offset if low else 0.0, slope * high * times + offset
    return made


def _usual(reference: Reference, code: str, unit: int) -> bool:
    return code == reference.unit or unit in units_of_tests().get(reference.concept, ())


def _line(reference: Reference, code: str) -> tuple[float, float] | None:
    try:
        return conversion(reference.unit, code, reference.analyte)
    except UnitError:
        return None


def value_possible() -> Iterator[Check]:
    """A result lies where that of a living person can, in its own unit. Of zeros and negative ones others tell."""
    for concept in references():
        found = limits(concept)
        if not found:
            continue
        units = joined(", ", (sql("{u}", u=unit) for unit in found))
        of = sql("t.measurement_concept_id = {c} AND t.value_as_number IS NOT NULL AND t.unit_concept_id IN ({u})",
                 c=concept, u=units)  # fmt: skip
        fault = joined(" OR ", (_outside(unit, *bounds) for unit, bounds in found.items()))
        yield Check("value_possible", "plausibility", "rows", "measurement", "value_as_number", concept, of=of,
                    fault=fault, allowed=IMPOSSIBLE)  # fmt: skip


def _outside(unit: int, low: float, high: float) -> Sql:
    return sql(
        "(t.unit_concept_id = {u} AND t.value_as_number > 0 AND t.value_as_number NOT BETWEEN {l} AND {h})",
        u=unit, l=Decimal(f"{low:.6f}"), h=Decimal(f"{high:.4f}"),
    )  # fmt: skip


FAMILIES = (value_possible,)
