"""Excel workbooks as tables: each sheet one, as texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atoll.cdm.delimited import header
from atoll.errors import DataError

EXCEL = (".xlsx", ".xlsm")


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
            first = [_cell(value) or "" for value in next(rows, ())]
            if not any(first):
                continue
            columns = header(f"sheet {sheet.title!r} of {path.name}", first)
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
