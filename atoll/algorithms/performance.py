"""How well a given model predicts: discrimination and calibration, per hospital and together.

With linear predictor ηᵢ = xᵢᵀβ, predicted risk pᵢ = g⁻¹(ηᵢ) and outcome yᵢ:

    AUC                    P(η of a case > η of a control), ties ½; from histograms of η per class, with bounds
    Brier                  Σ (yᵢ − pᵢ)² / n
    observed / expected    Σ yᵢ / Σ pᵢ
    calibration in the large   a in logit P(y = 1) = a + ηᵢ
    intercept and slope        a, b in logit P(y = 1) = a + b ηᵢ            η on the logit scale of p

A hospital's own AUC is exact, since the pairs lie within it. The pooled AUC compares patients of
different hospitals; their scores stay, so it comes with a lower and an upper bound.

Cox (1958); Hanley & McNeil (1982); Van Calster et al. (2016), doi:10.1016/j.jclinepi.2015.12.005
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtri

from atoll.algorithms.bins import concordance, grouped
from atoll.algorithms.core import Data, Program, Question, at_site, at_site_whole
from atoll.algorithms.families import EPS, LINKS
from atoll.algorithms.modelled import Modelled, modelled
from atoll.algorithms.newton import Optimum, inverse, newton, solve
from atoll.algorithms.options import Coefficients, ColumnName, Edges, ModelDocument, Parameters
from atoll.errors import DataError, StudyError
from atoll.privacy.statistics import Array, Statistics, count, each, table, total
from atoll.study.view import Model, Setting

PRECISION = "AUC"
EXAMPLES = (
    {
        "model": {"terms": ["Intercept", "age", "sex[T.male]"], "coefficients": [-2.4, 0.04, 0.5], "link": "logit"},
        "outcome": "y",
    },
)
SAME = 1e-12  # scores whose difference, of the largest, is no more are equal
PARAMETERS = ("calibration_in_the_large", "calibration_intercept", "calibration_slope")


class Scores(Modelled):
    persons: int = count()
    n: int = total(per="persons")
    observed: float = total(per="persons")
    expected: float = total(per="persons")
    brier: float = total(per="persons")
    eta: float = total(per="persons", moment=1)
    eta2: float = total(per="persons", moment=2)


class Classes(Statistics):
    """Rows: controls, cases."""

    low: Array = table()
    high: Array = table()


class Recalibration(Modelled):
    persons: int = count()
    score: Array = total(per="persons")
    information: Array = total(per="persons")
    deviance: float = total(per="persons")


class Own(Modelled):
    """One hospital's own figures: shares and ratios, no counts.

    Where `judged` is 0 there is no AUC, where `calibrated` is 0 no calibration.
    """

    persons: int = count()
    auc: float = each(per="persons")
    brier: float = each(per="persons")
    ratio: float = each(per="persons")
    large: float = each(per="persons")
    intercept: float = each(per="persons")
    slope: float = each(per="persons")
    judged: float = each(per="persons")
    calibrated: float = each(per="persons")


@dataclass(frozen=True)
class Performance:
    """All hospitals together, and `sites_apart`. `calibration_se` follows in the large, intercept, slope."""

    n: int
    persons: int
    events: int
    auc: float
    auc_lower: float
    auc_upper: float
    brier: float
    observed_expected: float
    calibration_in_the_large: float
    calibration_intercept: float
    calibration_slope: float
    calibration_se: Array
    sites_apart: dict[str, dict[str, float]]
    notes: list[str]


@at_site
def scores(data: Data, beta: Coefficients, link: str) -> Scores:
    """Σy, Σp, Σ(y − p)² and two moments of η."""
    y, p, eta = _predicted(data, beta, link)
    return Scores(
        persons=data.persons(),
        n=data.n,
        observed=float(y.sum()),
        expected=float(p.sum()),
        brier=float(((y - p) ** 2).sum()),
        eta=float(eta.sum()),
        eta2=float(eta @ eta),
        **_behind(data, p),
    )


@at_site_whole
def classes(data: Data, beta: Coefficients, link: str, edges: Edges) -> Classes:
    """Persons per bin of η, controls and cases, bins merged until each holds enough."""
    y, _, eta = _predicted(data, beta, link)
    bins = np.searchsorted(edges, eta)
    size = len(edges) + 1
    pairs = [grouped(data, np.where(y == value, bins, size), size) for value in (0, 1)]
    return Classes(low=np.array([low for low, _ in pairs]), high=np.array([high for _, high in pairs]))


@at_site
def recalibration(data: Data, beta: Coefficients, link: str, parameters: Parameters) -> Recalibration:
    """U, I and D of two logistic models of y on η: the intercept alone with η as offset, and intercept with slope."""
    y, p, eta = _predicted(data, beta, link)
    score, information, deviance = recalibration_sums(y, eta, parameters)
    large, moved = expit(parameters[0] + eta), expit(parameters[1] + parameters[2] * eta)
    return Recalibration(
        persons=data.persons(),
        score=score,
        information=information,
        deviance=deviance,
        **_behind(data, p, large, moved),
    )


@at_site_whole
def own(data: Data, beta: Coefficients, link: str) -> Own:
    """One hospital's own figures: AUC by ranks, calibration fitted on its own patients."""
    y, p, eta = _predicted(data, beta, link)
    area, calibration = auc(y, eta), _recalibrated(y, eta)
    large, intercept, slope = calibration or (0.0, 0.0, 0.0)
    return Own(
        persons=data.persons(),
        auc=area or 0.0,
        brier=float(((y - p) ** 2).mean()),
        ratio=float(y.sum() / max(p.sum(), EPS)),
        large=large,
        intercept=intercept,
        slope=slope,
        judged=float(area is not None),
        calibrated=float(calibration is not None),
        **_behind(data, p),
    )


