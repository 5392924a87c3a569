"""Exports as systems of several countries name them: a draft loads each as it is, and says of which kind visits are."""

from __future__ import annotations

import pytest

from atoll.ingest.checking import check_against
from atoll.ingest.drafts.proposal import propose
from atoll.ingest.load import load
from atoll.ingest.mapping import read_mapping
from tests.ingest.exports import TODAY, rows
from tests.ingest.schemas import RESULTS, SCHEMAS, STAYS, N


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_draft_loads_a_hospitals_schema_as_it_is(tmp_path, name):
    schema, export = SCHEMAS[name], tmp_path / "export"
    export.mkdir()
    for table, text in schema.tables.items():
        (export / f"{table}.csv").write_text(text, "utf-8")
    propose(str(export), tmp_path / "m" / "own.yaml", "own")
    proposed = read_mapping(tmp_path / "m" / "own.yaml")
    check_against(proposed, str(export))
    report = load(proposed, str(export), tmp_path / "cdm.duckdb", today=TODAY)
    assert report.rejected == []
    counts = {"person": N, "visit_occurrence": STAYS, "condition_occurrence": STAYS, "drug_exposure": STAYS,
              "measurement": RESULTS, "death": schema.deaths}  # fmt: skip
    assert {table: report.tables.get(table, 0) for table in counts} == counts
    assert {
        kind for (kind,) in rows(tmp_path, "SELECT DISTINCT visit_concept_id FROM visit_occurrence")
    } >= schema.kinds
    whole = rows(
        tmp_path, "SELECT count(*) FROM measurement m JOIN visit_occurrence v USING (visit_occurrence_id) WHERE"
        " m.person_id = v.person_id AND m.measurement_date = v.visit_start_date AND m.value_as_number IS NOT NULL AND"
        " m.unit_concept_id > 0 AND m.measurement_source_value IS NOT NULL",
    )  # fmt: skip
    assert whole == [(RESULTS,)], "each with its patient, visit, day, number and unit"
    told = rows(
        tmp_path, "SELECT count(*) FROM condition_occurrence c JOIN visit_occurrence v USING (visit_occurrence_id)"
        " WHERE c.person_id = v.person_id AND c.condition_start_date = v.visit_start_date",
    )  # fmt: skip
    assert told == [(STAYS,)]


def drafted(tmp_path, **tables):
    export = tmp_path / "export"
    export.mkdir()
    for name, text in tables.items():
        (export / f"{name}.csv").write_text(text, "utf-8")
    made = propose(str(export), tmp_path / "m" / "own.yaml", "own")
    return made, (tmp_path / "m" / "own.yaml").read_text("utf-8")


def loaded(tmp_path):
    return load(
        read_mapping(tmp_path / "m" / "own.yaml"), str(tmp_path / "export"), tmp_path / "cdm.duckdb", today=TODAY
    )


PATIENTS = "病案号,性别,出生日期\n" + "".join(f"B{i},2,1950-03-0{1 + i % 9}\n" for i in range(N))


def test_orders_from_and_until_a_day_are_drugs(tmp_path):
    orders = "医嘱号,病案号,药品名称,开始日期,停止日期\n" + "".join(
        f"{i},B{i},二甲双胍片,2023-05-0{1 + i % 9},2023-06-0{1 + i % 9}\n" for i in range(N)
    )
    drafted(tmp_path, 病人=PATIENTS, 医嘱=orders)
    assert loaded(tmp_path).rejected == []
    days = rows(tmp_path, "SELECT DISTINCT drug_exposure_end_date - drug_exposure_start_date FROM drug_exposure")
    assert days == [(31,)]


def test_the_days_of_a_stay_are_not_those_of_a_drug(tmp_path):
    orders = "处方号,病案号,药品名称,入院日期,出院日期\n" + "".join(
        f"{i},B{i},二甲双胍片,2023-05-01,2023-06-01\n" for i in range(N)
    )
    _, text = drafted(tmp_path, 病人=PATIENTS, 处方=orders)
    drug = text.partition("- to: drug_exposure")[2]
    assert "drug_exposure_start_date: date(入院日期)" in drug and "drug_exposure_end_date" not in drug


def test_visits_in_tables_of_their_own_are_of_the_kind_that_the_table_names(tmp_path):
    stays = "住院号,病案号,入院日期,出院日期\n" + "".join(f"Z{i},B{i},2023-05-01,2023-05-09\n" for i in range(N))
    clinic = "门诊号,病案号,就诊日期\n" + "".join(f"M{i},B{i},2023-07-01\n" for i in range(N))
    drafted(tmp_path, 病人=PATIENTS, 住院记录=stays, 门诊记录=clinic)
    assert loaded(tmp_path).rejected == []
    found = rows(tmp_path, "SELECT visit_concept_id, count(*) FROM visit_occurrence GROUP BY 1 ORDER BY 1")
    assert found == [(9201, N), (9202, N)]


