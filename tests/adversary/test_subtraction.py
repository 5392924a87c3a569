"""What one sum of a model less another tells of few persons: each is asked of a real site, and must fail.

No single entry of Σ xxᵀ is a few persons' here; the difference of two of them is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import atoll
from atoll.algorithms import cox, describe, glm, performance, survey
from atoll.features.crossed import Crossing, crossings
from atoll.features.products import products_of
from atoll.study.coding import resolve
from atoll.study.design import Facts
from atoll.study.dictionary import Column
from atoll.study.formula import parse
from atoll.study.view import View
from tests.adversary.test_dominance import ALONE, TABLE, TARGET, N, code

R = np.random.default_rng(23)
ROW = np.arange(N)
COLUMNS = ALONE | {
    "male": Column("flag"),
    "statin": Column("flag"),
    "smoker": Column("flag"),
    "packs": Column("number", low=0, high=300),
    "years": Column("number", low=0, high=100),
    "score": Column("number"),
    "ward": Column("category", ("a", "b", "c")),
}
MALE, STATIN, SMOKER = (ROW % 2) * 1.0, (ROW // 2 % 2) * 1.0, (ROW // 4 % 2) * 1.0
HONEST = {
    "male": MALE,
    "statin": STATIN,
    "smoker": SMOKER,
    "packs": SMOKER * R.gamma(4, 8, N).round(1),
    "years": R.uniform(1, 40, N).round(1),
    "score": R.normal(20, 4, N).round(1),
    "ward": np.array(["a", "b", "c"])[ROW % 3],
}
FEW = ("TOO_FEW_PERSONS", "ONE_PERSON", "TOLD_APART")
WARDS = {"ward": ("a", "b", "c")}


def asked(formula, family="gaussian", function=glm.terms, beta=None, columns=COLUMNS, levels=WARDS):
    outcome = parse(formula).response
    design = resolve(parse(formula), Facts(levels=levels), columns, ("north",))
    link = {"gaussian": "identity", "binomial": "logit", "poisson": "log", "gamma": "log"}[family]
    model = {"family": family, "link": link}
    question = glm.start(**model) if beta is None else function(**model, beta=beta)
    return replace(question, view=View(design=design, outcome=outcome))


def told(question, **table):
    return code(question, columns=COLUMNS, **HONEST | table)


def but(column, few, otherwise):
    """The column, but for `few` persons, the target among them."""
    return np.where((ROW >= TARGET) & (TARGET + few > ROW), otherwise, column)


# ---- a number beside a level


def test_the_attack_works_where_the_gate_is_open():
    packs, male = HONEST["packs"], np.where(SMOKER == 1, but(1.0, 1, 0.0), MALE)
    packs = but(packs, 1, 33.5)
    network = atoll.Network(
        {"north": TABLE | HONEST | {"packs": packs, "male": male}}, columns=COLUMNS, policy="public"
    )
    fit = network.run("glm", formula="cost ~ male + packs", family="gaussian")
    G = np.linalg.inv(fit.cov / fit.dispersion)
    assert G[0, 2] - G[1, 2] == pytest.approx(packs[(male == 0)].sum(), abs=1e-6)


@pytest.mark.parametrize("few", [1, 2, 9])
@pytest.mark.parametrize("formula", ["cost ~ male + packs", "cost ~ packs + C(ward) + male", "y ~ male + sqrt(packs)"])
def test_few_outside_a_level_who_have_a_number(formula, few):
    """Of the women a few smoke."""
    packs = np.where(MALE == 1, HONEST["packs"], 0.0)
    women = np.flatnonzero(MALE == 0)
    packs[women[:few]] = 30.0 + np.arange(few)
    assert told(asked(formula), packs=packs) in FEW
    packs[women[:40]] = 30.0 + R.gamma(2, 8, 40)
    assert told(asked(formula), packs=packs) == ""


# ---- a cell that no term names


@pytest.mark.parametrize("few", [1, 2, 9])
@pytest.mark.parametrize("formula", ["cost ~ male * statin + smoker * age", "cost ~ male * statin + smoker * C(ward)"])
def test_few_in_a_cell_of_three_columns(formula, few):
    cell = (MALE == 1) & (STATIN == 0) & (SMOKER == 1)
    smoker = np.where(cell, 0.0, SMOKER)
    smoker[np.flatnonzero(cell)[:few]] = 1.0
    packs = smoker * HONEST["years"]
    assert told(asked(formula), smoker=smoker, packs=packs) in FEW
    assert told(asked(formula)) == ""


def test_which_cells_are_crossed():
    def of(formula, pairs=True):
        design = resolve(parse(formula), Facts(), COLUMNS, ("north",))
        return crossings(products_of(design, COLUMNS), COLUMNS, pairs)

    def spans(formula):
        return [(c.spans[0][1], c.spans[0][2]) for c in of("cost ~ " + formula)]

    assert of("cost ~ male + statin + smoker + age") == [], "pairs of levels are counted anyhow"
    assert of("cost ~ male * statin + age:smoker") == [Crossing(("male", "smoker", "statin"))]
    cubic = "bs(age, knots=[50, 60], lower_bound=40, upper_bound=80{})"
    assert spans(cubic.format(", extrapolation='clip'")) == [(40, 50), (40, 60), (40, 80), (50, 80), (60, 80)]
    assert spans(cubic.format("")) == [(-np.inf, 50), (60, np.inf)]
    line = "bs(age, knots=[50, 60], degree=1, lower_bound=40, upper_bound=80)"
    assert spans(line) == [(-np.inf, 50), (50, 60), (60, np.inf)]
    assert spans("abs(2 * age - 100)") == spans("I(abs(age - 50))") == [(-np.inf, 50), (50, np.inf)]
    within = {c.levels for c in of(f"cost ~ {line}:male + statin:smoker") if c.spans}
    assert within == {("male",), ("male", "smoker", "statin")}
    alone = {c.levels for c in of(f"cost ~ {line}:male + statin:smoker", pairs=False) if c.spans}
    assert alone == {("male",)}
    assert Crossing((), (("age", -np.inf, 50.0), ("years", 20.0, np.inf))) in of(f"cost ~ {line} + abs(years - 20)")


def test_more_cells_than_can_be_counted_are_refused():
    words = tuple(f"w{i}" for i in range(40))
    wide = {name: Column("category", words) for name in ("u", "v", "w")}
    facts = Facts(levels=dict.fromkeys(wide, words))
    design = resolve(parse("cost ~ C(u):C(v):age + C(w):age"), facts, COLUMNS | wide, ("north",))
    question = replace(asked("cost ~ age"), view=View(design=design, outcome="cost"))
    table = {name: np.array(words)[ROW % 40] for name in wide}
    assert code(question, columns=COLUMNS | wide, **HONEST | table) == "TERM_INTRICATE"


# ---- a spline within a level


RAMP = "bs(age, df=1, degree=1, lower_bound=50, upper_bound=70, extrapolation='clip')"


@pytest.mark.parametrize("few", [1, 9])
@pytest.mark.parametrize("formula", [f"cost ~ {RAMP} + male", f"y ~ male:statin + {RAMP}"])
def test_few_between_the_knots_within_a_level(formula, few):
    inside, level = (TABLE["age"] > 50) & (TABLE["age"] < 70), (MALE == 1) & (STATIN == 1)
    age = np.where(inside & level, np.where(ROW % 3 == 0, 45.0, 75.0), TABLE["age"])
    age = np.where(inside & (MALE == 1) & (STATIN == 0), 44.0, age) if "statin" not in formula else age
    age[np.flatnonzero(inside & level)[:few]] = 61.7
    assert told(asked(formula), age=age) in FEW
    assert told(asked(formula)) == ""


@pytest.mark.parametrize("few", [1, 2])
def test_few_cases_in_the_part_of_a_spline_that_its_terms_leave_out(few):
    """All cases are old but these: Σy less that of all basis functions is theirs alone."""
    curve = "bs(age, knots=[50], degree=1, lower_bound=30, upper_bound=90)"
    y = np.where(TABLE["age"] < 50, 0.0, TABLE["y"])
    y[np.flatnonzero(TABLE["age"] < 45)[:few]] = 1.0
    assert told(asked(f"y ~ {curve}", "binomial"), y=y) in FEW
    assert told(asked(f"y ~ {curve}", "binomial")) == ""
    male = np.where(TABLE["age"] < 50, 0.0, MALE)
    male[np.flatnonzero(TABLE["age"] < 45)[:few]] = 1.0
    assert told(asked(f"cost ~ {curve} + male"), male=male) in FEW


RISE = "bs(age, knots=[50], degree=1, lower_bound=30, upper_bound=90)"


@pytest.mark.parametrize(
    ("formula", "outcome"),
    [(f"cost ~ male:{RAMP} + statin + {RAMP} + male", False),  # its levels stand in two terms
     (f"cost ~ {RAMP} + bs(years, df=1, degree=1, lower_bound=10, upper_bound=15, extrapolation='clip')", False),
     ("cost ~ male + I(abs(age - 50)) + age", False), (f"y ~ {RAMP}", True), ("y ~ age + I(abs(age - 60))", True)],
)  # fmt: skip
@pytest.mark.parametrize("few", [1, 2, 9])
def test_few_in_a_span_that_another_term_or_the_outcome_cuts(formula, outcome, few):
    here = (TABLE["age"] > 50) & (TABLE["age"] < 70) if "abs" not in formula else TABLE["age"] > (60 if outcome else 50)
    cell = {"statin": (MALE == 1) & (STATIN == 1), "years": (HONEST["years"] > 10) & (HONEST["years"] < 15)}
    cut = next((where for name, where in cell.items() if name in formula), (MALE == 1) & (STATIN == 1))
    cut = TABLE["y"] == 1 if outcome else MALE == 1 if "abs" in formula else cut
    out = np.flatnonzero(here & cut)[few:]
    age = TABLE["age"].copy()
    age[out] = 45.0 if "abs" in formula else np.where(out % 2, 45.0, 75.0)
    family = "binomial" if outcome else "gaussian"
    assert told(asked(formula, family), age=age) in FEW
    assert told(asked(formula, family)) == ""


# ---- one person by any combination of sums


@pytest.mark.parametrize("formula", ["score ~ smoker + age", "score ~ smoker * male + age", "cost ~ score + smoker"])
def test_a_number_that_a_level_gives_but_for_one(formula):
    """15 for all smokers, and 13 for one of them."""
    score = np.where(SMOKER == 1, 15.0, HONEST["score"])
    assert told(asked(formula), score=but(score, 1, 13.0), smoker=but(SMOKER, 1, 1.0)) in FEW


def test_one_who_is_most_of_a_sum_within_a_level():
    """Among all packs of a few are no more than others'; among the women they are nearly everything."""
    packs = np.where(MALE == 1, R.gamma(4, 10, N), 0.01 + ROW % 7 / 1000)
    packs[np.flatnonzero(MALE == 0)[3]] = 47.0
    assert told(asked("cost ~ male + packs"), packs=packs) in FEW
    assert told(asked("cost ~ male + packs"), packs=R.gamma(4, 10, N)) == ""


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_a_product_that_a_third_column_gives_but_for_one(family):
    """Pack-years are packs times years, but for one: Σ packs · years − Σ pack-years is that person's error."""
    packs = 1 + R.gamma(4, 1, N).round(1)
    question = asked("cost ~ packs + years + score", family)
    assert told(question, packs=packs, score=but(packs * HONEST["years"], 1, 55.0)) in FEW
    assert told(question, packs=packs) == ""


