"""A hospital's database server as a source: which tables it has, and their rows as a stream in bounded memory.

    mysql://user@host/database[?schema=NAME]     PostgreSQL, MySQL and MariaDB, SQL Server (mssql), Oracle (oracle)

Nothing is written there: the session is read-only where the engine has that, and no statement but SELECT is sent after
it (and SAVEPOINT, so that a view that fails leaves the rest readable). All tables are read as they were at one moment,
where the engine can. Names of tables and columns in a statement are the catalogue's own, quoted; what a user typed is
only looked up there.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from atoll.cdm import columns as types
from atoll.cdm.columns import BARE, BYTES, FLOAT, OTHER, WHOLE, ZONED, Column
from atoll.cdm.database import driver
from atoll.cdm.drivers import ENGINES, Address, Engine
from atoll.errors import AtollError, DataError, OperatorError, Unreachable
from atoll.settings import settings

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 50_000  # rows of a batch, at most
FIRST = 1_000  # rows of the first one, which tells how wide a row is
LARGEST = 9 * 10**18  # of a whole number in 64 bits
MEMORY = 32 * 1_048_576  # bytes that a batch should have
Known = dict[tuple[str, str], list[Column]]  # schema and name of a table → its columns
OPTIONS = ("schema", "table", "tls", "tls_ca", "socket")


def address_of(url: str) -> Address:
    """The parts of a server's URL. The password is the URL's, or ATOLL_SOURCE_PASSWORD.

    Raises
    ------
    OperatorError
        When it cannot be taken apart, or has an option that there is not. The sentence never holds a password.
    """
    scheme = url.partition(":")[0]
    try:
        parts = urlsplit(url)
        port = None if scheme == "postgresql" else parts.port  # libpq takes several hosts with their ports
        host = parts.hostname or "localhost"
    except ValueError:
        raise OperatorError(
            "The address of the database cannot be read.", f"Write it as {scheme}://USER@HOST:PORT/DATABASE."
        ) from None  # the cause may hold the password
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    if scheme == "postgresql":  # libpq knows its own options
        kept = "&".join(pair for pair in parts.query.split("&") if not pair.startswith(("table=", "schema=")))
        url = parts._replace(query=kept).geturl()
    else:
        if unknown := sorted(set(options) - set(OPTIONS)):
            raise OperatorError(f"An address has no option {unknown[0]!r}.", f"It may have {', '.join(OPTIONS)}.")
        if options.get("tls", "off") != "off":
            raise OperatorError("The option tls of an address is only ever off.", "Leave it out, or write tls=off.")
    user, password = (unquote(part) if part else None for part in (parts.username, parts.password))
    database = unquote(parts.path.lstrip("/"))
    return Address(scheme, url, host, port, user, password or settings().source_password, database, options)


class Server:
    """One connection. Close it when done; `notes` says what was left out or could not be had.

    Raises of all that reads
    ------------------------
    DataError
        When there is no such table, or it cannot be read.
    Unreachable
        When the server breaks off.
    """

    def __init__(self, engine: Engine, driver: Any, connection: Any, address: Address):
        self.engine, self.driver, self.connection, self.address = engine, driver, connection, address
        self.notes: list[str] = []
        self._known: dict[str, Known] = {}
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        with self._reading("the catalogue"):
            self._one_moment()
            self.schema = self.address.options.get("schema") or self._rows(self.engine.schema)[0][0]
        if not self.schema:
            raise DataError("The address names no database.", f"Write {self.address.scheme}://USER@HOST/DATABASE.")

    def tables(self) -> list[str]:
        """Names of the tables and views in the address's schema that this user may read."""
        return [name for _, name in self._catalogue(self.schema)]

    def columns(self, table: str) -> list[Column]:
        """The columns of a table that can be read, with their types."""
        known, place = self._found(table)
        if bare := [column for column in known[place] if column.kind == BARE]:
            kinds = self._kinds(place, bare)
            known[place] = [Column(c.name, kinds.get(c.name, c.kind), c.digits, c.scale) for c in known[place]]
        kept = [column for column in known[place] if column.kind != BYTES]
        if not kept:
            raise DataError(f"The table {table!r} has no column that can be read.", "It holds bytes only.")
        return kept

    def batches(self, table: str) -> Iterator[pa.RecordBatch]:
        """All rows of a table, in batches of at most `BATCH` rows and about `MEMORY` bytes."""
        columns, (known, place) = self.columns(table), self._found(table)
        if left := [column.name for column in known[place] if column.kind == BYTES]:
            self._note(f"{table}: left out {', '.join(left)}, which holds bytes")
        parts = [self._part(column) for column in columns]
        statement = f"SELECT {', '.join(parts)} FROM {self.engine.quoted(*place)}"  # noqa: S608 (quoted)
        no_dates: dict[str, int] = {}
        cursor = self.engine.stream(self.connection)
        try:
            with self._reading(table):
                cursor.arraysize = FIRST
                cursor.execute(statement)
            size = min(FIRST, BATCH)
            while True:
                with self._reading(table):
                    rows = cursor.fetchmany(size)
                    if not rows:
                        break
                    batch = types.batch(rows, columns, no_dates)
                yield batch
                size = max(1, min(BATCH, MEMORY * len(rows) // max(batch.nbytes, 1)))
        finally:
            with contextlib.suppress(self.driver.Error, OSError):
                cursor.close()
        for name, count in no_dates.items():
            self._note(f"{table}.{name}: {count:,} dates that are none (as {self.engine.no_date}) are missing")

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Reading whose fault, a `DataError`, does not keep other tables from being read after it."""
        here, back = self.engine.point or ("", "")
        try:
            self._go(here)
            yield
        except DataError:
            self._go(back)
            raise

    def _go(self, statement: str) -> None:
        if statement:
            with self._reading("the catalogue"):
                self._rows(statement)

    def close(self) -> None:
        """Leave the server. What it still wanted to send is not waited for."""
        with contextlib.suppress(self.driver.Error, OSError):
            self.connection.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one_moment(self) -> None:
        engine = self.engine
        if engine.asks and self._rows(engine.asks)[0][0] != 1:
            self._note(f"the tables are not of one moment: {engine.name} allows that after {engine.hint}")
            return
        for statement in engine.moment:
            self._rows(statement)

    def _rows(self, statement: str, *values: str) -> list[Any]:
        cursor = self.connection.cursor()
        cursor.execute(statement, *([list(values)] if values else []))
        rows = list(cursor.fetchall()) if cursor.description else []
        cursor.close()
        return rows

    def _catalogue(self, schema: str) -> Known:
        """Schema and name of each table → its columns."""
        if schema not in self._known:
            known: Known = {}
            with self._reading("the catalogue"):
                rows = self._rows(self.engine.catalogue, schema)
            for owner, table, name, kind, digits, scale in rows:
                column = types.declared(name, types.text(kind), digits, scale, self.engine.kinds)
                known.setdefault((owner, table), []).append(column)
            self._known[schema] = known
        return self._known[schema]

    def _found(self, table: str) -> tuple[Known, tuple[str, str]]:
        """The table as the catalogue spells it: it is looked for letter by letter, then without regard to case."""
        schema, dot, name = table.partition(".")
        for asked, wanted in ((self.schema, table), (schema, name))[: 2 if dot else 1]:
            known = self._catalogue(asked)
            alike = [place for place in known if place[1] == wanted] or [
                place for place in known if place[1].casefold() == wanted.casefold()
            ]
            if len(alike) == 1:
                return known, alike[0]
        raise DataError(
            f"The database has no table {table!r} that this user may read.",
            "Write SCHEMA.TABLE, as the database spells it, or ask its operator for SELECT.",
        )

    def _kinds(self, place: tuple[str, str], bare: list[Column]) -> dict[str, str]:
        """What numbers without declared digits are: whole in every row, and of 64 bits; or not."""
        names = [self.engine.quoted(column.name) for column in bare]
        tests = [f"MAX(CASE WHEN {n} <> FLOOR({n}) OR ABS({n}) > {LARGEST} THEN 1 ELSE 0 END)" for n in names]
        statement = f"SELECT {', '.join(tests)} FROM {self.engine.quoted(*place)}"  # noqa: S608 (quoted)
        with self._reading(place[1]):
            found = self._rows(statement)[0]
        return {column.name: FLOAT if other else WHOLE for column, other in zip(bare, found, strict=True)}

    def _part(self, column: Column) -> str:
        form = {OTHER: self.engine.text, ZONED: self.engine.clock}.get(column.kind, "{}")
        name = self.engine.quoted(column.name)
        return name if form == "{}" else f"{form.format(name)} AS {name}"

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    @contextlib.contextmanager
    def _reading(self, table: str) -> Iterator[None]:
        """What the driver says, as a sentence: without its words, which may hold a value or a password."""
        shown = table if table == "the catalogue" else f"the table {table!r}"
        try:
            yield
        except (self.driver.Error, OSError) as error:
            if self._lost(error):
                raise Unreachable(
                    f"The {self.engine.name} server at {self.address.host} broke off while {shown} was read.",
                    "Nothing was changed. Run the same again.",
                ) from None
            raise DataError(
                f"{shown[0].upper()}{shown[1:]} cannot be read from the database.",
                "Try it with the database's own client; a view may fail by itself.",
            ) from None
        except (ValueError, ArithmeticError):
            raise DataError(
                f"{shown[0].upper()}{shown[1:]} holds a value that its column's type does not allow.",
                "Give a view that leaves it out.",
            ) from None

    def _lost(self, error: Exception) -> bool:
        if isinstance(error, (OSError, self.driver.InterfaceError)):
            return True
        if self.engine.lost:
            return re.search(self.engine.lost, str(error)) is not None
        return isinstance(error, self.driver.OperationalError)


def open_server(url: str) -> Server:
    """A connection to the server that the URL names.

    Raises
    ------
    OperatorError
        When the driver is not installed, or the address cannot be read.
    Unreachable
        When the server does not answer, does not let us in, or cannot be trusted. No sentence holds a password.
    """
    address = address_of(url)
    engine = ENGINES[address.scheme]
    module = driver(engine.driver, engine.extra)
    try:
        connection = engine.connect(module, address)
    except AtollError:
        raise
    except Exception as error:  # drivers fail in many ways, and each of them means that nobody let us in
        said = f"{type(error)} {error}".replace(address.host, "")
    else:
        return Server(engine, module, connection, address)
    distrusted = re.search(r"(?i)ssl|tls|certificate|encrypt|secure", said)
    where = f"The {engine.name} server at {address.host}"
    if distrusted and address.scheme != "postgresql":
        raise Unreachable(
            f"{where} offers no encrypted connection that can be trusted.",
            "Add ?tls_ca=FILE with the certificate of the hospital's authority, or ?tls=off in a network of your own.",
        )
    raise Unreachable(f"{where} does not let us in or does not answer.", "Check address, user and password.")
