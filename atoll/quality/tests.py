"""Checks of single laboratory tests, made for the commonest ones that a database holds.

Units are what goes wrong most: a hospital that changes its analyser, a value in mmol/L under the name of mg/dL. So each
test is looked at by itself: one unit, no impossible sign, one scale, the same level in both sexes, over the ages and
from year to year. What is normal is taken from the data themselves, the limits are ratios of medians; that a test is
not wrong as a whole is held against people in general (`references`): its median in each sex and age, and which sex
has the higher one. Where the factor between two units of a test is known, less than these limits is found: values of
the second one (`second_units`), years apart by that factor, and medians that people have in the second unit alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, sql
from atoll.cdm.tables import OPERATORS
from atoll.quality.check import Check, Finding, judged
from atoll.quality.references import TOLERATED, higher_sex, middle_of, references
from atoll.quality.second_units import LEAST, NO_HILL, Hill, factors, hills, in_hill

PLACE = "measurement.value_as_number"  # what every check here is about
READS = ("measurement_concept_id", "value_as_number", "unit_concept_id", "measurement_date", "person_id")
COMMONEST = 150
FEWEST = 100  # values of a group before its median says something
ALLOWED = {
    "one_unit": 0.05,
    "no_negative": 0.001,
    "one_scale": 0.02,
    "no_second_unit": LEAST,
    "sexes_in_order": 0.5,
}  # shares of values at fault; of others none
SIGNED = 0.25  # with more negative values than this a test of which nothing is known has a sign, as a base excess has
GROUP_RATIO = 6.0  # of the medians of two sexes or of two ages beside each other
YEAR_RATIO = 3.0  # of the medians of two years, where no factor between units is known
NEAR, SURE = 0.15, 6.0  # of two years: how near the factor (in parts of its logarithm), and errors of the medians apart
MOST = 0.75  # share of sexes and ages
BOUNDS = ", ".join(map(str, sorted(OPERATORS.values())))
LOG_FAR = Decimal("1.5")  # from the median, in natural logarithms: on another scale
NOTHING = sql("1 = 0")
BAND = 20  # years of age that are looked at together
FAMILIES = ("one_unit", "no_negative", "one_scale", "no_second_unit", "same_for_sexes", "same_over_ages",
            "same_over_years", "middle_plausible", "sexes_in_order")  # fmt: skip


class Group(NamedTuple):
    """Values of one sex, age or year: how many, their median, and the bounds of the middle 98 %."""

    n: int
    low: float
    median: float
    high: float


@dataclass
class Test:
    """What is known of one test: numbers of values, and medians by group in its usual unit."""

    concept: int
    n: int
    unit: int
    in_unit: int
    negative: int = 0
    far: int = 0
    hill: Hill = NO_HILL
    median: float = math.nan
    sexes: dict[int, Group] = field(default_factory=dict)
    ages: dict[int, Group] = field(default_factory=dict)
    years: dict[int, Group] = field(default_factory=dict)
    people: dict[tuple[int, int], Group] = field(default_factory=dict)  # by sex, and age where the band begins

    @property
    def factors(self) -> Mapping[float, str]:
        """See `second_units.factors`."""
        return factors(self.concept, self.unit, self.median) if self.median > 0 else {}

    @property
    def signed(self) -> bool:
        """Whether so many values are negative that they are no fault; never where nobody's are, as is known."""
        known = references().get(self.concept, ())
        return not (known and min(r.low for r in known) >= 0) and self.negative > SIGNED * self.in_unit


def look(workspace: Workspace, only: frozenset[int] | None = None, operators: bool = False) -> Iterator[Finding]:
    """The findings of every check of the commonest tests, or of those of these concepts.

    operators   whether `measurement` has operator_concept_id: a bound (<5) is no value of a test
    """
    tests = _commonest(workspace, only)
    if not tests:
        return
    values = workspace.table("test_values")
    _collect(workspace, values, tests, operators)
    _medians(workspace, values, tests)
    _scales(workspace, values, tests)
    workspace.drop(values)
    _hills(workspace, tests, operators)
    for test in tests.values():
        yield from _judge(test)


