"""Opening an OMOP CDM on each engine, and what the engines spell differently. Behind the face of `database.connect`.

DuckDB and PostgreSQL calculate with dates alike (`date + days`, `date - date`); Spark has functions. LIKE has no
escape character in DuckDB, a backslash in PostgreSQL and Spark: here it has none anywhere.
"""

from __future__ import annotations

import contextlib
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from atoll.cdm.database import driver, limits, no_file, opening
from atoll.cdm.parquet import hold, no_files
from atoll.cdm.sql import Sql, name, sql
from atoll.errors import DataError, OperatorError, Unreachable
from atoll.held import Held, own_temporary, sweep

SPILL = "rows-"  # what an engine puts on disk when memory is short


@dataclass(frozen=True)
class Dialect:
    """How one engine writes what SQL leaves open."""

    engine: str

    def shift(self, day: Sql, days: Sql | int) -> Sql:
        """`day` and so many days later, as a date."""
        whole = sql("CAST({days} AS INTEGER)", days=days) if isinstance(days, Sql) else sql("{days}", days=days)
        if self.engine == "spark":
            return sql("date_add({day}, {days})", day=day, days=whole)
        return sql("({day} + {days})", day=day, days=whole)

    def days(self, start: Sql, end: Sql) -> Sql:
        """Whole days from start to end."""
        if self.engine == "spark":
            return sql("datediff({end}, {start})", start=start, end=end)
        return sql("({end} - {start})", start=start, end=end)

    def text(self, value: str) -> Sql:
        """A text value, quoted."""
        if self.engine == "spark":
            return Sql("'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'")
        return Sql("'" + value.replace("\0", "").replace("'", "''") + "'")

    def like(self, value: Sql, pattern: str) -> Sql:
        """LIKE without an escape character."""
        form = {"duckdb": "{v} LIKE {p}", "postgresql": "{v} LIKE {p} ESCAPE ''"}
        return sql(form.get(self.engine, "{v} LIKE {p} ESCAPE '\x01'"), v=value, p=self.text(pattern))

    def hashed(self, columns: Sql) -> Sql:
        """A number of 64 bits that stands for a row's columns, wide enough to be added up over all rows."""
        form = {
            "duckdb": sql("CAST(HASH({c}) AS HUGEINT)", c=columns),
            "postgresql": sql("CAST(hashtextextended(CAST(ROW({c}) AS TEXT), 0) AS NUMERIC)", c=columns),
        }
        return form.get(self.engine, sql("CAST(xxhash64({c}) AS DECIMAL(38, 0))", c=columns))

    def statistics(self, table: str) -> Sql | None:
        """The query of how many rows the engine thinks that a table has; None where it keeps no such number."""
        form = {
            "duckdb": sql("SELECT SUM(estimated_size) FROM duckdb_tables() WHERE table_name = {t}", t=self.text(table)),
            "postgresql": sql(
                "SELECT CASE WHEN reltuples < 0 OR relkind = 'v' THEN NULL ELSE reltuples END FROM pg_class "
                "WHERE oid = to_regclass({t})",
                t=self.text(table),
            ),
        }
        return form.get(self.engine)


def _options(url: str) -> tuple[str, dict[str, str]]:
    """Path and options of a URL whose path may be written with three or four slashes."""
    parts = urlsplit(url)
    return unquote(parts.path), {key: values[-1] for key, values in parse_qs(parts.query).items()}


def _schemas(text: str) -> list[Sql]:
    try:
        return [name(part.strip()) for part in text.split(",")]
    except ValueError as error:
        raise OperatorError(
            f"{text!r} names no schema.", "Write ?schema=NAME, or ?schema=NAME,NAME, in lower case."
        ) from error


def open_duckdb(url: str, *, read_only: bool, threads: int | None, memory: str | None) -> Any:
    """A DuckDB file, or a folder of Parquet files that are read once into memory."""
    duckdb = driver("duckdb", "cdm")
    # Spilled rows never go beside the CDM, whose folder may be read-only or shared.
    parent = own_temporary("atoll-spill")
    sweep(parent, SPILL)
    spill = Held(parent, SPILL)
    try:
        connection = _opened(duckdb, url, {"temp_directory": str(spill.path)}, read_only, threads, memory)
    except BaseException:
        spill.release()
        raise
    weakref.finalize(connection, spill.release)
    return connection


