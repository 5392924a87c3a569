"""One person's outcome, filled-in value, weight or row among many: each is asked of a real site, and must fail.

The first test of a family shows that the attack works where the gate is open.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atoll
from atoll.algorithms import cox, describe, glm, kaplan_meier, performance, survey
from atoll.privacy.disclosure import STRICT
from atoll.study.coding import resolve
from atoll.study.design import Facts
from atoll.study.dictionary import Column
from atoll.study.formula import parse
from atoll.study.view import View
from tests.unit.answering import Site, view

N = 600
R = np.random.default_rng(5)
TARGET = 41
ONE = np.arange(N) == TARGET
COLUMNS = {
    "age": Column("number", unit="a", low=18, high=110),
    "bmi": Column("number", low=10, high=80),
    "cost": Column("number", low=0, high=10**7),
    "visits": Column("number", low=0, high=10**4),
    "y": Column("flag"),
    "x": Column("flag"),
    "t": Column("number", unit="d"),
    "e": Column("flag"),
    "arm": Column("category", ("a", "b")),
    "id": Column("person"),
}
TABLE = {
    "age": R.uniform(30, 90, N).round(2),
    "bmi": R.normal(27, 4, N).clip(15, 60).round(2),
    "cost": R.gamma(4, 250, N).round(2),
    "visits": R.poisson(3, N) * 1.0,
    "y": (R.random(N) < 0.4) * 1.0,
    "x": (R.random(N) < 0.5) * 1.0,
    "t": np.ceil(R.exponential(500, N)),
    "e": (R.random(N) < 0.5) * 1.0,
    "arm": np.where(np.arange(N) % 2, "a", "b"),
}
ALONE = {name: column for name, column in COLUMNS.items() if name != "id"}  # every row is one person
FEW = ("TOO_FEW_PERSONS", "ONE_PERSON")
OPEN = replace(STRICT, minimum_persons=1, persons_per_parameter=0, residual_dof=0)


def site(policy=STRICT, columns=None, **table):
    return Site(TABLE | table, columns or (COLUMNS if "id" in table else ALONE), policy)


def modelled(formula, columns=COLUMNS, **more):
    design = resolve(parse(formula), Facts(), columns, ("north",), intercept="~" in formula)
    return View(design=design, outcome=parse(formula).response, **more)


def regression(formula, beta=None, family="gaussian", **more):
    link = {"gaussian": "identity", "binomial": "logit", "poisson": "log", "gamma": "log"}[family]
    asked = glm.start(family=family, link=link) if beta is None else glm.terms(family=family, link=link, beta=beta)
    return replace(asked, view=modelled(formula, **more))


def code(question, **more):
    north = site(**more)
    return north.ask(question, north.permit(question.name.partition(".")[0])).code


# ---- the outcome of one person


def test_xy_of_an_outcome_that_one_person_has_is_that_persons_row():
    network = atoll.Network({"north": TABLE | {"cost": ONE * 700.0}}, columns=ALONE, policy="public")
    fit = network.run("glm", formula="cost ~ age + bmi", family="gaussian")
    row = np.linalg.inv(fit.cov / fit.dispersion) @ fit.params
    np.testing.assert_allclose(row[1:] / row[0], [TABLE["age"][TARGET], TABLE["bmi"][TARGET]], rtol=1e-6)


OUTCOMES = {
    "one who has any": ONE * 700.0,
    "all the same but one": np.where(ONE, 700.0, 250.0),
    "all the same but one, by little": np.where(ONE, 250.001, 250.0),
    "a column of the model but one": np.where(ONE, 99.0, TABLE["age"]),
    "what a model gives but one": np.where(ONE, 5.0, 3 * TABLE["age"] - TABLE["bmi"]),
    "one who is most of the sum": np.where(ONE, 1e6, TABLE["cost"]),
    "nine who have any": (np.arange(N) < 9) * 300.0,
}


@pytest.mark.parametrize("shape", OUTCOMES)
@pytest.mark.parametrize("family", ["gaussian", "gamma", "poisson"])
def test_an_outcome_that_singles_out_is_refused_whatever_the_family(shape, family):
    values = OUTCOMES[shape] + (0.5 if family == "gamma" and (OUTCOMES[shape] == 0).any() else 0.0)
    assert code(regression("cost ~ age + bmi", family=family), cost=values) in FEW
    assert code(regression("cost ~ age + bmi", np.array([1.0, 0.0, 0.0]), family), cost=values) in FEW


@pytest.mark.parametrize("family", ["gaussian", "gamma", "poisson"])
def test_an_honest_outcome_passes(family):
    assert code(regression("cost ~ age + bmi", family=family)) == ""


@given(st.integers(0, 10**6), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_fewer_than_ten_who_differ_from_a_flag_of_the_model_are_refused(seed, few):
    """y is x but for a few: Σ xₖy − Σ xₖx would be their rows. (Who left before the first event is in no sum.)"""
    y = TABLE["x"].copy()
    flip = np.random.default_rng(seed).choice(np.flatnonzero(TABLE["t"] >= 10), few, replace=False)
    y[flip] = 1 - y[flip]
    for family in ("gaussian", "binomial"):
        assert code(regression("y ~ x + age", family=family), y=y) in FEW
    asked = replace(cox.within(ties="efron", beta=np.zeros(2)), view=modelled("x + age", time="t", event="e"))
    assert code(asked, e=y) in FEW


def test_the_rows_of_one_person_are_one_outcome():
    """Twenty rows with an outcome, all of one person; as twenty persons they would pass."""
    some = (np.arange(N) < 20) * 300.0
    assert code(regression("cost ~ age"), cost=some, id=np.where(some > 0, 0, np.arange(N))) in FEW
    assert code(regression("cost ~ age"), cost=some, id=np.arange(N)) == ""


# ---- what a recipe fills in


COLUMNS_FILLED = {"filled, one read": np.where(ONE, 31.5, 5.6), "filled with zero": ONE * 31.5}
COLUMNS_FILLED |= {f"{k} read": np.where(np.arange(N) < k, 20 + np.arange(N), 5.6) for k in (2, 9)}
COLUMNS_FILLED["one who is most of the variance"] = np.where(ONE, 9e6, TABLE["cost"])


@pytest.mark.parametrize("shape", COLUMNS_FILLED)
def test_a_column_in_which_few_differ_is_not_summed(shape):
    for asked in (
        replace(describe.sums(numbers=("cost",), categories=()), view=view("cost")),
        replace(describe.squares(numbers=("cost",), centre=np.zeros(1)), view=view("cost")),
        replace(survey.moments(columns=("cost",)), view=view("cost")),
        regression("y ~ cost", family="binomial"),
        regression("y ~ age + cost", family="binomial"),
    ):
        north = site(cost=COLUMNS_FILLED[shape])
        permit = north.permit(asked.name.partition(".")[0])
        assert north.ask(asked, permit).code in (*FEW, "CODE_AS_NUMBER"), asked.name
    opened = site(OPEN, cost=COLUMNS_FILLED[shape])
    asked = replace(describe.sums(numbers=("cost",), categories=()), view=view("cost"))
    assert opened.share(asked, opened.ask(asked, opened.permit("describe"))).sum.shape == (1,)


def test_who_has_many_rows_does_not_hide_that_few_differ():
    """Nine persons hold most rows: the middle row is theirs, the middle person is not."""
    differs = np.arange(N) < 400
    values, ids = np.where(differs, 20 + np.arange(N) * 0.1, 5.6), np.where(differs, np.arange(N) % 9, np.arange(N))
    for numbers in (("cost",), ("cost", "age")):
        asked = replace(describe.sums(numbers=numbers, categories=()), view=view(*numbers))
        assert code(asked, cost=values, id=ids) == "TOO_FEW_PERSONS"


def test_honest_columns_are_described_skewed_ones_too():
    skewed = np.exp(R.normal(0, 1.5, N))
    for values in (TABLE["cost"], skewed, np.full(N, 7.0), np.where(np.arange(N) < 10, 6.0, 5.6)):
        asked = replace(describe.sums(numbers=("cost",), categories=()), view=view("cost"))
        assert code(asked, cost=values) == ""


# ---- weights that the hub chooses


def test_a_beta_that_is_steep_within_one_level_is_refused():
    """Over all patients the weights are even; among the level's they are one person's."""
    order = np.sort(TABLE["age"][TABLE["x"] == 1])
    middle, steep = (order[-1] + order[-2]) / 2, 400.0
    beta = np.array([0.0, -steep * middle, 0.0, steep])  # Intercept, x, age, x:age
    assert code(regression("y ~ x * age", beta, "binomial")) == "TOO_FEW_PERSONS"
    asked = replace(glm.meat(family="binomial", link="logit", beta=beta), view=modelled("y ~ x * age"))
    assert code(asked) == "TOO_FEW_PERSONS"
    assert code(regression("y ~ x * age", np.array([-1.0, 0.2, 0.01, 0.01]), "binomial")) == ""


def test_a_beta_that_is_steep_outside_a_level_is_refused():
    order = np.sort(TABLE["age"][TABLE["x"] == 0])
    beta = np.array([-400.0 * (order[-1] + order[-2]) / 2, 0.0, 400.0])
    beta[1] = -beta[0] - 400.0 * 60  # where x is 1 the step lies in the middle
    assert code(regression("y ~ x + age", beta, "binomial")) == "TOO_FEW_PERSONS"


def test_a_mean_that_is_small_for_one_patient_is_refused_in_a_gamma_model():
    order = np.sort(TABLE["age"])
    beta = np.array([-40.0 * order[0], 40.0])  # mu = exp(40 (age - youngest)): y / mu is the youngest's alone
    assert code(regression("cost ~ age", beta, "gamma")) in (*FEW, "NOT_FINITE")


def many_rows(weighty):
    """Forty rows of one person carry the weight."""
    mine = np.arange(N) < 40
    return {"id": np.where(mine, 0, np.arange(N)), "age": np.where(mine, weighty, TABLE["age"].clip(30, 60))}


def test_the_weights_of_one_persons_rows_are_one_weight():
    steep = np.array([-200 * 75.0, 200.0])
    table = many_rows(80.0)
    alone = table | {"id": np.arange(N)}
    for asked in (
        regression("y ~ age", steep, "binomial"),
        replace(cox.within(ties="efron", beta=np.array([2.0])), view=modelled("age", time="t", event="e")),
    ):
        assert code(asked, **table) == "TOO_FEW_PERSONS"
        assert code(asked, **alone) in ("", "ONE_PERSON")


def test_a_hazard_that_is_steep_within_one_level_is_refused():
    order = np.sort(TABLE["age"][TABLE["x"] == 1])
    asked = cox.within(ties="efron", beta=np.array([-3.0 * order[-2] - 5, 0.0, 3.0]))
    assert code(replace(asked, view=modelled("x * age", time="t", event="e"))) == "TOO_FEW_PERSONS"


@pytest.mark.parametrize("parameters", ["slope", (-400.0, 0.0, 1.0), (400.0, 0.0, 1.0)])
def test_parameters_of_a_recalibration_that_single_a_patient_out_are_refused(parameters):
    """The risks of the given model are even; those at the question's parameters are one person's."""
    oldest = np.sort(TABLE["age"])[-2:]
    between = -3.0 + 0.04 * oldest.mean()  # η between the two oldest
    moved = np.array([0.0, -4_000 * between, 4_000.0] if parameters == "slope" else parameters)
    asked = performance.recalibration(beta=np.array([-3.0, 0.04]), link="logit", parameters=moved)
    seen = modelled("y ~ age")
    assert code(replace(asked, view=seen)) == "TOO_FEW_PERSONS"
    honest = performance.recalibration(beta=np.array([-3.0, 0.04]), link="logit", parameters=np.array([0.1, 0.2, 1.1]))
    assert code(replace(honest, view=seen)) == ""


def test_the_weights_of_one_persons_rows_are_one_weight_when_a_model_is_judged():
    asked = performance.scores(beta=np.array([-200 * 75.0, 200.0]), link="logit")
    table = many_rows(80.0) | {"y": (np.arange(N) % 2) * 1.0}
    assert code(replace(asked, view=modelled("y ~ age")), **table) in FEW


# ---- groups of one in a test between groups


@pytest.mark.parametrize("few", [1, 9])
@pytest.mark.parametrize("died", [0.0, 1.0])
def test_a_group_of_few_events_is_not_tested_against_another(few, died):
    arm = TABLE["arm"]
    chosen = np.flatnonzero(arm == "b")[:few]
    event = np.where(arm == "b", 1 - died, TABLE["e"])
    event[chosen] = died
    seen = view(time="t", event="e", group="arm", levels={"arm": ("a", "b")}, complete=True)
    asked = replace(kaplan_meier.differences(groups=2), view=seen)
    assert code(asked, e=event) == "TOO_FEW_PERSONS"
    assert code(asked) == ""


def test_nothing_of_this_stops_the_honest_analyses():
    network = atoll.Network({"north": TABLE, "river": TABLE | {"age": TABLE["age"][::-1].copy()}}, columns=ALONE)
    assert network.run("glm", formula="cost ~ age + C(arm)", family="gamma", robust="HC0").n == 2 * N
    assert network.run("glm", formula="y ~ age * x", family="binomial").n == 2 * N
    assert network.run("cox", formula="age + x", time="t", event="e").n == 2 * N
    described = network.run("describe", columns=["age", "cost", "visits", "x", "arm"])
    assert described.numbers["cost"]["n"] == 2 * N
