"""Geometric means of positive columns.

    g = exp( Σ wᵢ log xᵢ / Σ wᵢ )           w = 1 without a column of weights

A value that is not positive has no logarithm; the site refuses it by the column's name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atoll.algorithms.core import Data, Program, at_site_whole
from atoll.algorithms.options import ColumnName
from atoll.errors import DataError
from atoll.privacy.statistics import Array, Statistics, table, total, weights, witness
from atoll.study.view import Setting

EXAMPLES = ({"columns": ["age", "cost"]}, {"columns": ["bmi"]}, {"columns": ["bmi"], "weight": "age"})


class Logarithms(Statistics):
    present: Array = table()
    weight: Array = total(per="present")
    sum: Array = total(per="present", moment=1)
    behind: dict[str, Array] = witness()
    spread: dict[str, Array] = weights(part=True)


@dataclass(frozen=True)
class Means:
    means: dict[str, float]


@at_site_whole
def logarithms(data: Data, columns: tuple[str, ...], weight: str | None) -> Logarithms:
    """Σ w and Σ w log x of each column."""
    values = [data.column(name) for name in columns]
    w = data.column(weight) if weight else np.ones(data.n)
    for name, x in zip(columns, values, strict=True):
        if (x <= 0).any():
            raise DataError(f"{name} must be positive.", "Correct it.", code="DATA_INVALID", subject=name)
    there = [np.isfinite(x) & np.isfinite(w) for x in values]
    read = columns if weight is None else (*columns, weight)
    return Logarithms(
        present=np.array([data.persons(mask) for mask in there], dtype=np.int64),
        weight=np.array([w[mask].sum() for mask in there]),
        sum=np.array([(w * np.log(x))[mask].sum() for x, mask in zip(values, there, strict=True)]),
        behind=data.behind_columns(read),
        spread=data.spread_columns(read),
    )


def geometric_mean(setting: Setting, *, columns: tuple[ColumnName, ...], weight: ColumnName | None = None) -> Program:
    """Geometric means over all sites.

    columns   positive numbers
    weight    a column that says how much each row counts
    """
    t = yield logarithms(columns=columns, weight=weight)
    return Means({name: float(np.exp(t.sum[i] / t.weight[i])) for i, name in enumerate(columns)})
