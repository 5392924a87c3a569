"""Codes without a concept: how many rows have them, counted from what was loaded, and their concepts of the hospital's
own."""

from __future__ import annotations

from tests.ingest.exports import MAPPING, loaded, rows

CONDITIONS = """\
  - to: condition_occurrence
    from: {table}
    key: n
    columns:
      person_id: patient
      condition_concept_id: {concept}
      condition_start_date: date(day)
"""
DX = "code,concept_id\nE11,201826\n"


def conditions(table: str = "inpatient", concept: str = 'lookup("dx", code)') -> str:
    return CONDITIONS.format(table=table, concept=concept)


def listed(text: str) -> str:
    return text.replace("{sex: sex.csv}", "{sex: sex.csv, dx: dx.csv}")


def export(*codes: str, day: str = "2020-01-11") -> str:
    return "n,patient,day,code\n" + "".join(f"{n},1,{day},{code}\n" for n, code in enumerate(codes))


def dx(report):
    return [(owner, code, n) for owner, code, n in report.codes if owner == "list dx"]


def test_two_rules_of_one_table_count_together(tmp_path):
    text = listed(MAPPING) + conditions() + conditions("outpatient")
    report = loaded(tmp_path, text=text, lists={"dx": DX}, inpatient=export("X9", "X9"),
                    outpatient=export(*["X9"] * 100, "E11"))  # fmt: skip
    assert dx(report) == [("list dx", "X9", 102)]
    assert {"vocabulary": "list dx", "codes": 1, "rows": 102} in report.unmapped


def test_a_branch_that_is_not_taken_counts_nothing(tmp_path):
    concept = 'case when code = ">8" then 4245501 else lookup("dx", code) end'
    codes = [">8"] * 7 + ["Norm"] * 3
    report = loaded(tmp_path, text=listed(MAPPING) + conditions(concept=concept), lists={"dx": DX},
                    inpatient=export(*codes))  # fmt: skip
    assert dx(report) == [("list dx", "Norm", 3)]
    assert rows(tmp_path, "SELECT concept_code FROM concept WHERE vocabulary_id = 'list dx'") == [("Norm",)]


def test_rows_put_aside_count_nothing(tmp_path):
    days = export("X9") + export("X9", day="")[len("n,patient,day,code\n") :].replace("0,1", "7,1")
    report = loaded(tmp_path, text=listed(MAPPING) + conditions(), lists={"dx": DX}, inpatient=days)
    assert report.tables["condition_occurrence"] == 1
    assert dx(report) == [("list dx", "X9", 1)]


def test_one_code_in_two_columns_of_a_row_is_one_row(tmp_path):
    text = listed(MAPPING) + conditions() + '      condition_status_concept_id: lookup("dx", code)\n'
    report = loaded(tmp_path, text=text, lists={"dx": DX}, inpatient=export("X9"))
    assert dx(report) == [("list dx", "X9", 1)]


def test_a_code_that_is_known_and_maps_to_nothing_is_counted(tmp_path):
    """It keeps the vocabulary's own concept, and still has no standard one."""
    report = loaded(tmp_path, text=listed(MAPPING) + conditions(), inpatient=export("X9", "X9"),
                    lists={"dx": "code,concept_id,source_concept_id\nX9,0,45533022\n"})  # fmt: skip
    assert dx(report) == [("list dx", "X9", 2)]
    assert rows(tmp_path, "SELECT DISTINCT condition_source_concept_id FROM condition_occurrence") == [(45533022,)]
    assert rows(tmp_path, "SELECT count(*) FROM concept WHERE concept_id >= 2000000000 AND concept_code = 'X9'") == [
        (0,)
    ]


def test_a_code_that_got_its_concept_leaves_none_of_the_hospitals_own(tmp_path):
    """What a second load makes is what a load into an empty place makes; the number is kept for the day it returns."""
    text = listed(MAPPING) + conditions()
    mended, own = DX + "X9,4329847\n", "SELECT * FROM concept WHERE concept_id >= 2000000000 ORDER BY 1"
    export_ = {"inpatient": export("X9"), "results": "row,patient,visit,day,code,value,unit\n"}
    loaded(tmp_path, text=text, lists={"dx": DX}, anyway=True, **export_)
    before = rows(tmp_path, own)
    assert [row[:2] for row in before] == [(2_000_000_000, "X9")]
    loaded(tmp_path, text=text, lists={"dx": mended}, anyway=True, **export_)
    loaded(tmp_path / "fresh", text=text, lists={"dx": mended}, anyway=True, **export_)
    assert rows(tmp_path, own) == rows(tmp_path / "fresh", own) == []
    loaded(tmp_path, text=text, lists={"dx": DX}, anyway=True, **export_)
    assert rows(tmp_path, own) == before
