"""Performance against direct formulas on the pooled rows, and each hospital's own figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, ndtr

import atoll
from atoll.algorithms.performance import auc
from atoll.errors import StudyError
from tests.conformance.world import COLUMNS, split, world

TABLE = world(3, 900)
SITES = split(TABLE, np.random.default_rng(4).integers(0, 3, 900))
MODEL = {"terms": ["Intercept", "age", "sex[T.male]"], "coefficients": [-2.4, 0.04, 0.5], "link": "logit"}
ETA = -2.4 + 0.04 * TABLE["age"] + 0.5 * (TABLE["sex"] == "male")
Y = TABLE["y"]


def judged(policy="public", tables=None, **model):
    network = atoll.Network(tables or SITES, policy=policy, columns=COLUMNS, threads=1)
    return network.run("performance", model=MODEL | model, outcome="y")


def pairs(y, eta):
    """AUC from its definition: all pairs of a case and a control."""
    d = eta[y == 1][:, None] - eta[y == 0][None, :]
    return float((d > 1e-9).mean() + (abs(d) <= 1e-9).mean() / 2)  # 0.04 · 12.5 is a tie with 0.5 on any processor


@given(st.lists(st.tuples(st.booleans(), st.integers(-40, 40)), min_size=2, max_size=60), st.integers(0, 2**32 - 1))
def test_rounding_makes_and_breaks_no_tie(patients, seed):
    y = np.array([float(case) for case, _ in patients])
    eta = np.array([0.1 * score for _, score in patients])
    noise = np.random.default_rng(seed).uniform(-2e-15, 2e-15, len(eta))
    found = auc(y, eta)
    assert found == auc(y, eta + noise)
    assert found == (pytest.approx(pairs(y, eta), abs=1e-12) if 0 < y.sum() < len(y) else None)


def refit(y, eta, free):
    """Maximum likelihood of y on a + b η (b = 1 unless free), by a general optimiser."""
    design = np.column_stack([np.ones_like(eta), eta]) if free else np.ones((len(eta), 1))
    offset = 0.0 if free else eta
    loss = lambda b: np.logaddexp(0, np.where(y == 1, -1, 1) * (design @ b + offset)).sum()  # noqa: E731
    return minimize(loss, [0.0, 1.0] if free else [0.0], method="BFGS", options={"gtol": 1e-8}).x


def test_all_hospitals_together_are_the_pooled_rows():
    f = judged()
    p = expit(ETA)
    assert (f.n, f.events) == (900, int(Y.sum()))
    np.testing.assert_allclose(f.brier, ((Y - p) ** 2).mean(), rtol=1e-12)
    np.testing.assert_allclose(f.observed_expected, Y.sum() / p.sum(), rtol=1e-12)
    np.testing.assert_allclose(f.calibration_in_the_large, refit(Y, ETA, False)[0], atol=1e-5)
    np.testing.assert_allclose([f.calibration_intercept, f.calibration_slope], refit(Y, ETA, True), atol=1e-4)
    assert f.auc_lower <= pairs(Y, ETA) <= f.auc_upper
    assert abs(f.auc - pairs(Y, ETA)) < 2e-3


def test_the_strict_policy_gives_wider_bounds_that_still_hold():
    f = judged("strict")
    assert f.auc_lower - 0.02 <= pairs(Y, ETA) <= f.auc_upper + 0.02, "up to the rounding of counts"
    assert f.auc_upper - f.auc_lower > 0.01
    assert f.notes == ["rounded_auc"]
    assert (f.n, f.events) == (900, int(Y.sum())), "what the note calls exact"


@pytest.mark.parametrize("policy", ["public", "strict"])
def test_each_hospital_apart_is_exact(policy):
    f = judged(policy)
    for site, table in SITES.items():
        eta = -2.4 + 0.04 * table["age"] + 0.5 * (table["sex"] == "male")
        own = f.sites_apart[site]
        np.testing.assert_allclose(own["auc"], pairs(table["y"], eta), rtol=1e-12)
        np.testing.assert_allclose(own["brier"], ((table["y"] - expit(eta)) ** 2).mean(), rtol=1e-12)
        np.testing.assert_allclose(
            [own["calibration_intercept"], own["calibration_slope"]], refit(table["y"], eta, True), atol=1e-4
        )


def test_a_probit_model_is_judged_by_its_own_risks():
    f = judged(link="probit", coefficients=[-1.4, 0.02, 0.3])
    p = ndtr(-1.4 + 0.02 * TABLE["age"] + 0.3 * (TABLE["sex"] == "male"))
    np.testing.assert_allclose(f.brier, ((Y - p) ** 2).mean(), rtol=1e-12)


def test_a_hospital_without_cases_has_no_auc_and_no_calibration():
    tables = SITES | {"s9": {name: values[Y == 0][:40] for name, values in TABLE.items()}}
    f = judged(tables=tables)
    own = f.sites_apart["s9"]
    assert np.isnan([own["auc"], own["calibration_slope"], own["calibration_in_the_large"]]).all()
    assert own["observed_expected"] == 0
    assert np.isfinite(f.auc)
    assert '"auc": null' in f.to_json()


def test_by_site_can_be_left_out():
    network = atoll.Network(SITES, policy="public", columns=COLUMNS, threads=1)
    assert network.run("performance", model=MODEL, outcome="y", by_site=False).sites_apart == {}


def test_ties_count_half():
    y, eta = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 2.0, 0.0])
    assert auc(y, eta) == pairs(y, eta) == 0.875
    assert auc(np.ones(3), np.arange(3.0)) is None


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"coefficients": [1.0]}, r"3 terms need 3 coefficients"),
        ({"coefficients": [1.0, float("nan"), 2.0]}, r"a coefficient is not a finite number"),
        ({"coefficients": [1.0, "x", 2.0]}, r"a coefficient is not a finite number"),
        ({"link": "log_hazard"}, r"A model with link 'log_hazard' does not predict a risk"),
        ({"terms": ["Intercept", "age", "nowhere"]}, r"nowhere"),
        ({"design": {"terms": 3}}, r"model: its design cannot be read"),
        ({"design": None}, r"model: its design cannot be read"),
    ],
)
def test_a_model_that_is_none_is_refused(model, words):
    with pytest.raises(StudyError, match=words):
        judged(**model)


def test_an_outcome_that_is_always_the_same_is_refused():
    with pytest.raises(StudyError, match=r"All patients have the same outcome\. Performance needs cases and controls"):
        judged(tables={"a": TABLE | {"y": np.zeros(900)}})
