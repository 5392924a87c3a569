"""One release, one formula, one person: every way that was found to single somebody out, and what stops it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import atoll
from atoll.errors import AtollError, DisclosureRefused
from atoll.study.dictionary import Column

N = 700
COLUMNS = {
    "age": Column("number", unit="a", low=18, high=110),
    "bmi": Column("number", low=10, high=80),
    "hiv": Column("flag"),
    "d": Column("category", levels=("rare", "b", "c", "e")),
    "f1": Column("flag"),
    "f2": Column("flag"),
    "f3": Column("flag"),
}


def table(seed: int) -> dict[str, np.ndarray]:
    r = np.random.default_rng(seed)
    return {
        "age": np.round(r.normal(60, 10, N).clip(19, 105), 3),
        "bmi": np.round(r.normal(27, 4, N).clip(12, 60), 3),
        "hiv": (r.random(N) < 0.3).astype(float),
        "d": r.choice(["b", "c", "e"], N).astype("<U4"),
        **{f: (r.random(N) < 0.5).astype(float) for f in ("f1", "f2", "f3")},
    }


@pytest.fixture
def tables() -> dict[str, dict[str, np.ndarray]]:
    return {"north": table(1), "river": table(2)}


def run(tables: dict[str, Any], algorithm: str, **options: Any) -> Any:
    return atoll.Network(tables, columns=COLUMNS).run(algorithm, **options)


def refused(tables: dict[str, Any], algorithm: str, match: str, **options: Any) -> None:
    net = atoll.Network(tables, columns=COLUMNS)
    with pytest.raises(AtollError, match=match):
        net.run(algorithm, **options)


def test_the_attacks_run_where_nobody_is_singled_out(tables):
    assert run(tables, "glm", formula="bmi ~ age + f1 * f2").n == 2 * N


@pytest.mark.parametrize("outcome", ["bmi", "hiv"])
@pytest.mark.parametrize("persons", [1, 3, 9])
def test_a_rare_reference_level(tables, outcome, persons):
    tables["north"]["d"][:persons] = "rare"
    refused(tables, "glm", "fewer persons|too few|weigh too much", formula=f"{outcome} ~ C(d)")


def test_a_rare_cell_of_an_interaction(tables):
    north = tables["north"]
    empty = (north["f1"] == 0) & (north["f2"] == 0) & (north["f3"] == 0)
    north["f1"][np.flatnonzero(empty)[1:]] = 1.0
    refused(tables, "glm", "too few|weigh too much", formula="bmi ~ f1 * f2 * f3")
    refused(tables, "cox", "too few|weigh too much", formula="f1 * f2 * f3", time="age", event="hiv")


def test_arithmetic_that_makes_an_indicator(tables):
    youngest = np.sort(tables["north"]["age"])
    c = float((youngest[0] + youngest[1]) / 2)
    step = f"I((abs(age - {c}) + (age - {c})) / (2 * (age - {c})))"
    refused(tables, "glm", "not finite for every value", formula=f"bmi ~ {step}")
    hinge = f"I(abs(age - {c}) - (age - {c}))"
    refused(tables, "glm", "weigh too much|too few", formula=f"bmi ~ {hinge}")


def test_a_spline_that_ends_before_the_last_person(tables):
    oldest = np.sort(np.concatenate([t["age"] for t in tables.values()]))[-2:]
    knot = float(oldest.mean())
    formula = f"bmi ~ bs(age, degree=1, knots=[{knot}], lower_bound=18, upper_bound=110)"
    refused(tables, "glm", "weigh too much|too few", formula=formula)


def test_leverage_at_a_known_value(tables):
    known = float(tables["north"]["age"][17])
    refused(
        tables,
        "glm",
        "weigh too much|more than is allowed",
        formula=f"bmi ~ 0 + I(1 / (0.000001 + abs(age - {known})))",
    )


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_a_model_that_knows_one_person(tables, outcome):
    north = tables["north"]
    known = float(north["age"][17])
    north["hiv"][17] = outcome
    terms = ["Intercept", f"I(1 / (1e-06 + abs(age - {known})))"]
    model = {"terms": terms, "coefficients": [0.0, 3e-6], "link": "logit"}
    refused(tables, "performance", "weigh too much|too few|more than is allowed", model=model, outcome="hiv")
    north["d"][17] = "rare"
    model = {"terms": ["Intercept", "C(d)[T.rare]"], "coefficients": [0.0, 30.0], "link": "logit"}
    refused(tables, "performance", "weigh too much|too few|more than is allowed", model=model, outcome="hiv")


@pytest.mark.parametrize("shift", [-5.0, -0.001, 0.001, 5.0])
def test_a_term_that_is_not_finite_for_one_person_is_refused_whoever_is_there(tables, shift):
    age = float(tables["north"]["age"].min()) + shift
    refused(tables, "glm", "not finite for every value", formula=f"bmi ~ log(age - {age})")
    bmi = float(tables["north"]["bmi"][3])
    refused(tables, "glm", "not finite for every value", formula=f"hiv ~ I(1 / (abs(age - {age}) + abs(bmi - {bmi})))")


def test_one_who_is_censored_among_many_events(tables):
    north = tables["north"]
    north["age"][:] = 50.0
    north["hiv"][:] = 1.0
    north["hiv"][0] = 0.0
    refused(tables, "kaplan_meier", "too few", time="age", event="hiv", times=[60.0, 100.0])


def test_a_spline_that_is_clipped_where_enough_people_are_leaves_a_small_hospital():
    """The way out that the refusal names: nobody stands alone at the end of a clipped spline."""
    r = np.random.default_rng(8)
    bmi = r.normal(27, 4, 3_000).round(1)
    table = {"bmi": bmi, "y": (r.random(3_000) < 0.3).astype(float)}
    columns = {"bmi": Column("number", low=10.0, high=80.0), "y": Column("flag")}
    network = atoll.Network({"north": table}, columns=columns)
    formula = "y ~ bs(bmi, df=4, lower_bound=21, upper_bound=34{})"
    with pytest.raises(DisclosureRefused, match="One person would weigh too much"):
        network.run("glm", formula=formula.format(""), family="binomial")
    fit = network.run("glm", formula=formula.format(", extrapolation='clip'"), family="binomial")
    assert len(fit.terms) == 5
