"""Two described columns that few have and that agree but for a few: found in every table of which there are any."""

from __future__ import annotations

import numpy as np
import pytest

from atoll.features.described import told_apart


def table(seed, n, have, changed=6):
    """The dose of a drug at its start and at last, of some `have` of n patients."""
    r = np.random.default_rng(seed)
    on, age = r.random(n) < have / n, r.normal(62, 11, n).round()
    start = r.choice([5.0, 10.0, 20.0, 40.0], n)
    other = on & (r.random(n) < changed / have)
    last = start + np.where(other, r.integers(2, 12, n), 0)
    return {"age": age, "start": np.where(on, start, np.nan), "last": np.where(on, last, np.nan)}, int(other.sum())


@pytest.mark.parametrize("have", [30, 50, 80, 120])
def test_a_few_whose_columns_differ_are_found_however_few_have_them(have):
    for seed in range(12):
        columns, few = table(seed + have, 5_000, have)
        if 1 <= few <= 9:
            assert max(told_apart(columns, None, 10).values()) >= 1, (seed, few)


def test_columns_that_nobody_could_subtract_are_described():
    r = np.random.default_rng(1)
    columns = {name: r.normal(50, 9, 5_000).round(1) for name in ("a", "b", "c")}
    columns["b"][r.random(5_000) < 0.2] = np.nan
    assert max(told_apart(columns, None, 10).values()) < 0.5
    assert told_apart(columns, None, 1) == {"a": 0.0, "b": 0.0, "c": 0.0}
    assert told_apart({}, None, 10) == {}
