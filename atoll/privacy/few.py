"""Whom a model's sums tell of together although no term names them: those few in a cell whom a plane misses.

Σ y·dose − 100 Σ y·drug is the sum over the cases who are not on the standard dose of 100; Σ age − Σ age at diagnosis
that over those who were not diagnosed on admission. In general: where a combination c · x of the columns is nought for
all of a cell but a few, c applied to the sums of that cell is theirs. The cells are everybody, each level (also that
which no term names) and who is not in it, the cases and the others; with `crossed` both at once.

Σ (c · x) xₖ leaves too. So a plane on which many lie (who have no packs, are at a limit of detection, on the standard
dose) has a cell beside it, where every column is looked at, levels and the outcome among them; and in every other cell
those beside it are enough, or nobody.

Each number of a cell is fitted on the other columns by least absolute values, whose optimum passes through as many as
it can (Bloomfield & Steiger 1983, Least Absolute Deviations; by reweighted least squares, Schlossmacher 1973). Any
plane passes through as many persons as it has terms; one that anybody could know beforehand passes through more than
twice as many, and through most of the cell. Persons whom such a plane misses are enough, or nobody.

One person is found whoever the combination is, and also where it is nearly so: `privacy.pairs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from atoll.privacy.leverage import Weighing
from atoll.privacy.statistics import Array

MOST = 1_500  # rows of a cell that a plane is fitted to; whom it misses is counted in all of them
STEPS, FIRST = 40, 12  # of the reweighting; those that show whether there may be a plane
NEARLY = 1e-2  # what the first steps leave of a distance that becomes nought
NEAR, MISSED = 1e-6, 1e-9  # distances, in the size of the column: to be fitted anew, and to be missed
SEEN, COMMON = 0.1, 3  # share of a cell that has a common value, or that is near a plane; values that are looked at
HALF = 0.5  # of another cell than everybody are near a plane
BLOCK = 1 << 22  # numbers that are held at once

Rows = Callable[[], Iterable[Weighing]]


@dataclass(frozen=True)
class Few:
    """The smallest number of persons whom a plane misses (infinite where none does), and the column that it gives."""

    persons: float = np.inf
    column: str = ""


@dataclass(frozen=True)
class Plane:
    """Rows with c · x = 0; what it says of which column."""

    column: int
    c: tuple[float, ...]

    def misses(self, Z: Array) -> Array:
        return _missed(Z, np.array(self.c))

    def scaled(self, size: Array) -> Plane:
        """The same for columns that are divided by `size`."""
        return Plane(self.column, tuple((np.array(self.c) * size).tolist()))


@dataclass(frozen=True)
class Cell:
    """Rows that have one of these flags, or none of them; and beside a plane, where there is one."""

    levels: tuple[tuple[tuple[int, ...], bool], ...] = ()
    beside: Plane | None = None

    def holds(self, Z: Array) -> Array:
        where = np.ones(len(Z), dtype=bool)
        for columns, value in self.levels:
            where &= (Z[:, columns] != 0).any(axis=1) == value
        return where if self.beside is None else where & self.beside.misses(Z)


Parts = Mapping[Cell, tuple[Array, int]]  # of a cell some rows, and the number of all


@dataclass(frozen=True)
class Table:
    """The rows that are looked at, each column in its largest size; which are 0 or 1; what they are called; whether the
    last is an outcome, and whether persons have several rows."""

    rows: Rows
    size: Array
    binary: Array
    names: tuple[str, ...]
    outcome: bool
    several: bool

    @property
    def numbers(self) -> Array:
        """The columns that are more than 0 and 1."""
        return np.flatnonzero(~self.binary & (self.size > 0))

    def read(self) -> Iterator[tuple[Array, Array | None]]:
        for part in self.rows():
            if len(part.columns):
                yield part.columns / self.size, part.person


def fewest(rows: Rows, least: int, crossed: bool = False, pairs: bool = True, known: Sequence[Plane] = ()) -> Few:
    """The smallest number of persons, 1 … least − 1, whom a plane misses in a cell; infinite where there is none.

    rows      chunks that can be read again and again, whose first column is 1; the rows of a person come in one chunk
    least     that many persons are enough
    crossed   sums are taken over the cases of each level too (the last column is the outcome)
    pairs     products of two columns are summed; else the columns alone
    known     planes of more rows than these, as `planes` gives them
    """
    table = _table(rows)
    cells = [Cell(), *_cells(table, crossed)]
    parts = _parts(table, cells) if len(table.numbers) else {}
    told, seen = _search(parts, table.numbers, least, table.several)
    if pairs:
        seen += [*_usual(table, parts, least), *(one.scaled(table.size) for one in known)]
        beside = [Cell((), plane) for plane in dict.fromkeys(seen)]
        every = np.arange(1, len(table.size))
        told += _search(_parts(table, beside), every, least, table.several)[0] if beside else []
        told += [(cell.beside, other) for cell in beside if cell.beside for other in (*cells, *beside)]
    else:  # no cell is summed for itself: a plane that one shows is looked at over everybody
        told = [(plane, Cell()) for plane in (*seen, *(plane for plane, _ in told))]
    found = _told(table, list(dict.fromkeys(told)), least)
    if not found:
        return Few()
    column = min(found, key=lambda j: found[j])
    return Few(found[column], table.names[column] if table.names else "")


def planes(rows: Rows, least: int) -> list[Plane]:
    """The planes on which many of all rows lie, and many do not, for columns of any size."""
    table = _table(rows)
    if not len(table.numbers):
        return []
    parts = _parts(table, [Cell(), *_cells(table, False)])
    seen = _search({Cell(): parts[Cell()]}, table.numbers, least, table.several)[1] + _usual(table, parts, least)
    return [one.scaled(1 / table.size) for one in dict.fromkeys(seen)]


def _table(rows: Rows) -> Table:
    size, binary = np.zeros(0), np.zeros(0, dtype=bool)
    names, outcome, several = tuple[str, ...](), False, False
    for part in rows():
        if len(part.columns):
            own, zero_one = np.abs(part.columns).max(axis=0), ((part.columns == 0) | (part.columns == 1)).all(axis=0)
            size, binary = (np.maximum(size, own), binary & zero_one) if len(size) else (own, zero_one)
            names, outcome, several = part.names, part.outcome, part.person is not None
    return Table(rows, np.where(size > 0, size, 1.0), binary | (size == 0), names, outcome, several)


def _cells(table: Table, crossed: bool) -> list[Cell]:
    """Each level and who is not in it, and who has none of a category; with `crossed`, the cases of each and others."""
    flags = np.flatnonzero(table.binary)[1:].tolist()  # the first column is 1
    one = [Cell((((column,), value),)) for column in flags for value in (True, False)]
    called: dict[str, list[int]] = {}
    for column in flags:
        called.setdefault(table.names[column] if table.names else "", []).append(column)
    one += [Cell(((tuple(own), False),)) for name, own in called.items() if name and len(own) > 1]
    last = len(table.binary) - 1
    if not crossed or last not in flags:
        return one
    return one + [Cell((*cell.levels, ((last,), value))) for cell, value in product(one, (True, False))]


def _search(parts: Parts, targets: Array, least: int, several: bool) -> tuple[list[tuple[Plane, Cell]], list[Plane]]:
    """The planes that may miss a few of a cell, with the cell; and those that enough lie on, and enough do not."""
    told, seen = list[tuple[Plane, Cell]](), list[Plane]()
    for cell, (Z, n) in parts.items():
        share = SEEN if cell == Cell() else HALF
        for plane, on, missed in _planes(Z, targets, share):
            if missed < (on if several else min(least, on)) and (missed or len(Z) < n):
                told.append((plane, cell))
            if missed >= least and on >= least:
                seen.append(plane)
    return told, seen


def _told(table: Table, told: Sequence[tuple[Plane, Cell]], least: int) -> dict[int, float]:
    """By column the fewest persons of a cell whom a plane misses."""
    found = dict[int, float]()
    for (plane, _), persons in zip(told, _counted(table, told), strict=True):
        if 0 < persons < least:
            found[plane.column] = min(found.get(plane.column, np.inf), persons)
    return found


def _usual(table: Table, parts: Parts, least: int) -> list[Plane]:
    """The planes of each number that is nought for many; of values that many have; and of those that many of a level
    have, where the number is nought outside of it."""
    found = list[Plane]()
    for cell, (Z, _) in parts.items():
        if len(cell.levels) > 1 or not all(value for _, value in cell.levels):
            continue
        everybody = parts[Cell()][0]
        level = cell.levels[0][0][0] if cell.levels else 0
        outside = everybody[everybody[:, level] == 0]
        for j in (j for j in table.numbers.tolist() if not outside[:, j].any()):
            for value in sorted({0.0} | _common(Z[:, j], least)):
                if (Z[:, j] == value).sum() >= max(least, SEEN * len(Z)):
                    c = np.zeros(Z.shape[1])
                    c[level], c[j] = value, -1.0
                    found.append(Plane(j, tuple(c.tolist())))
    return found


def _common(values: Array, least: int) -> set[float]:
    """The three commonest values, each had by enough rows."""
    found, held = np.unique(values, return_counts=True)
    return {float(found[place]) for place in np.argsort(-held, kind="stable")[:COMMON] if held[place] >= least}


def _parts(table: Table, cells: Sequence[Cell]) -> Parts:
    """Of each cell that has any rows, some by chance, at most `MOST`, and the number of all."""
    chance, held = np.random.default_rng(0), {cell: (np.zeros((0, len(table.size))), np.zeros(0), 0) for cell in cells}
    for Z, _ in table.read():
        order = chance.random(len(Z))
        for cell, (rows, lots, n) in held.items():
            own = np.flatnonzero(cell.holds(Z))
            last = lots.max() if len(lots) == MOST else 1.0
            drawn = own[order[own] < last]
            rows, lots = np.concatenate([rows, Z[drawn]]), np.concatenate([lots, order[drawn]])
            kept = np.argsort(lots, kind="stable")[:MOST]
            held[cell] = rows[kept], lots[kept], n + len(own)
    return {cell: (rows, n) for cell, (rows, _, n) in held.items() if n}


def _planes(Z: Array, targets: Array, share: float) -> Iterator[tuple[Plane, int, int]]:
    """Of each target the plane on which such a share of the rows lie, and more than twice as many as it has terms, if
    there is one; how many are on it who have any of these terms, and how many are not."""
    used = np.flatnonzero((Z != 0).any(axis=0))
    own, among = Z[:, used], np.flatnonzero(np.isin(used, targets))
    for j, nearly in _least_absolute(own, among, share):
        c = _polished(own, j, nearly)
        terms, missed = np.abs(c) > MISSED, _missed(own, c)
        there = (own[:, terms] != 0).any(axis=1) if terms.sum() > 1 else np.ones(len(own), dtype=bool)
        on = int((there & ~missed).sum())
        if on > 2 * terms.sum():
            whole = np.zeros(Z.shape[1])
            whole[used] = c
            yield Plane(int(used[j]), tuple(whole.tolist())), on, int(missed.sum())


def _missed(Z: Array, c: Array) -> Array:
    """The rows with c · x other than nought."""
    found: Array = np.abs(Z @ c) > MISSED * np.abs(c).sum()
    return found


def _least_absolute(Z: Array, targets: Array, share: float) -> Iterator[tuple[int, Array]]:
    """Of each target j the c with c_j = −1 and Σ |c · x| least, nearly, where such a share of the rows is near it."""
    size = max(1, BLOCK // (Z.shape[0] * Z.shape[1]))
    for at in range(0, len(targets), size):
        some = targets[at : at + size]
        weights = np.ones((len(some), len(Z)))
        for turn in range(STEPS):
            c = _weighted(Z, some, weights)
            left = np.abs(c @ Z.T)
            if turn == FIRST:
                kept = (left < NEARLY).mean(axis=1) >= share
                some, c, left = some[kept], c[kept], left[kept]
            if not len(some):
                break
            weights = 1 / np.maximum(left, 10.0 ** (-1 - turn / 4))
        yield from zip(some.tolist(), c, strict=True)


def _weighted(Z: Array, targets: Array, weights: Array) -> Array:
    """The weighted least-squares fit of each target on the other columns, with its own weights (targets, rows)."""
    each = np.arange(len(targets))
    normal = (Z.T * weights[:, None, :]) @ Z
    right = normal[each, :, targets].copy()
    right[each, targets] = 0.0
    normal[each, targets, :] = normal[each, :, targets] = 0.0
    diagonal = np.einsum("tii->ti", normal)
    diagonal += 1e-13 * diagonal.max(axis=1, keepdims=True) + 1e-300  # columns that others give count for nothing
    diagonal[each, targets] = 1.0
    c: Array = np.linalg.solve(normal, right[..., None])[..., 0]
    c[each, targets] = -1.0
    return c


def _polished(Z: Array, target: int, c: Array) -> Array:
    """The plane through the rows that it all but passes through, exactly."""
    for _ in range(3):
        near = np.abs(Z @ c) <= NEAR
        others = np.flatnonzero(np.abs(c) > MISSED)
        others = others[others != target]
        if near.sum() <= len(others):
            return c
        c = np.zeros(Z.shape[1])
        c[target] = -1.0
        c[others] = np.linalg.lstsq(Z[near][:, others], Z[near, target], rcond=None)[0]
    return c


def _counted(table: Table, pairs: Sequence[tuple[Plane, Cell]]) -> list[int]:
    """Of each plane and cell the persons of the cell whom the plane misses."""
    counts = [0] * len(pairs)
    for Z, person in table.read() if pairs else ():
        missed = {plane: plane.misses(Z) for plane in dict.fromkeys(plane for plane, _ in pairs)}
        inside = {cell: cell.holds(Z) for cell in dict.fromkeys(cell for _, cell in pairs)}
        for k, (plane, cell) in enumerate(pairs):
            where = missed[plane] & inside[cell]
            counts[k] += int(np.count_nonzero(where)) if person is None else len(np.unique(person[where]))
    return counts
