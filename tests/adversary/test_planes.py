"""What the sums of two columns together tell of two to nine patients: each is asked of a real site, and must fail.

Neither column tells of few; what one of them says beyond the other is nought for all of a cell but these. Each attack
says what the reader of the answer would compute. Where many are told of together, the same question is answered.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from atoll.algorithms import cox, describe, glm
from atoll.study.dictionary import Column
from atoll.study.view import View
from tests.adversary.test_dominance import TABLE, N, code, modelled
from tests.adversary.test_subtraction import COLUMNS as BEFORE
from tests.adversary.test_subtraction import FEW, HONEST, asked
from tests.unit.answering import Site

R = np.random.default_rng(31)
ROW = np.arange(N)
COLUMNS = BEFORE | {
    "drug": Column("flag"),
    "new": Column("flag"),
    "kind": Column("category", ("none", "tablet", "drop")),
    "dose": Column("number", low=0, high=300),
    "trop": Column("number", low=1, high=5000),
    "told": Column("number", low=10, high=110),
    "off": Column("number"),
    "icu": Column("flag"),
    "vent": Column("flag"),
    "sbp": Column("number"),
}
DRUG, NEW = (ROW // 8 % 2) * 1.0, (ROW // 16 % 2) * 1.0
OTHER = R.uniform(10, 90, N).round(1)  # another dose, another value: what the few have
SOME = R.permutation(N) % 3 == 0


def rare(usual, where, few, other=OTHER):
    """The usual value, but for one in three; of these rows, for so many."""
    values = np.where(SOME & ~where, other, usual)
    own = np.flatnonzero(where)[:few]
    values[own] = other[own]
    return values


def dose(where, few):
    return {"drug": DRUG, "dose": rare(100.0, where & (DRUG == 1), few) * DRUG}


def assays(where, few):
    return {"new": NEW, "trop": rare(np.where(NEW == 1, 3.0, 5.0), where, few)}


def ages(where, few):
    return {"told": rare(TABLE["age"], where, few, TABLE["age"] - OTHER / 10)}


def own_dose(where, few):
    kind = np.array(["none", "tablet", "drop"])[ROW // 8 % 3]
    usual = np.select([kind == "tablet", kind == "drop"], [20.0, 75.0])
    return {"kind": kind, "dose": rare(usual, where & (usual > 0), few) * (usual > 0)}


def limit(where, few):
    return {"trop": rare(5.0, where, few)}


TABLES = {
    "a flag and its dose": (dose, "drug + dose"),
    "two limits of detection": (assays, "new + trop"),
    "two ages": (ages, "told"),
    "each kind its dose": (own_dose, "C(kind) + dose"),
    "a limit of detection": (limit, "trop"),
    "a spline of it": (limit, "bs(trop, df=3, lower_bound=0, upper_bound=100)"),
    "a logarithm of it": (limit, "log(trop)"),
}
CASES, MEN = TABLE["y"] == 1, HONEST["male"] == 1


MORE = {"sbp": R.normal(140, 17, N).round()}


def told(question, **table):
    return code(question, columns=COLUMNS, **HONEST | MORE | table)


def of(formula, family="gaussian", **more):
    question = asked(
        formula, family, columns=COLUMNS, levels={"kind": ("none", "tablet", "drop"), "ward": ("a", "b", "c")}
    )
    return replace(question, view=replace(question.view, **more))


@pytest.mark.parametrize("few", [2, 9])
@pytest.mark.parametrize("shape", TABLES)
@pytest.mark.parametrize("model", ["y ~ age + {}", "cost ~ age + male + {}"])
def test_a_few_of_the_cases_or_of_a_level_whom_two_columns_tell_of(model, shape, few):
    """Σ y·dose − 100 Σ y·drug; Σ male·dose − 100 Σ male·drug."""
    make, terms = TABLES[shape]
    question = of(model.format(terms), "binomial" if model[0] == "y" else "gaussian")
    where = CASES if model[0] == "y" else MEN
    assert told(question, **make(where, few)) in FEW
    assert told(question, **make(where, 40)) == ""


@pytest.mark.parametrize("family", ["gaussian", "gamma", "poisson"])
def test_whatever_the_family(family):
    question = of("cost ~ age + male + drug + dose", family)
    assert told(question, cost=TABLE["cost"] + 1, **dose(MEN, 5)) == "TOO_FEW_PERSONS"
    assert told(question, cost=TABLE["cost"] + 1, **dose(MEN, 40)) == ""


@pytest.mark.parametrize("few", [2, 9])
def test_a_few_of_the_cases_of_a_level_where_pairs_are_summed_over_cases(few):
    """HC0 sums e²xxᵀ: over the men who are cases Σ dose − 100 Σ drug."""
    start = of("y ~ age + male + drug + dose", "binomial")
    meat = replace(glm.meat(family="binomial", link="logit", beta=np.zeros(5)), view=start.view)
    assert told(meat, **dose(MEN & CASES, few)) in FEW
    assert told(start, **dose(MEN & CASES, few)) == "", "not summed without HC0: a few more of the cases are women"
    assert told(meat, **dose(MEN & CASES, 40)) == ""


@pytest.mark.parametrize("few", [2, 9])
def test_an_offset_is_a_column_too(few):
    """Σ drug·log days − log 365 Σ drug: who of the men was followed for less than a year."""
    question = of("visits ~ age + male", "poisson", offset="off")
    assert told(question, off=np.log(rare(365.0, MEN, few))) in FEW
    assert told(question, off=np.log(rare(365.0, MEN, 60, 200 + OTHER))) == ""


@pytest.mark.parametrize("few", [2, 9])
def test_an_outcome_that_few_of_a_level_have_otherwise(few):
    """Σ male·cost − 250 Σ male."""
    question = of("cost ~ age + male")
    assert told(question, cost=rare(250.0, MEN, few, TABLE["cost"])) in FEW
    assert told(question, cost=rare(250.0, MEN, 60, TABLE["cost"])) == ""


@pytest.mark.parametrize("few", [2, 9])
@pytest.mark.parametrize("grid", [None, [400.0]])
def test_a_few_of_those_with_the_event_in_cox(few, grid):
    """Of those with the event Σ dose − 100 Σ drug, over hospitals in each interval."""
    event = TABLE["e"] == 1
    view = modelled("drug + dose", COLUMNS, time="t", event="e", strata=() if grid else ("site",))
    if grid:
        model = {"beta": np.zeros(2), "centre": np.zeros(2)}
        question = replace(cox.leaving(grid=np.array(grid), exact=False, strata=1, **model), view=view)
    else:
        question = replace(cox.within(ties="efron", beta=np.zeros(2)), view=view)
    assert told(question, **dose(event, few)) in FEW
    assert told(question, **dose(event, 0) | {"dose": DRUG * OTHER}) == ""


@pytest.mark.parametrize("few", [2, 9])
def test_two_columns_of_a_description_that_are_alike_but_for_a_few(few):
    """Σ weight on discharge − Σ weight on admission."""
    question = replace(describe.sums(numbers=("age", "told"), categories=()), view=View(("age", "told")))
    everybody = np.ones(N, dtype=bool)
    assert told(question, **ages(everybody, few)) in FEW
    assert told(question, **ages(everybody, 60)) == ""


WARD = np.array(["a", "b", "c"])[np.minimum(ROW % 12, 2)]  # one in twelve is in ward a, the reference


@pytest.mark.parametrize("few", [2, 9])
@pytest.mark.parametrize("formula", ["cost ~ age + C(ward) + trop", "y ~ age + C(ward) + trop", "trop ~ age + C(ward)"])
def test_a_few_of_the_level_that_no_term_names(formula, few):
    """Σ trop − Σ over the other wards, less 5 for each of the rest."""
    question = of(formula, "binomial" if formula[0] == "y" else "gaussian")
    assert told(question, ward=WARD, trop=rare(5.0, WARD == "a", few)) in FEW
    assert told(question, ward=WARD, trop=rare(5.0, WARD == "a", 30)) == ""


@pytest.mark.parametrize("few", [6, 9])
@pytest.mark.parametrize("more", ["", " + years + score + sbp + bmi"])
def test_a_few_who_are_most_of_a_small_cell(few, more):
    """What is usual is known of everybody: of 16 cases nine have packs, so most miss the plane."""
    y = np.zeros(N)
    y[np.flatnonzero(ROW % 30 == 3)[:16]] = 1.0
    packs = np.where(SOME & (y == 0), OTHER, 0.0)
    packs[np.flatnonzero(y)[:few]] = 7.0 + np.arange(few)
    question = of("y ~ age + packs" + more, "binomial")
    assert told(question, y=y, packs=packs) in FEW
    assert (
        told(of("y ~ age + packs" + more, "binomial"), y=TABLE["y"], packs=packs * 0 + np.where(SOME, OTHER, 0)) == ""
    )


@pytest.mark.parametrize("few", [2, 9])
@pytest.mark.parametrize("formula", ["cost ~ age + icu + vent + trop", "trop ~ age + icu + vent"])
def test_a_few_between_two_levels_of_which_one_is_part_of_the_other(formula, few):
    """Σ icu·trop − Σ vent·trop, less 5 for each: whoever is in intensive care and not ventilated."""
    icu = (ROW % 3 == 0) * 1.0
    vent = icu * (ROW % 2 == 0)
    between = (icu == 1) & (vent == 0)
    assert told(of(formula), icu=icu, vent=vent, trop=rare(5.0, between, few)) in FEW
    assert told(of(formula), icu=icu, vent=vent, trop=rare(5.0, between, 40)) == ""


def test_persons_with_several_rows_are_persons():
    """Twelve rows on another dose, of eight patients."""
    rows = dose(MEN, 12)
    other = np.flatnonzero(MEN & (rows["dose"] != 100.0 * DRUG))
    person = ROW.copy()
    person[other] = other[np.arange(12) % 8]
    question, columns = of("cost ~ age + male + drug + dose"), COLUMNS | {"id": Column("person")}
    assert len(other) == 12
    assert code(question, columns=columns, **HONEST | rows | {"id": person}) == "TOO_FEW_PERSONS"
    assert code(question, columns=columns, **HONEST | rows | {"id": ROW}) == ""


def test_the_refusal_names_the_column():
    north = Site(TABLE | HONEST | dose(MEN, 4), COLUMNS)
    outcome = north.ask(of("cost ~ age + male + drug + dose"), north.permit("glm"))
    assert (outcome.code, outcome.subject) == ("TOO_FEW_PERSONS", "dose")
