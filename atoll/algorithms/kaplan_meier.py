"""Kaplan–Meier survival curves by group, and the log-rank test, on a shared grid t₁ < … < t_m.

    d_j = events in (t_{j−1}, t_j]          n_j = persons who leave in this interval or later
    S(t_j) = Π_{i ≤ j} (1 − d_i / n_i)
    Var S(t_j) = S(t_j)² Σ_{i ≤ j} d_i / (n_i (n_i − d_i))                       (Greenwood)
    95 % interval on the scale of log S, as R's `survfit`

Log-rank over groups g with d_j, n_j of all groups together:

    E_g = Σ_j d_j n_gj / n_j        V_gh = Σ_j d_j (n_j − d_j) / (n_j − 1) · n_gj/n_j (δ_gh − n_hj/n_j)
    χ² = (O − E)ᵀ V⁻ (O − E), g − 1 degrees of freedom

On public data the grid is every distinct time, and the curve is the exact one. Elsewhere it is a parameter of the
study, since exact times identify. Then the curve is a life table: of those who leave an interval without the event,
c_j, each counts as at risk for half of it, n'_j = n_j − c_j / 2 in the place of n_j, and S is linear between the ends
of an interval. Who leaves after the last time is not told apart by the event.

Kaplan & Meier (1958); Greenwood (1926); Cutler & Ederer (1958), doi:10.1016/0021-9681(58)90126-7; Peto & Peto (1972).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import chdtrc

from atoll.algorithms.core import Data, Program, at_site, at_site_whole
from atoll.algorithms.options import ColumnName, Grid, StratumName
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, count, points, table, total, weights, witness
from atoll.study.view import Setting

Z = 1.959963984540054
MOST = 100_000  # intervals of a grid
PRECISION = "survival"
EXAMPLES = (
    {"time": "t", "event": "e", "by": "sex", "times": [365.0, 730.0]},
    {"time": "t", "event": "e"},
    {"time": "t", "event": "e", "by": "arm", "times": [365.0], "strata": ["site"]},
)


class Times(Statistics):
    times: Array = points()


class LifeTable(Statistics):
    leaving: Array = table()
    events: Array = table()
    censored: dict[str, Array] = witness()


class Differences(Statistics):
    events: int = count()
    observed: Array = total(per="events")
    expected: Array = total(per="events")
    variance: Array = total(per="events")
    behind: dict[str, Array] = witness()
    hazards: dict[str, Array] = weights(part=True)


@dataclass(frozen=True)
class Curves:
    """One entry a group, `all` when there is none. Arrays follow `times`; times are in the column's unit."""

    times: Array
    groups: dict[str, dict[str, Array]]
    unit: str
    logrank: dict[str, Any] | None
    n: int
    events: int
    exact: bool
    notes: list[str]


@at_site
def distinct_times(data: Data) -> Times:
    """Distinct times: asked of public data only, and refused elsewhere."""
    return Times(times=np.unique(data.time))


@at_site
def life_table(data: Data, grid: Grid, groups: int) -> LifeTable:
    """Persons who leave, and events, per group and interval; the last interval is open, and its events are not told."""
    size = len(grid) + 1
    interval = np.searchsorted(grid, data.time)
    cell, outside, closed = data.group * size + interval, groups * size, interval < len(grid)
    happened = data.event == 1
    leaving, events, censored = (
        data.persons_per(np.where(chosen, cell, outside), outside + 1)[:-1]
        for chosen in (np.ones(data.n, dtype=bool), happened & closed, ~happened & closed)
    )
    return LifeTable(
        leaving=leaving.reshape(groups, size), events=events.reshape(groups, size), censored={"event": censored}
    )


@at_site_whole
def differences(data: Data, groups: int) -> Differences:
    """O, E and V of the log-rank test within the strata of one site."""
    observed, expected, variance = np.zeros(groups), np.zeros(groups), np.zeros((groups, groups))
    for stratum in np.unique(data.strata):
        inside = data.strata == stratum
        grid, interval = np.unique(data.time[inside], return_inverse=True)
        cells = data.group[inside] * len(grid) + interval
        leaving = np.bincount(cells, minlength=groups * len(grid)).reshape(groups, -1)
        died = np.bincount(cells, data.event[inside], minlength=groups * len(grid)).reshape(groups, -1)
        O, E, V = logrank_sums(at_risk(leaving).astype(float), died)
        observed, expected, variance = observed + O, expected + E, variance + V
    died = data.event == 1
    behind, hazards = _compared(data, died, groups)
    return Differences(
        events=data.persons(died),
        observed=observed,
        expected=expected,
        variance=variance,
        behind={"event": behind},
        hazards={"event": hazards},
    )


