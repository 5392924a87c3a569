"""Attacks on what a phenotype is diagnosed by: small cells from margins, one person's event, one person's time, a part
of two cohorts by subtraction, a rare code, the longest follow-up. Asked of a real site; rounding would only help.

What two runs with other years or columns hide from each other is hidden by rounding alone, as of all releases.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.algorithms import breakdown, durations, incidence, overlap
from atoll.algorithms.incidence import layout
from atoll.privacy.disclosure import STRICT, Policy
from atoll.study.diagnosis import TABLES
from tests.unit.answering import Site, view
from tests.unit.test_phenotype_diagnostics import at_risk, days, two

K = STRICT.minimum_persons
UNROUNDED = Policy(rounding=1)
SINCE, UNTIL = 2010, 2015
CELLS = list(layout(2, SINCE, UNTIL))
TARGET = 17


def answer(algorithm, function, table, what, seen, policy=UNROUNDED, **asked):
    here = Site(table, TABLES[what], policy)
    question = replace(function(**asked), view=seen)
    outcome = here.ask(question, here.permit(algorithm))
    assert outcome.code == "", outcome.code
    return here.share(question, outcome), outcome.payload


def rates(table, function=incidence.seen, policy=UNROUNDED, since=SINCE):
    seen = view(
        "enters", "leaves", "born", event="event", group="sex", complete=True, levels={"sex": ("female", "male")}
    )
    asked = {"born": "born", "enters": "enters", "leaves": "leaves", "sexes": 2, "since": since, "until": UNTIL}
    return answer("incidence", function, table, "risk", seen, policy, **asked)


def cohorts(table, function=overlap.parts, policy=UNROUNDED):
    return answer(
        "overlap", function, table, "overlap", view("first", "second"), policy, first="first", second="second"
    )


def told_groups(low, high):
    """The groups of one partition: where a number is told, and the runs that share one upper end."""
    found, last = [], None
    for a, b in zip(low, high, strict=True):
        if a == b:
            found.append(b)
            last = None
        elif b != last:
            found.append(b)
            last = b
    return found


@given(st.integers(0, 10**6), st.integers(0, 500), st.sampled_from([0.0, 0.01, 0.1, 0.5, 0.97, 1.0]))
@settings(max_examples=40, deadline=None)
def test_every_group_of_cells_has_enough_with_and_without_the_event_and_so_has_what_is_left(seed, n, chance):
    share, _ = rates(at_risk(seed, n, chance))
    start, whole = 0, int(share.low[0]) if share.low[0] == share.high[0] else None
    for cells in CELLS:
        part = slice(start, start + len(cells))
        start += len(cells)
        low, high = share.low[part].tolist(), share.high[part].tolist()
        told = [a for a, b in zip(low, high, strict=True) if a == b]
        assert all(number >= K for number in told)
        assert all(number >= K for number in high)
        if whole is not None and cells[0].by in ("sex", "year"):
            rest = whole - sum(told)
            assert rest == 0 or rest >= K, "what is not told, by subtraction"


@given(st.integers(0, 10**6), st.integers(100, 600), st.sampled_from([0.05, 0.2, 0.6]))
@settings(max_examples=25, deadline=None)
def test_two_margins_leave_every_cell_of_their_table_between_bounds_far_apart(seed, n, chance):
    """Fréchet: from a group of sexes or ages and a group of years, nobody's year of the event follows."""
    share, _ = rates(at_risk(seed, n, chance))
    whole = int(share.high[0])
    if share.low[0] != share.high[0]:
        return
    sexes = told_groups(share.low[1:3].tolist(), share.high[1:3].tolist())
    years = told_groups(share.low[-len(CELLS[-1]) :].tolist(), share.high[-len(CELLS[-1]) :].tolist())
    for a in sexes:
        for b in years:
            width = min(a, b) - max(0, a + b - whole)
            assert width >= K or whole in (a, b)


@pytest.mark.parametrize("function", [incidence.seen, incidence.own])
def test_whether_the_target_is_the_only_case_shows_nowhere(function):
    """A hospital with a few events, or with none: the same bytes."""
    table = at_risk(3, 300)
    few = [(np.arange(300) == TARGET) * 1.0, np.zeros(300), (np.arange(300) < K - 1) * 1.0]
    payloads = {rates(table | {"event": event}, function)[1] for event in few}
    assert len(payloads) == 1


