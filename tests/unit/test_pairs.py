"""Leverage among pairs of columns against its definition, over chunks, persons and parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.privacy import pairs
from atoll.privacy.leverage import Weighing
from atoll.privacy.pairs import APART, largest_apart


def table(seed, n=300, flags=2, numbers=2):
    r = np.random.default_rng(seed)
    Z = [
        np.ones(n),
        *(r.random((flags, n)) < 0.4),
        *(r.normal(size=(numbers, n)) * 10.0 ** r.integers(-4, 5, (numbers, 1))),
    ]
    return np.column_stack(Z).astype(float)


def of(Z, size=None, person=None, outcome=False, squared=False):
    size = size or len(Z)
    parts = [Weighing(Z[i : i + size], outcome, person) for i in range(0, len(Z), size)]
    return largest_apart(lambda: parts, squared)


def defined(Q):
    """max over c of (c·q_i)²/Σ(c·q)², by the singular value decomposition."""
    Q = Q[:, (Q != 0).any(axis=0)]
    U, s, _ = np.linalg.svd(Q / np.linalg.norm(Q, axis=0), full_matrices=False)
    return (U[:, s > 1e-10] ** 2).sum(axis=1).max()


def products(Z):
    return np.column_stack([Z[:, j] * Z[:, k] for j in range(Z.shape[1]) for k in range(j, Z.shape[1])])


@given(st.integers(0, 10**6), st.integers(0, 3), st.integers(0, 3), st.integers(1, 300))
@settings(deadline=None)
def test_it_is_the_largest_leverage_among_the_products_of_two_columns(seed, flags, numbers, size):
    Z = table(seed, flags=flags, numbers=numbers)
    assert of(Z, size) == pytest.approx(defined(products(Z)), rel=1e-6)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_pairs_are_summed_times_the_outcome_too(seed):
    Z = table(seed)
    X, y = products(Z[:, :-1]), Z[:, -1:]
    wanted = defined(np.column_stack([products(Z), X * y, X * y**2]))
    assert of(Z, outcome=True, squared=True) == pytest.approx(wanted, rel=1e-6)
    assert of(Z, outcome=True) == pytest.approx(defined(products(Z)), rel=1e-6)


@given(st.integers(0, 10**6), st.integers(2, 60))
@settings(deadline=None, max_examples=25)
def test_the_rows_of_a_person_are_one(seed, persons):
    Z = table(seed)
    person = np.random.default_rng(seed).permutation(np.arange(len(Z)) % persons)
    summed = np.array([products(Z)[person == p].sum(axis=0) for p in range(persons)])
    assert of(Z, person=person) == pytest.approx(defined(summed), rel=1e-6)


def test_the_rows_of_persons_are_taken_in_blocks(monkeypatch):
    Z, person = table(3), np.arange(300) // 3
    whole = of(Z, person=person)
    monkeypatch.setattr(pairs, "BLOCK", 1)
    assert of(Z, person=person) == pytest.approx(whole, rel=1e-9)
    assert of(Z, size=7) == pytest.approx(defined(products(Z)), rel=1e-6)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_by_a_part_the_verdict_is_the_same(seed):
    """One who alone is in a cell is found among thousands; without such a one nobody is."""
    r = np.random.default_rng(seed)
    Z = table(seed, n=6_000, flags=3)
    one = int(r.integers(len(Z)))
    alone = Z.copy()
    alone[:, 2] = np.where(alone[:, 1] == 1, alone[:, 2], 0)  # who has the second has the first
    alone[one, 1], alone[one, 2] = 0.0, 1.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "FEWEST", 200)
        patch.setattr(pairs, "ENOUGH", 2)
        assert of(Z, 1_000) <= APART
        assert of(np.column_stack([alone, alone[:, 2] * alone[:, -1]]), 1_000) == pytest.approx(1.0, abs=1e-9)


def test_when_a_part_says_too_much_all_rows_decide():
    """By every hundredth row a value is alone; by all of them a dozen have it."""
    r = np.random.default_rng(4)
    v = np.where(np.arange(4_000) % 300 == 100, 5.0 + r.normal(size=4_000) / 10, r.normal(size=4_000) / 100)
    Z = np.column_stack([np.ones(4_000), v])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "FEWEST", 40)
        patch.setattr(pairs, "ENOUGH", 1)
        patch.setattr(pairs, "APART", 0.1)
        patch.setattr(pairs, "SUSPECT", 0.05)
        assert 0.1 < of(Z, 1_000) <= defined(products(Z)) + 1e-9


@pytest.mark.parametrize("columns", [5, 13, 17])
def test_any_columns_of_many_are_looked_at_together(columns, monkeypatch):
    """A product of two columns that a third gives but for one person, wherever the three stand."""
    monkeypatch.setattr(pairs, "WIDE", 12)
    r = np.random.default_rng(columns)
    Z = np.column_stack([np.ones(2_000), r.random((2_000, columns - 1)) < 0.5]).astype(float)
    first, middle = 1, columns // 2
    Z[:, first], Z[:, middle] = r.gamma(2, 1, 2_000), r.gamma(3, 5, 2_000)
    Z[:, -1] = Z[:, first] * Z[:, middle] + 7.0 * (np.arange(2_000) == 11)
    assert of(Z) > APART
    Z[:, -1] = Z[:, first] * Z[:, middle]
    assert of(Z) <= APART


def test_only_what_one_person_has_is_left_out_as_a_number():
    """Of indicators that nine have together a number beside them tells more than how many."""
    r = np.random.default_rng(8)
    a, b, v = r.random(900) < 0.5, r.random(900) < 0.5, r.normal(size=900)
    a[:9] = b[:9] = True
    b[9:] &= ~a[9:]
    v[1:9] = 0.0
    Z = np.column_stack([np.ones(900), a, b, np.where(b & a, v, 0.0)]).astype(float)
    assert of(Z) > APART


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6])
def test_a_product_of_two_columns_that_a_third_gives_but_for_one_person(size):
    """Pack-years are packs times years for everybody, and a little more for one."""
    r = np.random.default_rng(1)
    packs, years = r.gamma(2, 1, 800), r.gamma(3, 5, 800)
    Z = np.column_stack([np.ones(800), packs, years, packs * years + size * (np.arange(800) == 5)])
    assert of(Z) == pytest.approx(1.0, abs=1e-3)
    assert of(Z[:, :3]) < APART


def test_indicators_that_one_person_has_together_are_a_number_and_nothing_of_them():
    r = np.random.default_rng(2)
    a, b, v = r.random(500) < 0.5, r.random(500) < 0.5, r.normal(size=500)
    b &= ~a
    b[7] = a[7] = True
    Z = np.column_stack([np.ones(500), a, v, b]).astype(float)
    assert of(Z, outcome=True) < APART
    assert of(np.column_stack([Z[:, :3], a * v, b]), outcome=True) > APART, "and here v is told"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_known(bad):
    assert of(np.array([[1.0, bad], [1.0, 2.0]])) == np.inf


def test_nobody_and_nothing():
    assert largest_apart(lambda: []) == 0.0
    assert of(np.zeros((5, 2))) == 0.0
