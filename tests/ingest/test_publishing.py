"""A release in PostgreSQL: the same cells as in the file, put in force at once, an older one gone."""

from __future__ import annotations

from atoll.cdm.create import validate
from atoll.cdm.tables import tables
from atoll.cdm.workbench import Workbench, quoted
from atoll.ingest.load import load_url
from tests.ingest.exports import RESULTS, TODAY, mapping, write


def test_cell_by_cell(tmp_path, database, monkeypatch):
    import psycopg

    from atoll import settings

    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "home"))
    settings.settings.cache_clear()
    try:
        url = f"{database}?schema=cdm"
        load_url(mapping(tmp_path / "m"), str(write(tmp_path / "x")), f"duckdb://{tmp_path}/cdm.duckdb", today=TODAY)
        load_url(mapping(tmp_path / "m"), str(write(tmp_path / "x")), url, today=TODAY)
        with psycopg.connect(database) as connection, Workbench(tmp_path / "cdm.duckdb", read_only=True) as bench:
            for name, table in tables().items():
                listed = ", ".join(quoted(column) for column in table.columns)
                theirs = connection.execute(f"SELECT {listed} FROM cdm.{name}").fetchall()
                ours = bench.rows(f"SELECT {listed} FROM main.{quoted(name)}")
                assert sorted(map(repr, theirs)) == sorted(map(repr, ours)), name
        assert [finding for finding in validate(url).findings if finding.severe] == []
        write(tmp_path / "x", results=RESULTS + "d,1,v1,2020-01-11,2345-7,1,mg/dL\n")
        assert load_url(mapping(tmp_path / "m"), str(tmp_path / "x"), url, today=TODAY).release == 2
        with psycopg.connect(database) as connection:
            assert connection.execute("SELECT count(*) FROM cdm.measurement").fetchone() == (4,)
            schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cdm%'").fetchall()
            assert schemas == [("cdm",)]
    finally:
        settings.settings.cache_clear()
