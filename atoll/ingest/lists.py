"""Small CSV files that people keep: names, decisions, code lists. One that is damaged gets a sentence with its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from atoll.errors import DataError

UNITS = "units as written"  # the list, in what has no concept, of units that are not known or do not convert


def whole_rows(reader: Any, name: str) -> Iterator[Any]:
    """The rows of a reader of `csv`.

    Raises
    ------
    DataError
        At a field that is too long to be one; with the line.
    """
    try:
        yield from reader
    except csv.Error as error:
        raise DataError(
            f"{name}, line {reader.line_num + 1:,}: a field has more than {csv.field_size_limit():,} characters.",
            "Does a quotation mark open there, or before, that none closes? Correct it.",
        ) from error
