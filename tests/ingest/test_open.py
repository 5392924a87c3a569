"""What an export's values do not tell is told as open and asked in the draft; a stated sign is kept to by the load."""

from __future__ import annotations

import pytest

from atoll.ingest.drafts.proposal import propose
from atoll.ingest.load import load
from atoll.ingest.mapping import read_mapping
from atoll.ingest.scan import scan
from atoll.study.nodes import Problems
from tests.ingest.exports import MAPPING, RESULTS, TODAY, loaded, reasons, rows

HEAD = "row;patient_id;test_code;result_date;result;unit\n"


def export(tmp_path, results, birth="1960-01-{:02}"):
    folder = tmp_path / "export"
    folder.mkdir()
    births = (f"{i},F,{birth.format(1 + i % 12)}\n" for i in range(30))
    (folder / "patients.csv").write_text("patient_id,sex,birth_date\n" + "".join(births))
    lines = (f"{i};{i % 30};PLT;2020-02-11;{value};/uL\n" for i, value in enumerate(results))
    (folder / "labs.csv").write_text(HEAD + "".join(lines))
    return str(folder)


def seen(address, tmp_path, name):
    tables = scan(address, folder=tmp_path / "w")["tables"]
    (column,) = [c for table in tables for c in table["columns"] if c["name"] == name]
    return column["type"], column.get("pattern", ""), column.get("open"), column.get("not_fitting")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["4,200", "302,314"], ("number", "", [".", ","], 0)),
        (["4.200", "302.314", "7"], ("number", "", [".", ","], 0)),
        (["4,200", "302,314", "1,302,314"], ("number", ".", None, 0)),
        (["4,200", "302,314", "0,5"], ("number", ",", None, 0)),
        (["4,200", "5.6"], ("number", ".", None, 0)),
        (["4.200", "5.6"], ("number", "", None, 0)),
        (["5,1"] * 149 + ["5.6"], ("number", ",", None, 2)),
        (["5,1", "1.234", "<0,5"], ("text", ",", None, None)),
        (["4,200", "<5", "neg"], ("text", "", None, None)),
    ],
)
def test_the_decimal_sign_is_told_by_the_values_or_not_at_all(tmp_path, values, expected):
    assert seen(export(tmp_path, values * (300 // len(values))), tmp_path, "result") == expected


@pytest.mark.parametrize(
    ("birth", "expected"),
    [
        ("{0:02}/{0:02}/1960", ("date", "", ["MM/dd/yyyy", "dd/MM/yyyy"], 0)),
        ("{:02}-01-1960", ("date", "", ["MM-dd-yyyy", "dd-MM-yyyy"], 0)),
        ("{:02}.01.1960", ("date", "dd.MM.yyyy", None, 0)),
        ("28/{:02}/1960", ("date", "dd/MM/yyyy", None, 0)),
        ("{:02}/28/1960", ("date", "MM/dd/yyyy", None, 0)),
    ],
)
def test_day_and_month_are_told_by_the_values_or_not_at_all(tmp_path, birth, expected):
    assert seen(export(tmp_path, ["5"], birth), tmp_path, "birth_date") == expected


def test_a_later_row_tells(tmp_path, monkeypatch):
    monkeypatch.setattr("atoll.ingest.scan.SAMPLE", 100)
    assert seen(export(tmp_path, ["4,200"] * 200 + ["4,2"]), tmp_path, "result") == ("number", ",", None, 0)


def test_a_draft_asks_what_is_open_and_nothing_is_loaded_on_a_guess(tmp_path):
    address, path = export(tmp_path, ["4,200", "302,314"] * 20, "{0:02}/{0:02}/1960"), tmp_path / "m" / "own.yaml"
    made = propose(address, path, "own")
    assert 'labs: result: its values fit "." and "," alike: write which in place of "?".' in made.notes
    text = path.read_text("utf-8")
    assert '      # TODO birth_date: its values fit "MM/dd/yyyy" and "dd/MM/yyyy" alike: write which' in text
    with pytest.raises(Problems) as refused:
        load(read_mapping(path), address, tmp_path / "cdm.duckdb", today=TODAY)
    assert "the pattern '?' holds no part of a day" in str(refused.value)
    path.write_text(text.replace('date(birth_date, "?")', 'date(birth_date, "dd/MM/yyyy")'), "utf-8")
    with pytest.raises(Problems, match="'\\?' is no decimal sign"):
        load(read_mapping(path), address, tmp_path / "cdm.duckdb", today=TODAY)
    path.write_text(path.read_text("utf-8").replace('"?")', '".")'), "utf-8")
    report = load(read_mapping(path), address, tmp_path / "cdm.duckdb", today=TODAY)
    assert (reasons(report), report.tables["person"], report.tables["measurement"]) == ({}, 30, 40)
    assert rows(tmp_path, "SELECT min(value_as_number), max(value_as_number) FROM measurement") == [(4200, 302314)]


def test_a_draft_states_the_sign_that_the_values_tell(tmp_path):
    address, path = export(tmp_path, ["5,1"] * 298 + ["5.6"] * 2), tmp_path / "m" / "own.yaml"
    propose(address, path, "own")
    report = load(read_mapping(path), address, tmp_path / "cdm.duckdb", today=TODAY)
    assert reasons(report) == {"unreadable value_as_number": 2}
    assert rows(tmp_path, "SELECT DISTINCT value_as_number FROM measurement ORDER BY 1") == [(5.1,), (None,)]


@pytest.mark.parametrize(
    ("function", "value", "read"),
    [
        ("result(value)", "1,234", None), ("result(value)", "0,125", 0.125), ("number(value)", "1,234", None),
        ('result(value, ".")', "1,234", 1234), ('number(value, ",")', "5.6", None), ('number(value, ".")', "1,5", None),
        ('result(value, ",")', "<1,234", 1.234),
    ],
)  # fmt: skip
def test_a_number_that_may_be_two_is_named_and_none(tmp_path, function, value, read):
    results = RESULTS.splitlines()[0] + f'\nx,1,v1,2020-01-11,2345-7,"{value}",mg/dL\n'
    report = loaded(tmp_path, MAPPING.replace("number(value)", function), results=results)
    assert reasons(report) == ({} if read else {"unreadable value_as_number": 1})
    assert rows(tmp_path, "SELECT value_as_number FROM measurement") == [(read,)]


def test_a_reference_range_reaches_its_columns_in_the_unit_of_the_value(tmp_path):
    unit = '{}: convert({}, unit, "mmol/L", "glucose")'
    made = "\n      ".join(
        unit.format(*pair) for pair in (("value_as_number", "result(value)"), ("range_low", "low(normal)"),
                                        ("range_high", "high(normal)"))
    )  # fmt: skip
    normal = ("70-110", "3.9～6.1", "<5.2", "阴性", "see below", "")
    results = RESULTS.splitlines()[0] + ",normal\n" + "".join(
        f"x{i},1,v1,2020-01-1{i},2345-7,5,{'mmol/L' if i else 'mg/dL'},{text}\n" for i, text in enumerate(normal)
    )  # fmt: skip
    report = loaded(tmp_path, MAPPING.replace("value_as_number: number(value)", made), results=results)
    assert reasons(report) == {"unreadable range_low": 1, "unreadable range_high": 1}
    found = "SELECT round(range_low, 1), round(range_high, 1) FROM measurement ORDER BY measurement_date"
    assert rows(tmp_path, found) == [(3.9, 6.1), (3.9, 6.1), (None, 5.2), (None, None), (None, None), (None, None)]
