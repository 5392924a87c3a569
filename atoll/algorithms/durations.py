"""How long: the distribution of times in days, hospital by hospital, such as those before and after an index date.

    F_j = |{i : xᵢ ≤ e_j}| / n        at e = 30 d, 90 d, ½, 1, 2, 3, 5, 10, 15, 20 years

Persons are counted between neighbours of a grid that stands here and in no question; cells of too few are joined
(`bins`), so F_j is known between two bounds, and so are quantiles. A hospital where fewer than K persons have a time,
or some but fewer than K lack one, takes no part: its cells are those of nobody. On public data the grid is every
distinct time, and quantiles are the true ones, of the inverse of F.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.bins import persons_per_bin, quantile
from atoll.algorithms.core import Data, Program, at_site_or_nobody
from atoll.algorithms.options import ColumnName, Grid
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, points, table
from atoll.study.dictionary import Column
from atoll.study.view import Setting

TELLS_OF_FEW = True
PRECISION = None  # it counts persons: there is nothing to plan
EXAMPLES = ({"columns": ["t", "visits"]}, {"columns": ["t"], "by_site": False})
EDGES = np.array([0.0, 30, 90, 182, 365, 730, 1095, 1826, 3652, 5478, 7305])  # days; the first cell is day nought
_NOBODY: dict[str, Any] = {"persons": 0, "at_most": [], "quantiles": []}
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


class Bins(Statistics):
    """Persons between neighbours of the grid, counted at the first and at the last cell of each joined group."""

    low: Array = table()
    high: Array = table()


class Own(Statistics):
    """The same, apart for this hospital, to the nearest multiple of its minimum."""

    low: Array = table(apart=True)
    high: Array = table(apart=True)


class Distinct(Statistics):
    """Every distinct time: of public data only."""

    days: Array = points()


@dataclass(frozen=True)
class Durations:
    """`columns` holds for each `persons`, `unit`, `label`, `at_most` ([days, lowest and highest share] of each edge),
    and `quantiles` ([probability, estimate, lowest, highest]; None where it is beyond the grid, and an estimate with
    it).

    exact         the quantiles are those of the persons' own times
    sites_apart   for each hospital `columns`, the same of its own persons; nobody where it takes no part
    """

    columns: dict[str, dict[str, Any]]
    sites_apart: dict[str, dict[str, Any]]
    exact: bool
    notes: list[str]


@at_site_or_nobody
def distinct(data: Data, columns: tuple[str, ...]) -> Distinct:
    """Distinct times of all columns: asked of public data only, and refused elsewhere."""
    values = np.concatenate([data.column(name) for name in columns])
    return Distinct(np.unique(values[np.isfinite(values)]))


@at_site_or_nobody
def counts(data: Data, columns: tuple[str, ...], grid: Grid) -> Bins:
    """Persons between neighbours of a grid: asked of public data only."""
    return Bins(*_cells(data, columns, grid))


@at_site_or_nobody
def own_counts(data: Data, columns: tuple[str, ...], grid: Grid) -> Own:
    """The same, apart for this hospital."""
    return Own(*_cells(data, columns, grid))


@at_site_or_nobody
def bins(data: Data, columns: tuple[str, ...]) -> Bins:
    """Persons per cell of each column."""
    return Bins(*_cells(data, columns, EDGES))


@at_site_or_nobody
def own(data: Data, columns: tuple[str, ...]) -> Own:
    """The same, apart for this hospital."""
    return Own(*_cells(data, columns, EDGES))


def _cells(data: Data, columns: tuple[str, ...], edges: Array) -> tuple[Array, Array]:
    """`low` and `high` of each column: (columns, cells)."""
    empty = np.zeros((2, len(edges) + 1), dtype=np.int64)
    found = []
    for name in columns:
        there = np.isfinite(data.column(name))
        known, missing = (data.persons(where) if data.n else 0 for where in (there, ~there))
        enough = data.n and known >= data.minimum and not 0 < missing < data.minimum
        found.append(np.array(persons_per_bin(data, name, edges)) if enough else empty)
    both = np.array(found, dtype=np.int64)
    return both[:, 0], both[:, 1]


def durations(setting: Setting, *, columns: tuple[ColumnName, ...], by_site: bool = True) -> Program:
    """Shares of persons up to each of a few times, and quantiles, of numbers of days.

    columns   numbers of days
    by_site   also each hospital apart, where its policy allows
    """
    for name in columns:
        if setting.columns[name].type != "number" or setting.columns[name].unit not in ("d", ""):
            what = f"columns: {name!r} is no number of days."
            raise StudyError(what, "Name numbers whose unit is d.", code="COLUMN_UNFIT", subject=name)
    if not columns:
        raise StudyError(
            "columns: there is none.", "Name at least one column.", code="OPTION_INVALID", subject="columns"
        )
    edges = (yield distinct(columns=columns)).days if setting.public else EDGES
    asked: dict[str, Any] = {"columns": columns} | ({"grid": edges} if setting.public else {})
    together = yield (counts if setting.public else bins)(**asked)
    apart: Any = (yield (own_counts if setting.public else own)(**asked)) if by_site else None
    heads = [(name, setting.columns[name].label, _lowest(setting.columns[name])) for name in columns]

    def described(low: Array, high: Array) -> dict[str, Any]:
        told = [
            _exact(low[j], edges) if setting.public else _described(low[j], high[j], least)
            for j, (_, _, least) in enumerate(heads)
        ]
        return {name: {"label": label, "unit": "d"} | one for (name, label, _), one in zip(heads, told, strict=True)}

    found = described(together.low, together.high)
    sites = {
        site: {"columns": described(apart.low[i], apart.high[i])}
        for i, site in enumerate(setting.sites if apart is not None else ())
    }
    return Durations(found, sites, setting.public, _notes(setting, found, sites))


def _lowest(column: Column) -> float:
    """The lowest time that there can be; a site refuses a table that has a lower one."""
    return -math.inf if column.low is None else column.low


def _exact(low: Array, grid: Array) -> dict[str, Any]:
    """Persons, shares and quantiles of one column, from persons at each distinct time."""
    persons = int(low.sum())
    if not persons:
        return _NOBODY
    reached = np.cumsum(low)
    shares = [float(reached[k - 1] / persons) if k else 0.0 for k in np.searchsorted(grid, EDGES, side="right")]
    at = [float(grid[np.searchsorted(reached, p * persons - 1e-9)]) for p in QUANTILES]
    return {
        "persons": persons,
        "at_most": [[float(e), share, share] for e, share in zip(EDGES, shares, strict=True)],
        "quantiles": [[p, value, value, value] for p, value in zip(QUANTILES, at, strict=True)],
    }


def _described(low: Array, high: Array, least: float) -> dict[str, Any]:
    """The same with bounds, of all hospitals or of one."""
    persons = int(low.sum())
    if not persons:
        return _NOBODY
    shares = np.cumsum([high, low], axis=1)[:, :-1] / persons
    ends = (min(least, float(EDGES[0])), math.inf)
    quantiles = [(p, *quantile(low, high, EDGES, p, ends)) for p in QUANTILES]
    return {
        "persons": persons,
        "at_most": [[float(e), float(a), float(min(b, 1.0))] for e, a, b in zip(EDGES, *shares, strict=True)],
        "quantiles": [[q if math.isfinite(q) else None for q in one] for one in quantiles],
    }


def _notes(setting: Setting, found: Mapping[str, Any], sites: Mapping[str, Any]) -> list[str]:
    """What must be said of the numbers."""
    notes = [] if setting.public else ["rounded"]
    if any(not one["persons"] for own in sites.values() for one in own["columns"].values()):
        notes.append("takes_no_part")
    return notes
