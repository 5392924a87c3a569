"""Persons whom a plane misses in a cell, over cells, chunks, persons and parts; nobody in honest tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.privacy.few import MOST, Few, fewest, planes
from atoll.privacy.leverage import Weighing

NAMES = ("", "sex", "age", "drug", "dose", "y")
LEAST = 10
SEX, DRUG, Y = 1, 3, 5


def honest(seed, n=400):
    """Standard doses for all on the drug but one in four."""
    r = np.random.default_rng(seed)
    sex, drug, y = (r.random(n) < 0.5), (r.random(n) < 0.5), (r.random(n) < 0.3)
    dose = drug * np.where(r.random(n) < 0.25, r.uniform(10, 90, n).round(1), 100.0)
    return np.column_stack([np.ones(n), sex, r.normal(60, 9, n).round(1), drug, dose, y]).astype(float)


def with_few(Z, where, few):
    """The same, with only so many of a cell on another dose than the standard."""
    Z = Z.copy()
    own = np.flatnonzero(where & (Z[:, DRUG] == 1))
    Z[own, 4] = 100.0
    Z[own[:few], 4] = 31.0 + np.arange(few) * 1.7
    return Z


def of(Z, size=None, person=None, **more):
    size = size or len(Z)
    parts = [Weighing(Z[i : i + size], True, person, names=NAMES) for i in range(0, len(Z), size)]
    return fewest(lambda: parts, LEAST, **more)


CELLS = {
    "everybody": lambda Z: np.ones(len(Z), dtype=bool),
    "men": lambda Z: Z[:, SEX] == 1,
    "women": lambda Z: Z[:, SEX] == 0,
    "cases": lambda Z: Z[:, Y] == 1,
    "others": lambda Z: Z[:, Y] == 0,
}


def truth(Z, crossed=False):
    """The smallest number, 1 … 9, who are not on the standard dose, over all cells."""
    cells = [np.ones(len(Z), dtype=bool), *(Z[:, j] == v for j in (SEX, DRUG, Y) for v in (0, 1))]
    cells += [a & (Z[:, Y] == v) for a in cells for v in (0, 1)] if crossed else []
    counts = [int((Z[a, 4] != 100.0 * Z[a, DRUG]).sum()) for a in cells]
    return min((count for count in counts if 0 < count < LEAST), default=np.inf)


@pytest.mark.parametrize("cell", CELLS)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(50, 400))
@settings(deadline=None, max_examples=15)
def test_those_whom_a_plane_misses_are_counted(cell, seed, few, size):
    Z = honest(seed)
    Z = with_few(Z, CELLS[cell](Z), few)
    found = of(Z, size)
    assert 0 < found.persons <= truth(Z) <= few  # fewer where levels and outcome tell some of these apart


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=15)
def test_enough_are_enough_and_nobody_is_nobody(seed):
    Z = honest(seed)
    assert of(Z).persons == truth(Z)
    for where in CELLS.values():
        none = with_few(Z, where(Z), 0)
        assert of(none).persons <= truth(none)
    ten = with_few(Z, CELLS["everybody"](Z), 0)
    for cell in [(s, y) for s in (0, 1) for y in (0, 1)]:  # ten in each cell, so in each level and of the cases
        own = np.flatnonzero((Z[:, SEX] == cell[0]) & (Z[:, Y] == cell[1]) & (Z[:, DRUG] == 1))[:LEAST]
        ten[own, 4] = 20.0 + np.arange(len(own))
        assert len(own) == LEAST
    assert of(ten, crossed=True) == Few()


@pytest.mark.parametrize("crossed", [False, True])
def test_the_cases_of_a_level_are_a_cell_where_pairs_are_summed_over_them(crossed):
    Z = honest(3)
    Z = with_few(Z, CELLS["men"](Z) & CELLS["cases"](Z), 4)
    assert of(Z, crossed=crossed).persons == truth(Z, crossed) == (4 if crossed else np.inf)


@pytest.mark.parametrize("few", [1, 4, 9])
def test_of_many_rows_a_part_finds_the_plane_and_all_are_counted(few):
    Z = honest(5, 40 * MOST)
    assert of(Z, 20_000) == Few()
    for cell in ("everybody", "women", "cases"):
        less = with_few(Z, CELLS[cell](Z), few)
        assert 0 < of(less, 20_000).persons <= truth(less) <= few


def test_columns_that_are_nearly_given_by_others_do_not_blur_a_plane():
    Z = honest(9)
    age = Z[:, 2] + 60
    wide = np.column_stack([Z[:, :2], age, age**2, age**3, age**4, Z[:, DRUG:]])
    few = wide.copy()
    few[:, -2] = Z[:, DRUG] * 100 + 3 * age**4 / age.max() ** 4
    assert fewest(lambda: [Weighing(few, True)], LEAST) == Few()
    few[np.flatnonzero((Z[:, DRUG] == 1) & (Z[:, SEX] == 0) & (Z[:, Y] == 0))[:7], -2] += 5.0
    assert fewest(lambda: [Weighing(few, True)], LEAST).persons == 7


def test_persons_are_counted_and_not_rows():
    Z = honest(7)
    rows = np.flatnonzero(Z[:, 4] != 100.0 * Z[:, DRUG])
    assert len(rows) > 3 * LEAST
    person = np.arange(400)
    assert of(Z, person=person) == Few()
    person[rows] = rows[0]
    assert of(Z, person=np.unique(person, return_inverse=True)[1]).persons == 1


@pytest.mark.parametrize("few", [3, 9])
def test_the_level_that_no_term_names_is_a_cell(few):
    """A ward with an assay of its own, whose limit nobody elsewhere has."""
    Z = honest(11)
    ward = np.arange(400) % 8
    value = np.where(ward == 0, 7.0, Z[:, 2] / 3 + np.arange(400) / 97)
    value[np.flatnonzero(ward == 0)[:few]] += 1.0 + np.arange(few)
    table = np.column_stack([Z[:, [0, 2]], ward == 1, ward == 2, ward > 2, value, Z[:, Y]]).astype(float)
    called = ("", "age", "ward", "ward", "ward", "trop", "y")
    assert fewest(lambda: [Weighing(table, True, names=called)], LEAST) == Few(few, "trop")


def test_a_plane_of_more_rows_is_looked_at_in_a_part_of_them():
    """An interval of fifteen, nine of them beside the plane that only everybody shows."""
    Z = honest(10)[:, [0, 2, 4]]
    Z[:, 2] = np.where(np.random.default_rng(3).random(400) < 0.4, Z[:, 2] * 0 + np.arange(400) / 7, 5.0)
    beside, on = np.flatnonzero(Z[:, 2] != 5.0)[:9], np.flatnonzero(Z[:, 2] == 5.0)[:6]
    part = Weighing(Z[np.concatenate([beside, on])] * [1, 1, 1], names=("", "age", "trop"))
    known = planes(lambda: [Weighing(Z)], LEAST)
    assert fewest(lambda: [part], LEAST) == Few()
    assert fewest(lambda: [part], LEAST, known=known) == Few(9, "trop")


@pytest.mark.parametrize("few", [2, 9])
def test_a_product_of_two_numbers_that_are_seldom_anything(few):
    """Σ dose · packs, where few on the drug smoke; neither is nought for most."""
    Z = honest(8)
    packs = np.where(Z[:, DRUG] == 1, 0.0, np.random.default_rng(2).gamma(4, 5, 400).round(1))
    packs[np.flatnonzero(Z[:, DRUG])[:few]] = 11.0 + np.arange(few)
    Z = np.column_stack([Z[:, [0, 2, 4]], packs, Z[:, Y]])
    parts = [Weighing(Z, True, names=("", "age", "dose", "packs", "y"))]
    assert fewest(lambda: parts, LEAST).persons == few
    assert fewest(lambda: parts, LEAST, pairs=False) == Few()


@given(st.integers(0, 10**6), st.integers(12, 80))
@settings(deadline=None, max_examples=25)
def test_small_cells_of_honest_numbers_are_no_planes(seed, n):
    """Any plane passes through as many rows as it has terms: that says nothing."""
    r = np.random.default_rng(seed)
    Z = np.column_stack(
        [np.ones(n), r.normal(62, 11, n).round(1), r.normal(27, 4, n).round(1), np.arange(n) % 2, r.normal(size=(n, 2))]
    )
    assert fewest(lambda: [Weighing(Z, True)], LEAST) == Few()


def test_nothing_is_found_in_nothing():
    assert fewest(lambda: [], LEAST) == Few()
    assert fewest(lambda: [Weighing(np.ones((50, 2)), True)], LEAST) == Few()
