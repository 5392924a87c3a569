"""Database servers that no test can reach: what is sent to them, how they are connected to, and their rows as a stream.

The SQL is held against sqlglot's grammar of each engine; the streaming runs over SQLite's driver, which has the same
face (DB-API) and reads the quotes of SQL Server and Oracle.
"""

from __future__ import annotations

import sqlite3
import sys
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pyarrow as pa
import pytest
import sqlglot

from atoll.cdm import servers
from atoll.cdm.columns import Column, declared
from atoll.cdm.drivers import ENGINES
from atoll.cdm.servers import Server, address_of, open_server
from atoll.errors import DataError, OperatorError, Unreachable

GRAMMAR = {"postgresql": "postgres", "mysql": "mysql", "mssql": "tsql", "oracle": "oracle"}
UNREADABLE = ("START TRANSACTION WITH", "SET TRANSACTION ISOLATION LEVEL SNAPSHOT")  # by sqlglot


@pytest.mark.parametrize("scheme", ENGINES)
def test_statements_are_of_the_engines_grammar(scheme):
    engine = ENGINES[scheme]
    odd = "odd name" if scheme == "oracle" else 'odd ]`"name'  # a name of Oracle holds no quotes
    name = engine.quoted("HIS", odd)
    other = f"MAX(CASE WHEN {name} <> FLOOR({name}) OR ABS({name}) > {servers.LARGEST} THEN 1 ELSE 0 END)"
    statements = [engine.schema, engine.catalogue, *engine.moment, engine.asks]
    statements += [f"SELECT {engine.text.format(name)} AS c, {engine.clock.format(name)}, {other} FROM {name}"]
    for statement in filter(None, statements):
        if not statement.startswith(UNREADABLE):
            written = statement.replace("%%", "%").replace("%s", "'HIS'").replace(":1", "'HIS'")
            (read,) = sqlglot.parse(written, dialect=GRAMMAR[scheme])
            assert read is not None
    assert [part.name for part in read.find(sqlglot.exp.Table).parts] == ["HIS", odd]


TYPES = [
    ("mssql", "bigint", 19, 0, "int64"),
    ("mssql", "bit", None, None, "bool"),
    ("mssql", "money", 19, 4, "decimal128(19, 4)"),
    ("mssql", "datetime2", None, None, "timestamp[us]"),
    ("mssql", "datetimeoffset", None, None, "timestamp[us]"),
    ("mssql", "uniqueidentifier", None, None, "string"),
    ("mssql", "nvarchar", None, None, "string"),
    ("mssql", "decimal", 38, 10, "decimal128(38, 10)"),
    ("mssql", "numeric", 10, 0, "int64"),
    ("oracle", "NUMBER", 10, 0, "int64"),
    ("oracle", "NUMBER", None, 0, "decimal128(38, 0)"),
    ("oracle", "NUMBER", 10, 2, "decimal128(10, 2)"),
    ("oracle", "NUMBER", 10, -2, "int64"),
    ("oracle", "FLOAT", 126, None, "double"),
    ("oracle", "DATE", None, None, "timestamp[us]"),
    ("oracle", "TIMESTAMP(6)", None, 6, "timestamp[us]"),
    ("oracle", "TIMESTAMP(6) WITH TIME ZONE", None, 6, "timestamp[us]"),
    ("oracle", "TIMESTAMP(6) WITH LOCAL TIME ZONE", None, 6, "timestamp[us]"),
    ("oracle", "CLOB", None, None, "string"),
    ("oracle", "INTERVAL DAY(2) TO SECOND(6)", 2, 6, "string"),
    ("mysql", "bigint unsigned", 20, 0, "uint64"),
    ("mysql", "int unsigned", 10, 0, "int64"),
    ("mysql", "decimal unsigned", 10, 2, "decimal128(10, 2)"),
    ("mysql", "decimal", 65, 30, "double"),
    ("mysql", "bit", 1, None, "bool"),
    ("postgresql", "numeric", 12, 2, "decimal128(12, 2)"),
    ("postgresql", "timestamp with time zone", None, None, "timestamp[us]"),
    ("postgresql", "uuid", None, None, "string"),
]


@pytest.mark.parametrize(("scheme", "kind", "digits", "scale", "arrow"), TYPES)
def test_declared_types(scheme, kind, digits, scale, arrow):
    assert str(declared("c", kind, digits, scale, ENGINES[scheme].kinds).arrow()) == arrow


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [("mssql", "timestamp"), ("mssql", "varbinary"), ("oracle", "BLOB"), ("oracle", "LONG RAW"), ("oracle", "XMLTYPE"),
     ("mysql", "longblob"), ("postgresql", "bytea")],
)  # fmt: skip
def test_bytes_are_left_out(scheme, kind):
    assert declared("c", kind, None, None, ENGINES[scheme].kinds).kind == "bytes"


