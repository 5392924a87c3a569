"""Families and links against their definitions: derivatives by finite differences, likelihoods by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from atoll import Network
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
def test_the_kernel_is_what_of_the_likelihood_depends_on_the_mean(name):
    """Between two means it differs as −d/2 does, and it holds nothing of the outcome that multiplies no mean."""
    family = FAMILIES[name]
    for y in Y[name]:
        half = [-float(family.deviance(np.array(y), np.array(mu))) / 2 for mu in MU[name]]
        kernel = [float(family.kernel(np.array(y), np.array(mu))) for mu in MU[name]] if family.kernel else half
        np.testing.assert_allclose(np.diff(kernel), np.diff(half), rtol=1e-12)
    if family.kernel:
        at_one = [float(family.kernel(np.array(y), np.array(1.0))) for y in (1.0, 2.0, 4.0)]
        assert at_one[2] - at_one[1] == pytest.approx(2 * (at_one[1] - at_one[0])), "linear in y"


MEANS = np.random.default_rng(8)
AGE, SMOKER, SIZE = MEANS.normal(60, 12, 800), (MEANS.random(800) < 0.2) * 1.0, MEANS.gamma(3, 300, 800)
MEAN = np.exp(0.3 + 0.02 * (AGE - 60) + 0.4 * SMOKER)
HELD = {
    "age": AGE,
    "smoker": SMOKER,
    "size": np.log(SIZE),
    "y": (MEANS.random(800) < 0.4) * 1.0,
    "visits": MEANS.poisson(MEAN) * 1.0,
    "many": MEANS.poisson(400 * MEAN) * 1.0,
    "rare": MEANS.poisson(0.03 * MEAN) * 1.0,
    "ofsize": MEANS.poisson(MEAN * SIZE / 100) * 1.0,
    "cost": MEANS.gamma(2, 500 * MEAN),
    "level": MEANS.gamma(20, (10 + 0.1 * AGE) / 20),
}


@pytest.mark.parametrize(
    ("formula", "options", "most"),
    [
        ("visits ~ age + smoker", {"family": "poisson"}, 6),
        ("visits ~ 0 + age + smoker", {"family": "poisson"}, 6),
        ("many ~ 0 + age + smoker", {"family": "poisson"}, 8),
        ("rare ~ age + smoker", {"family": "poisson"}, 7),
        ("ofsize ~ age + smoker", {"family": "poisson", "offset": "size"}, 8),
        ("ofsize ~ 0 + age + smoker", {"family": "poisson", "offset": "size"}, 8),
        ("visits ~ age", {"family": "poisson", "site_intercepts": True}, 6),
        ("level ~ age + smoker", {"family": "poisson", "link": "identity"}, 8),
        ("cost ~ age + smoker", {"family": "gamma"}, 9),
        ("cost ~ 0 + age + smoker", {"family": "gamma"}, 20),
        ("level ~ age + smoker", {"family": "gamma", "link": "identity"}, 9),
        ("level ~ age + smoker", {"family": "gaussian", "link": "log"}, 8),
        ("level ~ 0 + age", {"family": "gaussian"}, 2),
        ("y ~ 0 + age + smoker", {"family": "binomial"}, 6),
        ("y ~ age", {"family": "binomial", "offset": "size"}, 8),
    ],
)
def test_the_start_is_near_enough_with_and_without_an_intercept_or_an_offset(formula, options, most):
    network = Network({"a": HELD, "b": {name: column[::-1] for name, column in HELD.items()}}, policy="public")
    fit = network.run("glm", formula=formula, **options)
    assert fit.rounds <= most
    assert np.isfinite(fit.params).all()
