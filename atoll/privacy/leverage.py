"""How much a model's result can depend on one person: the leverage of a row in the design.

    h_i = x_iᵀ (XᵀX)⁺ x_i                       0 ≤ h_i ≤ 1,  Σ h_i = rank of X

A fitted value moves by h_i when y_i moves by one. A parameter that m persons alone inform gives each of them
a leverage of 1/m: the intercept of a model whose reference cell holds one person *is* that person's outcome,
whether the cell came from a rare level, from arithmetic in the formula, or from one extreme value. So the rule
"no person above 1/K" is the threshold of K persons, for models.

Where leverage cannot be computed it is infinite, and the rule refuses: columns that are not finite, and a column
that is all but given by others. In such a column a person can be hidden, since sums of the two differ by that
person alone. What is 0 or 1 for everybody, or the same for everybody, depends on others exactly or not at all (a
hospital without patients of the reference level), and hides nobody: it is left out.

Hoaglin & Welsch (1978), doi:10.1080/00031305.1978.10479237
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from atoll.privacy.statistics import Array

NEARLY = 1e-12  # share of a column's square sum that the columns before it leave unexplained: less counts as nothing

Rows = tuple[Array, Array | None]  # X, and each row's person where persons have several rows


def largest_leverage(rows: Callable[[], Iterable[Rows]]) -> float:
    """The largest leverage of one person, over chunks of rows that can be read again and again.

    Where a person has several rows (then all come in one chunk) their leverages add up.
    """
    extremes = _extremes(rows)
    if extremes is None:
        return 0.0
    size, exact = extremes
    if not np.isfinite(size).all():
        return float("inf")
    used = np.flatnonzero(size > 0)
    order = np.concatenate([used[exact[used]], used[~exact[used]]])  # what is exact first
    gram = sum((X[:, order] / size[order]).T @ (X[:, order] / size[order]) for X, _ in rows())
    root, kept = _root(np.asarray(gram), exact[order])
    if root is None:
        return float("inf")
    largest = 0.0
    for X, person in rows():
        h = ((X[:, order[kept]] / size[order[kept]] @ root) ** 2).sum(axis=1)
        if person is not None:
            h = np.bincount(person, h)
        if not np.isfinite(h).all():
            return float("inf")
        largest = max(largest, float(h.max(initial=0.0)))
    return largest


def _extremes(rows: Callable[[], Iterable[Rows]]) -> tuple[Array, Array] | None:
    """Per column the largest size, and whether it is 0 or 1, or the same, for everybody; None without rows."""
    low = high = binary = None
    for X, _ in rows():
        if len(X):
            bounds = X.min(axis=0), X.max(axis=0), ((X == 0) | (X == 1)).all(axis=0)
            low = bounds[0] if low is None else np.minimum(low, bounds[0])
            high = bounds[1] if high is None else np.maximum(high, bounds[1])
            binary = bounds[2] if binary is None else binary & bounds[2]
    if low is None or high is None or binary is None:
        return None
    return np.maximum(np.abs(low), np.abs(high)), binary | (low == high)


def _root(gram: Array, exact: Array) -> tuple[Array | None, list[int]]:
    """R with R Rᵀ = (XᵀX)⁻¹ over the columns kept, and which these are; None when a column is all but given."""
    scale = np.sqrt(np.diag(gram))
    unit = gram / np.outer(scale, scale)
    factor, kept = np.zeros_like(unit), list[int]()
    for j in range(len(unit)):
        k = len(kept)
        row = np.linalg.solve(factor[:k, :k], unit[kept, j])
        left = unit[j, j] - row @ row
        if left >= NEARLY:
            factor[k, :k], factor[k, k] = row, np.sqrt(left)
            kept.append(j)
        elif not exact[j]:
            return None, kept
    k = len(kept)
    inverse: Array = np.linalg.solve(factor[:k, :k], np.eye(k)).T
    return inverse / scale[kept, None], kept
