"""Who stands behind the entries of Σ xxᵀ: the cells that a gate checks before such a sum leaves.

An entry Σ xⱼxₖ sums over those for whom neither term is zero: they must be enough, or nobody. Where both terms
are indicators the sums hold their whole two-way table, since the other cells follow by subtraction: two
indicators that differ in one person would show that person. So all four cells are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from atoll.privacy.statistics import Array

Persons = Callable[[Array], int]  # distinct persons where a mask over the rows holds


def cells_behind(
    columns: Sequence[Array], labels: Sequence[str], indicator: Sequence[bool], persons: Persons, repeats: bool
) -> dict[str, Array]:
    """Cells by label, in the same places for every chunk of rows.

    columns     the terms, (n,) each
    labels      what a refusal may name; the cells of a term without a label are those of its partners alone
    indicator   whether a term is 0 or 1 for everybody
    persons     counts distinct persons; `repeats` says whether a person may have several rows
    """
    supports = [None if _full(column) else column != 0 for column in columns]
    ones, both, only, neither = (_by_mask if repeats else _by_sums)(supports, len(columns[0]), persons)
    found: dict[str, list[Array]] = {label: [] for label in labels if label}
    for j, label in enumerate(labels):
        if not label:
            continue
        found[label] += [ones[j : j + 1], both[j, :j]]
        if indicator[j]:
            paired = [k for k in range(j) if indicator[k]]
            found[label] += [only[j, paired], only[paired, j], neither[j, paired], neither[j, j : j + 1]]
    return {label: np.concatenate(cells) for label, cells in found.items()}


def _full(column: Array) -> bool:
    """Whether no entry is zero."""
    return bool(column.min() > 0 or column.max() < 0 or column.all())


Tables = tuple[Array, Array, Array, Array]  # per term; then for each pair: in both, in the first alone, in neither


def _by_sums(supports: Sequence[Array | None], n: int, persons: Persons) -> Tables:
    """Every row is one person: the cells follow from the sizes and the overlaps."""
    m = len(supports)
    partial = [j for j, support in enumerate(supports) if support is not None]
    B = np.array([supports[j] for j in partial], dtype=float).reshape(len(partial), n)
    ones = np.full(m, n, dtype=np.int64)
    overlap = np.rint(B @ B.T).astype(np.int64)
    ones[partial] = np.diag(overlap)
    both = np.minimum.outer(ones, ones)  # where one of the two is full, the overlap is the other
    both[np.ix_(partial, partial)] = overlap
    only = ones[:, None] - both
    return ones, both, only, n - both - only - only.T


def _by_mask(supports: Sequence[Array | None], n: int, persons: Persons) -> Tables:
    """Persons may have several rows: every cell is counted."""
    m = len(supports)
    masks = [np.ones(n, dtype=bool) if support is None else support for support in supports]
    ones = np.array([persons(mask) for mask in masks], dtype=np.int64)
    both, only, neither = (np.zeros((m, m), dtype=np.int64) for _ in range(3))
    for j in range(m):
        for k in range(m):
            only[j, k] = persons(masks[j] & ~masks[k])
            if k <= j:
                both[j, k] = both[k, j] = persons(masks[j] & masks[k])
                neither[j, k] = neither[k, j] = persons(~masks[j] & ~masks[k])
    return ones, both, only, neither
