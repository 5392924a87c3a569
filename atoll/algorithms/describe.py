"""Who the patients are: persons, missing values, mean, SD, skewness, quantiles, and counts of categories.

    mean      x̄ = Σ xᵢ / n
    SD        s = √( Σ (xᵢ − x̄)² / (n − 1) )
    skewness  g₁ = (Σ (xᵢ − x̄)³ / n) / (Σ (xᵢ − x̄)² / n)^{3/2}             public data only: a third moment

The second round sums powers of the distance from the pooled mean, so that nothing cancels. Quantiles
come from a histogram with stated bounds (see `bins`): the true pooled quantile lies between them. A
category held by too few persons at a site is merged there with the next smallest into `OTHER`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.bins import persons_per_bin, persons_per_level, quantile
from atoll.algorithms.core import Data, Program, at_site_whole
from atoll.algorithms.options import Centre, ColumnName, Edges
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, count, table, tally, total, weights, witness
from atoll.study.dictionary import OTHER
from atoll.study.view import Setting

PRECISION = "proportion"
EXAMPLES = ({"columns": ["age", "bmi", "smoker", "sex", "arm"]},)
QUANTILES = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)


class Sums(Statistics):
    persons: int = count()
    present: Array = table()
    n: Array = total(per="present")
    sum: Array = total(per="present", moment=1)
    levels: dict[str, int] = tally()
    behind: dict[str, Array] = witness()
    spread: dict[str, Array] = weights(part=True)


class Squares(Statistics):
    present: Array = table()
    squares: Array = total(per="present", moment=2)
    behind: dict[str, Array] = witness()
    spread: dict[str, Array] = weights(part=True)


class Cubes(Statistics):
    present: Array = table()
    cubes: Array = total(per="present", moment=3)
    behind: dict[str, Array] = witness()
    spread: dict[str, Array] = weights(part=True)


class Histogram(Statistics):
    low: Array = table()
    high: Array = table()


@dataclass(frozen=True)
class Description:
    """One entry a column. `quantiles[name]` holds rows (probability, estimate, lower, upper)."""

    persons: int
    numbers: dict[str, dict[str, Any]]
    categories: dict[str, dict[str, int]]
    notes: list[str]


@at_site_whole
def sums(data: Data, numbers: tuple[str, ...], categories: tuple[str, ...]) -> Sums:
    """n and Σx of each number; persons per level of each category, small levels merged."""
    columns = [data.column(name) for name in numbers]
    present = [np.isfinite(x) for x in columns]
    return Sums(
        persons=data.persons(),
        present=np.array([data.persons(there) for there in present], dtype=np.int64),
        n=np.array([there.sum() for there in present], dtype=np.int64),
        sum=np.array([x[there].sum() for x, there in zip(columns, present, strict=True)], dtype=float),
        levels={
            f"{name}={word}": persons for name in categories for word, persons in persons_per_level(data, name).items()
        },
        behind=data.behind_columns(numbers),
        spread=data.spread_columns(numbers),
    )


@at_site_whole
def squares(data: Data, numbers: tuple[str, ...], centre: Centre) -> Squares:
    """Σ (x − centre)²."""
    present, sums_ = _powers(data, numbers, centre, 2)
    return Squares(present, sums_, behind=data.behind_columns(numbers), spread=data.spread_columns(numbers))


@at_site_whole
def cubes(data: Data, numbers: tuple[str, ...], centre: Centre) -> Cubes:
    """Σ (x − centre)³."""
    present, sums_ = _powers(data, numbers, centre, 3)
    return Cubes(present, sums_, behind=data.behind_columns(numbers), spread=data.spread_columns(numbers))


@at_site_whole
def histogram(data: Data, numbers: tuple[str, ...], edges: Edges) -> Histogram:
    """Persons per bin of each number, bins merged until each holds enough; `edges` has a row a number."""
    pairs = [persons_per_bin(data, name, row) for name, row in zip(numbers, edges, strict=True)]
    low, high = (np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1))
    return Histogram(low=low, high=high)


def _powers(data: Data, numbers: tuple[str, ...], centre: Array, power: int) -> tuple[Array, Array]:
    present, sums_ = [], []
    for name, c in zip(numbers, centre, strict=True):
        x = data.column(name)
        there = np.isfinite(x)
        present.append(data.persons(there))
        sums_.append(((x[there] - c) ** power).sum())
    return np.array(present, dtype=np.int64), np.array(sums_, dtype=float)


def describe(setting: Setting, *, columns: tuple[ColumnName, ...]) -> Program:
    """Persons, missing values, mean, SD, skewness, quantiles; counts of categories.

    columns   numbers, flags and categories of the dataset
    """
    numbers: tuple[str, ...] = tuple(name for name in columns if setting.columns[name].type in ("number", "flag"))
    categories: tuple[str, ...] = tuple(name for name in columns if setting.columns[name].type == "category")
    if others := [name for name in columns if name not in (*numbers, *categories)]:
        raise StudyError(
            f"columns: {others[0]!r} is a {setting.columns[others[0]].type} and is not described.",
            "Leave it out.",
            code="COLUMN_UNFIT",
            subject=others[0],
        )
    first = yield sums(numbers=numbers, categories=categories)
    n = np.maximum(first.n, 1)
    mean = first.sum / n
    second = yield squares(numbers=numbers, centre=mean)
    sd = np.sqrt(second.squares / np.maximum(n - 1, 1))
    skewness = np.full(len(numbers), np.nan)
    if setting.public:
        third = yield cubes(numbers=numbers, centre=mean)
        spread = second.squares / n
        skewness = np.divide(third.cubes / n, spread**1.5, out=skewness, where=spread > 0)
    edges = inner_edges(mean, sd, setting)
    bins = yield histogram(numbers=numbers, edges=edges)
    moments = {"mean": np.where(first.n > 0, mean, np.nan), "sd": np.where(first.n > 1, sd, np.nan)}
    tables: dict[str, dict[str, Any]] = {
        name: {"n": int(first.present[i]), "mean": moments["mean"][i], "sd": moments["sd"][i], "skewness": skewness[i]}
        | {"missing": max(int(first.persons - first.present[i]), 0), "unit": setting.columns[name].unit}
        | {"quantiles": _quantiles(bins, i, edges, mean, sd), "type": setting.columns[name].type}
        for i, name in enumerate(numbers)
    }
    return Description(int(first.persons), tables, _by_column(first.levels, categories), _notes(setting, first.levels))


def _quantiles(bins: Histogram, i: int, edges: Array, mean: Array, sd: Array) -> list[tuple[float, ...]]:
    """Rows (probability, estimate, lower, upper); of a column without spread all are its value."""
    if sd[i] == 0 and bins.low[i].sum():
        return [(q, float(mean[i]), float(mean[i]), float(mean[i])) for q in QUANTILES]
    return [(q, *quantile(bins.low[i], bins.high[i], edges[i], q)) for q in QUANTILES]


def inner_edges(mean: Array, sd: Array, setting: Setting) -> Array:
    """Inner edges of the bins, a row a column: 19 under a strict policy, 1,000 on public data, mean ± 4 SD."""
    grid = np.linspace(-4, 4, 1_000) if setting.public else np.linspace(-2.25, 2.25, 19)
    return mean[:, None] + np.where(sd > 0, sd, 1.0)[:, None] * grid


def _by_column(levels: dict[str, int], categories: tuple[str, ...]) -> dict[str, dict[str, int]]:
    return {
        name: {word[len(name) + 1 :]: persons for word, persons in levels.items() if word.startswith(f"{name}=")}
        for name in categories
    }


def _notes(setting: Setting, levels: dict[str, int]) -> list[str]:
    notes = []
    if not setting.public:
        notes.append("rounded_levels")
        notes.append("no_skewness")
    if any(word.endswith(f"={OTHER}") for word in levels):
        notes.append("merged_levels")
    return notes
