"""Generalised linear model, by Fisher scoring.

With linear predictor η = Xβ + offset, mean μ = g⁻¹(η), h = dμ/dη and variance function V(μ):

    score        U(β) = Σ xᵢ hᵢ (yᵢ − μᵢ) / V(μᵢ)
    information  I(β) = Σ xᵢ xᵢᵀ hᵢ² / V(μᵢ)
    deviance     D(β) = Σ d(yᵢ, μᵢ)

All are sums over patients, so the sums over sites are those of the pooled rows and the estimate *is*
the pooled estimate. The first round starts from the outcomes themselves (μ near y), as R does: its
score and information are those of the working response, and its solution is the first β.

    dispersion   φ = Σ (yᵢ − μᵢ)² / V(μᵢ) / (n − p)      gaussian and gamma; 1 otherwise
    covariance   φ I⁻¹;  robust  I⁻¹ (Σ uᵢ uᵢᵀ) I⁻¹  over patients (HC0) or over sites (CR0)

McCullagh & Nelder (1989) §2.5; White (1980); federated: Wu et al. (2012), doi:10.1136/amiajnl-2012-000862
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import gammaln

from atoll.algorithms.core import Data, Program, Question, at_site, at_site_squared
from atoll.algorithms.families import FAMILIES, LINKS, Family, LinkName
from atoll.algorithms.modelled import Modelled, modelled
from atoll.algorithms.newton import ONE_ERROR, Optimum, newton
from atoll.algorithms.options import Coefficients, ColumnName, FormulaText
from atoll.errors import DataError, StudyError
from atoll.privacy.statistics import Array, count, each, total, weights
from atoll.study.view import Model, Setting

EXAMPLES = (
    {"formula": "y ~ age + C(sex) + smoker", "family": "binomial"},
    {"formula": "y ~ age + C(sex)", "family": "binomial", "link": "probit"},
    {"formula": "visits ~ age + C(arm)", "family": "poisson"},
    {"formula": "bmi ~ age * C(sex)", "family": "gaussian"},
    {"formula": "cost ~ age + C(sex)", "family": "gamma"},
    {"formula": "y ~ age + bs(bmi, df=4)", "family": "binomial", "robust": "HC0"},
    {"formula": "y ~ age", "family": "binomial", "site_intercepts": True},
)


class Terms(Modelled):
    persons: int = count()
    n: int = total(per="persons")
    score: Array = total(per="persons")
    information: Array = total(per="persons")
    deviance: float = total(per="persons")
    loglik: float = total(per="persons")
    pearson: float = total(per="persons")
    residuals: dict[str, Array] = weights(part=True)


class Meat(Modelled):
    persons: int = count()
    outer: Array = total(per="persons")
    score: Array = each(per="persons")
    residuals: dict[str, Array] = weights(part=True)


@dataclass(frozen=True)
class Fit:
    """`params`, `bse` and the rows of `cov` follow `terms`. `loglik` is as R gives it."""

    terms: tuple[str, ...]
    params: Array
    bse: Array
    cov: Array
    n: int
    persons: int
    df_resid: int
    deviance: float
    loglik: float
    dispersion: float
    family: str
    link: str
    robust: str | None
    notes: list[str]
    units: dict[str, str]
    model: dict[str, Any]


@at_site
def terms(data: Data, family: Family, link: LinkName, beta: Coefficients | None) -> Terms:
    """U, I and D at β; without β, those of the working response at the start."""
    distribution = FAMILIES[family]
    _refuse_outcome(data.y, family, link)
    y, X, mu, h, V = _moments(data, family, link, beta)
    residual, weight = h * (y - mu) / V, h * h / V
    if beta is None:
        residual = residual + weight * (LINKS[link].predictor(mu) - data.offset)
    Z, deviance = X * np.sqrt(weight)[:, None], distribution.deviance(y, mu)
    return Terms(
        persons=data.persons(),
        n=data.n,
        score=X.T @ residual,
        information=Z.T @ Z,
        deviance=float(deviance.sum()),
        loglik=float(distribution.loglik(y, mu, deviance).sum()),
        pearson=float(((y - mu) ** 2 / V).sum()),
        residuals={"outcome": data.spread(residual**2)},
        **_behind(data, family, weight, mu, pairs=False),
    )


@at_site_squared
def meat(data: Data, family: Family, link: LinkName, beta: Coefficients) -> Meat:
    """Σ uᵢuᵢᵀ over patients, and this site's Σ uᵢ, at the estimate."""
    y, X, mu, h, V = _moments(data, family, link, beta)
    residual, weight = h * (y - mu) / V, h * h / V
    U = X * residual[:, None]
    return Meat(
        persons=data.persons(),
        outer=U.T @ U,
        score=U.sum(axis=0),
        residuals={"outcome": data.spread(residual**2)},
        **_behind(data, family, weight, mu, pairs=True),  # (y − μ)² multiplies pairs of terms
    )


