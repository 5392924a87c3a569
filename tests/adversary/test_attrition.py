"""Attacks on attrition: steps that differ by a few persons, a step that only one person fails, steps alone against in
order, a hospital of few, the sum over hospitals less the others. Asked of a real site under the strict policy.

What two runs with other columns hide from each other is hidden by rounding alone: SECURITY.md says so of all releases.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.algorithms.attrition import left, own
from atoll.privacy.disclosure import STRICT, Policy
from atoll.privacy.statistics import combine
from atoll.study.dictionary import Column
from tests.unit.answering import Site, view

K = STRICT.minimum_persons
COLUMNS = {name: Column("flag") for name in "abcd"} | {"id": Column("person")}
TARGET = 17


def site(table, policy=STRICT):
    return Site(table | {"id": np.arange(len(table["a"]))}, COLUMNS, policy)


def asked(function, table, names="abcd", policy=STRICT):
    """The share that leaves, or None where nothing does."""
    here = site(table, policy)
    question = replace(function(columns=tuple(names)), view=view(*names))
    outcome = here.ask(question, here.permit("attrition"))
    assert outcome.code in ("", "TOO_FEW_PERSONS"), outcome.code
    return None if outcome.code else here.share(question, outcome)


def tables(seed, n, keep):
    r = np.random.default_rng(seed)
    table = {name: (r.random(n) < p) * 1.0 for name, p in zip("abcd", keep, strict=True)}
    for name in "abcd":  # and each flag has its few: an attacker's best case
        few = r.choice(n, min(int(r.integers(0, 2 * K)), n), replace=False)
        table[name][few] = r.random() < 0.5
    return table


CHANCES = st.tuples(*[st.sampled_from([0.0, 0.01, 0.3, 0.7, 0.99, 1.0])] * 4)
UNROUNDED = Policy(rounding=1)  # rounding only helps: the rule must hold without it


@given(st.integers(0, 10**6), st.integers(K, 300), CHANCES)
def test_no_two_told_numbers_set_a_few_apart(seed, n, keep):
    """All differences of told numbers, in order and alone, are groups of enough persons, or of none by construction."""
    table = tables(seed, n, keep)
    share = asked(left, table, policy=UNROUNDED)
    assert share is not None
    told = [int(low) for low, high in zip(share.low, share.high, strict=True) if low == high]
    assert told[0] == n
    assert all(a - b >= K for a, b in combinations(dict.fromkeys(told), 2))
    assert all(number >= K for number in told)
    before = list(zip(share.low, share.high, strict=True))
    for i in range(1, 4):
        alone = (int(share.alone_low[i]), int(share.alone_high[i]))
        if alone[0] == alone[1]:
            (lost_low, lost_high), (low, high) = before[i], before[i + 1]
            assert lost_low == lost_high and low == high
            only, neither = alone[0] - low, n - lost_low - (alone[0] - low)
            lost_here = lost_low - low
            assert min(only, neither, lost_here, low) >= K


@given(st.integers(0, 10**6), st.integers(2 * K + 2, 300), CHANCES, st.integers(0, 3))
def test_whether_one_person_keeps_a_step_does_not_show_in_what_nobody_else_fails(seed, n, keep, at):
    """A step that is made to fail for one person alone gives the same answer as one that nobody fails."""
    table = tables(seed, n, keep)
    name = "abcd"[at]
    nobody = table | {name: np.ones(n)}
    one = table | {name: (np.arange(n) != TARGET) * 1.0}
    first, second = (asked(left, t, names="abcd"[: at + 1], policy=UNROUNDED) for t in (nobody, one))
    told = (first.low[at + 1] == first.high[at + 1], second.low[at + 1] == second.high[at + 1])
    if first.low[at] == first.high[at]:
        assert told == (False, False)
        assert (first.low[at + 1], first.high[at + 1]) == (second.low[at + 1], second.high[at + 1])


def test_a_step_that_only_the_target_keeps_tells_less_than_the_minimum():
    table = {name: np.ones(200) for name in "abcd"} | {"b": (np.arange(200) == TARGET) * 1.0}
    nobody = table | {"b": np.zeros(200)}
    shares = [asked(left, t) for t in (table, nobody)]
    for field in ("low", "high", "alone_low", "alone_high"):
        assert np.array_equal(getattr(shares[0], field), getattr(shares[1], field)), field
    assert (shares[0].low[2], shares[0].high[2]) == (0, K)


def test_the_target_hidden_among_later_losses():
    """Steps that lose 4 persons each are told together, when enough have gone."""
    table = {name: (np.arange(200) >= 4 * (i + 1)) * 1.0 for i, name in enumerate("abcd")}
    share = asked(left, table, policy=UNROUNDED)
    assert list(zip(share.low.tolist(), share.high.tolist(), strict=True)) == [
        (200, 200), (191, 200), (191, 200), (188, 188), (179, 188)
    ]  # fmt: skip


@pytest.mark.parametrize("function", [left, own])
def test_what_leaves_holds_no_unit_digit(function):
    table = tables(5, 293, (0.9, 0.8, 0.7, 0.6))
    share = asked(function, table)
    base = K if function is own else STRICT.rounding
    fields = ("own_low", "own_high") if function is own else ("low", "high", "alone_low", "alone_high")
    for field in fields:
        assert np.all(np.asarray(getattr(share, field)) % base == 0), field
    assert share.behind == {}, "the differences stay"


@given(st.integers(0, 10**6), st.integers(K, 200), CHANCES)
def test_a_hospitals_own_numbers_follow_from_its_bounds_alone(seed, n, keep):
    share, apart = (asked(f, tables(seed, n, keep), policy=UNROUNDED) for f in (left, own))
    for field in ("low", "high"):
        assert np.array_equal(getattr(apart, f"own_{field}"), (getattr(share, field) + K // 2) // K * K)


FEW = [{name: np.full(n, kept) for name in "abcd"} for n in (0, 1, K - 1) for kept in (0.0, 1.0)]
ODD = Policy(minimum_persons=12)  # no multiple of what numbers are rounded to


@pytest.mark.parametrize("policy", [STRICT, UNROUNDED, ODD])
@pytest.mark.parametrize("function", [left, own])
def test_few_who_enter_look_like_nobody_and_tell_nothing_else(function, policy):
    """Whether it is one, nine or nobody, and whatever they keep: the same bytes, and bounds that hold."""
    payloads = set()
    for table in FEW:
        here = site(table, policy)
        question = replace(function(columns=tuple("abcd")), view=view(*"abcd"))
        outcome = here.ask(question, here.permit("attrition"))
        share = here.share(question, outcome)
        payloads.add(outcome.payload)
        assert not share.low.any() and (share.high >= policy.minimum_persons).all()
    assert len(payloads) == 1


@given(st.integers(0, 10**6), st.integers(0, 2 * K), st.lists(st.integers(K, 300), min_size=1, max_size=4), CHANCES)
def test_the_sum_less_what_the_others_show_gives_no_more_than_the_small_hospital_said(seed, few, others, keep):
    """Differencing over hospitals: what is left of the sum is the bounds of the one that was taken out."""
    tables_ = {f"s{i}": tables(seed + i, n, keep) for i, n in enumerate(others)}
    shares = {name: asked(left, table, policy=UNROUNDED) for name, table in tables_.items()}
    small = asked(left, tables(seed + 99, few, keep), policy=UNROUNDED)
    together = combine({**shares, "small": small})
    for field in ("low", "high", "alone_low", "alone_high"):
        rest = getattr(together, field) - sum(getattr(share, field) for share in shares.values())
        assert np.array_equal(rest, getattr(small, field))
        if few < K:
            assert set(rest.tolist()) == {0 if field.endswith("low") else K}
