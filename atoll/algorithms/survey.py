"""The first round of a formula whose levels, knots or centres the study does not give.

Every site must build the same design, so what a design takes from the data is found once, over all sites
and through the gate: the levels of a category, quantiles for the knots of a spline, mean and SD for
centring. On public data the ends of a spline are the smallest and largest value; elsewhere they are the
dictionary's allowed range, or mean ± 3 SD: the extremes belong to single persons.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from atoll.algorithms.bins import persons_per_bin, persons_per_word, quantile
from atoll.algorithms.core import Data, Program, at_site, at_site_whole
from atoll.algorithms.options import Edges
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, count, points, table, tally, total, weights, witness
from atoll.study.design import Facts
from atoll.study.view import Setting


class Levels(Statistics):
    persons: int = count()
    levels: dict[str, int] = tally()


class Moments(Statistics):
    present: Array = table()
    n: Array = total(per="present")
    sum: Array = total(per="present", moment=1)
    squares: Array = total(per="present", moment=2)
    behind: dict[str, Array] = witness()
    spread: dict[str, Array] = weights(part=True)


class Bins(Statistics):
    low: Array = table()
    high: Array = table()


class Ends(Statistics):
    values: Array = points()


@at_site
def levels(data: Data, columns: tuple[str, ...]) -> Levels:
    """Persons per level of each column, as `column=level`."""
    persons = {f"{name}={word}": n for name in columns for word, n in persons_per_word(data, name).items()}
    return Levels(persons=data.persons(), levels=persons)


@at_site_whole
def moments(data: Data, columns: tuple[str, ...]) -> Moments:
    """n, Σx and Σx²."""
    present = [np.isfinite(data.column(name)) for name in columns]
    values = [data.column(name)[there] for name, there in zip(columns, present, strict=True)]
    return Moments(
        present=np.array([data.persons(there) for there in present], dtype=np.int64),
        n=np.array([len(x) for x in values], dtype=np.int64),
        sum=np.array([x.sum() for x in values], dtype=float),
        squares=np.array([x @ x for x in values], dtype=float),
        behind=data.behind_columns(columns),
        spread=data.spread_columns(columns),
    )


@at_site_whole
def bins(data: Data, columns: tuple[str, ...], edges: Edges) -> Bins:
    """Persons per bin of each column; `edges` has a row a column."""
    pairs = [persons_per_bin(data, name, row) for name, row in zip(columns, edges, strict=True)]
    return Bins(low=np.array([low for low, _ in pairs]), high=np.array([high for _, high in pairs]))


@at_site
def ends(data: Data, column: str) -> Ends:
    """Smallest and largest value: asked of public data only, and refused elsewhere."""
    x = data.column(column)
    x = x[np.isfinite(x)]
    return Ends(values=np.unique([x.min(), x.max()]) if len(x) else np.zeros(0))


def survey(
    known: Setting,
    *,
    levels_of: tuple[str, ...] = (),
    quantiles_of: Mapping[str, tuple[float, ...]] | None = None,
    moments_of: tuple[str, ...] = (),
) -> Program:
    """The facts that a design needs: levels, quantiles (probabilities by column), mean and SD.

    It runs before the algorithms whose formulas need it, and is none of them.

    levels_of      columns whose levels are wanted
    quantiles_of   probabilities wanted, by column
    moments_of     columns whose mean and SD are wanted
    """
    quantiles_of = quantiles_of or {}
    found: dict[str, tuple[str, ...]] = {}
    if levels_of:
        answer = yield levels(columns=levels_of)
        found = {name: _words(answer.levels, name) for name in levels_of}
    numbers = tuple(dict.fromkeys([*moments_of, *quantiles_of]))
    centres: dict[str, tuple[float, float]] = {}
    if numbers:
        answer = yield moments(columns=numbers)
        centres = {name: _mean_and_sd(answer, i, name) for i, name in enumerate(numbers)}
    ranges: dict[str, tuple[float, float]] = {}
    for name in quantiles_of:
        ranges[name] = yield from _range(known, name, *centres[name])
    quantiles: dict[str, dict[float, float]] = {}
    if quantiles_of:
        inner = 2_000 if known.public else 19
        edges = np.array([np.linspace(*ranges[name], inner) for name in quantiles_of])
        answer = yield bins(columns=tuple(quantiles_of), edges=edges)
        for i, (name, wanted) in enumerate(quantiles_of.items()):
            told = (answer.low[i], answer.high[i], edges[i])
            quantiles[name] = {q: quantile(*told, q, ranges[name])[0] for q in wanted}  # knots lie within the range
    return Facts(levels=found, quantiles=quantiles, ranges=ranges, moments={n: centres[n] for n in moments_of})


def _range(setting: Setting, name: str, mean: float, sd: float) -> Program:
    """Ends of a histogram, and of a spline: of public data the allowed range, else the extremes. Elsewhere where enough
    people are, or whoever is at the end would weigh too much: mean ± 2 SD, within the allowed range."""
    column = setting.columns[name]
    low, high = (-np.inf if column.low is None else column.low), (np.inf if column.high is None else column.high)
    if not setting.public:
        return max(low, mean - 2 * sd), min(high, mean + 2 * sd)
    if np.isfinite([low, high]).all():
        return low, high
    values = (yield ends(column=name)).values
    return float(values[0]), float(values[-1])


def _words(tally_: Mapping[str, int], name: str) -> tuple[str, ...]:
    words = [word[len(name) + 1 :] for word, held in tally_.items() if word.startswith(f"{name}=") and held]
    if not words:
        raise StudyError(f"Column {name!r} is empty at every site.", "Leave it out.", code="EMPTY", subject=name)
    return tuple(sorted(words, key=_numeric_first))


def _numeric_first(word: str) -> tuple[int, float, str]:
    """Codes in numeric order, words after them in their own."""
    try:
        return 0, float(word), word
    except ValueError:
        return 1, 0.0, word


def _mean_and_sd(answer: Moments, i: int, name: str) -> tuple[float, float]:
    n = int(answer.n[i])
    if n < 2:
        raise StudyError(f"Column {name!r} is empty at every site.", "Leave it out.", code="EMPTY", subject=name)
    mean = float(answer.sum[i] / n)
    return mean, float(np.sqrt(max(answer.squares[i] / n - mean**2, 0.0) * n / (n - 1)))
