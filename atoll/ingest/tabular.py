"""Files of rows as tables: CSV and TSV in the encodings of hospitals, Excel, Parquet.

A file is looked at once, whole: its hash, encoding, line ends. UTF-8 with plain line ends is read where it lies;
everything else is first written as UTF-8 into the loader's own folder. Encodings are tried in the order that never
guesses wrong: UTF-8, then GB18030. A file in two encodings is refused, with a line of each.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import functools
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from atoll.errors import DataError
from atoll.ingest.pace import Pace, Progress, silent

BLOCK = 4 * 1_048_576
MOST_COLUMNS = 4_096
MOST_UNPACKED = 100  # times its size: rows of a hospital pack to a tenth, hardly ever to a fiftieth
UNPACKED_FLOOR = 100_000_000  # bytes that nobody asks about
TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
EXCEL = (".xlsx", ".xlsm")
PARQUET = (".parquet", ".pq")
_DELIMITERS = ",\t;|\x1f^"
_COMMON = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")  # a character of GB2312; an umlaut and a letter are none
_CJK = re.compile(rb"[\xe4-\xe9][\x80-\xbf]{2}")  # a Chinese character in UTF-8


@dataclass(frozen=True)
class Look:
    """What one reading of a file showed. `lines` counts line ends; `mixed` says that both kinds of line ends occur."""

    sha256: str
    size: int
    encoding: str
    lines: int
    mixed: bool
    bom: bool


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
    plain, head = True, b""
    try:
        for block in _blocks(path, size_on_disk, progress):
            hashed.update(block)
            head = head or block[:4]
            size, lines = size + len(block), lines + block.count(b"\n")
            crlf += block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
            last = block[-1:]
            if plain and not (block.isascii() and not decoder.getstate()[0]):
                plain = _decodes(decoder, block)
        plain = plain and _decodes(decoder, b"", final=True)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path.name} cannot be read: it is damaged or ends in the middle.", "Copy it again."
        ) from error
    if not size:
        raise DataError(f"{path.name} is empty: not even a line with column names.", "Export it again.", code="EMPTY")
    found = encoding or _encoding(path, head, plain)
    return Look(hashed.hexdigest(), size, found, lines, 0 < crlf < lines, head[:3] == codecs.BOM_UTF8)


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
            "Export the file again as UTF-8, or name its encoding in the mapping (source: encoding:).",
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
        "Name its encoding in the mapping (source: encoding: cp1252, for instance), or export it as UTF-8.",
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
        raise DataError(
            f"{_place(path, seen.encoding)} cannot be read as {seen.encoding}.",
            "Correct `encoding:` in the mapping, or leave it out.",
        ) from error
    partial.replace(target)
    return target


def _place(path: Path, encoding: str) -> str:
    """The first line that is not in an encoding, and its file; the file alone where nobody knows the encoding."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)("strict")
    except LookupError:
        return path.name
    number = 0
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if not _decodes(decoder, line):
                return f"Line {number:,} of {path.name}"
    return f"The end of {path.name}, after line {number:,},"


def dialect(path: Path, names: Sequence[str] = (), delimiter: str | None = None) -> Dialect:
    """How a readable CSV is written; `names` are its columns when it has no header line.

    Raises
    ------
    DataError
        When the header is missing or unreadable, has an empty or double name, or more columns than a table can
        sensibly have.
    """
    with opened(path) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        head = text.read(2_000_000)
    lines = head.splitlines(keepends=True)[:200]
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
    return Dialect(chosen, '"', _header(path.name, [name.strip() for name in columns]))


def _consistency(lines: Sequence[str], sign: str) -> tuple[int, int]:
    """How well a sign splits lines into equally many fields: lines that agree with the first, then fields."""
    if not lines or lines[0].count(sign) == 0:
        return 0, 0
    first = len(next(csv.reader(lines[:1], delimiter=sign), []))
    agreeing = 0
    with contextlib.suppress(csv.Error):
        agreeing = sum(len(row) == first for row in csv.reader(lines, delimiter=sign))
    return agreeing, first


def _header(name: str, columns: list[str]) -> tuple[str, ...]:
    if not any(columns):
        raise DataError(f"The first line of {name} is empty.", "Put the columns' names into it.")
    filled = [column or f"unnamed_{position}" for position, column in enumerate(columns, 1)]
    if all(re.fullmatch(r"[-+]?[\d.,]+", column) for column in filled):
        raise DataError(
            f"The first line of {name} holds only numbers: it has no header.",
            "Put the columns' names into its first line, or give them in the mapping (columns: [...]).",
        )
    lower = [column.casefold() for column in filled]
    twice = next((column for column in filled if lower.count(column.casefold()) > 1), None)
    if twice is not None:
        raise DataError(f"{name} has two columns called {twice!r}.", "Rename one of them.")
    return tuple(filled)


def excel_sheets(path: Path, folder: Path, sha256: str) -> dict[str, Path]:
    """Each sheet with rows as a Parquet file of texts: dates as ISO writes them, numbers without a false `.0`.

    Raises
    ------
    DataError
        When the file is damaged, or unpacks to far more than it should.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    refuse_bomb(path)
    openpyxl = _openpyxl()
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:
        raise DataError(f"{path.name} is a damaged Excel file.", "Save it again, or export it as CSV.") from error
    made: dict[str, Path] = {}
    try:
        for sheet in book.worksheets:
            rows = sheet.iter_rows(values_only=True)
            header = [_cell(value) or "" for value in next(rows, ())]
            if not any(header):
                continue
            columns = _header(f"sheet {sheet.title!r} of {path.name}", header)
            target = folder / f"{sha256[:16]}-{len(made)}.parquet"
            schema = pa.schema([(name, pa.string()) for name in columns])
            with pq.ParquetWriter(target, schema) as writer:
                for batch in _chunks(rows, 20_000):
                    texts = [[_cell(row[i]) if i < len(row) else None for row in batch] for i in range(len(columns))]
                    writer.write_table(pa.table([pa.array(column, pa.string()) for column in texts], schema=schema))
            made[sheet.title] = target
    finally:
        book.close()
    return made


def _openpyxl() -> Any:
    try:
        import openpyxl  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        from atoll.errors import OperatorError

        raise OperatorError(
            "This installation cannot read Excel files.", "Install the extra: pip install 'atoll[excel]'."
        ) from error
    return openpyxl


def _chunks(rows: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    batch: list[tuple[Any, ...]] = []
    for row in rows:
        if any(value is not None for value in row):
            batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _cell(value: Any) -> str | None:
    """A cell as text: 3.0 as 3, a date as 2024-01-31, a time of day kept only when there is one."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if hasattr(value, "isoformat"):
        text = str(value.isoformat(sep=" ") if hasattr(value, "hour") and hasattr(value, "year") else value.isoformat())
        return text.removesuffix(" 00:00:00")
    return str(value).strip() or None


def refuse_bomb(path: Path, most: float = 200, floor: int = 1_000_000_000) -> None:
    """Refuse a zip archive that unpacks to far more than data do: more than `most` times its size, above `floor` bytes.

    Raises
    ------
    DataError
        When it does, or is no archive.
    """
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path.name} is a damaged archive.", "Download or save it again.") from error
    if size > floor and size > most * path.stat().st_size:
        raise DataError(
            f"{path.name} holds {path.stat().st_size:,} bytes and would unpack to {size:,}: a zip bomb.",
            "Do not open it; ask where it came from.",
        )
