"""Whether a CDM, or one of its tables, is the same as it was: told without looking at a row by hand.

    release   of a whole database: name, size and time of the file and of its write-ahead log, the schema that is read,
              and the manifest of the load that made it; nothing where an engine keeps neither
    mark      of one table: number of rows and the sum of their hashes, which no order of rows changes

A mark reads the whole table once, on the engine, and a release spares even that. Columns that hold the source's own
words (`…_source_value`) are left out: nothing here reads them. Two tables with one mark are the same but for an
accident of 64-bit hashes; whoever changes a released database by hand without a load must ask for a fresh run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, joined, name, sql
from atoll.errors import DataError


def release_of(workspace: Workspace, url: str) -> str | None:
    """What stands for the state of the whole database at a URL, or None where nothing does."""
    known: list[object] = [url.partition(":")[0], _manifest(workspace)]
    if url.startswith("duckdb:"):
        place = Path(unquote(urlsplit(url).path))
        beside = place.with_name(place.name + ".wal")  # what a writer that was killed has not yet put into the file
        files = sorted(place.glob("*.parquet")) if place.is_dir() else [place, beside]
        known.append(urlsplit(url).query)  # another schema of the same file is another database
        known += [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.exists()]
    elif known[1] is None:
        return None
    else:
        known.append([urlsplit(url).hostname, urlsplit(url).port, urlsplit(url).path, urlsplit(url).query])
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def _manifest(workspace: Workspace) -> str | None:
    """The manifest of the load that made the database; None where no load of Atoll's did."""
    for table in (Sql("ingest.release"), Sql("atoll_release")):
        try:
            rows = workspace.fetch(sql("SELECT manifest FROM {t} ORDER BY number DESC LIMIT 1", t=table))
        except DataError:
            continue
        if rows.num_rows:
            return str(rows.column(0)[0].as_py())
    return None


def mark(workspace: Workspace, table: str) -> str:
    """What stands for the rows of a table; `none` where there is no such table.

    Raises
    ------
    DataError
        When the table cannot be read.
    """
    columns = [column for column in workspace.columns(table) or () if not column.endswith("_source_value")]
    if not columns:
        return "none"
    hashed = workspace.dialect.hashed(joined(", ", (name(column) for column in sorted(columns))))
    query = sql("SELECT COUNT(*) AS n, SUM({h}) AS h, version() AS v FROM {t}", h=hashed, t=name(table))
    found = [str(column[0].as_py()) for column in workspace.fetch(query).columns]
    return hashlib.sha256(json.dumps([sorted(columns), *found]).encode()).hexdigest()


def rows_of(workspace: Workspace, table: str) -> int | None:
    """How many rows the engine's own statistics say a table has; None where they say nothing."""
    query = workspace.dialect.statistics(table)
    if query is None:
        return None
    found = workspace.fetch(query).column(0)
    return None if not len(found) or found[0].as_py() is None else int(found[0].as_py())
