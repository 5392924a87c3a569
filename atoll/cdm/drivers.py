"""What each kind of database server needs to be read: its driver, its catalogue, its quotes, and one moment for all.

A new kind of server is one more `Engine` in `ENGINES`; everything that reads is in `servers` and knows none of them.
Drivers are imported only where a server is read. All of them are Python's DB-API and need no library of the vendor's.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atoll.cdm.columns import BYTES, DECIMAL, FLOAT, MOMENT, OTHER, TEXT
from atoll.errors import OperatorError
from atoll.settings import settings

WAIT = 10  # seconds for a server to answer


@dataclass(frozen=True)
class Address:
    """The parts of a server's URL. An encrypted connection is a must, unless the server is this machine.

    options   schema, table, tls (off), tls_ca (a file with the certificate of the hospital's authority), socket
    """

    scheme: str
    url: str = field(repr=False)
    host: str
    port: int | None
    user: str | None
    password: str | None = field(repr=False)
    database: str
    options: Mapping[str, str]

    @property
    def trusted(self) -> bool:
        """Whether the way there needs no certificate: it stays in this machine, or the user said so."""
        if "tls_ca" in self.options:
            return False
        if "socket" in self.options or self.options.get("tls") == "off" or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def authorities(self) -> str | None:
        """The file with the certificates to trust, or None for those of the operating system."""
        file = self.options.get("tls_ca") or settings().ca_file
        if file and not Path(file).is_file():
            raise OperatorError(f"There is no file of certificates {file}.", "Correct tls_ca in the address.")
        return str(file) if file else None

    def encryption(self) -> ssl.SSLContext | None:
        """What holds the server's certificate against these, and against its name; None where none is needed."""
        return None if self.trusted else ssl.create_default_context(cafile=self.authorities())


@dataclass(frozen=True)
class Engine:
    """One kind of server.

    schema      query for the schema in which tables are looked for when the address names none
    catalogue   query for schema, table, column, type, digits, scale of all that this user may read there
    moment      statements that make all that is read later one moment's, and read-only
    asks        query that says 1 where `moment` is allowed; else `hint` says how it would be
    lost        what the driver's error says when the connection is gone; any OperationalError where it is empty
    no_date     what the server takes for a date, and nobody else does
    point       statements to set a point in the transaction, and to go back to it after a fault, where one would end it
    """

    name: str
    extra: str
    driver: str
    connect: Callable[[Any, Address], Any]
    schema: str
    catalogue: str
    moment: tuple[str, ...]
    asks: str = ""
    hint: str = ""
    quotes: tuple[str, str] = ('"', '"')
    text: str = "CAST({} AS VARCHAR)"
    clock: str = "CAST({} AS TIMESTAMP)"  # a moment with a time zone: what the clock on the wall showed
    kinds: Mapping[str, str] = field(default_factory=dict)
    lost: str = ""
    no_date: str = "0000-00-00"
    point: tuple[str, str] | None = None
    stream: Callable[[Any], Any] = lambda connection: connection.cursor()

    def quoted(self, *names: str) -> str:
        """Names of the catalogue as SQL."""
        left, right = self.quotes
        return ".".join(left + name.replace(right, right * 2) + right for name in names)


def _postgresql(psycopg: Any, address: Address) -> Any:
    given = {"password": address.password} if address.password else {}  # else libpq looks for it, and for certificates
    connection = psycopg.connect(address.url, connect_timeout=WAIT, **given)
    for kind in ("date", "timestamp"):
        connection.adapters.register_loader(kind, _or_text(psycopg, connection.adapters, kind))
    return connection


def _or_text(psycopg: Any, adapters: Any, kind: str) -> Any:
    """How values of a type are read; one that Python cannot hold stays a text, as `infinity`."""
    known = adapters.get_loader(adapters.types[kind].oid, psycopg.pq.Format.TEXT)

    class OrText(psycopg.adapt.Loader):  # type: ignore[misc]
        """The driver's own loader, and what it refuses."""

        def __init__(self, oid: int, context: Any = None):
            super().__init__(oid, context)
            self._known = known(oid, context)

        def load(self, data: Any) -> Any:
            """A day or a moment, or its text."""
            try:
                return self._known.load(data)
            except psycopg.DataError:
                return bytes(data).decode("ascii", "replace")

    return OrText


def _mysql(pymysql: Any, address: Address) -> Any:
    class Stream(pymysql.cursors.SSCursor):  # type: ignore[misc]
        """Rows as they come. PyMySQL reads one that is given up to its end; here the connection is closed."""

        def close(self) -> None:
            """Leave it."""

        __del__ = close

    own = Path("~/.my.cnf").expanduser()
    return pymysql.connect(
        host=address.host, port=address.port or 3306, user=address.user, password=address.password or "",
        unix_socket=address.options.get("socket"), database=address.database, charset="utf8mb4", cursorclass=Stream,
        connect_timeout=WAIT, ssl=address.encryption(), read_default_file=str(own) if own.is_file() else None,
    )  # fmt: skip


def _mssql(pytds: Any, address: Address) -> Any:
    # TDS is encrypted by pytds only where it has a file of authorities.
    system = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    return pytds.connect(
        dsn=address.host, port=address.port or 1433, user=address.user, password=address.password,
        database=address.database, login_timeout=WAIT, autocommit=True, readonly=True,
        cafile=None if address.trusted else address.authorities() or system,
    )  # fmt: skip


def _oracle(oracledb: Any, address: Address) -> Any:
    oracledb.defaults.fetch_lobs, oracledb.defaults.fetch_decimals = False, True  # texts and numbers as they are
    context = address.encryption()
    return oracledb.connect(
        host=address.host, port=address.port or (2484 if context else 1521), service_name=address.database,
        user=address.user, password=address.password, protocol="tcps" if context else "tcp", ssl_context=context,
        tcp_connect_timeout=WAIT,
    )  # fmt: skip


_STANDARD = (
    "SELECT table_schema, table_name, column_name, {type}, numeric_precision, numeric_scale"
    " FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position"
)
ENGINES: Mapping[str, Engine] = {
    "postgresql": Engine(
        "PostgreSQL", "postgres", "psycopg", _postgresql,
        schema="SELECT current_schema()",
        # Not information_schema, which knows no materialized view.
        catalogue="SELECT n.nspname, c.relname, a.attname,"
        " format_type(COALESCE(NULLIF(t.typbasetype, 0), t.oid), NULL),"
        " information_schema._pg_numeric_precision(a.atttypid, a.atttypmod),"
        " information_schema._pg_numeric_scale(a.atttypid, a.atttypmod)"
        " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE n.nspname = %s AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped"
        " AND has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY c.relname, a.attnum",
        moment=("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",),
        kinds={"bit": OTHER, "name": TEXT},
        no_date="infinity, or a year before 1 or after 9999", point=("SAVEPOINT atoll", "ROLLBACK TO SAVEPOINT atoll"),
        stream=lambda connection: connection.cursor("atoll"),  # a cursor of the server's
    ),
    "mysql": Engine(
        "MySQL", "mysql", "pymysql", _mysql,
        schema="SELECT DATABASE()",
        catalogue=_STANDARD.format(
            type="CONCAT(data_type, CASE WHEN column_type LIKE '%%unsigned%%' THEN ' unsigned' ELSE '' END)"
        ),
        moment=(
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ),
        quotes=("`", "`"), text="CAST({} AS CHAR)",
        kinds=dict.fromkeys(("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
                             "multipolygon", "geometrycollection", "geomcollection", "vector"), BYTES)
        | dict.fromkeys(("enum", "set", "json"), TEXT),
        lost=r"^\((20\d\d|1053|1317|1927|1969|3024)\b",
    ),
    "mssql": Engine(
        "SQL Server", "mssql", "pytds", _mssql,
        schema="SELECT SCHEMA_NAME()",
        catalogue=_STANDARD.format(type="data_type"),
        moment=("SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "BEGIN TRANSACTION"),
        asks="SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()",
        hint="ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON",
        quotes=("[", "]"), text="CAST({} AS NVARCHAR(MAX))", clock="CAST({} AS DATETIME2)",
        kinds={"timestamp": BYTES, "sql_variant": BYTES, "money": DECIMAL},
        lost=r"(?i)connection (closed|reset|was)",
    ),
    "oracle": Engine(
        "Oracle", "oracle", "oracledb", _oracle,
        schema="SELECT SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') FROM DUAL",
        catalogue="SELECT owner, table_name, column_name, data_type, data_precision, data_scale FROM all_tab_columns"
        " WHERE owner = UPPER(:1) ORDER BY table_name, column_id",
        moment=("SET TRANSACTION READ ONLY",),
        text="TO_CHAR({})",
        # A DATE of Oracle has a time. Types of users and of XML cannot be turned into text: what is not known is bytes.
        kinds={"": BYTES, "date": MOMENT, "timestamp with local time zone": MOMENT, "float": FLOAT, "rowid": OTHER,
               "interval year to month": OTHER, "interval day to second": OTHER},
        lost=r"DPY-4011|DPY-1001|DPY-4024|ORA-0311[34]|ORA-00028|ORA-01012",
    ),
}  # fmt: skip
