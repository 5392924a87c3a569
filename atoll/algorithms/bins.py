"""Histograms whose every cell holds enough persons, and what they still say about order.

A site merges neighbouring bins until each holds at least the minimum. The merged groups cover every bin: a
group begins where the one before it ends, and the last one ends with the last bin, so that no table tells
where the smallest or the largest value lies. A group that spans bins a…b is counted once in `low` at a and
once in `high` at b. Both tables add up over sites although every site merges differently, and they bound
the pooled distribution function from both sides:

    Σ_{i ≤ j} highᵢ  ≤  #{x ≤ edge_j}  ≤  Σ_{i ≤ j} lowᵢ

Where no merging was needed, low = high and the bounds are those of the bins alone. Where the policy rounds
counts, the bounds hold for the rounded counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from atoll.algorithms.cells import few, groups
from atoll.algorithms.core import Data
from atoll.algorithms.nested import nearest
from atoll.privacy.statistics import Array
from atoll.study.dictionary import OTHER, code_name


def coded_words(data: Data, name: str) -> tuple[list[str], Array]:
    """At a site: the words of a category (or the codes of a number) in their order, and each row's place among them.

    A row without a word has the place after the last.
    """
    words = data.column(name)
    numeric = words.dtype.kind == "f"
    there = np.isfinite(words) if numeric else np.array([word is not None for word in words], dtype=bool)
    found, codes = np.unique(words[there] if numeric else words[there].astype(str), return_inverse=True)
    every = np.full(len(words), len(found))
    every[there] = codes
    return [code_name(value) for value in found] if numeric else found.tolist(), every


def persons_per_word(data: Data, name: str) -> dict[str, int]:
    """At a site: distinct persons per word of a category, or per code of a number, in their order."""
    names, codes = coded_words(data, name)
    return dict(zip(names, data.persons_per(codes, len(names) + 1)[:-1].tolist(), strict=True))


def persons_per_level(data: Data, name: str) -> dict[str, int]:
    """At a site: persons per word; words of too few go, smallest first, into `OTHER` until that holds enough."""
    words, codes = coded_words(data, name)
    persons = dict(zip(words, data.persons_per(codes, len(words) + 1)[:-1].tolist(), strict=True))
    joined: list[int] = []
    other = 0
    for code in sorted(range(len(words)), key=lambda code: (persons[words[code]], words[code])):
        if persons[words[code]] >= data.minimum and not 0 < other < data.minimum:
            break
        joined.append(code)
        other = data.persons(np.isin(codes, joined))
    kept = {word: persons[word] for code, word in enumerate(words) if code not in joined}
    return kept | ({OTHER: other} if joined else {})


def bounds_per_level(data: Data, name: str, levels: Sequence[str]) -> tuple[list[int], list[int]]:
    """At a site: bounds of the persons of each level, and of `OTHER`; equal where the number is told.

    A level of fewer than K lies between nobody and K, whoever has it. When together they are fewer than K too, the
    largest level counts them as its own and is told to within K: so nobody and a few give the same bytes. Else `OTHER`
    tells how many they are, with words that are no level.
    """
    words, codes = coded_words(data, name)
    place = {word: code for code, word in enumerate(words)}
    own = [codes == place.get(level, -1) for level in levels]
    persons = [data.persons(mine) for mine in own]
    told = [n >= data.minimum for n in persons]
    most, least = max(range(len(levels)), key=persons.__getitem__), few(data.minimum, data.rounding)
    rest = (codes < len(words)) & ~np.any([mine for mine, enough in zip(own, told, strict=True) if enough], axis=0)
    low = [n if enough else 0 for n, enough in zip(persons, told, strict=True)]
    high = [n if enough else least for n, enough in zip(persons, told, strict=True)]
    if data.persons(rest & ~own[most]) >= data.minimum:
        other = data.persons(rest)
        return [*low, other], [*high, other]
    if rest.any() or not all(told):
        high[most] = data.persons(rest | own[most])
        reached = nearest(high[most], data.rounding) - least
        low[most] = reached if reached >= data.minimum else 0
    return [*low, 0], [*high, 0]


def persons_per_bin(data: Data, name: str, edges: Array) -> tuple[Array, Array]:
    """At a site: `low` and `high` of a number's histogram."""
    x = data.column(name)
    there = np.isfinite(x)
    codes = np.where(there, np.searchsorted(edges, np.where(there, x, 0.0)), len(edges) + 1)
    return grouped(data, codes, len(edges) + 1)