@pytest.fixture(params=["mssql", "oracle"])
def stand_in(request):
    """A server of the kind over SQLite: its catalogue, schema and moment are SQLite's, the rest is the engine's own."""
    scheme = request.param
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE visits (no bigint, cost numeric, score float, who nvarchar, photo blob, fee number)"
    )
    rows = [(n, n / 2, n / 4, f"女{n}", b"\0", n) for n in range(3000)]
    connection.executemany("INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?)", rows)
    engine = replace(
        ENGINES[scheme], schema="SELECT 'main'", moment=(), asks="SELECT 0" if ENGINES[scheme].asks else "",
        catalogue="SELECT m.schema, m.name, p.name, p.type, NULL, NULL FROM pragma_table_list() m,"
        " pragma_table_info(m.name) p WHERE m.schema = ? AND m.name NOT LIKE 'sqlite%'",
    )  # fmt: skip
    with Server(engine, sqlite3, connection, address_of(f"{scheme}://ana@db/his")) as server:
        yield server


def test_rows_are_a_stream_with_right_types(stand_in, monkeypatch):
    monkeypatch.setattr(servers, "BATCH", 1200)
    batches = list(stand_in.batches("VISITS"))
    assert [batch.num_rows for batch in batches] == [1000, 1200, 800]
    table = pa.Table.from_batches(batches)
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("no", "int64"), ("cost", "double"), ("score", "double"), ("who", "string"), ("fee", "int64")]  # fmt: skip
    assert table.slice(2999).to_pylist() == [
        {"no": 2999, "cost": 1499.5, "score": 749.75, "who": "女2999", "fee": 2999}
    ]
    assert "visits: left out photo, which holds bytes" in [note.lower() for note in stand_in.notes]


def test_where_one_moment_is_not_allowed_it_is_said(stand_in):
    said = [note for note in stand_in.notes if "not of one moment" in note]
    asked = stand_in.address.scheme == "mssql"
    assert said == ["the tables are not of one moment: SQL Server allows that after"
                    " ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON"] * asked  # fmt: skip


def test_a_value_that_its_type_does_not_allow_is_not_shown(stand_in):
    stand_in.connection.execute("INSERT INTO visits (no) VALUES ('secret')")
    with pytest.raises(DataError, match=r"The table 'visits' holds a value that its column's type does not allow"):
        list(stand_in.batches("visits"))


def test_a_decimal_is_exact():
    column = Column("c", "decimal", 20, 2)
    found = servers.types.batch([(Decimal("123456789012345678.90"),), (None,)], [column], {})
    assert found.column(0).to_pylist() == [Decimal("123456789012345678.90"), None]


@pytest.fixture
def asked(monkeypatch):
    """What the drivers of SQL Server and Oracle were asked for; they let nobody in."""
    seen = {}

    class Error(Exception):
        pass

    def connect(**words):
        seen.update(words)
        raise Error("no, hunter2")

    for name in ("pytds", "oracledb", "pymysql"):
        module = SimpleNamespace(connect=connect, Error=Error, defaults=SimpleNamespace())
        module.cursors = SimpleNamespace(SSCursor=object)
        monkeypatch.setitem(sys.modules, name, module)
    return seen


@pytest.mark.parametrize("scheme", ["mysql", "mssql", "oracle"])
def test_another_machine_must_show_a_certificate(asked, scheme):
    def connected(url):
        asked.clear()
        with pytest.raises(Unreachable, match="does not let us in") as caught:
            open_server(url)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None and caught.value.__context__ is None
        return {"mysql": asked.get("ssl"), "mssql": asked.get("cafile"), "oracle": asked.get("ssl_context")}[scheme]

    assert connected(f"{scheme}://ana:hunter2@db.hospital.example/his")
    assert asked["password"] == "hunter2"
    assert connected(f"{scheme}://ana@10.0.0.7/his")
    for alone in ("localhost/his", "127.0.0.1:5/his", "[::1]/his", "db.hospital.example/his?tls=off"):
        assert connected(f"{scheme}://ana@{alone}") is None


def test_what_libpq_understands_stays_its_own():
    address = address_of("postgresql://ana@one:5432,two:5433/his?sslmode=verify-full&table=t&schema=cdm")
    assert address.url == "postgresql://ana@one:5432,two:5433/his?sslmode=verify-full"
    assert (address.host, address.options["schema"]) == ("one", "cdm")


@pytest.mark.parametrize(("scheme", "module"), [("mysql", "pymysql"), ("mssql", "pytds"), ("oracle", "oracledb")])
def test_a_missing_driver_names_its_extra(monkeypatch, scheme, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OperatorError, match=rf"Install the extra: pip install 'atoll\[{scheme}\]'"):
        open_server(f"{scheme}://ana@localhost/his")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://ana:hunter2@host:port/his", "The address of the database cannot be read"),
        ("mysql://ana:hunter2@host/his?sslmode=off", "An address has no option 'sslmode'"),
        ("oracle://ana:hunter2@host/his?tls=no", "The option tls of an address is only ever off"),
    ],
)
def test_an_address_that_cannot_be_read(url, said):
    with pytest.raises(OperatorError, match=said) as caught:
        open_server(url)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(address_of("mysql://ana:hunter2@host/his"))
    with pytest.raises(OperatorError, match="There is no file of certificates"):
        address_of("mysql://ana@host/his?tls_ca=/nowhere.pem").encryption()