def at_fault(workspace: Workspace, check: Check, operators: bool) -> Sql:
    """The condition, on a row `t` of `measurement`, under which it is at fault, of a family that looks at values."""
    tests = _commonest(workspace, frozenset([check.concept]))
    if not tests:
        return NOTHING
    (test,) = tests.values()
    of = sql("t.measurement_concept_id = {c} AND t.value_as_number IS NOT NULL", c=check.concept)
    unit = sql("COALESCE(t.unit_concept_id, 0)")
    if check.family == "one_unit":
        return sql("{o} AND {u} NOT IN (0, {n})", o=of, u=unit, n=test.unit)
    values = workspace.table("test_values")
    _collect(workspace, values, tests, operators)
    _medians(workspace, values, tests)
    _scales(workspace, values, tests)
    workspace.drop(values)
    if check.family == "no_second_unit":
        _hills(workspace, tests, operators)
        bounds = _no_bound(operators)
        return in_hill(workspace, test.concept, test.unit, test.hill, bounds) if test.hill.values else NOTHING
    of = sql("{o} AND {u} = {n}{b}", o=of, u=unit, n=test.unit, b=_no_bound(operators))
    if check.family == "no_negative":
        return NOTHING if test.signed else sql("{o} AND t.value_as_number < 0", o=of)
    if not test.far:
        return NOTHING
    scale = 10 ** min(max(12 - math.floor(math.log10(test.median)), 0), 18)  # a whole number keeps twelve digits
    return sql(
        "{o} AND t.value_as_number > 0 AND ABS(LN(CASE WHEN t.value_as_number > 0 THEN t.value_as_number END"
        " * {s} / {m})) > {f}", o=of, s=scale, m=round(test.median * scale), f=LOG_FAR,
    )  # fmt: skip


def _commonest(workspace: Workspace, only: frozenset[int] | None) -> dict[int, Test]:
    rows = workspace.fetch(
        sql(
            "SELECT measurement_concept_id AS concept, COALESCE(unit_concept_id, 0) AS unit, COUNT(*) AS n "
            "FROM measurement WHERE value_as_number IS NOT NULL AND measurement_concept_id <> 0 "
            "GROUP BY measurement_concept_id, COALESCE(unit_concept_id, 0)"
        )
    ).to_pylist()
    found: dict[int, list[tuple[int, int]]] = {}
    for row in rows:
        if only is not None and int(row["concept"]) not in only:
            continue
        found.setdefault(int(row["concept"]), []).append((int(row["n"]), int(row["unit"])))
    totals = sorted(found, key=lambda concept: (-sum(n for n, _ in found[concept]), concept))
    known = [concept for concept in totals[COMMONEST:] if concept in references()]
    return {concept: _test(concept, found[concept]) for concept in (*totals[:COMMONEST], *known)}


def _test(concept: int, units: list[tuple[int, int]]) -> Test:
    in_unit, unit = _usual(units)
    return Test(concept, sum(n for n, other in units if other), unit, in_unit)


def _usual(units: list[tuple[int, int]]) -> tuple[int, int]:
    """The commonest unit that is known, and how many values are in it."""
    return max([(n, unit) for n, unit in units if unit] or units)


def _collect(workspace: Workspace, values: Sql, tests: Mapping[int, Test], operators: bool) -> None:
    """The values of these tests in their usual unit, with sex, age group and year."""
    import pyarrow as pa

    chosen = workspace.table("chosen_tests")
    concepts = pa.array(list(tests), pa.int64())
    workspace.upload(chosen, pa.table({"concept": concepts, "unit": pa.array([t.unit for t in tests.values()])}))
    workspace.create(
        values,
        sql(
            "SELECT t.measurement_concept_id AS concept, t.value_as_number AS value, p.gender_concept_id AS sex, "
            "FLOOR((EXTRACT(YEAR FROM t.measurement_date) - p.year_of_birth) / {band}) AS age, "
            "EXTRACT(YEAR FROM t.measurement_date) AS year FROM measurement t "
            "JOIN {c} c ON c.concept = t.measurement_concept_id AND c.unit = COALESCE(t.unit_concept_id, 0) "
            "JOIN person p ON p.person_id = t.person_id WHERE t.value_as_number IS NOT NULL"
            "{bounds}",
            c=chosen,
            bounds=_no_bound(operators),
            band=BAND,
        ),
    )
    workspace.drop(chosen)


