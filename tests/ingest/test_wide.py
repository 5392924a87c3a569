"""Tests that stand side by side in columns: a draft finds them, leaves the others, and loads without an edit."""

from __future__ import annotations

import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atoll.cdm.workbench import Workbench
from atoll.ingest.checking import check_against
from atoll.ingest.drafts.proposal import propose
from atoll.ingest.drafts.wide import columns_of_tests, heading, starter_matcher
from atoll.ingest.explain import explain
from atoll.ingest.load import load
from atoll.ingest.mapping import mapping_from, read_mapping
from atoll.ingest.meanings import meaning_of
from atoll.ingest.scan import scan
from atoll.study.nodes import Problems
from tests.ingest.exports import MAPPING, TODAY, mapping, rows, write

N = 12
ZH_PATIENTS = "病案号,性别,出生日期\n" + "".join(f"B{i},男,1950-03-0{1 + i % 9}\n" for i in range(N))
ZH_HEAD = (
    "检验单号,病案号,检验日期,年龄,床号,检验费用(元),住院天数(天),血糖,血糖单位,血糖参考范围,肌酐,肌酐单位,"
    "肌酐参考下限,肌酐参考上限,糖化血红蛋白(%),ALT（U/L）,尿蛋白,胱抑素C(mg/L),收缩压(mmHg),舒张压"
)
ZH_ROWS = [
    f"J{i},B{i},2023-05-0{1 + i % 9},{40 + i},{i},{30 + i}.5,{i},"
    + (f"{5 + i / 10:.1f},mmol/L,3.90～6.10" if i % 3 else f"{90 + i},mg/dL,<110")
    + f",{60 + i},μmol/L,57,97,{'' if i == 5 else 6 + i / 10},{'<5' if i == 1 else 20 + i},"
    + f"{('阴性', '1+')[i % 2]},{0.5 + i / 10:.1f},{120 + i},{70 + i}"
    for i in range(N)
]
EN_PATIENTS = "patient_id,sex,birth_date\n" + "".join(f"P{i},F,1950-03-0{1 + i % 9}\n" for i in range(N))
EN_HEAD = (
    "lab_no,patient_id,test_date,age,glucose_mmol_l,glucose_low,glucose_high,creatinine_value,creatinine_unit,"
    "creatinine_reference_range,HbA1c_pct,potassium,height_cm,number_medications,pain_score,cost_usd,diabetes"
)
EN_ROWS = [
    f"L{i},P{i},2023-05-0{1 + i % 9},{40 + i},{5 + i / 10:.1f},3.9,6.1,{0.8 + i / 20:.2f},mg/dL,0.6-1.3,"
    f"{6 + i / 10:.1f},{4 + i / 10:.1f},{160 + i},{i},{i},{100 + i},{i % 2}"
    for i in range(N)
]
CELLS = (
    "SELECT value_source_value, round(value_as_number, 3), unit_concept_id, unit_source_value, round(range_low, 3),"
    " round(range_high, 3), operator_concept_id, value_as_concept_id FROM measurement WHERE measurement_source_value ="
    " '{}' ORDER BY measurement_date, value_source_value"
)


def drafted(tmp_path, encoding, **tables):
    folder = tmp_path / "export"
    folder.mkdir()
    for name, text in tables.items():
        (folder / f"{name}.csv").write_bytes(text.encode(encoding))
    made = propose(str(folder), tmp_path / "m" / "own.yaml", "own")
    proposed = read_mapping(tmp_path / "m" / "own.yaml")
    check_against(proposed, str(folder))
    return made, proposed, load(proposed, str(folder), tmp_path / "cdm.duckdb", today=TODAY)


def listed(tmp_path):
    with (tmp_path / "m" / "test.csv").open(encoding="utf-8", newline="") as file:
        return {row["code"]: row for row in csv.DictReader(file)}


def in_order(cells):
    return sorted(cells, key=lambda cell: (cell[0], str(cell)))


