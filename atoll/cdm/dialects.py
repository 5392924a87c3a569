"""How a CSV is written: its delimiter, and the names of its columns, with the title that may stand above them.

What stands above the names in a workbook's sheet is found in the same way (`ingest.excel`).
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from atoll.cdm.delimited import opened
from atoll.errors import DataError

MOST_COLUMNS = 4_096
TITLE = 10  # rows that may stand above the columns' names, at most
_DELIMITERS = ",\t;|\x1f^"
_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?|\?", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written; `skip` lines stand above the columns' names, or above the first row."""

    delimiter: str
    quote: str
    columns: tuple[str, ...]
    header: bool = True
    skip: int = 0


def dialect(
    path: Path,
    names: Sequence[str] = (),
    delimiter: str | None = None,
    encoding: str = "utf-8",
    skip: int | None = None,
) -> Dialect:
    """How a CSV is written; a column without a name is `unnamed_N`.

    names   its columns when it has no header line
    skip    lines above the columns' names; when left out, a title there is found

    Raises
    ------
    DataError
        When the header is missing or unreadable, has a name twice, or more columns than a table can sensibly have.
    """
    with opened(path) as raw:
        text = io.TextIOWrapper(raw, encoding=encoding, newline="")
        head = text.read(2_000_000).removeprefix("\ufeff")
    read = {sign: _records(head, sign, skip or 0) for sign in delimiter or _DELIMITERS}
    find = skip is None and not names
    above = {sign: titles([row for row, _ in found]) if find else 0 for sign, found in read.items()}
    chosen = max(read, key=lambda sign: _consistency(read[sign][above[sign] :]))
    found, above_it = read[chosen], above[chosen]
    if not found and head.strip():
        raise DataError(
            f"Line 1 of {path.name} holds a field of more than {csv.field_size_limit():,} characters where the columns'"
            " names should be.",
            "Does a quotation mark open there that none closes? Is it a text file with lines? Export it again.",
        )
    columns = found[above_it][0] if found else []
    if len(columns) > MOST_COLUMNS:
        raise DataError(
            f"{path.name} has {len(columns):,} columns; at most {MOST_COLUMNS:,} are read.",
            "A table so wide is usually turned on its side: export one row for each value, or keep the needed columns.",
        )
    lines = found[above_it - 1][1] if above_it else skip or 0
    if names:
        return Dialect(chosen, '"', tuple(names), header=False, skip=lines)
    return Dialect(chosen, '"', header(path.name, [name.strip() for name in columns]), skip=lines)


def passed_over(lines: int) -> str:
    """What is said of so many lines above the columns' names."""
    return f"passed over {f'{lines} lines' if lines > 1 else 'a line'} above the columns' names: a title"


def _records(head: str, sign: str, skip: int) -> list[tuple[list[str], int]]:
    """The first records that a sign makes of a text, and how many lines have been read after each."""
    lines = itertools.islice(io.StringIO(head, newline=""), skip, None)
    reader, found = csv.reader(lines, delimiter=sign), []
    with contextlib.suppress(csv.Error):
        for row in itertools.islice(reader, 200):
            found.append((row, skip + reader.line_num))
    return found


def titles(rows: Sequence[Sequence[str]]) -> int:
    """How many of the first rows stand above the columns' names: empty ones, and a title.

    A title is one filled cell; until the names come, which are three or more, at most two are filled. Names are no
    numbers.
    """
    filled = [[cell for cell in map(str.strip, row) if cell] for row in rows]
    empty = next((at for at, given in enumerate(filled) if given), 0)
    first = filled[empty : empty + TITLE + 1]
    names = next((at for at, given in enumerate(first) if len(given) > 2), 0)
    names = names if names and len(first[0]) == 1 else 0
    return empty + names if first and not any(map(_NUMBER.fullmatch, first[names])) else 0


def _consistency(records: Sequence[tuple[list[str], int]]) -> tuple[int, int]:
    """How well a sign splits lines into equally many fields: lines that agree with the first, then fields."""
    if not records or len(records[0][0]) < 2:
        return 0, 0
    first = len(records[0][0])
    return sum(len(row) == first for row, _ in records), first


def header(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The names of columns as they are used; `name` is their file's.

    Raises
    ------
    DataError
        When there is none, when they are numbers, that is data, or when one stands twice in whatever case.
    """
    given = [column for column in columns if column]
    if not given:
        raise DataError(f"The first line of {name} is empty.", "Put the columns' names into it.")
    if all(_NUMBER.fullmatch(column) for column in given):
        raise DataError(
            f"The first line of {name} holds only numbers: it has no header.",
            "Put the columns' names into its first line, or give them in the mapping (columns: [...]).",
        )
    filled = [column or f"unnamed_{position}" for position, column in enumerate(columns, 1)]
    lower = [column.casefold() for column in filled]
    twice = next((column for column in filled if lower.count(column.casefold()) > 1), None)
    if twice is not None:
        raise DataError(f"{name} has two columns called {twice!r}.", "Rename one of them.")
    return tuple(filled)
