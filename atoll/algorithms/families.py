"""Distributions and links of generalised linear models, as formulas.

A link names μ(η), dμ/dη and η(μ). A family names V(μ), the unit deviance, the log-likelihood (up to
what the dispersion settles at the end), what of it depends on μ, and which outcomes it admits.
Means are kept inside the family's range by the smallest step that the arithmetic allows; a β that needs
this is one whose deviance has risen, and Newton's method halves its step.

McCullagh & Nelder (1989), tables 2.1 and 2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import expit, gammaln, ndtr, ndtri, xlogy

from atoll.privacy.statistics import Array

Family = Literal["gaussian", "binomial", "poisson", "gamma"]
LinkName = Literal["identity", "logit", "probit", "cloglog", "log"]

EPS = float(np.finfo(float).eps)
LARGEST_ETA = 300.0  # exp stays finite, also squared


@dataclass(frozen=True)
class Link:
    """μ(η), dμ/dη as a function of η and μ, and η(μ)."""

    mean: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]
    predictor: Callable[[Array], Array]


@dataclass(frozen=True)
class Distribution:
    """V(μ), d(y, μ), log f(y; μ) given d, the admissible outcomes, and links, the default first.

    kernel            what of log f depends on μ, at dispersion one; None where that is −d/2 itself. The rest tells the
                      outcomes: of Σ log y! and Σ y log y whole numbers y are solved, persons of each number
    lowest, highest   open range of μ
    dispersed         whether φ is estimated
    """

    variance: Callable[[Array], Array]
    deviance: Callable[[Array, Array], Array]
    loglik: Callable[[Array, Array, Array], Array]
    admits: Callable[[Array], Array]
    links: tuple[LinkName, ...]
    outcomes: str
    lowest: float = -np.inf
    highest: float = np.inf
    dispersed: bool = False
    kernel: Callable[[Array, Array], Array] | None = None

    def inside(self, mu: Array) -> Array:
        """μ, kept inside its range."""
        if self.lowest == -np.inf:
            return mu
        return np.clip(mu, self.lowest + EPS, self.highest - EPS if np.isfinite(self.highest) else None)


def _exp(eta: Array) -> Any:
    return np.exp(np.clip(eta, -LARGEST_ETA, LARGEST_ETA))


def _normal_density(eta: Array, mu: Array) -> Any:
    return np.maximum(np.exp(-(eta**2) / 2) / np.sqrt(2 * np.pi), EPS)


def _logistic_density(eta: Array, mu: Array) -> Any:
    return np.maximum(mu * (1 - mu), EPS)


def _cloglog_density(eta: Array, mu: Array) -> Any:
    bounded = np.minimum(eta, 700.0)
    return np.maximum(np.exp(bounded - np.exp(bounded)), EPS)


LINKS: dict[LinkName, Link] = {
    "identity": Link(lambda eta: eta, lambda eta, mu: np.ones_like(mu), lambda mu: mu),
    "logit": Link(expit, _logistic_density, lambda mu: np.log(mu / (1 - mu))),
    "probit": Link(ndtr, _normal_density, ndtri),
    "cloglog": Link(lambda eta: -np.expm1(-_exp(eta)), _cloglog_density, lambda mu: np.log(-np.log1p(-mu))),
    "log": Link(_exp, lambda eta, mu: _exp(eta), np.log),
}

FAMILIES: dict[Family, Distribution] = {
    "gaussian": Distribution(
        variance=np.ones_like,
        deviance=lambda y, mu: (y - mu) ** 2,
        loglik=lambda y, mu, d: np.zeros_like(y),
        admits=np.isfinite,
        links=("identity", "log"),
        outcomes="numbers",
        dispersed=True,
    ),
    "binomial": Distribution(
        variance=lambda mu: mu * (1 - mu),
        deviance=lambda y, mu: -2 * np.log(np.where(y == 1, mu, 1 - mu)),  # y is 0 or 1: no saturated term
        loglik=lambda y, mu, d: -d / 2,
        admits=lambda y: (y == 0) | (y == 1),
        links=("logit", "probit", "cloglog", "log", "identity"),
        outcomes="0 or 1",
        lowest=0.0,
        highest=1.0,
    ),
    "poisson": Distribution(
        variance=lambda mu: mu,
        deviance=lambda y, mu: 2 * (xlogy(y, y) - xlogy(y, mu) - y + mu),
        loglik=lambda y, mu, d: xlogy(y, mu) - mu - gammaln(y + 1),
        admits=lambda y: y >= 0,
        links=("log", "identity"),
        outcomes="zero or more",
        lowest=0.0,
        kernel=lambda y, mu: xlogy(y, mu) - mu,
    ),
    "gamma": Distribution(
        variance=lambda mu: mu**2,
        deviance=lambda y, mu: 2 * (y / mu - 1 - np.log(y / mu)),
        loglik=lambda y, mu, d: np.log(y),
        admits=lambda y: y > 0,
        links=("log", "identity"),
        outcomes="above zero",
        lowest=0.0,
        dispersed=True,
        kernel=lambda y, mu: -(y / mu + np.log(mu)),
    ),
}