def _moments(data: Data, family: Family, link: LinkName, beta: Array | None) -> tuple[Array, ...]:
    """y, X, μ, dμ/dη and V(μ) for the rows at hand."""
    distribution, y, X = FAMILIES[family], data.y, data.X
    if beta is None:
        mu = distribution.inside(_start(y, family, link))
        eta = LINKS[link].predictor(mu)
    else:
        eta = X @ beta + data.offset
        mu = distribution.inside(LINKS[link].mean(eta))
    return y, X, mu, LINKS[link].slope(eta, mu), distribution.variance(mu)


def _start(y: Array, family: Family, link: LinkName) -> Array:
    """The first means. Weights that differ by outcome would tell cases apart: with the logit they do not, and with
    other links everybody starts at one half."""
    return np.full_like(y, 0.5) if family == "binomial" and link != "logit" else FAMILIES[family].start(y)


def _behind(data: Data, family: Family, weight: Array, mu: Array, pairs: bool) -> dict[str, Any]:
    """Who stands behind the sums. Weights are those of the information and, of a β, link or offset that singles a few
    out, the risks. Of an outcome that is a number, values are counted and not cases."""
    masses = (weight, mu, 1 - mu) if family == "binomial" else (weight,)
    if family == "binomial" or data.flag_outcome:
        happened = (data.y > 0, data.y == 0)
        return modelled(data, happened, masses, cases=data.behind_cases(*happened, whole=pairs))
    return modelled(data, (data.y != 0,), masses, cases=data.behind_values(data.y))


def _refuse_outcome(y: Array, family: Family, link: LinkName) -> None:
    logarithm = family == "gaussian" and link == "log"  # the start is log y
    if not FAMILIES[family].admits(y).all() or (logarithm and (y <= 0).any()):
        wanted = "above zero" if logarithm else FAMILIES[family].outcomes
        raise DataError(
            f"The outcome of a {family} model with {link} link must be {wanted}; the dataset holds other values.",
            "Correct the column, or choose another family or link.",
            code="OUTCOME_UNFIT",
            subject="outcome",
        )


def glm(
    setting: Setting,
    *,
    formula: FormulaText,
    family: Family = "gaussian",
    link: LinkName | None = None,
    offset: ColumnName | None = None,
    site_intercepts: bool = False,
    robust: Literal["HC0", "site"] | None = None,
) -> Program:
    """A generalised linear model over all sites.

    formula           `y ~ age + C(sex) + bs(bmi, df=4)`
    family            distribution of the outcome
    link              the family's usual one when left out: identity, logit, log, log
    offset            a column that enters η with coefficient 1 (on the scale of the link)
    site_intercepts   one intercept for each site
    robust            standard errors that hold when the model is wrong: HC0 (patients) or CR0 (sites)
    """
    assert setting.design is not None
    link = link or FAMILIES[family].links[0]
    names = setting.design.terms
    if link not in FAMILIES[family].links:
        raise StudyError(
            f"A {family} model has no {link} link.",
            f"Choose one of {', '.join(FAMILIES[family].links)}.",
            code="OPTION_INVALID",
            subject="link",
        )

    def ask(beta: Array | None) -> Question:
        return terms(family=family, link=link, beta=beta)

    quadratic = link == FAMILIES[family].links[0] and family != "gamma"  # canonical: Newton's own convergence
    perfect = ONE_ERROR if family == "binomial" else -np.inf
    plain = family == "binomial" and link == "logit" and offset is None and "Intercept" in names
    opening = functools.partial(_discriminant, names.index("Intercept")) if plain else None
    best = yield from newton(ask, lambda t: t.deviance, names, quadratic, opening=opening, perfect=perfect)
    cov = yield from _covariance(best, family, link, robust)
    return _fit(setting, best, family, link, robust, cov)


