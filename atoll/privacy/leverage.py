"""How much a model's result can depend on one person: the leverage of a row in the design.

    h_i = x_iᵀ (XᵀX)⁺ x_i                       0 ≤ h_i ≤ 1,  Σ h_i = rank of X

A fitted value moves by h_i when y_i moves by one. A parameter that m persons alone inform gives each of them
a leverage of 1/m: the intercept of a model whose reference cell holds one person *is* that person's outcome,
whether the cell came from a rare level, from arithmetic in the formula, or from one extreme value. So the rule
"no person above 1/K" is the threshold of K persons, for models.

Hoaglin & Welsch (1978), doi:10.1080/00031305.1978.10479237
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from atoll.privacy.statistics import Array

RANK = 1e-10  # eigenvalues below this share of the largest count as zero

Rows = tuple[Array, Array | None]  # X, and each row's person where persons have several rows


def largest_leverage(rows: Callable[[], Iterable[Rows]]) -> float:
    """The largest leverage of one person, over chunks of rows that can be read twice.

    Where a person has several rows (then all come in one chunk) their leverages add up.
    """
    gram: Array | None = None
    for X, _ in rows():
        own = X.T @ X
        gram = own if gram is None else gram + own
    if gram is None:
        return 0.0
    scale = np.sqrt(np.where(np.diag(gram) > 0, np.diag(gram), 1.0))
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    kept = values > RANK * values[-1]
    root = vectors[:, kept] / np.sqrt(values[kept]) / scale[:, None]
    largest = 0.0
    for X, person in rows():
        h = ((X @ root) ** 2).sum(axis=1)
        if person is not None:
            h = np.bincount(person, h)
        largest = max(largest, float(h.max(initial=0.0)))
    return largest
