"""A release beside what others have: nothing of theirs is dropped, whoever reads one release reads it to its end, and
no transaction of somebody's makes a load hang."""

from __future__ import annotations

from pathlib import Path

import duckdb
import psycopg
import pytest
from click.testing import CliRunner

from atoll import settings
from atoll.cdm import parquet, releases
from atoll.cdm.marks import rows_of
from atoll.cdm.parquet import hold, in_force
from atoll.cdm.sql import sql
from atoll.cdm.workbench import Workbench
from atoll.cdm.workspace import workspace_at
from atoll.cli.main import atoll
from atoll.errors import DataError, OperatorError
from atoll.ingest.load import load_url
from tests.ingest.exports import MAPPING, RESULTS, TODAY, mapping, write

MORE = RESULTS + "d,1,v1,2020-01-11,2345-7,1,mg/dL\n"
MOST = MORE + "e,1,v1,2020-01-12,2345-7,1,mg/dL\n"
ROWS = sql("SELECT COUNT(*) AS n FROM measurement")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A site's folder of its own."""
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "home"))
    settings.settings.cache_clear()
    yield
    settings.settings.cache_clear()


@pytest.fixture
def load(tmp_path, database):
    """Loads results into the schema `keep`, or another place."""

    def loads(results=RESULTS, url=f"{database}?schema=keep"):
        export = write(tmp_path / "x", results=results)
        return load_url(mapping(tmp_path / "m"), str(export), url, today=TODAY)

    return loads