def _opened(
    duckdb: Any, url: str, config: dict[str, Any], read_only: bool, threads: int | None, memory: str | None
) -> Any:
    path, options = _options(url)
    config |= limits(threads, memory)
    place = Path(path)
    if read_only and not place.exists():
        raise no_file(path)
    with opening(path, "Is it one, is its schema there, and is no one writing?"):
        if place.is_dir():
            return _folder(duckdb, place, config)
        # A view of a stranger's file may read other files or fetch an extension: neither is allowed.
        connection = duckdb.connect(path, read_only=read_only, config=config)
        connection.execute("SET enable_external_access = false")
        if "schema" in options:
            # A file cdm.duckdb with a schema cdm: only the whole path says which is meant.
            catalog = connection.execute("SELECT current_database()").fetchone()[0].replace('"', '""')
            path_of = ",".join(f'"{catalog}".{schema}' for schema in _schemas(options["schema"]))
            connection.execute("SET search_path = " + "'" + path_of.replace("'", "''") + "'")
    return connection


def _folder(duckdb: Any, folder: Path, config: dict[str, Any]) -> Any:
    place, let_go = hold(folder)
    with contextlib.ExitStack() as held:
        held.callback(let_go)
        files = sorted(place.glob("*.parquet"))
        if not files:
            raise no_files(folder)
        connection = duckdb.connect(":memory:", config=config)
        for file in files:
            try:
                query = sql("CREATE TABLE {t} AS SELECT * FROM read_parquet(?)", t=name(file.stem.lower()))
                connection.execute(query, [str(file)])
            except (ValueError, duckdb.Error) as error:
                connection.close()
                remedy = "Name it as the table: person.parquet."
                raise DataError(f"{file} cannot be read as a table.", remedy) from error
    connection.execute("SET enable_external_access = false")
    return connection


def open_postgresql(url: str, *, read_only: bool, threads: int | None, memory: str | None) -> Any:
    """A PostgreSQL database. Its session may write temporary tables and, when read-only, nothing else."""
    psycopg = driver("psycopg", "cdm")
    parts = urlsplit(url)
    _, options = _options(url)
    schemas = _schemas(options["schema"]) if "schema" in options else []
    kept = "&".join(pair for pair in parts.query.split("&") if pair and not pair.startswith("schema="))
    try:
        connection = psycopg.connect(parts._replace(query=kept).geturl(), connect_timeout=10, autocommit=True)
    except psycopg.OperationalError:
        raise Unreachable(
            f"The PostgreSQL server at {parts.hostname or 'localhost'} does not let us in or does not answer.",
            "Check address, user and password.",
        ) from None  # the cause may hold the password
    except psycopg.Error:
        raise OperatorError("The address of the PostgreSQL server cannot be read.", "Write it as a URL.") from None
    if schemas:
        for schema in schemas:
            if not connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [str(schema)]).fetchone():
                connection.close()
                raise DataError(f"The database has no schema {str(schema)!r}.", "See \\dn in psql.")
        connection.execute("SELECT set_config('search_path', %s, false)", [",".join(schemas)])
    if read_only:
        connection.execute("SET default_transaction_read_only = on")
    if threads is not None:
        connection.execute("SELECT set_config('max_parallel_workers_per_gather', %s, false)", [str(threads - 1)])
    if memory is not None:
        connection.execute("SELECT set_config('work_mem', %s, false)", [memory])
    return connection


def open_spark(url: str, *, read_only: bool, threads: int | None, memory: str | None) -> Any:
    """A Spark session: in this process (`spark:local`, over a folder of Parquet files) or on a cluster.

    Over a folder it has views of its own, else a second one in this process would turn the first to a later release.
    """
    pyspark = driver("pyspark.sql", "spark")
    _, options = _options(url)
    builder = pyspark.SparkSession.builder.appName("atoll").config("spark.ui.enabled", "false")
    if url.startswith("spark:local"):
        builder = builder.master(f"local[{threads or '*'}]").config("spark.driver.host", "127.0.0.1")
        builder = builder.config("spark.sql.shuffle.partitions", "2")
        if "folder" in options:  # else it makes a folder where the user is
            builder = builder.config("spark.sql.warehouse.dir", str(own_temporary("atoll-spark")))
    else:
        builder = builder.master(url.partition("?")[0])
    if memory is not None:
        builder = builder.config("spark.driver.memory", memory[:-1].lower())
    with contextlib.ExitStack() as held:
        files: list[Path] = []
        if "folder" in options:
            place, let_go = hold(Path(options["folder"]))
            held.callback(let_go)
            files = sorted(place.glob("*.parquet"))
            if not files:
                raise no_files(Path(options["folder"]))
        try:
            session = builder.getOrCreate()
            if files:
                session = session.newSession()
            for file in files:
                session.read.parquet(str(file)).createOrReplaceTempView(name(file.stem.lower()))
            if "schema" in options:
                session.catalog.setCurrentDatabase(_schemas(options["schema"])[0])
        except Exception as error:  # py4j and Java fail in many ways; none of them is a fault of Atoll
            remedy = "Is Java installed, and the address right?"
            raise Unreachable("Spark cannot be started or reached.", remedy) from error
        weakref.finalize(session, held.pop_all().close)
    return session
