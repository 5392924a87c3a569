"""Whom the sums of a model tell apart from all others: the leverage of a person in the products of two columns.

Σ xxᵀ is the sum over persons of q(x) = (xⱼxₖ, j ≤ k), so whoever has it has Σ c·q for any c. Where c·q is nought, or
next to it, for all but one person, that sum *is* this person's: of 300 men who smoke and one woman,
Σ packs − Σ male·packs are her packs. Over all c, with Q the rows q(x) of the persons,

    h_i = max_c (c·q_i)² / Σ_p (c·q_p)² = q_iᵀ (QᵀQ)⁺ q_i          0 ≤ h_i ≤ 1

is the leverage in Q, with the intercept and the outcome among the columns of x: one who can be read has h = 1, and
where h ≤ 1/(1 + p²) the others blur what is read by p of it (the p-rule of statistical tables; Hundepool et al. 2012,
Statistical Disclosure Control, 4.2). `APART` is a third. This is about one person and any c; that a number which the
formula itself names describes ten is counted (`features.witness` and `features.crossed`).

A product of indicators that one person has says that there is one, and nothing of them: it is left out. How many must
stand behind a level, and of how many cases it may tell, is counted.

A person with several rows adds up to one q. Of many rows a part is taken first: a leverage in a part is never smaller
than that in all, so who does not stand out there stands out nowhere. Who may is found by random projections (Johnson
& Lindenstrauss 1984; one who stands out is missed once in ten million), joins the part, and is looked at exactly.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations, pairwise

import numpy as np

from atoll.privacy.leverage import GIVEN, Weighing
from atoll.privacy.statistics import Array

APART = 0.9  # 1/(1 + p²) with p = 1/3
ENOUGH, FEWEST = 5, 8_000  # persons for each product of which the part consists, and at least
WIDE = 60  # columns that are looked at together; of more, four groups at a time: two products have four factors
BLOCK = 1 << 21  # numbers of products that are held at once
FLOOR = 1e-11  # what counts as next to nothing in a direction that nobody of a part has: well above rounding
PROBES, SUSPECT = 24, 1.0  # P(χ²₂₄ < 24 · SUSPECT/9) ≈ 1e-7, where 9 = APART/(1 − APART)

Rows = Callable[[], Iterable[Weighing]]
Products = Callable[[Array], Array]
Part = tuple[Array, Array | None]  # rows, and each row's person where persons have several
Read = Callable[[], Iterator[Part]]


def largest_apart(rows: Rows, squared: bool = False) -> float:
    """The largest leverage of one person among all products of two columns, 0 … 1; infinite where that is unknown.

    rows      chunks that can be read again and again; the rows of a person come in one chunk
    squared   pairs of columns are also summed times the outcome, and times its square

    Of many rows only those who might come near `APART` are told, and 0 when there are none.
    """
    size, binary, n, outcome = _sizes(rows)
    if not np.isfinite(size).all():
        return float("inf")
    used = np.flatnonzero(size > 0)
    if not len(used):
        return 0.0
    outcome = outcome and size[-1] > 0
    always = [used[:1], used[-1:]] if outcome else [used[:1]]  # the intercept, which comes first, and the outcome
    terms = used[1 : len(used) - outcome]
    groups = np.array_split(terms, -(-4 * len(terms) // WIDE)) if len(terms) > WIDE else [terms]
    largest = 0.0
    for parts in combinations(groups, 4) if len(groups) > 4 else [groups]:
        columns = np.concatenate([always[0], *parts, *always[1:]])
        products = functools.partial(_products, outcome=outcome and squared)
        read = functools.partial(_scaled, rows, columns, size[columns])
        found = _largest(read, n, products)
        if found > APART:
            kept = ~_alone(read, products, products(binary[None, columns].astype(float))[0] > 0)
            found = found if kept.all() else _largest(read, n, lambda Z, p=products, k=kept: p(Z)[:, k])  # type: ignore[misc]
        largest = max(largest, found)
    return largest


def largest_alone(columns: Array, person: Array | None = None) -> float:
    """The largest leverage of one person in these columns themselves (n, columns), where no pairs are summed."""
    summed = list(_blocks([(columns, person)], lambda Z: Z, columns.shape[1]))
    return _largest_of(summed, _inverse(_triangle(summed)))


def _sizes(rows: Rows) -> tuple[Array, Array, int, bool]:
    """Of each column the largest size and whether it is 0 or 1; the number of rows; whether the last is an outcome."""
    size, binary, n, outcome = np.zeros(0), np.zeros(0, dtype=bool), 0, False
    for part in rows():
        if len(part.columns):
            own, zero_one = np.abs(part.columns).max(axis=0), ((part.columns == 0) | (part.columns == 1)).all(axis=0)
            size, binary = (np.maximum(size, own), binary & zero_one) if n else (own, zero_one)
            n, outcome = n + len(part.columns), part.outcome
    return size, binary, n, outcome


def _alone(read: Read, products: Products, indicators: Array) -> Array:
    """Which products are of indicators alone, and not nought for one row only."""
    held = np.zeros(len(indicators))
    for Z, _ in read():
        held[indicators] += products(Z)[:, indicators].sum(axis=0)
    alone: Array = indicators & (held == 1)
    return alone


def _scaled(rows: Rows, columns: Array, size: Array) -> Iterator[Part]:
    return ((part.columns[:, columns] / size, part.person) for part in rows())


def _products(Z: Array, outcome: bool) -> Array:
    """Of each row the products of two of its columns; with an outcome, those of the others times it and its square."""
    j, k = np.triu_indices(Z.shape[1])
    Q = Z[:, j] * Z[:, k]
    if outcome:
        X, y = _products(Z[:, :-1], False), Z[:, -1:]
        Q = np.concatenate([Q, X * y, X * y**2], axis=1)
    return Q


def _largest(read: Read, n: int, products: Products) -> float:
    """The largest leverage over the rows that `read` gives."""
    part = [next(iter(read()))]
    width = products(part[0][0][:1]).shape[1]
    several = part[0][1] is not None
    every = 1 if several else max(1, n // max(ENOUGH * width, FEWEST))
    if not several:
        part = [(np.concatenate([Z[::every] for Z, _ in read()]), None)]
    triangle = _triangle(_blocks(part, products, width))
    if every > 1:
        rest = ((np.delete(Z, np.s_[::every], axis=0), None) for Z, _ in read())
        part.append((_suspects(rest, products, _inverse(triangle, floor=True)), None))
        triangle = _triangle([triangle, products(part[1][0])])
    looked_at = functools.partial(_blocks, part, products, width)
    inverse = _inverse(triangle, floor=every > 1)
    largest = _largest_of(looked_at(), inverse)
    if every > 1 and largest > APART:  # by a part, which may be too much
        surely = _surely(looked_at(), _blocks(read(), products, width), inverse)
        largest = (
            surely
            if surely > APART
            else _largest_of(looked_at(), _inverse(_triangle(_blocks(read(), products, width))))
        )
    return largest


def _blocks(parts: Iterable[Part], products: Products, width: int) -> Iterator[Array]:
    """Q of the persons, a block at a time."""
    most = max(BLOCK // width, 2 * width)
    for Z, person in parts:
        if person is None:
            for start in range(0, len(Z), most):
                yield products(Z[start : start + most])
            continue
        order = np.argsort(person, kind="stable")
        starts = np.flatnonzero(np.diff(person[order], prepend=-1))
        firsts = starts[np.unique(starts // most, return_index=True)[1]]
        for start, end in pairwise([*firsts, len(Z)]):
            own = starts[(starts >= start) & (starts < end)] - start
            yield np.add.reduceat(products(Z[order[start:end]]), own, axis=0)


def _triangle(blocks: Iterable[Array]) -> Array:
    """R of the QR decomposition of all blocks."""
    from scipy.linalg import qr

    found: Array | None = None
    for Q in blocks:
        stacked = Q if found is None else np.concatenate([found, Q])
        found = qr(stacked, mode="r", check_finite=False)[0][: stacked.shape[1]]
    assert found is not None
    return found


def _inverse(triangle: Array, floor: bool = False) -> Array:
    """W with ‖qᵀW‖² the leverage of q. Directions that nobody has count for nothing or, with `floor`, beyond measure:
    then whoever has them stands out."""
    from scipy.linalg import qr, solve_triangular

    scale = np.sqrt((triangle**2).sum(axis=0))
    scale[scale == 0] = 1.0
    T, order = qr(triangle / scale, mode="r", pivoting=True, check_finite=False)
    rank, width = int((np.abs(np.diag(T)) > GIVEN).sum()), len(scale)
    kept = width if floor else rank
    square = FLOOR * np.eye(kept)
    square[:rank] = T[:rank, :kept]
    inverse = np.zeros((width, kept))
    inverse[order[:kept]] = solve_triangular(square, np.eye(kept), check_finite=False)
    result: Array = inverse / scale[:, None]
    return result


def _largest_of(blocks: Iterable[Array], inverse: Array) -> float:
    return max((float(((Q @ inverse) ** 2).sum(axis=1).max(initial=0.0)) for Q in blocks), default=0.0)


def _surely(looked_at: Iterable[Array], everybody: Iterable[Array], inverse: Array) -> float:
    """What the leverage over all rows is at least, of the one for whom it is largest in the part: by the combination c
    that is best there."""
    q = max(
        (Q[((Q @ inverse) ** 2).sum(axis=1).argmax()] for Q in looked_at if len(Q)),
        key=lambda q: ((q @ inverse) ** 2).sum(),
    )
    c = inverse @ (inverse.T @ q)
    return float((q @ c) ** 2 / sum(float(((Q @ c) ** 2).sum()) for Q in everybody))


def _suspects(parts: Iterable[Part], products: Products, inverse: Array) -> Array:
    """The rows whose leverage by random projections is not small."""
    probes = inverse @ np.random.default_rng(0).normal(scale=PROBES**-0.5, size=(inverse.shape[1], PROBES))
    return np.concatenate([Z[((products(Z) @ probes) ** 2).sum(axis=1) > SUSPECT] for Z, _ in parts])
