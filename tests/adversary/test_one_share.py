"""Attacks that need one share: each is asked of a real site under the strict policy, and must fail.

The numbers are those of the project's list of attacks. Attacks that compare several releases, or that choose β
gently, are not stopped yet: SECURITY.md says so.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.algorithms import cox, describe, glm, kaplan_meier, registry, survey
from atoll.algorithms.core import Question, SiteFunction
from atoll.errors import StudyError
from atoll.network.codec import decode
from atoll.privacy.disclosure import STRICT
from atoll.privacy.statistics import kinds_of
from atoll.site.runner import Outcome
from atoll.study.coding import resolve
from atoll.study.design import Facts
from atoll.study.dictionary import Column
from atoll.study.formula import parse
from atoll.study.view import Setting, View
from tests.conformance import world as teaching
from tests.unit.answering import Site, view

N = 400
R = np.random.default_rng(11)
COLUMNS = {
    "age": Column("number", unit="a", low=0, high=200),
    "cost": Column("number"),
    "t": Column("number", unit="d"),
    "e": Column("flag"),
    "y": Column("flag"),
    "d": Column("flag"),
    "twin": Column("flag"),
    "rare": Column("flag"),
    "sparse": Column("number", low=0, high=2000),
    "w": Column("number"),
    "sex": Column("category", ("f", "m")),
    "seldom": Column("category", ("a", "b")),
    "gaps": Column("number"),
    "id": Column("person"),
}
TARGET = 17  # the row that every attack is after
ONE = (np.arange(N) == TARGET) * 1.0
TABLE = {
    "age": R.normal(60, 10, N).round(1),
    "cost": R.gamma(2, 500, N).round(2),
    "t": np.ceil(R.exponential(500, N)) + np.arange(N) / 1000,  # every time is one person's
    "e": (R.random(N) < 0.5) * 1.0,
    "y": (R.random(N) < 0.4) * 1.0,
    "d": (R.random(N) < 0.5) * 1.0,
    "rare": ONE,
    "sparse": ONE * 1234.5,
    "w": np.where(ONE == 1, 1e6, 1.0),
    "sex": R.choice(["f", "m"], N),
    "seldom": np.where(np.arange(N) < 3, "b", "a"),
    "gaps": np.where(np.arange(N) < 7, 5.0 + np.arange(N), np.nan),
    "id": np.arange(N),
}
TABLE["twin"] = np.where(ONE == 1, 1 - TABLE["d"], TABLE["d"])


FEW = ("TOO_FEW_PERSONS", "ONE_PERSON")  # too few behind a cell, or one person who decides a fitted value


def site(**more):
    table = TABLE | more.pop("table", {})
    return Site(table, COLUMNS | more.pop("columns", {}), **more)


def modelled(formula, **more):
    design = resolve(parse(formula), Facts(), COLUMNS, ("north",), intercept="~" in formula)
    return View(design=design, outcome=parse(formula).response, **more)


def regression(formula, beta=None, family="gaussian", **more):
    link = {"gaussian": "identity", "binomial": "logit", "poisson": "log"}[family]
    asked = glm.start(family=family, link=link) if beta is None else glm.terms(family=family, link=link, beta=beta)
    return replace(asked, view=modelled(formula, **more))


def outcome(question, **more):
    north = site(**more)
    return north.ask(question, north.permit(question.name.partition(".")[0]))


# ---- A5 power sums


def test_a5_a_third_moment_does_not_leave():
    asked = replace(describe.cubes(numbers=("age",), centre=np.zeros(1)), view=view("age"))
    assert outcome(asked).code == "TOO_MANY_MOMENTS"
    assert outcome(replace(describe.squares(numbers=("age",), centre=np.zeros(1)), view=view("age"))).code == ""


def test_a5_a_power_written_as_a_term_is_summed_over_enough_or_not_at_all():
    few = {"age": np.where(np.arange(N) < 9, TABLE["age"], 0.0)}
    for formula in ("y ~ I(age ** 3)", "y ~ age + I(age ** 2) + I(age ** 4)"):
        assert outcome(regression(formula), table=few).code in (*FEW, "TERM_INTRICATE")


# ---- A7, A8 twin dummies and pair cells


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ d + twin",
        "y ~ I(d - twin)",
        "y ~ d + I(d + twin)",
        "y ~ d:age + twin:age",
        "y ~ age + I(age + 1000 * d) + twin",
        "y ~ rare",
        "y ~ age + rare:age",
        "y ~ sparse",
        "y ~ sex:sparse",
        "y ~ seldom",
        "y ~ seldom * sex",
        "y ~ age:seldom",
    ],
)
@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_a7_a8_a27_a_design_that_holds_the_target_alone_is_refused(formula, family):
    assert outcome(regression(formula, family=family)).code in FEW


def test_a7_the_attack_works_where_the_gate_is_open():
    """So the attack is a real one: X'y of two twins gives the target's outcome."""
    north = site(policy=replace(STRICT, minimum_persons=1, persons_per_parameter=0, residual_dof=0))
    asked = regression("cost ~ d + twin")
    share = north.share(asked, north.ask(asked, north.permit("glm")))
    total = share.score + share.information @ np.zeros(3)  # β = none: the score is X'y
    assert abs(abs(total[1] - total[2]) - TABLE["cost"][TARGET]) < 1e-6


@given(st.integers(0, 10**6), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_a8_no_pair_cell_below_the_minimum_can_be_read(seed, few):
    """Whatever two flags: if any of their four cells holds 1 … 9 persons, Σ xxᵀ does not leave."""
    r = np.random.default_rng(seed)
    a = (r.random(N) < r.uniform(0.1, 0.9)) * 1.0
    b = a.copy() if r.random() < 0.5 else (r.random(N) < r.uniform(0.1, 0.9)) * 1.0
    flip = r.choice(N, few, replace=False)
    b[flip] = 1 - b[flip]
    cells = [int(((a == i) & (b == j)).sum()) for i in (0, 1) for j in (0, 1)]
    smallest = min((n for n in cells if n), default=N)
    got = outcome(regression("cost ~ d + twin"), table={"d": a, "twin": b})
    assert got.code in FEW if smallest < 10 else got.code in ("", "ONE_PERSON")


# ---- T17 the boundary of every expanded column


@pytest.mark.parametrize("persons", [1, 5, 9, 10, 11, 90])
@pytest.mark.parametrize(
    ("formula", "column"),
    [
        ("cost ~ d", lambda k: {"d": (np.arange(N) < k) * 1.0}),
        ("cost ~ d", lambda k: {"d": (np.arange(N) >= k) * 1.0}),
        ("cost ~ age:d", lambda k: {"d": (np.arange(N) < k) * 1.0}),
        ("cost ~ seldom", lambda k: {"seldom": np.where(np.arange(N) < k, "b", "a")}),
        ("cost ~ seldom:age - 1", lambda k: {"seldom": np.where(np.arange(N) < k, "b", "a")}),
        (
            "cost ~ d:twin",
            lambda k: {"d": (np.arange(N) < 200) * 1.0, "twin": ((np.arange(N) < k) | (np.arange(N) > 300)) * 1.0},
        ),
        ("cost ~ sparse", lambda k: {"sparse": (np.arange(N) < k) * 3.25}),
        (
            "cost ~ bs(age, knots=[50], degree=1, lower_bound=0, upper_bound=100)",
            lambda k: {"age": np.where(np.arange(N) < k, 60.0, 40.0)},
        ),
        ("cost ~ I(sqrt(sparse) * 3)", lambda k: {"sparse": (np.arange(N) < k) * 4.0}),
    ],
)  # fmt: skip
def test_t17_nine_are_refused_and_ten_pass(formula, column, persons):
    code = outcome(regression(formula), table=column(persons)).code
    if persons < 10:
        assert code in FEW
    elif "age" not in formula or persons > 11:
        assert code == ""
    else:  # ten persons of different age: one of them may weigh more than a tenth
        assert code in ("", *FEW)


@pytest.mark.parametrize("persons", [1, 9, 10])
@pytest.mark.parametrize("event", [0.0, 1.0])
@pytest.mark.parametrize("algorithm", ["glm", "gaussian", "poisson", "cox", "performance"])
def test_t17_events_and_non_events(algorithm, event, persons):
    if algorithm == "poisson" and event == 0.0:
        event = 1.0
    column = np.where(np.arange(N) < persons, event, 1 - event)
    code = "TOO_FEW_PERSONS" if persons < 10 else ""
    model = {"terms": ["Intercept", "age"], "coefficients": [-3.0, 0.04], "link": "logit"}
    table = {"e": column, "y": column}
    north = site(table=table)
    got = {
        "glm": lambda: north.first("glm", formula="y ~ age", family="binomial"),
        "gaussian": lambda: north.first("glm", formula="y ~ age"),
        "poisson": lambda: north.first("glm", formula="y ~ age", family="poisson"),
        "cox": lambda: north.first("cox", formula="age", time="t", event="e"),
        "performance": lambda: north.first("performance", model=model, outcome="y"),
    }[algorithm]()
    if (algorithm, event, persons) == ("cox", 1.0, 10):
        code = "TOO_MANY_PARAMETERS"  # ten events are enough to be counted, and too few for a term
    assert got.code == code


@pytest.mark.parametrize("event", [0.0, 1.0])
def test_an_outcome_that_all_share_is_everybodys_outcome(event):
    table = {"e": np.full(N, event), "y": np.full(N, event)}
    assert site(table=table).first("glm", formula="y ~ age", family="binomial").code == "TOO_FEW_PERSONS"
    assert site(table=table).first("cox", formula="age", time="t", event="e").code == "TOO_FEW_PERSONS"


def test_a_flag_cannot_be_counted_as_a_sum():
    for asked in (
        replace(describe.sums(numbers=("rare",), categories=()), view=view("rare")),
        replace(describe.squares(numbers=("rare",), centre=np.zeros(1)), view=view("rare")),
        replace(survey.moments(columns=("rare",)), view=view("rare")),
    ):
        north = site()
        assert north.ask(asked, north.permit("describe")).code == "TOO_FEW_PERSONS", asked.name
    north = site()
    assert north.first("describe", columns=["rare"]).subject == "rare"


# ---- A9, A26: all weight on one patient in one question


@pytest.mark.parametrize("steep", [5.0, 40.0, 1e3, -40.0])
def test_a9_a_steep_beta_that_leaves_one_patient_in_the_weights_is_refused(steep):
    order = np.sort(TABLE["age"])
    middle = (order[-1] + order[-2]) / 2 if steep > 0 else (order[0] + order[1]) / 2
    beta = np.array([-steep * middle, steep]) * (10 if abs(steep) < 10 else 1)
    assert outcome(regression("y ~ age", beta, "binomial")).code in ("TOO_FEW_PERSONS", "NOT_FINITE")
    given_model = {"terms": ["Intercept", "age"], "coefficients": [float(v) for v in beta], "link": "logit"}
    assert site().first("performance", model=given_model, outcome="y").code in FEW


def test_a9_an_honest_beta_is_answered():
    assert outcome(regression("y ~ age", np.array([-3.0, 0.04]), "binomial")).code == ""


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_a26_an_offset_that_weighs_one_patient_is_refused(family):
    beta = np.array([0.0, 0.0])
    heavy = {"w": np.where(ONE == 1, 0.0, 50.0 if family == "binomial" else -50.0)}
    got = outcome(regression("y ~ age", beta, family, offset="w"), table=heavy)
    assert got.code == "TOO_FEW_PERSONS"


def test_a9_a_steep_hazard_is_refused():
    asked = replace(cox.within(ties="efron", beta=np.array([5.0])), view=modelled("age", time="t", event="e"))
    assert outcome(asked).code == "TOO_FEW_PERSONS"


# ---- A13, A14 exact times


@pytest.mark.parametrize("asked", [kaplan_meier.distinct_times(), cox.event_times()])
def test_a13_a14_distinct_times_do_not_leave(asked):
    assert outcome(replace(asked, view=view(time="t", event="e", complete=True))).code == "EXACT_VALUES"


@pytest.mark.parametrize("step", [0.5, 1.0, 7.0, 29.0])
def test_a13_a14_a_grid_finer_than_a_month_is_refused(step):
    grid = np.arange(1, 60) * step
    table = replace(kaplan_meier.life_table(grid=grid, groups=1), view=view(time="t", event="e", complete=True))
    assert outcome(table).code == "GRID_TOO_FINE"
    sums = cox.leaving(grid=grid, exact=False, strata=1, beta=np.zeros(1), centre=np.zeros(1))
    assert outcome(replace(sums, view=modelled("age", time="t", event="e"))).code == "GRID_TOO_FINE"


def test_a14_a_month_with_few_patients_is_refused():
    table = {"t": np.where(np.arange(N) < 4, 15.0, 400.0), "e": np.ones(N)}
    asked = kaplan_meier.life_table(grid=np.array([30.0, 365.0, 730.0]), groups=1)
    assert outcome(replace(asked, view=view(time="t", event="e", complete=True)), table=table).code == "TOO_FEW_PERSONS"


def test_a13_the_sums_of_a_cell_are_those_that_its_persons_allow():
    """Thirty persons in an interval and five terms: their moments would hold more than a model of them may."""
    time = np.where(np.arange(N) < 30, 40.0, 400.0)
    table = {"t": time, "e": (np.arange(N) % 2) * 1.0}
    design = modelled("age + cost + d + w + gaps", time="t", event="e")
    asked = cox.leaving(grid=np.array([100.0, 500.0]), exact=False, strata=1, beta=np.zeros(5), centre=np.zeros(5))
    more = {"gaps": R.normal(size=N), "w": R.normal(size=N)}
    assert outcome(replace(asked, view=design), table=table | more).code == "TOO_MANY_PARAMETERS"


# ---- A18, A25 few rows


def _first(name, options, n):
    """What a site of n patients of the teaching table answers first; nobody asks it what is for public data alone."""
    try:
        return Site(teaching.world(n, n), teaching.COLUMNS).first(name, **options)
    except StudyError as error:
        return Outcome(code=error.code)


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("name", registry.names())
def test_a18_a_site_of_few_patients_says_nothing(name, n):
    refused = set()
    for options in registry.module(name).EXAMPLES:
        got = _first(name, options, n)
        if getattr(registry.module(name), "TELLS_OF_FEW", False):  # the same for any few as for nobody
            assert got.payload == _first(name, options, 0).payload != b""
            continue
        assert got.payload == b""
        refused.add(got.code)
    assert refused <= {*FEW, "TOO_MANY_PARAMETERS", "EXACT_VALUES", "GRID_NEEDED"}
    assert not refused or refused & {*FEW, "TOO_MANY_PARAMETERS"}


def test_a25_a_variable_that_is_missing_for_all_but_a_few_is_refused():
    assert outcome(regression("cost ~ gaps")).code in (*FEW, "TOO_MANY_PARAMETERS")
    assert (
        outcome(replace(describe.sums(numbers=("gaps",), categories=()), view=view("gaps"))).code == "TOO_FEW_PERSONS"
    )


def test_t37_one_patient_with_many_rows_is_one_patient():
    table = {"id": np.where(np.arange(N) < 30, 0, np.arange(N)), "d": (np.arange(N) < 30) * 1.0}
    assert outcome(regression("cost ~ d"), table=table).code in FEW
    table = {"id": np.arange(N) // 50}  # eight persons
    for asked in (regression("cost ~ age"), replace(describe.sums(numbers=("age",), categories=()), view=view("age"))):
        assert outcome(asked, table=table).code in (*FEW, "TOO_MANY_PARAMETERS")


# ---- A21 no smallest or largest value


def test_a21_no_record_has_a_field_for_an_extreme_and_no_exact_value_leaves():
    north = site()
    for name in ("age", "cost"):
        ends = replace(survey.ends(column=name), view=view(name))
        assert north.ask(ends, north.permit("describe")).code == "EXACT_VALUES"


@given(st.integers(0, 10**6), st.floats(0.1, 30))
@settings(max_examples=30, deadline=None)
def test_a21_moving_the_extremes_outwards_changes_no_histogram(seed, step):
    r = np.random.default_rng(seed)
    age = r.normal(60, 10, N)
    edges = np.sort(r.uniform(age.min() - 5, age.max() + 5, (1, 15)))
    asked = replace(describe.histogram(numbers=("age",), edges=edges), view=view("age"))
    moved = age.copy()
    moved[age.argmax()] += step
    moved[age.argmin()] -= step
    payloads = {outcome(asked, table={"age": values}).payload for values in (age, moved)}
    assert len(payloads) == 1


def test_a21_edges_around_the_largest_value_do_not_find_it():
    largest = TABLE["cost"].max()
    inner = np.array([[largest - 1.0, largest - 0.5, largest - 0.01, largest + 0.01, largest + 0.5]])
    asked = replace(describe.histogram(numbers=("cost",), edges=inner), view=view("cost"))
    north = site()
    share = north.share(asked, north.ask(asked, north.permit("describe")))
    assert np.flatnonzero(share.low[0]).tolist() == [0]
    assert np.flatnonzero(share.high[0]).tolist() == [5]


def test_a21_a_spline_ends_at_round_numbers_not_at_extremes():
    """Within the allowed range the ends are mean ± 2 SD, whoever the oldest is."""
    rounds = survey.survey(Setting(("north",), False, {"age": Column("number")}), quantiles_of={"age": (0.5,)})
    asked = next(rounds)
    moments = site().share(asked, outcome(replace(asked, view=view("age"))))
    edges = rounds.send(moments).arguments["edges"][0]
    mean, sd = TABLE["age"].mean(), TABLE["age"].std(ddof=1)
    np.testing.assert_allclose(edges[[0, -1]], [mean - 2 * sd, mean + 2 * sd])


# ---- A32 the error oracle


@pytest.mark.parametrize("value", [1e300, -5.0, 12345.678, float("inf")])
def test_a32_a_refusal_depends_on_the_fact_and_not_on_the_value(value):
    table = {"t": np.where(ONE == 1, -abs(value), TABLE["t"]), "cost": np.where(ONE == 1, float("inf"), TABLE["cost"])}
    for asked in (
        regression("y ~ cost"),
        replace(cox.within(ties="efron", beta=np.zeros(1)), view=modelled("age", time="t", event="e")),
    ):
        north = site(table=table)
        got = north.ask(asked, north.permit(asked.name.partition(".")[0]))
        assert got.code in ("NOT_FINITE", "DATA_INVALID")
        assert got.subject in ("cost", "t")
        assert got.payload == b""


# ---- A35, A36: what the hub sets changes nothing


@pytest.mark.parametrize("field", ["minimum", "minimum_persons", "policy", "public", "rounding", "threads"])
def test_a35_a_question_cannot_carry_a_limit(field):
    asked = regression("cost ~ age")
    asked = Question(asked.name, {**asked.arguments, field: 1}, asked.view)
    assert outcome(asked).code == "SITE_FAILED"


@pytest.mark.parametrize("participants", [("north", "river"), ("river",), (), ("north", "north")])
def test_a35_other_participants_than_the_study_names_are_refused(participants):
    north = site()
    assert north.ask(regression("cost ~ age"), north.permit("glm"), participants=participants).code == "NOT_PERMITTED"


def test_a36_a_question_that_differs_in_one_byte_is_refused():
    north = site()
    assert north.ask(regression("cost ~ age"), north.permit("glm"), question_hash="0" * 64).code == "HASH_MISMATCH"


# ---- T16, T26 everything that leaves


@pytest.mark.parametrize("name", registry.names())
def test_whatever_leaves_is_a_record_of_kinds_with_no_small_number_of_persons(name):
    asking = (registry.module(name), survey)
    records = [f.answers for module in asking for f in vars(module).values() if isinstance(f, SiteFunction)]
    answered = [got for options in asking[0].EXAMPLES if not (got := _first(name, options, 3_000)).code]
    assert answered
    for got in answered:
        share = next(s for record in records if (s := _decoded(got.payload, record)) is not None)
        for field, kind in kinds_of(type(share)).items():
            value = getattr(share, field)
            if kind.name in ("count", "table", "tally"):
                persons = np.asarray(list(value.values()) if isinstance(value, dict) else value)
                assert ((persons == 0) | (persons >= 10)).all()
                assert (persons % 5 == 0).all()
            if kind.name in ("witness", "weights"):
                assert value == {}


def _decoded(payload, cls):
    from atoll.errors import NotPermitted

    try:
        return decode(payload, cls)
    except NotPermitted:
        return None


def test_a_level_of_few_persons_is_described_together_with_others():
    north = site()
    asked = replace(describe.sums(numbers=(), categories=("seldom",)), view=view("seldom"))
    share = north.share(asked, north.ask(asked, north.permit("describe")))
    assert share.levels == {"seldom=…": 400}, "three of b go together with all of a: no margin tells them"
