"""One person in a stratum, in an interval, or behind a rounded number: what sums over a part say of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import atoll
from atoll.algorithms import cox, kaplan_meier, performance
from atoll.errors import DisclosureRefused
from atoll.study.dictionary import Column
from atoll.study.view import View
from tests.adversary.test_dominance import ALONE, COLUMNS, FEW, TABLE, N, modelled, site

R = np.random.default_rng(1)
WARD = np.where(R.random(N) < 0.5, "u", "v")
ONE = int(np.flatnonzero(WARD == "u")[7])
WARDS = {"ward": Column("category", ("u", "v"))}
LEVELS = {"strata": ("site", "ward"), "levels": {"ward": ("u", "v")}}


BOTH = {"ward": ("u", "v"), "arm": ("a", "b")}


def code(asked, columns=ALONE, **table):
    north = site(columns=columns | WARDS, ward=WARD, **table)
    return north.ask(asked, north.permit(asked.name.partition(".")[0])).code


def all_but(one: int, value: float = 1.0) -> np.ndarray:
    """What ward v has and ward u has not, but for one person."""
    x = (WARD == "v") * 1.0
    x[one] = value
    return x


@pytest.mark.parametrize("ids", [{}, {"id": np.arange(N) // 2}], ids=["alone", "many rows"])
def test_a_flag_that_one_person_has_within_a_stratum(ids):
    """Its score would be that person's event less the hazard up to their time."""
    asked = cox.within(ties="breslow", beta=np.zeros(2))
    seen = modelled("x + age", time="t", event="e", **LEVELS)
    columns = COLUMNS if ids else ALONE
    assert code(replace(asked, view=seen), columns, x=all_but(ONE), **ids) == "TOO_FEW_PERSONS"
    assert code(replace(asked, view=seen), columns, **ids) == "", "and an even one passes"


def test_a_number_that_one_person_has_within_a_stratum():
    """No indicator shows it: the strata give the number for everybody else."""
    seen = modelled("bmi + age", time="t", event="e", **LEVELS)
    asked = replace(cox.within(ties="breslow", beta=np.zeros(2)), view=seen)
    assert code(asked, bmi=20.0 + 5.0 * all_but(ONE, 0.4)) in FEW
    assert code(asked) == ""


def test_a_group_that_one_person_has_within_a_stratum_of_the_log_rank_test():
    view = View(time="t", event="e", group="arm", strata=("site", "ward"), levels=BOTH)
    asked = replace(kaplan_meier.differences(groups=2), view=view)
    assert code(asked, arm=np.where(all_but(ONE) == 1, "b", "a")) == "TOO_FEW_PERSONS"
    assert code(asked) == ""


def test_a_group_whose_events_are_few_where_groups_are_compared():
    """Ward v has one group alone and says nothing; in ward u three of a group had the event."""
    arm = np.where((WARD == "u") & (np.arange(N) % 2 == 0), "a", "b")
    event = TABLE["e"].copy()
    event[np.flatnonzero((WARD == "u") & (arm == "b"))] = 0
    event[np.flatnonzero((WARD == "u") & (arm == "b"))[:3]] = 1
    view = View(time="t", event="e", group="arm", strata=("site", "ward"), levels=BOTH)
    assert code(replace(kaplan_meier.differences(groups=2), view=view), arm=arm, e=event) == "TOO_FEW_PERSONS"


def leaving(time: np.ndarray, **table):
    asked = cox.leaving(grid=np.array([500.0]), exact=False, strata=1, beta=np.zeros(2), centre=np.zeros(2))
    return code(replace(asked, view=modelled("x + age", time="t", event="e")), t=time, **table)


