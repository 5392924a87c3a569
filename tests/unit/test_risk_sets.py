"""The arithmetic of risk sets, held against the sums written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.algorithms.risk_sets import block_sums, blocks_of, centred, latest_first


def test_a_constant_row_becomes_nothing_and_no_rounding():
    X = np.stack([np.full(7, 0.1), np.arange(7.0)])
    assert (centred(X)[0] == 0).all() and X[1].mean() == pytest.approx(0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 4))
def test_sums_by_block_are_those_over_its_rows(seed, n, times):
    r = np.random.default_rng(seed)
    time, strata, event = r.integers(1, times + 1, n).astype(float), r.integers(0, 2, n), r.random(n) < 0.5
    order = latest_first(time, strata)
    time, strata, event = time[order], strata[order], event[order]
    X, theta, block = r.normal(size=(3, n)), r.random(n) + 0.1, blocks_of(strata, time)
    size = int(block[-1]) + 1
    found = block_sums(X, theta, event, block, size)
    for b in range(size):
        mine, died = block == b, (block == b) & event
        assert found.s0[b] == pytest.approx(theta[mine].sum())
        assert found.s1[:, b] == pytest.approx((theta * X)[:, mine].sum(axis=1))
        assert found.d0[b] == pytest.approx(theta[died].sum())
        assert found.d1[:, b] == pytest.approx((theta * X)[:, died].sum(axis=1))
    assert found.died == pytest.approx(X[:, event].sum(axis=1))