@pytest.fixture
def admin(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def analyst(admin, database):
    """The URL of a user who may read what is granted."""
    name = f"analyst_{database[-12:]}"
    admin.execute(f"CREATE ROLE {name} LOGIN")
    yield database.replace("atoll@", f"{name}@"), name
    admin.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def one(connection, query):
    return connection.execute(query).fetchone()[0]


def numbers(workspace):
    release = workspace.fetch(sql("SELECT MAX(number) AS n FROM atoll_release"))
    return release.column(0)[0].as_py(), workspace.fetch(ROWS).column(0)[0].as_py()


def test_what_others_have_in_the_schema_of_the_first_release_stays(admin, load, database):
    admin.execute(
        "CREATE DOMAIN idcard AS text; CREATE SEQUENCE seq; CREATE SCHEMA hr; CREATE TABLE hr.staff"
        " (id bigint DEFAULT nextval('public.seq'), card public.idcard); INSERT INTO hr.staff (card) VALUES ('x');"
        " CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 7'; CREATE TABLE mine AS SELECT 1 AS a"
    )
    assert load(url=f"{database}?schema=public").changed
    assert load(MORE, f"{database}?schema=public").release == 2
    assert admin.execute("SELECT id, card FROM hr.staff").fetchall() == [(1, "x")]
    assert (one(admin, "SELECT f()"), one(admin, "SELECT a FROM mine"), one(admin, "SELECT nextval('seq')")) == (
        7,
        1,
        2,
    )
    assert one(admin, "SELECT count(*) FROM measurement") == 4


def test_what_others_add_to_a_release_stays_and_their_views_read_the_next(admin, load):
    load()
    admin.execute(
        "CREATE SCHEMA study; CREATE VIEW study.results AS SELECT measurement_id FROM keep.measurement;"
        " CREATE TABLE keep.review_of_charts AS SELECT 5 AS n; INSERT INTO keep.cohort VALUES (1, 2, '2020-01-01',"
        " '2020-01-02'); COMMENT ON VIEW keep.person IS 'ask Li'; COMMENT ON SCHEMA keep IS 'ours'"
    )
    load(MORE)
    assert one(admin, "SELECT count(*) FROM study.results") == 4
    assert (one(admin, "SELECT n FROM keep.review_of_charts"), one(admin, "SELECT subject_id FROM keep.cohort")) == (
        5,
        2,
    )
    assert one(admin, "SELECT obj_description('keep.person'::regclass)") == "ask Li"
    assert one(admin, "SELECT obj_description('keep'::regnamespace)") == "ours"


def test_who_could_read_a_release_can_read_the_next(admin, load, analyst):
    url, name = analyst
    load()
    admin.execute(
        f"GRANT USAGE ON SCHEMA keep TO {name}; GRANT SELECT ON keep.measurement, keep.atoll_release TO {name};"
        f" GRANT SELECT (person_id) ON keep.person TO {name}"
    )
    load(MORE)
    with psycopg.connect(url) as connection:
        assert one(connection, "SELECT count(*) FROM keep.measurement") == 4
        assert one(connection, "SELECT count(person_id) FROM keep.person") == 3
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT year_of_birth FROM keep.person")
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM keep_r2.measurement")  # a right that is taken from them is gone as a whole


def test_views_with_another_owner_can_be_read(admin, load, analyst):
    url, name = analyst
    load()
    admin.execute(f"GRANT ALL ON SCHEMA keep TO {name}; ALTER VIEW keep.measurement OWNER TO {name}")
    load(MORE)
    with psycopg.connect(url) as connection:
        assert one(connection, "SELECT count(*) FROM keep.measurement") == 4


@pytest.mark.parametrize(
    "made", ["TABLE {}.person AS SELECT 1 AS person_id", "VIEW {}.person AS SELECT 1 AS a", "TABLE {}.atoll_release ()"]
)
def test_what_stands_in_the_place_of_a_view_is_refused(admin, load, made):
    admin.execute("CREATE SCHEMA keep")
    admin.execute("CREATE " + made.format("keep"))
    if "atoll_release" in made:  # as an old release has it, but a view hangs on a table of it
        admin.execute(
            "CREATE TABLE keep.person (person_id int); CREATE VIEW public.adults AS SELECT * FROM keep.person"
        )
        with pytest.raises(
            OperatorError, match=r"Something hangs on a table .*: view adults depends on table keep\.person"
        ):
            load()
    else:
        with pytest.raises(OperatorError, match=r"keep holds tables that no load of Atoll put there.*: person\."):
            load()
    assert one(admin, "SELECT count(*) FROM keep.person") == int("AS" in made)
    admin.execute("DROP VIEW IF EXISTS public.adults")
    admin.execute(f"DROP {made.split()[0]} IF EXISTS keep.person")
    assert load().changed is True


def test_empty_tables_give_their_grants_to_the_views_and_keep_what_guards_them(admin, load, analyst):
    url, name = analyst
    admin.execute(
        "CREATE SCHEMA keep; CREATE TABLE keep.person (person_id int); CREATE POLICY few ON keep.person USING (false)"
    )
    admin.execute(f"GRANT USAGE ON SCHEMA keep TO {name}; GRANT SELECT ON keep.person TO {name}")
    with pytest.raises(OperatorError, match=r"The table keep\.person has the policy few, which the view"):
        load()
    admin.execute("DROP POLICY few ON keep.person")
    load()
    with psycopg.connect(url) as connection:
        assert one(connection, "SELECT count(*) FROM keep.person") == 3


def test_a_schema_that_only_looks_like_a_release_stays(admin, load):
    admin.execute("CREATE SCHEMA keep_r1; CREATE TABLE keep_r1.person AS SELECT 1 AS a")
    load()
    load(MORE)
    assert one(admin, "SELECT a FROM keep_r1.person") == 1
    schemas = admin.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'keep%' ORDER BY 1").fetchall()
    assert schemas == [("keep",), ("keep_r1",), ("keep_r2",)]


def test_an_analysis_reads_one_release_to_its_end_while_two_others_come(admin, load, database):
    load()
    url = f"{database}?schema=keep"
    with workspace_at(url) as before:
        before.create(before.table("mine"), sql("SELECT person_id FROM person"))
        assert numbers(before) == (1, 3)
        assert rows_of(before, "measurement") == 3
        said = load(MORE).left
        assert said == ["The schema keep_r1 of an earlier release stays until the next load: an analysis reads it"]
        with workspace_at(url) as after:
            assert numbers(after) == (2, 4)
        assert load(MOST).left == said  # and the second, which nobody reads, is gone
        assert numbers(before) == (1, 3)
        assert before.columns("cohort") is not None
        before.append(before.table("mine"), sql("SELECT person_id FROM death"))
        assert before.size(before.table("mine")) == 4
    assert load(MOST).changed is False
    schemas = admin.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'keep%' ORDER BY 1").fetchall()
    assert schemas == [("keep",), ("keep_r3",)]


def test_who_may_read_the_views_alone_is_told_of_another_release(admin, load, analyst):
    url, name = analyst
    load()
    admin.execute(f"GRANT USAGE ON SCHEMA keep TO {name}; GRANT SELECT ON ALL TABLES IN SCHEMA keep TO {name}")
    with workspace_at(f"{url}?schema=keep") as workspace:
        assert numbers(workspace) == (1, 3)
        load(MORE)
        with pytest.raises(DataError, match=r"Another release was put in force while this one was read\."):
            workspace.fetch(ROWS)
        with pytest.raises(DataError, match=r"Another release"):
            workspace.create(workspace.table("x"), sql("SELECT person_id FROM person"))
    with workspace_at(f"{url}?schema=keep") as workspace:
        assert numbers(workspace) == (2, 4)


def test_a_transaction_that_does_not_end_is_named_and_nothing_hangs(admin, load, database, monkeypatch):
    monkeypatch.setattr(releases, "WAIT", "100ms")
    monkeypatch.setattr(releases, "TRIES", 2)
    load()
    with psycopg.connect(database) as idle:
        idle.execute("SELECT * FROM keep.measurement")
        with pytest.raises(
            OperatorError, match=r"complete and waits: atoll \(process \d+\) reads the schema keep in a"
        ):
            load(MORE)
        assert one(admin, "SELECT count(*) FROM keep.measurement") == 3
    copied = one(admin, "SELECT 'keep_r2.person'::regclass::oid::bigint")
    assert load(MORE).changed is True
    assert one(admin, "SELECT 'keep_r2.person'::regclass::oid::bigint") == copied  # not a second time
    with psycopg.connect(database) as idle:
        idle.execute("SELECT * FROM keep_r2.measurement")  # past the views
        said = load(MOST).left
        assert len(said) == 1
        assert said[0].startswith("The schema keep_r2 of an earlier release stays until the next load: atoll (process ")
    assert load(MOST).left == []
    assert one(admin, "SELECT to_regnamespace('keep_r2')") is None


def test_the_command_says_what_stays(admin, load, tmp_path, database):
    load()
    (tmp_path / "m" / "small.yaml").write_text(MAPPING, "utf-8")
    admin.execute("CREATE VIEW public.direct AS SELECT * FROM keep_r1.person")
    export = write(tmp_path / "x", results=MORE)
    typed = ["load", str(tmp_path / "m" / "small.yaml"), "--from", str(export), "--cdm", f"{database}?schema=keep"]
    done = CliRunner().invoke(atoll, [*typed, "--today", "2026-01-01"])
    assert (
        "Note: The schema keep_r1 of an earlier release stays until the next load: view direct depends on"
        in done.output
    )
    assert one(admin, "SELECT count(*) FROM direct") == 3


def test_two_loads_from_two_machines(admin, load):
    with releases.only_load(admin, "keep"), pytest.raises(OperatorError, match=r"Another load into the schema keep of"):
        load()
    assert load().changed


def test_zero_bytes_are_cleaned_where_a_table_is_read_and_older_ones_do_not_stop_a_release(load, admin, tmp_path):
    load(RESULTS.replace("9999-9", "\x0099\x009-9\x00"))
    assert admin.execute("SELECT concept_code FROM keep.concept WHERE concept_id >= 2000000000").fetchall() == [
        ("999-9",)
    ]
    file = next((tmp_path / "home" / "releases").glob("*.duckdb"))
    with duckdb.connect(str(file)) as older:  # as a release made before had it
        for table in ("main.concept", "ingest.local_concept"):
            older.execute(f"UPDATE {table} SET concept_code = '99' || chr(0) || '9-9' WHERE concept_id >= 2000000000")
    admin.execute("DROP SCHEMA keep CASCADE")
    assert load(RESULTS.replace("9999-9", "\x0099\x009-9\x00")).changed
    number = one(admin, "SELECT concept_id FROM keep.concept WHERE concept_code = '999-9'")
    load(MORE.replace("9999-9", "999-9"))
    assert admin.execute("SELECT concept_id FROM keep.concept WHERE concept_code = '999-9'").fetchall() == [(number,)]
    with Workbench(file, read_only=True) as bench:
        assert bench.value("SELECT count(*) FROM ingest.local_concept WHERE contains(concept_code, chr(0))") == 0


@pytest.mark.parametrize(
    "made", ["TABLE research AS SELECT 1 AS a", "VIEW research AS SELECT 1 AS a", "SEQUENCE research",
             "TABLE ingest.research AS SELECT 1 AS a", "MACRO research(x) AS x"]
)  # fmt: skip
def test_what_others_add_to_a_file_is_refused(load, tmp_path, made):
    file = tmp_path / "cdm.duckdb"
    load(url=f"duckdb://{file}")
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"CREATE {made}")
    before = file.read_bytes()
    with pytest.raises(
        OperatorError, match=rf"no load of Atoll put there.*: the {made.split()[0].lower()} \w+\.research"
    ):
        load(MORE, f"duckdb://{file}")
    assert file.read_bytes() == before


