"""A hospital's checks as a dataset: the same flags on every engine, compared by hospitals through the gate."""

from __future__ import annotations

import secrets

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

import atoll
from atoll.cli.main import atoll as command
from atoll.errors import DataError
from atoll.quality.persons import PERSON, dictionary, person_table
from atoll.study.dictionary import Column
from tests.cdm import Engine, load_duckdb, tables
from tests.unit.test_quality import change, clean

HBA1C = 3004410  # LOINC 4548-4, as references.csv has it
SITES = ("north", "river", "shore", "tower")
COMPARED = ["measurement_unit_given", "measurement_visit_linked", "visit_occurrence_end_after_start",
            "condition_occurrence_code_mapped"]  # fmt: skip


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def engine(request, tmp_path_factory):
    database = ""
    if request.param == "postgresql":
        import psycopg

        server, own = request.getfixturevalue("postgres"), f"persons_{secrets.token_hex(6)}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {own}")
        database = f"{server}/{own}"
    engine = Engine(request.param, tmp_path_factory.mktemp("persons"), database)
    yield engine
    engine.close()


def faulty(n=12):
    """Persons 1 … n with faults of several kinds; person n has no measurement."""
    rows = clean(n)
    change(rows, "measurement", 3, unit_concept_id=None)  # both of person 1, one of person 2
    change(rows, "visit_occurrence", visit_end_date="2018-12-31")
    change(rows, "condition_occurrence", 4, condition_concept_id=0)
    rows["measurement"] = [row for row in rows["measurement"] if row["person_id"] != n]
    rows["measurement"][6]["measurement_date"] = "1850-01-01"  # person 4
    rows["death"] = [{"person_id": 3, "death_date": "2018-06-01"}]
    return rows


def flags(engine, rows):
    with engine.workspace(rows) as workspace:
        return person_table(workspace).to_pydict()


def test_a_flag_says_whose_records_are_at_fault(engine):
    found = flags(engine, faulty())
    assert list(found) == list(dictionary())
    assert found[PERSON] == list(range(1, 13))
    assert found["measurement_unit_given"] == [1, 1, *[0] * 9, None]
    assert found["visit_occurrence_end_after_start"] == [1, *[0] * 11]
    assert found["condition_occurrence_code_mapped"] == [1] * 4 + [0] * 8
    assert found["measurement_not_ancient"] == [0, 0, 0, 1, *[0] * 7, None]
    assert found["measurement_after_birth"][3] == 1
    assert found["condition_occurrence_before_death"] == [None, None, 1, *[None] * 9]  # only the dead are looked at
    assert found["drug_exposure_code_mapped"] == [None] * 12


def test_of_each_test_the_last_value_stands_as_it_is(engine):
    rows = faulty()
    of = {"measurement_concept_id": HBA1C, "measurement_type_concept_id": 1, "person_id": 5}
    rows["measurement"] += [
        of | {"measurement_id": 901, "measurement_date": "2021-01-01", "value_as_number": 9.5},
        of | {"measurement_id": 902, "measurement_date": "2021-01-02", "value_as_number": 6.5},
        of | {"measurement_id": 903, "measurement_date": "2021-01-02", "value_as_number": 46.25, "unit_concept_id": 1},
        of | {"measurement_id": 904, "measurement_date": "2021-01-03", "value_as_number": None},
    ]
    found = flags(engine, rows)
    assert found["test_hba1c_4548_4"] == [None] * 4 + [46.25] + [None] * 7
    assert [value is None for value in found["test_glucose_2345_7"]] == [False] * 11 + [True]


def test_a_database_without_a_table_has_its_columns(engine):
    rows = faulty()
    with engine.workspace(rows) as workspace:
        workspace._columns["measurement"] = None  # as where there is none
        found = person_table(workspace).to_pydict()
    assert list(found) == list(dictionary())
    assert found["measurement_unit_given"] == [None] * 12
    assert found["visit_occurrence_end_after_start"] == [1, *[0] * 11]


def test_a_database_without_persons(tmp_path):
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.execute("CREATE TABLE visit_occurrence (person_id INTEGER)")
    from atoll.cdm.workspace import workspace_at

    with (
        workspace_at(f"duckdb:///{tmp_path}/a.duckdb") as workspace,
        pytest.raises(DataError, match="has no table of persons"),
    ):
        person_table(workspace)


