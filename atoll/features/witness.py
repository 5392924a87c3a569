"""Who stands behind the entries of Σ xxᵀ: the cells that a gate checks before such a sum leaves.

An entry Σ xⱼxₖ sums over those for whom neither term is zero: they must be enough, or nobody. Where both terms
are indicators the sums hold their whole two-way table, since the other cells follow by subtraction: two
indicators that differ in one person would show that person. So all four cells are counted.

More stands in the sums than the terms say, and is counted as if it were a term:

* indicators inside a term: of `a:age` the a, of `I(flag * age)` the flag;
* every level of a category of three and more, for the reference is whoever has no other level;
* every stratum: what a term says is said within them;
* the basis function that the terms of a spline leave out: it is one less their sum.

Where a number stands beside an indicator, those for whom the number is not zero are counted within it and outside.

What arithmetic, splines and extreme values tell of one person is no count: `privacy.leverage` looks at that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from atoll.features.products import first_bases, is_indicator
from atoll.privacy.statistics import Array
from atoll.study.design import Design, Factor, Level, Number, columns_of
from atoll.study.dictionary import Dictionary

Persons = Callable[[Array], int]  # distinct persons where a mask over the rows holds
_EXACT = 1 << 23  # rows that single precision counts without error


@dataclass(frozen=True)
class Behind:
    """What is counted for a design.

    inside      indicators beyond the terms, as factors to be multiplied
    labels      the column that each term, then each of `inside` reads first; may be empty
    indicator   whether each of them is 0 or 1 for everybody
    values      of columns of few values, each of which is counted (see `codes`)
    """

    inside: tuple[tuple[Factor, ...], ...]
    labels: tuple[str, ...]
    indicator: tuple[bool, ...]
    values: Mapping[str, Array] = field(default_factory=dict)


def behind(
    design: Design,
    columns: Dictionary,
    more: Sequence[tuple[Factor, ...]] = (),
    values: Mapping[str, Array] | None = None,
) -> Behind:
    """What is counted for a design, in an order that depends on the design alone; `more` are strata and offset."""
    inside = [*_inside(design, columns), *more]
    terms = [*design.columns, *inside]
    return Behind(
        tuple(inside),
        tuple(first_column(factors) for factors in terms),
        tuple(bool(factors) and all(is_indicator(f, columns) for f in factors) for factors in terms),
        values or {},
    )


def first_column(factors: tuple[Factor, ...]) -> str:
    """The column that a term reads first; none for the intercept and for what is the site's alone."""
    return next((name for factor in factors for name in columns_of(factor)), "")


def _inside(design: Design, columns: Dictionary) -> list[tuple[Factor, ...]]:
    found: dict[frozenset[Factor], tuple[Factor, ...]] = {}
    for factors in design.columns:
        parts = tuple(f for f in factors if is_indicator(f, columns))
        found[frozenset(parts)] = parts
        categories = [f.column for f in parts if isinstance(f, Level)]
        read = [name for f in factors if f not in parts for name in columns_of(f)]
        alone: list[Factor] = [Number(("column", name)) for name in read if columns[name].type == "flag"]
        for name in categories:
            words = design.levels.get(name, ())
            alone += [Level(name, word) for word in words if len(words) > 2]
        found |= {frozenset((factor,)): (factor,) for factor in alone}
    found |= {frozenset(one): one for one in first_bases(design.columns)}
    own = {frozenset(factors) for factors in design.columns}
    return [parts for key, parts in found.items() if parts and key not in own]


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
        if not indicator[j]:
            places[label] += [m + m * m + j * m + k for k in range(m) if indicator[k]]
        if indicator[j]:
            pairs = [(j, k) for k in range(j) if indicator[k]]
            places[label] += [m + m * m + a * m + b for j_, k in pairs for a, b in ((j_, k), (k, j_))]
            places[label] += [m + 2 * m * m + a * m + b for a, b in (*pairs, (j, j))]
    return [(label, np.array(found)) for label, found in places.items()]


def weights_within(
    present: Array, labels: tuple[str, ...], indicator: tuple[bool, ...], weights: Array, person: Array | None
) -> dict[str, Array]:
    """Σw and Σw² over the persons of each term, and of an indicator over all others, as {label: (2, cells)}.

    present     (n, terms): where a term is not zero
    weights     (n, q), not negative: the sums are taken for each of them
    person      each row's person, whose rows add up; None where every row is one person
    """
    found: dict[str, list[Array]] = {label: [] for label in labels if label}
    held = np.concatenate([weights, weights**2], axis=1)
    whole: Array = np.asarray(present.all(axis=0))
    everybody = held.sum(axis=0).reshape(2, -1)
    for j, label in enumerate(labels):
        if not label:
            continue
        for inside in (True, False)[: 2 if indicator[j] else 1]:
            where: Array = present[:, j] if inside else ~present[:, j]
            if person is not None:
                sums = [np.bincount(person, np.where(where, w, 0.0)) for w in weights.T]
                found[label] += [np.array([[total.sum()], [total @ total]]) for total in sums]
            elif whole[j]:
                found[label].append(everybody if inside else np.zeros_like(everybody))
            else:
                found[label].append((where.astype(np.float64) @ held).reshape(2, -1))
    return {label: cells[0] if len(cells) == 1 else np.concatenate(cells, axis=1) for label, cells in found.items()}


def _by_sums(present: Array) -> tuple[Array, Array, Array]:
    """Every row is one person: the cells follow from the sizes of the terms and their overlaps."""
    n, m = present.shape
    partial = np.flatnonzero(~present.all(axis=0))
    overlap = np.zeros((len(partial), len(partial)), dtype=np.int64)
    for start in range(0, n, _EXACT):
        B = present[start : start + _EXACT, partial].astype(np.float32)
        overlap += np.rint(B.T @ B).astype(np.int64)
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
