"""Generalised linear model, by Fisher scoring.

With linear predictor η = Xβ + offset, mean μ = g⁻¹(η), h = dμ/dη and variance function V(μ):

    score        U(β) = Σ xᵢ hᵢ (yᵢ − μᵢ) / V(μᵢ)
    information  I(β) = Σ xᵢ xᵢᵀ hᵢ² / V(μᵢ)
    deviance     D(β) = Σ d(yᵢ, μᵢ)

All are sums over patients, so the sums over sites are those of the pooled rows and the estimate *is*
the pooled estimate. The first round is a least-squares fit of y, in which every patient weighs the same,
and the hub turns it into a first β. (R starts from μ near y, where the weights are the outcomes.) Where
patients are protected, D and log L lack what no β changes: it would tell the outcomes apart.

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
from atoll.algorithms.newton import ONE_ERROR, Optimum, newton, solve
from atoll.algorithms.options import Coefficients, ColumnName, FormulaText
from atoll.errors import DataError, StudyError
from atoll.privacy.statistics import Array, count, each, total, weights
from atoll.study.view import Model, Setting

PRECISION = "odds ratio"  # of yes or no; `planned` knows the other families
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


class Start(Modelled):
    persons: int = count()
    n: int = total(per="persons")
    outcome: float = total(per="persons")
    score: Array = total(per="persons")
    level: Array = total(per="persons")
    shift: Array = total(per="persons")
    information: Array = total(per="persons")
    residuals: dict[str, Array] = weights(part=True)


class Meat(Modelled):
    persons: int = count()
    outer: Array = total(per="persons")
    score: Array = each(per="persons")
    residuals: dict[str, Array] = weights(part=True)


@dataclass(frozen=True)
class Fit:
    """`params`, `bse` and the rows of `cov` follow `terms`. `loglik` and `deviance` are as R gives them; with the note
    `relative_likelihood` they lack what no coefficient changes, and are those at dispersion one."""

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
def start(data: Data, family: Family, link: LinkName) -> Start:
    """What a least-squares fit needs, with the same weight for everybody: weights that differ by outcome would make
    Σ wxxᵀ a sum of the outcome times pairs of terms."""
    _refuse_outcome(data.y, family, link)
    y, X = data.y, data.X
    return Start(
        persons=data.persons(),
        n=data.n,
        outcome=float(y.sum()),
        score=X.T @ y,
        level=X.sum(axis=0),
        shift=X.T @ data.offset,
        information=X.T @ X,
        residuals={"outcome": _spread(data, y**2)},
        **_behind(data, family, (np.ones(data.n),), pairs=False),
    )


@at_site
def terms(data: Data, family: Family, link: LinkName, beta: Coefficients) -> Terms:
    """U, I and D at β."""
    _refuse_outcome(data.y, family, link)
    y, X, mu, h, V = _moments(data, family, link, beta)
    residual, weight, pearson = h * (y - mu) / V, h * h / V, (y - mu) ** 2 / V
    Z = X * np.sqrt(weight)[:, None]
    deviance, loglik = _likelihood(data, family, y, mu)
    dispersed = FAMILIES[family].dispersed  # else nobody needs Σ (y − μ)² / V, of which one unlikely case is most
    return Terms(
        persons=data.persons(),
        n=data.n,
        score=X.T @ residual,
        information=Z.T @ Z,
        deviance=deviance,
        loglik=loglik,
        pearson=float(pearson.sum()) if dispersed else 0.0,
        residuals={"outcome": _spread(data, residual**2, *([pearson] if dispersed else []))},
        **_behind(data, family, _masses(family, weight, mu), pairs=False),
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
        residuals={"outcome": _spread(data, residual**2)},
        **_behind(data, family, _masses(family, weight, mu), pairs=True),  # (y − μ)² multiplies pairs of terms
    )


def _moments(data: Data, family: Family, link: LinkName, beta: Array) -> tuple[Array, ...]:
    """y, X, μ, dμ/dη and V(μ) for the rows at hand."""
    distribution, y, X = FAMILIES[family], data.y, data.X
    eta = X @ beta + data.offset
    mu = distribution.inside(LINKS[link].mean(eta))
    return y, X, mu, LINKS[link].slope(eta, mu), distribution.variance(mu)


def _likelihood(data: Data, family: Family, y: Array, mu: Array) -> tuple[float, float]:
    """D and Σ log f; where persons are protected −2 and 1 times what of it depends on μ (see `families`)."""
    distribution = FAMILIES[family]
    if data.minimum > 1 and distribution.kernel:
        kernel = float(distribution.kernel(y, mu).sum())
        return -2 * kernel, kernel
    deviance = distribution.deviance(y, mu)
    return float(deviance.sum()), float(distribution.loglik(y, mu, deviance).sum())


def _spread(data: Data, *weights: Array) -> Array:
    """(2, weights): who makes up each of these sums of squares."""
    return np.stack([data.spread(weight) for weight in weights], axis=1)


def _masses(family: Family, weight: Array, mu: Array) -> tuple[Array, ...]:
    """The weights of the information and, of a β, link or offset that singles a few out, the risks."""
    return (weight, mu, 1 - mu) if family == "binomial" else (weight,)


def _behind(data: Data, family: Family, masses: tuple[Array, ...], pairs: bool) -> dict[str, Any]:
    """Who stands behind the sums. Of an outcome that is a number, values are counted and not cases."""
    if family == "binomial" or data.flag_outcome:
        happened = (data.y > 0, data.y == 0)
        return modelled(data, happened, masses, cases=data.behind_cases(*happened, whole=pairs))
    return modelled(data, (data.y != 0,), masses, cases=data.behind_values(data.y, family != "poisson" or pairs, pairs))


def _refuse_outcome(y: Array, family: Family, link: LinkName) -> None:
    logarithm = family == "gaussian" and link == "log"  # as R has it
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
        return start(family=family, link=link) if beta is None else terms(family=family, link=link, beta=beta)

    quadratic = link == FAMILIES[family].links[0] and family != "gamma"  # canonical: Newton's own convergence
    perfect = ONE_ERROR if family == "binomial" else -np.inf
    opening = functools.partial(_first, family, link, names)
    best = yield from newton(ask, lambda t: t.deviance, names, quadratic, opening=opening, perfect=perfect)
    cov = yield from _covariance(best, family, link, robust)
    return _fit(setting, best, family, link, robust, cov)


def _first(family: Family, link: LinkName, names: tuple[str, ...], first: Start, ols: Array) -> Array:
    """First coefficients, from the least-squares fits b of y, 1̂ of one and ô of the offset on X.

        β = k (b − m 1̂) + η 1̂ − ô

    With η = g(m), k = g′(m) this is a step of Fisher scoring from the mean m. For normal columns, with a share R² of
    the variance V of y explained, the model itself has k = g′/(1 − R²) and η = g(m) + (½ − m)(g′ − k) under the logit
    (Haggstrom 1983), and η = g(m) − k²R²V/2 under the logarithm: these save a round. m is the mean, of a binomial
    outcome one half where they do not hold. Guards: η of a logarithm varies by one SD at most, and a mean that must be
    positive stays so within four SD of what is fitted.
    """
    one, shift = (solve(first.information, sums, names) for sums in (first.level, first.shift))
    mean, g = first.outcome / first.n, LINKS[link]
    explained = max(float(ols @ first.score / first.n - (ols @ first.level / first.n) ** 2), 0.0)
    m, gain, moved = mean, 1.0, 0.0
    if family == "binomial":
        spread = mean * (1 - mean)
        if link == "logit" and 0 < mean < 1 and explained / spread < 1 / 3:
            gain = 1 / (1 - explained / spread)
            moved = (1 / 2 - mean) * (1 - gain) / spread
        else:
            m = 1 / 2
    elif link == "log":
        m = mean if mean > 0 else 0.1
        gain = min(1.0, m / np.sqrt(explained)) if explained > 0 else 1.0
        moved = -explained * (gain / m) ** 2 / 2
    elif FAMILIES[family].lowest == 0 and explained > 0:
        gain = min(1.0, mean / (4 * np.sqrt(explained)))
    eta = g.predictor(np.array(m))
    k = gain / g.slope(eta, np.array(m))
    beta: Array = k * (ols - m * one) + (eta + moved) * one - shift
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
        notes=[
            *(["relative_likelihood"] if _relative(best, family) else []),
            *([] if setting.public else ["rounded_persons"]),
        ],
        units=setting.units,
        model=Model(design, tuple(map(float, best.beta)), link).to_document(),
    )


def _relative(best: Optimum, family: Family) -> bool:
    """Whether hospitals sent the kernel alone: then D is −2 of it to the last bit."""
    return FAMILIES[family].kernel is not None and bool(best.answer.deviance == -2 * best.answer.loglik)


def loglik(best: Optimum, family: Family) -> float:
    """log f(y; μ̂, φ̂) with φ̂ = D/n, the maximum-likelihood value, where there is a dispersion (as R's logLik); of the
    kernel alone, that."""
    n, deviance, sums = best.answer.n, best.answer.deviance, best.answer.loglik
    if _relative(best, family):
        return float(sums)
    if family == "gaussian":
        if deviance <= 0:  # every outcome is fitted exactly
            return float("inf")
        return float(-n / 2 * (np.log(2 * np.pi * deviance / n) + 1))
    if family == "gamma":  # Σ log y = sums;  Σ (y/μ + log μ) = D/2 + n + Σ log y
        k = n / deviance
        return float(n * (k * np.log(k) - gammaln(k)) - sums - k * (deviance / 2 + n))
    return float(sums)
