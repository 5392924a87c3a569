"""Attrition leaves a site as bounds in which nobody stands alone; the real gate lets every one of them pass."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atoll.cohort.attrition import Attrition, Rule
from atoll.cohort.losses import losses, steps
from atoll.privacy.disclosure import STRICT, Conditions, check
from atoll.privacy.statistics import combine

MINIMUM = STRICT.minimum_persons


@st.composite
def attritions(draw, rules=3):
    entered = draw(st.sampled_from([0, 10, 12, 25, 60, 400]))
    left, alone = [entered], []
    for _ in range(rules):
        left.append(draw(st.integers(0, left[-1])))
        alone.append(draw(st.integers(left[-1], entered)))
    final = draw(st.integers(0, left[-1]))
    named = tuple(Rule(f"r{i}", a, b) for i, (a, b) in enumerate(zip(alone, left[1:], strict=True)))
    return Attrition(entered, entered, named, final)


@given(attritions())
def test_every_cell_is_empty_or_holds_enough(one):
    share = losses(one, MINIMUM)
    for cells in (share.early, share.late):
        assert np.all((cells == 0) | (cells >= MINIMUM))
        assert cells.sum() == one.entered
    for cells in (share.fails_low, share.fails_high):
        assert np.all((cells == 0) | (cells >= MINIMUM))
        assert np.all((cells == one.entered) | (one.entered - cells >= MINIMUM))
    check(share, Conditions(STRICT))


@given(st.lists(attritions(), min_size=1, max_size=5))
def test_the_truth_of_all_sites_lies_within_the_bounds(sites):
    total = combine({f"site {n}": losses(one, MINIMUM) for n, one in enumerate(sites)})
    truth = [sum(one.rules[i].in_order for one in sites) for i in range(3)] + [sum(one.final for one in sites)]
    found = steps(total, ["r0", "r1", "r2"])
    assert [step.name for step in found] == ["r0", "r1", "r2", "exit"]
    assert all(step.low <= true <= step.high for step, true in zip(found, truth, strict=True))
    fails = [sum(one.entered - one.rules[i].alone for one in sites) for i in range(3)]
    assert all(step.fails[0] <= true <= step.fails[1] for step, true in zip(found, fails, strict=False))


def test_a_small_loss_is_told_with_its_neighbour():
    one = Attrition(120, 100, (Rule("a", 97, 97), Rule("b", 60, 60)), 60)
    found = steps(losses(one, MINIMUM), ["a", "b"])
    assert [(step.low, step.high, step.told) for step in found] == [(60, 100, False), (60, 60, True), (60, 60, True)]
    assert [step.fails for step in found] == [(0, 10), (40, 40), None]


def test_without_a_minimum_everything_is_told():
    one = Attrition(5, 5, (Rule("a", 4, 4),), 3)
    assert [(step.low, step.high) for step in steps(losses(one, 1), ["a"])] == [(4, 4), (3, 3)]
