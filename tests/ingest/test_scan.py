"""A scan shows types, and hides what few hold; its proposal loads."""

from __future__ import annotations

import re

import pytest

from atoll.ingest.checking import check_against
from atoll.ingest.drafts.proposal import propose
from atoll.ingest.load import load
from atoll.ingest.mapping import read_mapping
from atoll.ingest.meanings import meaning_of, meanings
from atoll.ingest.scan import scan
from tests.ingest.exports import TODAY

N = 400
PATIENTS = "病人ID,性别,出生日期,备注\n" + "".join(
    f"P{i:04},{'男' if i % 2 else '女'},19{50 + i % 40}/0{1 + i % 9}/1{i % 9},{'罕见' if i == 7 else '常见'}\n"
    for i in range(N)
)
VISITS = "就诊号,病人ID,入院日期,出院日期,费用\n" + "".join(
    f'V{i},P{i % N:04},202401{1 + i % 28:02},202402{1 + i % 28:02},"{i // 2},5"\n' for i in range(2 * N)
)


@pytest.fixture
def export(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "病人.csv").write_bytes(PATIENTS.encode("gb18030"))
    (folder / "就诊.csv").write_bytes(VISITS.encode("gb18030"))
    return folder


def columns(document, name):
    (table,) = [table for table in document["tables"] if table["name"] == name]
    return {column["name"]: column for column in table["columns"]}, table


def test_what_a_scan_shows(export, tmp_path):
    document = scan(str(export), folder=tmp_path / "w")
    patients, table = columns(document, "病人")
    visits, stays = columns(document, "就诊")
    assert table["files"][0]["encoding"] == "gb18030"
    assert (patients["出生日期"]["type"], patients["出生日期"]["pattern"]) == ("date", "yyyy/MM/dd")
    assert (visits["入院日期"]["type"], visits["入院日期"]["pattern"]) == ("date", "yyyyMMdd")
    assert (visits["费用"]["type"], visits["费用"]["pattern"]) == ("number", ",")
    assert patients["性别"]["frequent"] == [{"value": "女", "rows": 200}, {"value": "男", "rows": 200}]
    assert table["keys"] == ["病人ID"]
    assert stays["links"] == [{"column": "病人ID", "table": "病人", "key": "病人ID", "share": 1.0}]


def test_what_a_scan_hides(export, tmp_path):
    document = scan(str(export), folder=tmp_path / "w")
    patients, _ = columns(document, "病人")
    assert patients["备注"]["frequent"] == [{"value": "常见", "rows": N - 1}]
    assert "frequent" not in patients["病人ID"]
    assert "P0007" not in str(document)
    visits, _ = columns(document, "就诊")
    low, high = visits["费用"]["range"]
    assert low > 0.5
    assert high < N - 1


def test_the_page_stands_alone(export, tmp_path):
    from atoll.ui.scan import page

    document = scan(str(export), folder=tmp_path / "w")
    text = page(document, "zh")
    assert "导出数据的内容" in text
    assert "src=" not in text
    assert set(re.findall(r'href="([^"]*)"', text)) == {"#t1", "#t2"}  # the tables, from the top
    assert "罕见" not in text
    for said in ("日期", "文本", "就诊", "患者", "性别"):
        assert f">{said}<" in text, said
    assert not re.search(r">\s*(integer|date|visit|person|sex)\s*<", text)


def test_frequent_values_are_five_and_more(tmp_path):
    from atoll.ui.scan import page

    (tmp_path / "a.csv").write_text("id,kind\n" + "".join(f"x{i},k{i % 8}\n" for i in range(800)))
    text = page(scan(str(tmp_path), folder=tmp_path / "w"), "en")
    shown, more = text.split("<details>")
    assert [len(re.findall(r'class="of"', part)) for part in (shown, more)] == [5, 3]
    assert "3 more" in more


def test_every_meaning_has_words():
    from atoll.ui.scan import MEANINGS

    assert {row["meaning"] for row in meanings()} <= set(MEANINGS)


@pytest.mark.parametrize(
    ("name", "table", "meaning"),
    [
        ("病人ID", "", "person"), ("patient_nbr", "", "person"), ("Id", "patients", "person"),
        ("ENCOUNTER", "", "visit"),
        ("诊断编码3", "", "diagnosis"), ("CODE", "medications", "drug"), ("BirthDate", "", "birth"),
        ("weather", "", ""),
    ],
)  # fmt: skip
def test_meanings_of_names(name, table, meaning):
    assert meaning_of(name, table) == meaning


def test_a_proposal_fits_its_export_and_loads(export, tmp_path):
    made = propose(str(export), tmp_path / "m" / "river.yaml", "river")
    assert made.lists == ["sex.csv"]
    proposed = read_mapping(tmp_path / "m" / "river.yaml")
    check_against(proposed, str(export))
    report = load(proposed, str(export), tmp_path / "cdm.duckdb", today=TODAY)
    assert (report.tables["person"], report.tables["visit_occurrence"]) == (N, 2 * N)
    assert report.rejected == []


def test_values_are_counted_by_patients_where_a_column_tells_them(tmp_path):
    """One patient with forty rows is one patient: neither what she has nor how high it is can be seen."""
    lines = ["patient_id,diagnosis_name,value"]
    lines += [f"P{p},{'common' if p % 2 else 'usual'},{5 + p % 7}" for p in range(60) for _ in range(12)]
    lines += ["P60,Creutzfeldt-Jakob,900"] * 80
    (tmp_path / "lab.csv").write_text("\n".join(lines) + "\n")
    table = scan(str(tmp_path / "lab.csv"), folder=tmp_path / "work")["tables"][0]
    shown = {column["name"]: [one["value"] for one in column.get("frequent", ())] for column in table["columns"]}
    assert table["counted"] == "person"
    assert shown["diagnosis_name"] == ["common", "usual"]
    assert "900" not in shown["value"]
    assert "range" not in table["columns"][2], "sixty patients are too few for a twentieth of them"
    bare = "\n".join(line.partition(",")[2] for line in lines)
    (tmp_path / "bare.csv").write_text(bare + "\n")
    assert scan(str(tmp_path / "bare.csv"), folder=tmp_path / "more")["tables"][0]["counted"] == "row"
