"""Bounds from merged histograms hold for any data, any split into sites and any minimum."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from atoll.algorithms.bins import code_name, concordance, grouped, merged, quantile
from atoll.algorithms.performance import auc

EDGES = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
VALUES = st.lists(st.floats(-4, 4).map(lambda v: round(v, 2)), min_size=1, max_size=60)
CELLS = st.lists(st.integers(0, 12), min_size=1, max_size=25)


def tables(cells, minimum):
    return merged(lambda first, last: int(cells[first : last + 1].sum()), len(cells), minimum)


def of_sites(values, sites, minimum):
    """`low` and `high` of values that lie at several sites, each merged by itself."""
    low = high = 0
    for site in set(sites):
        x = np.array([v for v, s in zip(values, sites, strict=True) if s == site])
        cells = np.bincount(np.searchsorted(EDGES, x), minlength=len(EDGES) + 1)
        a, b = tables(cells, minimum) if minimum > 1 else (cells, cells)
        low, high = low + a, high + b
    return low, high


@given(CELLS, st.integers(2, 12))
def test_every_group_holds_enough_or_all_there_are(cells, minimum):
    cells = np.array(cells)
    low, high = tables(cells, minimum)
    assert low.sum() == high.sum() == cells.sum()
    for held in (low, high):
        assert ((held == 0) | (held >= min(minimum, cells.sum()))).all()


@given(CELLS, st.integers(2, 12))
def test_groups_tell_nothing_of_the_ends(cells, minimum):
    """Moving the smallest value down or the largest up, inside its group, changes no number."""
    cells = np.array(cells)
    assume(cells.sum() > 0)
    low, high = tables(cells, minimum)
    first, last = np.flatnonzero(cells)[[0, -1]]
    start_of_last = np.flatnonzero(low)[-1]
    if last < len(cells) - 1 and cells[last] == 1 and last > start_of_last:
        moved = cells.copy()
        moved[last] -= 1
        moved[-1] += 1
        np.testing.assert_array_equal(tables(moved, minimum), (low, high))
    assert high[-1] > 0, "the last group ends with the last bin"
    assert low[0] > 0, "the first group begins with the first bin"
    assert first >= 0


@given(VALUES, st.data(), st.integers(1, 15), st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.95]))
def test_the_true_quantile_lies_between_the_bounds(values, data, minimum, probability):
    sites = data.draw(st.lists(st.integers(0, 4), min_size=len(values), max_size=len(values)))
    low, high = of_sites(values, sites, minimum)
    estimate, lower, upper = quantile(low, high, EDGES, probability)
    truth = np.sort(values)[int(np.ceil(probability * len(values) - 1e-9)) - 1]
    assert lower <= truth <= upper
    assert lower <= estimate <= upper if np.isfinite([lower, upper]).all() else np.isnan(estimate)


def test_a_quantile_beyond_the_grid_has_a_bound_and_no_estimate():
    """Six of nine are joined with those beyond the last edge: their third quartile was told as that edge."""
    low, high = np.array([0, 3, 6, 0]), np.array([0, 3, 0, 6])
    estimate, *bounds = quantile(low, high, np.array([0.0, 1826, 7305]), 0.75)
    assert np.isnan(estimate) and bounds == [1826.0, np.inf]
    estimate, *bounds = quantile(low, high, np.array([0.0, 1826, 7305]), 0.75, (0.0, 9000.0))
    assert bounds == [1826.0, 9000.0] and 1826 <= estimate <= 9000


@given(VALUES, VALUES, st.data(), st.integers(1, 15))
def test_the_true_auc_lies_between_the_bounds(cases, controls, data, minimum):
    where = [data.draw(st.lists(st.integers(0, 3), min_size=len(v), max_size=len(v))) for v in (cases, controls)]
    estimate, lower, upper = concordance(of_sites(cases, where[0], minimum), of_sites(controls, where[1], minimum))
    y = np.array([1.0] * len(cases) + [0.0] * len(controls))
    truth = auc(y, np.array([*cases, *controls]))
    assert lower - 1e-12 <= truth <= upper + 1e-12
    assert lower <= estimate <= upper


def test_without_merging_the_bounds_are_those_of_the_bins():
    low, high = of_sites([-3.0, -0.7, -0.7, 0.2, 3.0], [0] * 5, 1)
    np.testing.assert_array_equal(low, high)
    assert quantile(low, high, EDGES, 0.5)[1:] == (-1.0, -0.5)


def test_nobody_has_no_quantile_and_no_auc():
    none = np.zeros(8, dtype=np.int64)
    assert np.isnan(quantile(none, none, EDGES, 0.5)).all()
    assert np.isnan(concordance((none, none), (none + 1, none + 1))).all()


def test_too_few_persons_stay_in_one_group_for_the_gate_to_refuse():
    low, high = tables(np.array([0, 2, 0, 3, 0]), 10)
    assert (low[0], high[-1]) == (5, 5)
    assert np.count_nonzero(low) == np.count_nonzero(high) == 1


def people(persons, minimum):
    """Rows of persons as `Data` counts them."""
    return SimpleNamespace(
        minimum=minimum,
        persons=lambda where: len(set(persons[where])),
        persons_per=lambda codes, size: np.array([len(set(persons[codes == k])) for k in range(size)], dtype=np.int64),
    )


def test_a_person_with_values_in_two_bins_is_one_person_of_their_group():
    persons = np.repeat(np.arange(6), 2)  # six persons, each once in bin 0 and once in bin 1
    codes = np.tile([0, 1], 6)
    low, _ = grouped(people(persons, 10), codes, 3)
    assert low.max() == 6, "twelve rows of six persons do not make a group of ten"
    low, high = grouped(people(persons, 6), codes, 3)
    np.testing.assert_array_equal(low[:1], [6])
    assert ((high == 0) | (high >= 6)).all()


@pytest.mark.parametrize(
    ("value", "name"), [(1.0, "1"), (0.1, "0.1"), (1234567.0, "1234567"), (1234568.0, "1234568"), (-2.5, "-2.5")]
)
def test_codes_have_names_of_their_own(value, name):
    assert code_name(value) == name
