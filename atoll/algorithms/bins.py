"""Histograms whose every cell holds enough persons, and what they still say about order.

A site merges neighbouring bins until each holds at least the minimum. A merged group spans bins a…b; it
is counted once in `low` at a and once in `high` at b. Both tables add up over sites although every site
merges differently, and they bound the pooled distribution function from both sides:

    Σ_{i ≤ j} highᵢ  ≤  #{x ≤ edge_j}  ≤  Σ_{i ≤ j} lowᵢ

Where no merging was needed, low = high and the bounds are those of the bins alone.
"""

from __future__ import annotations

import numpy as np

from atoll.algorithms.core import Data
from atoll.privacy.statistics import Array


def persons_per_word(data: Data, name: str) -> dict[str, int]:
    """At a site: distinct persons per word of a category, or per code of a number, in their order."""
    words = data.column(name)
    numeric = words.dtype.kind == "f"
    there = np.isfinite(words) if numeric else np.array([word is not None for word in words], dtype=bool)
    found, codes = np.unique(words[there] if numeric else words[there].astype(str), return_inverse=True)
    every = np.full(len(words), len(found))
    every[there] = codes
    names = [f"{value:g}" for value in found] if numeric else found.tolist()
    return dict(zip(names, data.persons_per(every, len(found) + 1)[:-1].tolist(), strict=True))


def persons_per_bin(data: Data, name: str, edges: Array) -> tuple[Array, Array]:
    """At a site: distinct persons per bin of a number, merged until each bin holds enough."""
    x = data.column(name)
    there = np.isfinite(x)
    codes = np.where(there, np.searchsorted(edges, np.where(there, x, 0.0)), len(edges) + 1)
    return merged(data.persons_per(codes, len(edges) + 2)[:-1], data.minimum)


def merged(cells: Array, minimum: int) -> tuple[Array, Array]:
    """`low` and `high` of one row of disjoint cells, each zero or at least `minimum` where that is possible."""
    low, high = np.zeros_like(cells), np.zeros_like(cells)
    if minimum <= 1:
        return cells.copy(), cells.copy()
    groups: list[list[int]] = []
    for bin_, persons in enumerate(cells):
        if persons and groups and groups[-1][2] < minimum:
            groups[-1] = [groups[-1][0], bin_, groups[-1][2] + int(persons)]
        elif persons:
            groups.append([bin_, bin_, int(persons)])
    if len(groups) > 1 and groups[-1][2] < minimum:
        last = groups.pop()
        groups[-1] = [groups[-1][0], last[1], groups[-1][2] + last[2]]
    for first, last_bin, persons in groups:
        low[first] += persons
        high[last_bin] += persons
    return low, high


def quantile(low: Array, high: Array, edges: Array, probability: float) -> tuple[float, float, float]:
    """Estimate and bounds of a quantile from the tables of all sites.

    `edges` are the inner edges e₁ < … < e_m of the m + 1 bins; bin i holds eᵢ < x ≤ eᵢ₊₁. An outer bin has
    no bound: it gives ∓∞.
    """
    wanted = probability * low.sum()
    outer = np.concatenate([[-np.inf], edges, [np.inf]])
    first = int(np.searchsorted(low.cumsum(), wanted - 1e-9))
    last = int(np.searchsorted(high.cumsum(), wanted - 1e-9))
    below, above = float(outer[min(first, len(edges))]), float(outer[min(last, len(edges)) + 1])
    return _between(low, high, outer, wanted, below, above), below, above


def _between(low: Array, high: Array, outer: Array, wanted: float, below: float, above: float) -> float:
    """Linear interpolation of the mean of the two distribution functions, kept within the bounds."""
    cumulative = np.concatenate([[0.0], (low.cumsum() + high.cumsum()) / 2])
    finite = np.isfinite(outer)
    value = float(np.interp(wanted, cumulative[finite], outer[finite]))
    return float(np.clip(value, below if np.isfinite(below) else value, above if np.isfinite(above) else value))


def concordance(cases: tuple[Array, Array], controls: tuple[Array, Array]) -> tuple[float, float, float]:
    """P(score of a case > score of a control) + ½ P(equal): estimate, lower and upper bound.

    `cases` and `controls` are the (low, high) tables of their scores. The lower bound takes every case at
    the bottom of its group and every control at the top, and counts a shared bin as discordant.
    """
    pairs = float(cases[0].sum()) * float(controls[0].sum())
    lower = float(cases[0] @ (controls[1].cumsum() - controls[1])) / pairs
    upper = float(cases[1] @ controls[0].cumsum()) / pairs
    half = [(c @ (d.cumsum() - d / 2)) / pairs for c, d in ((cases[0], controls[0]), (cases[1], controls[1]))]
    return float(np.clip(np.mean(half), lower, upper)), lower, upper
