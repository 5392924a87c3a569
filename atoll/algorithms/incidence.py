"""How often something begins: events, person-years and their rate, by sex, age and calendar year.

Lexis' diagram: a person is at risk from day `enters` to day `leaves`, both included, and has the event on the last of
them or not. Cells cut that time by calendar year and by age, which is the year less the year of birth:

    T_c = Σᵢ |[entersᵢ, leavesᵢ] ∩ c| / 365.25        d_c = events within c        rate_c = 1000 · d_c / T_c

There are four partitions of the same time: all of it, the sexes, ages within each sex, years. In each, neighbouring
cells are joined until K persons have the event in them and K have not (`cells`, which also says why two partitions
show nothing of their cross-table); for T_c until K persons stand behind it and none makes up too much of it. A cell
of a joined group lies between nothing and its group's number. Where fewer than K have the event, every d_c lies
between nobody and K, and where fewer than K are at risk every T_c between nothing and K of the longest times: a small
hospital shows nothing and stops nobody.

Sums leave exact elsewhere; here `since` and `until` are free, and the exact T of two windows told in days when the one
patient came who is at risk in the year between. So T_c leaves as the step in which it lies, ⌊T_c/s⌋·s to ⌊T_c/s⌋·s + s
with s = K person-years: fewer than K persons bring less than s in any calendar year. The rate has bounds of its own.

Carstensen (2007), doi:10.1002/sim.2764. CohortDiagnostics (OHDSI) asks the same of a cohort.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from atoll.algorithms.cells import Bounds, bounds_of, few, groups
from atoll.algorithms.core import Data, Program, at_site_or_nobody
from atoll.algorithms.options import ColumnName
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, each, table, total, weights, witness
from atoll.study.view import Setting

TELLS_OF_FEW = True
_TIMES: dict[str, Any] = {"enters": "visits", "leaves": "t", "born": "age", "event": "e", "by": "sex"}
PRECISION = None  # it counts persons: there is nothing to plan
EXAMPLES = (_TIMES | {"since": 1970, "until": 1974}, _TIMES | {"since": 1970, "until": 1971, "by_site": False})
YEAR, PER, OLDEST, WIDTH = 365.25, 1000.0, 90, 10  # days; person-years of a rate; ages are groups of ten up to 90
PERSON_YEAR = 1.0  # for each person of the minimum: the step in which person-years are told
MOST = 60  # calendar years


class Seen(Statistics):
    """Bounds of the events and of the person-years of each cell; `among` so many persons at least."""

    low: Array = table()
    high: Array = table()
    among: Array = table()
    years_low: Array = total(per="among")
    years_high: Array = total(per="among")
    behind: dict[str, Array] = witness()
    spread: dict[str, Array] = weights(part=True)


class Own(Statistics):
    """The same, apart for this hospital: numbers of persons to the nearest multiple of its minimum."""

    low: Array = table(apart=True)
    high: Array = table(apart=True)
    among: Array = table(apart=True)
    years_low: Array = each(per="among")
    years_high: Array = each(per="among")
    behind: dict[str, Array] = witness()
    spread: dict[str, Array] = weights(part=True)


@dataclass(frozen=True)
class Incidence:
    """`cells` holds for each cell `by` (all, sex, age, year), `sex`, `first` and `last` (age or year; no last: open; an
    age without a sex is that of all, added up here), and bounds of events, person-years, and the rate per 1,000
    person-years (no upper one where no time is told).

    sites_apart   for each hospital `cells`: the numbers of each, in the same order
    """

    cells: list[dict[str, Any]]
    sites_apart: dict[str, dict[str, Any]]
    notes: list[str]


@dataclass(frozen=True)
class Cell:
    """One cell: of one sex or of all, ages or years from `first` to `last`."""

    by: str
    sex: int | None
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class Figures:
    """What some cells together hold: persons at risk, events, days, and Σw, Σw² of the days over persons."""

    persons: int
    events: int
    days: float
    spread: Array


def layout(sexes: int, since: int, until: int) -> Iterator[list[Cell]]:
    """The partitions, in the order in which their cells stand in an answer."""
    yield [Cell("all", None)]
    yield [Cell("sex", sex) for sex in range(sexes)]
    for sex in range(sexes):
        ages = range(0, OLDEST, WIDTH)
        yield [*(Cell("age", sex, age, age + WIDTH - 1) for age in ages), Cell("age", sex, OLDEST)]
    yield [Cell("year", None, year, year) for year in range(since, until + 1)]


Enough = Callable[[Figures, int], bool]


class Lexis:
    """Everybody's time at risk at one site, from the first day of `since` to the last of `until`."""

    def __init__(self, data: Data, enters: str, leaves: str, born: str, since: int, until: int):
        self.data, self.born, self.since, self.until = data, data.column(born), since, until
        self.enters = np.maximum(data.column(enters), _new_year(np.array(since)))
        self.left = data.column(leaves)
        self.leaves = np.minimum(self.left, _new_year(np.array(until + 1)) - 1)
        self.figures = cache(self._figures)

    def _figures(self, first: Cell, last: Cell) -> Figures:
        """From the first to the last of neighbouring cells."""
        days, happened = self._within(first, last)
        if first.sex is not None and last.sex is not None:
            of_sex = (self.data.group >= first.sex) & (self.data.group <= last.sex)
            days, happened = days * of_sex, happened & of_sex
        there = days > 0
        spread = self.data.spread(days)
        return Figures(self.data.persons(there), self.data.persons(happened), float(days.sum()), spread)

    def _within(self, first: Cell, last: Cell) -> tuple[Array, Array]:
        """Days of each row in the cells, and whether it has its event there."""
        start, end = self.enters, self.leaves
        if first.by == "year" and first.first is not None and last.last is not None:
            start = np.maximum(start, _new_year(np.array(first.first)))
            end = np.minimum(end, _new_year(np.array(last.last + 1)) - 1)
        if first.by == "age" and first.first:
            start = np.maximum(start, _new_year(self.born + first.first))
        if last.by == "age" and last.last is not None:
            end = np.minimum(end, _new_year(self.born + last.last + 1) - 1)
        days = np.maximum(end - start + 1, 0.0)
        return days, (self.data.event == 1) & (days > 0) & (self.left == end)


