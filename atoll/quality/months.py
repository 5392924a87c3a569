"""Months: is one empty in the middle, does a table begin late or end early, does its number of records leap.

    u_m = min(median of the 12 months before m, median of the 12 after)       persons with a record, a usual month here
    P(X ≤ x) ≤ exp(x − μ + x log(μ/x)),   μ = Σ u_m / φ                        a run of months with x persons, by chance

Each table is held against its own usual month, so that a hospital of a few persons a month and one of thousands are
looked at alike. Persons are counted and not records: of one visit come a hundred measurements, and a month of a small
hospital has one or two. φ is how much more than a Poisson number the months vary. A run of months that hold a tenth of
what is usual is a gap when chance gives it once in a million; where not even half a year without a person would be
seldom, nothing is looked at. The bound is Chernoff's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from statistics import median, median_high, median_low
from typing import NamedTuple

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import name, sql
from atoll.cdm.tables import tables as model
from atoll.quality.check import Check, Finding, judged

GONE = 0.1  # of the usual month: what holds no more is as good as empty
CHANCE = 1e-6
HOLE = 6  # months: where one of so many would not be seen, nothing is said
BESIDE = 12  # months on each side that say what is usual
STRAY = 0.01  # share of persons in the outermost months: before and after lie single dates that are wrong
ONCE = 1.2  # months with a record that a person has, from which on persons come back
CHI = 0.455  # the median of the square of a normal number
JUMP = 10.0  # records from one month to the next
FEWEST = 200  # records of a month before a jump says something
Counts = Mapping[int, int]  # by month: 12 · year + month


class Months(NamedTuple):
    """Records and distinct persons of each month of a table, and how many persons it has in all."""

    records: Counts
    persons: Counts
    everybody: int

    @property
    def is_of_once(self) -> bool:
        """Whether most have records of one month alone, as of a question that is asked of who is new."""
        return sum(self.persons.values()) < ONCE * self.everybody


class Usual(NamedTuple):
    """Months that are not as good as empty, and how much more than Poisson numbers they vary."""

    alive: Sequence[int]
    dispersion: float


def look(workspace: Workspace, checks: Sequence[Check]) -> Iterator[Finding]:
    """The findings of checks of months; each table is held against the others among them."""
    found = {table: months_of(workspace, table) for table in dict.fromkeys(check.table for check in checks)}
    for check in checks:
        own = found[check.table]
        if own is None:
            yield Finding(check, 0, 0, "missing")
        elif check.family == "no_gap":
            yield judged(check, *gaps(own.persons))
        elif check.family == "no_jump":
            yield judged(check, *jumps(own.records))
        else:
            others = [other for table, other in found.items() if other and table != check.table]
            yield judged(check, *ends(own, others))


def months_of(workspace: Workspace, table: str) -> Months | None:
    """How many records, and how many persons have one, in each month; None where that cannot be read."""
    start = model()[table].start() or ""
    if not {start, "person_id"} <= set(workspace.columns(table) or ()):
        return None
    query = sql(
        "SELECT EXTRACT(YEAR FROM {d}) * 12 + EXTRACT(MONTH FROM {d}) AS month, COUNT(*) AS n, "
        "COUNT(DISTINCT person_id) AS persons FROM {t} WHERE {d} IS NOT NULL "
        "GROUP BY EXTRACT(YEAR FROM {d}) * 12 + EXTRACT(MONTH FROM {d})",
        d=name(start), t=name(table),
    )  # fmt: skip
    rows = workspace.fetch(query).to_pylist()
    records, persons = ({int(row["month"]): int(row[key]) for row in rows} for key in ("n", "persons"))
    everybody = sql(
        "SELECT COUNT(DISTINCT person_id) AS n FROM {t} WHERE {d} IS NOT NULL", t=name(table), d=name(start)
    )
    return Months(records, persons, int(workspace.fetch(everybody).to_pylist()[0]["n"]))


def gaps(persons: Counts) -> tuple[int, int]:
    """Months from the first to the last that is not as good as empty, and those of them that lie in a gap."""
    usual = _usual(persons)
    if not usual.alive:
        return 0, 0
    span = range(usual.alive[0], usual.alive[-1] + 1)
    levels = {month: _level(persons, usual, month) for month in span}
    gone = [month for month in span if persons.get(month, 0) <= GONE * levels[month]]
    faults = sum(len(run) for run in _runs(gone) if _is_strange(run, persons, levels, usual))
    return (len(span) if faults or _says(median(levels.values()), usual) else 0), faults


def ends(own: Months, others: Sequence[Months]) -> tuple[int, int]:
    """Months over which half of the others reach, and those of them before this one begins or after it ends.

    Their outermost months are left out: they are seldom whole. A table of what is asked once a person ends when
    nobody new comes; beside others whose persons come back it is not looked at.
    """
    persons, others = own.persons, [other for other in others if other.records]
    usual, beside = _usual(persons), [_usual(other.persons).alive for other in others]
    if not usual.alive or not beside or (own.is_of_once and not all(other.is_of_once for other in others)):
        return 0, 0
    since = median_low(alive[0] for alive in beside) + 1
    until = median_high(alive[-1] for alive in beside) - 1
    there = sorted(month for month, n in persons.items() if n)
    starts, stops = _outermost(persons, there, usual.alive[0]), _outermost(persons, there[::-1], usual.alive[-1])
    sides = [(range(since, starts[0]), starts), (range(stops[0] + 1, until + 1), stops)]
    levels = [median(persons[month] for month in near) for _, near in sides]
    faults = 0
    for (run, _), level in zip(sides, levels, strict=True):
        faults += len(run) if run and _is_strange(run, persons, dict.fromkeys(run, level), usual) else 0
    looked = faults or any(_says(level, usual) for level in levels)
    return (max(until - since + 1, faults) if looked else 0), faults


def jumps(records: Counts) -> tuple[int, int]:
    """Pairs of months beside each other of which one has many records, and those between which they leap."""
    pairs = [
        (records[m], records[m + 1])
        for m in sorted(records)
        if m + 1 in records and max(records[m], records[m + 1]) >= FEWEST
    ]
    inner = pairs[1:-1]  # the first and the last month are seldom whole
    return len(inner), sum(max(a, b) > JUMP * min(a, b) for a, b in inner)


def _usual(persons: Counts) -> Usual:
    there = sorted(month for month, n in persons.items() if n)
    reached = list(accumulate(persons[month] for month in there))
    middle = median(persons[month] for month in there) if there else 0.0
    alive = [
        month
        for month, until in zip(there, reached, strict=True)
        if persons[month] >= GONE * middle
        and until >= STRAY * reached[-1]
        and until - persons[month] <= (1 - STRAY) * reached[-1]
    ]
    squares = []
    for at, month in enumerate(alive):
        near = median(persons[m] for m in alive[max(at - BESIDE // 2, 0) : at + BESIDE // 2 + 1])
        squares.append((persons[month] - near) ** 2 / near)
    return Usual(alive, max(median(squares) / CHI, 1.0) if squares else 1.0)


def _outermost(persons: Counts, there: Sequence[int], month: int) -> Sequence[int]:
    """The outermost months that are not as good as empty beside the next ones: a table that grows begins slowly."""
    at = there.index(month)
    while at and abs(there[at] - there[at - 1]) <= HOLE:
        if persons[there[at - 1]] <= GONE * median(persons[m] for m in there[at : at + BESIDE]):
            break
        at -= 1
    return there[at : at + BESIDE]


def _level(persons: Counts, usual: Usual, month: int) -> float:
    """Persons of a usual month here: the lesser of what is usual before and after."""
    before = [m for m in usual.alive if m < month][-BESIDE:] or [month]
    after = [m for m in usual.alive if m > month][:BESIDE] or [month]
    return float(min(median(persons.get(m, 0) for m in side) for side in (before, after)))


def _runs(months: Sequence[int]) -> Iterator[list[int]]:
    """Months in a row."""
    run: list[int] = []
    for month in months:
        if run and month != run[-1] + 1:
            yield run
            run = []
        run.append(month)
    if run:
        yield run


def _is_strange(run: Sequence[int], persons: Counts, levels: Mapping[int, float], usual: Usual) -> bool:
    """Whether chance leaves so few persons in a run of months less often than `CHANCE`."""
    expected = sum(levels[month] for month in run) / usual.dispersion
    seen = sum(persons.get(month, 0) for month in run) / usual.dispersion
    if seen >= expected:
        return False
    return seen - expected + (seen * math.log(expected / seen) if seen else 0.0) < math.log(CHANCE)


def _says(level: float, usual: Usual) -> bool:
    """Whether `HOLE` empty months would be strange."""
    return HOLE * level / usual.dispersion > -math.log(CHANCE)
