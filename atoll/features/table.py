"""A dataset's rows, from memory or from a Parquet file of any size: columns by name, in batches.

`memory_table` takes what an analyst has: a pandas or polars frame, an Arrow table, arrays, or the path of
a CSV or Parquet file. A registered dataset of a hospital is a Parquet file (see `features.imports`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from atoll.errors import DataError
from atoll.features.columns import numbers
from atoll.privacy.statistics import Array

if TYPE_CHECKING:
    import pyarrow as pa

SMALL = 4_096  # rows; pieces below this on average are put together


class Batch:
    """Some rows of a table. `whole` are columns known to hold finite floats and nothing missing: never copied."""

    def __init__(self, arrow: pa.RecordBatch, start: int, rows: int, whole: Mapping[str, Array]):
        self.num_rows = rows
        self._arrow, self._start, self._whole = arrow, start, whole

    def column(self, name: str) -> pa.Array:
        """One column as Arrow has it."""
        return self._arrow.column(name).slice(self._start, self.num_rows)

    def is_whole(self, name: str) -> bool:
        """Whether the column is known to hold finite floats and nothing missing."""
        return name in self._whole

    def numbers(self, name: str) -> Array:
        """One column as floats, NaN where missing."""
        values, missing = self.numbers_and_gaps(name)
        return values if missing is None else np.where(missing, np.nan, values)

    def numbers_and_gaps(self, name: str) -> tuple[Array, Array | None]:
        """One column as floats, and where it is missing, as `columns.numbers` gives them."""
        if name in self._whole:
            return self._whole[name][self._start : self._start + self.num_rows], None
        return numbers(self.column(name), name)


class Table(Protocol):
    """Rows that can be read again and again, column by column."""

    num_rows: int
    columns: tuple[str, ...]
    stamp: tuple[int, int]  # another one when the rows may have changed

    def batches(self, columns: Sequence[str], size: int | None) -> Iterator[Batch]:
        """Batches of at most `size` rows with these columns, at least one; all rows at once when `size` is None."""
        ...

    def repeats(self, column: str) -> bool:
        """Whether a value of the column occurs in more than one row."""
        ...


class MemoryTable:
    """An Arrow table in memory, in the pieces in which it lies there."""

    def __init__(self, table: pa.Table):
        _refuse_twins(table.column_names)
        self.arrow = table
        self.stamp = (id(self), table.num_rows)
        self.num_rows: int = table.num_rows
        self.columns: tuple[str, ...] = tuple(table.column_names)
        self._repeats: dict[str, bool] = {}
        self._pieces = _pieces(table)
        self._views: dict[tuple[int, str], Array | None] = {}

    def batches(self, columns: Sequence[str], size: int | None) -> Iterator[Batch]:
        """Slices of the pieces; they copy nothing. All rows at once are put together column by column."""
        if size is None and len(self._pieces) > 1:
            together = self.arrow.select(list(columns)).combine_chunks().to_batches()[0]
            yield Batch(together, 0, self.num_rows, {})
            return
        for number, piece in enumerate(self._pieces):
            views = {name: view for name in columns if (view := self._view(number, name)) is not None}
            step = size or max(piece.num_rows, 1)
            for start in range(0, max(piece.num_rows, 1), step):
                yield Batch(piece, start, min(step, piece.num_rows - start), views)

    def _view(self, number: int, name: str) -> Array | None:
        """The column's own memory in one piece, when it holds finite floats and nothing missing; looked at once."""
        key = (number, name)
        if key not in self._views:
            column = self._pieces[number].column(name)
            view = column.to_numpy() if str(column.type) == "double" and column.null_count == 0 else None
            with np.errstate(over="ignore", invalid="ignore"):
                self._views[key] = view if view is not None and np.isfinite(view.sum()) else None
        return self._views[key]

    def repeats(self, column: str) -> bool:
        """Counted once."""
        if column not in self._repeats:
            self._repeats[column] = _has_repeats([self.arrow.column(column)], self.num_rows)
        return self._repeats[column]


class ParquetTable:
    """A Parquet file that is read piece by piece: it may be larger than memory."""

    def __init__(self, path: Path):
        import pyarrow.parquet as pq

        self.path = path
        state = path.stat()
        self.stamp = (state.st_size, state.st_mtime_ns)
        with pq.ParquetFile(path) as file:
            self.num_rows: int = file.metadata.num_rows
            self.columns: tuple[str, ...] = tuple(file.schema_arrow.names)
        _refuse_twins(self.columns)
        self._repeats: dict[str, bool] = {}

    def batches(self, columns: Sequence[str], size: int | None) -> Iterator[Batch]:
        """Batches as they lie in the file."""
        import pyarrow.parquet as pq

        if size is None or self.num_rows == 0:
            yield from MemoryTable(pq.read_table(self.path, columns=list(columns))).batches(columns, None)
            return
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(size, columns=list(columns), use_threads=False):
                yield Batch(batch, 0, batch.num_rows, {})

    def repeats(self, column: str) -> bool:
        """Counted once."""
        if column not in self._repeats:
            batches = (batch.column(column) for batch in self.batches([column], 1_000_000))
            self._repeats[column] = _has_repeats(batches, self.num_rows)
        return self._repeats[column]


def _pieces(table: pa.Table) -> list[pa.RecordBatch]:
    """The table's pieces, at least one; many small ones are put together."""
    import pyarrow as pa

    pieces = table.to_batches()
    if len(pieces) > 1 and table.num_rows < SMALL * len(pieces):
        pieces = table.combine_chunks().to_batches()
    return pieces or [pa.RecordBatch.from_pylist([], table.schema)]


def _refuse_twins(names: Sequence[str]) -> None:
    for name in names:
        if list(names).count(name) > 1:
            raise DataError(f"The table has two columns called {name!r}.", "Rename one of them.", subject=name)


def _has_repeats(columns: Any, rows: int) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    distinct: Any = None
    for column in columns:
        found = pc.unique(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
        distinct = found if distinct is None else pc.unique(pa.concat_arrays([distinct, found]))
    return distinct is not None and len(distinct) < rows


def memory_table(data: Any) -> Table:
    """A table from a frame, an Arrow table, a mapping of arrays, or the path of a CSV or Parquet file.

    Raises
    ------
    DataError
        When it is none of these, or the file cannot be read.
    """
    import pyarrow as pa

    if isinstance(data, MemoryTable | ParquetTable):
        return data
    if isinstance(data, str | Path):
        from atoll.features.imports import read_file

        return MemoryTable(read_file(Path(data)))
    try:
        if isinstance(data, Mapping):
            return MemoryTable(
                pa.table({str(name): pa.array(values, from_pandas=True) for name, values in data.items()})
            )
        if isinstance(data, pa.Table) or hasattr(data, "__arrow_c_stream__"):
            return MemoryTable(pa.table(data))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(
            "The table cannot be read: its columns differ in length, or one holds values of different types.",
            "Give columns of one length, each of one type.",
        ) from error
    raise DataError(
        f"A {type(data).__name__} is not a table.",
        "Give a pandas, polars or Arrow table, a mapping of arrays, or a file's path.",
    )
