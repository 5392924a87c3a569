"""Values in a second unit under the name of the first, told by the factor between the two, which is known.

A person's values of a test lie near each other; one in another unit stands apart by the factor between the units
(`study.units`). So the deviations of values from their person's middle one are counted, as logarithms: in one unit they
grow rarer with every step from the middle, illness or not; a second unit makes a hill at the known distance with a
valley before it. Where the values merely range widely there is no valley, and nothing is found. Of persons who are
measured once, or always in the same unit, the deviations from the commonest value are counted in the same way; people
differ, so there the hill must be steeper. What is wrong as a whole has no valley: see `references`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, joined, sql
from atoll.quality.plausibility import units_of_tests
from atoll.quality.references import references
from atoll.study.units import UnitError, conversion, unit_concepts

BINS = 50  # steps of a logarithm of one
NEAREST, FARTHEST = 1.5, 150.0  # factors that are looked for
REPORTED = ("mg/dL", "g/dL", "g/L", "mmol/L", "umol/L", "meq/L", "nmol/L", "ng/mL")  # in which laboratories report mass
HILL = 0.15  # half the width of a hill, in parts of its distance
VALLEYS = [(start / 20, start / 20 + 0.15) for start in range(6, 14)]  # stretches before it, in the same parts
OF_PERSONS, OF_PEOPLE = 1.5, 5.0  # so many times as dense as the valley: deviations in a person, and between people
SURE = 4.0  # standard deviations by which it is higher
LEAST = 0.01  # share of values in it
MANY = 2_000_000  # values from which on those of some persons tell


class Hill(NamedTuple):
    """Values that stand apart by the factor between two units.

    factor     between them and the others; 1 when there are none
    unit       the unit (UCUM) in which they would be right, where it is known
    looked_at  values whose deviation was counted
    values     those of the hill
    middle     what they deviate from; 0: the middle value of each person
    """

    factor: float = 1.0
    unit: str = ""
    looked_at: int = 0
    values: int = 0
    middle: float = 0.0

    @property
    def distance(self) -> float:
        """The logarithm of the factor."""
        return math.log(self.factor)


NO_HILL = Hill()


@functools.cache
def factors(concept: int, unit: int, middle: float) -> Mapping[float, str]:
    """By what a value near `middle`, in a unit (a concept), is multiplied in another unit of the test → that unit."""
    codes = {number: code for code, number in unit_concepts().items()}
    known = references().get(concept, ())
    analyte = known[0].analyte if known else ""
    others = {codes.get(number, "") for number in units_of_tests().get(concept, ())} | {one.unit for one in known}
    others |= set(REPORTED) if analyte and analyte != "hba1c" else set()
    found: dict[float, str] = {}
    for other in sorted(others - {"", codes.get(unit, "")}):
        try:
            slope, offset = conversion(codes[unit], other, analyte)
        except (UnitError, KeyError):
            continue
        factor = (slope * middle + offset) / middle if middle > 0 else 0.0
        if factor > 0 and math.log(NEAREST) < abs(math.log(factor)) < math.log(FARTHEST):
            found.setdefault(round(factor, 6), other)
    return found


def hills(workspace: Workspace, tests: Mapping[int, tuple[int, float]], size: int, bounds: Sql) -> dict[int, Hill]:
    """The hill of each test: concept → (unit, median). A test of which no second unit is known is left out.

    size     how many values they have together
    bounds   a further condition on a row `t` of `measurement`
    """
    known = {concept: made for concept, of in tests.items() if (made := factors(concept, *of))}
    if not known:
        return {}
    if (parts := size // MANY + 1) > 1:
        own = sql("MOD(t.person_id, {p}) = (SELECT MOD(MIN(person_id), {p}) FROM person)", p=parts)
        bounds = sql("{b} AND {o}", b=bounds, o=own)
    rows = workspace.table("some_values")
    workspace.create(rows, _values({concept: tests[concept][0] for concept in known}, bounds))
    ways = sql("LN(value / middle)"), sql("LN(value)")
    sources = sql("({d})", d=_deviations(workspace, rows)), rows
    in_persons, in_people = (_counts(workspace, way, of) for way, of in zip(ways, sources, strict=True))
    workspace.drop(rows)
    return {concept: _of_either(in_persons.get(concept, {}), in_people.get(concept, {}), known[concept])
            for concept in known}  # fmt: skip


def in_hill(workspace: Workspace, concept: int, unit: int, hill: Hill, bounds: Sql) -> Sql:
    """The condition, on a row `t` of `measurement`, that its value stands in a hill; `bounds` as of `hills`."""
    low, high = _window(abs(hill.distance), 1 - HILL, 1 + HILL)
    if hill.distance < 0:
        low, high = -high, -low
    rows, way = sql("({v})", v=_values({concept: unit}, bounds)), sql("LN(value / middle)")
    if hill.middle:
        shift = round(math.log(hill.middle) * BINS)
        low, high, way = low + shift, high + shift, sql("LN(value)")
    else:
        rows = sql("({d})", d=_deviations(workspace, rows))
    return sql(
        "t.measurement_id IN (SELECT row_id FROM {r} e WHERE {w} >= {l} AND {w} < {h})",
        r=rows, w=way, l=Decimal(low) / BINS, h=Decimal(high) / BINS,
    )  # fmt: skip


def _values(units: Mapping[int, int], bounds: Sql) -> Sql:
    each = (sql("(t.measurement_concept_id = {c} AND COALESCE(t.unit_concept_id, 0) = {u})", c=concept, u=unit)
            for concept, unit in units.items())  # fmt: skip
    return sql(
        "SELECT t.measurement_concept_id AS concept, t.person_id AS person, t.measurement_id AS row_id,"
        " t.value_as_number AS value FROM measurement t WHERE t.value_as_number > 0 AND ({e}){b}",
        e=joined(" OR ", each), b=bounds,
    )  # fmt: skip


def _deviations(workspace: Workspace, rows: Sql) -> Sql:
    """The values of those who have more than one of a test, each with its person's `middle`: one of their values."""
    middle = {
        "duckdb": sql("QUANTILE_DISC(value, 0.5)"),
        "postgresql": sql("PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY value)"),
        "spark": sql("PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY value)"),
    }[workspace.dialect.engine]
    return sql(
        "SELECT a.concept, a.row_id, a.value, b.middle FROM {r} a JOIN (SELECT concept, person, {m} AS middle"
        " FROM {r} c GROUP BY concept, person HAVING COUNT(*) > 1) b ON b.concept = a.concept AND b.person = a.person",
        r=rows, m=middle,
    )  # fmt: skip


