"""A release in PostgreSQL and for Spark: the same cells as in the file, put in force at once, an older one gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from atoll import settings
from atoll.cdm.create import describe, validate
from atoll.cdm.database import connection_to
from atoll.cdm.parquet import in_force
from atoll.cdm.tables import tables
from atoll.cdm.workbench import Workbench, quoted
from atoll.errors import DataError, OperatorError
from atoll.ingest.load import load_url
from atoll.ingest.mapping import read_mapping
from atoll.ingest.release import manifest_of
from atoll.simulate.world import simulate
from tests.cdm import spark_or_skip
from tests.ingest.exports import MAPPING, RESULTS, TODAY, mapping, write
from tests.ingest.test_far_numbers import DRUG, DRUGS

SYNTHEA = Path(__file__).parents[2] / "examples" / "exports" / "synthea" / "mapping.yaml"
MORE = RESULTS + "d,1,v1,2020-01-11,2345-7,1,mg/dL\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A site's folder of its own."""
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "home"))
    settings.settings.cache_clear()
    yield
    settings.settings.cache_clear()


@pytest.fixture(params=["postgresql", "spark"])
def target(request, tmp_path):
    """The URL of a place beside which DuckDB's file is held."""
    if request.param == "postgresql":
        return f"{request.getfixturevalue('database')}?schema=cdm"
    spark_or_skip()
    return f"spark:local?folder={tmp_path}/parquet"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A simulated hospital's export, with its planted faults, and what DuckDB holds of it."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder / "world", 1500, shapes=("synthea",))
    export = folder / "world" / "reef" / "export"
    load_url(read_mapping(SYNTHEA), str(export), f"duckdb://{folder}/cdm.duckdb", today=TODAY)
    return export, folder / "cdm.duckdb"


def cells(url):
    """All tables at a URL: their rows, in an order of their own."""
    engine, connection = connection_to(url)
    try:
        found = {}
        for name, table in tables().items():
            if engine == "spark":
                rows = connection.table(name).select(*table.columns).collect()
            else:
                rows = connection.execute(f"SELECT {', '.join(map(quoted, table.columns))} FROM {name}").fetchall()
            found[name] = sorted(repr(tuple(row)) for row in rows)
        return found
    finally:
        if engine == "postgresql":
            connection.close()


def test_cell_by_cell(target, simulated):
    export, file = simulated
    load_url(read_mapping(SYNTHEA), str(export), target, today=TODAY)
    with Workbench(file, read_only=True) as bench:
        ours = {
            name: sorted(map(repr, bench.rows(f"SELECT {', '.join(map(quoted, table.columns))} FROM main.{name}")))
            for name, table in tables().items()
        }
    assert len(ours["measurement"]) > 1000
    theirs = cells(target)
    for name in tables():
        assert theirs[name] == ours[name], name
    if target.startswith("postgresql"):  # the same cells are the same findings, and Spark takes its time
        assert [finding for finding in validate(target).findings if finding.severe] == []
    carried, held = describe(target), describe(f"duckdb://{file}")
    assert carried["tables"] == held["tables"]
    assert carried["release"]["plan"] == held["release"]["plan"]


def test_numbers_and_days_beyond_all_engines_are_nothing_on_each(target, tmp_path):
    made, export = mapping(tmp_path / "m", MAPPING + DRUG), str(write(tmp_path / "x", drugs=DRUGS))
    load_url(made, export, target, today=TODAY)
    load_url(made, export, f"duckdb://{tmp_path}/cdm.duckdb", today=TODAY)
    columns = ", ".join(map(quoted, tables()["drug_exposure"].columns))
    with Workbench(tmp_path / "cdm.duckdb", read_only=True) as bench:
        ours = sorted(map(repr, bench.rows(f"SELECT {columns} FROM main.drug_exposure")))
    assert len(ours) == 3
    assert cells(target)["drug_exposure"] == ours


def test_a_release_follows_another(target, tmp_path):
    made = mapping(tmp_path / "m")
    assert load_url(made, str(write(tmp_path / "x")), target, today=TODAY).release == 1
    again = load_url(made, str(tmp_path / "x"), target, today=TODAY)
    assert (again.release, again.changed) == (1, False)
    write(tmp_path / "x", results=MORE)
    report = load_url(made, str(tmp_path / "x"), target, today=TODAY)
    assert (report.release, report.changed) == (2, True)
    there = describe(target)
    assert (there["tables"]["measurement"], there["release"]) == (4, report.manifest)


