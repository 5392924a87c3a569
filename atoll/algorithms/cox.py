"""Cox proportional hazards, Breslow or Efron ties, with or without strata.

With θᵢ = exp(xᵢᵀβ), R the persons at risk at an event time, D its d events, and for l = 0 … d − 1
(Breslow: the last terms are left out)

    S⁰ = Σ_R θᵢ − (l/d) Σ_D θᵢ        S¹ = Σ_R θᵢxᵢ − (l/d) Σ_D θᵢxᵢ        S² alike with xᵢxᵢᵀ
    log L(β) = Σ_D xᵢᵀβ − Σ log S⁰
    U(β)     = Σ_D xᵢ   − Σ S¹/S⁰
    I(β)     = Σ S²/S⁰  − Σ (S¹/S⁰)(S¹/S⁰)ᵀ                sums over events and strata

Stratified by site (the default) every risk set lies within one hospital: it sends U, I and log L alone,
and no table of times leaves. Otherwise the risk sets run over hospitals: a site sends sums over those
who *leave* in each interval of a grid, which are disjoint and can be counted, and the hub accumulates
them. On public data the grid is every distinct event time, elsewhere a parameter of the study.

Cox (1972); Breslow (1974); Efron (1977); federated: Lu et al. (2015) WebDISCO, doi:10.1093/jamia/ocv083
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import chdtrc

from atoll.algorithms.core import Data, Program, Question, at_site, at_site_at_risk, at_site_whole
from atoll.algorithms.modelled import Modelled, modelled
from atoll.algorithms.newton import ONE_ERROR, Optimum, newton, solve
from atoll.algorithms.options import Centre, Coefficients, ColumnName, FormulaText, Grid, StratumName
from atoll.algorithms.risk_sets import (
    Ties,
    accumulated,
    at_events,
    at_risk,
    block_sums,
    blocks_of,
    centred,
    grouped,
    later_in_stratum,
    latest_first,
    opening_blocks,
    unsorted,
)
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, count, points, table, total, weights
from atoll.study.view import Model, Setting

PRECISION = "hazard ratio"
EXAMPLES = (
    {"formula": "age + C(sex)", "time": "t", "event": "e"},
    {"formula": "age + C(sex)", "time": "t", "event": "e", "strata": [], "ties": "efron"},
    {"formula": "age + smoker", "time": "t", "event": "e", "strata": ["sex"], "ties": "breslow"},
    {"formula": "age", "time": "t", "event": "e", "strata": [], "grid": [180.0, 360.0, 720.0]},
)
LARGEST_ETA = 300.0
CONSTANT = "constant in each stratum"  # what a term is that no partial likelihood can estimate
ROUNDING = 1e-13  # of Σ x², below which a difference of such sums is nothing


class Partial(Modelled):
    persons: int = count()
    events: int = count(empty=False)
    n: int = total(per="persons")
    loglik: float = total(per="events")
    score: Array = total(per="events")
    information: Array = total(per="events")


class Times(Statistics):
    times: Array = points()


class Leaving(Modelled):
    persons: Array = table()
    events: Array = table()
    n: Array = total(per="persons")
    d: Array = total(per="events")
    x: Array = total(per="events")
    s0: Array = total(per="persons")
    s1: Array = total(per="persons")
    s2: Array = total(per="persons")
    d0: Array = total(per="events")
    d1: Array = total(per="events")
    d2: Array = total(per="events")
    cells: dict[str, Array] = weights(part=True)


@dataclass(frozen=True)
class Sums:
    """log L, U and I at one β, from whichever side they came."""

    persons: int
    events: int
    n: int
    loglik: float
    score: Array
    information: Array


@dataclass(frozen=True)
class Fit:
    """`params`, `bse` and the rows of `cov` follow `terms`; tests: likelihood ratio, Wald, score."""

    terms: tuple[str, ...]
    params: Array
    bse: Array
    cov: Array
    n: int
    persons: int
    events: int
    loglik: float
    loglik_null: float
    tests: dict[str, dict[str, float]]
    ties: str
    strata: tuple[str, ...]
    exact: bool
    notes: list[str]
    units: dict[str, str]
    model: dict[str, Any]


@at_site_at_risk
def within(data: Data, ties: Ties, beta: Coefficients) -> Partial:
    """log L, U and I of the strata of one site."""
    order = latest_first(data.time, data.strata)
    X = centred(data.X.T.take(order, axis=1))  # (p, n): every sweep below runs along contiguous rows
    time, event, stratum = data.time[order], data.event[order] == 1, data.strata[order]
    eta = np.clip(beta @ X, -LARGEST_ETA, LARGEST_ETA)
    theta = np.exp(eta)
    block = blocks_of(stratum, time)  # persons with one time in one stratum; blocks run from the latest time back
    return _partial(data, order, X, eta, theta, event, block, opening_blocks(stratum, block), ties)


def _partial(
    data: Data, order: Array, X: Array, eta: Array, theta: Array, event: Array, block: Array, opens: Array, ties: Ties
) -> Partial:
    """The sums over events. X is used up: a copy would be as large as the data."""
    sums = block_sums(X, theta, event, block, len(opens))
    at = at_events(block[event], at_risk(sums.s0, opens), at_risk(sums.s1, opens), sums.d0, sums.d1, ties)
    weight = np.maximum(theta * (later_in_stratum(at.reach, opens)[block] - event * at.tied[block]), 0.0)
    X *= np.sqrt(weight)
    hazards, masses = unsorted(theta, order), unsorted(weight, order)
    return Partial(
        persons=data.persons(),
        events=data.persons(data.event == 1),
        n=data.n,
        loglik=float(eta[event].sum() - at.logs),
        score=sums.died - at.mean,
        information=_information(X @ X.T, at.outer),
        **modelled(data, (data.event == 1, data.event == 0), (hazards, masses), cases=_cases(data)),
    )


def _information(raw: Array, outer: Array) -> Array:
    """Σ S²/S⁰ − Σ (S¹/S⁰)(S¹/S⁰)ᵀ; a column that is constant in every risk set leaves rounding alone: it gets 0."""
    information = raw - outer
    constant = np.diag(information) <= ROUNDING * np.diag(raw)
    result: Array = np.where(constant | constant[:, None], 0.0, information)
    return result


def _cases(data: Data) -> dict[str, Array]:
    """Persons with the event, and without, in each stratum, and in each cell of indicators that Σ x of events shows."""
    died = data.event == 1
    found, strata = data.behind_cases(died, ~died), int(data.strata.max()) + 1
    return found if strata == 1 else found | {"event": data.persons_per(2 * data.strata + died, 2 * strata)}


@at_site
def event_times(data: Data) -> Times:
    """Distinct event times: asked of public data only, and refused elsewhere."""
    return Times(times=np.unique(data.time[data.event == 1]))


@at_site_whole
def leaving(data: Data, grid: Grid, exact: bool, strata: int, beta: Coefficients, centre: Centre) -> Leaving:
    """Sums over those who leave in each interval of each stratum; interval 0 lies before the first time."""
    size = len(grid) + 1
    interval = np.searchsorted(grid, data.time, side="right") if exact else np.searchsorted(grid, data.time) + 1
    cell, cells = data.strata * (size + 1) + interval, strata * (size + 1)
    X = data.X - centre
    theta = np.exp(np.clip(X @ beta, -LARGEST_ETA, LARGEST_ETA))
    died = data.event == 1
    d0, d1, d2 = grouped(cell[died], theta[died], X[died], cells)
    s0, s1, s2 = grouped(cell, theta, X, cells)
    outside = np.where(died, cell, cells)
    parts = (cell, outside, np.where(died, cells, cell))  # of a cell all, who had the event, and who are censored
    return Leaving(
        persons=data.persons_per(cell, cells),
        events=data.persons_per(outside, cells + 1)[:-1],
        n=np.bincount(cell, minlength=cells),
        d=np.bincount(cell[died], minlength=cells),
        x=np.stack([np.bincount(cell[died], column, cells) for column in X[died].T], axis=1),
        s0=s0, s1=s1, s2=s2, d0=d0, d1=d1, d2=d2,
        cells={"model": data.spread_per(theta, cell, cells),
               "event": data.spread_per(theta, outside, cells + 1)[:, :-1]},
        **modelled(data, (died, ~died), (theta,), cases=_cases(data), behind=_behind(data, parts, cells),
                   within=_within(data, theta, parts, cells),
                   weights={"outcome": data.spread(theta), "formula": _leverage(data, parts, cells)}),
    )  # fmt: skip


def _behind(data: Data, parts: tuple[Array, ...], cells: int) -> dict[str, Array]:
    """Persons behind the sums over everybody, and over each part of each cell."""
    found = [data.behind_design(), *(data.behind_cells(codes, cells) for codes in parts)]
    return {label: np.concatenate([one[label] for one in found if label in one]) for label in found[0]}


def _within(data: Data, theta: Array, parts: tuple[Array, ...], cells: int) -> dict[str, Array]:
    """The weights behind each term, of all and of each part: what a β singles out, it may single out in one cell."""
    found = [data.spread_within(theta), *(data.spread_within_cells(theta, codes, cells) for codes in parts)]
    return {label: np.concatenate([one[label] for one in found if label in one], axis=1) for label in found[0]}


def _leverage(data: Data, parts: tuple[Array, ...], cells: int) -> Array:
    """The sums of each part of a cell, also of the one that two others leave, are the square of a design of its own."""
    return np.concatenate([data.leverage_per(codes, cells) for codes in parts], axis=1)


def across(t: Leaving, strata: int, size: int, beta: Array, ties: Ties) -> Sums:
    """At the hub: risk sets by accumulating those who leave, then the sums over events.

    An event interval holds the same θ-weighted sums as Efron's ties ask for; intervals are its ties.
    """
    s0, s1, s2 = (accumulated(s, strata, size) for s in (t.s0, t.s1, t.s2))
    of = np.repeat(np.arange(len(t.d)), t.d)
    at = at_events(of, s0, s1.T, t.d0, t.d1.T, ties)
    raw = np.einsum("j,jpq->pq", at.reach, s2) - np.einsum("j,jpq->pq", at.tied, t.d2)
    return Sums(
        persons=int(t.persons.sum()),
        events=int(t.events.sum()),
        n=int(t.n.sum()),
        loglik=float(t.x.sum(axis=0) @ beta - at.logs),
        score=t.x.sum(axis=0) - at.mean,
        information=_information(raw, at.outer),
    )


def cox(
    setting: Setting,
    *,
    formula: FormulaText,
    time: ColumnName,
    event: ColumnName,
    strata: tuple[StratumName, ...] = (StratumName("site"),),
    ties: Ties = "efron",
    grid: tuple[float, ...] = (),
) -> Program:
    """A proportional-hazards model over all sites.

    formula   the right-hand side: `age + C(sex)`
    time      follow-up, from zero
    event     1 when the event happened at `time`, 0 when censored
    strata    each has a baseline hazard of its own; [] is the unstratified model
    ties      efron or breslow
    grid      times that cut follow-up into intervals, for risk sets over sites (public data: exact times)
    """
    assert setting.design is not None
    names = setting.design.terms
    if not names:
        raise StudyError(
            "The formula has no terms.", "Name at least one column.", code="FORMULA_EMPTY", subject="formula"
        )
    if "site" in strata:
        best = yield from _search(lambda beta: within(ties=ties, beta=_start(beta, names)), names)
        return _fit(setting, best, ties, strata, exact=True)
    exact = setting.public and not grid
    if not exact and not grid:
        raise StudyError(
            "Risk sets over hospitals need a time grid under this policy.",
            "Give `grid`, or stratify by site (strata: [site]): then no table of times leaves.",
            code="GRID_NEEDED",
            subject="grid",
        )
    points_ = (yield event_times()).times if exact else np.asarray(sorted(grid), float)
    cells = int(np.prod([len(setting.levels[name]) for name in strata], dtype=int))
    best = yield from _over_sites(points_, exact, cells, ties, names)
    return _fit(setting, best, ties, strata, exact)


def _over_sites(grid: Array, exact: bool, strata: int, ties: Ties, names: tuple[str, ...]) -> Program:
    """Newton's method with risk sets over sites; x is centred at its mean once the first round gave it."""
    centre = np.zeros(len(names))

    def ask(beta: Array | None) -> Question:
        return leaving(grid=grid, exact=exact, strata=strata, beta=_start(beta, names), centre=centre)

    search = _search(ask, names)
    question = next(search)
    while True:
        t = yield question
        folded = across(t, strata, len(grid) + 2, question.arguments["beta"], ties)
        centre = centre if centre.any() else t.s1.sum(axis=0) / t.s0.sum()
        try:
            question = search.send(folded)
        except StopIteration as finished:
            return finished.value


