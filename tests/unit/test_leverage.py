"""Leverage against its definition, and the terms that a dictionary proves finite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import DataError
from atoll.features.complete import Complete
from atoll.features.intervals import refuse_unbounded, values_of
from atoll.features.table import memory_table
from atoll.features.terms import Terms
from atoll.privacy.leverage import Influence, Weighing, largest_influence
from atoll.study.coding import resolve
from atoll.study.design import Facts, Number
from atoll.study.dictionary import Column
from atoll.study.formula import factor, parse
from atoll.study.view import View


def of(X, size=None, person=None):
    """The largest leverage, over chunks."""
    size = size or len(X)
    parts = [Weighing(X[i : i + size], False, person) for i in range(0, len(X), size)]
    return largest_influence(lambda: parts).leverage


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 30))
def test_it_is_the_largest_diagonal_entry_of_the_hat_matrix(seed, p, size):
    r = np.random.default_rng(seed)
    X = np.column_stack([np.ones(40), r.normal(size=(40, p)) * 10.0 ** r.integers(-4, 5, p)])
    Q, _ = np.linalg.qr(X)
    np.testing.assert_allclose(of(X, size), (Q**2).sum(axis=1).max(), rtol=1e-6)


@given(st.integers(1, 20))
def test_a_cell_of_m_persons_gives_each_of_them_one_mth(m):
    X = np.column_stack([np.ones(100), np.arange(100) < m])
    assert of(X) == pytest.approx(1 / min(m, 100 - m))


def test_rows_of_one_person_add_up():
    X = np.column_stack([np.ones(100), np.arange(100) < 20])
    person = np.concatenate([np.zeros(20), np.arange(1, 81)]).astype(int)
    assert of(X, person=person) == pytest.approx(1.0)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_has_no_bound(bad):
    assert of(np.array([[1.0, 1.0], [1.0, bad], [1.0, 3.0]])) == np.inf


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e150, 1e200, 1e300])
def test_the_scale_of_a_column_hides_nobody(scale):
    X = np.column_stack([np.ones(100), (np.arange(100) == 7) * scale])
    assert of(X) == pytest.approx(1.0)


@pytest.mark.parametrize("size", [1e-4, 1e-6, 1e-8])
def test_a_column_that_differs_from_another_by_one_person_has_no_bound(size):
    age = np.random.default_rng(3).normal(60, 10, 500)
    X = np.column_stack([np.ones(500), age, age + size * (np.arange(500) == 9)])
    assert of(X) > 0.1


def test_what_is_exactly_given_by_indicators_is_left_out():
    g = np.arange(120) % 3
    X = np.column_stack([np.ones(120), g == 0, g == 1, g == 2, np.full(120, 4.0), np.zeros(120)]).astype(float)
    assert of(X) == pytest.approx(1 / 40)  # nobody of the reference level here, a constant, an empty level


def test_nobody_and_nothing():
    assert largest_influence(lambda: []) == Influence()
    assert of(np.zeros((5, 2))) == 0.0


COLUMNS = {
    "x": Column("number", low=1, high=100),
    "z": Column("number", low=-5, high=5),
    "d": Column("flag"),
    "free": Column("number"),
}


@pytest.mark.parametrize(
    ("term", "finite"),
    [
        ("log(x)", True), ("log(z)", False), ("log(free)", False), ("log(I(d + 1))", True), ("log(d)", False),
        ("sqrt(x)", True), ("sqrt(d)", True), ("sqrt(z)", False), ("exp(x)", True), ("exp(I(x * 100))", False),
        ("exp(free)", False), ("I(1 / x)", True), ("I(1 / z)", False), ("I(1 / (z + 6))", True), ("I(x / 2)", True),
        ("I(z ** 2)", True), ("I(z ** 3)", True), ("I(z ** -1)", False), ("I(x ** -1)", True), ("I(x ** 0.5)", True),
        ("I(z ** 0.5)", False), ("I(2 ** z)", False), ("abs(free)", True), ("I(free * free)", True),
        ("I(free ** 4)", False), ("I(-x + z * d)", True), ("log10(x)", True), ("log2(I(x - 1))", False),
    ],
)  # fmt: skip
def test_the_dictionary_decides_whether_a_term_is_finite(term, finite):
    design = resolve(parse(f"d ~ {term}"), Facts(), COLUMNS, ("north",))
    if finite:
        refuse_unbounded(design, COLUMNS)
    else:
        with pytest.raises(DataError, match=r"is not finite for every value that the dictionary allows") as caught:
            refuse_unbounded(design, COLUMNS)
        assert caught.value.code == "TERM_UNBOUNDED"


EXPRESSIONS = st.recursive(
    st.sampled_from(["x", "z", "d", "2", "0.5", "3"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from(["log", "exp", "sqrt", "abs", "-"]), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, st.sampled_from(["2", "3", "-1", "0.5"])).map(lambda t: f"({t[0]} ** {t[1]})"),
    ),
    max_leaves=6,
)


@given(EXPRESSIONS, st.integers(0, 10**6))
def test_a_term_that_the_dictionary_proves_finite_is_finite_and_within_its_bounds(text, seed):
    call = factor(f"I({text})")
    bounds = values_of(call.expression, COLUMNS)
    if bounds is None:
        return
    r = np.random.default_rng(seed)
    table = {
        "x": np.concatenate([[1.0, 100.0], r.uniform(1, 100, 30)]),
        "z": np.concatenate([[-5.0, 5.0], r.uniform(-5, 5, 30)]),
        "d": np.concatenate([[0.0, 1.0], r.integers(0, 2, 30)]).astype(float),
    }
    (batch,) = memory_table(table).batches(("x", "z", "d"), None)
    complete = Complete(batch, View(columns=("x", "z", "d")), COLUMNS, None)
    values = Terms(complete, {}, "north").products([(Number(call.expression),)])
    assert np.isfinite(values).all()
    slack = 1e-9 * max(1.0, abs(bounds[0]), abs(bounds[1]))
    assert bounds[0] - slack <= np.min(values)
    assert np.max(values) <= bounds[1] + slack
