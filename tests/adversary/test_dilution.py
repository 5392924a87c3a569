"""One person's value behind the point of sums that are whole numbers otherwise, or in the cell of a single case.

Weight alone does not show such a person: a column may be almost a flag, and a level may hold a hundred who are well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import atoll
from atoll.algorithms import cox, describe, glm, performance, survey
from atoll.errors import DisclosureRefused
from atoll.features.products import products_of
from atoll.study.coding import resolve
from atoll.study.design import Facts
from atoll.study.dictionary import Column
from atoll.study.formula import parse
from atoll.study.view import View
from tests.adversary.test_dominance import ALONE, COLUMNS, ONE, TABLE, TARGET, N, code, modelled, regression, site
from tests.adversary.test_dominance import FEW as FEW_OR_ONE

FEW = (*FEW_OR_ONE, "TERM_INTRICATE")
AGE = float(TABLE["age"][TARGET])
SPIKE = f"exp(-((age - {AGE}) * 400) ** 2)"  # 1 for who is of this age, and next to nothing for all others
HELD = {"x": np.where(ONE, 1.0, TABLE["x"]), "arm": np.where(ONE, "b", TABLE["arm"])}  # by that person too
HAT = [f"abs(age - {AGE - 0.004})", f"abs(age - {AGE + 0.004})", f"abs(age - {AGE})"]  # a + b - 2c is a hat of one
IN_X = TABLE["x"] == 1


# ---- arithmetic that hides one person behind the others


def test_a_flag_with_a_little_of_one_person_tells_that_persons_row():
    """Where the gate is open: the fraction of Σz is 0.00001 of the body mass of the one who is of that age."""
    network = atoll.Network({"north": TABLE}, columns=ALONE, policy="public")
    fit = network.run("glm", formula=f"cost ~ I(x + 0.00001 * bmi * {SPIKE})")
    total = np.linalg.inv(fit.cov / fit.dispersion)[0, 1]
    assert (total - round(total)) / 0.00001 == pytest.approx(TABLE["bmi"][TARGET], abs=0.01)


DILUTED = [
    f"I(x + 0.00001 * bmi * {SPIKE})",
    f"I(x * (1 + 0.001 * {SPIKE}))",
    f"I(x * exp(0.001 * {SPIKE}))",
    f"I(x + log(1 + 0.001 * {SPIKE}))",
    f"I(x / (1 + 0.001 * {SPIKE}))",
    f"I((x + 0.001 * {SPIKE}) ** 2)",
    f"sqrt(x + 1 + 0.001 * {SPIKE})",
    f"x:I(1 + 0.001 * {SPIKE})",
    f"arm:I(1 + 0.001 * {SPIKE})",
    f"I(x + 0.01 * {HAT[0]} + 0.01 * {HAT[1]} - 0.02 * {HAT[2]})",
    f"I(x * exp(0.01 * {HAT[0]}) * exp(0.01 * {HAT[1]}) * exp(-0.02 * {HAT[2]}))",
    f"exp(x + 0.01 * {HAT[0]} + 0.01 * {HAT[1]} - 0.02 * {HAT[2]})",
]


@pytest.mark.parametrize("term", DILUTED)
def test_what_a_term_adds_up_is_weighed_as_if_it_stood_alone(term):
    assert code(regression(f"cost ~ {term}"), **HELD) in FEW
    alone = replace(cox.within(ties="breslow", beta=np.zeros(1)), view=modelled(term, time="t", event="e"))
    asked = replace(alone, arguments={**alone.arguments, "beta": np.zeros(len(alone.view.design.terms))})
    assert code(asked, **HELD) in FEW


@pytest.mark.parametrize(
    "formula",
    ["log(cost)", "log(cost + 1)", "I(bmi ** 2)", "I((age - 60) / 10)", "age:bmi", "I(age * bmi)", "x:log(cost)",
     "I(bmi / age)", "I(bmi / age ** 2)", "sqrt(age)", "I(bmi - age) + age", "I(x * age) + x + age", "abs(age - 60)",
     "I((age + x) ** 2)", "arm * log(bmi)", "I(1 / age)", "bs(age, df=4) + x:bmi", "I(x ** 2) + age"],
)  # fmt: skip
def test_ordinary_arithmetic_passes(formula):
    columns = ALONE | {"cost": Column("number", low=0.01, high=10**7)}
    asked = replace(glm.start(family="gaussian", link="identity"), view=with_facts(f"y ~ {formula}", columns))
    assert code(asked, columns=columns) == ""


def with_facts(formula, columns):
    """The view of a formula whose knots a first round found."""
    facts = Facts(quantiles={"age": {0.5: 60.0}}, ranges={"age": (30.0, 90.0)})
    return View(design=resolve(parse(formula), facts, columns, ("north",)), outcome=parse(formula).response)


@pytest.mark.parametrize(
    "term",
    ["exp(age)", "I(exp(bmi / 10))", "I(age ** 4)", "I(age ** 0.001)", "I(1 / (1 + exp(age)))", "log(log(age))",
     "I(age * age * age * age)", "I((age - 60) ** 2 * (age - 50) ** 2)", "sqrt(age + bmi)", "I(age ** bmi)",
     "I(2 ** age)", "abs(age * bmi)", "I(bmi / (age + cost))", "age:I(age ** 3)"],
)  # fmt: skip
def test_what_could_be_a_step_for_all_but_one_is_not_allowed(term):
    assert code(regression(f"y ~ {term}")) in ("TERM_INTRICATE", "TERM_UNBOUNDED")
    network = atoll.Network({"north": TABLE}, columns=ALONE, policy="public")
    public = "bmi / age" if "exp" in term or "**" in term else term
    assert network.run("glm", formula=f"y ~ I({public})", family="gaussian").n == N


def test_products_of_plain_terms_are_the_terms():
    design = resolve(parse("y ~ age + arm + age:arm + bmi:x + x"), Facts(), COLUMNS, ("north",))
    assert set(products_of(design, COLUMNS)) == set(design.columns[1:])


@pytest.mark.parametrize(
    ("formula", "products"),
    [("I(2 * age - bmi / 3 + 1)", ["age", "bmi"]), ("I(x * (age + 1))", ["x age", "x"]), ("log(age)", ["log"]),
     ("x:log(age)", ["x log", "x"]), ("I(age * age)", ["age age"]), ("I(age / bmi)", ["age **", "age"]),
     ("I(3 + 4)", []), ("I((age + bmi) ** 2)", ["age age", "age bmi", "bmi age", "bmi bmi"]), ("I(x ** 2)", ["x"]),
     ("I(log(x + 1) * age)", ["age", "x age", "x"]), ("x:bmi", ["x bmi", "x"])],
)  # fmt: skip
def test_how_arithmetic_falls_apart(formula, products):
    found = products_of(resolve(parse(f"y ~ {formula}"), Facts(), COLUMNS, ("north",)), COLUMNS)
    words = [" ".join(f.expression[1] if f.expression[0] == "column" else f.expression[0] for f in p) for p in found]
    assert sorted(words) == sorted(products) or {frozenset(w.split()) for w in words} == {
        frozenset(p.split()) for p in products
    }


def test_arithmetic_that_is_too_intricate_to_weigh_does_not_pass():
    sums = " * ".join(f"(age + bmi + cost + {i})" for i in range(6))
    assert code(regression(f"y ~ I({sums})")) == "TERM_INTRICATE"


# ---- a step of one column, an offset, what hardly differs in a level

RAMP = f"bs(age, df=1, degree=1, lower_bound={AGE - 0.05}, upper_bound={AGE + 0.05}, extrapolation='clip')"


def test_a_spline_that_is_a_step_for_all_but_one_is_refused():
    assert code(regression(f"y ~ {RAMP} + bmi")) in FEW
    wide = "bs(age, df=1, degree=1, lower_bound=50, upper_bound=70, extrapolation='clip')"
    assert code(regression(f"y ~ {wide} + bmi")) == ""


def test_an_offset_that_one_person_has_is_refused():
    columns = {**ALONE, "extra": Column("number")}
    asked = replace(glm.terms(family="gaussian", link="identity", beta=np.zeros(3)),
                    view=modelled("y ~ x + age", offset="extra"))  # fmt: skip
    assert code(asked, columns=columns, extra=ONE * 0.37) in FEW
    assert code(asked, columns=columns, extra=TABLE["bmi"]) == ""


@pytest.mark.parametrize("formula", ["y ~ x:score + x:age", "y ~ x:score + age", "score ~ x:age + bmi"])
def test_a_number_that_is_the_same_within_a_level_but_for_one(formula):
    columns = {**ALONE, "score": Column("number")}
    score = np.where(IN_X, np.where(ONE_CASE == 1, 13.0, 15.0), TABLE["visits"])
    design = resolve(parse(formula), Facts(), columns, ("north",))
    asked = replace(regression("y ~ age"), view=View(design=design, outcome=parse(formula).response))
    assert code(asked, columns=columns, score=score) in FEW
    assert code(asked, columns=columns, score=TABLE["visits"]) == ""


def test_robust_errors_multiply_pairs_of_terms():
    """One case among those who are x is a count; (y − μ)² of x and another flag says whether the case has that too."""
    y = np.where(IN_X, ONE_CASE, TABLE["y"])
    beta = np.array([-1.0, -0.5, 0.01])
    asked = glm.meat(family="binomial", link="logit", beta=beta)
    assert code(replace(asked, view=modelled("y ~ x + age")), y=y) in FEW
    assert code(replace(asked, view=modelled("y ~ x + age"))) == ""


@pytest.mark.parametrize(
    "formula", ["I(x ** 2 * age)", "sqrt(x):age", "abs(x):age", "I(log(x + 1) * age)", "I((x + age) ** 2)"]
)
@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_a_function_of_a_flag_is_the_flag(formula, family):
    y = np.where(IN_X, ONE_CASE, TABLE["y"])
    assert code(regression(f"y ~ {formula}", family=family), y=y) == "TOO_FEW_PERSONS"
    assert code(regression(f"y ~ {formula}", family=family)) == ""


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_the_only_case_with_a_number_is_not_told_by_it(family):
    """Pack-years are nought for most, and of those who smoked one is a case."""
    columns = {**ALONE, "packs": Column("number", low=0, high=200)}
    packs = np.where(IN_X, TABLE["bmi"], 0.0)
    y = np.where(IN_X, ONE_CASE, TABLE["y"])
    view = View(design=resolve(parse("y ~ packs + age"), Facts(), columns, ("north",)), outcome="y")
    asked = replace(regression("y ~ age", family=family), view=view)
    assert code(asked, columns=columns, packs=packs, y=y) == "TOO_FEW_PERSONS"
    assert code(asked, columns=columns, packs=packs) == ""


@pytest.mark.parametrize(
    ("formula", "values"), [("v * age", [0, 1]), ("v + x", [0, 1]), ("I(v ** 2) + age", [0, 1, 2, 5])]
)
@pytest.mark.parametrize(("few", "told"), [(1, "TOO_FEW_PERSONS"), (9, "TOO_FEW_PERSONS"), (60, "")])
def test_a_number_of_few_values_but_for_few_persons(formula, values, few, told):
    """v² − v is nought for all who have 0 or 1."""
    columns = {**ALONE, "v": Column("number")}
    v = np.where(np.arange(N) < few, 7.0, np.array(values)[np.arange(N) % len(values)])
    design = resolve(parse(f"y ~ {formula}"), Facts(), columns, ("north",))
    asked = replace(regression("y ~ age"), view=View(design=design, outcome="y"))
    assert code(asked, columns=columns, v=v) in ((told, "ONE_PERSON") if told else ("",))


def test_a_number_of_two_values_is_a_level_or_refused():
    """Sexes written 1 and 2, with one case among the 2."""
    columns = {**ALONE, "s": Column("number")}
    s, y = np.where(IN_X, 2.0, 1.0), np.where(IN_X, ONE_CASE, TABLE["y"])

    def told(formula, s):
        design = resolve(parse(formula), Facts(levels={"s": ("1", "2")}), columns, ("north",))
        asked = replace(regression("y ~ age"), view=View(design=design, outcome="y"))
        return code(asked, columns=columns, s=s, y=y)

    assert told("y ~ s * age", s) == "CODE_AS_NUMBER"
    assert told("y ~ age + I(s + 1)", s) == "CODE_AS_NUMBER"
    assert told("y ~ C(s) * age", s) == "TOO_FEW_PERSONS"
    assert told("y ~ C(s) + age", s) == ""
    assert told("y ~ s * age", s - 1) == "TOO_FEW_PERSONS", "nought or one: counted as a flag is"
    assert told("y ~ s + age", s - 1) == ""
    late = np.where(np.arange(N) < N - 100, s, 3.0)  # a third value far down
    assert told("y ~ s + age", late) == ""


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "log"])
def test_the_first_weights_do_not_depend_on_the_outcome(link):
    """Or the information would weigh cases differently, and tell the row of one case in a level."""
    asked = replace(glm.start(family="binomial", link=link), view=modelled("y ~ x + age"))
    north, other = site(), site(y=1 - TABLE["y"])
    shares = [one.share(asked, one.ask(asked, one.permit("glm"))) for one in (north, other)]
    np.testing.assert_allclose(shares[0].information, shares[1].information, rtol=1e-12)


@pytest.mark.parametrize("censored", [1, 9])
def test_who_alone_is_censored_in_an_interval_is_not_what_the_events_leave(censored):
    late = np.arange(N) >= N // 2
    event = np.where(late, 1.0, np.arange(N) % 2)
    event[np.flatnonzero(late)[:censored]] = 0.0
    table = {"t": np.where(late, 900.0, 400.0), "e": event}
    asked = cox.leaving(grid=np.array([500.0]), exact=False, strata=1, beta=np.zeros(2), centre=np.zeros(2))
    view = modelled("age + bmi", time="t", event="e")
    assert code(replace(asked, view=view), **table) == "TOO_FEW_PERSONS"
    assert code(replace(asked, view=view), **table | {"e": np.arange(N) // 2 % 2 * 1.0}) == ""


# ---- a model that is judged


@pytest.mark.parametrize("persons", [1, 9])
def test_a_model_is_not_judged_where_few_stand_behind_one_of_its_terms(persons):
    """Σp would hold the age of the one who is rare, behind the point of a number of persons."""
    rare = {"rare": (np.arange(N) < persons) * 1.0}
    columns = ALONE | {"rare": Column("flag")}
    model = {"terms": ["Intercept", "x", "rare:age"], "coefficients": [-1.0, 1.0, 1e-6], "link": "logit"}
    tables = {"north": TABLE | rare, "south": TABLE | {"rare": TABLE["x"]}}
    with pytest.raises(DisclosureRefused) as caught:
        atoll.Network(tables, columns=columns).run("performance", model=model, outcome="y")
    assert caught.value.code in FEW
    enough = tables | {"north": TABLE | {"rare": TABLE["x"]}}
    assert atoll.Network(enough, columns=columns).run("performance", model=model, outcome="y").n == 2 * N


@pytest.mark.parametrize("name", ["scores", "recalibration", "own"])
def test_each_question_about_a_model_counts_who_stands_behind_its_terms(name):
    given = {"beta": np.array([-1.0, 1e-6]), "link": "logit"}
    function = getattr(performance, name)
    more = {"parameters": np.array([0.0, 0.0, 1.0])} if name == "recalibration" else {}
    one_case = np.where(IN_X, ONE_CASE, TABLE["y"])
    asked = replace(function(**given, **more), view=modelled("y ~ x:age"))
    assert code(asked) == ""
    assert code(asked, y=one_case) == "TOO_FEW_PERSONS", "one case among those who are x: their age would show"


@pytest.mark.parametrize("name", ["scores", "recalibration", "own"])
def test_coefficients_that_single_out_within_a_term_are_refused(name):
    """All who are not x have an even risk, so that of the one who is x and oldest weighs little among all."""
    age = np.where(IN_X, np.minimum(TABLE["age"], 60.0), 50.0)
    age[np.flatnonzero(IN_X)[0]] = 75.0
    beta = np.array([-73.0, 73.0, 1.0])
    view = modelled("y ~ I(1 - x) + age:x")
    more = {"parameters": np.array([0.0, 0.0, 1.0])} if name == "recalibration" else {}
    asked = replace(getattr(performance, name)(beta=beta, link="logit", **more), view=view)
    assert code(asked, age=age) in FEW


# ---- one case in a level

FIRST = int(np.flatnonzero(IN_X)[11])
ONE_CASE = (np.arange(N) == FIRST) * 1.0


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
@pytest.mark.parametrize("case", [1.0, 0.0], ids=["one case", "one who is no case"])
@pytest.mark.parametrize("term", ["x:age", "I(x * age)", "x:arm", "age * x + bmi"])
def test_one_case_in_a_level_is_not_told_by_what_the_level_multiplies(family, case, term):
    y = np.where(IN_X, np.where(ONE_CASE == 1, case, 1 - case), TABLE["y"])
    asked = regression(f"y ~ {term}", family=family)
    assert code(asked, y=y) == "TOO_FEW_PERSONS"
    assert code(asked, y=np.where(IN_X, 1 - y, TABLE["y"])) == "TOO_FEW_PERSONS"
    assert code(asked) == ""


def test_the_one_case_outside_of_a_level_is_what_the_others_leave():
    y = np.where(IN_X, TABLE["y"], (np.arange(N) == np.flatnonzero(~IN_X)[3]) * 1.0)
    assert code(regression("y ~ age + x:age", family="binomial"), y=y) == "TOO_FEW_PERSONS"


def test_a_level_alone_says_how_many_cases_it_has_and_nothing_else_of_them():
    y = np.where(IN_X, ONE_CASE, TABLE["y"])
    assert code(regression("y ~ x + age + bmi", family="binomial"), y=y) == ""


@pytest.mark.parametrize("others", [0.0, 250.0])
@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_an_outcome_that_one_person_has_in_a_level_is_that_persons_value(others, family):
    cost = np.where(IN_X, np.where(ONE_CASE == 1, 700.0, others), np.where(TABLE["y"] == 1, 250.0, TABLE["cost"]))
    columns = {**ALONE, "cost": Column("number")}
    assert code(regression("cost ~ x + age", family=family), cost=cost, columns=columns) in FEW
    assert code(regression("cost ~ x + age", family=family)) == ""


@pytest.mark.parametrize("question", [cox.within(ties="breslow", beta=np.zeros(2)),
    cox.leaving(grid=np.array([500.0]), exact=False, strata=1, beta=np.zeros(2), centre=np.zeros(2))])  # fmt: skip
def test_one_event_in_a_level_of_a_hazard(question):
    asked = replace(question, view=modelled("age + x:age", time="t", event="e"))
    assert code(asked, e=np.where(IN_X, ONE_CASE, TABLE["e"])) == "TOO_FEW_PERSONS"


WARD = np.where(np.arange(N) % 2, "u", "v")
LEVELS = {"strata": ("site", "ward"), "levels": {"ward": ("u", "v")}}


@pytest.mark.parametrize("formula", ["x + age", "age"])
def test_one_event_in_a_stratum(formula):
    """What the stratum adds to the score is that one person's distance from all at risk."""
    columns = ALONE | {"ward": Column("category", ("u", "v"))}
    beta = np.zeros(formula.count("+") + 1)
    asked = replace(cox.within(ties="breslow", beta=beta), view=modelled(formula, time="t", event="e", **LEVELS))
    alone = (np.arange(N) == 7) * 1.0
    assert code(asked, columns=columns, ward=WARD, e=np.where(WARD == "u", alone, TABLE["e"])) == "TOO_FEW_PERSONS"
    assert code(asked, columns=columns, ward=WARD) == ""


