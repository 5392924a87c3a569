"""Opening a CDM on DuckDB and PostgreSQL: it cannot be written, scratch tables can; refusals are sentences."""

from __future__ import annotations

import datetime
from decimal import Decimal

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atoll.cdm.database import connect, connection_to, record_batches
from atoll.cdm.sql import Sql, joined, name, sql
from atoll.cdm.workspace import open_workspace
from atoll.errors import DataError, OperatorError, Unreachable

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def duckdb_url(tmp_path):
    path = tmp_path / "cdm.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA cdm; CREATE TABLE cdm.cdm.person (person_id BIGINT, born DATE)")
        connection.execute("INSERT INTO cdm.cdm.person VALUES (1, DATE '1960-02-29')")
    return f"duckdb:///{path}?schema=cdm"


@pytest.fixture
def postgresql_url(database):
    with psycopg.connect(database) as connection:
        connection.execute("CREATE SCHEMA cdm; CREATE TABLE cdm.person (person_id BIGINT, born DATE)")
        connection.execute("INSERT INTO cdm.person VALUES (1, DATE '1960-02-29')")
    return f"{database}?schema=cdm"


@pytest.fixture
def folder_url(tmp_path):
    table = pa.table({"person_id": [1], "born": [datetime.date(1960, 2, 29)]})
    pq.write_table(table, tmp_path / "person.parquet")
    return f"duckdb:///{tmp_path}"


@pytest.fixture(params=["duckdb_url", "postgresql_url", "folder_url"])
def workspace(request):
    backend = connect(request.getfixturevalue(request.param), threads=1, memory="1GB")
    with open_workspace(backend) as opened:
        yield opened
    backend.disconnect()


def test_scratch_tables_stand_beside_a_cdm_that_is_only_read(workspace):
    assert workspace.columns("person") == ("person_id", "born")
    assert workspace.columns("death") is None
    scratch = workspace.table("x")
    day = workspace.dialect.shift(sql("born"), 1)
    workspace.create(scratch, sql("SELECT person_id, {day} AS day FROM person", day=day))
    workspace.append(scratch, sql("SELECT {n}, NULL", n=-7))
    workspace.settle(scratch)
    assert sorted(workspace.fetch(sql("SELECT * FROM {t}", t=scratch)).to_pylist(), key=str) == [
        {"person_id": -7, "day": None},
        {"person_id": 1, "day": datetime.date(1960, 3, 1)},
    ]
    workspace.upload(workspace.table("y"), pa.table({"a": [1, None], "b": ["é\t'\\", None]}))
    assert workspace.fetch(sql("SELECT b FROM atoll_y WHERE a = 1")).to_pylist() == [{"b": "é\t'\\"}]
    workspace.close()
    with pytest.raises(DataError, match=r"The CDM lacks a table: .*atoll_x"):
        workspace.size(scratch)


def test_nothing_is_written_into_the_cdm(duckdb_url, postgresql_url):
    for url in (duckdb_url, postgresql_url):
        backend = connect(url)
        with pytest.raises((duckdb.Error, psycopg.Error), match=r"read-only"):
            backend.con.execute("CREATE TABLE mine AS SELECT 1 AS a")
        backend.disconnect()


def test_an_ibis_table_is_there(duckdb_url):
    backend = connect(duckdb_url)
    assert backend.table("person", database=("cdm", "cdm")).columns == ("person_id", "born")
    backend.disconnect()


def test_texts_are_quoted_and_plain_strings_refused(workspace):
    nasty = "O'Brien\\'; DROP TABLE person; --"
    text = workspace.dialect.text(nasty)
    assert workspace.fetch(sql("SELECT {t} AS t", t=text)).to_pylist() == [{"t": nasty}]
    like = joined(", ", (workspace.dialect.like(sql("'a\\b'"), p) for p in ("a\\b", "a_b", "A%", "%b")))
    assert list(workspace.fetch(sql("SELECT {l}", l=like)).to_pylist()[0].values())[:1] == [True]
    with pytest.raises(TypeError, match=r"str is not a part of SQL"):
        sql("SELECT {x}", x="1; DROP TABLE person")
    with pytest.raises(ValueError, match=r"not a name"):
        name('a"b')
    assert sql("{a} {b}", a=Decimal("-1.5"), b=datetime.date(2020, 1, 2)) == (
        "CAST(-1.5 AS DECIMAL(38, 4)) DATE '2020-01-02'"
    )
    assert type(name("a_1")) is Sql


def test_what_cannot_be_opened_is_a_sentence(tmp_path, database):
    for url, error, words in [
        ("mysql://x", OperatorError, r"cannot be reached by 'mysql'\. Give duckdb:///FILE"),
        (f"duckdb:///{tmp_path}/none.duckdb", DataError, r"There is no file .*none.duckdb"),
        (f"duckdb:///{tmp_path}", DataError, r"holds no \.parquet file"),
        ("postgresql://u:hunter2@127.0.0.1:1/d", Unreachable, r"127\.0\.0\.1 does not let us in or does not answer"),
        (f"{database}?schema=nowhere", DataError, r"no schema 'nowhere'"),
        (f"{database}?schema=a;b", OperatorError, r"names no schema"),
    ]:
        with pytest.raises(error, match=words) as caught:
            connect(url)
        assert "hunter2" not in str(caught.value)
    (tmp_path / "no.duckdb").write_bytes(b"x" * 5000)
    with pytest.raises(DataError, match=r"cannot be opened as a DuckDB file"):
        connect(f"duckdb:///{tmp_path}/no.duckdb")
    for limits, words in [({"threads": 0}, r"0 threads"), ({"memory": "much"}, r"no amount of memory")]:
        with pytest.raises(OperatorError, match=words):
            connect("duckdb:///x", **limits)


def test_a_path_that_begins_where_one_is_gets_the_whole_one(tmp_path, monkeypatch):
    duckdb.connect(str(tmp_path / "cdm.duckdb")).close()
    monkeypatch.chdir(tmp_path)
    url = "duckdb:///cdm.duckdb"
    for opened in (lambda: connection_to(url), lambda: list(record_batches(f"{url}?table=t"))):
        with pytest.raises(DataError, match=r"There is no file /cdm\.duckdb") as found:
            opened()
        assert found.value.remedy == f"Did you mean duckdb:///{tmp_path / 'cdm.duckdb'}?"


def test_a_driver_that_is_not_installed_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ibis", None)
    with pytest.raises(OperatorError, match=r"Install the extra: pip install 'atoll\[cdm\]'"):
        connect("duckdb:///x")
