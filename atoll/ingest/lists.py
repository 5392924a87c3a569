"""Small CSV files that people keep: names, decisions, code lists. One that is damaged gets a sentence with its line."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atoll.errors import DataError

UNITS = "units as written"  # the list, in what has no concept, of units that are not known or do not convert


def read_text(path: Path) -> str:
    """A file's text: UTF-8, else GB18030 as Excel in China and hospital systems write it.

    Raises
    ------
    DataError
        When it is neither, or cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read.", "Is the path right?") from error
    for encoding in ("utf-8-sig", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    raise DataError(f"{path.name} is neither UTF-8 nor GB18030.", "Save it as CSV in UTF-8.")


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
