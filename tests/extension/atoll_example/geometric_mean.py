"""Geometric means of positive columns.

    g = exp( Σ log xᵢ / n )

A value that is not positive has no logarithm; the site refuses it by the column's name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atoll.algorithms.core import Data, Program, at_site
from atoll.algorithms.options import ColumnName
from atoll.errors import DataError
from atoll.privacy.statistics import Array, Statistics, table, total
from atoll.study.view import Setting

EXAMPLES = ({"columns": ["age", "cost"]}, {"columns": ["bmi"]})


class Logarithms(Statistics):
    present: Array = table()
    n: Array = total(per="present")
    sum: Array = total(per="present", moment=1)


@dataclass(frozen=True)
class Means:
    means: dict[str, float]


@at_site
def logarithms(data: Data, columns: tuple[str, ...]) -> Logarithms:
    """n and Σ log x of each column."""
    values = [data.column(name) for name in columns]
    for name, x in zip(columns, values, strict=True):
        if (x <= 0).any():
            raise DataError(f"{name} must be positive.", "Correct it.", code="DATA_INVALID", subject=name)
    there = [np.isfinite(x) for x in values]
    return Logarithms(
        present=np.array([data.persons(mask) for mask in there], dtype=np.int64),
        n=np.array([mask.sum() for mask in there], dtype=np.int64),
        sum=np.array([np.log(x[mask]).sum() for x, mask in zip(values, there, strict=True)]),
    )


def geometric_mean(setting: Setting, *, columns: tuple[ColumnName, ...]) -> Program:
    """Geometric means over all sites.

    columns   positive numbers
    """
    t = yield logarithms(columns=columns)
    return Means({name: float(np.exp(t.sum[i] / t.n[i])) for i, name in enumerate(columns)})