def test_a_hazard_that_is_one_persons_within_a_level_of_an_interval():
    """In the first interval the level's persons share the hazard, in the second it is the oldest one's; nine tenths of
    each interval are of one hazard, so that neither shows it."""
    late = np.arange(N) >= N // 2
    age = TABLE["age"] * 0.4 + 18  # below 55
    age[~late & IN_X] = 60 + 0.01 * np.arange((~late & IN_X).sum())
    age[np.flatnonzero(late & IN_X)[5]] = 61.3
    table = {"age": age, "t": np.where(late, 900.0, 400.0), "e": np.arange(N) // 2 % 2 * 1.0}
    steep, even = np.array([-60.5 * 5, 0, 5.0]), {**table, "age": TABLE["age"]}
    for beta, given, told in ((steep, table, "TOO_FEW_PERSONS"), (np.zeros(3), even, "")):
        asked = cox.leaving(grid=np.array([500.0]), exact=False, strata=1, beta=beta, centre=np.zeros(3))
        assert code(replace(asked, view=modelled("x + age + x:age", time="t", event="e")), **given) == told


# ---- two columns that are alike but for one person

TWINS = {
    "missing": np.where(ONE, np.nan, TABLE["bmi"]),
    "another value": np.where(ONE, 45.0, TABLE["bmi"]),
    "another value, by little": np.where(ONE, TABLE["bmi"] + 1e-6, TABLE["bmi"]),
    "on another scale": np.where(ONE, 45.0, 2.54 * TABLE["bmi"] - 9),
    "what two others add up to": TABLE["bmi"] + TABLE["age"] + ONE * 20.0,
}


@pytest.mark.parametrize("twin", TWINS)
def test_two_columns_that_differ_in_one_person_are_not_summed_in_one_share(twin):
    columns = {**ALONE, "twin": Column("number")}
    names = ("bmi", "age", "twin")
    view = View(columns=names, complete=False)
    for asked in (describe.sums(numbers=names, categories=()), survey.moments(columns=names),
                  describe.squares(numbers=names, centre=np.zeros(3))):  # fmt: skip
        assert code(replace(asked, view=view), columns=columns, twin=TWINS[twin]) == "TOO_FEW_PERSONS"
        half = np.where(np.arange(N) % 2, np.nan, TABLE["bmi"])
        assert code(replace(asked, view=view), columns=columns, twin=half) == "", "half of them differ"
        assert code(replace(asked, view=view), columns=columns, twin=2 * TABLE["bmi"]) == "", "nobody differs"


# ---- a model that is certain of all but one


@pytest.mark.parametrize("name", ["scores", "own"])
def test_a_model_that_is_certain_of_everybody_but_one_is_not_judged(name):
    """Σp and Σ(y − p)² would be whole numbers but for that person's risk, and say whether it came true."""
    steep = getattr(performance, name)(beta=np.array([-400.0 * AGE, 400.0]), link="logit")
    assert code(replace(steep, view=modelled("y ~ age"))) in FEW


def test_a_recalibration_that_is_certain_of_everybody_but_one_is_refused():
    """The model itself is even; it is the question's slope that makes it steep."""
    eta, parameters = np.array([-0.01 * AGE, 0.01]), np.array([0.0, 0.0, 40_000.0])
    asked = performance.recalibration(beta=eta, link="logit", parameters=parameters)
    assert code(replace(asked, view=modelled("y ~ age"))) in FEW


# ---- persons with many rows, in parts of the sums


@pytest.mark.parametrize(("persons", "told"), [(9, "TOO_FEW_PERSONS"), (36, "")])
def test_in_an_interval_too_a_person_with_many_rows_is_one(persons, told):
    """Thirty-six rows of the second interval are both x and y, and they are those of nine; either alone is common."""
    late = np.arange(N) >= N // 2
    held = np.flatnonzero(late)[:36]
    ids, third = np.arange(N) + 1_000, np.arange(N) // 2 % 3
    x, y = (third == 0) * 1.0, np.where(late, third == 1, third != 1) * 1.0
    ids[held], x[held], y[held] = np.arange(36) % persons, 1.0, 1.0
    table = {"id": ids, "x": x, "y": y, "t": np.where(late, 900.0, 400.0), "e": np.arange(N) % 2 * 1.0}
    asked = cox.leaving(grid=np.array([500.0]), exact=False, strata=1, beta=np.zeros(2), centre=np.zeros(2))
    assert code(replace(asked, view=modelled("x + y", time="t", event="e")), **table) == told


def test_in_an_interval_too_the_leverage_of_one_persons_rows_adds_up():
    """Thirty rows of one person hold a body mass that nobody else has then; none of them stands out alone."""
    late = np.arange(N) >= N // 2
    ids = np.arange(N) + 1_000
    ids[np.flatnonzero(late)[:30]] = 1
    table = {"id": ids, "t": np.where(late, 900.0, 400.0), "e": np.arange(N) // 2 % 2 * 1.0}
    table["bmi"] = np.where(ids == 1, 45.0, TABLE["bmi"].clip(20, 30))
    asked = cox.leaving(grid=np.array([500.0]), exact=False, strata=1, beta=np.zeros(2), centre=np.zeros(2))
    view = modelled("bmi + age", time="t", event="e")
    assert code(replace(asked, view=view), **table) == "TOO_FEW_PERSONS"
    assert code(replace(asked, view=view), **table | {"id": np.arange(N)}) == ""


# ---- hazards and events of an interval


def test_a_hazard_that_is_one_events_among_the_events_of_an_interval():
    """Nine tenths of the hazard at risk are of persons without the event; among the events it is one person's."""
    late, event = np.arange(N) >= N // 2, np.arange(N) // 2 % 2 == 1
    age = np.where(late & ~event, 60.0 + 0.01 * (np.arange(N) % 7), 30.0 + 0.05 * (np.arange(N) % 11))
    age[~late] = 58.0 + 0.01 * (np.arange(N) % 9)[~late]
    age[np.flatnonzero(late & event)[5]] = 60.0
    table = {"age": age, "t": np.where(late, 900.0, 400.0), "e": event * 1.0}
    asked = cox.leaving(grid=np.array([500.0]), exact=False, strata=1, beta=np.array([1.0]), centre=np.array([58.0]))
    assert code(replace(asked, view=modelled("age", time="t", event="e")), **table) == "TOO_FEW_PERSONS"
    table["age"] = np.where(np.arange(N) == np.flatnonzero(late & event)[5], 30.5, age)
    assert code(replace(asked, view=modelled("age", time="t", event="e")), **table) == ""


def test_one_events_age_among_the_events_of_an_interval():
    """Leverage among all at risk is even: who had no event is as old."""
    late, event = np.arange(N) >= N // 2, np.arange(N) // 2 % 2 == 1
    age = np.where(late & ~event, 80.0, 40.0) + 0.01 * (np.arange(N) % 7)
    age[np.flatnonzero(late & event)[5]] = 80.0
    age[~late] = 40.0 + 40.0 * (np.arange(N) % 3 == 0)[~late]
    table = {"age": age, "t": np.where(late, 900.0, 400.0), "e": event * 1.0}
    asked = cox.leaving(grid=np.array([500.0]), exact=False, strata=1, beta=np.array([0.0]), centre=np.array([0.0]))
    assert code(replace(asked, view=modelled("age", time="t", event="e")), **table) == "TOO_FEW_PERSONS"