def _no_bound(operators: bool) -> Sql:
    """A further condition on a row `t`: that its value is no bound."""
    return sql(" AND COALESCE(t.operator_concept_id, 0) NOT IN ({b})", b=sql(BOUNDS)) if operators else sql("")


def _medians(workspace: Workspace, values: Sql, tests: Mapping[int, Test]) -> None:
    bounds = {
        "duckdb": sql("QUANTILE_CONT(value, [0.01, 0.5, 0.99])"),
        "postgresql": sql("PERCENTILE_CONT(ARRAY[0.01, 0.5, 0.99]) WITHIN GROUP (ORDER BY value)"),
        "spark": sql("PERCENTILE(value, ARRAY(0.01, 0.5, 0.99))"),
    }[workspace.dialect.engine]
    for row in workspace.fetch(
        sql("SELECT concept, {b} AS bounds, SUM(CASE WHEN value < 0 THEN 1 ELSE 0 END) AS negative "
            "FROM {v} GROUP BY concept", b=bounds, v=values)
    ).to_pylist():  # fmt: skip
        test = tests[int(row["concept"])]
        test.median, test.negative = float(row["bounds"][1]), int(row["negative"])
    for by, groups in (("sex", "sexes"), ("age", "ages"), ("year", "years")):
        query = sql(
            "SELECT concept, {by} AS code, COUNT(*) AS n, {b} AS bounds FROM {v} WHERE {by} IS NOT NULL "
            "GROUP BY concept, {by}",
            by=sql(by), b=bounds, v=values,
        )  # fmt: skip
        for row in workspace.fetch(query).to_pylist():
            group = Group(int(row["n"]), *map(float, row["bounds"]))
            getattr(tests[int(row["concept"])], groups)[int(row["code"])] = group
    query = sql(
        "SELECT concept, sex, age, COUNT(*) AS n, {b} AS bounds FROM {v} WHERE sex IS NOT NULL AND age IS NOT NULL "
        "GROUP BY concept, sex, age", b=bounds, v=values,
    )  # fmt: skip
    for row in workspace.fetch(query).to_pylist():
        place = int(row["sex"]), BAND * int(row["age"])
        tests[int(row["concept"])].people[place] = Group(int(row["n"]), *map(float, row["bounds"]))


def _scales(workspace: Workspace, values: Sql, tests: Mapping[int, Test]) -> None:
    """Values that lie as far from the median as another unit would put them, with a valley between the two.

    HbA1c in mmol/mol is some 7 times HbA1c in %; most other units are farther apart. A test that varies by itself,
    as an inflammation marker does, fills the valley: then no value is far.
    """
    import pyarrow as pa

    known = {c: t for c, t in tests.items() if t.median > 0}
    bounds = workspace.table("test_medians")
    workspace.upload(
        bounds,
        pa.table(
            {"concept": pa.array(list(known), pa.int64()), "median": pa.array([t.median for t in known.values()])}
        ),
    )
    query = sql(
        "SELECT v.concept, SUM(CASE WHEN ABS(LN(v.value / b.median)) BETWEEN 0.9 AND 1.5 THEN 1 ELSE 0 END) AS valley, "
        "SUM(CASE WHEN ABS(LN(v.value / b.median)) > {far} THEN 1 ELSE 0 END) AS far "
        "FROM {v} v JOIN {b} b ON b.concept = v.concept WHERE v.value > 0 GROUP BY v.concept",
        v=values, b=bounds, far=LOG_FAR,
    )  # fmt: skip
    for row in workspace.fetch(query).to_pylist():
        test = tests[int(row["concept"])]
        test.far = int(row["far"]) if int(row["far"]) > 3 * int(row["valley"]) else 0
    workspace.drop(bounds)


def _hills(workspace: Workspace, tests: Mapping[int, Test], operators: bool) -> None:
    """Values that stand apart by the factor between two units; of a signed test there is none."""
    known = {c: (t.unit, t.median) for c, t in tests.items() if t.median > 0}
    size = sum(test.in_unit for test in tests.values())
    for concept, hill in hills(workspace, known, size, _no_bound(operators)).items():
        tests[concept].hill = hill