def _search(ask: Callable[[Array | None], Question], names: tuple[str, ...]) -> Generator[Question, Any, Optimum]:
    """Newton's method from β = 0; an event whose own hazard is not the largest at risk costs at least log 2."""
    return newton(ask, _objective, names, quadratic=True, from_zero=True, perfect=ONE_ERROR, empty=CONSTANT)


def _start(beta: Array | None, names: tuple[str, ...]) -> Array:
    return np.zeros(len(names)) if beta is None else beta


def _objective(answer: Any) -> float:
    if not answer.events:
        raise StudyError(
            "Nobody had the event.", "Look at the event column: is 1 the event?", code="NO_EVENT", subject="event"
        )
    return -2 * float(answer.loglik)


def _fit(setting: Setting, best: Optimum, ties: Ties, strata: tuple[str, ...], exact: bool) -> Fit:
    assert setting.design is not None
    names, first, last = setting.design.terms, best.first, best.answer
    k = len(names)
    statistics = {
        "likelihood_ratio": 2 * (last.loglik - first.loglik),
        "wald": float(best.beta @ np.linalg.solve(best.covariance, best.beta)),
        "score": float(first.score @ solve(first.information, first.score, names, CONSTANT)),
    }
    return Fit(
        terms=names,
        params=best.beta,
        bse=np.sqrt(np.diag(best.covariance)),
        cov=best.covariance,
        n=int(last.n),
        persons=int(last.persons),
        events=int(last.events),
        loglik=float(last.loglik),
        loglik_null=float(first.loglik),
        tests={name: {"chisq": chisq, "df": k, "p": float(chdtrc(k, chisq))} for name, chisq in statistics.items()},
        ties=ties,
        strata=strata,
        exact=exact,
        notes=[*([] if exact else ["grid"]), *([] if setting.public else ["rounded_events"])],
        units=setting.units,
        model=Model(setting.design, tuple(map(float, best.beta)), "log_hazard").to_document(),
    )
