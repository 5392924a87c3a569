"""How shares combine: the algebra from a chunk to all hospitals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.privacy.statistics import (
    Array,
    Statistics,
    combine,
    count,
    each,
    kinds_of,
    merge,
    points,
    table,
    tally,
    total,
    weights,
    witness,
)


class Every(Statistics):
    persons: int = count()
    cells: Array = table()
    sum: Array = total(per="cells")
    own: float = each(per="persons")
    words: dict[str, int] = tally()
    values: Array = points()
    behind: dict[str, Array] = witness()
    weights: dict[str, Array] = weights()


def share(seed: int) -> Every:
    """Small whole numbers: their sums are exact, so that order and grouping must not change a bit."""
    r = np.random.default_rng(seed)
    words = {w: int(n) for w, n in zip("abc", r.integers(1, 9, 3), strict=True) if n > 3}
    return Every(
        persons=int(r.integers(0, 50)),
        cells=r.integers(0, 50, 3),
        sum=r.integers(-9, 9, 3).astype(float),
        own=float(r.integers(0, 9)),
        words=words,
        values=np.unique(r.integers(0, 5, 4)).astype(float),
        behind={"x": r.integers(0, 50, 2)},
        weights={"w": r.integers(0, 50, 2).astype(float)},
    )


def same(a: Every, b: Every) -> None:
    for name in kinds_of(Every):
        np.testing.assert_equal(getattr(a, name), getattr(b, name), err_msg=name)


SHARES = st.lists(st.integers(0, 10**6).map(share), min_size=1, max_size=6)


@given(SHARES, st.data())
def test_merging_in_any_grouping_is_the_same(shares, data):
    cut = data.draw(st.integers(0, len(shares)))
    parts = [part for part in (shares[:cut], shares[cut:]) if part]
    same(merge([merge(part) for part in parts]), merge(shares))


@given(SHARES, st.randoms(use_true_random=False))
def test_hospitals_combine_in_the_order_of_their_names_whatever_order_they_answer_in(shares, random):
    named = {f"s{i}": one for i, one in enumerate(shares)}
    shuffled = list(named.items())
    random.shuffle(shuffled)
    same(combine(dict(shuffled)), combine(named))


@given(SHARES)
def test_what_each_hospital_keeps_apart_stays_apart(shares):
    together = combine({f"s{i}": one for i, one in enumerate(shares)})
    np.testing.assert_array_equal(together.own, [one.own for one in shares])
    assert together.persons == sum(one.persons for one in shares)
    assert merge(shares).own == sum(one.own for one in shares), "the chunks of one hospital add up"


@given(SHARES)
def test_words_and_witnesses_add_by_their_name(shares):
    merged = merge(shares)
    for word in "abc":
        assert merged.words.get(word, 0) == sum(one.words.get(word, 0) for one in shares)
    np.testing.assert_array_equal(merged.behind["x"], sum(one.behind["x"] for one in shares))
    assert set(merged.values) == {value for one in shares for value in one.values}


@pytest.mark.parametrize("per", ["people", "", "sum"])
def test_a_total_names_a_count_or_table(per):
    with pytest.raises(TypeError, match=rf"Bad.sum is a total per {per!r}, which is no count\(\) or table\(\) of Bad"):

        class Bad(Statistics):
            n: int = count()
            sum: float = total(per=per)


@pytest.mark.parametrize("kind", [total, each])
def test_a_sum_says_who_stands_behind_it(kind):
    with pytest.raises(TypeError, match=r"Bad.sum is a (total|each): say who stands behind it, in a witness\(\)"):

        class Bad(Statistics):
            n: int = count()
            sum: float = kind(per="n")


def test_a_count_that_is_kept_apart_adds_over_chunks_and_stands_beside_others_over_sites():
    class Apart(Statistics):
        n: int = count(apart=True)

    assert merge([Apart(n=10), Apart(n=20)]).n == 30
    assert combine({"north": Apart(n=10), "south": Apart(n=20)}).n.tolist() == [10, 20]


def test_a_subclass_keeps_the_kinds_of_its_base_and_may_not_add_a_field_without_one():
    class More(Every):
        further: int = count()

    assert set(kinds_of(More)) == {*kinds_of(Every), "further"}
    with pytest.raises(TypeError, match=r"Leak\.rows has no kind"):

        class Leak(Every):
            rows: Array = None


def test_a_share_cannot_be_changed():
    with pytest.raises(AttributeError):
        share(0).persons = 3
