"""Where a column of numbers holds something else: in how many rows, and in which one first; never what stands there.

A row is told by its number in the table: the first one below a header is row 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.features.columns import as_numbers
from atoll.features.table import Table
from atoll.privacy.statistics import Array

BATCH = 262_144
NEARLY = 0.9  # of the rows that hold anything: a column with so many numbers was meant as numbers
FEW = 12  # so many different words, or fewer, may well be codes
# as a person writes a number; 007 and what has more digits than a float can tell apart are codes
_NUMBER = r"^[+-]?(([0-9]|[1-9][0-9]{1,14})([.,][0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"


@dataclass(frozen=True)
class Places:
    """So many rows of a column, of `there` that hold anything; `first` is the first one's number, 0 for none."""

    rows: int
    first: int
    there: int

    def __str__(self) -> str:
        where = "the one below the header" if self.first == 1 else f"row {self.first:,} below the header"
        if self.rows == 1:
            return f"in 1 row, {where}"
        return f"in {self.rows:,} rows, the first is {where}"


def without_number(table: Table, name: str) -> Places:
    """Rows of a column of texts that hold no number."""
    return _places(table, name, _no_number)


def infinite(table: Table, name: str) -> Places:
    """Rows of a column of numbers that hold an infinite one."""
    return _places(table, name, lambda column: (np.isinf(as_numbers(column, name)), None))


def nearly_numbers(places: Places, words: int) -> bool:
    """Whether a column of texts, with so many different ones, was meant as numbers."""
    return 0 < places.rows <= (1 - NEARLY) * places.there and words > FEW


def _places(table: Table, name: str, bad: Callable[[Any], tuple[Array, Array | None]]) -> Places:
    rows = first = there = before = 0
    for batch in table.batches([name], BATCH):
        column = batch.column(name)
        found, present = bad(column)
        if not first and found.any():
            first = before + int(np.argmax(found)) + 1
        rows += int(np.count_nonzero(found))
        there += int(np.count_nonzero(present)) if present is not None else len(column)
        before += len(column)
    return Places(rows, first, there)


def _no_number(column: Any) -> tuple[Array, Array | None]:
    """Where texts are no numbers, and where there is one at all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = column.cast(pa.string())
    there = pc.is_valid(text)
    number = pc.match_substring_regex(text, _NUMBER).fill_null(True)
    return pc.invert(number).to_numpy(zero_copy_only=False), there.to_numpy(zero_copy_only=False)