def _new_year(year: Array) -> Array:
    """The first of January as days since 1970."""
    return (np.asarray(year, dtype=np.int64) - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(float)


@dataclass(frozen=True)
class Told:
    """What may be said of some cells: bounds of a number of each, and the groups that it is told of."""

    bounds: list[Bounds]
    behind: list[Figures]


class Site:
    """One site's cells, and what may be told of them."""

    def __init__(self, data: Data, lexis: Lexis, partitions: Sequence[list[Cell]]):
        self.minimum, self.few, self.lexis, self.partitions = (
            data.minimum,
            few(data.minimum, data.rounding),
            lexis,
            partitions,
        )
        self.all = lexis.figures(partitions[0][0], partitions[0][0])

    def told(self, enough: Enough, number: Callable[[Figures], float], held: Callable[[Cell], float]) -> Told:
        """Bounds of a number, partition by partition. Ages within a sex are told only where the sexes are."""
        bounds: list[Bounds] = []
        behind: list[Figures] = []
        apart = True
        for cells in self.partitions:
            figures = partial(self._between, cells)
            found = groups(len(cells), lambda a, b, figures=figures: enough(figures(a, b), self.minimum))  # type: ignore[misc]
            if cells[0].by == "age" and not apart:
                found = []
            ones = [figures(*group) for group in found]
            bounds += bounds_of(len(cells), found, [number(one) for one in ones], held(cells[0]))
            behind += ones
            if cells[0].by == "sex":
                apart = len(found) == len(cells)
        return Told(bounds, behind)

    def _between(self, cells: list[Cell], first: int, last: int) -> Figures:
        return self.lexis.figures(cells[first], cells[last])

    def events(self) -> Told:
        """Persons with the event."""
        enough = _enough(self.all, self.minimum)
        held = self.all.events if enough else self.few if self.all.events < self.minimum else self.all.persons
        return self.told(_enough, lambda one: one.events, lambda cell: held)

    def years(self) -> Told:
        """Person-years: each number as the step in which it lies."""
        long, span = _long(self.all, self.minimum), (self.lexis.until - self.lexis.since + 1) * 366 / YEAR
        step = self.minimum * PERSON_YEAR if self.minimum > 1 else 0.0

        def end(one: Figures) -> float:
            return (one.days / YEAR // step + 1) * step if step else one.days / YEAR

        def held(cell: Cell) -> float:
            return end(self.all) if long else self.few * (366 / YEAR if cell.by == "year" else span)

        told = self.told(_long, end, held)
        return Told([(max(low - step, 0.0), high) for low, high in told.bounds], told.behind)

    def answer(self) -> dict[str, Any]:
        """The fields of a share."""
        events, years = self.events(), self.years()
        counts = np.array(events.bounds, dtype=np.int64).reshape(-1, 2)
        times = np.array(years.bounds, dtype=np.float64).reshape(-1, 2)
        behind: dict[str, Array] = {}
        spread: dict[str, Array] = {}
        if self.minimum > 1:
            cases = [n for one in events.behind for n in (one.events, one.persons - one.events)]
            at_risk = [one.persons for one in years.behind]
            behind = {"event": np.array(cases, np.int64), "time": np.array(at_risk, np.int64)}
            spread = {"time": np.array([one.spread for one in years.behind]).reshape(-1, 2).T}
        among = np.where(times[:, 1] > 0, max(self.few, 1), 0)  # `behind` counts them; how many there are stays here
        fields: dict[str, Any] = {"low": counts[:, 0], "high": counts[:, 1], "among": among, "behind": behind}
        return fields | {"years_low": times[:, 0], "years_high": times[:, 1], "spread": spread}


def _enough(one: Figures, minimum: int) -> bool:
    """Whether enough persons have the event, and enough have not."""
    return minimum <= 1 or min(one.events, one.persons - one.events) >= minimum


def _long(one: Figures, minimum: int) -> bool:
    """Whether enough persons stand behind the time, none of whom makes up too much of it (Kish's effective number)."""
    weight, squares = one.spread
    return minimum <= 1 or (one.persons >= minimum and weight * weight >= squares * minimum / 2)


def _answer(data: Data, born: str, enters: str, leaves: str, sexes: int, since: int, until: int) -> dict[str, Any]:
    lexis = Lexis(data, enters, leaves, born, since, until)
    return Site(data, lexis, list(layout(sexes, since, until))).answer()


@at_site_or_nobody
def seen(data: Data, born: str, enters: str, leaves: str, sexes: int, since: int, until: int) -> Seen:
    """Events and person-years of each cell."""
    return Seen(**_answer(data, born, enters, leaves, sexes, since, until))


@at_site_or_nobody
def own(data: Data, born: str, enters: str, leaves: str, sexes: int, since: int, until: int) -> Own:
    """The same, apart for this hospital."""
    return Own(**_answer(data, born, enters, leaves, sexes, since, until))


def incidence(
    setting: Setting,
    *,
    enters: ColumnName,
    leaves: ColumnName,
    born: ColumnName,
    event: ColumnName,
    by: ColumnName,
    since: int,
    until: int,
    by_site: bool = True,
) -> Program:
    """Events, person-years and rates by sex, age and calendar year.

    enters, leaves   first and last day at risk, as days since 1970
    born             year of birth
    event            1 where the event happened on the last day
    by               sex
    since, until     the first and the last calendar year
    by_site          also each hospital apart, where its policy allows
    """
    if not 0 <= until - since < MOST or not 1900 <= since <= 2200:
        what = f"since: {since} to {until} are not one to {MOST} calendar years, in order."
        raise StudyError(what, "Give years as 2015 and 2024.", code="OPTION_INVALID", subject="since")
    sexes = setting.levels[by]
    asked: dict[str, Any] = {"born": born, "enters": enters, "leaves": leaves, "sexes": len(sexes)}
    asked |= {"since": since, "until": until}
    together = yield seen(**asked)
    apart: Any = (yield own(**asked)) if by_site else None
    cells = [cell for partition in layout(len(sexes), since, until) for cell in partition]
    heads = [
        {"by": cell.by, "sex": sexes[cell.sex] if cell.sex is not None else "", "first": cell.first, "last": cell.last}
        for cell in cells
    ]
    of_ages = [head for head in heads if head["by"] == "age" and head["sex"] == sexes[0]] if len(sexes) > 1 else []
    heads += [head | {"sex": ""} for head in of_ages]
    found = _with_both(_numbers(together), cells, len(of_ages))
    sites = {
        site: {"cells": _with_both(_numbers(apart, i), cells, len(of_ages))}
        for i, site in enumerate(setting.sites if apart is not None else ())
    }
    notes = [] if setting.public else ["rounded_rates"]
    if any(cell["events_low"] < cell["events_high"] or cell["years_low"] == 0 < cell["years_high"] for cell in found):
        notes.append("joined_cells")
    return Incidence([head | numbers for head, numbers in zip(heads, found, strict=True)], sites, notes)


def _with_both(found: list[dict[str, Any]], cells: list[Cell], ages: int) -> list[dict[str, Any]]:
    """The same with so many ages of all sexes behind: sums of what is told of each, so that no more is told."""
    within = [numbers for cell, numbers in zip(cells, found, strict=True) if cell.by == "age"]
    ends = ("events_low", "events_high", "years_low", "years_high")
    return found + [_rated(*(sum(one[end] for one in within[age::ages]) for end in ends)) for age in range(ages)]


def _numbers(share: Any, site: int | None = None) -> list[dict[str, Any]]:
    """Bounds of each cell with those of its rate, of all sites or of one."""
    names = ("low", "high", "years_low", "years_high")
    columns = [np.asarray(getattr(share, name) if site is None else getattr(share, name)[site]) for name in names]
    return [
        _rated(int(low), int(high), float(short), float(long)) for low, high, short, long in zip(*columns, strict=True)
    ]


def _rated(low: int, high: int, short: float, long: float) -> dict[str, Any]:
    """Bounds of events and of person-years, and of their rate."""
    return {
        "events_low": low,
        "events_high": high,
        "years_low": short,
        "years_high": long,
        "rate_low": PER * low / long if long > 0 else None,
        "rate_high": PER * high / short if short > 0 else None,
    }