def _compared(data: Data, died: Array, groups: int) -> tuple[Array, Array]:
    """Persons of each group without and with the event: of all, and of those whom an event found at risk in the strata
    in which groups are compared, where O − E comes from; and persons of each group in each of those strata.

    Also how the hazards that they met, of which E is the sum, are spread over those persons.
    """
    both, there = 2 * data.group + died, data.hazard > 0
    strata = int(data.strata.max()) + 1
    cells = strata * groups
    cell = np.where(there, data.strata * groups + data.group, cells)
    held = data.persons_per(cell, cells + 1)[:-1].reshape(strata, groups)
    compare = (held > 0).sum(axis=1) > 1
    there &= compare[data.strata]
    outside = np.where(there, both, 2 * groups)
    parts = [data.persons_per(both, 2 * groups), data.persons_per(outside, 2 * groups + 1)[:-1], held[compare].ravel()]
    return np.concatenate(parts), data.spread_per(data.hazard, np.where(there, cell, cells), cells + 1)[:, :-1]


def at_risk(leaving: Array) -> Array:
    """Persons who leave in each interval or later."""
    result: Array = leaving[..., ::-1].cumsum(axis=-1)[..., ::-1]
    return result


def exposed(leaving: Array, events: Array, exact: bool) -> Array:
    """Persons at risk in each interval; on a grid, those who are censored in it count half."""
    n = at_risk(leaving).astype(float)
    return n if exact else n - np.maximum(leaving - events, 0) / 2


def logrank_sums(n_g: Array, died: Array) -> tuple[Array, Array, Array]:
    """O, E and V from tables of groups × intervals: persons at risk, and events."""
    n, d = n_g.sum(axis=0), died.sum(axis=0)
    share = np.divide(n_g, n, out=np.zeros_like(n_g), where=n > 0)
    spread = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0)
    V = np.diag((share * spread).sum(axis=1)) - (share * spread) @ share.T
    return died.sum(axis=1).astype(float), (share * d).sum(axis=1), V


def logrank_test(observed: Array, expected: Array, variance: Array) -> dict[str, Any]:
    """χ² and its p-value; the last group is left out, since the differences add up to zero."""
    difference = (observed - expected)[:-1]
    chisq = float(difference @ np.linalg.pinv(variance[:-1, :-1]) @ difference)
    return {
        "observed": observed,
        "expected": expected,
        "chisq": chisq,
        "df": len(difference),
        "p": float(chdtrc(len(difference), chisq)),
    }


def curve(leaving: Array, events: Array, exact: bool) -> dict[str, Array]:
    """S, its standard error and 95 % interval, persons at risk and events, per interval of one group."""
    n, d = exposed(leaving, events, exact)[:-1], events[:-1].astype(float)
    stays = np.divide(n - d, n, out=np.ones_like(n), where=n > 0)
    survival = np.cumprod(stays)
    hazard = np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d)
    error = np.sqrt(np.cumsum(hazard))
    with np.errstate(divide="ignore"):
        low, high = np.exp(np.log(survival) - Z * error), np.exp(np.log(survival) + Z * error)
    return {
        "survival": survival,
        "se": survival * error,
        "lower": np.where(survival > 0, low, np.nan),
        "upper": np.where(survival > 0, np.minimum(high, 1.0), np.nan),
        "at_risk": at_risk(leaving),
        "events": events[:-1],
    }


def kaplan_meier(
    setting: Setting,
    *,
    time: ColumnName,
    event: ColumnName,
    by: ColumnName | None = None,
    times: tuple[float, ...] = (),
    grid: float | None = None,
    strata: tuple[StratumName, ...] = (),
) -> Program:
    """Survival curves by group over all sites, with the log-rank test.

    time     follow-up, from zero
    event    1 when the event happened at `time`, 0 when censored
    by       a category: one curve a level
    times    times at which the curve is wanted, in the unit of `time`
    grid     width of the intervals, in the unit of `time`; without it, `times` are the grid (public data: exact times)
    strata   the log-rank test within strata; they must contain `site`
    """
    names = setting.levels[by] if by else ("all",)
    if strata and "site" not in strata:
        raise StudyError(
            "A stratified log-rank test needs `site` among its strata.",
            "Write strata: [site].",
            code="OPTION_INVALID",
            subject="strata",
        )
    if min(times, default=1.0) <= 0 or (grid is not None and grid <= 0):
        raise StudyError(
            "Times and intervals of a curve lie above zero.",
            "Correct `times` or `grid`.",
            code="OPTION_INVALID",
            subject="times" if min(times, default=1.0) <= 0 else "grid",
        )
    exact = setting.public and grid is None
    points_ = (yield distinct_times()).times if exact else _grid(setting, time, times, grid)
    t = yield life_table(grid=points_, groups=len(names))
    test = yield from _test(t, len(names), bool(strata), exact)
    curves = {name: curve(t.leaving[g], t.events[g], exact) for g, name in enumerate(names)}
    wanted = np.asarray(times, float) if times else points_
    return Curves(
        times=wanted,
        groups={
            name: read_at(points_, values, wanted, exact) | {"median": median(points_, values, exact)}
            for name, values in curves.items()
        },
        unit=setting.columns[time].unit,
        logrank=test,
        n=int(t.leaving.sum()),
        events=int(t.events.sum()),
        exact=exact,
        notes=[] if exact else ["life_table", "rounded_curves"] if not setting.public else ["life_table"],
    )


