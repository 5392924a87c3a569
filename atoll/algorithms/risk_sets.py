"""Sums over risk sets: the arithmetic behind `cox`, whose file says what the sums are for.

A block holds the persons with one time in one stratum. Blocks run from the latest time of a stratum back, so that
everyone at risk at a block's time stands in it or before it, and each sum over a risk set is a running sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from atoll.privacy.statistics import Array

Ties = Literal["efron", "breslow"]


def latest_first(time: Array, strata: Array) -> Array:
    """The order of rows by stratum, then from the latest time back; whole days are sorted by their digits."""
    if not strata.any() and time.max() < 2**16 and (time == np.rint(time)).all():
        return np.argsort((2**16 - 1 - time).astype(np.uint16), kind="stable")
    return np.lexsort((-time, strata))


def centred(X: Array) -> Array:
    """X (p, n) minus its means, in place: U and I do not change, and θ stays in range. A constant row becomes zero."""
    for x in X:
        x -= x[0] if x[0] == x[-1] and (x == x[0]).all() else x.mean()
    return X


def blocks_of(stratum: Array, time: Array) -> Array:
    """0, 1, 2, … for runs of equal (stratum, time)."""
    starts = (np.diff(stratum) != 0) | (np.diff(time) != 0)
    return np.append(0, np.cumsum(starts)) if len(time) else np.zeros(0, dtype=np.int64)


def opening_blocks(stratum: Array, block: Array) -> Array:
    """Whether a block is the first of its stratum."""
    return np.append(True, np.diff(stratum[run_starts(block)]) != 0)


def run_starts(codes: Array) -> Array:
    """Where each run of equal codes begins."""
    return np.flatnonzero(np.append(True, np.diff(codes) != 0))


class Blocks:
    """Sums of values (n) over runs of equal codes, one per block (size)."""

    def __init__(self, codes: Array, size: int):
        self._starts = run_starts(codes) if len(codes) else np.zeros(0, dtype=np.int64)
        self._used, self._size = codes[self._starts], size

    def sums(self, values: Array) -> Array:
        """Per block, nothing where a block has none."""
        result = np.zeros(self._size)
        if len(self._used):
            result[self._used] = np.add.reduceat(values, self._starts)
        return result


@dataclass(frozen=True)
class BlockSums:
    """Per block Σθ and Σθx over everyone, and over its events: (blocks) and (p, blocks); Σx over all events (p)."""

    s0: Array
    s1: Array
    d0: Array
    d1: Array
    died: Array


def block_sums(X: Array, theta: Array, event: Array, block: Array, size: int) -> BlockSums:
    """Column after column of X (p, n): one at a time stays in the processor's cache."""
    everyone, events = Blocks(block, size), Blocks(block[event], size)
    s1, d1, died = np.empty((len(X), size)), np.empty((len(X), size)), np.empty(len(X))
    rows = np.flatnonzero(event)
    hazard = theta[rows]
    for j, x in enumerate(X):
        mine = x[rows]
        s1[j], d1[j], died[j] = everyone.sums(theta * x), events.sums(hazard * mine), mine.sum()
    return BlockSums(everyone.sums(theta), s1, events.sums(hazard), d1, died)


def at_risk(sums: Array, opens: Array) -> Array:
    """Sums of (…, blocks) over everyone of the stratum whose time is not shorter, per block."""
    running = sums.cumsum(axis=-1)
    before = running - sums
    opening = np.maximum.accumulate(np.where(opens, np.arange(len(opens)), 0))
    result: Array = running - before[..., opening]
    return result


def unsorted(values: Array, order: Array) -> Array:
    """Values in the order of the data's own rows."""
    result = np.empty_like(values)
    result[order] = values
    return result


@dataclass(frozen=True)
class AtEvents:
    """Sums over events: of 1/S⁰ and l/(d S⁰) by block, of log S⁰, of S¹/S⁰, and of (S¹/S⁰)(S¹/S⁰)ᵀ."""

    reach: Array
    tied: Array
    logs: float
    mean: Array
    outer: Array


def at_events(of: Array, s0: Array, s1: Array, d0: Array, d1: Array, ties: Ties) -> AtEvents:
    """The event l of a block has S⁰ = s⁰ − (l/d) d⁰ and S¹ = s¹ − (l/d) d¹; `of` is its block or cell, in order.

    Only 1/S⁰ differs among the events of a block, so S¹ (p, blocks) is never written out for each of them.
    """
    size = len(s0)
    d = np.bincount(of, minlength=size)
    index = np.arange(len(of)) - np.concatenate([[0], d.cumsum()[:-1]])[of]
    share = index / d[of] if ties == "efron" else np.zeros(len(of))
    S0 = s0[of] - share * d0[of]
    first, second = 1 / S0, 1 / S0**2
    reach, tied = np.bincount(of, first, size), np.bincount(of, share * first, size)
    cross = (s1 * np.bincount(of, share * second, size)) @ d1.T
    outer = (s1 * np.bincount(of, second, size)) @ s1.T - cross - cross.T
    outer += (d1 * np.bincount(of, share**2 * second, size)) @ d1.T
    return AtEvents(reach, tied, float(np.log(S0).sum()), s1 @ reach - d1 @ tied, outer)


def later_in_stratum(values: Array, opens: Array) -> Array:
    """Sums over this block and all with earlier times (later blocks) of its stratum."""
    backward = values[::-1].cumsum()[::-1]
    starts = np.flatnonzero(opens)
    stratum = np.cumsum(opens) - 1
    ends = np.append(backward[starts[1:]], 0.0)
    result: Array = backward - ends[stratum]
    return result


def grouped(cell: Array, theta: Array, X: Array, cells: int) -> tuple[Array, Array, Array]:
    """Σθ, Σθx and Σθxxᵀ per cell."""
    p = X.shape[1]
    s0, s1, s2 = np.zeros(cells), np.zeros((cells, p)), np.zeros((cells, p, p))
    if len(cell):
        order = np.argsort(cell, kind="stable")
        starts = np.flatnonzero(np.append(True, np.diff(cell[order]) != 0))
        used, X, weighted = cell[order][starts], X[order], (theta[:, None] * X)[order]
        s0[used], s1[used] = np.add.reduceat(theta[order], starts), np.add.reduceat(weighted, starts)
        for q in range(p):
            s2[used, q] = np.add.reduceat(weighted[:, q, None] * X, starts)
    return s0, s1, s2


def accumulated(sums: Array, strata: int, size: int) -> Array:
    """Those who leave in an interval or later, within each stratum."""
    by_stratum = sums.reshape(strata, size, *sums.shape[1:])
    return by_stratum[:, ::-1].cumsum(axis=1)[:, ::-1].reshape(sums.shape)
