"""Attacks on levels that few have, in what hospitals compare: is one person there? Asked of a real site.

A level that nobody has and one that fewer than the minimum have give the same bytes, and nothing is left over to
subtract.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.algorithms.comparability import seen
from atoll.network.codec import encode
from atoll.privacy.disclosure import STRICT, Policy
from atoll.study.dictionary import OTHER, Column
from tests.unit.answering import Site, view

K = STRICT.minimum_persons
LEVELS = ("a", "b", "c", "d")
COLUMNS = {"stage": Column("category", LEVELS), "fault": Column("flag"), "id": Column("person")}
UNROUNDED = Policy(rounding=1)  # rounding only helps: the rule must hold without it
COUNTS = st.tuples(*[st.sampled_from([0, 0, 1, 2, 5, 9, 10, 11, 40, 200])] * 4).filter(lambda counts: sum(counts) >= K)


def asked(counts, column="stage", policy=STRICT, rows=1):
    """The share that leaves of a hospital where so many persons have each level."""
    levels = LEVELS if column == "stage" else ("0", "1")
    words = np.repeat(levels[: len(counts)], counts)
    values = words.astype(object) if column == "stage" else words.astype(float)
    table = {name: np.repeat(values if name == column else np.zeros(len(values)), rows) for name in (column, "fault")}
    table = {"stage": np.full(len(values) * rows, "a", object), **table, "id": np.repeat(np.arange(len(values)), rows)}
    here = Site(table, COLUMNS, policy)
    question = seen(numbers=(), words=tuple(f"{column}={level}" for level in (*levels, OTHER)))
    question = replace(question, view=view(column))
    outcome = here.ask(question, here.permit("comparability"))
    assert not outcome.code, outcome.code
    return here.share(question, outcome)


@pytest.mark.parametrize("policy", [STRICT, UNROUNDED])
@pytest.mark.parametrize("rows", [1, 3])
def test_nobody_at_fault_and_a_few_give_the_same_bytes(policy, rows):
    for persons in (K, 2 * K - 1, 57, 500):
        told = {encode(asked((persons - few, few), "fault", policy, rows)) for few in range(min(K, persons))}
        assert len(told) == 1, persons
        told = {encode(asked((few, persons - few), "fault", policy, rows)) for few in range(min(K, (persons + 1) // 2))}
        assert len(told) == 1, persons


@given(COUNTS)
def test_whoever_has_a_level_of_few_could_have_the_largest_one(counts):
    counts = list(counts)
    largest = int(np.argmax(counts))
    few = [i for i, n in enumerate(counts) if n < K and i != largest]
    together = sum(counts[i] for i in few)
    without = [0 if i in few else n + together * (i == largest) for i, n in enumerate(counts)]
    if together < K:
        assert encode(asked(counts, policy=UNROUNDED)) == encode(asked(without, policy=UNROUNDED))


@given(COUNTS)
def test_what_is_told_is_true_and_leaves_nobody_over(counts):
    share = asked(counts, policy=UNROUNDED)
    low, high = share.low.tolist(), share.high.tolist()
    step = K  # its own numbers leave as multiples of the minimum
    for n, least, most in zip(counts, low, high, strict=False):
        assert least - step / 2 <= n <= most + step / 2
        assert (least, most) == (0, K) or n >= K or most - least >= K
    exact = [n for n, a, b in zip(counts, low, high, strict=False) if a == b]
    assert all(n >= K for n in exact)
    assert low[-1] == high[-1] and (low[-1] == 0 or low[-1] >= K)