def test_whether_the_target_alone_has_no_event_shows_nowhere():
    table = at_risk(4, 300) | {"leaves": np.full(300, float(days(2013, 6))), "enters": np.full(300, float(days(2012)))}
    share, payload = rates(table | {"event": np.ones(300)})
    other, second = rates(table | {"event": (np.arange(300) != TARGET) * 1.0})
    assert payload == second and share.low[0] == other.low[0] == 0


def test_one_persons_long_time_among_short_ones_is_not_told_apart():
    """Ten men of one day each but the target: T of the men would be the target's follow-up."""
    n, men = 200, np.arange(200) < K
    enters = np.full(n, float(days(2011)))
    table = at_risk(5, n) | {"sex": np.where(men, "male", "female"), "enters": enters}
    length = np.where(men, 0.0, 400.0)
    length[TARGET - 10] = 1200.0
    assert men[TARGET - 10]
    share, _ = rates(table | {"leaves": enters + length, "event": (np.arange(n) % 3 == 0) * 1.0})
    assert share.years_low[1:3].tolist() == [0.0, 0.0] and np.ptp(share.years_high[1:3]) == 0


@pytest.mark.parametrize("function", [incidence.seen, incidence.own])
def test_two_windows_do_not_tell_the_day_on_which_one_patient_came(function):
    """She alone is at risk in 2010: the person-years from 2010 less those from 2011 were her days, for any day."""
    others = at_risk(6, 400) | {"event": (np.arange(400) % 3 == 0) * 1.0}
    others["enters"] = np.maximum(others["enters"], float(days(2011)))
    others["leaves"] = np.maximum(others["leaves"], others["enters"] + 30)
    told = set()
    for month in range(1, 13):
        enters, leaves = others["enters"].copy(), others["leaves"].copy()
        enters[TARGET], leaves[TARGET] = days(2010, month, 17), days(2013, 3, 3)
        wide, narrow = (
            rates(others | {"enters": enters, "leaves": leaves}, function, since=y)[0] for y in (2010, 2011)
        )
        assert wide.years_high[0] - wide.years_low[0] == narrow.years_high[0] - narrow.years_low[0] == K
        told.add((wide.years_low[0] - narrow.years_low[0], wide.years_high[0] - narrow.years_high[0]))
    assert len(told) <= 2 and all(step % K == 0 for one in told for step in one)


def test_ages_are_told_only_where_the_sexes_are():
    """Three women among four hundred: all less the men's ages would be the women's time, and their events."""
    table = at_risk(7, 400, 0.4) | {"sex": np.where(np.arange(400) < 3, "female", "male")}
    share, _ = rates(table)
    assert share.low[0] == share.high[0] > 0
    ages = slice(3, 3 + len(CELLS[2]) + len(CELLS[3]))
    for low, high in ((share.low, share.high), (share.years_low, share.years_high)):
        assert not low[1:3].any() and not low[ages].any()
        assert set(high[ages]) == {high[0]}, "a number of some ages of men"


def test_a_hospital_where_a_few_lack_a_time_tells_nothing_of_it():
    """All less those who have one would be the few."""

    def told(missing):
        table = {"person": np.arange(300), "concept": np.full(300, "1 a")} | {
            name: np.where(np.arange(300) < missing, np.nan, 40.0) for name in ("before", "after", "within")
        }
        names = ("before",)
        return answer("durations", durations.bins, table, "entries", view(*names), columns=names)[0].high.sum()

    assert [told(missing) for missing in (0, 1, K - 1, K)] == [300, 0, 0, 300 - K]


@given(st.integers(0, 10**6), st.sampled_from([(0.5, 0.4, 0.1), (0.3, 0.3, 0.4), (0.85, 0.05, 0.1)]))
@settings(max_examples=40, deadline=None)
def test_a_hospitals_own_parts_follow_from_its_own_rounded_numbers(seed, chances):
    """Parts counted from numbers in steps of 5 and then rounded to 10 would show which 5 it was."""
    share, _ = cohorts(two(seed, 200, chances), overlap.own, STRICT)
    either, one, _, both, only_first, only_second = zip(share.low.tolist(), share.high.tolist(), strict=True)
    for larger, smaller, part in ((one, both, only_first), (either, one, only_second)):
        low = max(larger[0] - smaller[1], 0)
        assert part == (low if low >= K else 0, max(larger[1] - smaller[0], K))


