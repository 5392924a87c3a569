"""A finished release carried to PostgreSQL (`cdm.releases`), or to a folder that Spark reads (`cdm.parquet`).

PostgreSQL: tables in a new schema, filled by COPY before keys and indexes are made, in one transaction; then views lead
to them, in another. What was copied and could not be put in force is found again by its manifest.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from atoll.cdm import releases
from atoll.cdm.database import driver
from atoll.cdm.parquet import publish_folder, published
from atoll.cdm.tables import tables
from atoll.cdm.workbench import Workbench, quoted
from atoll.errors import OperatorError, Unreachable

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


def publish(
    path: Path, url: str, manifest: dict[str, Any], progress: Callable[[str], None] | None = None
) -> tuple[bool, list[str]]:
    """Copy all tables of a release file to where the URL says, and put them in force.

    Returns whether that had to be done, and what is left of earlier releases, in sentences.

    Raises
    ------
    Unreachable
        When the server does not let us in or does not answer.
    OperatorError
        When its user may not make schemas, something that no load made is in the way, somebody's transaction does not
        end, or the disk there is full; the release in force stays.
    """
    say = progress or (lambda text: None)
    if url.startswith("spark"):
        if published(folder_of(url)) == manifest:
            return False, []
        publish_folder(path, folder_of(url), manifest, say)
        return True, []
    psycopg, schema = driver("psycopg", "postgres"), schema_of(url)
    parts = urlsplit(url)
    query = "&".join(pair for pair in parts.query.split("&") if pair and not pair.startswith("schema="))
    given: dict[str, Any] = {"connect_timeout": 10, "autocommit": True, "client_encoding": "utf8"}
    with (
        _failing(psycopg, parts.hostname or "localhost", schema),
        psycopg.connect(parts._replace(query=query).geturl(), **given) as connection,
        releases.only_load(connection, schema),
    ):
        changed = _in_force(psycopg, connection, schema) != manifest
        if changed:
            releases.refuse_foreign(connection, schema)  # before all is copied
            release = _waiting(psycopg, connection, schema, manifest) or _carry(connection, path, schema, say)
            releases.put_in_force(connection, schema, release)
        return changed, releases.clear(connection, schema, say)


@contextlib.contextmanager
def _failing(psycopg: Any, host: str, schema: str) -> Iterator[None]:
    """What the server says, as a sentence: without its words, which may hold a value or a password."""
    errors, stays = psycopg.errors, "The release in force stays."
    try:
        yield
    except errors.InsufficientPrivilege:
        raise OperatorError(
            f"This database user may not make schemas, or not write in the schema {schema}.",
            "Grant it CREATE on the database, and make it the owner of that schema, its views and empty tables.",
        ) from None
    except errors.DiskFull:
        raise OperatorError(
            "The database's disk is full.", "Free some space there, and type the command again."
        ) from None
    except (errors.UntranslatableCharacter, errors.CharacterNotInRepertoire):
        raise OperatorError(
            "This database's encoding lacks a character of the release.",
            f"Name a database of the encoding UTF8. {stays}",
        ) from None
    except errors.LockNotAvailable:
        raise OperatorError(
            f"Somebody writes into a table of the schema {schema} in a transaction that does not end.",
            f"End it, and type the command again. {stays}",
        ) from None
    except psycopg.OperationalError:
        raise Unreachable(
            f"The PostgreSQL server at {host} does not let us in or does not answer.",
            "Check address, user and password.",
        ) from None
    except psycopg.Error as error:
        raise OperatorError(
            f"The PostgreSQL server at {host} did not take the release ({type(error).__name__}).",
            f"Its own log says why. {stays}",
        ) from None


def _in_force(psycopg: Any, connection: Any, schema: str) -> dict[str, Any]:
    """The manifest of the release that a schema has, or leads to; empty when there is none."""
    from psycopg import sql

    own = sql.SQL("SELECT manifest FROM {} ORDER BY number DESC LIMIT 1").format(sql.Identifier(schema, releases.OWN))
    found: dict[str, Any] = {}
    with contextlib.suppress(psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, ValueError, TypeError):
        for (text,) in connection.execute(own):
            found = json.loads(text)
    return found


def _waiting(psycopg: Any, connection: Any, schema: str, manifest: dict[str, Any]) -> str | None:
    """The schema in which this release is already, whole, from a load that could not put it in force."""
    there = releases.made(connection, schema).values()
    return next((name for name in there if _in_force(psycopg, connection, name) == manifest), None)


def _carry(connection: Any, path: Path, schema: str, progress: Any) -> str:
    """Copy a release into a new schema, whole or not at all; gives its name."""
    from psycopg import sql

    with Workbench(path, read_only=True) as bench, connection.transaction(), connection.cursor() as cursor:
        own = bench.rows("SELECT number, manifest FROM ingest.release")
        release = releases.new_name(connection, schema, max(number for number, _ in own))
        place = sql.Identifier(release)
        cursor.execute(sql.SQL("CREATE SCHEMA {}").format(place))
        cursor.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(place, sql.Literal(releases.remark(schema))))
        for name in releases.names():
            if name != releases.OWN:
                progress(name)
                _table(sql, cursor, bench, name, release)
        cursor.execute(sql.SQL("CREATE TABLE {}.atoll_release (number integer, manifest text)").format(place))
        for row in own:
            cursor.execute(sql.SQL("INSERT INTO {}.atoll_release VALUES (%s, %s)").format(place), row)
    return release


def _table(sql: Any, cursor: Any, bench: Workbench, name: str, release: str) -> None:
    import pyarrow.csv as csv

    table = tables()[name]
    full = sql.Identifier(release, name)
    releases.create(cursor, release, name)
    # PostgreSQL holds no zero byte, and a release made before `cleaned` took them away may.
    listed = ", ".join(
        f"without_zeros({quoted(column.name)})" if column.dtype == "string" else quoted(column.name)
        for column in table.columns.values()
    )
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
    cursor.execute(sql.SQL("ANALYZE {}").format(full))  # the first query knows what it reads