def _test(t: LifeTable, groups: int, stratified: bool, exact: bool) -> Program:
    """The log-rank test from the life table, or from one more round within the strata of each site."""
    if groups < 2:
        return None
    if not stratified:
        return logrank_test(*logrank_sums(exposed(t.leaving, t.events, exact), t.events))
    d = yield differences(groups=groups)
    return logrank_test(d.observed, d.expected, d.variance)


def _grid(setting: Setting, time: str, times: tuple[float, ...], width: float | None) -> Array:
    """The grid of a study that may not ask for exact times."""
    column = setting.columns[time]
    if width is None and times:
        return np.asarray(sorted(set(times)), float)
    end = max(times) if times else column.high
    if end is None:
        raise StudyError(
            "A survival curve under this policy needs a time grid.",
            "Give `times`, or `grid` and an allowed range of the time column.",
            code="GRID_NEEDED",
            subject="times",
        )
    width = width or _month(column.unit)
    if end / width > MOST:
        what = f"The grid would have more than {MOST:,} intervals."
        raise StudyError(what, "Give a wider `grid`, or earlier `times`.", code="OPTION_INVALID", subject="grid")
    return np.arange(1, max(round(end / width), 1) + 1) * width


def _month(unit: str) -> float:
    """The default width: a month of the time column's unit."""
    return {"d": 30.4375, "wk": 4.348, "mo": 1.0, "a": 1 / 12}.get(unit, 30.4375)


def read_at(grid: Array, values: dict[str, Array], wanted: Array, exact: bool) -> dict[str, Array]:
    """The curve at the times wanted, and events until then.

    At risk are those whose time is not shorter; on a grid, those who are followed beyond it.
    """
    start = {"survival": 1.0, "se": 0.0, "lower": 1.0, "upper": 1.0}
    last = np.searchsorted(grid, wanted, side="right") - 1
    steps = {name: np.where(last >= 0, values[name][last], value) for name, value in start.items()}
    if not exact:
        between = (wanted != np.concatenate([[0.0], grid])[last + 1]) & (last + 1 < len(grid))
        lines = {name: np.interp(wanted, *_joined(grid, values[name], value)) for name, value in start.items()}
        steps = {name: np.where(between, lines[name], steps[name]) for name in start}
    return steps | {
        "at_risk": values["at_risk"][np.searchsorted(grid, wanted, side="left" if exact else "right")],
        "events": np.concatenate([[0], values["events"].cumsum()])[last + 1],
    }


def _joined(grid: Array, values: Array, first: float) -> tuple[Array, Array]:
    """The corners of a line through the ends of the intervals, from time nought on."""
    return np.concatenate([[0.0], grid]), np.concatenate([[first], values])


def median(grid: Array, values: dict[str, Array], exact: bool) -> Array:
    """Median survival with its 95 % interval; NaN where a curve does not come down to one half."""
    crossing = _crossing if exact else _crossing_of_line
    return np.array([crossing(grid, values[name]) for name in ("survival", "lower", "upper")])


def _crossing(grid: Array, survival: Array) -> float:
    """First time with S < ½; halfway between the ends of a step that lies exactly at ½, as R does."""
    below = np.flatnonzero(survival < 0.5 - 1e-12)
    at = np.flatnonzero(np.abs(survival - 0.5) <= 1e-12)
    if at.size and below.size:
        return float((grid[at[0]] + grid[below[0]]) / 2)
    return float(grid[below[0]]) if below.size else float("nan")


def _crossing_of_line(grid: Array, survival: Array) -> float:
    """Where a curve that is linear within intervals comes down to one half."""
    times, values = _joined(grid, survival, 1.0)
    below = np.flatnonzero(values <= 0.5)
    if not below.size:
        return float("nan")
    j = int(below[0])
    return float(times[j - 1] + (times[j] - times[j - 1]) * (values[j - 1] - 0.5) / (values[j - 1] - values[j]))