@given(
    st.integers(0, 10**6), st.sampled_from([(0.5, 0.4, 0.1), (0.9, 0.03, 0.07), (0.03, 0.94, 0.03), (1.0, 0.0, 0.0)])
)
@settings(max_examples=40, deadline=None)
def test_no_part_of_two_cohorts_follows_by_subtraction(seed, chances):
    share, _ = cohorts(two(seed, 200, chances))
    told = {int(a) for a, b in zip(share.low[[0, 1, 3]], share.high[[0, 1, 3]], strict=True) if a == b}
    assert all(abs(a - b) >= K for a, b in combinations(told, 2)) and all(a >= K for a in told)
    assert all(high >= K for high in share.high)


@pytest.mark.parametrize("function", [overlap.parts, overlap.own])
@pytest.mark.parametrize("policy", [UNROUNDED, STRICT, Policy(minimum_persons=12)])
def test_whether_the_target_is_in_both_cohorts_shows_nowhere(function, policy):
    first, second = (np.arange(200) < 120) * 1.0, (np.arange(200) >= 120) * 1.0
    table = {"person": np.arange(200), "first": first}
    flags = [second, np.where(np.arange(200) == TARGET, 1.0, second), np.where(np.arange(200) < 9, 1.0, second)]
    payloads = [cohorts(table | {"second": flag}, function, policy)[1] for flag in flags]
    assert len(set(payloads)) == 1


@pytest.mark.parametrize("function", [breakdown.words, breakdown.held, breakdown.own])
def test_a_code_of_the_target_alone_is_told_as_if_nobody_had_it(function):
    words = np.array(["1 often"] * 100 + ["2 also"] * 100)
    asked = {} if function is breakdown.words else {"asked": ("1 often", "2 also", "3 seldom")}
    payloads = []
    for few in ([], [TARGET], list(range(K - 1))):
        code = words.copy().astype(object)
        code[few] = "3 seldom"
        columns = TABLES["codes"] | {"code": replace(TABLES["codes"]["code"], levels=("1 often", "2 also", "3 seldom"))}
        here = Site({"person": np.arange(200), "code": code}, columns, STRICT)
        question = replace(function(column="code", **asked), view=view("code", complete=True))
        outcome = here.ask(question, here.permit("breakdown"))
        share = here.share(question, outcome)
        told = (
            share.persons if function is breakdown.words else dict(zip(asked["asked"], share.low.tolist(), strict=True))
        )
        payloads.append({word: n for word, n in told.items() if "seldom" in word and n})
    assert payloads == [{}, {}, {}]


def test_the_longest_follow_up_changes_nothing_that_leaves():
    """Nobody's time is an edge: moving the longest outwards gives the same bytes."""
    columns = TABLES["entries"]
    before = np.floor(np.random.default_rng(6).exponential(700, 300))
    payloads = set()
    for most in (9000.0, 30000.0):
        moved = before.copy()
        moved[moved.argmax()] = most
        table = {"person": np.arange(300), "before": moved}
        here = Site(table, {name: columns[name] for name in ("person", "before")}, STRICT)
        question = replace(durations.bins(columns=("before",)), view=view("before"))
        payloads.add(here.ask(question, here.permit("durations")).payload)
    assert len(payloads) == 1


@pytest.mark.parametrize("function", [durations.distinct, durations.counts, durations.own_counts])
def test_a_grid_of_the_hubs_choice_is_for_public_data_only(function):
    """One between any two persons would tell everybody's time."""
    before = np.floor(np.random.default_rng(6).exponential(700, 300))
    columns = {name: TABLES["entries"][name] for name in ("person", "before")}
    table = {"person": np.arange(300), "before": before}
    asked = {} if function is durations.distinct else {"grid": np.unique(before)}
    question = replace(function(columns=("before",), **asked), view=view("before"))
    for public in (False, True):
        here = Site(table, columns, STRICT, public)
        outcome = here.ask(question, here.permit("durations", public=public))
        assert bool(outcome.code) != public, outcome.code
