"""Simulated hospitals: the same seed gives the same world, the truth is consistent, exports say what the truth says."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from atoll.cli.main import atoll
from atoll.errors import DataError, OperatorError
from atoll.simulate.facts import CHRONIC, CONDITIONS, DRUGS, MEASUREMENTS, table
from atoll.simulate.faults import EXPECTED
from atoll.simulate.hospitals import HOSPITALS, SHAPES, choose, exporting
from atoll.simulate.life import START, YEAR, persons
from atoll.simulate.score import score
from atoll.simulate.shapes import shape_of
from atoll.simulate.world import simulate

PERSONS = 2_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "out"
    simulate(out, PERSONS, seed=7, shapes=SHAPES)
    return out


def read(world: Path, hospital: str, name: str) -> Any:
    return pq.read_table(world / hospital / "omop" / f"{name}.parquet")


def test_the_same_seed_gives_the_same_world(world: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "again", PERSONS, seed=7, shapes=SHAPES)

    def hashes(root: Path) -> dict[str, str]:
        files = [p for p in root.rglob("*") if p.is_file() and p.suffix != ".duckdb"]
        return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    assert hashes(world) == hashes(tmp_path / "again")


def test_what_is_exported_does_not_change_the_persons(world: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "bare", PERSONS, seed=7)
    for name in ("person", "measurement"):
        assert read(world, "coral", name).equals(read(tmp_path / "bare", "coral", name))


def test_prevalences_are_the_published_ones() -> None:
    hospital = [replace(HOSPITALS[0], age=0.0, male=0.5, burden=1.0, share=1.0)]
    people = persons(np.random.default_rng(5), 0, 40_000, hospital)
    age = (START - people.birth) / YEAR
    for row in table("prevalence.csv"):
        old = age >= float(row["from_age"])
        for male, column in ((True, "percent_male"), (False, "percent_female")):
            those = old & (people.male == male)
            target = float(row[column]) / 100
            seen = np.mean(people.onset[those, CHRONIC.index(row["key"])] <= START)
            noise = 4 * np.sqrt(max(target, 0.002) / those.sum())
            assert seen == pytest.approx(target, abs=max(0.05 * target, noise)), (row["key"], male)


def test_events_lie_within_lives(world: Path) -> None:
    for hospital in HOSPITALS:
        folder = world / hospital.name / "omop"
        with duckdb.connect() as connection:
            wrong = connection.execute(
                f"""
                WITH p AS (SELECT person_id, make_date(year_of_birth, month_of_birth, day_of_birth) AS birth,
                                  d.death_date AS death
                           FROM '{folder}/person.parquet' LEFT JOIN '{folder}/death.parquet' d USING (person_id)),
                e AS (SELECT person_id, visit_start_date AS a, visit_end_date AS b
                      FROM '{folder}/visit_occurrence.parquet'
                      UNION ALL SELECT person_id, condition_start_date, condition_end_date
                      FROM '{folder}/condition_occurrence.parquet'
                      UNION ALL SELECT person_id, drug_exposure_start_date, drug_exposure_end_date
                      FROM '{folder}/drug_exposure.parquet'
                      UNION ALL SELECT person_id, measurement_date, measurement_date
                      FROM '{folder}/measurement.parquet')
                SELECT count(*) FILTER (a < birth), count(*) FILTER (b < a), count(*) FILTER (a > death), count(*)
                FROM e JOIN p USING (person_id)
                """
            ).fetchone()
        assert wrong is not None
        assert wrong[:3] == (0, 0, 0)
        assert wrong[3] > 0


def test_some_persons_are_patients_of_several_hospitals(world: Path) -> None:
    people = pq.read_table(world / "truth" / "persons.parquet")
    counts = people.group_by("number").aggregate([("hospital", "count")])["hospital_count"].to_numpy()
    assert len(counts) == PERSONS
    assert 0.04 < np.mean(counts > 1) < 0.12
    births = people.group_by("number").aggregate([("birth", "count_distinct")])["birth_count_distinct"].to_numpy()
    assert (births == 1).all()


def test_drugs_and_diseases_act_on_laboratory_values(world: Path) -> None:
    parts = [read(world, h.name, name) for h in HOSPITALS for name in ("measurement",)]
    for hospital, values in zip(HOSPITALS, parts, strict=True):
        ill = read(world, hospital.name, "condition_occurrence")
        diabetes = next(int(row["concept_id"]) for row in CONDITIONS if row["key"] == "diabetes")
        hba1c = next(int(row["concept_id"]) for row in MEASUREMENTS if row["key"] == "hba1c")
        with_it = pc.unique(ill.filter(pc.equal(ill["condition_concept_id"], diabetes))["person_id"])
        value = values.filter(pc.equal(values["measurement_concept_id"], hba1c))
        has = pc.is_in(value["person_id"], with_it)
        if pc.sum(has).as_py() and pc.sum(pc.invert(has)).as_py():
            mean = [pc.mean(value.filter(mask)["value_as_number"]).as_py() for mask in (has, pc.invert(has))]
            assert mean[0] > mean[1] + 0.5


def test_every_kind_of_fault_is_planted_and_written_down(world: Path) -> None:
    with (world / "truth" / "faults.csv").open(encoding="utf-8", newline="") as file:
        faults = list(csv.DictReader(file))
    assert {fault["kind"] for fault in faults} == set(EXPECTED)
    assert {fault["shape"] for fault in faults} == set(SHAPES)
    lines: dict[Path, list[str]] = {}
    for fault in faults:
        if fault["shape"] not in ("his", "synthea", "fhir"):
            continue
        path = world / fault["hospital"] / "export" / fault["file"]
        encoding = "gb18030" if fault["shape"] == "his" else "utf-8"
        lines.setdefault(path, path.read_text(encoding).splitlines())
        assert fault["id"] in lines[path][int(fault["row"]) - 1]


def honest(world: Path, hospital: str, kind: str) -> int:
    with (world / "truth" / "faults.csv").open(encoding="utf-8", newline="") as file:
        return sum(row["hospital"] == hospital and row["table"] == kind for row in csv.DictReader(file))


def test_a_synthea_like_export_holds_every_event(world: Path) -> None:
    folder = world / "reef" / "export"
    for file, name in (("conditions", "condition_occurrence"), ("medications", "drug_exposure"),
                       ("observations", "measurement"), ("encounters", "visit_occurrence")):  # fmt: skip
        rows = pacsv.read_csv(folder / f"{file}.csv").num_rows
        assert rows - honest(world, "reef", file) == read(world, "reef", name).num_rows


def test_the_chinese_dump_holds_every_event_in_gb18030(world: Path) -> None:
    folder = world / "coral" / "export"
    options = pacsv.ReadOptions(encoding="gb18030")
    visits = pacsv.read_csv(folder / "就诊记录.csv", options)
    codes = sum(
        visits.num_rows - visits[f"诊断编码{i}"].null_count - _empty(visits[f"诊断编码{i}"]) for i in range(1, 9)
    )
    faults = sum(1 for row in csv.DictReader((world / "truth" / "faults.csv").open(encoding="utf-8"))
                 if row["hospital"] == "coral" and row["table"] == "就诊记录"
                 and row["kind"] not in ("ends_before_start", "unknown_patient"))  # fmt: skip
    assert codes - faults == read(world, "coral", "condition_occurrence").num_rows
    drugs = pacsv.read_csv(folder / "处方明细.csv", options).num_rows
    assert drugs - honest(world, "coral", "处方明细") == read(world, "coral", "drug_exposure").num_rows
    labs = pacsv.read_csv(folder / "检验结果.csv", options).num_rows - honest(world, "coral", "检验结果")
    vital = sum(
        visits.num_rows - visits[c].null_count - _empty(visits[c]) for c in ("收缩压", "舒张压", "体重", "身高")
    )
    assert labs + vital == read(world, "coral", "measurement").num_rows


def _empty(column: Any) -> int:
    return int(pc.sum(pc.equal(column.cast("string"), "")).as_py() or 0)


def test_fhir_lines_are_json_and_complete(world: Path) -> None:
    folder = world / "lagoon" / "export"
    for file, name in (("Observation", "measurement"), ("Condition", "condition_occurrence"),
                       ("MedicationRequest", "drug_exposure"), ("Encounter", "visit_occurrence")):  # fmt: skip
        resources = [json.loads(line) for line in (folder / f"{file}.ndjson").read_text("utf-8").splitlines()]
        assert all(resource["resourceType"] == file for resource in resources)
        faults = honest(world, "lagoon", file)
        assert len(resources) - faults == read(world, "lagoon", name).num_rows


def test_hl7_holds_every_event(world: Path) -> None:
    folder = world / "mangrove" / "export"
    for file, segment, name, kind in (("oru", "OBX|", "measurement", "labs"), ("adt", "DG1|", "condition_occurrence",
         "diagnoses"), ("rde", "RXE|", "drug_exposure", "drugs")):  # fmt: skip
        text = (folder / f"{file}.hl7").read_bytes().decode("gb18030")
        rows = sum(line.startswith(segment) for line in text.replace("\n", "\r").split("\r"))
        assert rows - honest(world, "mangrove", kind) == read(world, "mangrove", name).num_rows


def test_the_normalised_schema_joins(world: Path) -> None:
    with duckdb.connect(str(world / "harbour" / "export" / "hospital.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "SELECT count(*) FROM lab_result JOIN lab_order USING (order_no) JOIN lab_item USING (item_id)"
        ).fetchone()
    assert rows is not None
    assert rows[0] - honest(world, "harbour", "lab_result") == read(world, "harbour", "measurement").num_rows


def copied(world: Path, hospital: str, path: Path) -> str:
    with duckdb.connect(str(path)) as connection:
        for file in (world / hospital / "omop").glob("*.parquet"):
            connection.execute(f"CREATE TABLE {file.stem} AS SELECT * FROM '{file}'")
    return f"duckdb://{path}"


def test_the_truth_scores_full_marks(world: Path, tmp_path: Path) -> None:
    found = score(world, "reef", copied(world, "reef", tmp_path / "cdm.duckdb"))
    assert found.share == 1.0
    assert found.persons["unknown"] == found.persons["different"] == found.persons["doubled"] == 0
    assert found.values["right"] == found.values["unit_right"] == found.values["compared"] > 0
    assert all(part.false == 0 for part in found.tables.values())
    assert found.periods["right"] == found.periods["true"] == found.persons["true"]


def test_periods_that_begin_or_end_elsewhere_are_seen(world: Path, tmp_path: Path) -> None:
    url = copied(world, "reef", tmp_path / "cdm.duckdb")
    with duckdb.connect(str(tmp_path / "cdm.duckdb")) as connection:
        connection.execute(
            "UPDATE observation_period SET observation_period_end_date = '2026-01-01' WHERE person_id = 1"
        )
        connection.execute(
            "UPDATE observation_period SET observation_period_start_date = '1950-01-01' WHERE person_id = 2"
        )
        connection.execute("DELETE FROM observation_period WHERE person_id = 3")
    found = score(world, "reef", url).periods
    assert (found["found"], found["right"]) == (found["true"] - 1, found["true"] - 3)


def test_each_tables_own_unknown_code_must_be_named(world: Path, tmp_path: Path) -> None:
    url = copied(world, "reef", tmp_path / "cdm.duckdb")
    with duckdb.connect(str(tmp_path / "cdm.duckdb")) as connection:
        connection.execute("CREATE SCHEMA ingest")
        connection.execute('CREATE TABLE ingest.unmapped ("table" VARCHAR, concept_code VARCHAR, rows BIGINT)')
        connection.execute("INSERT INTO ingest.unmapped VALUES ('measurement', '99999-X', 1), ('person', 'X-4711', 9)")
    assert score(world, "reef", url).faults["unknown_code"] == {"planted": 6, "named": 1}


def test_a_bad_load_is_seen(world: Path, tmp_path: Path) -> None:
    url = copied(world, "reef", tmp_path / "cdm.duckdb")
    with duckdb.connect(str(tmp_path / "cdm.duckdb")) as connection:
        connection.execute("DELETE FROM condition_occurrence WHERE condition_occurrence_id % 10 = 0")
        connection.execute("UPDATE measurement SET value_as_number = value_as_number * 18 WHERE measurement_id % 5 = 0")
        connection.execute("INSERT INTO observation SELECT * FROM observation LIMIT 7")
        connection.execute("UPDATE person SET year_of_birth = 1900 WHERE person_id = 3")
        connection.execute("INSERT INTO person (person_id, person_source_value) VALUES (999999, 'stranger')")
    found = score(world, "reef", url)
    assert 0.88 < found.tables["condition_occurrence"].share < 0.92
    assert 0.75 < found.values["right"] / found.values["compared"] < 0.85
    assert found.tables["observation"].false == 7
    assert (found.persons["unknown"], found.persons["different"]) == (1, 1)


def test_a_number_kept_without_its_unit_is_neither_right_nor_wrong(world: Path, tmp_path: Path) -> None:
    url = copied(world, "reef", tmp_path / "cdm.duckdb")
    before = score(world, "reef", url).values
    with duckdb.connect(str(tmp_path / "cdm.duckdb")) as connection:
        connection.execute(
            "UPDATE measurement SET unit_concept_id = NULL, value_as_number = 1e6 WHERE measurement_id % 5 = 0"
        )
    after = score(world, "reef", url).values
    assert before["without_unit"] == 0 < after["without_unit"]
    assert after["compared"] == after["right"] == before["compared"] - after["without_unit"]


def test_a_load_without_a_table_scores_nothing_there(world: Path, tmp_path: Path) -> None:
    url = copied(world, "reef", tmp_path / "cdm.duckdb")
    with duckdb.connect(str(tmp_path / "cdm.duckdb")) as connection:
        connection.execute("DROP TABLE drug_exposure")
    assert score(world, "reef", url).tables["drug_exposure"].arrived == 0
    with pytest.raises(DataError, match="holds no hospital 'atlantis'"):
        score(world, "atlantis", url)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small"
    with pytest.raises(SystemExit) as ended:
        atoll.main(["simulate", str(out), "--persons", "300", "--hospitals", "2", "--shapes", "his", "--csv", "--json"])
    assert ended.value.code == 0
    manifest = json.loads(capsys.readouterr().out)
    assert [h["shape"] for h in manifest["hospitals"]] == ["his", ""]
    assert (out / "coral" / "omop" / "person.csv").exists()
    with pytest.raises(OperatorError, match="is not empty"):
        simulate(out, 10)
    with pytest.raises(SystemExit) as ended:
        atoll.main(["simulate", str(tmp_path / "x"), "--shapes", "hys"])
    assert ended.value.code == 2


def test_every_id_names_its_source() -> None:
    for rows in (CONDITIONS, DRUGS, MEASUREMENTS):
        assert all(row["source"] and int(row["concept_id"]) > 0 for row in rows)


def test_a_shape_that_is_asked_for_is_written_or_refused(tmp_path: Path) -> None:
    manifest = simulate(tmp_path / "one", 50, hospitals=1, shapes=["synthea"])
    assert [hospital["shape"] for hospital in manifest["hospitals"]] == ["synthea"]
    assert (tmp_path / "one" / "coral" / "export" / "patients.csv").is_file()
    assert [h.shape for h in exporting(choose(3), ["sql", "hl7"])] == ["hl7", "sql", ""]
    assert [h.shape for h in exporting(choose(6), list(SHAPES))] == [*(h.shape for h in HOSPITALS), "his"]
    with pytest.raises(OperatorError, match="2 export shapes need 2 hospitals, and there are 1: none is left for hl7"):
        simulate(tmp_path / "two", 50, hospitals=1, shapes=["his", "hl7"])
    with pytest.raises(OperatorError, match=r"There is no shape 'xml'\. There are: his, sql"):
        exporting(choose(1), ["xml"])
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_on_the_list_can_be_written_and_scored(shape: str) -> None:
    assert {to for _, to, _ in shape_of(shape).unknown} == {"condition_occurrence", "drug_exposure", "measurement"}


def test_a_shape_without_a_module_is_a_sentence() -> None:
    with pytest.raises(OperatorError, match=r"needs a class Shape in atoll/simulate/shapes/export\.py"):
        shape_of("export")
