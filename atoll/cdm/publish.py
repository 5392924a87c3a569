"""A finished release carried to PostgreSQL, or to a folder that Spark reads (`cdm.parquet`).

PostgreSQL: tables in a schema beside the one in force, renamed over it in one transaction. Whoever reads the old schema
reads on to the end of the transaction; the next one sees the new. Tables are filled by COPY before keys and indexes are
made.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from atoll.cdm.database import driver
from atoll.cdm.parquet import OWN, publish_folder, published
from atoll.cdm.tables import tables
from atoll.cdm.workbench import Workbench, quoted
from atoll.errors import OperatorError, Unreachable

_TYPES = {"int32": "integer", "int64": "bigint", "float64": "double precision", "string": "text", "date": "date",
          "timestamp": "timestamp"}  # fmt: skip
BATCH = 100_000


def schema_of(url: str) -> str:
    """The schema that a URL names (`?schema=cdm`); `cdm` when it names none."""
    return parse_qs(urlsplit(url).query).get("schema", ["cdm"])[-1].split(",")[0]


def place_of(url: str) -> str:
    """The target that a URL names, without user and password: the same for every way to write it.

    Raises
    ------
    OperatorError
        When no release can be put there.
    """
    if url.startswith("spark"):
        return f"spark:{folder_of(url)}"
    if not url.startswith("postgresql:"):
        raise OperatorError(
            f"A release cannot be put into {url.partition(':')[0]!r}.",
            "Give duckdb:///FILE, postgresql://USER@HOST/DATABASE?schema=cdm or spark:local?folder=/FOLDER.",
        )
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}{parts.path}/{schema_of(url)}"


def folder_of(url: str) -> Path:
    """The folder that a Spark URL names (`?folder=/data/cdm`).

    Raises
    ------
    OperatorError
        When it names none, or one that is not on a disk of this machine.
    """
    named = parse_qs(urlsplit(url).query).get("folder", [""])[-1]
    if not named or "://" in named:
        raise OperatorError(
            "A release for Spark is put into a folder of Parquet files, and this address names none on a disk here.",
            "Write spark:local?folder=/FOLDER, or spark://HOST:PORT?folder=/FOLDER for one that the cluster sees too.",
        )
    return Path(named).resolve()


def publish(path: Path, url: str, manifest: dict[str, Any], progress: Callable[[str], None] | None = None) -> bool:
    """Copy all tables of a release file to where the URL says, and put them in force; False when it is in force there.

    Raises
    ------
    Unreachable
        When the server does not let us in or does not answer.
    OperatorError
        When its user may not make schemas, or the disk there is full; the release in force stays.
    """
    say = progress or (lambda text: None)
    if url.startswith("spark"):
        if published(folder_of(url)) == manifest:
            return False
        publish_folder(path, folder_of(url), manifest, say)
        return True
    psycopg = driver("psycopg", "postgres")
    parts = urlsplit(url)
    query = "&".join(pair for pair in parts.query.split("&") if pair and not pair.startswith("schema="))
    try:
        with psycopg.connect(parts._replace(query=query).geturl(), connect_timeout=10) as connection:
            if _in_force(psycopg, connection, schema_of(url)) == manifest:
                return False
            _carry(psycopg, connection, path, schema_of(url), say)
            return True
    except psycopg.errors.InsufficientPrivilege as error:
        raise OperatorError("This database user may not make schemas.", "Grant it CREATE on the database.") from error
    except psycopg.errors.DiskFull as error:
        raise OperatorError(
            "The database's disk is full.", "Free some space there, and type the command again."
        ) from error
    except psycopg.OperationalError:
        raise Unreachable(
            f"The PostgreSQL server at {parts.hostname or 'localhost'} does not let us in or does not answer.",
            "Check address, user and password.",
        ) from None  # the cause may hold the password


def _in_force(psycopg: Any, connection: Any, schema: str) -> dict[str, Any]:
    """The manifest of the release that is there; empty when there is none."""
    from psycopg import sql

    own = sql.SQL("SELECT manifest FROM {}.atoll_release ORDER BY number DESC LIMIT 1").format(sql.Identifier(schema))
    found: dict[str, Any] = {}
    with contextlib.suppress(psycopg.errors.UndefinedTable), connection.transaction():
        for (text,) in connection.execute(own):
            found = json.loads(text)
    return found


def _carry(psycopg: Any, connection: Any, path: Path, schema: str, progress: Any) -> None:
    from psycopg import sql

    arriving, leaving = sql.Identifier(f"{schema}_next"), sql.Identifier(f"{schema}_old")
    with connection.cursor() as cursor:
        for name in (schema, f"{schema}_next", f"{schema}_old"):
            _refuse_foreign(sql, cursor, name)
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(arriving))
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(arriving))
        with Workbench(path, read_only=True) as bench:
            for name in tables():
                progress(name)
                _table(sql, cursor, bench, name, arriving)
            own = bench.rows("SELECT number, manifest FROM ingest.release")
        cursor.execute(sql.SQL("CREATE TABLE {}.atoll_release (number integer, manifest text)").format(arriving))
        for row in own:
            cursor.execute(sql.SQL("INSERT INTO {}.atoll_release VALUES (%s, %s)").format(arriving), row)
    connection.commit()
    with connection.cursor() as cursor:  # one transaction: nobody sees a moment without a release
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(leaving))
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema])
        if cursor.fetchone():
            cursor.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(schema), leaving))
        cursor.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(arriving, sql.Identifier(schema)))
    connection.commit()
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(leaving))
    connection.commit()


def _refuse_foreign(sql: Any, cursor: Any, schema: str) -> None:
    """Refuse a schema that would be dropped although no load made it; one of empty OMOP tables may go.

    Raises
    ------
    OperatorError
        When it holds anything else.
    """
    cursor.execute("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace = "
                   "(SELECT oid FROM pg_namespace WHERE nspname = %s)", [schema])  # fmt: skip
    names = {name for (name,) in cursor.fetchall()}
    if OWN in names:
        return
    filled = not names <= set(tables())
    for name in () if filled else names:
        cursor.execute(sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(schema, name)))
        filled = filled or cursor.fetchone()[0]
    if filled:
        raise OperatorError(
            f"The schema {schema} holds tables that no load of Atoll put there; a release would take their place.",
            "Name another schema (?schema=NAME), or rename this one.",
        )


def _table(sql: Any, cursor: Any, bench: Workbench, name: str, schema: Any) -> None:
    import pyarrow.csv as csv

    table = tables()[name]
    full = sql.SQL("{}.{}").format(schema, sql.Identifier(name))
    columns = sql.SQL(", ").join(
        sql.SQL("{} " + _TYPES[column.dtype]).format(sql.Identifier(column.name)) for column in table.columns.values()
    )
    cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(full, columns))
    listed = ", ".join(quoted(column) for column in table.columns)
    reader = bench.run(f"SELECT {listed} FROM main.{quoted(name)}").to_arrow_reader(BATCH)
    names = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(full, names)) as copy:
        for batch in reader:
            out = io.BytesIO()
            csv.write_csv(batch, out, csv.WriteOptions(include_header=False))
            copy.write(out.getvalue())
    if table.key:
        cursor.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(full, sql.Identifier(table.key)))
    for column in ("person_id", table.concept()):
        if column and column != table.key and column in table.columns:
            cursor.execute(sql.SQL("CREATE INDEX ON {} ({})").format(full, sql.Identifier(column)))
