"""The hub's database: SQLite by default, PostgreSQL by its URL. What is asked of it stands in `store.py`.

Writing is for one thread (`writer.py`), which commits several events at once; reading is for anyone.
Every acknowledged fact is on disk: SQLite runs with WAL and synchronous=FULL, one fsync per commit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from atoll.errors import OperatorError
from atoll.hub import schema as t

Row = Mapping[str, Any]
CHECKPOINT_EVERY = 500  # commits; SQLite's log is copied into the file by a thread of its own, off the path of a round


def open_engine(url: str, *, writing: bool) -> Engine:
    """An engine whose transactions are durable; on SQLite a writer waits its turn instead of failing late."""
    parsed = sa.engine.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        try:
            return sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise OperatorError("The driver for PostgreSQL is not installed.", "Install atoll[postgres].") from error
    if parsed.get_backend_name() != "sqlite":
        raise OperatorError(
            f"The hub's store cannot be a {parsed.get_backend_name()!r} database.",
            "Give sqlite:///FILE or postgresql://USER@HOST/DATABASE.",
        )
    engine = sa.create_engine(parsed, connect_args={"timeout": 30.0, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=0"):
            connection.execute(f"PRAGMA {pragma}")
        if not writing:
            connection.execute("PRAGMA query_only=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


class HubStore:
    """The hub's database."""

    def __init__(self, url: str):
        self.url = url
        self._writer, self._reader = open_engine(url, writing=True), open_engine(url, writing=False)
        self._commits = 0
        self._checkpoint: threading.Thread | None = None
        try:
            with self.writing() as connection:
                t.metadata.create_all(connection)
                found = connection.execute(sa.select(t.schema.c.version)).scalar()
                if found is None:
                    connection.execute(t.schema.insert().values(version=t.VERSION))
        except sa.exc.DBAPIError as error:
            raise OperatorError(
                f"The hub's store {sa.engine.make_url(url).render_as_string()} cannot be opened ({error.orig}).",
                "Check that the folder or database exists and can be written.",
            ) from error
        if found not in (None, t.VERSION):
            raise OperatorError(
                f"The hub's store has version {found}; this Atoll knows version {t.VERSION}.",
                "Run the version of Atoll that wrote it, or a newer one.",
            )

    @classmethod
    def under(cls, folder: Path) -> HubStore:
        """The SQLite store in a folder."""
        return cls(f"sqlite:///{folder / 'hub.sqlite'}")

    def close(self) -> None:
        """Close all connections."""
        if self._checkpoint is not None:
            self._checkpoint.join()
        self._writer.dispose()
        self._reader.dispose()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: committed and on disk at the end, or nothing of it."""
        with self._writer.begin() as connection:
            yield connection
        self._commits += 1
        if self._commits % CHECKPOINT_EVERY == 0 and self._writer.dialect.name == "sqlite":
            self._tidy()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._reader.begin() as connection:
            yield connection

    def _tidy(self) -> None:
        if self._checkpoint is not None and self._checkpoint.is_alive():
            return

        def checkpoint() -> None:
            connection = self._reader.raw_connection()
            try:
                connection.cursor().execute("PRAGMA query_only=OFF")
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
                connection.cursor().execute("PRAGMA query_only=ON")
            finally:
                connection.close()

        self._checkpoint = threading.Thread(target=checkpoint, name="checkpoint", daemon=True)
        self._checkpoint.start()


def rows(connection: Connection, query: Any) -> list[Row]:
    """All rows of a query as mappings."""
    return [dict(row) for row in connection.execute(query).mappings()]


def row(connection: Connection, query: Any) -> Row | None:
    """The first row of a query, or None."""
    found = connection.execute(query).mappings().first()
    return dict(found) if found else None
