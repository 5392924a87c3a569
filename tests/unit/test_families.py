"""Families and links against their definitions: derivatives by finite differences, likelihoods by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from atoll.algorithms.families import FAMILIES, LARGEST_ETA, LINKS

ETA = {
    "identity": np.linspace(-3, 3, 13),
    "logit": np.linspace(-8, 8, 17),
    "probit": np.linspace(-4, 4, 17),
    "cloglog": np.linspace(-6, 1.5, 16),
    "log": np.linspace(-5, 5, 11),
}
MU = {"gaussian": [-2.0, 0.5], "binomial": [0.1, 0.7], "poisson": [0.3, 4.0], "gamma": [0.5, 3.0]}
Y = {"gaussian": [-1.0, 2.0], "binomial": [0.0, 1.0], "poisson": [0.0, 3.0], "gamma": [0.2, 5.0]}


@pytest.mark.parametrize("name", LINKS)
def test_the_slope_is_the_derivative_of_the_mean(name):
    link, eta, h = LINKS[name], ETA[name], 1e-6
    numeric = (link.mean(eta + h) - link.mean(eta - h)) / (2 * h)
    np.testing.assert_allclose(link.slope(eta, link.mean(eta)), numeric, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", LINKS)
def test_the_predictor_is_the_inverse_of_the_mean(name):
    np.testing.assert_allclose(LINKS[name].predictor(LINKS[name].mean(ETA[name])), ETA[name], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_half_the_deviance_has_the_slope_of_the_quasi_likelihood(name):
    """∂d/∂μ = −2 (y − μ) / V(μ) is what makes Fisher scoring minimise the deviance."""
    family, h = FAMILIES[name], 1e-6
    for y in Y[name]:
        for mu in MU[name]:
            numeric = (
                family.deviance(np.array(y), np.array(mu + h)) - family.deviance(np.array(y), np.array(mu - h))
            ) / (2 * h)
            np.testing.assert_allclose(numeric, -2 * (y - mu) / family.variance(np.array(mu)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_deviance_is_zero_at_the_outcome_and_nowhere_below(name):
    family = FAMILIES[name]
    for y in Y[name]:
        here = float(family.deviance(np.array(y), family.inside(np.array(y))))
        assert abs(here) < 1e-12
        assert all(float(family.deviance(np.array(y), np.array(mu))) >= 0 for mu in MU[name])


@pytest.mark.parametrize("name", ["binomial", "poisson"])
def test_the_likelihood_is_that_of_the_distribution(name):
    wanted = {"binomial": stats.bernoulli.logpmf, "poisson": stats.poisson.logpmf}[name]
    for y in Y[name]:
        for mu in MU[name]:
            family, at = FAMILIES[name], (np.array(y), np.array(mu))
            found = family.loglik(*at, family.deviance(*at))
            np.testing.assert_allclose(found, wanted(y, mu), rtol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_is_infinite_at_the_edge_of_the_arithmetic(name):
    family = FAMILIES[name]
    for link in family.links:
        eta = np.array([-1e6, -LARGEST_ETA, -50.0, 0.0, 50.0, LARGEST_ETA, 1e6])
        mu = family.inside(LINKS[link].mean(eta))
        slope = LINKS[link].slope(eta, mu)
        for values in (mu, slope, family.variance(mu), slope / family.variance(mu)):
            assert np.isfinite(values).all(), (name, link)


@pytest.mark.parametrize(
    ("name", "bad"),
    [("binomial", [0.5, 2.0, -1.0]), ("poisson", [-1.0]), ("gamma", [0.0, -1.0]), ("gaussian", [np.nan])],
)
def test_outcomes_outside_the_family_are_not_admitted(name, bad):
    assert not FAMILIES[name].admits(np.array(bad)).any()
    assert FAMILIES[name].admits(np.array(Y[name])).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_fitting_starts_inside_the_range(name):
    family = FAMILIES[name]
    start = family.inside(family.start(np.array(Y[name])))
    assert (start > family.lowest).all()
    assert (start < family.highest).all()
