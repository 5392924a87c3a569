"""What is said of a mapping before and after it is loaded: every error, keys that several rules share, empty rules."""

from __future__ import annotations

import pytest

from atoll.errors import DataError, OperatorError
from atoll.ingest import reuse
from atoll.ingest.checking import check_against, complete, held_against, without_concept
from atoll.ingest.explain import explain, shared_keys
from atoll.ingest.load import load
from atoll.ingest.mapping import Rule, read_mapping
from atoll.ingest.meanings import meaning_of
from atoll.study.nodes import Problems
from tests.ingest.exports import MAPPING, PATIENTS, RESULTS, TODAY, loaded, mapping, reasons, rows, write

SIGNS = "row,patient,day,high,low\na,1,2020-01-11,120,80\nb,2,2020-02-01,130,130\n"  # rows called as those of results
SIGN = """\
  - to: measurement
    from: signs
    key: row
    columns:
      person_id: patient
      measurement_concept_id: 3004249
      measurement_date: date(day)
      value_as_number: number(high)
"""
BOTH = MAPPING + SIGN + SIGN.replace("3004249", "3012888").replace("high", "low")
STAYS = """\
  - to: visit_occurrence
    from: stays
    key: visit
    columns:
      person_id: patient
      visit_concept_id: 9202
      visit_start_date: date(day)
"""
VALUES = "SELECT value_as_number FROM measurement ORDER BY 1"
ALL = [(1.0,), (5.1,), (80.0,), (99.5,), (120.0,), (130.0,), (130.0,)]


def test_rows_of_events_are_told_apart_within_their_rule(tmp_path):
    """Two tables that count their rows alike, and two rules on each row of one of them."""
    report = loaded(tmp_path, BOTH, signs=SIGNS)
    assert reasons(report) == {}
    assert rows(tmp_path, VALUES) == ALL
    before = rows(tmp_path, "SELECT * FROM measurement ORDER BY ALL")
    loaded(tmp_path, BOTH.replace("name: small", "name: other"), signs=SIGNS)
    assert rows(tmp_path, "SELECT * FROM measurement ORDER BY ALL") == before


def test_a_release_with_other_ids_in_place_leaves_no_row_twice(tmp_path, monkeypatch):
    text = BOTH.replace("    key: row\n", "    key: concat(row, value)\n", 1)
    with monkeypatch.context() as older:
        older.setattr(reuse, "IDS", 1)
        older.setattr(Rule, "space", "")
        made, export = mapping(tmp_path / "mapping", text), str(write(tmp_path / "export", signs=SIGNS))
        old = load(made, export, tmp_path / "cdm.duckdb", today=TODAY, anyway=True)
        assert reasons(old) == {"contradiction": 4}
    assert reasons(loaded(tmp_path, text, signs=SIGNS)) == {}
    assert rows(tmp_path, VALUES) == ALL
    assert not any(taken for (taken,) in rows(tmp_path, "SELECT taken FROM ingest.part"))


def test_where_rows_are_referred_to_by_key_it_is_said_that_rules_share_it(tmp_path):
    text = MAPPING + STAYS
    report = loaded(tmp_path, text, stays="visit,patient,day\nv1,1,2020-03-01\nv8,2,2020-03-01\n")
    assert reasons(report) == {"contradiction": 2, "unknown visit_occurrence": 1}
    made = mapping(tmp_path / "m", text)
    (said,) = shared_keys(made)
    assert said.startswith("2 rules fill visit_occurrence, whose rows others refer to by key: the same key from visits")
    assert 'write concat("stays ", …) as its key' in said
    assert said in explain(made)
    assert shared_keys(mapping(tmp_path / "m", BOTH)) == []


def test_every_error_of_every_rule_is_said(tmp_path):
    text = MAPPING.replace("date(born)", "date(brn)").replace('code("LOINC", code)', "cod(numbr(cde), LOINCC)")
    text = text.replace("number(value)", "date(day)").replace("rules:", "persons: {match: [nid]}\nrules:")
    text += SIGN.replace("    key: row\n", "    key: rw\n    each: {columns: [x, high], value: high}\n")
    text = text.replace("from: visits", "from: stays")
    with pytest.raises(Problems) as found:
        check_against(mapping(tmp_path / "m", text), str(write(tmp_path / "x", signs=SIGNS)))
    said = "\n".join(found.value.problems)
    assert said.count("no column `brn`") == 3
    words = ("column `nid`", "table 'stays'", "function `cod`", "function `numbr`", "column `cde`", "column `LOINCC`",
             "column `rw`", "column `x`")  # fmt: skip
    assert {word: said.count(f"no {word}") for word in words} == dict.fromkeys(words, 1)
    assert said.count("value_as_number takes a number") == 1
    assert len(found.value.problems) == 12
    assert said.index("`nid`") < said.index("`brn`") < said.index("'stays'") < said.index("`cod`")


def test_a_conversion_by_an_analyte_that_there_is_not_is_refused(tmp_path):
    text = MAPPING.replace("number(value)", 'convert(number(value), unit, "mmol/L", "glucosee")')
    with pytest.raises(Problems, match=r"Line 37, column 63.*no analyte 'glucosee'. Did you mean glucose\?"):
        check_against(mapping(tmp_path / "m", text), str(write(tmp_path / "x")))