def _counts(workspace: Workspace, way: Sql, rows: Sql) -> dict[int, dict[int, int]]:
    """Concept → step of the deviation → values."""
    query = sql(
        "SELECT concept, CAST(FLOOR({b} * {w}) AS INTEGER) AS step, COUNT(*) AS n FROM {r} e"
        " GROUP BY concept, CAST(FLOOR({b} * {w}) AS INTEGER)", b=BINS, w=way, r=rows,
    )  # fmt: skip
    found: dict[int, dict[int, int]] = {}
    for row in workspace.fetch(query).to_pylist():
        found.setdefault(int(row["concept"]), {})[int(row["step"])] = int(row["n"])
    return found


def _of_either(persons: Mapping[int, int], people: Mapping[int, int], known: Mapping[float, str]) -> Hill:
    """The hill of deviations within persons; where there is none, that of deviations between people."""
    in_persons = _highest(persons, known, OF_PERSONS)
    if in_persons.values or not people:
        return in_persons
    commonest = max(people, key=lambda step: (sum(people.get(step + near, 0) for near in range(-2, 3)), -step))
    moved = {step - commonest: n for step, n in people.items()}
    hill = _highest(moved, known, OF_PEOPLE)
    return hill._replace(middle=math.exp(commonest / BINS)) if hill.values else in_persons


def _highest(counts: Mapping[int, int], known: Mapping[float, str], rise: float) -> Hill:
    """The densest hill at a known distance, on either side.

    counts   values by their deviation in steps of 1 / `BINS`
    rise     see `OF_PERSONS`
    """
    total = sum(counts.values())
    best, dense = Hill(looked_at=total), 0.0
    for factor, unit in {**{1 / factor: "" for factor in known}, **known}.items():
        low, high = _window(abs(math.log(factor)), 1 - HILL, 1 + HILL)
        values = _between(counts, factor > 1, low, high)
        valley, width = _valley(counts, factor)
        expected = valley / width * (high - low)
        sure = SURE * math.sqrt(values + expected**2 / max(valley, 1) + 1)
        enough = values > LEAST * total and values > rise * expected and values - expected > sure
        if enough and values / (high - low) > dense:
            best, dense = Hill(factor, unit, total, values), values / (high - low)
    return best


def _valley(counts: Mapping[int, int], factor: float) -> tuple[int, int]:
    """The values in the emptiest stretch before a hill, and its width in steps."""
    found = []
    for start, end in VALLEYS:
        low, high = _window(abs(math.log(factor)), start, end)
        found.append((_between(counts, factor > 1, low, high), high - low))
    return min(found, key=lambda one: one[0] / one[1])


def _window(distance: float, first: float, last: float) -> tuple[int, int]:
    """From one part of a distance to another, in steps; one step at least."""
    low = round(distance * first * BINS)
    return low, max(round(distance * last * BINS), low + 1)


def _between(counts: Mapping[int, int], upwards: bool, low: int, high: int) -> int:
    return sum(counts.get(step if upwards else -step - 1, 0) for step in range(low, high))