def test_a_chinese_table_loads_cell_by_cell(tmp_path):
    text = "\n".join([ZH_HEAD, *ZH_ROWS]) + "\n"
    made, proposed, report = drafted(tmp_path, "gb18030", 病人=ZH_PATIENTS, 检验宽表=text)
    assert made.unused == {"检验宽表": ["年龄", "床号", "检验费用(元)", "住院天数(天)"]}
    assert report.rejected == []
    glucose = [
        (f"{5 + i / 10:.1f}", round((5 + i / 10) * 18.0156, 3), 8840, "mmol/L", 70.261, 109.895, None, None)
        if i % 3 else (f"{90 + i}", 90.0 + i, 8840, "mg/dL", None, 110.0, None, None)
        for i in range(N)
    ]  # fmt: skip
    assert in_order(rows(tmp_path, CELLS.format("血糖"))) == in_order(glucose)
    creatinine = [(f"{60 + i}", round((60 + i) * 0.011312, 3), 8840, "μmol/L", 0.645, 1.097, None, None)
                  for i in range(N)]  # fmt: skip
    assert in_order(rows(tmp_path, CELLS.format("肌酐"))) == in_order(creatinine)
    alt = [("<5", 5.0, 8645, "U/L", None, None, 4171756, None) if i == 1 else
           (f"{20 + i}", 20.0 + i, 8645, "U/L", None, None, None, None) for i in range(N)]  # fmt: skip
    assert in_order(rows(tmp_path, CELLS.format("ALT（U/L）"))) == in_order(alt)
    protein = [(("阴性", "1+")[i % 2], None, None, None, None, None, None, (9189, 45878548)[i % 2]) for i in range(N)]
    assert in_order(rows(tmp_path, CELLS.format("尿蛋白"))) == in_order(protein)
    assert len(rows(tmp_path, CELLS.format("糖化血红蛋白(%)"))) == N - 1, "an empty cell is no result"
    found = {code: (row["name"], row["concept_id"], row["written"], row["unit"], row["rows"])
             for code, row in listed(tmp_path).items()}  # fmt: skip
    assert found["血糖"] == ("", "3004501", "", "mg/dL", "12"), "the unit of the concept, which counts mass"
    assert found["ALT（U/L）"] == ("ALT", "3006923", "U/L", "U/L", "12")
    assert found["胱抑素C(mg/L)"] == ("胱抑素C", "", "mg/L", "mg/L", "12"), "a test, whatever it is called"
    assert found["收缩压(mmHg)"][1:4] == ("3004249", "mmHg", "mmHg")
    assert found["舒张压"][1:4] == ("3012888", "mm[Hg]", "mm[Hg]"), "told from the middle of its values"
    assert rows(tmp_path, "SELECT count(*), count(DISTINCT measurement_id) FROM measurement") == [(8 * N - 1,) * 2]
    said = explain(proposed)
    assert "  With 血糖, [unit] is 血糖单位 and [range] is 血糖参考范围." in said
    assert "  unit_concept_id is the unit the “unit” of [test] in the list “test”." in said
    assert any("check them" in note for note in made.notes)


def test_an_english_table_loads_cell_by_cell(tmp_path):
    text = "\n".join([EN_HEAD, *EN_ROWS]) + "\n"
    made, _, report = drafted(tmp_path, "utf-8", patients=EN_PATIENTS, labs=text)
    assert made.unused == {"labs": ["age", "number_medications", "pain_score", "cost_usd", "diabetes"]}
    glucose = [(f"{5 + i / 10:.1f}", round((5 + i / 10) * 18.0156, 3), 8840, "mmol/l", 70.261, 109.895, None, None)
               for i in range(N)]  # fmt: skip
    assert in_order(rows(tmp_path, CELLS.format("glucose_mmol_l"))) == in_order(glucose)
    creatinine = [(f"{0.8 + i / 20:.2f}", round(0.8 + i / 20, 2), 8840, "mg/dL", 0.6, 1.3, None, None)
                  for i in range(N)]  # fmt: skip
    assert in_order(rows(tmp_path, CELLS.format("creatinine_value"))) == in_order(creatinine)
    assert [cell[2:4] for cell in rows(tmp_path, CELLS.format("height_cm"))] == [(8582, "cm")] * N
    told = {(entry["reason"], entry["rows"]) for entry in report.rejected}
    assert told == {("value without a unit", N)}, "of potassium the export says none"


@pytest.mark.parametrize(
    ("columns", "values", "found"),
    [
        ("K,Na,Cl", "4.1,139,101 4.2,140,102 4.3,141,103", ["K", "Na", "Cl"]),
        ("Ca,床号", "1,1 2,2 3,3", []),  # by itself a short heading says little: here, of vessels
        ("血糖,单位1,肌酐,单位2", "5.1,mmol/L,60,umol/L 5.2,mmol/L,61,umol/L 5.3,mmol/L,62,umol/L", ["血糖", "肌酐"]),
        ("血糖", "0 1 1", []),  # a yes or no
        ("谷丙转氨酶,C反应蛋白", "<5,未检出 <5,<3 35,24 <5,<3", ["谷丙转氨酶", "C反应蛋白"]),  # mostly bounds
        ("血糖,肌酐", "<5,未检出 <8,未检出", []),  # by themselves they say nothing
        ("protein(g),剂量(mg),dose_mg", "50,1,2 51,2,3 52,3,4", []),
        ("glucose_min,time_in_hospital,总费用,时间(min)", "5.1,3,9.5,1 5.2,4,9.6,2 5.3,5,9.7,3", []),
        ("A1Cresult,max_glu_serum,尿酸", "None,None,高 >8,None,低 None,>200,高", []),
    ],
)
def test_what_is_a_test_and_what_is_not(tmp_path, columns, values, found):
    text = columns + "\n" + "\n".join(values.split(" ")) + "\n"
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "t.csv").write_text(text, "utf-8")
    with Workbench() as bench:
        (table,) = scan(str(tmp_path / "x"), folder=tmp_path / "w", bench=bench)["tables"]
        assert [test.column["name"] for test in columns_of_tests(bench, table, starter_matcher())] == found