def test_a_kind_that_nothing_says_is_to_be_written(tmp_path):
    visits = "visit_no,patient_no,visit_date,end_date\n" + "".join(
        f"{i},B{i},2023-05-01,2023-05-09\n" for i in range(N)
    )
    _, text = drafted(tmp_path, patients=PATIENTS.replace("病案号", "patient_no"), visits=visits)
    assert "# TODO visit_concept_id: no column looks like the kind of the visits" in text


@pytest.mark.parametrize("day", ["检验日期", ""])
def test_a_wide_table_with_the_visit_alone_gets_its_patient_from_the_visits(tmp_path, day):
    stays = "住院号,病案号,入院日期,出院日期\n" + "".join(
        f"Z{i},B{i},2023-05-0{1 + i % 9},2023-05-19\n" for i in range(N)
    )
    head, cell = (f",{day}", lambda i: f",2023-05-1{i % 9}") if day else ("", lambda i: "")
    labs = f"单号,住院号{head},血糖(mmol/L),肌酐(μmol/L),钾(mmol/L)\n" + "".join(
        f"J{i},Z{i}{cell(i)},5.{i % 9},6{i % 9},4.{i % 9}\n" for i in range(N)
    )
    made, text = drafted(tmp_path, 病人=PATIENTS, 住院=stays, 检验宽表=labs)
    assert made.unused == {"检验宽表": ["单号"]}
    assert ("the visit's start: the table has no day" in text.partition("each:")[2]) == (not day)
    assert loaded(tmp_path).rejected == []
    assert rows(
        tmp_path, "SELECT count(*), count(DISTINCT person_id), count(visit_occurrence_id) FROM measurement"
    ) == [(3 * N, N, 3 * N)]


def test_two_pressures_in_one_cell_and_units_at_the_end_of_a_heading(tmp_path):
    signs = "序号,病案号,测量时间,血压,体温℃,身高cm,体重Kg\n" + "".join(
        f"{i},B{i},2023-05-01 08:00:00,{120 + i % 9}/{70 + i % 9},36.{i % 9},17{i % 9},6{i % 9}\n" for i in range(N)
    )
    made, _ = drafted(tmp_path, 病人=PATIENTS, 体征=signs)
    assert made.unused == {}
    assert loaded(tmp_path).rejected == []
    found = rows(tmp_path, "SELECT measurement_concept_id, unit_concept_id, min(value_as_number), count(*) FROM"
                 " measurement GROUP BY 1, 2 ORDER BY 1")  # fmt: skip
    assert found == [(3004249, 8876, 120.0, N), (3012888, 8876, 70.0, N), (3020891, 586323, 36.0, N),
                     (3025315, 9529, 60.0, N), (3036277, 8582, 170.0, N)]  # fmt: skip


def test_a_hospital_of_one_sex_has_its_list_filled_in(tmp_path):
    drafted(tmp_path, 病人=PATIENTS)
    assert (tmp_path / "m" / "sex.csv").read_text("utf-8") == f"code,concept_id,rows\n2,8532,{N}\n"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("result_no,test_name,result,unit\n1,Glucose,5,mmol/L\n", "looks like results; no number of a patient"),
        ("patient_no,test_name,taken\nB1,Glucose,x\n", "looks like results; no column that looks like a result"),
        ("patient_no,admit_date\nB1,2023-01-01\n", "no column that looks like the number or the kind of a visit"),
        ("a,b\n1,2\n", "no column's name says what the table is about"),
    ],
)
def test_a_table_that_is_not_drafted_says_what_was_lacking(tmp_path, table, said):
    made, text = drafted(tmp_path, patients=PATIENTS.replace("病案号", "patient_no"), other=table)
    assert said in made.lacking["other"]
    assert f"{made.lacking['other']}\n" in text.partition("# TODO not used: other")[2]


def test_a_rule_without_its_day_says_so(tmp_path):
    made, text = drafted(
        tmp_path, patients=PATIENTS.replace("病案号", "patient_no"),
        labs="patient_no,test_name,result\n" + "".join(f"B{i},Glucose,5.{i % 9}\n" for i in range(N)),
    )  # fmt: skip
    assert "# TODO measurement_date: no column looks like the day of the results" in text
    assert "labs: no column looks like the day of the results; write measurement_date." in made.notes


def test_of_two_numbers_of_a_patient_the_one_that_other_tables_have_is_the_key(tmp_path):
    patients = "mrn,patient_id,sex,birth_date\n" + "".join(f"R{i},{i},F,1950-01-0{1 + i % 9}\n" for i in range(N))
    _, text = drafted(tmp_path, patients=patients, visits="visit_id,patient_id,admit_time\n" + "".join(
        f"V{i},{i},2023-05-01\n" for i in range(N)))  # fmt: skip
    assert "key: patient_id\n" in text


def test_beside_an_admission_dod_is_the_discharge_and_beside_a_sex_the_death(tmp_path):
    _, text = drafted(
        tmp_path, patients="uhid,sex,dob,dod\n" + "".join(f"U{i},F,1950-01-01,\n" for i in range(N)),
        ip="ip_no,uhid,doa,dod\n" + "".join(f"I{i},U{i},2023-05-01,2023-05-02\n" for i in range(N)),
    )  # fmt: skip
    assert "visit_end_date: date(dod)" in text and "from: ip\n    where" not in text
