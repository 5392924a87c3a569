"""A hospital's file or database table into one Parquet file, streaming: memory stays the same for any size.

A CSV is looked at as `cdm.delimited` does, for its encoding, delimiter and columns, and then read twice: first its
types, column by column over the whole file, then its values. The Parquet file appears under its name only when it is
complete and on disk.

This is what `atoll site dataset add` and `--table` read: one table, without OMOP. A new format of it goes into
`_file_batches`, as batches of Arrow. A whole export that a mapping brings to OMOP is opened by `ingest.sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from atoll.cdm.database import is_url, record_batches
from atoll.cdm.delimited import check_encoding, look, packed
from atoll.cdm.dialects import Dialect, dialect, passed_over
from atoll.durable import private_file
from atoll.errors import DataError
from atoll.features.texts import cleaned, converted, kinds_of

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 1_048_576  # bytes of CSV at a time
GROUP = 64 * 1_048_576  # bytes of a Parquet row group, at most
ROWS = 131_072  # rows of a Parquet row group
Progress = Callable[[int], None]


def import_source(
    source: str,
    destination: Path,
    *,
    names: Sequence[str] = (),
    encoding: str | None = None,
    progress: Progress | None = None,
    notes: list[str] | None = None,
) -> int:
    """Write the source's rows to a Parquet file; returns their number.

    source        path of a CSV or Parquet file, or a URL as in `cdm.database`
    names         column names of a CSV without a header line
    encoding      of a CSV; found when left out
    progress      called with the number of rows so far
    notes         gets what of a database could not be read as it is, and what is odd about a file

    Raises
    ------
    DataError
        When the source cannot be read; no file is left behind.
    """
    notes = notes if notes is not None else []
    given = record_batches(source, notes) if is_url(source) else _file_batches(Path(source), names, encoding, notes)
    batches = _flat(given)
    with private_file(destination) as file:
        return _write(batches, file, progress)


def _write(batches: Iterator[pa.RecordBatch], file: BinaryIO, progress: Progress | None) -> int:
    import pyarrow.parquet as pq

    rows, writer = 0, None
    try:
        for group in _groups(batches):
            writer = writer or pq.ParquetWriter(file, group.schema, compression="lz4")
            writer.write_table(group, row_group_size=ROWS)
            rows += group.num_rows
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

    batches = list(_flat(_file_batches(path, names, encoding, [])))
    if not batches:
        raise DataError(f"{path.name} has no rows.", "Is it the right file?", code="EMPTY")
    return pa.Table.from_batches(batches)


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches put together to row groups of a size that is read fast and held easily."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= ROWS or sum(one.nbytes for one in held) >= GROUP:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _flat(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Plain columns only: coded words become words, a data frame's own row numbers are left out, lists are refused."""
    import pyarrow as pa

    for batch in batches:
        columns = {}
        for field, column in zip(batch.schema, batch.columns, strict=True):
            if field.name.startswith("__index_level_"):
                continue
            if field.name in columns:
                raise DataError(f"The table has two columns called {field.name!r}.", "Rename one of them.")
            if pa.types.is_dictionary(field.type):
                column = column.cast(field.type.value_type)
            elif pa.types.is_time(field.type):
                column = column.cast(pa.string())
            elif pa.types.is_nested(field.type) or pa.types.is_binary(field.type) or pa.types.is_interval(field.type):
                raise DataError(
                    f"Column {field.name!r} holds {field.type}, which is neither a number, a word nor a date.",
                    "Leave it out of the table, or split it into plain columns.",
                    code="WRONG_TYPE",
                    subject=field.name,
                )
            columns[field.name] = column
        yield pa.RecordBatch.from_pydict(columns)


def _file_batches(path: Path, names: Sequence[str], encoding: str | None, notes: list[str]) -> Iterator[pa.RecordBatch]:
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
        yield from _csv_batches(path, names, encoding, notes)


def _csv_batches(path: Path, names: Sequence[str], encoding: str | None, notes: list[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if encoding:
        check_encoding(path, encoding)
    seen = look(path, encoding)
    encoding, form = seen.encoding, dialect(path, names, encoding=seen.encoding)
    notes += [f"{path.name}: {seen.doubt}"] if seen.doubt else []
    notes += [f"{path.name}: {passed_over(form.skip)}"] if form.skip else []
    kinds = kinds_of(_texts(path, form, encoding), decimal_comma=form.delimiter != ",")
    for batch in _texts(path, form, encoding):
        yield pa.RecordBatch.from_pydict({name: converted(text, kinds[name]) for name, text in batch.items()})


def _texts(path: Path, form: Dialect, encoding: str) -> Iterator[dict[str, Any]]:
    """Batches of a CSV as cleaned texts by column."""
    for batch in _reader(path, form, encoding):
        yield {name: cleaned(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def _reader(path: Path, form: Dialect, encoding: str) -> Iterator[pa.RecordBatch]:
    """Batches of a CSV, every column as text."""
    import pyarrow as pa
    import pyarrow.csv as csv

    broken: list[Any] = []

    def refuse(row: Any) -> str:
        broken.append((row.number, row.expected_columns, row.actual_columns))
        return "error"

    read = csv.ReadOptions(
        column_names=list(form.columns), skip_rows=form.skip + int(form.header), encoding=encoding, block_size=BLOCK,
        use_threads=False,
    )  # fmt: skip
    parse = csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True, invalid_row_handler=refuse)
    convert = csv.ConvertOptions(column_types=dict.fromkeys(form.columns, pa.string()), strings_can_be_null=False)
    done = 0
    try:
        content = pa.input_stream(str(path), compression="gzip" if packed(path) else None)
        with content, csv.open_csv(content, read, parse, convert) as reader:
            for batch in reader:
                done += batch.num_rows
                yield batch
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        if not any(empty in str(error) for empty in ("Empty CSV", "Could not skip initial")):
            raise _unreadable(path.name, broken, done) from None


def _unreadable(file: str, broken: list[Any], done: int) -> DataError:
    """Where a CSV breaks, without the text that stands there: it may be a patient's."""
    if broken:
        row, wanted, found = broken[0]
        what = f"row {row:,} has {found} fields where {wanted} belong."
    else:
        what = f"it cannot be read from row {done + 1:,}."
    return DataError(f"{file}: {what}", "Look there: a missing quote or a cut line?")
