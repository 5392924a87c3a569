"""Numbers that are levels: a column of few values is counted as one where persons are protected.

Of sexes written 1 and 2, Σ s·age·y − Σ age·y is the ages of the cases who are 2. A flag's cases are counted
(`witnessed`), and so are those of a number that is nought or one other value, as a count of seldom things may be. Two
values of which none is nought are codes: as a category they are counted, as a number they are refused.

Σ log(1 + v) of whole numbers v is the logarithm of one, whose prime factors say how many have each v. So of a column of
few values that a logarithm, root, inverse or spline reads, or that are no decimals to begin with, each value is counted
(`witnessed`); so is each of an offset, which mostly is a logarithm.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from atoll.errors import REMEDIES, DataError
from atoll.features.table import Table
from atoll.privacy.statistics import Array
from atoll.study.design import Design, Expression, Factor, Level, Number, Spline, columns_of
from atoll.study.dictionary import Dictionary
from atoll.study.view import View

LOOKED_AT = 2_000  # rows that nearly always show a third value
BATCH = 262_144
VALUES = 20  # of one column: a number of 53 bits, and a few others, do not tell how many have each of more
CURVED = ("log", "log2", "log10", "sqrt", "exp", "/")
FEWEST = 20  # rows before two values say something; fewer persons are refused by their number


def with_levels(design: Design, columns: Dictionary, table: Table) -> Dictionary:
    """The dictionary with the numbers of a design that are nought or one other value as flags.

    Raises
    ------
    DataError
        CODE_AS_NUMBER, when a number has two values and none is nought; with the column as subject.
    """
    found = dict(columns)
    numbers = [f for factors in design.columns for f in factors if isinstance(f, Number)]
    for name in dict.fromkeys(name for factor in numbers for name in columns_of(factor)):
        values = _two_values(table, name) if columns[name].type == "number" else frozenset()
        if 0.0 in values:
            found[name] = replace(columns[name], type="flag")
        elif values:
            raise DataError(
                f"Column {name!r} is called a number and holds two values only.",
                REMEDIES["CODE_AS_NUMBER"],
                code="CODE_AS_NUMBER",
                subject=name,
            )
    return found


def _two_values(table: Table, name: str) -> frozenset[float]:
    """The two values of a column; nothing where it has more, or one."""
    found: set[float] = set()
    rows = 0
    for size in (LOOKED_AT, BATCH):
        for batch in table.batches([name], size):
            values = np.unique(batch.numbers(name))
            found |= set(values[np.isfinite(values)][:3].tolist())
            rows += batch.num_rows
            if len(found) > 2:
                return frozenset()
            if size == LOOKED_AT:
                break  # the first rows only; all of them where these have no third value
    return frozenset(found) if len(found) == 2 and rows >= FEWEST else frozenset()


def few_values(view: View, columns: Dictionary, table: Table) -> dict[str, Array]:
    """The values, rising, of each column of few that are no decimals where they are summed: a function other than a
    polynomial reads them, or they are none as they stand; of an offset, any."""
    assert view.design is not None
    factors = [f for factors in view.design.columns for f in factors if not isinstance(f, Level)]
    curved = {name for f in factors if _is_curved(f) for name in columns_of(f)} | {view.offset or ""}
    read = dict.fromkeys([*(name for f in factors for name in columns_of(f)), view.outcome or "", view.offset or ""])
    numbers = [name for name in read if name and columns[name].type == "number"]
    found = {name: _values(table, name) for name in numbers}
    few = {name: values for name, values in found.items() if 0 < len(values) <= VALUES}
    return {name: values for name, values in few.items() if name in curved or not _are_decimals(values)}


def _are_decimals(values: Array) -> bool:
    """Whether all are whole thousandths."""
    with np.errstate(over="ignore", invalid="ignore"):
        parts = values * 1000
        return bool((np.abs(parts - np.rint(parts)) <= 1e-9 * np.maximum(np.abs(parts), 1)).all())


def _is_curved(factor: Factor) -> bool:
    return isinstance(factor, Spline) or (isinstance(factor, Number) and _has_function(factor.expression))


def _has_function(expression: Expression) -> bool:
    if not isinstance(expression, tuple) or expression[0] == "column":
        return False
    head, *parts = expression
    power = head == "**" and parts[1] not in (1.0, 2.0, 3.0)
    return power or head in CURVED or any(_has_function(part) for part in parts)


def _values(table: Table, name: str) -> Array:
    """The values of a column, or more than are few."""
    found: Array = np.zeros(0)
    for size in (LOOKED_AT, BATCH):
        for batch in table.batches([name], size):
            values = batch.numbers(name)
            found = np.unique(np.concatenate([found, values[np.isfinite(values)]]))
            if len(found) > VALUES:
                return found
            if size == LOOKED_AT:
                break
    return found
