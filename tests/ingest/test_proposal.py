"""What a draft finds without being told: patients, visits, tests, units, vital signs, and what it leaves out."""

from __future__ import annotations

import csv
from datetime import date

import pytest

from atoll.cdm.workbench import Workbench
from atoll.ingest.checking import check_against
from atoll.ingest.drafts.code_lists import Wanted, code_list, told_unit
from atoll.ingest.drafts.proposal import propose
from atoll.ingest.load import load
from atoll.ingest.mapping import read_mapping
from atoll.ingest.scan import scan
from atoll.study.nodes import Problems
from tests.ingest.exports import TODAY, loaded, reasons, rows

N = 60
DAY = ("2023年5月3日", "2023-05-04 08:59:00", "2023/5/5")
PATIENTS = "住院号,姓名,性别,出生日期\n" + "".join(
    f"ZY{i:03},张{i},{'男性' if i % 2 else '女'},{'1950/3/4' if i % 3 else '1951-02-03'}\n" for i in range(N)
)
VISITS = "流水号,住院号,入院时间,出院时间,就诊类别,收缩压,体重,出院诊断\n" + "".join(
    f"V{i},ZY{i % N:03},{DAY[i % 3]},{DAY[i % 3]},{('门诊', '住院', '急诊')[i % 3]},1{i % 9}0,60,高血压\n"
    for i in range(2 * N)
)
RESULTS = "结果序号,住院号,流水号,采样时间,项目代码,项目名称,结果,单位,参考值\n" + "".join(
    f"{i},ZY{i % N:03},V{i % N},2023.05.0{1 + i % 3},JY{1 if i else 7},{'血糖' if i else '罕见'},"
    f"{'5.4,mmol/L' if i % 3 else '90,mg/dL'},\n"
    for i in range(2 * N)
)
ORDERS = "住院号,流水号,医嘱时间,药品,规格\n" + "".join(f"ZY{i:03},V{i},20230503,二甲双胍片,0.5g\n" for i in range(N))
DICTIONARY = "类别,代码,名称\n检验,JY1,血糖\n"


@pytest.fixture
def export(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    texts = {"患者": PATIENTS, "就诊": VISITS, "检验": RESULTS + RESULTS.splitlines()[1] + "\n", "医嘱": ORDERS,
             "字典": DICTIONARY}  # fmt: skip
    for name, text in texts.items():
        (folder / f"{name}.csv").write_bytes(text.encode("gb18030"))
    return folder


@pytest.fixture
def draft(export, tmp_path):
    return propose(str(export), tmp_path / "m" / "own.yaml", "own")


def listed(tmp_path, name):
    with (tmp_path / "m" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return {row["code"]: row for row in csv.DictReader(file)}


def test_the_patients_number_is_found_whatever_it_is_called(export, draft, tmp_path):
    proposed = read_mapping(tmp_path / "m" / "own.yaml")
    assert check_against(proposed, str(export)) == {**draft.unused, "字典": []}
    report = load(proposed, str(export), tmp_path / "cdm.duckdb", today=TODAY)
    tables = {name: report.tables[name] for name in ("person", "visit_occurrence", "condition_occurrence",
                                                      "drug_exposure", "measurement")}  # fmt: skip
    assert tables == {"person": N, "visit_occurrence": 2 * N, "condition_occurrence": 2 * N, "drug_exposure": N,
                      "measurement": 2 * N + 4 * N}  # fmt: skip
    assert {r["reason"] for r in report.rejected} == {"repeated row"}
    units = rows(tmp_path, "SELECT DISTINCT measurement_concept_id, unit_concept_id FROM measurement"
                 " WHERE measurement_concept_id IN (3004249, 3025315) ORDER BY 1")  # fmt: skip
    assert units == [(3004249, 8876), (3025315, 9529)], "mmHg and kg, which the export says nowhere"


@pytest.mark.parametrize(
    ("values", "kind", "unit"),
    [("16,17,18", "systolic", "kPa"), ("1.6,1.7,1.8", "height", "m"), ("120,130,140", "weight", ""),
     ("21,22,x", "bmi", "kg/m2"), ("x,y", "weight", "")],
)  # fmt: skip
def test_the_unit_of_a_vital_sign_is_told_from_its_middle_or_not_at_all(values, kind, unit):
    with Workbench() as bench:
        bench.run(f"CREATE TABLE t AS SELECT unnest(string_split('{values}', ',')) AS v")
        bench.run('CREATE TEMP VIEW "source:t" AS SELECT * FROM t')
        assert told_unit(bench, "t", "v", kind) == unit


def test_what_is_not_used_is_named(export, draft, tmp_path):
    assert draft.unused == {"医嘱": ["规格"], "字典": ["类别", "代码", "名称"], "患者": ["姓名"], "检验": ["参考值"]}
    text = (tmp_path / "m" / "own.yaml").read_text("utf-8")
    assert text.endswith("  # TODO not used: 检验 (columns 参考值)\n")
    assert "  # TODO not used: 字典 (columns 类别, 代码, 名称): no column's name says what the table is about\n" in text


def test_lists_hold_every_code_with_its_name_and_the_concepts_that_are_known(draft, tmp_path):
    tests = listed(tmp_path, "test")
    assert {code: (row["name"], row["unit"], row["analyte"], row["rows"]) for code, row in tests.items()} == {
        "JY1": ("血糖", "mmol/L", "glucose", str(2 * N - 1)), "JY7": ("罕见", "mg/dL", "", "2"),
    }  # fmt: skip
    kinds = {code: row["concept_id"] for code, row in listed(tmp_path, "visit_kind").items()}
    assert kinds == {"门诊": "9202", "住院": "9201", "急诊": "9203"}
    assert {code: row["concept_id"] for code, row in listed(tmp_path, "sex").items()} == {"男性": "8507", "女": "8532"}
    assert {code: row["concept_id"] for code, row in listed(tmp_path, "test_就诊").items()} == {
        "收缩压": "3004249", "体重": "3025315",
    }  # fmt: skip


def test_a_draft_and_its_lists_are_for_their_owner_alone(draft, tmp_path):
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "m").iterdir()}
    assert "test.csv" in modes and set(modes.values()) == {0o600}


