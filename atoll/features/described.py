"""Whom columns that are described tell apart, or tell of together; their sums and those of their squares leave.

Two weights of which one is the other but for a few say those few's difference; so the columns are looked at by
themselves, and with their squares. That one person alone lacks a value is a number of persons, and left out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from atoll.privacy.few import fewest
from atoll.privacy.leverage import Weighing
from atoll.privacy.pairs import APART, largest_alone
from atoll.privacy.statistics import Array


def told_apart(numbers: Mapping[str, Array], person: Array | None, minimum: int) -> dict[str, float]:
    """What one person stands for in each column, as a part of what is allowed: h of `weights`, where 1/h persons are.

    numbers   columns (n,), NaN where there is no value
    person    each row's person; None where every row is one person
    minimum   persons who are enough; of 1, nothing is looked at

    At the first column it is the largest leverage of one person among all columns and their squares (see `pairs`); in a
    column of which a plane misses a few (see `few`), 1.
    """
    if minimum <= 1 or not numbers:
        return dict.fromkeys(numbers, 0.0)
    table = _table(numbers, person)
    squares = table.columns[:, [table.names.index(name) for name in numbers]] ** 2
    both = replace(table, columns=np.column_stack([table.columns, squares]), names=(*table.names, *numbers))
    few = {fewest(functools.partial(iter, [one]), minimum, pairs=False).column for one in (table, both)}
    found = {name: float(name in few) for name in numbers}
    found[next(iter(numbers))] += 2 * largest_alone(both.columns, person) / (APART * minimum)
    return found


def _table(numbers: Mapping[str, Array], person: Array | None) -> Weighing:
    """1; each column in its largest size, and who has it, where more than one person lacks it."""
    rows = len(next(iter(numbers.values())))
    columns, names = [np.ones(rows)], [""]
    for name, x in numbers.items():
        there = np.isfinite(x)
        columns.append(np.where(there, x, 0.0) / max(float(np.abs(x[there]).max(initial=0.0)), 1e-300))
        lacking = ~there if person is None else np.unique(person[~there])
        if (lacking.sum() if person is None else len(lacking)) > 1:
            columns.append(there * 1.0)
        names += [name] * (len(columns) - len(names))
    return Weighing(np.column_stack(columns), False, person, names=tuple(names))
