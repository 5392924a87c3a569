"""Scratch tables on each engine, and the way in and out for Arrow tables.

DuckDB       temporary tables, in memory and spilled to a folder of their own
PostgreSQL   temporary tables of the session; each statement that makes one opens the only write transaction; all
             statements read one release (`cdm.releases`), or the next one is told of
Spark        cached temporary views

What they have in common: `cdm.scratch`.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from atoll.cdm import releases
from atoll.cdm.database import connection_to
from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, joined, name, sql
from atoll.cdm.workbench import INTERRUPTED
from atoll.errors import DataError, OperatorError, Unreachable

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends import BaseBackend

_VERSION, _TYPED = "Is it an OMOP CDM of version 5?", "Are its columns of the CDM's types?"
_TYPES = {"int64": "BIGINT", "int32": "INTEGER", "bool": "BOOLEAN", "date32[day]": "DATE", "double": "DOUBLE PRECISION"}


def workspace_at(
    url: str, *, threads: int | None = None, memory: str | None = None, read_only: bool = True
) -> Workspace:
    """The workspace of the database that a URL names; see `database.connect` for what may go wrong."""
    engine, connection = connection_to(url, read_only=read_only, threads=threads, memory=memory)
    workspace = _KINDS[engine](engine, connection)
    workspace.owned = True
    if isinstance(workspace, PostgreSQLWorkspace) and read_only:
        workspace.reading = releases.hold(connection)
    return workspace


def open_workspace(backend: BaseBackend) -> Workspace:
    """The workspace of an Ibis backend that `database.connect` opened.

    Raises
    ------
    OperatorError
        For a backend of another engine.
    """
    engines = {"duckdb": "duckdb", "postgres": "postgresql", "pyspark": "spark"}
    if backend.name not in engines:
        raise OperatorError(f"Cohorts cannot be found on {backend.name}.", "Use DuckDB, PostgreSQL or Spark.")
    engine = engines[backend.name]
    return _KINDS[engine](engine, backend._session if engine == "spark" else backend.con)


class DuckDBWorkspace(Workspace):
    """Temporary tables of a DuckDB connection."""

    def __init__(self, engine: str, connection: Any):
        super().__init__(engine, connection)
        # Rows keep no order here: without the promise, large results are written by all threads.
        self.connection.execute("SET preserve_insertion_order = false")
        self._spill: str = self.connection.execute("SELECT current_setting('temp_directory')").fetchone()[0]

    def _find_columns(self, table: Sql) -> tuple[str, ...] | None:
        import duckdb

        try:
            found = self.connection.execute(sql("SELECT * FROM {t} LIMIT 0", t=table)).description
        except duckdb.CatalogException:
            return None
        return tuple(column[0].lower() for column in found)

    def _find_types(self, table: Sql) -> Iterator[tuple[str, str]]:
        description = self.connection.execute(sql("SELECT * FROM {t} LIMIT 0", t=table)).description
        return ((column[0], str(column[1])) for column in description)

    def _create(self, table: Sql, query: Sql) -> None:
        self.connection.execute(sql("CREATE OR REPLACE TEMP TABLE {t} AS {q}", t=table, q=query))

    def _append(self, table: Sql, query: Sql) -> None:
        self.connection.execute(sql("INSERT INTO {t} {q}", t=table, q=query))

    def _upload(self, table: Sql, rows: pa.Table) -> None:
        self.connection.register("atoll_upload", rows)
        try:
            self._create(table, sql("SELECT * FROM atoll_upload"))
        finally:
            self.connection.unregister("atoll_upload")

    def _fetch(self, query: Sql) -> pa.Table:
        return self.connection.execute(query).to_arrow_table()

    def _drop(self, table: Sql) -> None:
        self.connection.execute(sql("DROP TABLE IF EXISTS {t}", t=table))

    def close(self) -> None:
        super().close()
        if self.owned:  # no rows wait on disk for the connection to be forgotten
            shutil.rmtree(self._spill, ignore_errors=True)

    def interrupt(self) -> None:
        self.connection.interrupt()

    @contextlib.contextmanager
    def _failing(self, query: Sql) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.OutOfMemoryException:
            raise OperatorError(
                "The database had not enough memory for a query.", "Give more with --memory, or fewer definitions."
            ) from None
        except duckdb.InterruptException:
            raise KeyboardInterrupt from None
        except RuntimeError as error:
            if str(error) != INTERRUPTED:
                raise
            raise KeyboardInterrupt from None
        except duckdb.CatalogException as error:
            raise DataError(f"The CDM lacks a table: {_first_line(error)}", "Is it a whole OMOP CDM?") from None
        except duckdb.BinderException as error:
            raise DataError(f"The CDM lacks a column: {_first_line(error)}", _VERSION) from None
        except duckdb.Error as error:
            raise DataError(
                f"The database could not answer a query ({type(error).__name__}).", _TYPED
            ) from None  # the message may show a value


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200]


class PostgreSQLWorkspace(Workspace):
    """Temporary tables of a PostgreSQL session."""

    def __init__(self, engine: str, connection: Any):
        super().__init__(engine, connection)
        self.reading = releases.watch(connection)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Any]:
        self.connection.execute("BEGIN READ WRITE")
        try:
            yield self.connection
        except BaseException:
            with contextlib.suppress(Exception):
                self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _find_columns(self, table: Sql) -> tuple[str, ...] | None:
        import psycopg

        try:
            found = self.connection.execute(sql("SELECT * FROM {t} LIMIT 0", t=table)).description
        except psycopg.errors.UndefinedTable:
            return None
        return tuple(column.name.lower() for column in found)

    def _find_types(self, table: Sql) -> Iterator[tuple[str, str]]:
        description = self.connection.execute(sql("SELECT * FROM {t} LIMIT 0", t=table)).description
        return ((column.name, column.type_display) for column in description)

    def _create(self, table: Sql, query: Sql) -> None:
        with self._writing() as connection:
            connection.execute(sql("DROP TABLE IF EXISTS pg_temp.{t}", t=table))
            connection.execute(sql("CREATE TEMP TABLE {t} AS {q}", t=table, q=query))

    def settle(self, table: Sql, by: tuple[str, ...] = ()) -> None:
        with self._writing() as connection:
            if by:
                columns = joined(", ", map(name, by))
                connection.execute(sql("CREATE INDEX ON pg_temp.{t} ({c})", t=table, c=columns))
            connection.execute(sql("ANALYZE pg_temp.{t}", t=table))

    def _append(self, table: Sql, query: Sql) -> None:
        with self._writing() as connection:
            connection.execute(sql("INSERT INTO {t} {q}", t=table, q=query))

    def _upload(self, table: Sql, rows: pa.Table) -> None:
        columns = joined(
            ", ", (Sql(f"{name(field.name)} {_TYPES.get(str(field.type), 'TEXT')}") for field in rows.schema)
        )
        with self._writing() as connection:
            connection.execute(sql("DROP TABLE IF EXISTS pg_temp.{t}", t=table))
            connection.execute(sql("CREATE TEMP TABLE {t} ({c})", t=table, c=columns))
            with connection.cursor() as cursor, cursor.copy(sql("COPY {t} FROM STDIN", t=table)) as copy:
                for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                    copy.write_row(row)

    def _fetch(self, query: Sql) -> pa.Table:
        import pyarrow as pa

        cursor = self.connection.execute(query)
        names, rows = [column.name for column in cursor.description], cursor.fetchall()
        columns = zip(*rows, strict=True) if rows else [[] for _ in names]
        return pa.table(dict(zip(names, map(pa.array, map(list, columns)), strict=True)))

    def _drop(self, table: Sql) -> None:
        with self._writing() as connection:
            connection.execute(sql("DROP TABLE IF EXISTS pg_temp.{t}", t=table))

    def interrupt(self) -> None:
        self.connection.cancel_safe()

    def _same(self) -> None:
        if not self.reading.holds(self.connection):
            raise DataError(
                "Another release was put in force while this one was read.",
                "Start again. A database user who may read the release's own schema too reads the old one on.",
            )

    @contextlib.contextmanager
    def _failing(self, query: Sql) -> Iterator[None]:
        import psycopg

        try:
            yield
            self._same()
        except psycopg.errors.UndefinedTable as error:
            self._same()
            raise DataError(f"The CDM lacks a table: {_first_line(error)}", "Is it a whole OMOP CDM?") from None
        except psycopg.errors.UndefinedColumn as error:
            raise DataError(f"The CDM lacks a column: {_first_line(error)}", _VERSION) from None
        except psycopg.errors.InsufficientPrivilege as error:
            raise DataError(
                f"A table may not be read, or no scratch table made: {_first_line(error)}",
                "Ask the database's operator for SELECT on the CDM and TEMPORARY on the database.",
            ) from None
        except psycopg.errors.QueryCanceled:
            raise KeyboardInterrupt from None
        except psycopg.OperationalError:
            raise Unreachable("The PostgreSQL server went away.", "Start again when it is back.") from None
        except psycopg.Error as error:
            raise DataError(
                f"The database could not answer a query ({type(error).__name__}).", _TYPED
            ) from None  # the message may show a value


class SparkWorkspace(Workspace):
    """Cached temporary views of a Spark session; what is appended stays a list of frames until it is read."""

    def __init__(self, engine: str, connection: Any):
        super().__init__(engine, connection)
        self.session = connection
        # Spark 4.0 loses columns of unions of checkpointed frames when it derives constraints from them.
        self.session.conf.set("spark.sql.constraintPropagation.enabled", "false")
        self.frames: dict[str, Any] = {}

    def _find_columns(self, table: Sql) -> tuple[str, ...] | None:
        if not self.session.catalog.tableExists(table):
            return None
        return tuple(column.lower() for column in self.session.table(table).columns)

    def _find_types(self, table: Sql) -> Iterator[tuple[str, str]]:
        return iter(self.session.table(table).dtypes)

    def _create(self, table: Sql, query: Sql) -> None:
        self._keep(table, self.session.sql(query).localCheckpoint(eager=True))

    def _keep(self, table: Sql, frame: Any) -> None:
        self.frames[table] = frame
        frame.createOrReplaceTempView(table)

    def _append(self, table: Sql, query: Sql) -> None:
        self._keep(table, self.frames[table].unionAll(self.session.sql(query).localCheckpoint(eager=True)))

    def _upload(self, table: Sql, rows: pa.Table) -> None:
        types = {"double": "DOUBLE"} | {key: kind for key, kind in _TYPES.items() if key != "double"}
        schema = ", ".join(f"{name(field.name)} {types.get(str(field.type), 'STRING')}" for field in rows.schema)
        values = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
        self._keep(table, self.session.createDataFrame(values, schema))

    def _fetch(self, query: Sql) -> pa.Table:
        import pyarrow as pa

        frame = self.session.sql(query)
        rows = frame.collect()
        columns = {column: pa.array([row[i] for row in rows]) for i, column in enumerate(frame.columns)}
        return pa.table(columns)

    def _drop(self, table: Sql) -> None:
        self.session.catalog.dropTempView(table)
        self.frames.pop(table, None)

    def _disconnect(self) -> None:
        """A Spark session is one a process: it stays."""

    def interrupt(self) -> None:
        self.session.sparkContext.cancelAllJobs()

    @contextlib.contextmanager
    def _failing(self, query: Sql) -> Iterator[None]:
        from pyspark.errors import AnalysisException, PySparkException

        try:
            yield
        except AnalysisException as error:
            raise DataError(f"The CDM lacks a table or column: {_first_line(error)}", "Is it an OMOP CDM?") from None
        except PySparkException as error:
            raise DataError(
                f"Spark could not answer a query ({type(error).__name__}).", "Are its columns of the CDM's types?"
            ) from None


_KINDS = {"duckdb": DuckDBWorkspace, "postgresql": PostgreSQLWorkspace, "spark": SparkWorkspace}
