"""Tables of a hospital's databases by URL.

Connections are opened here (`engines` knows how each engine is) and, for the loader's own files, by `workbench`. Where
engines answer differently, `workspace` has a class for each, and a query that needs it asks the workspace's dialect.

`record_batches` reads one table:
    duckdb:///folder/file.duckdb?table=visits            a DuckDB file, opened read-only
    postgresql://user@host/database?table=schema.visits  a PostgreSQL table, read through one server-side cursor

`connect` opens a whole database (an OMOP CDM) for queries, read-only unless told otherwise:
    duckdb:///folder/file.duckdb[?schema=cdm]            a DuckDB file, or a folder of Parquet files, one a table
    postgresql://user@host/database[?schema=cdm,vocab]   the schemas that hold its tables, in this order
    spark:local[?folder=/data/parquet] · spark://host:7077[?schema=cdm]
"""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from atoll.errors import DataError, OperatorError, Unreachable

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends import BaseBackend

SCHEMES = ("duckdb", "postgresql")
BATCH = 50_000  # rows
MOST_THREADS = 1_024  # more take memory away and give nothing
_MEMORY = re.compile(r"[1-9][0-9]{0,6}(MB|GB)")
_SECRET = re.compile("pass|pwd|secret|token|key|credential", re.IGNORECASE)  # of a parameter's name: libpq, Spark
_OIDS = {
    16: "bool",
    20: "int64",
    21: "int64",
    23: "int64",
    700: "double",
    701: "double",
    1700: "double",
    1082: "date32[day]",
}


def is_url(source: str) -> bool:
    """Whether a source names a database; else it is a file or a folder.

    Raises
    ------
    DataError
        For an address of another kind. The sentence never holds a password.
    """
    scheme, mark, _ = source.partition("://")
    if mark and scheme not in SCHEMES:
        raise DataError(
            f"{without_password(source)} is no address that data are read from.",
            "Give a file, a folder, duckdb:///FILE or postgresql://USER@HOST/DATABASE.",
        )
    return bool(mark)


def without_password(url: str) -> str:
    """An address as it may be shown, logged and typed again: without the password, wherever it stands.

    An address that cannot be taken apart for sure, such as one with a slash in its password, is left out altogether.
    """
    scheme, mark, rest = url.partition("://")
    if not mark and not url.startswith("spark:"):
        return url  # a file may be called anything
    shown = url
    if mark and scheme != "duckdb":
        place, slash, path = rest.partition("/")
        user, at, host = place.rpartition("@")
        shown = f"{scheme}{mark}{user.partition(':')[0]}{at}{host}{slash}{path}"
    head, ask, query = shown.partition("?")
    pairs = query.split("&") if ask else []
    path = head.partition(mark or ":")[2].partition("/")[2]
    if scheme != "duckdb" and ("@" in path or any("@" in pair and "=" not in pair for pair in pairs)):
        return f"{scheme}{mark}***"
    kept = [pair for pair in pairs if not _SECRET.search(unquote(pair.partition("=")[0]))]
    return head + (ask + "&".join(kept) if kept else "")


def record_batches(url: str) -> Iterator[pa.RecordBatch]:
    """All rows of the table that the URL names, in batches.

    Raises
    ------
    DataError
        When the URL names no table, or there is no such table.
    Unreachable
        When the database does not answer. The sentence never holds a password.
    """
    parts = urlsplit(url)
    table = parse_qs(parts.query).get("table", [""])[0]
    if not table:
        raise DataError("The address names no table.", "Add ?table=NAME at its end.")
    if parts.scheme == "duckdb":
        yield from _duckdb(unquote(parts.path), table)
    else:
        query = "&".join(pair for pair in parts.query.split("&") if not pair.startswith("table="))
        yield from _postgresql(urlunsplit(parts._replace(query=query)), table, parts.hostname or "localhost")


def connect(url: str, *, read_only: bool = True, threads: int | None = None, memory: str | None = None) -> BaseBackend:
    """An Ibis backend over the database that the URL names. Disconnect it when done.

    threads   at most so many at work (DuckDB, Spark's local mode; PostgreSQL: parallel workers a query)
    memory    as "4GB": at most so much (DuckDB; PostgreSQL: `work_mem` of one sort or join)
    Scratch tables of a read-only database go where `atoll.cdm.workspace` puts them, never into the CDM.

    Raises
    ------
    OperatorError
        For a URL of another kind, a limit that is none, or a driver that is not installed.
    DataError
        When there is no such file or schema, or it is no database.
    Unreachable
        When the server does not answer. The sentence never holds a password.
    """
    ibis = driver("ibis", "cdm")
    scheme, connection = connection_to(url, read_only=read_only, threads=threads, memory=memory)
    if scheme == "spark":
        return ibis.pyspark.connect(connection)
    return {"duckdb": ibis.duckdb, "postgresql": ibis.postgres}[scheme].from_connection(connection)


