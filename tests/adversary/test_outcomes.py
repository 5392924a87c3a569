"""What a model's sums tell of the outcomes themselves: each attack is asked of a real site, and must fail.

Beside each stands an honest neighbour that passes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import atoll
from atoll.algorithms import cox, glm, kaplan_meier, performance
from atoll.algorithms.families import FAMILIES
from atoll.features.chunks import chunks
from atoll.features.table import memory_table
from atoll.network.codec import encode_question
from atoll.network.messages import Place, digest
from atoll.privacy.disclosure import STRICT
from atoll.site.runner import Dataset, Runner
from atoll.study.dictionary import Column
from atoll.study.view import View
from tests.adversary.test_dominance import ALONE, COLUMNS, FEW, TABLE, N, modelled, site
from tests.unit.answering import Held, Remembering

R = np.random.default_rng(7)
LINKS = [(family, link) for family, distribution in FAMILIES.items() for link in distribution.links]
TOLD = (*FEW, "TOLD_APART")
OUTCOME = {"binomial": "y", "poisson": "visits", "gaussian": "cost", "gamma": "cost"}


def left(question, **table):
    """The record that leaves."""
    north = site(**table)
    return north.share(question, north.ask(question, north.permit(question.name.partition(".")[0])))


def code(question, columns=None, **table):
    north = site(columns=columns, **table)
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


# ---- risk sets: who left before the first event


LATE = np.arange(N) < 300
FOLLOWED = {
    "t": np.where(LATE, 400 + np.ceil(R.exponential(500, N)), np.ceil(R.uniform(1, 300, N))),
    "e": (LATE & (R.random(N) < 0.6)) * 1.0,
}
LAST = 41  # followed long, without the event
FOLLOWED["t"][LAST], FOLLOWED["e"][LAST] = 1500.0, 0.0
ALIKE = np.where(LATE, R.uniform(20, 20.02, N), R.uniform(10, 40, N)).round(4)  # a dose: varied for recent patients
ALIKE[LAST], ALIKE[np.argmin(FOLLOWED["t"])] = 33.5, 20.0


def after(early):
    """With the event for the first of all who leave, everybody is at risk at it: most for next to nothing."""
    return FOLLOWED | {"e": np.where(np.arange(N) == np.argmin(FOLLOWED["t"]), float(early), FOLLOWED["e"])}


def hazards(formula, **more):
    seen = modelled(formula, time="t", event="e", **more)
    return replace(cox.within(ties="efron", beta=np.zeros(len(seen.design.terms))), view=seen)


@pytest.mark.parametrize("formula", ["bmi", "age + bmi", "I(bmi - 20) + age"])
@pytest.mark.parametrize("early", [0, 1])
@pytest.mark.parametrize("ids", [{}, {"id": np.r_[np.arange(N - 20), np.arange(20) + 400]}], ids=["alone", "many rows"])
def test_who_left_before_the_first_events_does_not_hide_whom_the_sums_describe(formula, early, ids):
    columns = COLUMNS if ids else ALONE
    assert code(hazards(formula), columns=columns, **after(early), bmi=ALIKE, **ids) in TOLD
    assert code(hazards(formula), columns=columns, **after(early), **ids) == ""


def test_a_column_that_is_the_same_for_all_at_risk_hides_nobody():
    assert code(hazards("age + bmi"), **FOLLOWED, bmi=np.where(LATE, 20.0, TABLE["bmi"])) == ""


@pytest.mark.parametrize(("few", "early"), [(2, 0), (9, 0), (4, 1)])
def test_nor_do_they_hide_few(few, early):
    """Nine of nobody else; and four whose hazards are nearly all that is summed."""
    chosen = np.arange(N) < few
    dose = np.where(chosen, 33.5, np.where(np.arange(N) == LAST, 20.0, ALIKE))
    told = after(early)
    assert code(hazards("bmi"), **told | {"t": np.where(chosen, 1500.0, told["t"])}, bmi=dose) == "ONE_PERSON"


def test_the_value_of_one_among_the_events_is_not_read_off_their_sum():
    """All who have the event have one dose, but for one: Σ (dose − 20) over the events is that patient's."""
    died = FOLLOWED["e"] == 1
    dose = np.where(died, 20.0, R.uniform(10, 40, N))
    dose[np.flatnonzero(died)[7]] = 33.5
    assert code(hazards("bmi + age"), **FOLLOWED, bmi=dose) in TOLD
    assert code(hazards("bmi + age"), **FOLLOWED) == ""


