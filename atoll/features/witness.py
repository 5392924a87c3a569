"""Who stands behind the entries of Σ xxᵀ: the cells that a gate checks before such a sum leaves.

An entry Σ xⱼxₖ sums over those for whom neither term is zero: they must be enough, or nobody. Where both terms
are indicators the sums hold their whole two-way table, since the other cells follow by subtraction: two
indicators that differ in one person would show that person. So all four cells are counted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from atoll.privacy.statistics import Array

Persons = Callable[[Array], int]  # distinct persons where a mask over the rows holds


def cells_behind(
    present: Array, labels: tuple[str, ...], indicator: tuple[bool, ...], persons: Persons | None
) -> dict[str, Array]:
    """Cells by label, in the same places for every chunk of rows.

    present     (n, terms): where a term is not zero
    labels      what a refusal may name; the cells of a term without a label are those of its partners alone
    indicator   whether a term is 0 or 1 for everybody
    persons     counts distinct persons; None where every row is one person
    """
    ones, both, only = _by_sums(present) if persons is None else _by_mask(present, persons)
    n = len(present) if persons is None else persons(np.ones(len(present), dtype=bool))
    neither = n - both - only - only.T if persons is None else _neither(present, persons)
    every = np.concatenate([ones, both.ravel(), only.ravel(), neither.ravel()])
    return {label: every[places] for label, places in _layout(labels, indicator)}


@functools.lru_cache(maxsize=64)
def _layout(labels: tuple[str, ...], indicator: tuple[bool, ...]) -> list[tuple[str, Array]]:
    """For each label, where its cells stand in [ones, both, only, neither]."""
    m = len(labels)
    places: dict[str, list[int]] = {label: [] for label in labels if label}
    for j, label in enumerate(labels):
        if not label:
            continue
        places[label] += [j, *(m + j * m + k for k in range(j))]
        if indicator[j]:
            pairs = [(j, k) for k in range(j) if indicator[k]]
            places[label] += [m + m * m + a * m + b for j_, k in pairs for a, b in ((j_, k), (k, j_))]
            places[label] += [m + 2 * m * m + a * m + b for a, b in (*pairs, (j, j))]
    return [(label, np.array(found)) for label, found in places.items()]


def _by_sums(present: Array) -> tuple[Array, Array, Array]:
    """Every row is one person: the cells follow from the sizes of the terms and their overlaps."""
    n, m = present.shape
    partial = np.flatnonzero(~present.all(axis=0))
    B = present[:, partial].astype(float)
    overlap = np.rint(B.T @ B).astype(np.int64)
    ones = np.full(m, n, dtype=np.int64)
    ones[partial] = np.diag(overlap)
    both = np.minimum.outer(ones, ones)  # where one of the two is never zero, the overlap is the other
    both[np.ix_(partial, partial)] = overlap
    return ones, both, ones[:, None] - both


def _by_mask(present: Array, persons: Persons) -> tuple[Array, Array, Array]:
    """Persons may have several rows: every cell is counted."""
    m = present.shape[1]
    ones = np.array([persons(column) for column in present.T], dtype=np.int64)
    both, only = np.zeros((m, m), dtype=np.int64), np.zeros((m, m), dtype=np.int64)
    for j in range(m):
        for k in range(m):
            both[j, k] = persons(present[:, j] & present[:, k]) if k < j else 0
            only[j, k] = persons(present[:, j] & ~present[:, k])
    return ones, both + both.T + np.diag(ones), only


def _neither(present: Array, persons: Persons) -> Array:
    m = present.shape[1]
    return np.array([[persons(~present[:, j] & ~present[:, k]) for k in range(m)] for j in range(m)], dtype=np.int64)