def test_a_release_that_the_target_lost_is_put_there_again(target, tmp_path):
    made = mapping(tmp_path / "m")
    load_url(made, str(write(tmp_path / "x")), target, today=TODAY)
    _lose(target)
    report = load_url(made, str(tmp_path / "x"), target, today=TODAY)
    assert (report.release, report.changed) == (1, True)
    assert describe(target)["tables"]["measurement"] == 3


def _lose(target):
    if target.startswith("spark"):
        (Path(target.partition("=")[2]) / "release.json").unlink()
        return
    import psycopg

    with psycopg.connect(target.partition("?")[0]) as connection:
        connection.execute("DROP SCHEMA cdm CASCADE")


def test_postgresql_keeps_no_schema_of_an_older_release(database, tmp_path):
    import psycopg

    for results in (RESULTS, MORE):
        export = write(tmp_path / "x", results=results)
        load_url(mapping(tmp_path / "m"), str(export), f"{database}?schema=cdm", today=TODAY)
    with psycopg.connect(database) as connection:
        schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cdm%' ORDER BY 1").fetchall()
        assert schemas == [("cdm",), ("cdm_r2",)]


@pytest.mark.parametrize("made", ["CREATE TABLE research AS SELECT 1 AS mine", "CREATE TABLE concept AS SELECT 1 AS c"])
def test_a_file_that_no_load_made_is_never_replaced(tmp_path, made):
    import duckdb

    own = tmp_path / "own.duckdb"
    with duckdb.connect(str(own)) as connection:
        connection.execute(made)
    before = own.read_bytes()
    with pytest.raises(OperatorError, match=r"own.duckdb holds data that no load of Atoll put there"):
        load_url(mapping(tmp_path), str(write(tmp_path)), f"duckdb://{own}", today=TODAY)
    assert own.read_bytes() == before
    with duckdb.connect(str(own)) as connection:
        connection.execute(f"DROP TABLE {made.split()[2]}")
        connection.execute("CREATE TABLE person (person_id BIGINT)")
    assert load_url(mapping(tmp_path), str(write(tmp_path)), f"duckdb://{own}", today=TODAY).changed


def test_a_folder_keeps_the_release_that_someone_may_still_read(tmp_path):
    folder, made = tmp_path / "parquet", mapping(tmp_path / "m")
    url, seen = f"spark:local?folder={folder}", []
    (folder / "release-notes").mkdir(parents=True)  # not Atoll's
    for results in (RESULTS, MORE, MORE + "e,1,v1,2020-01-12,2345-7,1,mg/dL\n"):
        load_url(made, str(write(tmp_path / "x", results=results)), url, today=TODAY)
        seen.append(in_force(folder))
    assert [place.name[:10] for place in seen] == ["release-1-", "release-2-", "release-3-"]
    assert [place.exists() for place in seen] == [False, True, True]
    with Workbench() as bench:
        held = [bench.value(f"SELECT count(*) FROM '{place}/measurement.parquet'") for place in seen[1:]]
    assert held == [4, 5]
    assert {path.name for path in folder.iterdir()} == {"release.json", "release-notes", seen[1].name, seen[2].name}
    home = settings.settings().home / "releases"
    assert describe(f"duckdb://{folder}")["release"] == manifest_of(next(home.glob("*.duckdb")))


@pytest.mark.parametrize("url", ["spark:local", "spark:local?schema=cdm", "spark://host:7077?folder=s3://bucket/cdm"])
def test_spark_needs_a_folder(url, tmp_path):
    with pytest.raises(OperatorError, match="names none on a disk here"):
        load_url(mapping(tmp_path / "m"), str(write(tmp_path / "x")), url, today=TODAY)


def test_a_pointer_to_nowhere(tmp_path):
    (tmp_path / "release.json").write_text('{"folder": "../elsewhere"}')
    with pytest.raises(DataError, match=r"release\.json names no folder with a release\. Load again"):
        in_force(tmp_path)