def test_a_list_that_lacks_most_codes_of_the_export_is_doubted(tmp_path):
    """Only of rows that look there: those of another branch, or that `where` leaves out, say nothing."""
    patients = "id,sex,born,died\n" + "".join(f"{n},{sex},1950-02-03,\n" for n, sex in enumerate("MMMFXYZZ"))
    export, text = str(write(tmp_path / "x", patients=patients)), MAPPING

    def said(text):
        return held_against(mapping(tmp_path / "m", text), export).doubts

    assert said(text) == [
        "sex.csv lacks 3 of 5 codes that person from patients looks up there (4 of 8 rows). Is it the list for this"
        " column?"
    ]
    assert said(text.replace('lookup("sex", sex)', 'case when sex = "X" then 0 else lookup("sex", sex) end')) == []
    assert said(text.replace("    key: id\n", '    key: id\n    where: sex != "X"\n', 1)) == []


def test_visits_of_which_no_rule_says_the_kind_are_doubted(tmp_path):
    made = mapping(tmp_path, MAPPING)
    assert without_concept(made) == []
    (said,) = without_concept(mapping(tmp_path, MAPPING.replace("      visit_concept_id: 9201\n", "")))
    assert said.startswith("Line 21: visit_occurrence from visits has no visit_concept_id: all its rows get concept 0.")


def test_a_rule_without_a_column_that_no_row_can_lack_is_refused(tmp_path):
    text = MAPPING.replace("      measurement_date: date(day)\n", "").replace("      person_id: id\n", "")
    made = mapping(tmp_path / "m", text)
    for hold in (complete, lambda one: check_against(one, str(write(tmp_path / "x")))):
        with pytest.raises(Problems) as found:
            hold(made)
        death, measurement = found.value.problems
        assert death.startswith("Line 15, rules[1].columns: death needs person_id")
        assert "rules[3].columns: measurement needs measurement_date" in measurement
    ends = MAPPING.replace("      visit_end_date: date(to)\n", "")  # the start stands in for it
    complete(mapping(tmp_path / "m", ends))


def test_a_load_without_any_row_of_a_rule_is_not_put_in_force_unless_asked(tmp_path):
    loaded(tmp_path)
    text = MAPPING.replace("date(day)", 'date(day, "dd.MM.yyyy")')
    made, export = mapping(tmp_path / "mapping", text), str(tmp_path / "export")
    target = tmp_path / "cdm.duckdb"
    for _ in range(2):
        with pytest.raises(Problems, match=r"none of 3 rows can stay: unreadable measurement_date \(3\)") as found:
            load(made, export, target, today=TODAY)
    assert "type the command again with --anyway" in str(found.value)
    assert rows(tmp_path, "SELECT count(*) FROM measurement") == [(3,)]
    report = load(made, export, target, today=TODAY, anyway=True)
    assert (report.changed, report.resumed, reasons(report)) == (True, False, {"unreadable measurement_date": 3})
    assert rows(tmp_path, "SELECT count(*) FROM measurement") == [(0,)]


def test_rows_that_another_says_too_are_no_mistake(tmp_path):
    text = MAPPING + STAYS.replace("9202", "9201").replace("date(day)", "date(day)\n      visit_end_date: date(until)")
    report = loaded(tmp_path, text, stays="visit,patient,day,until\nv1,1,2020-01-10,2020-01-12\n")
    assert reasons(report) == {"repeated row": 1}


def test_a_calendar_that_is_not_ours_stops_the_load_where_it_begins(tmp_path):
    """Years of the Thai calendar: of results a release without any, of births one without any person."""
    results = RESULTS.replace("2020-", "2563-").replace("2021-", "2564-")
    said = r"none of 3 rows can stay: measurement_date in the future \(3\)"
    with pytest.raises(Problems, match=said):
        loaded(tmp_path, results=results)
    births = PATIENTS.replace(",1950-", ",2493-").replace(",1961-", ",2504-").replace(",1999-", ",2542-")
    with pytest.raises(Problems, match=r"person from patients.*birth in the future \(3\)") as found:
        loaded(tmp_path, patients=births, results=results)
    assert "unknown person" not in str(found.value)
    soon = RESULTS.replace("2020-", f"{TODAY.year}-").replace("2021-", f"{TODAY.year}-")
    assert loaded(tmp_path, results=soon).tables.get("measurement", 0) == 0, "what is planned is no mistake"
    some = loaded(tmp_path, results=results + RESULTS.splitlines()[1].replace("a,", "d,") + "\n")
    assert some.tables["measurement"] == 1, "rows that come later beside others are no mistake"


def test_an_amount_of_memory_that_is_none_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(OperatorError, match="'lots' is no amount of memory"):
        load(mapping(tmp_path), str(tmp_path / "nothing"), tmp_path / "cdm.duckdb", memory="lots")
    (tmp_path / "cdm.duckdb").write_bytes(b"x" * 5000)
    with pytest.raises(DataError, match="cannot be opened as a DuckDB file"):
        load(mapping(tmp_path), str(write(tmp_path / "x")), tmp_path / "cdm.duckdb")


@pytest.mark.parametrize("name", ["test_date", "TestDate", "lab_time", "result_date", "measurement date"])
def test_the_day_of_a_test_is_a_day(name):
    assert meaning_of(name) == "measured"


def test_a_mapping_that_is_not_there_is_said_to_be_none(tmp_path):
    with pytest.raises(DataError, match="is not there"):
        read_mapping(tmp_path / "nothere.yaml")
