"""Whose rows these are: persons are counted and weighed, not rows, where a person may have several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atoll.privacy.statistics import Array


@dataclass(frozen=True)
class Persons:
    """The persons of n rows: `codes` 0 … most − 1 of each row's person, or None where every row is one person."""

    n: int
    codes: Array | None = None
    most: int = 0

    def count(self, where: Array | None = None) -> int:
        """Distinct persons where the mask holds."""
        if self.codes is None:
            return self.n if where is None else int(np.count_nonzero(where))
        there = np.zeros(self.most, dtype=bool)
        there[self.codes if where is None else self.codes[where]] = True
        return int(np.count_nonzero(there))

    def per(self, cells: Array, size: int) -> Array:
        """Distinct persons per cell 0 … size − 1."""
        if self.codes is not None:
            cells = np.unique(cells.astype(np.int64) * self.most + self.codes) // self.most
        return np.bincount(cells, minlength=size).astype(np.int64)

    def spread(self, weight: Array) -> Array:
        """[Σw, Σw²] over persons: the rows of a person add up."""
        if self.codes is not None:
            weight = np.bincount(self.codes, weight)
        return np.array([weight.sum(), weight @ weight])

    def spread_per(self, weight: Array, cells: Array, size: int) -> Array:
        """(2, size): Σw and Σw² over the persons of each cell 0 … size − 1."""
        if self.codes is not None:
            pairs, inverse = np.unique(cells.astype(np.int64) * self.most + self.codes, return_inverse=True)
            weight, cells = np.bincount(inverse, weight), pairs // self.most
        return np.array([np.bincount(cells, weight, size), np.bincount(cells, weight**2, size)])

    def middle(self, x: Array, where: Array) -> float:
        """The middle of x over one row of each person where the mask holds; NaN of nobody."""
        rows = np.flatnonzero(where)
        if self.codes is not None:
            rows = rows[np.unique(self.codes[rows], return_index=True)[1]]
        return float(np.partition(x[rows], len(rows) // 2)[len(rows) // 2]) if len(rows) else np.nan