def connection_to(
    url: str, *, read_only: bool = True, threads: int | None = None, memory: str | None = None
) -> tuple[str, Any]:
    """Engine and the driver's own connection: as `connect`, without Ibis, whose import takes a second."""
    from atoll.cdm import engines

    scheme = url.partition(":")[0]
    openers = {"duckdb": engines.open_duckdb, "postgresql": engines.open_postgresql, "spark": engines.open_spark}
    if scheme not in openers:
        raise OperatorError(
            f"A CDM cannot be reached by {scheme!r}.",
            "Give duckdb:///FILE, postgresql://USER@HOST/DATABASE, spark:local or spark://HOST:PORT.",
        )
    limits(threads, memory)
    return scheme, openers[scheme](url, read_only=read_only, threads=threads, memory=memory)


def limits(threads: int | None = None, memory: str | None = None) -> dict[str, Any]:
    """What DuckDB is told of how much it may take: so many threads, so much memory (as 512MB or 4GB).

    Raises
    ------
    OperatorError
        For a limit that is none.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise OperatorError(f"{threads:,} threads cannot work.", f"Give a number from 1 to {MOST_THREADS:,}.")
    if memory is not None and not _MEMORY.fullmatch(memory):
        raise OperatorError(f"{memory!r} is no amount of memory.", "Write it as 512MB or 4GB.")
    told = {"threads": threads, "memory_limit": memory}
    return {name: limit for name, limit in told.items() if limit}


@contextlib.contextmanager
def opening(path: str | Path, remedy: str = "Is the path right, and is no one writing to it?") -> Iterator[None]:
    """Say of a DuckDB file, ours or a hospital's, that it cannot be opened; limits are looked at before, by `limits`.

    Raises
    ------
    DataError
        When DuckDB does not open it.
    """
    duckdb = driver("duckdb", "cdm")
    try:
        yield
    except duckdb.Error as error:
        raise DataError(f"{path} cannot be opened as a DuckDB file.", remedy) from error


def no_file(path: str) -> DataError:
    """That the path of a URL leads nowhere; it begins at the root, and many write one that begins where they are."""
    here = Path.cwd() / path.lstrip("/")
    remedy = f"Did you mean duckdb:///{here}?" if here.exists() else "Correct the path: duckdb:///FOLDER/FILE.duckdb."
    return DataError(f"There is no file {path}.", remedy)


def driver(module: str, extra: str) -> Any:
    """The engine's driver, or a sentence that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise OperatorError(
            f"This installation cannot read {extra} tables.", f"Install the extra: pip install 'atoll[{extra}]'."
        ) from error


def _duckdb(path: str, table: str) -> Iterator[pa.RecordBatch]:
    duckdb = driver("duckdb", "duckdb")

    if not Path(path).exists():
        raise no_file(path)
    # A view of a stranger's file may read other files or fetch an extension: neither is allowed.
    config = {"enable_external_access": "false"}
    with opening(path), duckdb.connect(path, read_only=True, config=config) as connection:
        names = ".".join(_quoted(part) for part in table.split("."))
        try:
            rows = connection.execute(f"SELECT * FROM {names}")  # noqa: S608 (quoted)
        except duckdb.CatalogException as error:
            remedy = "Look at its tables with any DuckDB client."
            raise DataError(f"{path} has no table {table!r}.", remedy) from error
        yield from rows.to_arrow_reader(BATCH)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _postgresql(url: str, table: str, host: str) -> Iterator[pa.RecordBatch]:
    psycopg, sql = driver("psycopg", "postgres"), driver("psycopg.sql", "postgres")
    statement = sql.SQL("SELECT * FROM {}").format(sql.Identifier(*table.split(".")))
    try:
        with psycopg.connect(url, connect_timeout=10) as connection, connection.cursor("atoll") as cursor:
            connection.read_only = True
            cursor.execute(statement)
            fields = [(column.name, _OIDS.get(column.type_code, "string")) for column in cursor.description or ()]
            while rows := cursor.fetchmany(BATCH):
                yield _batch(rows, fields)
    except psycopg.errors.UndefinedTable as error:
        raise DataError(
            f"The database has no table {table!r}.", "Write schema.table, as the database spells it."
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise DataError(
            f"The table {table!r} may not be read by this user.", "Ask the database's operator for SELECT."
        ) from error
    except psycopg.OperationalError:
        raise Unreachable(
            f"The PostgreSQL server at {host} does not let us in or does not answer.",
            "Check address, user and password.",
        ) from None  # the cause may hold the password
    except psycopg.Error:
        raise DataError(
            f"The table {table!r} cannot be read from the database.", "Try it with psql; a view may fail by itself."
        ) from None


def _batch(rows: list[tuple[Any, ...]], fields: list[tuple[str, str]]) -> pa.RecordBatch:
    import pyarrow as pa

    kinds = {"double": pa.float64(), "int64": pa.int64(), "bool": pa.bool_(), "date32[day]": pa.date32()}
    columns = []
    for (_, kind), values in zip(fields, zip(*rows, strict=True), strict=True):
        if kind == "double":
            values = tuple(None if value is None else float(value) for value in values)
        elif kind == "string":
            values = tuple(None if value is None else str(value) for value in values)
        columns.append(pa.array(values, kinds.get(kind, pa.string())))
    return pa.RecordBatch.from_arrays(columns, [name for name, _ in fields])
