"""A hospital's database server as a source, on a real MariaDB: the same tables as from the file that they came from."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pymysql
import pytest
from click.testing import CliRunner

from atoll.cdm import servers
from atoll.cdm.database import record_batches
from atoll.cdm.servers import open_server
from atoll.cdm.workbench import Workbench
from atoll.cli.main import atoll
from atoll.errors import DataError, OperatorError, Unreachable
from atoll.ingest import copies
from atoll.ingest.checking import check_against
from atoll.ingest.drafts.proposal import propose
from atoll.ingest.load import load
from atoll.ingest.mapping import read_mapping
from atoll.ingest.scan import scan
from atoll.simulate.world import simulate
from tests.ingest.exports import TODAY, mapping
from tests.mariadb import execute, started

EXAMPLE = Path(__file__).parents[2] / "examples" / "exports" / "sql" / "mapping.yaml"
PASSWORD = "hunter2"
TYPES = """
CREATE TABLE `odd ``types` (
  id BIGINT UNSIGNED PRIMARY KEY, tiny TINYINT(1), small SMALLINT UNSIGNED, year YEAR, cost DECIMAL(10, 2),
  long_id DECIMAL(30, 0), short_id DECIMAL(9, 0), age DOUBLE, score FLOAT, yes BIT(1), flags BIT(8), seen DATE,
  at DATETIME(6), stamp TIMESTAMP NULL, clock TIME, kind ENUM('a', '乙'), doc JSON, note LONGTEXT, photo LONGBLOB,
  raw VARBINARY(9), place POINT)
"""
ROW = (2**64 - 1, 3, 65535, 1999, "12.30", 10**29, 123456789, 61.5, 0.5, b"\1", b"\x81", "2024-01-31",
       "2024-01-31 08:30:00.000001", "2024-01-31 08:30:00", "08:30:00", "乙", '{"a": 1}', "长" * 9, b"\0",
       b"\1")  # fmt: skip

BIRTHS = """\
mapping: 1
name: odd
rules:
  - to: person
    from: dates
    key: id
    columns:
      person_source_value: id
      gender_concept_id: 8507
      year_of_birth: year(day)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An export in the simulator's SQL shape, as a DuckDB file."""
    out = tmp_path_factory.mktemp("servers") / "world"
    simulate(out, 60, seed=3, shapes=("sql",))
    return next(out.glob("*/export/hospital.duckdb"))


@pytest.fixture(scope="module")
def server(world):
    """Port and authority of a MariaDB with that export in `his`, and what is odd in `odd`."""
    with started() as (port, authority):
        execute(
            port,
            *(f"CREATE DATABASE {name} CHARACTER SET utf8mb4" for name in ("his", "odd", "empty")),
            f"CREATE USER reader@'%' IDENTIFIED BY '{PASSWORD}'",
            *(f"GRANT SELECT ON {name}.* TO reader@'%'" for name in ("his", "odd", "empty")),
        )  # fmt: skip
        with duckdb.connect(str(world), read_only=True) as source:
            for (table,) in source.execute("SHOW TABLES").fetchall():
                columns = source.execute(f"DESCRIBE {table}").fetchall()
                declared = ", ".join(f"{c[0]} {c[1].replace('VARCHAR', 'VARCHAR(200)')}" for c in columns)
                rows = source.execute(f"SELECT * FROM {table}").fetchall()
                marks = ", ".join(["%s"] * len(columns))
                execute(port, f"CREATE TABLE {table} ({declared})", f"INSERT INTO {table} VALUES ({marks})",
                        database="his", many=tuple(rows))  # fmt: skip
        marks = ", ".join(["%s"] * len(ROW))
        execute(port, TYPES, f"INSERT INTO `odd ``types` VALUES ({marks}, POINT(1, 2))", database="odd", many=(ROW,))
        execute(
            port,
            "INSERT INTO `odd ``types` (id) VALUES (1)",
            "SET SESSION sql_mode = ''",
            "CREATE TABLE dates (id INT PRIMARY KEY, day DATE, at DATETIME)",
            "INSERT INTO dates VALUES (1, '0000-00-00', '0000-00-00'), (2, '2020-00-00', '2020-01-02 03:04'), "
            "(3, '2020-01-31', NULL), (4, NULL, '0000-00-00')",
            "CREATE TABLE words (id INT PRIMARY KEY, a VARCHAR(20) CHARACTER SET utf8mb4,"
            " b VARCHAR(20) CHARACTER SET gbk, c VARCHAR(20) CHARACTER SET latin1)",
            "INSERT INTO words VALUES (1, '糖尿病𠮷', '高血压', 'é')",
            "CREATE VIEW many AS SELECT seq AS n, REPEAT('x', 1000) AS filling FROM seq_1_to_60000",
            "CREATE TABLE nothing (a INT)",
            "CREATE TABLE bytes (a BLOB)",
            database="odd",
        )
        yield port, authority