def test_cohorts_that_analyses_wrote_into_a_file_go_along(load, tmp_path):
    file = tmp_path / "cdm.duckdb"
    load(url=f"duckdb://{file}")
    with duckdb.connect(str(file)) as connection:
        connection.execute("INSERT INTO cohort VALUES (1, 2, '2020-01-01', '2020-01-02')")
    assert load(MORE, f"duckdb://{file}").release == 2
    with duckdb.connect(str(file)) as connection:
        assert one(connection, "SELECT subject_id FROM cohort") == 2
        assert one(connection, "SELECT count(*) FROM measurement") == 4


def test_a_link_to_a_file_is_followed(load, tmp_path):
    (tmp_path / "disk").mkdir()
    link, file = tmp_path / "cdm.duckdb", tmp_path / "disk" / "real.duckdb"
    link.symlink_to(file)
    for results in (RESULTS, MORE):
        load(results, f"duckdb://{link}")
    assert link.is_symlink()
    with duckdb.connect(str(file), read_only=True) as connection:
        assert one(connection, "SELECT count(*) FROM measurement") == 4


def test_a_folder_that_an_analysis_reads_stays_as_long_as_it_does(load, tmp_path):
    folder = tmp_path / "parquet"
    url = f"spark:local?folder={folder}"
    load(url=url)
    place, let_go = hold(folder)
    for results in (MORE, MOST):
        load(results, url)
    assert place != in_force(folder)
    assert (place / "person.parquet").exists()
    let_go()
    load(MOST + "f,1,v1,2020-01-13,2345-7,1,mg/dL\n", url)
    assert not place.exists()
    assert len([made for made in Path(folder).iterdir() if parquet._MADE.fullmatch(made.name)]) == 2