def test_two_names_of_one_test_get_one_unit(tmp_path):
    with Workbench() as bench:
        bench.run("CREATE TABLE t AS SELECT * FROM (VALUES ('血肌酐', 'μmol/L'), ('血肌酐', 'μmol/L'), ('Cr', 'mg/dl'),"
                  " ('尿肌酐', 'g'), ('钙', 'mg/dl')) AS t(test, unit)")  # fmt: skip
        bench.run('CREATE TEMP VIEW "source:t" AS SELECT * FROM t')
        made = code_list(bench, Wanted("test", "t", ("test",), (), "unit"))
    assert {row["code"]: row["unit"] for row in csv.DictReader(made.text.splitlines())} == {
        "血肌酐": "μmol/L", "Cr": "μmol/L", "尿肌酐": "g", "钙": "mg/dl",
    }  # fmt: skip


def test_units_of_one_test_are_made_one(export, draft, tmp_path):
    load(read_mapping(tmp_path / "m" / "own.yaml"), str(export), tmp_path / "cdm.duckdb", today=TODAY)
    found = rows(tmp_path, "SELECT DISTINCT unit_source_value, round(value_as_number, 2), unit_concept_id FROM"
                 " measurement WHERE measurement_source_value = '血糖' ORDER BY 1")  # fmt: skip
    assert found == [("mg/dL", 5.0, 8753), ("mmol/L", 5.4, 8753)]


def test_days_in_several_patterns_are_days(export, tmp_path):
    document = scan(str(export), folder=tmp_path / "w")
    (visits,) = [table for table in document["tables"] if table["name"] == "就诊"]
    kinds = {c["name"]: (c["type"], c.get("pattern"), c.get("not_fitting")) for c in visits["columns"]}
    assert kinds["入院时间"] == ("date", "several, year first", 0)
    assert kinds["流水号"][0] == "text"