HALVES = np.where(np.arange(N) < 300, 400.0, 900.0)
EVENTS = (np.arange(N) % 2) * 1.0
EVEN = (np.arange(N) // 2 % 2) * 1.0


def test_sums_of_an_interval_pass_where_many_stand_behind_each():
    assert leaving(HALVES, x=EVEN, e=EVENTS) == ""


def test_a_flag_of_one_person_in_an_interval():
    """Σ x·age of that interval would be this person's age."""
    x = np.where(HALVES > 500, 0.0, EVEN)
    x[450] = 1.0
    assert leaving(HALVES, x=x, e=EVENTS) in FEW


def test_a_flag_of_few_among_the_events_of_an_interval():
    event = np.where((HALVES > 500) & (EVEN == 1), 0.0, EVENTS)
    event[np.flatnonzero((HALVES > 500) & (EVEN == 1))[:4]] = 1.0
    assert leaving(HALVES, x=EVEN, e=event) in FEW


def test_a_number_that_one_person_alone_has_in_an_interval():
    age = np.where(HALVES > 500, 50.0, TABLE["age"])
    age[450] = 88.4
    assert (
        leaving(HALVES, x=EVEN, e=EVENTS, age=age) == "ONE_PERSON"
        or leaving(HALVES, x=EVEN, e=EVENTS, age=age) == "TOO_FEW_PERSONS"
    )


@pytest.mark.parametrize("more", [{}, {"strata": ("arm",), "levels": {"arm": ("a", "b")}}], ids=["whole", "strata"])
def test_a_hazard_that_is_one_person_s_within_an_interval(more):
    """Its age is not far from the others', and elsewhere everybody has such a hazard: only this interval is uneven."""
    early = np.arange(N) < 480
    age = np.where(early, 58.5 + 3 * (np.arange(N) * 0.618 % 1), 62.2)
    time, event, strata = np.where(early, 40.0, 400.0), EVENTS.copy(), 2 if more else 1
    event[[6, 7]] = 0.0
    seen = modelled("age", time="t", event="e", **more)
    even, steep = (
        cox.leaving(grid=np.array([100.0]), exact=False, strata=strata, beta=np.array([b]), centre=np.array([62.0]))
        for b in (0.1, 6.0)
    )
    arm = np.where(np.arange(N) // 4 % 2, "a", "b")
    age[7] = 62.2
    assert code(replace(even, view=seen), t=time, age=age, e=event, arm=arm) == ""
    assert code(replace(steep, view=seen), t=time, age=age, e=event, arm=arm) == "TOO_FEW_PERSONS"


def test_an_honest_run_over_hospitals_still_ends_where_there_are_enough():
    tables = {}
    for number, name in enumerate(("north", "south")):
        r = np.random.default_rng(number)
        n = 8_000
        t = np.ceil(np.minimum(r.exponential(700, n), 1095))
        e = ((t < 1095) & (r.random(n) < 0.6)) * 1.0
        tables[name] = {"age": r.uniform(30, 90, n).round(1), "smoker": (r.random(n) < 0.3) * 1.0, "t": t, "e": e}
    options = {"formula": "age + smoker", "time": "t", "event": "e", "strata": [], "grid": [365.0, 730.0, 1094.0]}
    assert atoll.Network(tables).run("cox", **options).n == 16_000
    few = {name: {key: column[:600] for key, column in table.items()} for name, table in tables.items()}
    rare = {name: table | {"smoker": (np.arange(600) % 50 == 0) * 1.0} for name, table in few.items()}
    with pytest.raises(DisclosureRefused):
        atoll.Network(rare).run("cox", **options)


@pytest.mark.parametrize("by_site", [True, False])
def test_bounds_of_nested_numbers_tell_no_more_than_the_rounded_number(by_site):
    """Whatever leaves of 43 … 47 persons, of whom one is not known, is the same; also what a hospital shows itself."""
    seen: dict[int, set[str]] = {}
    for n in range(30, 160):
        table = {"a": np.r_[np.ones(n - 1), np.nan], "b": (np.arange(n) > 0) * 1.0}
        network = atoll.Network({"north": table}, columns={"a": Column("number"), "b": Column("flag")})
        feasible = network.run("feasibility", columns=["a"]).document
        lost = network.run("attrition", columns=["b"], by_site=by_site).document
        seen.setdefault((n + 2) // 5 * 5, set()).add(str([feasible["steps"], lost["steps"], lost["sites_apart"]]))
    assert all(len(said) == 1 for said in seen.values())


def own(**table):
    asked = performance.own(beta=np.array([-3.0, 0.04]), link="logit")
    return code(replace(asked, view=modelled("y ~ age")), **table)


def test_a_hospital_s_own_figures_of_few_cases_or_of_a_risk_that_one_person_has():
    """Asked by itself, before or without the other rounds of a judgement."""
    assert own() == ""
    assert own(y=(np.arange(N) < 9) * 1.0) == "TOO_FEW_PERSONS"
    steep = performance.own(beta=np.array([-4_000 * np.sort(TABLE["age"])[-2:].mean(), 4_000.0]), link="logit")
    assert code(replace(steep, view=modelled("y ~ age"))) == "TOO_FEW_PERSONS"


def test_risk_sets_over_hospitals_of_few_events_or_few_without():
    for few in (np.arange(N) % 75 == 0, np.arange(N) % 75 != 0):  # eight in all, spread over both intervals
        assert leaving(HALVES, x=EVEN, e=few * 1.0) in FEW


def pairs(time: np.ndarray, **table):
    asked = cox.leaving(grid=np.array([500.0]), exact=False, strata=1, beta=np.zeros(3), centre=np.zeros(3))
    return code(replace(asked, view=modelled("x + y + age", time="t", event="e")), t=time, **table)


@pytest.mark.parametrize("among", ["everybody", "events"])
def test_two_flags_that_one_person_has_together_in_an_interval(among):
    """Each is common there; who has both is the entry of Σ xy of that interval."""
    third = np.arange(N) // 4 % 3
    x, y, event = (third == 0) * 1.0, (third != 1) * 1.0, EVENTS.copy()
    assert pairs(HALVES, x=x, y=y, e=event) == ""
    late = np.flatnonzero((HALVES > 500) & (x == 1) & ((event == 1) | (among == "everybody")))
    y[late[1:]] = 0.0
    assert pairs(HALVES, x=x, y=y, e=event) == "TOO_FEW_PERSONS"


def test_a_group_of_five_in_one_of_two_strata_that_are_compared():
    arm = np.where(np.arange(N) % 2 == 0, "a", "b")
    arm[np.flatnonzero((WARD == "u") & (arm == "b"))[5:]] = "a"
    view = View(time="t", event="e", group="arm", strata=("site", "ward"), levels=BOTH)
    assert code(replace(kaplan_meier.differences(groups=2), view=view), arm=arm) == "TOO_FEW_PERSONS"
