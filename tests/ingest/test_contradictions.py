"""Rows and patients that contradict each other: what is believed, whatever the order of the file, and what is named."""

from __future__ import annotations

import pytest

from tests.ingest.exports import MAPPING, PATIENTS, RESULTS, VISITS, loaded, reasons, rows
from tests.ingest.test_loading import content

HEAD = "id,nid,sex,born,died\n"
MATCHED = MAPPING.replace("rules:", "persons: {match: [nid]}\nrules:")
NO_EVENTS = {"visits": VISITS.splitlines()[0] + "\n", "results": RESULTS.splitlines()[0] + "\n"}


def matched(folder, *lines):
    return loaded(folder, MATCHED, patients=HEAD + "\n".join(lines) + "\n", **NO_EVENTS)


def persons(folder):
    return [key for (key,) in rows(folder, "SELECT person_source_value FROM person ORDER BY 1")]


def test_patients_with_one_identity_become_one_person(tmp_path):
    report = matched(tmp_path, "1,X1,M,1970-01-01,", "2,X1,M,1970-01-01,", "3,X2,F,1980-05-05,")
    assert (report.merged, reasons(report), persons(tmp_path)) == (1, {}, ["1", "3"])


@pytest.mark.parametrize("other", ["F,1970-01-01", "M,1980-01-01", "M,1970-01-02"])
def test_another_sex_or_birth_is_another_person(tmp_path, other):
    lines = ["1,X1,M,1970-01-01,", f"2,X1,{other},", "3,X2,M,1950-01-01,"]
    for at, order in enumerate((lines, lines[::-1])):
        report = matched(tmp_path / str(at), *order)
        assert report.merged == 0
        assert persons(tmp_path / str(at)) == ["1", "2", "3"]
        named = "SELECT key, what FROM ingest.rejected WHERE reason = 'match with another sex or birth' ORDER BY key"
        assert rows(tmp_path / str(at), named) == [("1", "match"), ("2", "match")]


def test_a_placeholder_is_no_identity(tmp_path):
    report = matched(tmp_path, *(f"{n},未知,M,1970-01-01," for n in range(11)))
    assert report.merged == 0
    assert reasons(report) == {"match by a value of more than 10 patients": 11}


def test_what_is_unknown_of_one_does_not_join_two_others(tmp_path):
    """2 has both identities and no sex: with 1 it would be a man, with 3 a woman."""
    report = matched(tmp_path, "1,X1,M,1970-01-01,", "2,X1,,1970-01-01,", "2,X2,,1970-01-01,", "3,X2,F,1970-01-01,")
    assert report.merged == 0
    assert reasons(report) == {"match with another sex or birth": 3, "repeated row": 1}


def test_rows_with_one_key_that_contradict_each_other_are_all_put_aside(tmp_path):
    more = ["x,1,v1,2020-01-11,2345-7,5,mg/dL", "x,1,v1,2020-01-11,2345-7,900,mg/dL"]
    for at, order in enumerate((more, more[::-1])):
        report = loaded(tmp_path / str(at), results=RESULTS + "\n".join(order) + "\n")
        assert reasons(report) == {"contradiction": 2}
        assert report.tables["measurement"] == 3
    kept = "SELECT row FROM ingest.rejected WHERE what = 'row' ORDER BY row"
    assert [("900" in row, '"5"' in row) for (row,) in rows(tmp_path / "0", kept)] == [(False, True), (True, False)]
    assert content(tmp_path / "0" / "cdm.duckdb") == content(tmp_path / "1" / "cdm.duckdb")


def test_of_rows_that_agree_the_one_that_says_most_stays(tmp_path):
    """A visit that is told again when the patient leaves: the first row has no end yet."""
    more = ["v9,1,2022-01-10,", "v9,1,2022-01-10,2022-01-15", "v9,1,2022-01-10,"]
    for at, order in enumerate((more, more[::-1], [more[1], more[0], more[2]])):
        report = loaded(tmp_path / str(at), visits=VISITS + "\n".join(order) + "\n")
        assert reasons(report) == {"repeated row": 2}
        ends = "SELECT max(visit_end_date)::VARCHAR FROM visit_occurrence"
        assert rows(tmp_path / str(at), ends) == [("2022-01-15",)]
        named = "SELECT count(*) FROM ingest.rejected WHERE row LIKE '%2022-01-15%'"
        assert rows(tmp_path / str(at), named) == [(0,)]