def test_smoking_without_a_day_is_told(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    text = PATIENTS.replace("出生日期\n", "出生日期,吸烟史\n").replace("1950/3/4\n", "1950/3/4,已戒烟\n")
    (folder / "患者.csv").write_text(text.replace("1951-02-03\n", "1951-02-03,吸烟\n"), "utf-8")
    made = propose(str(folder), tmp_path / "m" / "own.yaml", "own")
    assert made.unused == {"患者": ["姓名", "吸烟史"]}
    assert "# TODO 吸烟史 is an observation" in (tmp_path / "m" / "own.yaml").read_text("utf-8")


def test_a_column_of_names_alone_is_looked_up(draft, tmp_path):
    assert 'drug_concept_id: lookup("drug", 药品)' in (tmp_path / "m" / "own.yaml").read_text("utf-8")
    assert list(listed(tmp_path, "drug")) == ["二甲双胍片"]


def test_a_table_that_is_not_there_is_told_with_all_that_are(export, draft, tmp_path):
    path = tmp_path / "m" / "own.yaml"
    path.write_text(path.read_text("utf-8").replace("from: 医嘱", "from: 处方"), "utf-8")
    with pytest.raises(Problems, match=r"no table '处方'\. Found: 医嘱, 字典, 就诊, 患者, 检验"):
        check_against(read_mapping(path), str(export))


@pytest.mark.parametrize("text", [*DAY, "20230503", "2023.05.03", "2023-05-03T08:59:00", "2023年05月03日8时47分"])
def test_a_day_with_its_year_first_is_read_in_whichever_signs(tmp_path, text):
    loaded(tmp_path, visits=f"visit,patient,from,to\nv1,1,{text},{text}\n")
    (day,) = rows(tmp_path, "SELECT visit_start_date FROM visit_occurrence")[0]
    assert day in (date(2023, 5, 3), date(2023, 5, 4), date(2023, 5, 5))


@pytest.mark.parametrize("text", ["03/05/2023", "2023年13月3日", "20230231", "2023-5-312", "5月3日"])
def test_another_text_is_not_guessed(tmp_path, text):
    report = loaded(tmp_path, visits=f"visit,patient,from,to\nv1,1,{text},2023-05-04\n", anyway=True)
    assert reasons(report)["unreadable visit_start_date"] == 1


def test_a_normalised_schema_is_joined_by_its_keys(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    texts = {
        "patient": "patient_no,sex,birth_date\n" + "".join(f"P{i},M,1950-01-0{1 + i}\n" for i in range(9)),
        "lab_order": "order_no,patient_no,ordered\n" + "".join(
            f"O{i},P{i % 9},2023-01-0{1 + i % 9}\n" for i in range(30)),
        "lab_item": "item_id,loinc,name\n1,2345-7,glucose\n2,718-7,haemoglobin\n",
        "lab_result": "result_id,order_no,item_id,result,unit\n" + "".join(
            f"{i},O{i % 30},{1 + i % 2},{(90, 14)[i % 2]},{('mg/dL', 'g/dL')[i % 2]}\n" for i in range(60)
        ) + "60,O1,1,5.0,mmol/L\n",
        "icd": "icd_id,code,title\n7,E11.9,diabetes\n8,I10,pressure\n",
        "diagnosis": "diagnosis_id,patient_no,icd_id,diagnosed\n" + "".join(
            f"{i},P{i % 9},{7 + i % 2},2023-01-0{1 + i % 9}\n" for i in range(20)),
    }  # fmt: skip
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    made = propose(str(folder), tmp_path / "m" / "own.yaml", "own")
    text = (tmp_path / "m" / "own.yaml").read_text("utf-8")
    assert "    join: {lab_item: item_id, lab_order: order_no}\n" in text
    assert made.unused == {}
    assert listed(tmp_path, "diagnosis")["E11.9"] == {
        "code": "E11.9",
        "name": "diabetes",
        "concept_id": "",
        "rows": "10",
    }
    report = load(read_mapping(tmp_path / "m" / "own.yaml"), str(folder), tmp_path / "cdm.duckdb", today=TODAY)
    assert (reasons(report), report.tables["measurement"], report.tables["condition_occurrence"]) == ({}, 61, 20)
    found = rows(tmp_path, "SELECT DISTINCT measurement_concept_id, unit_concept_id, round(value_as_number)"
                 " FROM measurement ORDER BY 1, 3")  # fmt: skip
    assert found == [(3000963, 8713, 14.0), (3004501, 8840, 90.0)]


def test_a_column_called_as_a_word_of_an_expression_is_not_used(tmp_path):
    """`analyte` stands in the draft as the name of a list's column; draft and check give one answer."""
    folder = tmp_path / "export"
    folder.mkdir()
    patients = "".join(f"{i},F,1950-01-01\n" for i in range(9))
    (folder / "patients.csv").write_text("patient_id,sex,birth_date\n" + patients)
    (folder / "labs.csv").write_text(
        "id,patient_id,test_code,test_name,analyte,test_date,result,unit\n"
        + "".join(f"{i},{i},GLU,Glucose,x{i % 2},2020-01-01,5.{i},mmol/L\n" for i in range(9))
    )
    made = propose(str(folder), tmp_path / "m" / "own.yaml", "own")
    text = (tmp_path / "m" / "own.yaml").read_text("utf-8")
    assert "measurement_date: date(test_date)" in text or "measurement_date: test_date" in text
    assert text.endswith("  # TODO not used: labs (columns analyte)\n")
    assert made.unused == {"labs": ["analyte"]}
    assert check_against(read_mapping(tmp_path / "m" / "own.yaml"), str(folder)) == made.unused


def test_codes_are_looked_up_in_the_edition_that_holds_most_of_them(tmp_path):
    file, codes = tmp_path / "vocabulary.duckdb", ("E11.900", "I10.x00", "J18.901", "K29.500")
    with Workbench(file) as bench:
        bench.run("CREATE TABLE vocabulary AS SELECT unnest(['ICD10', 'ICD10CM', 'ICD10CN']) AS vocabulary_id")
        bench.run("CREATE TABLE concept AS SELECT 'ICD10CN' AS vocabulary_id, unnest(['E11.900', 'I10.x00', 'J18.901'])"
                  " AS concept_code UNION ALL SELECT 'ICD10CM', 'E11.900'")  # fmt: skip
    export = tmp_path / "export"
    export.mkdir()
    lines = "".join(f"{i},V{i},2023-01-01,{codes[i % 4]}\n" for i in range(N))
    (export / "diagnoses.csv").write_text("patient_id,visit_id,diagnosis_date,diagnosis_code\n" + lines)
    propose(str(export), tmp_path / "m" / "own.yaml", "own", file)
    assert 'condition_concept_id: code("ICD10CN", diagnosis_code)' in (tmp_path / "m" / "own.yaml").read_text()
    propose(str(export), tmp_path / "n" / "own.yaml", "own")  # nothing in hand holds them: a list to fill in
    assert 'lookup("diagnosis", diagnosis_code)' in (tmp_path / "n" / "own.yaml").read_text()


def drafted(tmp_path, **tables):
    export = tmp_path / "export"
    export.mkdir()
    for name, text in tables.items():
        (export / f"{name}.csv").write_text(text, "utf-8")
    propose(str(export), tmp_path / "m" / "own.yaml", "own")
    return (tmp_path / "m" / "own.yaml").read_text("utf-8")


def test_one_row_a_stay_is_a_visit_too_and_a_name_is_no_key(tmp_path):
    head = "患者ID,住院号,姓名,性别,出生日期,入院时间,出院时间,出院诊断\n"
    made = head + "".join(
        f"P{i},Z{i},某{i},男,1950-01-0{1 + i % 9},2023-01-01,2023-01-0{1 + i % 9},高血压\n" for i in range(N)
    )
    text = drafted(tmp_path, 出院=made)
    stays = text.partition("- to: visit_occurrence")[2].partition("- to:")[0]
    assert "key: 住院号" in stays and "visit_start_date" in stays and "visit_end_date" in stays
    few = tmp_path / "few"
    few.mkdir()
    assert "key: 姓名" not in drafted(few, 出院="".join(made.splitlines(keepends=True)[:4]))


def test_the_kind_of_a_visit_comes_from_the_table_that_names_it(tmp_path):
    kinds = "encounter_type_id,name\n0,outpatient\n1,inpatient\n"
    stays = "".join(f"V{i},P{i % 9},{i % 2},2023-01-01,2023-01-02\n" for i in range(N))
    stays = "encounter_no,patient_no,encounter_type_id,admitted,discharged\n" + stays
    text = drafted(tmp_path, encounter=stays, encounter_type=kinds)
    assert "join: {encounter_type: encounter_type_id}" in text
    assert 'visit_concept_id: lookup("visit_kind", name)' in text
    assert listed(tmp_path, "visit_kind")["outpatient"]["concept_id"] == "9202"


def test_a_database_is_opened_by_its_path_and_in_its_folder(tmp_path):
    (tmp_path / "base").mkdir()
    file = tmp_path / "base" / "hospital.duckdb"
    with Workbench(file) as bench:
        bench.run("CREATE TABLE patient AS SELECT 'P' || range AS patient_no, 'M' AS sex FROM range(20)")
    for address in (file, file.parent):
        assert [table["name"] for table in scan(str(address), folder=tmp_path / "w")["tables"]] == ["patient"]


def test_a_key_with_some_doubled_rows_is_almost_unique(tmp_path):
    (tmp_path / "e").mkdir()
    patients = "".join(f"P{i},M\n" for i in range(200)) + "P1,M\n"
    (tmp_path / "e" / "patients.csv").write_text("patient_id,sex\n" + patients)
    (tmp_path / "e" / "results.csv").write_text("patient_id,day\n" + "P1,2023-01-01\nP2,2023-01-01\n" * 20)
    tables = {table["name"]: table for table in scan(str(tmp_path / "e"), folder=tmp_path / "w")["tables"]}
    assert tables["results"]["links"] == [
        {"column": "patient_id", "table": "patients", "key": "patient_id", "share": 1.0, "almost": True}
    ]
