"""Delimited text (CSV, TSV) as hospitals write it: encoding, line ends, delimiter, names of columns.

Both readers of files ask here, so that they answer alike: `ingest.sources`, for a whole export on its way to OMOP, and
`features.imports`, for one table. A file is looked at once, whole. Encodings are tried in the order that never guesses
wrong: UTF-8, then GB18030. A file in two encodings is refused, with a line of each.

What stands for nothing the two take differently, on purpose: in an export only the empty field does, and what its
mapping says (`NA` is sodium in many laboratories); one table has no mapping, and there the words of `MISSING` do.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import functools
import gzip
import hashlib
import io
import itertools
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from atoll.cdm.pace import Pace, Progress, silent
from atoll.errors import DataError

BLOCK = 4 * 1_048_576
MOST_COLUMNS = 4_096
MOST_UNPACKED = 100  # times its size: rows of a hospital pack to a tenth, hardly ever to a fiftieth
UNPACKED_FLOOR = 100_000_000  # bytes that nobody asks about
TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "?", ".")
_NAME_IT = "(`source: encoding: cp1252` in a mapping, `--encoding cp1252` of a single table, for instance)"
_DELIMITERS = ",\t;|\x1f^"
_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?|\?", re.IGNORECASE)
_COMMON = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")  # a character of GB2312; an umlaut and a letter are none
_CJK = re.compile(rb"[\xe4-\xe9][\x80-\xbf]{2}")  # a Chinese character in UTF-8


@dataclass(frozen=True)
class Look:
    """What one reading of a file showed.

    lines    line ends
    mixed    both kinds of line ends occur
    within   line ends behind an odd number of quotation marks: a field may span lines there, or hold a stray mark
    ends     the last line has a line end
    """

    sha256: str
    size: int
    encoding: str
    lines: int
    mixed: bool
    bom: bool
    within: int = 0
    ends: bool = True


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written."""

    delimiter: str
    quote: str
    columns: tuple[str, ...]
    header: bool = True


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked when it is packed."""
    if path.name.endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def look(path: Path, encoding: str | None = None, progress: Progress = silent) -> Look:
    """Read a whole file once; `progress` is told how far it is.

    Raises
    ------
    DataError
        When it is empty, or in no encoding that is known, or in two, with the line; when it unpacks to far more than
        data do.
    """
    found = path.stat()
    return _look(path, encoding, found.st_size, found.st_mtime_ns, progress)


@functools.lru_cache(maxsize=10_000)
def _look(path: Path, encoding: str | None, size_on_disk: int, changed: int, progress: Progress) -> Look:
    hashed, size, lines, crlf, last = hashlib.sha256(), 0, 0, 0, b""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    plain, head, within, inside = True, b"", 0, False
    try:
        for block in _blocks(path, size_on_disk, progress):
            hashed.update(block)
            head = head or block[:4]
            size, lines = size + len(block), lines + block.count(b"\n")
            crlf += block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
            last = block[-1:]
            if inside or b'"' in block:
                found_within, inside = _within(block, inside)
                within += found_within
            if plain and not (block.isascii() and not decoder.getstate()[0]):
                plain = _decodes(decoder, block)
        plain = plain and _decodes(decoder, b"", final=True)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path.name} cannot be read: it is damaged or ends in the middle.", "Copy it again."
        ) from error
    if not size:
        what = f"{path.name} is empty: not even a line with column names."
        raise DataError(what, "Is it the right file?", code="EMPTY")
    found = encoding or _encoding(path, head, plain)
    bom, ends = head[:3] == codecs.BOM_UTF8, last in (b"\n", b"\r", b"\0")  # UTF-16 ends its lines with a zero
    return Look(hashed.hexdigest(), size, found, lines, 0 < crlf < lines, bom, within, ends)


def _within(block: bytes, inside: bool) -> tuple[int, bool]:
    """Line ends behind an odd number of quotation marks, and whether the block ends so; `inside` where it begins so."""
    import numpy as np

    signs = np.frombuffer(block, np.uint8)
    marks = signs[(signs == ord('"')) | (signs == ord("\n"))]
    odd = np.logical_xor.accumulate(marks == ord('"')) ^ inside
    return int((odd & (marks == ord("\n"))).sum()), bool(odd[-1]) if len(odd) else inside


def _blocks(path: Path, packed: int, progress: Progress) -> Iterator[bytes]:
    """The bytes of a file, unpacked, as long as they are not far more than data would be."""
    pace, unpacked = Pace(progress, f"{path.name} ({packed:,} bytes)", packed), 0
    with path.open("rb") as raw, gzip.open(raw) if path.name.endswith(".gz") else raw as file:
        while block := file.read(BLOCK):
            unpacked += len(block)
            if unpacked > max(UNPACKED_FLOOR, MOST_UNPACKED * packed):
                raise DataError(
                    f"{path.name} holds {packed:,} bytes and unpacks to more than {unpacked:,}: a bomb, hardly data.",
                    "Ask where it came from. If it is right, unpack it and give the file without .gz.",
                )
            pace.at(raw.tell(), f"{unpacked:,} bytes read")
            yield block


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _encoding(path: Path, head: bytes, plain: bool) -> str:
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    return "utf-8" if plain else _other(path)


def _other(path: Path) -> str:
    """GB18030, or a sentence about the lines that are not."""
    first: dict[str, int] = {}
    counted = {"utf-8": 0, "surely": 0, "gb18030": 0, "rare": 0, "neither": 0}
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if line.isascii():
                continue
            kind = _kind_of(line)
            if kind:
                counted[kind] += 1
                first.setdefault(kind, number)
    name = path.name
    if counted["rare"] > counted["gb18030"] or (counted["neither"] and not counted["gb18030"]):
        return _western(name, first)
    if counted["neither"]:
        raise DataError(
            f"Line {first['neither']:,} of {name} is neither UTF-8 nor GB18030; {counted['neither']:,} lines are"
            " like it.",
            f"Export the file again as UTF-8, or name its encoding {_NAME_IT}.",
        )
    if counted["surely"] or counted["utf-8"] * 200 > counted["gb18030"]:
        at = first["surely" if counted["surely"] else "utf-8"]
        raise DataError(
            f"{name} is written in two encodings: line {at:,} is UTF-8, line {first['gb18030']:,} is GB18030.",
            "Export it again in one encoding; reading either as the other would turn names into other names.",
        )
    return "gb18030"


def _kind_of(line: bytes) -> str:
    """The encoding that a line with other than ASCII letters shows; empty when it shows none.

    A few words in GB18030 happen to be UTF-8 as well. A line that is common Chinese in UTF-8 and none in GB18030 is
    `surely` UTF-8.
    """
    try:
        text = line.decode("utf-8")
        if not _CJK.search(line):
            return ""
        return "surely" if _encodes(text) and not _reads(line) else "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        line.decode("gb18030")
        return "gb18030" if _COMMON.search(line) else "rare"
    except UnicodeDecodeError:
        return "neither"


def _encodes(text: str) -> bool:
    try:
        return bool(text.encode("gb2312"))
    except UnicodeEncodeError:
        return False


def _reads(line: bytes) -> bool:
    try:
        return bool(line.decode("gb2312"))
    except UnicodeDecodeError:
        return False


def _western(name: str, first: dict[str, int]) -> str:
    line = min(first[kind] for kind in ("rare", "neither") if kind in first)
    raise DataError(
        f"Line {line:,} of {name} is neither UTF-8 nor GB18030.",
        f"Name its encoding {_NAME_IT}, or export it as UTF-8.",
    )


def readable(path: Path, seen: Look, folder: Path) -> Path:
    """The file itself when the engine can read it as it is, else a copy in UTF-8 with plain line ends."""
    if seen.encoding == "utf-8" and not seen.mixed:
        return path
    target = folder / f"{seen.sha256[:16]}.csv"
    if target.exists():
        return target
    partial = target.with_suffix(".partial")
    try:
        with opened(path) as raw, partial.open("w", encoding="utf-8", newline="") as out:
            text = io.TextIOWrapper(raw, encoding=seen.encoding, errors="strict", newline=None)
            while block := text.read(BLOCK):
                out.write(block.lstrip("\ufeff"))
    except (UnicodeDecodeError, LookupError) as error:
        partial.unlink(missing_ok=True)
        check_encoding(path, seen.encoding)
        raise _other_encoding(path.name, seen.encoding) from error
    partial.replace(target)
    return target


def check_encoding(path: Path, encoding: str) -> None:
    """That a file is in the encoding that a person gave.

    Raises
    ------
    DataError
        When it is not, with the first line, or nobody knows the encoding.
    """
    try:
        decoder = codecs.getincrementaldecoder(encoding)("strict")
    except LookupError:
        raise DataError(f"There is no encoding {encoding!r}.", "Common ones are utf-8, gb18030 and cp1252.") from None
    number = 0
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if not _decodes(decoder, line):
                raise _other_encoding(f"Line {number:,} of {path.name}", encoding)
    if not _decodes(decoder, b"", final=True):
        raise _other_encoding(f"The end of {path.name}, after line {number:,},", encoding)


def _other_encoding(place: str, encoding: str) -> DataError:
    return DataError(
        f"{place} cannot be read as {encoding}.", "Correct `encoding:` in the mapping, or --encoding, or leave it out."
    )


def dialect(path: Path, names: Sequence[str] = (), delimiter: str | None = None, encoding: str = "utf-8") -> Dialect:
    """How a CSV is written; `names` are its columns when it has no header line. A column without a name is `unnamed_N`.

    Raises
    ------
    DataError
        When the header is missing or unreadable, has a name twice, or more columns than a table can sensibly have.
    """
    with opened(path) as raw:
        text = io.TextIOWrapper(raw, encoding=encoding, newline="")
        head = text.read(2_000_000).removeprefix("\ufeff")
    lines = list(itertools.islice(io.StringIO(head, newline=""), 200))
    try:
        chosen = delimiter or max(_DELIMITERS, key=lambda sign: _consistency(lines, sign))
        columns = next(csv.reader(io.StringIO(head), delimiter=chosen), [])
    except csv.Error as error:
        raise DataError(
            f"Line 1 of {path.name} holds a field of more than {csv.field_size_limit():,} characters where the columns'"
            " names should be.",
            "Does a quotation mark open there that none closes? Is it a text file with lines? Export it again.",
        ) from error
    if len(columns) > MOST_COLUMNS:
        raise DataError(
            f"{path.name} has {len(columns):,} columns; at most {MOST_COLUMNS:,} are read.",
            "A table so wide is usually turned on its side: export one row for each value, or keep the needed columns.",
        )
    if names:
        return Dialect(chosen, '"', tuple(names), header=False)
    return Dialect(chosen, '"', header(path.name, [name.strip() for name in columns]))


def _consistency(lines: Sequence[str], sign: str) -> tuple[int, int]:
    """How well a sign splits lines into equally many fields: lines that agree with the first, then fields."""
    if not lines or lines[0].count(sign) == 0:
        return 0, 0
    first = len(next(csv.reader(lines[:1], delimiter=sign), []))
    agreeing = 0
    with contextlib.suppress(csv.Error):
        agreeing = sum(len(row) == first for row in csv.reader(lines, delimiter=sign))
    return agreeing, first


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
