"""Columns of a database server as columns of Arrow: which type a declared one becomes, and the values in it.

What has no type of its own here is read as the text that the server makes of it; bytes (pictures, documents) are left
out by who reads. A date that is none, such as MySQL's 0000-00-00, is missing, and is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE, UNSIGNED, DECIMAL, BARE, FLOAT, TRUTH = "whole", "unsigned", "decimal", "bare", "float", "truth"
DATE, MOMENT, ZONED, TEXT, OTHER, BYTES = "date", "moment", "zoned", "text", "other", "bytes"
DIGITS = 38  # of a decimal, at most
# Declared types that mean the same on every server; each has a table of its own for the others (`drivers`).
COMMON: Mapping[str, str] = (
    dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year"), WHOLE)
    | dict.fromkeys(("decimal", "numeric", "number", "smallmoney"), DECIMAL)
    | dict.fromkeys(("float", "double", "double precision", "real", "binary_float", "binary_double"), FLOAT)
    | dict.fromkeys(("bit", "bool", "boolean"), TRUTH)
    | dict.fromkeys(("datetime", "datetime2", "smalldatetime", "timestamp", "timestamp without time zone"), MOMENT)
    | dict.fromkeys(("timestamp with time zone", "datetimeoffset"), ZONED)
    | dict.fromkeys(("char", "varchar", "nchar", "nvarchar", "character", "character varying", "varchar2"), TEXT)
    | dict.fromkeys(("nvarchar2", "text", "ntext", "tinytext", "mediumtext", "longtext", "clob", "nclob"), TEXT)
    | dict.fromkeys(("binary", "varbinary", "blob", "tinyblob", "mediumblob", "longblob", "bytea", "image"), BYTES)
    | {"bigint unsigned": UNSIGNED, "date": DATE}
)


@dataclass(frozen=True)
class Column:
    """One column: its name, what it is (`WHOLE`, `DATE` …), and of a decimal all its digits and those after the point.

    A decimal whose digits nobody declared is `BARE`: only its values say whether it is whole.
    """

    name: str
    kind: str
    digits: int = 0
    scale: int = 0

    def arrow(self) -> pa.DataType:
        """The type of Arrow that its values get."""
        import pyarrow as pa

        if self.kind == DECIMAL:
            return pa.decimal128(self.digits, self.scale)
        known = {WHOLE: pa.int64(), UNSIGNED: pa.uint64(), FLOAT: pa.float64(), TRUTH: pa.bool_(), DATE: pa.date32()}
        return pa.timestamp("us") if self.kind in (MOMENT, ZONED) else known.get(self.kind, pa.string())


def declared(name: str, type_name: str, digits: int | None, scale: int | None, own: Mapping[str, str]) -> Column:
    """A column by its declared type, as the server's catalogue says it.

    type_name   as `numeric`, `TIMESTAMP(6) WITH TIME ZONE`, `int unsigned`
    own         types of this server that mean something else than in `COMMON`; "" is for those that nobody knows
    """
    plain = re.sub(r"\(\d*\)", "", type_name).strip().lower()
    kinds = {"": OTHER, **COMMON, **own}
    kind = kinds.get(plain) or kinds.get(plain.removesuffix(" unsigned")) or kinds[""]
    if kind == TRUTH and (digits or 1) > 1:
        return Column(name, WHOLE)  # MySQL: bit(8)
    if kind != DECIMAL:
        return Column(name, kind)
    if digits is None and scale is None:
        return Column(name, BARE)
    digits, scale = digits or DIGITS, max(scale or 0, 0)
    if digits > DIGITS or scale > digits:
        return Column(name, FLOAT)
    return Column(name, WHOLE) if scale == 0 and digits <= 18 else Column(name, DECIMAL, digits, scale)


def batch(rows: Sequence[Sequence[Any]], columns: Sequence[Column], no_dates: dict[str, int]) -> pa.RecordBatch:
    """Rows of a cursor as one batch; adds to `no_dates` how many values of a column are no date.

    Raises
    ------
    ValueError
        When a value does not fit its column's type.
    """
    import pyarrow as pa

    arrays = []
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        read = _READERS.get(column.kind, text)
        found = [None if value is None else read(value) for value in values]
        if column.kind in (DATE, MOMENT, ZONED) and (lost := found.count(None) - values.count(None)):
            no_dates[column.name] = no_dates.get(column.name, 0) + lost
        arrays.append(pa.array(found, column.arrow()))
    return pa.RecordBatch.from_arrays(arrays, [column.name for column in columns])


def _whole(value: Any) -> int:
    return int.from_bytes(value) if isinstance(value, bytes) else int(value)


def _date(value: Any) -> date | None:
    return value.date() if isinstance(value, datetime) else value if isinstance(value, date) else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return datetime(value.year, value.month, value.day) if isinstance(value, date) else None


def text(value: Any) -> str:
    """A value as text; MySQL's catalogue answers with bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


_READERS: Mapping[str, Callable[[Any], object]] = {
    WHOLE: _whole, UNSIGNED: _whole, DECIMAL: lambda value: Decimal(str(value)), FLOAT: float,
    TRUTH: lambda value: bool(_whole(value)), DATE: _date, MOMENT: _moment, ZONED: _moment,
}  # fmt: skip