@pytest.fixture
def url(server):
    return f"mysql://reader:{PASSWORD}@127.0.0.1:{server[0]}/his"


@pytest.fixture
def odd(url):
    return url.removesuffix("his") + "odd"


def cells(path):
    """Every table of a loaded file, row by row."""
    with Workbench(path, read_only=True) as bench:
        names = [
            (schema, name)
            for schema, name in bench.rows(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name IN ('main', 'ingest')"
                " AND table_name NOT IN ('cdm_source', 'release', 'part') ORDER BY 1, 2"
            )
        ]
        return {name: sorted(map(repr, bench.rows(f'SELECT * FROM {schema}."{name}"'))) for schema, name in names}


def test_a_load_is_the_same_cell_by_cell(world, url, tmp_path):
    read = read_mapping(EXAMPLE)
    load(read, f"duckdb://{world}", tmp_path / "file.duckdb", today=TODAY)
    report = load(read, url, tmp_path / "server.duckdb", today=TODAY)
    assert report.tables["measurement"] > 100
    assert report.manifest["notes"] == []
    assert cells(tmp_path / "server.duckdb") == cells(tmp_path / "file.duckdb")
    assert not load(read, url, tmp_path / "server.duckdb", today=TODAY).changed
    assert PASSWORD.encode() not in (tmp_path / "server.duckdb").read_bytes()
    assert [path.name for path in tmp_path.glob("*.work/*")] == []


def test_a_scan_and_a_draft_are_the_same(world, url, tmp_path):
    seen = {}
    for name, address in (("file", f"duckdb://{world}"), ("server", url)):
        found = scan(address, folder=tmp_path / name)
        for table in found["tables"]:
            del table["files"]
        seen[name] = found["tables"]
        propose(address, tmp_path / f"draft-{name}" / "mapping.yaml", "river")
    assert seen["server"] == seen["file"]
    assert "drug" in check_against(read_mapping(EXAMPLE), url)  # strength and unit are not used
    drafts = [{p.name: p.read_text() for p in (tmp_path / f"draft-{name}").iterdir()} for name in seen]
    assert drafts[0] == drafts[1]


def test_the_command_line_scans_and_shows_no_password(url, tmp_path, monkeypatch):
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(atoll, ["source", "scan", url.replace("/his", "/odd?table=dates"), "--out", "scan.json"])
    said = done.stdout + done.stderr
    assert done.exit_code == 0, said
    assert "dates: 4 rows" in said
    assert "dates.day: 2 dates that are none (as 0000-00-00) are missing" in said
    assert PASSWORD not in said.replace(url, "")


def test_types(odd):
    with open_server(odd) as opened:
        table = pa.Table.from_batches(list(opened.batches("odd `types")))
        assert opened.notes == ["odd `types: left out photo, raw, place, which holds bytes"]
    empty, row = sorted(table.to_pylist(), key=lambda one: one["id"])
    assert row == {
        "id": 2**64 - 1, "tiny": 3, "small": 65535, "year": 1999, "cost": Decimal("12.30"), "long_id": Decimal(10**29),
        "short_id": 123456789, "age": 61.5, "score": 0.5, "yes": True, "flags": 0x81,
        "seen": datetime.date(2024, 1, 31), "at": datetime.datetime(2024, 1, 31, 8, 30, 0, 1),
        "stamp": datetime.datetime(2024, 1, 31, 8, 30), "clock": "08:30:00", "kind": "乙", "doc": '{"a": 1}',
        "note": "长" * 9,
    }  # fmt: skip
    assert set(list(empty.values())[1:]) == {None}


def test_chinese_text_in_every_encoding(odd):
    (row,) = pa.Table.from_batches(list(record_batches(f"{odd}?table=words"))).to_pylist()
    assert row == {"id": 1, "a": "糖尿病𠮷", "b": "高血压", "c": "é"}


def test_a_date_that_is_none_is_missing_and_told(odd, tmp_path):
    report = load(mapping(tmp_path / "m", BIRTHS), odd, tmp_path / "cdm.duckdb", today=TODAY)
    assert report.tables["person"] == 1
    assert report.manifest["notes"] == ["dates.day: 2 dates that are none (as 0000-00-00) are missing",
                                        "dates.at: 2 dates that are none (as 0000-00-00) are missing"]  # fmt: skip
    assert sum(one["rows"] for one in report.rejected) == 3


def test_all_tables_are_of_one_moment_and_nothing_can_be_written(server, odd):
    root = f"mysql://root@127.0.0.1:{server[0]}/odd"
    with open_server(root) as opened:
        execute(server[0], "INSERT INTO nothing VALUES (1)", database="odd")
        assert [batch.num_rows for batch in opened.batches("nothing")] == []
        with pytest.raises(pymysql.Error, match="READ ONLY"):
            opened._rows("INSERT INTO nothing VALUES (2)")
    assert sum(batch.num_rows for batch in record_batches(f"{root}?table=nothing")) == 1
    execute(server[0], "DELETE FROM nothing", database="odd")