def _judge(test: Test) -> Iterator[Finding]:
    def check(family: str) -> Check:
        return check_of(family, test.concept)

    yield judged(check("one_unit"), test.n, test.n - test.in_unit if test.unit else 0)
    yield judged(check("no_negative"), test.in_unit, 0 if test.signed else test.negative)
    yield judged(check("one_scale"), test.in_unit, test.far)
    if test.factors:
        yield judged(check("no_second_unit"), test.hill.looked_at, test.hill.values)
    for family, groups in (("same_for_sexes", test.sexes), ("same_over_ages", test.ages)):
        steps = [_step(a, b) for a, b in _beside(groups)]
        yield judged(check(family), len(steps), sum(steps))
    jumps = [_jumped(test, a, b) for a, b in _beside(test.years)]
    yield judged(check("same_over_years"), len(jumps), sum(jumps))
    if test.concept in references():
        outside = list(_outside(test))
        outside = [True for _ in outside] if _in_another_unit(test) else outside
        yield judged(check("middle_plausible"), len(outside), sum(outside))
        reversed_ = list(_reversed(test))
        yield judged(check("sexes_in_order"), len(reversed_), sum(reversed_))


def _outside(test: Test) -> Iterator[bool]:
    """For each sex and age that is large enough, whether its median lies where that of no hospital's patients can."""
    for (sex, age), group in test.people.items():
        bounds = middle_of(test.concept, test.unit, sex, age) if group.n >= FEWEST else None
        if bounds is not None:
            yield not bounds[0] <= group.median <= bounds[1]


def _in_another_unit(test: Test) -> bool:
    """Whether most medians (of a sex and age) are below what people have, and all what patients have in another unit.

    Only below: illness raises what it moves, so that a median above its interval is held against the wider one alone.
    """
    groups = [(place, group.median) for place, group in test.people.items() if group.n >= FEWEST]
    plain = [middle_of(test.concept, test.unit, *place, widened=False) for place, _ in groups]
    below = [median < bounds[0] for (_, median), bounds in zip(groups, plain, strict=True) if bounds]
    if len(below) < 2 or sum(below) < MOST * len(below):
        return False
    wide = [(median, middle_of(test.concept, test.unit, *place)) for place, median in groups]
    return any(all(b[0] <= median / factor <= b[1] for median, b in wide if b) for factor in test.factors)


def _reversed(test: Test) -> Iterator[bool]:
    """For each age at which one sex has clearly the higher values, whether the other one has them here."""
    for age in sorted({age for _, age in test.people}):
        high = higher_sex(test.concept, age)
        groups = {sex: group for (sex, of), group in test.people.items() if of == age and group.n >= FEWEST}
        if high in groups and len(groups) > 1:
            other = max((group for sex, group in groups.items() if sex != high), key=lambda group: group.n)
            yield other.median > TOLERATED * groups[high].median


def check_of(family: str, concept: int) -> Check:
    """The check of a family for one test."""
    table, _, column = PLACE.partition(".")
    return Check(family, "plausibility", "tests", table, column, concept, allowed=ALLOWED.get(family, 0.0))


def _beside(groups: Mapping[int, Group]) -> Iterator[tuple[Group, Group]]:
    """Groups beside each other, of those that are large enough."""
    return itertools.pairwise(groups[code] for code in sorted(groups) if groups[code].n >= FEWEST)


def _step(a: Group, b: Group) -> bool:
    """Whether two groups are on two scales: medians far apart, and one of them not among the other group's values.

    A test that ranges widely by itself may rise steeply with age, as NT-proBNP does: its values still overlap.
    """
    among = a.low <= b.median <= a.high and b.low <= a.median <= b.high
    return _apart(a.median, b.median) > GROUP_RATIO and not among


def _apart(a: float, b: float) -> float:
    """The ratio of two medians, above 1; of signed ones there is none."""
    return max(a / b, b / a) if a > 0 and b > 0 else 1.0


def _jumped(test: Test, a: Group, b: Group) -> bool:
    """Whether the medians of two years are far apart, or by the factor between two units, and not by chance."""
    apart = math.log(_apart(a.median, b.median))
    if a.low > 0 and b.low > 0:  # the middle 98 % tell how far chance moves a median
        spreads = (math.log(group.high / group.low) / 4.653 / math.sqrt(group.n) for group in (a, b))
        if apart <= SURE * 1.2533 * math.hypot(*spreads):
            return False
        if any(abs(apart - abs(math.log(factor))) < NEAR * abs(math.log(factor)) for factor in test.factors):
            return True
    return apart > math.log(YEAR_RATIO)