@pytest.mark.parametrize(
    ("written", "name", "unit"),
    [
        ("ALT（U/L）", "ALT", "U/L"), ("白细胞计数(WBC)(10^9/L)", "白细胞计数(WBC)", "10^9/L"),
        ("白细胞计数(WBC)", "白细胞计数(WBC)", ""), ("wbc_10_9_l", "wbc", "10^9/l"), ("HbA1c_pct", "HbA1c", "%"),
        ("血糖 mmol/L", "血糖", "mmol/L"), ("glucose_unit", "glucose_unit", ""), ("vitamin_d", "vitamin_d", ""),
        ("维生素(D)", "维生素(D)", ""), ("egfr_ml_min_1.73m2", "egfr", "ml/min/1.73m2"), ("血糖结果", "血糖", ""),
        ("体温℃", "体温", "℃"), ("身高cm", "身高", "cm"), ("体重Kg", "体重", "Kg"), ("血糖mmol/L", "血糖", "mmol/L"),
        ("镁MG", "镁MG", ""), ("维生素D", "维生素D", ""), ("Weight kg", "Weight", "kg"), ("weightKg", "weight", "kg"),
    ],
)  # fmt: skip
def test_a_heading_is_a_name_and_a_unit(written, name, unit):
    assert heading(written) == (name, unit)


@pytest.mark.parametrize(
    ("columns", "ends", "expected"),
    [
        ("参考范围", "3.9-6.1 <5.2 3.90～6.10", [(3.9, 6.1), (None, 5.2), (3.9, 6.1)]),
        ("参考下限,参考上限", "3.9,6.1 3.8,6.0 3.7,5.9", [(3.9, 6.1), (3.8, 6.0), (3.7, 5.9)]),
    ],
)
def test_a_reference_range_beside_a_long_result_is_drafted(tmp_path, columns, ends, expected):
    lines = [f"{i},B{i},2023-05-01,胱抑素C,{i}.5,mg/L,{end}" for i, end in enumerate(ends.split(" "))]
    text = "\n".join([f"序号,病案号,检验日期,项目名称,结果,单位,{columns}", *lines]) + "\n"
    made, _, report = drafted(tmp_path, "utf-8", 病人=ZH_PATIENTS, 检验=text)
    assert (made.unused, report.rejected) == ({}, [])
    assert rows(tmp_path, "SELECT range_low, range_high FROM measurement ORDER BY value_as_number") == expected


@pytest.mark.parametrize(
    ("name", "meaning"),
    [("参考值范围", "reference"), ("Reference Range", "reference"), ("ref_range_lower", "range_low"),
     ("range_high", "range_high"), ("参考上限", "range_high"), ("正常值低限", "range_low"), ("referral", ""),
     ("low_income", ""), ("体温", "temperature")],
)  # fmt: skip
def test_headings_of_reference_ranges_are_known(name, meaning):
    assert meaning_of(name) == meaning


GROUPS = """\
mapping: 1
name: own
rules:
  - to: measurement
    from: results
    each: {{columns: [{0}], value: [reading, unit], name: test}}
    columns:
      person_id: patient
      measurement_concept_id: 0
      measurement_date: date(day)
      value_as_number: number(reading)
"""


def test_a_group_without_its_first_column_or_of_another_length_is_refused(tmp_path):
    with pytest.raises(Problems, match="the first column is missing"):
        mapping_from(GROUPS.format("[a, null], [null, b]"), tmp_path)
    with pytest.raises(Problems, match=r"a is not 2 columns\. Name as many as values, null where there is none"):
        mapping_from(GROUPS.format("[a]"), tmp_path)
    (rule,) = mapping_from(GROUPS.format('[a, null], ["null", b]'), tmp_path).rules
    assert rule.each.groups == (("a", ""), ("null", "b")) and rule.each.columns == ("a", "null", "b")


def test_columns_of_several_types_are_one_as_text(tmp_path):
    write(tmp_path / "x")
    (tmp_path / "x" / "results.csv").unlink()
    cells = {"patient": ["1", "2"], "day": ["2021-01-01"] * 2, "a": [5.5, None], "b": [7, 8], "u": ["mg/dL", "g/L"]}
    pq.write_table(pa.table(cells), tmp_path / "x" / "results.parquet")
    rule = GROUPS.format("[a, u], [b, null]").partition("rules:\n")[2]
    text = MAPPING[: MAPPING.index("  - to: measurement")] + rule + "      unit_source_value: unit\n"
    load(mapping(tmp_path / "m", text), str(tmp_path / "x"), tmp_path / "cdm.duckdb", today=TODAY)
    found = rows(tmp_path, "SELECT value_as_number, unit_source_value FROM measurement ORDER BY 1")
    assert found == [(5.5, "mg/dL"), (7.0, None), (8.0, None)]