def hospital(site):
    """A hospital's table: everywhere some faults, at river many numbers without a unit, at shore no visit is linked."""
    r = np.random.default_rng(SITES.index(site))
    rows = clean(400)
    for row in rows["measurement"]:
        if r.random() < (0.35 if site == "river" else 0.03):
            row["unit_concept_id"] = None
        if site == "shore" or r.random() < 0.05:
            row["visit_occurrence_id"] = None
    for row in rows["condition_occurrence"]:
        if r.random() < 0.1:
            row["condition_concept_id"] = 0
    engine = Engine("duckdb", None)
    try:
        with engine.workspace(rows) as workspace:
            return person_table(workspace)
    finally:
        engine.close()


def test_hospitals_compare_their_quality_through_the_gate():
    network = atoll.Network({site: hospital(site) for site in SITES}, policy="strict", columns=dictionary())
    document = network.run("comparability", columns=COMPARED).document
    found = {
        (site, finding["column"], finding["kind"])
        for site, seen in document["sites_apart"].items()
        for finding in seen["findings"]
    }
    assert found == {
        ("river", "measurement_unit_given", "share"),
        ("shore", "measurement_visit_linked", "share"),
    }
    river = document["sites_apart"]["river"]["columns"]["measurement_unit_given"]
    assert 0.4 < river["shares"]["1"] < 0.7
    described = network.run("describe", columns=COMPARED)
    assert described.document


def sugar(site, n=400):
    """A hospital's CDM with HbA1c: at river in mmol/mol, as its laboratory reports it, with no word of the unit."""
    r = np.random.default_rng(SITES.index(site))
    rows = clean(n)
    rows["measurement"] = [
        row | {"measurement_concept_id": HBA1C, "unit_concept_id": 0, "value_as_number": round(value, 1)}
        for row in rows["measurement"] if (value := float(r.normal(6.4, 0.8))) and r.random() < 0.7
    ]  # fmt: skip
    if site == "river":
        for row in rows["measurement"]:
            row["value_as_number"] = round((row["value_as_number"] - 2.152) / 0.09148)  # as study.units
    return rows


def test_hba1c_in_mmol_mol_at_one_hospital_of_three_is_found_from_cdm_to_finding(tmp_path):
    made = {}
    for site in SITES[:3]:
        with duckdb.connect(str(tmp_path / f"{site}.duckdb")) as connection:
            load_duckdb(connection, tables(sugar(site)))
        made[site] = tmp_path / f"{site}.parquet"
        words = ["quality", "persons", "--cdm", f"duckdb:///{tmp_path}/{site}.duckdb", "--out", str(made[site])]
        done = CliRunner().invoke(command, words)
        assert done.exit_code == 0, done.output
    network = atoll.Network(made, policy="strict", columns=dictionary())
    document = network.run("comparability", columns=[*COMPARED, "test_hba1c_4548_4", "test_creatinine_2160_0"]).document
    found = {site: seen["findings"] for site, seen in document["sites_apart"].items()}
    assert found["north"] == found["shore"] == []
    (finding,) = found["river"]
    assert (finding["column"], finding["kind"], finding["looks_like"]) == ("test_hba1c_4548_4", "unit", "mmol/mol")
    assert finding["here"] == pytest.approx(46, rel=0.1) and finding["elsewhere"] == pytest.approx(6.4, rel=0.1)


def test_the_command_writes_what_a_site_registers(tmp_path):
    file = tmp_path / "cdm.duckdb"
    with duckdb.connect(str(file)) as connection:
        load_duckdb(connection, tables(faulty()))
    words = ["quality", "persons", "--cdm", f"duckdb:///{file}", "--out", str(tmp_path / "q.parquet"), "--json"]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "q.parquet").stat().st_mode & 0o777 == 0o600, "rows of patients"
    table = pq.read_table(tmp_path / "q.parquet")
    described = yaml.safe_load((tmp_path / "q.dictionary.yaml").read_text("utf-8"))["columns"]
    assert table.column_names == list(described)
    assert {name: Column.from_document(one) for name, one in described.items()} == dictionary()
    home = ["--home", str(tmp_path / "site")]
    files = ["--from", str(tmp_path / "q.parquet"), "--dictionary", str(tmp_path / "q.dictionary.yaml")]
    for words in (["init"], ["dataset", "add", "quality", *files]):
        done = CliRunner().invoke(command, ["site", *words, *home])
        assert done.exit_code == 0, done.output
    assert f"Registered quality: 12 rows, {len(dictionary())} columns" in done.output
