"""What a model's sums tell of the outcomes themselves: each attack is asked of a real site, and must fail.

Beside each stands an honest neighbour that passes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import atoll
from atoll.algorithms import glm
from atoll.algorithms.families import FAMILIES
from tests.adversary.test_dominance import ALONE, TABLE, N, modelled, site

R = np.random.default_rng(7)
LINKS = [(family, link) for family, distribution in FAMILIES.items() for link in distribution.links]
OUTCOME = {"binomial": "y", "poisson": "visits", "gaussian": "cost", "gamma": "cost"}


def left(question, **table):
    """The record that leaves."""
    north = site(**table)
    return north.share(question, north.ask(question, north.permit(question.name.partition(".")[0])))


def code(question, **table):
    north = site(**table)
    return north.ask(question, north.permit(question.name.partition(".")[0])).code


# ---- what of the likelihood no coefficient changes


def in_pairs():
    """Pairs of patients of one age, with n and n + 4 visits; and the same with n + 2 visits each in forty of them."""
    age, fewer = np.repeat(TABLE["age"][: N // 2], 2), np.repeat(R.poisson(2, N // 2), 2)
    apart = fewer + 4.0 * (np.arange(N) % 2)
    return age, apart, np.where(np.arange(N) < 80, fewer + 2.0, apart)


def test_log_likelihood_and_deviance_do_not_tell_how_many_have_each_number():
    """Σ log y! = Σ v_p log p over primes p: to thirteen digits it falls apart in one way only."""
    age, *outcomes = in_pairs()
    asked = replace(glm.terms(family="poisson", link="log", beta=np.array([1.0, 0.001])), view=modelled("visits ~ age"))
    shares = [left(asked, age=age, visits=visits) for visits in outcomes]
    np.testing.assert_allclose(shares[0].score, shares[1].score, rtol=1e-12)
    for field in ("loglik", "deviance", "pearson"):
        assert getattr(shares[0], field) == pytest.approx(getattr(shares[1], field), rel=1e-13), field
    networks = [atoll.Network({"a": {"age": age, "visits": visits}}, policy="public") for visits in outcomes]
    fits = [network.run("glm", formula="visits ~ age", family="poisson") for network in networks]
    assert abs(fits[0].deviance - fits[1].deviance) > 10, "of public data they tell"


def test_those_of_a_gamma_model_do_not_hold_the_sum_of_logarithms():
    beta = np.array([7.0, 0.0])
    asked = replace(glm.terms(family="gamma", link="log", beta=beta), view=modelled("cost ~ age"))
    share = left(asked)
    assert share.deviance == -2 * share.loglik
    assert share.loglik == pytest.approx(-(TABLE["cost"] / np.exp(7.0)).sum() - 7.0 * N, rel=1e-12)


@pytest.mark.parametrize("family", ["poisson", "gamma", "binomial", "gaussian"])
def test_differences_between_models_are_those_of_public_data(family):
    table = TABLE | {"visits": R.poisson(np.exp(TABLE["age"] / 60)) * 1.0}
    found = {}
    for policy in ("strict", "public"):
        network = atoll.Network({"a": table, "b": TABLE}, columns=ALONE, policy=policy)
        y = OUTCOME[family]
        fits = [network.run("glm", formula=f"{y} ~ {terms}", family=family) for terms in ("age", "age + bmi")]
        found[policy] = fits
        assert ("relative_likelihood" in fits[0].document.get("notes", [])) == (
            policy == "strict" and FAMILIES[family].kernel is not None
        )
    for name in ("deviance", "loglik") if family != "gamma" else ("deviance",):
        strict, public = ([getattr(fit, name) for fit in found[policy]] for policy in ("strict", "public"))
        assert strict[0] - strict[1] == pytest.approx(public[0] - public[1], rel=1e-6), name
    np.testing.assert_allclose(found["strict"][1].params, found["public"][1].params, rtol=1e-9, atol=1e-9)
    assert found["strict"][1].dispersion == pytest.approx(found["public"][1].dispersion, rel=1e-9)


# ---- Pearson's statistic


@pytest.mark.parametrize(("family", "outcome"), [("binomial", "y"), ("poisson", "y"), ("poisson", "visits")])
def test_pearson_does_not_leave_where_nobody_needs_it(family, outcome):
    """1/μ of one unlikely case is most of it, and tells the risk that the model gives this patient."""
    link = FAMILIES[family].links[0]
    asked = glm.terms(family=family, link=link, beta=np.array([-2.0, 0.01]))
    assert left(replace(asked, view=modelled(f"{outcome} ~ age"))).pearson == 0.0


def test_one_who_makes_up_the_dispersion_is_not_told_by_it():
    """The score weighs a small mean little, Pearson's statistic does not: one patient far from a small mean."""
    age = R.uniform(30, 90, N).round(2)
    age[0] = 31.0
    beta = np.array([-3.5, 7.0 / 60])
    mu = np.exp(beta[0] + beta[1] * age)
    asked = replace(glm.terms(family="gaussian", link="log", beta=beta), view=modelled("cost ~ age"))
    near, far = mu * R.normal(1, 0.0005, N), mu * R.gamma(40, 1 / 40, N)
    near[0] = 301.0
    assert code(asked, age=age, cost=near) == "TOO_FEW_PERSONS"
    assert code(asked, age=age, cost=far) == ""


# ---- the first weights


@pytest.mark.parametrize(("family", "link"), LINKS)
def test_the_first_answer_weighs_everybody_alike(family, link):
    """With weights that are the outcome, Σ wxxᵀ would be a sum of products of three."""
    asked = replace(glm.start(family=family, link=link), view=modelled(f"{OUTCOME[family]} ~ x + age"))
    X = np.column_stack([np.ones(N), TABLE["x"], TABLE["age"]])
    share = left(asked)
    np.testing.assert_allclose(share.information, X.T @ X, rtol=1e-12)
    np.testing.assert_allclose(share.score, X.T @ TABLE[OUTCOME[family]], rtol=1e-12)


@pytest.mark.parametrize(("family", "link"), LINKS)
def test_no_analysis_begins_otherwise(family, link):
    north = site()
    first = north.first("glm", formula=f"{OUTCOME[family]} ~ x + age", family=family, link=link)
    assert type(north.share(glm.start(family=family, link=link), first)) is glm.Start