def _discriminant(intercept: int, first: Terms, working: Array) -> Array:
    """The logistic coefficients of linear discriminant analysis: a first β that saves a round.

    The first answer is a least-squares fit of ±1 in disguise (its weights are equal), and for normal columns
    the least-squares fit of y, times k = n / residual sum of squares, *is* the logistic one. Where the columns
    discriminate so well that this would overshoot, the working response's β stands.

    Haggstrom (1983), Logistic regression and discriminant analysis by ordinary least squares.
    """
    n, weight, response = first.n, 3 / 16, 1 / 4 + 3 / 16 * np.log(3)  # at μ = 3/4 and 1/4: the weight, weight × |z|
    p = (first.score[intercept] / response / n + 1) / 2
    explained = first.score @ working / response / (response / weight) / n  # of Σ(±1)² = n
    spread = p * (1 - p)
    if not 0 < p < 1 or not 0 <= (explained - (2 * p - 1) ** 2) / (4 * spread) < 1 / 3:
        return working
    k = 4 / (1 - explained)
    ols = working / (2 * response / weight)
    beta: Array = k * ols
    beta[intercept] += np.log(p / (1 - p)) + (1 / 2 - p) / spread
    return beta


def _covariance(best: Optimum, family: Family, link: LinkName, robust: str | None) -> Program:
    """φ I⁻¹, or the sandwich, which asks for one more round."""
    bread = best.covariance
    if robust is None:
        return dispersion(best, family, len(bread)) * bread
    ends = yield meat(family=family, link=link, beta=best.beta)
    return bread @ (ends.outer if robust == "HC0" else ends.score.T @ ends.score) @ bread


def dispersion(best: Optimum, family: Family, parameters: int) -> float:
    """φ: Pearson's statistic over the residual degrees of freedom, where the family has one."""
    if not FAMILIES[family].dispersed:
        return 1.0
    if best.answer.n <= parameters:
        raise StudyError(
            f"{parameters} terms leave no degree of freedom: there are {best.answer.n} patients.",
            "Leave terms out.",
            code="NO_FREEDOM",
            subject="formula",
        )
    return float(best.answer.pearson / (best.answer.n - parameters))


def _fit(setting: Setting, best: Optimum, family: Family, link: LinkName, robust: str | None, cov: Array) -> Fit:
    assert setting.design is not None
    design, n = setting.design, int(best.answer.n)
    return Fit(
        terms=design.terms,
        params=best.beta,
        bse=np.sqrt(np.diag(cov)),
        cov=cov,
        n=n,
        persons=int(best.answer.persons),
        df_resid=n - len(design.terms),
        deviance=float(best.answer.deviance),
        loglik=loglik(best, family),
        dispersion=dispersion(best, family, len(design.terms)),
        family=family,
        link=link,
        robust=robust,
        notes=[] if setting.public else ["rounded_persons"],
        units=setting.units,
        model=Model(design, tuple(map(float, best.beta)), link).to_document(),
    )


def loglik(best: Optimum, family: Family) -> float:
    """log f(y; μ̂, φ̂) with φ̂ = D/n, the maximum-likelihood value, where there is a dispersion (as R's logLik)."""
    n, deviance, sums = best.answer.n, best.answer.deviance, best.answer.loglik
    if family == "gaussian":
        if deviance <= 0:  # every outcome is fitted exactly
            return float("inf")
        return float(-n / 2 * (np.log(2 * np.pi * deviance / n) + 1))
    if family == "gamma":  # Σ log y = sums;  Σ (y/μ + log μ) = D/2 + n + Σ log y
        k = n / deviance
        return float(n * (k * np.log(k) - gammaln(k)) - sums - k * (deviance / 2 + n))
    return float(sums)