def test_leverage_is_that_within_strata():
    """A laboratory's method differs by ward: within a ward all but six have the same."""
    ward = np.where(R.random(N) < 0.5, "u", "v")
    value = np.where(ward == "u", 20.0, 30.0) + R.uniform(0, 0.01, N)
    value[np.flatnonzero(ward == "u")[:6]] = R.uniform(24, 26, 6)
    columns = ALONE | {"ward": Column("category", ("u", "v"))}
    more = {"strata": ("site", "ward"), "levels": {"ward": ("u", "v")}}
    assert code(hazards("bmi", **more), columns=columns, ward=ward, bmi=value) in TOLD
    assert code(hazards("bmi"), columns=columns, ward=ward, bmi=value) == "", "the wards themselves differ"
    assert code(hazards("bmi", **more), columns=columns, ward=ward) == ""


@pytest.mark.parametrize("early", [0, 1])
def test_a_group_of_whom_one_is_left_at_the_first_event_is_not_compared(early):
    arm = np.where(LATE, "a", TABLE["arm"])
    arm[LAST] = "b"
    told = after(early)
    view = View(time="t", event="e", group="arm", strata=("site",), levels={"arm": ("a", "b")})
    asked = replace(kaplan_meier.differences(groups=2), view=view)
    assert code(asked, **told, arm=arm) == "TOO_FEW_PERSONS"
    assert code(asked, **FOLLOWED) == ""


@pytest.mark.parametrize("by", [(), ("ward",)])
def test_the_hazard_is_that_of_nelson_and_aalen(by):
    ward = np.where(np.arange(N) % 3, "u", "v")
    columns = ALONE | {"ward": Column("category", ("u", "v"))}
    seen = View(time="t", event="e", strata=("site", *by), levels={"ward": ("u", "v")} if by else {})
    table = TABLE | FOLLOWED | {"ward": ward, "t": np.ceil(FOLLOWED["t"] / 30)}
    (rows,) = chunks(memory_table(table), seen, columns, "north", 10, None)
    wanted = np.zeros(N)
    for j in np.flatnonzero(table["e"]):
        met = (table["t"] >= table["t"][j]) & ((ward == ward[j]) | (not by))
        wanted[met] += 1 / met.sum()
    np.testing.assert_allclose(rows.hazard, wanted, rtol=1e-12)
    assert ((rows.hazard > 0) == (wanted > 0)).all(), "nought to the last bit"


# ---- the risks of cases


@pytest.mark.parametrize("link", ["identity", "logit"])
def test_the_risk_of_one_case_is_not_told_by_the_risks_of_all(link):
    """A model that is certain of all cases but one: 2 Σ_cases p = Σy + Σp − Σp(1 − p) − Σ(y − p)²."""
    age, y = R.uniform(30, 90, N).round(2), np.zeros(N)
    order = np.argsort(age)
    y[order[::30]] = 1.0
    case = order[300]
    low, high = age[order[270]], age[order[330]]
    steep = 12.0 / (high - low)
    beta = {"identity": np.array([-low, 1.0]) / (high - low), "logit": np.array([-steep * age[case], steep])}[link]
    view = modelled("y ~ age")
    inside = (age > low) & (age < high)
    assert inside.sum() > 50 and y[inside].sum() == 1
    for asked in (
        performance.scores(beta=beta, link=link),
        performance.own(beta=beta, link=link),
        performance.recalibration(beta=beta, link=link, parameters=np.array([0.0, 0.0, 1.0])),
    ):
        assert code(replace(asked, view=view), age=age, y=y) == "TOO_FEW_PERSONS", asked.name
        honest = dict(asked.arguments) | {"beta": np.array([-3.0, 0.03]), "link": "logit"}
        assert code(replace(asked, arguments=honest, view=view), age=age, y=y) == "", asked.name


# ---- what is remembered of who weighs how much


def test_a_refreshed_dataset_is_weighed_anew():
    """The same design and the same site: after a refresh one person decides."""
    asked = replace(glm.start(family="gaussian", link="identity"), view=modelled("cost ~ age + bmi"))
    data = encode_question(asked)
    runner = Runner("north", Held(Dataset(memory_table(TABLE), ALONE)), Remembering(), STRICT, 1)
    permit = site().permit("glm")
    place = Place("0" * 64, "run", "analysis", 0, 0, digest(data), permit.participants)
    assert runner.answer(permit, place, data).code == ""
    refreshed = TABLE | {"bmi": np.where(np.arange(N) == LAST, 9000.0, TABLE["bmi"])}
    runner.datasets = Held(Dataset(memory_table(refreshed), ALONE))
    assert runner.answer(permit, place, data).code in TOLD