def _predicted(data: Data, beta: Array, link: str) -> tuple[Array, Array, Array]:
    """y, p, and η as the logit of p."""
    y = data.y
    if not ((y == 0) | (y == 1)).all():
        raise DataError(
            "The outcome of a risk model must be 0 or 1.",
            "Correct the column.",
            code="OUTCOME_UNFIT",
            subject="outcome",
        )
    eta = data.X @ beta
    if link == "logit":
        return y, expit(eta), eta
    p = np.clip(LINKS[link].mean(eta), EPS, 1 - EPS)  # type: ignore[index]
    return y, p, logit(p)


def _behind(data: Data, *risks: Array) -> dict[str, Any]:
    """Who stands behind sums of p, 1 − p and p(1 − p) of each risk: they lean on one person where one of these does, be
    it that a model predicts the event for nobody else, or is certain of everybody else. From Σp, Σp(1 − p) and
    Σ(y − p)² follows Σp over the cases, so it is looked at among them, and among the others, too."""
    masses = [weight for p in risks for weight in (p, 1 - p, p * (1 - p))]
    happened = (data.y == 0, data.y == 1)
    apart = np.stack([data.spread(mass * where) for mass in masses for where in happened], axis=1)
    return modelled(data, happened, masses, spread=_with(data.spread_cases(*happened), apart))


def _with(spread: dict[str, Array], own: Array) -> dict[str, Array]:
    """The risks' own beside those of the columns, of which one may be called `model`."""
    return spread | {"model": np.concatenate([*([spread["model"]] if "model" in spread else []), own], axis=1)}


def auc(y: Array, eta: Array) -> float | None:
    """Mann–Whitney: mean rank of the cases, ties at their mid-rank; none without cases or controls."""
    tied = _tied(eta)
    counts = np.bincount(tied)
    ranks = (counts.cumsum() - (counts - 1) / 2)[tied]
    cases, controls = float(y.sum()), float((1 - y).sum())
    return float((ranks[y == 1].sum() - cases * (cases + 1) / 2) / (cases * controls)) if cases and controls else None


def _tied(eta: Array) -> Array:
    """The number of each score among the different ones, in order.

    Scores that only the processor's rounding tells apart are one, so that every machine finds the same ties.
    """
    order = np.argsort(eta)
    apart = np.diff(eta[order]) > SAME * np.abs(eta).max(initial=1.0)
    number = np.empty(len(eta), int)
    number[order] = np.concatenate([[0], apart.cumsum()])[: len(eta)]
    return number


def recalibration_sums(y: Array, eta: Array, parameters: Array) -> tuple[Array, Array, float]:
    """U, I and D of the two models together: their parameters do not meet, so the information is block-diagonal."""
    large, intercept, slope = parameters
    first, second = expit(large + eta), expit(intercept + slope * eta)
    w1, w2 = first * (1 - first), second * (1 - second)
    score = np.array([(y - first).sum(), (y - second).sum(), (y - second) @ eta])
    off = float(w2 @ eta)
    information = np.array([[w1.sum(), 0, 0], [0, w2.sum(), off], [0, off, w2 @ eta**2]])
    signed = np.where(y == 1, -1.0, 1.0)
    deviance = 2 * (np.logaddexp(0, signed * (large + eta)) + np.logaddexp(0, signed * (intercept + slope * eta))).sum()
    return score, information, float(deviance)


