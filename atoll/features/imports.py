"""A hospital's file or database table into one Parquet file, streaming: memory stays the same for any size.

A CSV is read twice: first its types, column by column over the whole file, then its values. Encoding is
tried in the order that never guesses wrong: UTF-8 (with or without byte-order mark), then GB18030. The
Parquet file appears under its name only when it is complete and on disk.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.cdm.database import is_url, record_batches
from atoll.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "?", "."]
BLOCK = 8 * 1_048_576  # bytes of CSV at a time
TIMES = ["%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S"]
ROWS = 131_072  # rows of a Parquet row group
Progress = Callable[[int], None]


def import_source(
    source: str,
    destination: Path,
    *,
    names: Sequence[str] = (),
    encoding: str | None = None,
    progress: Progress | None = None,
) -> int:
    """Write the source's rows to a Parquet file; returns their number.

    source        path of a CSV or Parquet file, or a URL as in `cdm.database`
    names         column names of a CSV without a header line
    encoding      of a CSV; found when left out
    progress      called with the number of rows so far

    Raises
    ------
    DataError
        When the source cannot be read; no file is left behind.
    """
    batches = record_batches(source) if is_url(source) else _file_batches(Path(source), names, encoding)
    temporary = destination.with_name(destination.name + ".partial")
    try:
        temporary.touch(mode=0o600)
        rows = _write(batches, temporary, progress)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)
    return rows


def _write(batches: Iterator[pa.RecordBatch], path: Path, progress: Progress | None) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, writer = 0, None
    try:
        for batch in batches:
            writer = writer or pq.ParquetWriter(path, batch.schema, compression="lz4")
            writer.write_table(pa.Table.from_batches([batch]), row_group_size=ROWS)
            rows += batch.num_rows
            if progress:
                progress(rows)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise DataError("The source has no rows.", "Is it the right one?", code="EMPTY")
    return rows


def read_file(path: Path, names: Sequence[str] = (), encoding: str | None = None) -> pa.Table:
    """A CSV or Parquet file as an Arrow table in memory."""
    import pyarrow as pa

    batches = list(_file_batches(path, names, encoding))
    if not batches:
        raise DataError(f"{path.name} has no rows.", "Is it the right file?", code="EMPTY")
    return pa.Table.from_batches(batches)


def _file_batches(path: Path, names: Sequence[str], encoding: str | None) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"There is no file {path}.", "Check the path.")
    with path.open("rb") as file:
        head = file.read(4)
    if head == b"PAR1":
        try:
            with pq.ParquetFile(path) as parquet:
                yield from parquet.iter_batches(ROWS)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path.name} is a damaged Parquet file.", "Export it again.") from error
    else:
        yield from _csv_batches(path, names, encoding)


def _csv_batches(path: Path, names: Sequence[str], encoding: str | None) -> Iterator[pa.RecordBatch]:
    encoding = encoding or encoding_of(path)
    types = _types(path, names, encoding)
    yield from _reader(path, names, encoding, types)


def encoding_of(path: Path) -> str:
    """`utf-8` or `gb18030`, whichever the whole file is valid in.

    Raises
    ------
    DataError
        When it is neither; names the byte where UTF-8 fails.
    """
    failed = 0
    for encoding in ("utf-8", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        read = 0
        try:
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    decoder.decode(block)
                    read += len(block)
            decoder.decode(b"", final=True)
            return encoding
        except UnicodeDecodeError as error:
            failed = failed or read + error.start + 1
    raise DataError(
        f"{path.name} is neither UTF-8 nor GB18030: byte {failed:,} fits neither.",
        "Give its encoding, or export it as UTF-8.",
    )


def _delimiter(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding) as file:
        line = re.sub(r'"[^"]*"', "", file.readline(1_000_000))
    return max(",;\t|", key=line.count)


def _reader(path: Path, names: Sequence[str], encoding: str, types: dict[str, Any] | None) -> Iterator[pa.RecordBatch]:
    """Batches of a CSV; every column as text when `types` is None."""
    import pyarrow as pa
    import pyarrow.csv as csv

    broken: list[Any] = []

    def refuse(row: Any) -> str:
        broken.append((row.number, row.expected_columns, row.actual_columns))
        return "error"

    header = list(names) or _header(path, encoding)
    read = csv.ReadOptions(
        column_names=header, skip_rows=0 if names else 1, encoding=encoding, block_size=BLOCK, use_threads=False
    )
    parse = csv.ParseOptions(delimiter=_delimiter(path, encoding), newlines_in_values=True, invalid_row_handler=refuse)
    convert = csv.ConvertOptions(
        column_types=types or dict.fromkeys(header, pa.string()),
        null_values=MISSING,
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        timestamp_parsers=[csv.ISO8601, *TIMES],
    )
    done = 0
    try:
        with csv.open_csv(path, read, parse, convert) as reader:
            for batch in reader:
                done += batch.num_rows
                yield batch
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        if not any(empty in str(error) for empty in ("Empty CSV", "Could not skip initial")):
            raise _unreadable(path.name, str(error), broken, header, done) from None


def _unreadable(file: str, told: str, broken: list[Any], header: list[str], done: int) -> DataError:
    """Where a CSV breaks, without the text that stands there: it may be a patient's."""
    place = re.search(r"CSV column #(\d+)", told)
    if broken:
        row, wanted, found = broken[0]
        what = f"row {row:,} has {found} fields where {wanted} belong."
    elif place:
        what = f"column {header[int(place[1])]!r} holds a value of another kind, at or after row {done + 1:,}."
    else:
        what = f"it cannot be read from row {done + 1:,}."
    return DataError(f"{file}: {what}", "Look there: a missing quote or a cut line?")


def _header(path: Path, encoding: str) -> list[str]:
    import csv

    if not path.stat().st_size:
        raise DataError(f"{path.name} is empty.", "Is it the right file?", code="EMPTY")
    delimiter = _delimiter(path, encoding)
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        names = [name.strip().lstrip("\ufeff") for name in next(csv.reader(file, delimiter=delimiter), [])]
    if not names or any(not name for name in names):
        raise DataError(f"{path.name} has an empty column name in its first line.", "Give every column a name.")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(f"{path.name} has two columns called {sorted(twice)[0]!r}.", "Rename one of them.")
    return names


def _types(path: Path, names: Sequence[str], encoding: str) -> dict[str, Any]:
    """The narrowest type that every value of a column has, over the whole file."""
    import pyarrow as pa

    candidates: dict[str, list[Any]] = {}
    seen: set[str] = set()
    for batch in _reader(path, names, encoding, None):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if column.null_count < len(column):
                seen.add(name)
            possible = candidates.setdefault(name, _kinds())
            while len(possible) > 1 and not _fits(column, possible[0]):
                possible.pop(0)
    return {name: possible[0] if name in seen else pa.float64() for name, possible in candidates.items()}


def _kinds() -> list[Any]:
    """The types that a column can have, from the narrowest."""
    import pyarrow as pa

    return [pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("s"), pa.string()]


def _fits(column: Any, kind: Any) -> bool:
    """Whether every text of a column can be read as this type. `0` and `1` are numbers, not truth values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.utf8_trim_whitespace(column)
    if pa.types.is_timestamp(kind):
        text = pc.replace_substring(text, "/", "-")
    try:
        text.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True