@pytest.mark.parametrize("few", [1])
def test_robust_errors_sum_pairs_by_outcome(few):
    """Of the cases who smoke and are men one is old enough to be told by Σ (y − μ)² male · packs."""
    y = np.where((SMOKER == 1) & (MALE == 1), 0.0, TABLE["y"])
    y[np.flatnonzero((SMOKER == 1) & (MALE == 1))[:few]] = 1.0
    packs = SMOKER * (20 + R.gamma(4, 8, N).round(1))
    beta = np.array([-1.0, 0.1, 0.01])
    assert told(asked("y ~ male + packs", "binomial", glm.meat, beta), y=y, packs=packs) in FEW
    assert told(asked("y ~ male + packs", "binomial", glm.meat, beta), packs=packs) == ""


def test_a_model_that_is_judged_sums_its_pairs_too():
    """Scores at many coefficients are sums over pairs of its terms."""
    packs = np.where(MALE == 1, HONEST["packs"], 0.0)
    packs[np.flatnonzero(MALE == 0)[0]] = 31.0
    design = resolve(parse("y ~ male + packs"), Facts(), COLUMNS, ("north",))
    question = replace(
        performance.scores(beta=np.array([-1.0, 0.1, 0.01]), link="logit"), view=View(design=design, outcome="y")
    )
    assert told(question, packs=packs) in FEW
    assert told(question) == ""


