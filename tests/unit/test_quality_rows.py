"""From a failed check to its rows: as many as were counted, on every engine, and only where a steward asks."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from atoll.cdm.sql import sql
from atoll.cli.main import atoll as command
from atoll.errors import DataError
from atoll.quality import persons
from atoll.quality.check import Check
from atoll.quality.rows import Row, check_called, faulty_rows
from atoll.quality.run import all_checks, run
from tests.cdm import Engine, load_duckdb, tables
from tests.unit.test_quality import FAULTS, GLUCOSE, MGDL, PROSTATE, change, clean, engine

__all__ = ["engine"]
KEYS = ("unique_key", "one_row_a_person")  # of these every row of a repeated key is listed, also the first
EVERY = 1_000_000


def test_as_many_rows_are_listed_as_were_counted(engine):
    rows = clean()
    for plant in FAULTS.values():
        rows = plant(rows)
    with engine.workspace(rows) as workspace:
        failed = [found for found in run(workspace) if found.verdict == "failed" and found.check.of_rows]
        shapes = {found.check.shape for found in failed}
        for found in failed:
            listed = faulty_rows(workspace, check_called(found.check.id), EVERY)
            assert len(listed) >= 1, found.check.id
            if found.check.family not in KEYS:
                assert len(listed) == found.faults, found.check.id
    assert shapes >= {"rows", "codes", "links", "key", "persons", "sexes", "tests"}


@pytest.mark.parametrize(
    ("identity", "fault", "listed"),
    [
        ("unit_plausible:measurement.unit_concept_id:3004501", {"unit_concept_id": 7}, Row(1, 2, 7)),
        ("one_unit:measurement.value_as_number:3004501", {"unit_concept_id": 7, "value_as_number": 5.0}, Row(1, 2, 5)),
        ("no_negative:measurement.value_as_number:3004501", {"value_as_number": -4.25}, Row(1, 2, -4.25)),
        ("unit_given:measurement.unit_concept_id", {"unit_concept_id": None}, Row(1, 2, None)),
        ("reference_known:measurement.person_id:person", {"person_id": 777}, Row(777, 2, 777)),
    ],
)
def test_a_row_is_listed_by_person_key_and_value(engine, identity, fault, listed):
    with engine.workspace(change(clean(), "measurement", **fault)) as workspace:
        assert faulty_rows(workspace, check_called(identity), 10) == [listed]


def test_no_more_rows_than_asked_for(engine):
    rows = change(clean(), "condition_occurrence", 9, condition_concept_id=PROSTATE)
    with engine.workspace(rows) as workspace:
        check = check_called(f"sex_possible:condition_occurrence.condition_concept_id:{PROSTATE}:male")
        found = faulty_rows(workspace, check, 3)
    assert found == [Row(1, 1, PROSTATE), Row(3, 3, PROSTATE), Row(5, 5, PROSTATE)]  # odd persons are women


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ("unit_givn:measurement.unit_concept_id", "Did you mean unit_given:measurement.unit_concept_id"),
        ("no_gap:measurement:gap", "is not about single rows"),
        ("same_over_years:measurement.value_as_number:3004501", "is not about single rows"),
        ("table_there:measurement", "whether a table or column is there"),
        ("before_death:drug_exposure.drug_exposure_start_date", "has not what before_death"),
    ],
)
def test_what_cannot_be_listed_is_a_sentence(identity, said):
    engine = Engine("duckdb", None)
    try:
        with engine.workspace(clean()) as workspace:
            workspace._columns["drug_exposure"] = None  # as where there is none
            with pytest.raises(DataError) as caught:
                faulty_rows(workspace, check_called(identity), 1)
    finally:
        engine.close()
    assert said in f"{caught.value}"


def test_the_command_prints_keys_and_says_that_there_are_more(tmp_path):
    with duckdb.connect(str(tmp_path / "cdm.duckdb")) as connection:
        load_duckdb(connection, tables(change(clean(), "measurement", 3, unit_concept_id=None)))
    words = ["quality", "rows", "unit_given:measurement.unit_concept_id", "--cdm", f"duckdb:///{tmp_path}/cdm.duckdb"]
    told = CliRunner().invoke(command, [*words, "--limit", "2"])
    assert told.exit_code == 0, told.output
    lines = [line.split() for line in told.stdout.splitlines()]
    assert lines == [["person_id", "row", "unit_concept_id"], ["1", "2"], ["1", "3"]]
    assert "There are more: --limit 20" in told.stderr
    document = json.loads(CliRunner().invoke(command, [*words, "--json"]).stdout)
    assert document["rows"][2] == {"person": 2, "row": 4, "value": None} and not document["more"]


def test_no_program_that_sends_can_list_rows():
    contracts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["tool"]["importlinter"]
    (held,) = [one for one in contracts["contracts"] if one["id"] == "listed"]
    assert (
        held["forbidden_modules"] == ["atoll.quality.rows", "atoll.ingest.trace"]
        and "allow_indirect_imports" not in held
    )
    assert {"atoll.site", "atoll.network", "atoll.hub", "atoll.ui"} <= set(held["source_modules"])


def flag(*checks: Check, monkeypatch, rows):
    monkeypatch.setattr(persons, "all_checks", lambda: list(checks))
    engine = Engine("duckdb", None)
    try:
        with engine.workspace(rows) as workspace:
            return persons.person_table(workspace).to_pydict()
    finally:
        engine.close()


def test_each_check_of_codes_reads_its_own_column(monkeypatch):
    """Two checks of one table, and one that asks the concept: as columns of a dataset and as rows."""
    rows = change(clean(6), "measurement", 2, measurement_concept_id=0)  # person 1
    change(rows, "measurement", 12, value_as_concept_id=GLUCOSE)
    rows["measurement"][4]["value_as_concept_id"] = 0  # person 3
    rows["measurement"][10].update(unit_concept_id=GLUCOSE)  # person 6
    for concept in rows["concept"]:
        concept["domain_id"] = "Unit" if concept["concept_id"] == MGDL else "Measurement"
    codes = Check("code_mapped", "completeness", "codes", "measurement", fault=sql("value = 0"))
    test, word = (replace(codes, column=column) for column in ("measurement_concept_id", "value_as_concept_id"))
    domain = replace(codes, family="unit_given", column="unit_concept_id", fault=sql("c.domain_id <> 'Unit'"))
    found = flag(test, word, domain, monkeypatch=monkeypatch, rows=rows)
    assert found["measurement_code_mapped"] == [1, 0, 1, 0, 0, 0]
    assert found["measurement_unit_given"] == [0, 0, 0, 0, 0, 1]


def test_a_check_that_reads_what_its_shape_has_not_is_refused():
    with pytest.raises(ValueError, match="reads a concept as `c`, which only a check of `codes` has"):
        Check("required", "conformance", "rows", "person", fault=sql("c.concept_id IS NULL"))
    with pytest.raises(ValueError, match="and no person"):
        Check("required", "conformance", "codes", "person", fault=sql("p.year_of_birth IS NULL"))
    assert len(all_checks()) > 2_000