def _recalibrated(y: Array, eta: Array) -> tuple[float, ...] | None:
    """The three calibration parameters of one hospital, by Newton's method on its own rows; none without an optimum."""
    parameters = np.array([0.0, 0.0, 1.0])
    for _ in range(25):
        score, information, _ = recalibration_sums(y, eta, parameters)
        try:
            step = solve(information, score, PARAMETERS)
        except (StudyError, np.linalg.LinAlgError):
            return None
        parameters = parameters + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            return tuple(float(value) for value in parameters)
    return None


def performance(setting: Setting, *, model: ModelDocument, outcome: ColumnName, by_site: bool = True) -> Program:
    """A model's discrimination and calibration on each hospital's patients and on all together.

    model     its terms and coefficients, with link and design; the `model` of a fitted glm can be passed as it is
    outcome   1 when the event happened
    by_site   also each hospital apart, where its policy allows
    """
    assert setting.design is not None
    given = Model.from_document(model)
    beta = np.array(given.coefficients)
    if given.link not in LINKS:
        raise StudyError(
            f"A model with link {given.link!r} does not predict a risk.",
            "Give a model with a logit, probit, cloglog or log link.",
            code="MODEL_INVALID",
            subject="link",
        )
    first = yield scores(beta=beta, link=given.link)
    if not 0 < first.observed < first.n:
        raise StudyError(
            "All patients have the same outcome.",
            "Performance needs cases and controls.",
            code="ONE_OUTCOME",
            subject=outcome,
        )
    edges = _edges(first, setting)
    tables = yield classes(beta=beta, link=given.link, edges=edges)
    best = yield from newton(_ask(beta, given.link), lambda t: t.deviance, PARAMETERS, True, from_zero=True)
    parameters = best.beta + np.array([0.0, 0.0, 1.0])
    apart = (yield own(beta=beta, link=given.link)) if by_site else None
    return _performance(setting, first, tables, parameters, best, apart)


def _ask(beta: Array, link: str) -> Any:
    """Newton starts at zero; the slope starts at one."""

    def ask(moved: Array | None) -> Question:
        start = np.array([0.0, 0.0, 1.0])
        return recalibration(beta=beta, link=link, parameters=start if moved is None else start + moved)

    return ask


def _edges(first: Scores, setting: Setting) -> Array:
    """Inner edges of the bins of η: normal quantiles, 19 under a strict policy and 2,000 on public data."""
    mean = first.eta / first.n
    sd = np.sqrt(max(first.eta2 / first.n - mean**2, 1e-12))
    inner = 2_000 if setting.public else 19
    return np.asarray(mean + sd * ndtri(np.arange(1, inner + 1) / (inner + 1)))


def _performance(
    setting: Setting, first: Scores, tables: Classes, parameters: Array, best: Optimum, apart: Own | None
) -> Performance:
    estimate, lower, upper = concordance((tables.low[1], tables.high[1]), (tables.low[0], tables.high[0]))
    return Performance(
        n=int(first.n),
        persons=int(first.persons),
        events=int(first.observed),
        auc=estimate,
        auc_lower=lower,
        auc_upper=upper,
        brier=float(first.brier / first.n),
        observed_expected=float(first.observed / first.expected),
        calibration_in_the_large=float(parameters[0]),
        calibration_intercept=float(parameters[1]),
        calibration_slope=float(parameters[2]),
        calibration_se=np.sqrt(np.diag(inverse(best.answer.information))),
        sites_apart={site: _apart(apart, i) for i, site in enumerate(setting.sites)} if apart else {},
        notes=[] if setting.public else ["rounded_auc"],
    )


def _apart(figures: Any, i: int) -> dict[str, float]:
    """The figures of the site number i; NaN where there are none."""
    calibration = zip(PARAMETERS, (figures.large[i], figures.intercept[i], figures.slope[i]), strict=True)
    return {
        "auc": float(figures.auc[i]) if figures.judged[i] else np.nan,
        "brier": float(figures.brier[i]),
        "observed_expected": float(figures.ratio[i]),
    } | {name: float(value) if figures.calibrated[i] else np.nan for name, value in calibration}