def test_in_an_interval_of_risk_sets_over_hospitals_too():
    """Everybody who leaves early is a man if he smokes, but for one woman; late it is as it is."""
    early = ROW < 480
    packs = np.where(early & (MALE == 0), 0.0, 10 + HONEST["years"])
    packs[8] = 31.0
    time = np.where(early, 40.0, 400.0)
    design = resolve(parse("male + packs"), Facts(), COLUMNS, ("north",), intercept=False)
    view = View(design=design, time="t", event="e")
    question = replace(
        cox.leaving(grid=np.array([100.0]), exact=False, strata=1, beta=np.zeros(2), centre=np.zeros(2)), view=view
    )
    event = (ROW // 2 % 2) * 1.0
    assert told(question, t=time, e=event, packs=packs) in FEW
    assert told(question, t=time, e=event, packs=10 + HONEST["years"]) == ""


def leaving(formula, terms):
    """What leaves over hospitals, at two intervals: those who leave early, and late."""
    design = resolve(parse(formula), Facts(), COLUMNS, ("north",), intercept=False)
    ask = cox.leaving(grid=np.array([100.0]), exact=False, strata=1, beta=np.zeros(terms), centre=np.zeros(terms))
    return replace(ask, view=View(design=design, time="t", event="e"))


def test_a_number_that_a_level_gives_but_for_one_in_an_interval():
    """Early 15 for all smokers and 13 for one; late it is as it is."""
    early, event = ROW < 300, (ROW // 8 % 2) * 1.0
    even = 12.0 + ROW % 9
    score = np.where(early & (SMOKER == 1), 15.0, even)
    table = {"t": np.where(early, 40.0, 400.0), "e": event}
    one = np.flatnonzero(early & (SMOKER == 1))[3]
    assert told(leaving("smoker + score", 2), score=np.where(one == ROW, 13.0, score), **table) in FEW
    assert told(leaving("smoker + score", 2), score=score, **table) == "", "by one person alone"
    assert told(leaving("smoker + score", 2), score=even, **table) == ""


@pytest.mark.parametrize("few", [1, 9])
def test_few_in_a_cell_of_three_columns_in_an_interval(few):
    early, event = ROW < 400, (ROW // 8 % 2) * 1.0
    cell = early & (MALE == 1) & (STATIN == 0) & (SMOKER == 1)
    smoker = np.where(cell, 0.0, SMOKER)
    smoker[np.flatnonzero(cell)[::5][:few]] = 1.0
    table = {"t": np.where(early, 40.0, 400.0), "e": event}
    formula = "male + statin + male:statin + smoker"
    assert told(leaving(formula, 4), smoker=smoker, **table) in FEW
    assert told(leaving(formula, 4), **table) == ""


# ---- sums of whole numbers


@pytest.mark.parametrize("few", [1, 2, 9])
@pytest.mark.parametrize("question", ["describe", "survey", "x²"])
def test_few_whose_square_is_not_what_everybody_elses_is(question, few):
    """Of numbers that are 0 or 1 for all but a few, Σ v² − Σ v is theirs; and of w = v² but for one, Σ w − Σ v²."""
    counts = but(ROW % 2 * 1.0, few, 4.0 + ROW % 3)
    table, names = {"score": counts}, ("score",)
    if question == "x²":
        table, names = {"packs": HONEST["years"], "score": but(HONEST["years"] ** 2, 1, 7.0)}, ("packs", "score")
    view = View(names)
    ask = (
        survey.moments(columns=names)
        if question == "survey"
        else describe.squares(numbers=names, centre=np.zeros(len(names)))
    )
    assert told(replace(ask, view=view), **table) in FEW
    assert told(replace(ask, view=view), **{name: R.normal(20, 4, N) for name in names}) == ""


@pytest.mark.parametrize("few", [1, 9])
@pytest.mark.parametrize(
    "term", ["log(score + 1)", "sqrt(score)", "I(1 / (score + 1))", "bs(score, df=3, lower_bound=0, upper_bound=4)"]
)
def test_how_many_have_each_of_few_values_is_not_factored(term, few):
    """exp Σ log(1 + v) is a whole number, whose factors say how many have each v; with ages it says theirs."""
    columns = COLUMNS | {"score": Column("number", low=0, high=30)}
    facts = Facts(levels={"ward": ("a", "b", "c")})

    def at(formula, score, **more):
        design = resolve(parse(formula), facts, columns, ("north",))
        question = replace(asked("cost ~ age"), view=View(design=design, outcome=parse(formula).response))
        return code(question, columns=columns, **HONEST | {"score": score} | more)

    score = (ROW % 4) * 1.0
    assert at(f"cost ~ age + male + {term}", but(score, few, 4.0)) in FEW
    assert at(f"cost ~ age + male + {term}", np.where(ROW % 40 == 0, 4.0, score)) == ""
    women = np.where(MALE == 1, np.where(ROW % 20 == 1, 4.0, score), score)
    women[np.flatnonzero(MALE == 0)[:few]] = 4.0
    assert at(f"cost ~ age + male + {term}", women) in FEW, "of the women few have the value"
    many = R.uniform(0, 20, N).round(2)
    assert at(f"cost ~ age + male + {term.replace('=4', '=20')}", many) == "", "of many values nothing is solved"


def test_a_flag_that_holds_another_number_is_not_summed():
    asked_of = replace(describe.sums(numbers=("male",), categories=()), view=View(("male",)))
    assert told(asked_of, male=np.where(ROW % 5 == 0, 0.37, MALE)) == "WRONG_TYPE"
    assert told(asked_of) == ""


# ---- a number that is nought for many, an offset, a logarithm from the start


@pytest.mark.parametrize("few", [1, 6, 9])
@pytest.mark.parametrize("formula", ["y ~ age + packs", "y ~ age + male * packs", "cost ~ age + packs"])
def test_few_cases_who_have_a_number(formula, few):
    """Σ packs · y is over the cases who smoke; less that of the men it is over the women."""
    smokes = (SMOKER == 1) & (MALE == 0 if "male" in formula else True)
    packs = HONEST["packs"] + SMOKER
    y = np.where(smokes, 0.0, TABLE["y"])
    cost = np.where(smokes, 0.0, TABLE["cost"])
    y[np.flatnonzero(smokes)[:few]], cost[np.flatnonzero(smokes)[:few]] = 1.0, 300.0 + np.arange(few)
    family = "binomial" if formula[0] == "y" else "gaussian"
    assert told(asked(formula, family), y=y, cost=cost, packs=packs) in FEW
    assert told(asked(formula, family), packs=packs) == ""


@pytest.mark.parametrize("few", [1, 3, 9])
def test_few_of_a_cell_who_have_a_number(few):
    """Σ packs · statin less Σ packs · male · statin."""
    cell = (SMOKER == 1) & (MALE == 0) & (STATIN == 1)
    packs = np.where(cell, 0.0, HONEST["packs"] + SMOKER)
    packs[np.flatnonzero(cell)[:few]] = 20.0 + np.arange(few)
    assert told(asked("cost ~ age + male * packs + statin"), packs=packs) in FEW
    assert told(asked("cost ~ age + male * packs + statin"), packs=HONEST["packs"] + SMOKER) == ""


@pytest.mark.parametrize("few", [1, 3, 9])
@pytest.mark.parametrize("kind", ["nought but for few women", "logarithms of whole years"])
def test_an_offset_that_few_have_is_counted_as_a_term_is(kind, few):
    columns = {**COLUMNS, "log_years": Column("number")}
    years = 1.0 + ROW % 4 if kind[0] == "l" else np.where(MALE == 1, 1.0 + ROW % 8 // 2, 1.0)
    honest = 1.0 + R.uniform(0, 4, N)
    rare = years.copy()
    rare[np.flatnonzero(MALE == 0)[:few]] = 5.0
    design = resolve(parse("visits ~ age + male"), Facts(), columns, ("north",))
    question = glm.start(family="poisson", link="log")
    question = replace(question, view=View(design=design, outcome="visits", offset="log_years"))
    assert code(question, columns=columns, **HONEST | {"log_years": np.log(rare)}) in FEW
    assert code(question, columns=columns, **HONEST | {"log_years": np.log(honest)}) == ""


@pytest.mark.parametrize("formula", ["cost ~ age + score", "score ~ age + male"])
def test_a_column_that_is_a_logarithm_already_is_not_factored(formula):
    score = np.log(but(1.0 + ROW % 4, 3, 5.0))
    assert told(asked(formula), score=score) in FEW
    assert told(asked(formula), score=np.log(1.0 + ROW % 5)) == ""
    assert told(asked(formula), score=np.log(1.0 + R.uniform(0, 4, N))) == ""


@pytest.mark.parametrize("formula", ["cost ~ male * score", "score ~ age + male"])
def test_few_outside_the_commonest_values_of_a_level_or_of_an_outcome(formula):
    """Σ v(v − 1) of the women, of whom three have more than one."""
    counts = ROW // 4 % 2 * 1.0
    counts[np.flatnonzero(MALE == 1)[::3]] = 2.0 if formula[0] == "c" else 1.0
    counts[np.flatnonzero(MALE == 0)[:3]] = 3.0 + np.arange(3)
    assert told(asked(formula), score=counts) in FEW
    assert told(asked(formula), score=ROW % 5 * 1.0) == ""


@pytest.mark.parametrize("few", [2, 6, 9])
@pytest.mark.parametrize(
    ("formula", "family"),
    [("cost ~ age + male + score", "gaussian"), ("y ~ age + score", "binomial"),
     ("visits ~ age + score", "poisson"), ("y ~ age + I(15 - score)", "binomial"),
     ("cost ~ male + bs(score, df=3, lower_bound=0, upper_bound=80)", "gaussian")],
)  # fmt: skip
def test_few_above_a_limit_that_most_lie_at(formula, family, few):
    """Σ score · male − 5 Σ male is that of the men above the limit of detection; so with cases, and with 15 − score."""
    limit = 15.0 if "15" in formula else 5.0
    above = R.random(N) < 0.4
    whose = {"cost": MALE == 1, "y": TABLE["y"] == 1, "visits": TABLE["visits"] > 0}[formula.split()[0]]
    many = np.where(above, limit + R.uniform(1, 60, N).round(2), limit)
    score = np.where(whose, limit, many)
    score[np.flatnonzero(whose)[:few]] = limit + 7.13 + np.arange(few)
    assert told(asked(formula, family), score=score) in FEW
    assert told(asked(formula, family), score=many) == ""


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
@pytest.mark.parametrize("few", [2, 4, 9])
def test_robust_errors_of_an_outcome_that_few_of_a_cell_have(family, few):
    """Σ (y − μ)² male · statin less n μ² is of those of the cell who have any."""
    cell = (MALE == 1) & (STATIN == 1)
    visits = np.where(cell, 0.0, TABLE["visits"])
    visits[np.flatnonzero(cell)[:few]] = 3.0 + np.arange(few)
    beta = np.array([0.5, 0.1, 0.1])
    assert told(asked("visits ~ male + statin", family, glm.meat, beta), visits=visits) in FEW
    assert told(asked("visits ~ male + statin", family, glm.meat, beta)) == ""


def test_a_limit_is_found_for_all_rows_and_not_chunk_by_chunk(monkeypatch):
    """In no chunk of a table that is sorted do most lie at the limit where few lie above it."""
    order = np.argsort(TABLE["y"], kind="stable")
    many = np.where(R.random(N) < 0.5, 5.0, 5.0 + R.gamma(2, 9, N).round(2))
    score = np.where(TABLE["y"] == 1, 5.0, many)
    score[np.flatnonzero(TABLE["y"] == 1)[:4]] = [9.5, 11.5, 8.25, 7.75]
    monkeypatch.setattr("atoll.site.runner.CHUNK", 50)
    table = {name: values[order] for name, values in (TABLE | HONEST | {"score": score}).items()}
    assert code(asked("y ~ age + score", "binomial"), columns=COLUMNS, **table) in FEW
    table["score"] = many[order]
    assert code(asked("y ~ age + score", "binomial"), columns=COLUMNS, **table) == ""