def test_a_stream_is_left_without_reading_it_to_its_end(odd, monkeypatch):
    with open_server(odd) as opened:
        assert next(opened.batches("many")).num_rows == servers.FIRST
    monkeypatch.setattr(servers, "MEMORY", 1_000_000)
    found = [batch.num_rows for batch in record_batches(f"{odd}?table=many")]
    assert sum(found) == 60_000
    assert max(found) <= 1_000


def killed(port):
    """End all connections of the reader."""
    connection = pymysql.connect(host="127.0.0.1", port=port, user="root")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'reader'")
        for (number,) in cursor.fetchall():
            cursor.execute(f"KILL {number}")


def test_a_lost_connection_is_a_sentence(server, odd):
    with open_server(odd) as opened:
        batches = opened.batches("many")
        next(batches)
        killed(server[0])
        with pytest.raises(Unreachable, match=r"server at 127\.0\.0\.1 broke off while the table 'many' was read\."):
            list(batches)


def test_what_ends_in_the_middle_leaves_the_release(server, odd, tmp_path, monkeypatch):
    read, target = (
        mapping(tmp_path / "m", BIRTHS + BIRTHS.partition("rules:\n")[2].replace("dates", "more")),
        tmp_path / "c",
    )
    execute(server[0], "CREATE TABLE more SELECT id + 10 AS id, day FROM dates WHERE id = 3", database="odd")
    load(read, odd, target, today=TODAY)
    before, true = target.read_bytes(), copies._write
    execute(server[0], "UPDATE more SET day = '2020-02-01'", database="odd")

    def ends(how):
        def write(opened, table, path):
            if table == "more":
                how()
            true(opened, table, path)

        return write

    def interrupt():
        raise KeyboardInterrupt

    for how, what in ((interrupt, KeyboardInterrupt), (lambda: killed(server[0]), Unreachable)):
        monkeypatch.setattr(copies, "_write", ends(how))
        with pytest.raises(what):
            load(read, odd, target, today=TODAY)
        assert target.read_bytes() == before
    monkeypatch.setattr(copies, "_write", true)
    assert load(read, odd, target, today=TODAY).changed
    execute(server[0], "DROP TABLE more", database="odd")


def test_a_wrong_password_or_database(server, url, monkeypatch):
    for wrong in (url.replace(PASSWORD, "wrong7"), url.replace("/his", "/nowhere"), url.replace("127.0.0.1", "::1x")):
        with pytest.raises((Unreachable, OperatorError)) as caught:
            open_server(wrong)
        assert PASSWORD not in str(caught.value)
        assert "wrong7" not in str(caught.value)
        assert caught.value.__cause__ is None
    bare = url.replace(f":{PASSWORD}", "")
    with pytest.raises(Unreachable, match=r"MySQL server at 127\.0\.0\.1 does not let us in or does not answer"):
        open_server(bare)
    monkeypatch.setenv("ATOLL_SOURCE_PASSWORD", PASSWORD)
    servers.settings.cache_clear()
    try:
        with open_server(bare) as opened:
            assert "patient" in opened.tables()
    finally:
        monkeypatch.undo()
        servers.settings.cache_clear()


def test_the_servers_certificate_is_held_against_the_authority(server, url, tmp_path):
    with open_server(f"{url}?tls_ca={server[1]}") as opened:
        assert opened._rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]
    with pytest.raises(Unreachable, match=r"offers no encrypted connection that can be trusted\. Add \?tls_ca=FILE"):
        open_server(f"{url.replace('127.0.0.1', 'localhost')}?tls_ca={server[1]}")  # of another name


def test_tables_that_are_not_there(odd, tmp_path):
    with open_server(odd) as opened:
        assert opened.tables() == ["bytes", "dates", "many", "nothing", "odd `types", "words"]
        assert [column.name for column in opened.columns("his.patient")][:2] == ["patient_no", "birth_date"]
        assert [column.name for column in opened.columns("WORDS")] == ["id", "a", "b", "c"]
        for name in ("nowhere", "mysql.user", "words`; DROP TABLE words; --"):
            with pytest.raises(DataError, match=r"has no table .* that this user may read"):
                opened.columns(name)
        with pytest.raises(DataError, match=r"'bytes' has no column that can be read"):
            opened.columns("bytes")
    with pytest.raises(DataError, match=r"The schema 'empty' has no table that this user may read"):
        scan(odd.removesuffix("odd") + "empty", folder=tmp_path)
    with pytest.raises(DataError, match=r"The address names no database"):
        scan(odd.removesuffix("odd"), folder=tmp_path)


def test_a_table_becomes_a_dataset(odd, tmp_path):
    from atoll.features.imports import import_source

    notes: list[str] = []
    rows = import_source(f"{odd}?table=odd `types".replace(" ", "%20"), tmp_path / "x.parquet", notes=notes)
    assert (rows, notes) == (2, ["odd `types: left out photo, raw, place, which holds bytes"])
    assert json.dumps(notes)