def grouped(data: Data, codes: Array, size: int) -> tuple[Array, Array]:
    """At a site: `low` and `high` of the rows' codes 0 … size − 1; other codes are left out."""
    cells = data.persons_per(np.minimum(codes, size), size + 1)[:-1]
    if data.minimum <= 1:
        return cells, cells.copy()
    if cells.sum() == data.persons(codes < size):
        return merged(lambda first, last: int(cells[first : last + 1].sum()), size, data.minimum)
    return merged(lambda first, last: data.persons((codes >= first) & (codes <= last)), size, data.minimum)


def merged(persons: Callable[[int, int], int], size: int, minimum: int) -> tuple[Array, Array]:
    """`low` and `high` of one row of bins, merged until each group holds at least `minimum`.

    `persons(first, last)` counts the distinct persons in these bins: a person with two values in neighbouring
    bins is one person of their group. Where all bins together hold too few, one group holds them, and the
    gate refuses it.
    """
    low, high = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for first, last in groups(size, lambda first, last: persons(first, last) >= minimum) or [(0, size - 1)]:
        low[first] = high[last] = persons(first, last)
    return low, high


def quantile(
    low: Array, high: Array, edges: Array, probability: float, ends: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float, float]:
    """Estimate and bounds of a quantile from the tables of all sites.

    `edges` are the inner edges e₁ < … < e_m of the m + 1 bins; bin i holds eᵢ < x ≤ eᵢ₊₁. An outer bin reaches to
    its end of `ends`. A bound of ∓∞ leaves no estimate: it would be the grid's end and nobody's value. Without any
    person there is no quantile: three NaN.
    """
    if not low.any():
        return np.nan, np.nan, np.nan
    wanted = probability * low.sum()
    outer = np.concatenate([[ends[0]], edges, [ends[1]]])
    first = int(np.searchsorted(low.cumsum(), wanted - 1e-9))
    last = int(np.searchsorted(high.cumsum(), wanted - 1e-9))
    below, above = float(outer[min(first, len(edges))]), float(outer[min(last, len(edges)) + 1])
    if not np.isfinite([below, above]).all():
        return np.nan, below, above
    return _between(low, high, outer, wanted, below, above), below, above


def _between(low: Array, high: Array, outer: Array, wanted: float, below: float, above: float) -> float:
    """Linear interpolation of the mean of the two distribution functions, kept within the bounds."""
    cumulative = np.concatenate([[0.0], (low.cumsum() + high.cumsum()) / 2])
    finite = np.isfinite(outer)
    return float(np.clip(np.interp(wanted, cumulative[finite], outer[finite]), below, above))


def concordance(cases: tuple[Array, Array], controls: tuple[Array, Array]) -> tuple[float, float, float]:
    """P(score of a case > score of a control) + ½ P(equal): estimate, lower and upper bound.

    `cases` and `controls` are the (low, high) tables of their scores. The lower bound takes every case at
    the bottom of its group and every control at the top, and counts a shared bin as discordant. Without
    cases or controls: three NaN.
    """
    pairs = float(cases[0].sum()) * float(controls[0].sum())
    if not pairs:
        return np.nan, np.nan, np.nan
    lower = float(cases[0] @ (controls[1].cumsum() - controls[1])) / pairs
    upper = float(cases[1] @ controls[0].cumsum()) / pairs
    half = [(c @ (d.cumsum() - d / 2)) / pairs for c, d in ((cases[0], controls[0]), (cases[1], controls[1]))]
    return float(np.clip(np.mean(half), lower, upper)), lower, upper