def test_a_repeated_row_with_a_note_is_named_once(tmp_path):
    more = "x,1,v1,2020-01-11,2345-7,5,\n"  # has no unit, which is a note
    report = loaded(tmp_path, results=RESULTS + more + more)
    assert reasons(report) == {"repeated row": 1, "value without a unit": 1}


def test_a_person_of_two_sexes_has_none(tmp_path):
    lines = PATIENTS.splitlines()[1:]
    for at, order in enumerate(([*lines, "1,F,1950-02-03,"], ["1,F,1950-02-03,", *lines])):
        report = loaded(tmp_path / str(at), patients="id,sex,born,died\n" + "\n".join(order) + "\n")
        assert reasons(report) == {"one person with two sexes": 2, "repeated row": 1}
        sex = "SELECT gender_concept_id, gender_source_value FROM person WHERE person_source_value = '1'"
        assert rows(tmp_path / str(at), sex) == [(0, None)]
    assert content(tmp_path / "0" / "cdm.duckdb") == content(tmp_path / "1" / "cdm.duckdb")


def test_of_two_days_of_death_the_first_counts_and_the_other_is_named(tmp_path):
    lines = ["2,F,1961-05-06,2024-03-01", "2,F,1961-05-06,2023-03-01"]
    for at, order in enumerate((lines, lines[::-1])):
        report = loaded(tmp_path / str(at), patients="id,sex,born,died\n1,M,1950-02-03,\n" + "\n".join(order) + "\n")
        assert reasons(report) == {"contradiction": 1, "repeated row": 1}
        assert rows(tmp_path / str(at), "SELECT death_date::VARCHAR FROM death") == [("2023-03-01",)]


@pytest.mark.parametrize("link", ["1,3", "3,1"])
def test_merged_patients_are_born_on_the_earlier_day_and_have_no_sex_that_differs(tmp_path, link):
    text = MAPPING.replace("rules:", "persons: {same: {table: links, key: old, is: new}}\nrules:")
    visits = VISITS + "v0,1,1960-01-01,1960-01-01\nv4,3,1961-01-01,1961-01-01\n"  # before the birth of one of the two
    report = loaded(tmp_path, text, links=f"old,new\n{link}\n", visits=visits)
    assert reasons(report) == {"one person with two births": 1, "one person with two sexes": 2}
    person = "SELECT DISTINCT year_of_birth, gender_concept_id FROM person JOIN visit_occurrence USING (person_id)"
    assert rows(tmp_path, f"{person} WHERE year(visit_start_date) < 1970") == [(1950, 0)]
    assert report.tables["visit_occurrence"] == 5


def test_first_says_which_of_two_rows_counts_and_the_file_does_not(tmp_path):
    text = MAPPING.replace("    key: row\n", "    key: row\n    first: date(day)\n")
    more = [f"x,1,v1,2020-01-1{day},2345-7,{value},mg/dL" for day, value in ((1, 900), (1, 7), (2, 5))]
    for at, order in enumerate((more, more[::-1])):
        report = loaded(tmp_path / str(at), text, results=RESULTS.splitlines()[0] + "\n" + "\n".join(order) + "\n")
        assert reasons(report) == {}
    assert content(tmp_path / "0" / "cdm.duckdb") == content(tmp_path / "1" / "cdm.duckdb")


def test_numbers_that_replace_each_other_in_a_circle_are_named(tmp_path):
    """They are one person, as the source says; which number is the right one it does not say."""
    text = MAPPING.replace("rules:", "persons: {same: {table: links, key: old, is: new}}\nrules:")
    report = loaded(tmp_path, text, links="old,new\n1,2\n2,9\n9,1\n8,3\n")
    assert (report.tables["person"], report.merged) == (2, 3)
    assert [one for one in report.rejected if one["what"] == "same"] == [
        {"table": "person", "source": "links", "what": "same", "rows": 3,
         "reason": "one of 3 numbers that replace each other in a circle"}
    ]  # fmt: skip
    named = "SELECT key, row IS NOT NULL FROM ingest.rejected WHERE what = 'same' ORDER BY 1"
    assert rows(tmp_path, named) == [("1", True), ("2", True), ("9", False)]
