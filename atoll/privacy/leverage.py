"""How much a model's result can depend on one person: the leverage of a row in the design, and its outcome's share.

    h_i = x_iᵀ (XᵀX)⁺ x_i                       0 ≤ h_i ≤ 1,  Σ h_i = rank of X
    r_i = e_i² / Σ e²                           e the least-squares residuals of the outcome on X

A fitted value moves by h_i when y_i moves by one. A parameter that m persons alone inform gives each of them
a leverage of 1/m: the intercept of a model whose reference cell holds one person *is* that person's outcome,
whether the cell came from a rare level, from arithmetic in the formula, or from one extreme value. In the same
way r_i is near one when all but one person's outcomes are given by X: zero for everybody else, or the same, or a
column of X. Then Xᵀy less what is given *is* that person's row. (h_i + r_i is the leverage in the design with the
outcome as one more column.) So the rule "nobody above 1/K" is the threshold of K persons, for models.

Where leverage cannot be computed it is infinite, and the rule refuses: columns that are not finite, and a column
that is all but given by others. In such a column a person can be hidden, since sums of the two differ by that
person alone. What is 0 or 1 for everybody, or the same for everybody, depends on others exactly or not at all (a
hospital without patients of the reference level), and hides nobody: it is left out.

Hoaglin & Welsch (1978), doi:10.1080/00031305.1978.10479237
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from atoll.privacy.statistics import Array

GIVEN = 1e-13  # size of what is left of a column, of unit size, below which others give it to the last digits
NEARLY = 1e-12  # share of a column's square sum that the columns before it leave unexplained: less counts as nothing


@dataclass(frozen=True)
class Weighing:
    """Rows as they are weighed: columns (n, terms), the last of them the outcome if there is one; each row's person
    where persons have several; which columns were 0 or 1, or the same, before weights; what a refusal calls each."""

    columns: Array
    outcome: bool = False
    person: Array | None = None
    exact: Array | None = None
    names: tuple[str, ...] = ()

    def parts(self, size: int) -> Iterator[Weighing]:
        """The same in chunks of so many rows, or in one where persons have several."""
        step = size if self.person is None else max(len(self.columns), 1)
        for start in range(0, len(self.columns), step):
            yield replace(self, columns=self.columns[start : start + step])


@dataclass(frozen=True)
class Influence:
    """The largest of one person, 0 … 1 or infinite: leverage, share of the outcome's residual squares, leverage among
    pairs (see `pairs`). The fewest persons, and the column, of whom sums tell together (see `few`)."""

    leverage: float = 0.0
    outcome: float = 0.0
    apart: float = 0.0
    few: float = np.inf
    column: str = ""


def largest_influence(rows: Callable[[], Iterable[Weighing]]) -> Influence:
    """The largest leverage and share of one person, over chunks of rows that can be read again and again.

    Where a person has several rows (then all come in one chunk) theirs add up.
    """
    extremes = _extremes(rows)
    if extremes is None:
        return Influence()
    size, exact, given = extremes
    if not np.isfinite(size).all():
        return Influence(np.inf, np.inf)
    used = np.flatnonzero(size[: len(size) - given] > 0)
    order = np.concatenate([used[exact[used]], used[~exact[used]]])  # what is exact first
    if given and size[-1] > 0:
        order = np.append(order, len(size) - 1)  # and the outcome last
    gram = sum(_gram(part.columns[:, order] / size[order]) for part in rows())
    root, kept = _root(np.asarray(gram), exact[order])
    if root is None:
        return Influence(np.inf, np.inf)
    last = bool(given) and len(order) - 1 in kept and order[-1] == len(size) - 1
    largest = np.zeros(2)
    for part in rows():
        squares = (part.columns[:, order[kept]] / size[order[kept]] @ root) ** 2
        h, r = squares[:, : len(kept) - last].sum(axis=1), squares[:, len(kept) - last :].sum(axis=1)
        if part.person is not None:
            h, r = np.bincount(part.person, h), np.bincount(part.person, r)
        if not (np.isfinite(h).all() and np.isfinite(r).all()):
            return Influence(np.inf, np.inf)
        largest = np.maximum(largest, [h.max(initial=0.0), r.max(initial=0.0)])
    return Influence(float(largest[0]), float(largest[1]))


def _gram(columns: Array) -> Array:
    result: Array = columns.T @ columns
    return result


def _extremes(rows: Callable[[], Iterable[Weighing]]) -> tuple[Array, Array, int] | None:
    """Per column the largest size, and whether it is 0 or 1, or the same, for everybody; None without rows.

    Also 1 where the last column is the outcome, else 0.
    """
    low = high = binary = None
    given = 0
    for part in rows():
        X, given = part.columns, int(part.outcome)
        if len(X):
            zero_one = ((X == 0) | (X == 1)).all(axis=0) if part.exact is None else part.exact
            bounds = X.min(axis=0), X.max(axis=0), zero_one
            low = bounds[0] if low is None else np.minimum(low, bounds[0])
            high = bounds[1] if high is None else np.maximum(high, bounds[1])
            binary = bounds[2] if binary is None else binary & bounds[2]
    if low is None or high is None or binary is None:
        return None
    return np.maximum(np.abs(low), np.abs(high)), binary | (low == high), given


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


def unexplained(columns: Array) -> Array:
    """What the other columns leave unexplained of each (least squares), in the size of the column: (n, columns).

    columns   (n, columns), centred. What others give to the last digits is nought.
    """
    from scipy.linalg import qr, solve_triangular

    size = np.sqrt((columns**2).sum(axis=0))
    used = np.flatnonzero(size > 0)
    left = np.zeros_like(columns)
    if len(used):
        Q, R, order = qr(columns[:, used] / size[used], mode="economic", pivoting=True, check_finite=False)
        rank = int((np.abs(np.diag(R)) > GIVEN).sum())
        apart = Q[:, :rank] @ solve_triangular(R[:rank, :rank], np.eye(rank), trans=1)  # dual to the kept columns
        kept = used[order[:rank]]
        left[:, kept] = apart / (apart**2).sum(axis=0) * size[kept]
    return left
