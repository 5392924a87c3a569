"""Tables of databases by their URL: DuckDB and PostgreSQL give the same rows; nothing is written, nothing leaks."""

from __future__ import annotations

import datetime

import duckdb
import psycopg
import pyarrow as pa
import pytest

from atoll.cdm import database as module
from atoll.cdm.database import is_url, record_batches, without_password
from atoll.errors import DataError, Unreachable
from atoll.features.imports import import_source
from atoll.features.table import ParquetTable

CREATE = """
CREATE TABLE visits (
  id bigint, small smallint, age double precision, score real, cost numeric(10, 2), smoker boolean,
  sex text, seen date, "when" timestamp, "odd ""name" integer)
"""
ROWS = [
    (2**53 + 1, 1, 61.5, 0.5, 12.25, True, "女", datetime.date(2024, 1, 31), datetime.datetime(2024, 1, 31, 8, 30), 1),
    (2, None, None, None, None, None, None, None, None, None),
]


@pytest.fixture
def duckdb_url(tmp_path):
    path = tmp_path / "clinic.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(CREATE)
        connection.executemany("INSERT INTO visits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ROWS)
        connection.execute("CREATE SCHEMA ward; CREATE TABLE ward.empty (a integer)")
    return f"duckdb:///{path}"


@pytest.fixture
def postgresql_url(database):
    with psycopg.connect(database) as connection:
        connection.execute(CREATE)
        connection.cursor().executemany("INSERT INTO visits VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", ROWS)
        connection.execute("CREATE SCHEMA ward; CREATE TABLE ward.empty (a integer)")
    return database


@pytest.fixture(params=["duckdb_url", "postgresql_url"])
def url(request):
    return request.getfixturevalue(request.param)


def test_every_column_arrives(url):
    table = pa.Table.from_batches(list(record_batches(f"{url}?table=visits")))
    assert table.num_rows == 2
    row, empty = table.to_pylist()
    assert (row["id"], row["small"], row["age"], row["score"], row["smoker"]) == (2**53 + 1, 1, 61.5, 0.5, True)
    assert float(row["cost"]) == 12.25
    assert (row["sex"], row["seen"], row['odd "name']) == ("女", datetime.date(2024, 1, 31), 1)
    assert str(row["when"]).startswith("2024-01-31 08:30")
    assert set(list(empty.values())[1:]) == {None}


def test_a_table_becomes_a_dataset(url, tmp_path):
    assert import_source(f"{url}?table=visits", tmp_path / "visits.parquet") == 2
    assert ParquetTable(tmp_path / "visits.parquet").columns[:2] == ("id", "small")


def test_many_rows_come_in_batches(postgresql_url, monkeypatch):
    with psycopg.connect(postgresql_url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS many AS SELECT generate_series(1, 1000) AS n")
    monkeypatch.setattr(module, "BATCH", 300)
    batches = list(record_batches(f"{postgresql_url}?table=many"))
    assert [batch.num_rows for batch in batches] == [300, 300, 300, 100]
    assert sum(sum(batch.column(0).to_pylist()) for batch in batches) == 500_500


def test_a_schema_can_be_named_and_an_empty_table_is_said_to_be_empty(url, tmp_path):
    with pytest.raises(DataError, match=r"The source has no rows\. Is it the right one\?"):
        import_source(f"{url}?table=ward.empty", tmp_path / "x.parquet")


@pytest.mark.parametrize("table", ["nowhere", "ward.nowhere", 'visits"; DROP TABLE visits; --', "visits WHERE 1=1"])
def test_a_table_that_is_not_there_is_a_sentence_and_no_command(url, table):
    from urllib.parse import quote

    with pytest.raises(DataError, match=r"has no table"):
        list(record_batches(f"{url}?table={quote(table)}"))
    assert sum(batch.num_rows for batch in record_batches(f"{url}?table=visits")) == 2


def test_an_address_without_a_table(url):
    with pytest.raises(DataError, match=r"The address names no table\. Add \?table=NAME at its end"):
        list(record_batches(url))


def test_a_view_cannot_read_other_files(tmp_path):
    path = tmp_path / "view.duckdb"
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE VIEW v AS SELECT * FROM read_csv('{tmp_path}/secret.csv')")
    with pytest.raises(DataError, match=r"cannot be opened as a DuckDB file"):
        list(record_batches(f"duckdb:///{path}?table=v"))


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_a_file_that_is_no_database(tmp_path, content):
    (tmp_path / "x.duckdb").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be opened as a DuckDB file|has no table"):
        list(record_batches(f"duckdb:///{tmp_path}/x.duckdb?table=t"))
    with pytest.raises(DataError, match=r"There is no file"):
        list(record_batches(f"duckdb:///{tmp_path}/nowhere.duckdb?table=t"))
    assert not (tmp_path / "nowhere.duckdb").exists()


def test_a_server_that_does_not_answer_is_named_without_the_password():
    with pytest.raises(Unreachable) as caught:
        list(record_batches("postgresql://user:hunter2@127.0.0.1:1/db?table=t"))
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "hunter2" not in str(chain)
        chain = chain.__cause__
    assert "127.0.0.1 does not let us in or does not answer. Check address, user and password." in str(caught.value)


def test_a_table_that_may_not_be_read(postgresql_url):
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
    guest = postgresql_url.replace("atoll@", "guest@")
    with pytest.raises(DataError, match=r"may not be read by this user\. Ask the database's operator for SELECT"):
        list(record_batches(f"{guest}?table=visits"))


def test_a_failing_view_does_not_show_its_value(postgresql_url):
    with psycopg.connect(postgresql_url) as connection:
        connection.execute("CREATE OR REPLACE VIEW bad AS SELECT sex::integer FROM visits")
    with pytest.raises(DataError, match=r"cannot be read from the database") as caught:
        list(record_batches(f"{postgresql_url}?table=bad"))
    assert "女" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_only_known_schemes_are_urls():
    assert is_url("duckdb:///x?table=t")
    assert not is_url("/data/people.csv")
    with pytest.raises(DataError, match=r"^https://example.org/people.csv is no address that data are read from"):
        is_url("https://example.org/people.csv")
    with pytest.raises(DataError) as caught:
        is_url("postgres://ana:hunter2@host/db")
    assert "hunter2" not in f"{caught.value}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://h/db?user=u&password=hunter2", "postgresql://h/db?user=u"),
        (
            "postgresql://ana:hunter2@host:5432/db?schema=cdm&table=t",
            "postgresql://ana@host:5432/db?schema=cdm&table=t",
        ),
        ("postgresql://ana:hun@hunter2@host/db", "postgresql://ana@host/db"),
        ("postgresql://ana:hun?hunter2@host/db", "postgresql://ana@host/db"),
        ("postgresql://ana:hun#hunter2@host/db", "postgresql://ana@host/db"),
        ("postgresql://ana:hun/hunter2@host/db", "postgresql://***"),
        ("postgresql://ana:hun/x?hunter2@host/db", "postgresql://***"),
        ("postgresql://host?sslmode=require&sslpassword=hunter2", "postgresql://host?sslmode=require"),
        ("postgresql://host/db?passfile=/home/hunter2&pass%77ord=hunter2", "postgresql://host/db"),
        ("postgresql://ana@host/db?options=-c%20x%3D1", "postgresql://ana@host/db?options=-c%20x%3D1"),
        ("spark://host:7077?folder=/data/a@b&token=hunter2", "spark://host:7077?folder=/data/a@b"),
        ("spark:local?folder=/data&fs.s3a.secret.key=hunter2", "spark:local?folder=/data"),
        ("duckdb:///home/x@y/cdm.duckdb?schema=cdm", "duckdb:///home/x@y/cdm.duckdb?schema=cdm"),
        ("postgres://ana:hunter2@host/db", "postgres://ana@host/db"),
        ("/data/a@b:c/people?.csv", "/data/a@b:c/people?.csv"),
    ],
)
def test_no_password_is_shown_wherever_it_stands(url, shown):
    assert without_password(url) == shown
