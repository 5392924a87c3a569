"""Scratch tables beside a CDM that may be read-only: what every engine does with them, in words that none owns.

Each has the prefix `atoll_` and is removed by `close`, also after Ctrl-C. How an engine does it: `cdm.workspace`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from atoll.cdm.engines import Dialect
from atoll.cdm.sql import Sql, name, sql

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "atoll_"


class Workspace:
    """Scratch tables on one engine. Not for several threads at once."""

    owned = False  # whether the connection is closed with the workspace

    def __init__(self, engine: str, connection: Any):
        self.connection = connection
        self.dialect = Dialect(engine)
        self.scratch: dict[Sql, None] = {}
        self._columns: dict[str, tuple[str, ...] | None] = {}

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def table(self, text: str) -> Sql:
        """The name of a scratch table."""
        return name(PREFIX + text)

    def columns(self, table: str) -> tuple[str, ...] | None:
        """Columns of a table of the CDM in lower case, or None where there is no such table."""
        if table not in self._columns:
            self._columns[table] = self._find_columns(name(table))
        return self._columns[table]

    def kinds(self, table: str) -> dict[str, str]:
        """What each column of a table holds: integer, number, text, date, datetime or other."""
        with self._failing(name(table)):
            return {column.lower(): _kind(type_) for column, type_ in self._find_types(name(table))}

    def create(self, table: Sql, query: Sql) -> None:
        """A new scratch table with the rows of a query."""
        self.scratch[table] = None
        with self._failing(query):
            self._create(table, query)

    def append(self, table: Sql, query: Sql) -> None:
        """The rows of a query at the end of a scratch table."""
        with self._failing(query):
            self._append(table, query)

    def upload(self, table: Sql, rows: pa.Table) -> None:
        """A new scratch table with the rows of an Arrow table of numbers, dates and texts."""
        self.scratch[table] = None
        with self._failing(table):
            self._upload(table, rows)

    def fetch(self, query: Sql) -> pa.Table:
        """The rows of a query."""
        with self._failing(query):
            return self._fetch(query)

    def drop(self, *tables: Sql) -> None:
        """Remove scratch tables; one that is not there is no error."""
        for table in tables:
            self._drop(table)
            self.scratch.pop(table, None)

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        """Remove, at the end, the scratch tables that were made within; those that were there before stay."""
        before = set(self.scratch)
        try:
            yield
        finally:
            self.drop(*[table for table in self.scratch if table not in before])

    def close(self) -> None:
        """Remove every scratch table. A database that is gone has already removed them."""
        with contextlib.suppress(Exception):
            self.drop(*list(self.scratch))
        self.scratch.clear()
        if self.owned:
            self._disconnect()

    def size(self, table: Sql) -> int:
        """Rows of a table."""
        return int(self.fetch(sql("SELECT COUNT(*) AS n FROM {t}", t=table)).column(0)[0].as_py())

    def settle(self, table: Sql, by: tuple[str, ...] = ()) -> None:
        """Let the engine learn what a scratch table that was just filled holds, and by which columns it is read."""

    def interrupt(self) -> None:
        """Stop the statement that runs, from another thread."""

    # What the engines do differently.
    def _disconnect(self) -> None:
        self.connection.close()

    def _find_columns(self, table: Sql) -> tuple[str, ...] | None:
        raise NotImplementedError

    def _find_types(self, table: Sql) -> Iterator[tuple[str, str]]:
        """Columns with the engine's own word for their type."""
        raise NotImplementedError

    def _create(self, table: Sql, query: Sql) -> None:
        raise NotImplementedError

    def _append(self, table: Sql, query: Sql) -> None:
        raise NotImplementedError

    def _upload(self, table: Sql, rows: pa.Table) -> None:
        raise NotImplementedError

    def _fetch(self, query: Sql) -> pa.Table:
        raise NotImplementedError

    def _drop(self, table: Sql) -> None:
        raise NotImplementedError

    @contextlib.contextmanager
    def _failing(self, query: Sql) -> Iterator[None]:
        """An engine's errors as sentences without a value of a row."""
        raise NotImplementedError
        yield


_KINDS_OF = (  # the beginning of an engine's word for a type, in lower case
    ("timestamp", "datetime"), ("date", "date"), ("varchar", "text"), ("string", "text"), ("text", "text"),
    ("bpchar", "text"), ("char", "text"), ("decimal", "number"), ("numeric", "number"), ("double", "number"),
    ("float", "number"), ("real", "number"), ("bool", "other"), ("bigint", "integer"), ("smallint", "integer"),
    ("tinyint", "integer"), ("hugeint", "integer"), ("uint", "integer"), ("int", "integer"), ("number", "number"),
)  # fmt: skip


def _kind(type_: str) -> str:
    return next((kind for word, kind in _KINDS_OF if type_.lower().startswith(word)), "other")
