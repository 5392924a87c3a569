"""Excel workbooks as tables: each sheet one, as texts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from atoll.cdm.dialects import header, titles
from atoll.errors import DataError

EXCEL = (".xlsx", ".xlsm")
FIRST = 200  # rows among which the columns' names are looked for, and which tell how many columns there are


class Book:
    """An open workbook. Close it when done.

    Raises
    ------
    DataError
        When the file is damaged, or unpacks to far more than it should.
    """

    def __init__(self, path: Path):
        refuse_bomb(path)
        openpyxl = _openpyxl()
        self.path = path
        with self._whole():
            self._book = openpyxl.load_workbook(path, read_only=True, data_only=True)

    def close(self) -> None:
        """Close the file."""
        self._book.close()

    def sheets(self) -> dict[str, bool]:
        """The names of the sheets that hold anything, and whether Excel hides them."""
        return {
            sheet.title: sheet.sheet_state != "visible"
            for sheet in self._book.worksheets
            if any(_cell(value) for row in self._rows(sheet) for value in row)
        }

    def write(
        self, sheet: str, target: Path, names: Sequence[str] = (), skip: int | None = None
    ) -> tuple[tuple[str, ...], int]:
        """A sheet as a Parquet file of texts: dates as ISO writes them, numbers without a false `.0`.

        names   the columns when no row has their names
        skip    rows above the names; when left out, a title there is found

        Returns the columns, and how many rows above their names it passed over.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = self._rows(self._book[sheet])
        first = list(islice(rows, FIRST + (skip or 0)))
        texts = [[_cell(value) or "" for value in row] for row in first]
        above = skip if skip is not None else 0 if names else titles(texts)
        columns = tuple(names)
        if not names:
            given = texts[above] if above < len(texts) else []
            width = max((at + 1 for row in texts[above:] for at, text in enumerate(row) if text), default=0)
            place = f"sheet {sheet!r} of {self.path.name}"
            columns = header(place, (given + [""] * width)[: max(width, len(given))])
        schema = pa.schema([(name, pa.string()) for name in columns])
        left = chain(first[above + (not names) :], rows)
        with pq.ParquetWriter(target, schema) as writer:
            for batch in _chunks(left, 20_000):
                cells = [[_cell(row[i]) if i < len(row) else None for row in batch] for i in range(len(columns))]
                writer.write_table(pa.table([pa.array(column, pa.string()) for column in cells], schema=schema))
        return columns, above

    def _rows(self, sheet: Any) -> Iterator[tuple[Any, ...]]:
        with self._whole():
            yield from sheet.iter_rows(values_only=True)

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """What openpyxl says of a damaged file, as a sentence; it fails in many ways."""
        try:
            yield
        except Exception as error:
            remedy = "Save it again, or export it as CSV."
            raise DataError(f"{self.path.name} is a damaged Excel file.", remedy) from error


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
