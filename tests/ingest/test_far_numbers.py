"""A number or day beyond what the model or an engine counts is one unreadable value, and named; the rest loads."""

from __future__ import annotations

import json

from atoll.cdm.tables import tables
from tests.ingest.exports import MAPPING, loaded, reasons, rows

FAR = 99999999999
DRUGS = f"no,patient,day,supply\nd1,1,2020-01-10,7\nd2,1,2020-01-11,{FAR}\nd3,2,2020-01-12,2000000000\n"
DRUG = """\
  - to: drug_exposure
    from: drugs
    key: no
    columns:
      person_id: patient
      drug_concept_id: 1503297
      drug_exposure_start_date: date(day)
      days_supply: integer(supply)
      refills: integer(supply) * integer(supply) * integer(supply)
      verbatim_end_date: add_days(date(day), integer(supply))
"""


def test_a_supply_that_no_calendar_holds_is_named_and_the_rest_loads(tmp_path):
    report = loaded(tmp_path, MAPPING + DRUG, drugs=DRUGS)
    cells = "days_supply, refills, drug_exposure_end_date::VARCHAR, verbatim_end_date::VARCHAR"
    assert rows(tmp_path, f"SELECT {cells} FROM drug_exposure ORDER BY drug_exposure_start_date") == [
        (7, 343, "2020-01-16", "2020-01-17"),
        (None, None, "2020-01-11", None),
        (2000000000, None, "2020-01-12", None),
    ]
    named = {one["reason"]: one["rows"] for one in report.rejected if one["table"] == "drug_exposure"}
    assert named == {"unreadable days_supply": 2, "unreadable refills": 2, "unreadable verbatim_end_date": 2}


def test_a_year_of_birth_that_is_none_puts_one_person_aside(tmp_path):
    text = MAPPING.replace("year(date(born))", 'integer(replace(born, "-", ""))', 1)
    text = text.replace("      month_of_birth: month(date(born))\n      day_of_birth: day(date(born))\n", "")
    patients = "id,sex,born,died\n1,M,195003041200,\n2,F,1961,\n3,F,1999,\n"
    assert reasons(loaded(tmp_path, text, patients=patients)) == {"unreadable year_of_birth": 1, "unknown person": 4}
    assert rows(tmp_path, "SELECT year_of_birth FROM person ORDER BY 1") == [(1961,), (1999,)]


def _rule(table):
    """A rule that fills every whole number of a table from one column, and what else the table needs."""
    given = {"date": "date(day)", "datetime": "datetime(day)", "text": "no"}
    columns = {"person_id": "patient"} if "person_id" in table.columns else {}
    for column in table.columns.values():
        if column.name == "person_id" or column.key:
            continue
        if column.kind == "integer" and column.dtype == "int32":
            columns[column.name] = "integer(supply)"
        elif column.required and column.kind in given:
            columns[column.name] = given[column.kind]
    return f"  - to: {table.name}\n    from: drugs\n    key: no\n    columns: {json.dumps(columns)}\n"


def test_no_whole_number_of_any_table_stops_a_load(tmp_path):
    names = ("provider", "visit_occurrence", "measurement", "observation", "procedure_occurrence", "device_exposure",
             "drug_exposure", "condition_occurrence", "specimen", "episode", "note", "note_nlp")  # fmt: skip
    text = MAPPING[: MAPPING.index("  - to: visit_occurrence")] + "".join(_rule(tables()[name]) for name in names)
    report = loaded(tmp_path, text, drugs=DRUGS, anyway=True)
    for name in names:
        wholes = [c.name for c in tables()[name].columns.values() if c.dtype == "int32" and not c.key]
        said = {one["reason"] for one in report.rejected if one["table"] == name}
        needed = {f"unreadable {c}" for c in wholes if tables()[name].columns[c].required}
        missed = {f"unreadable {c}" for c in wholes} - said
        assert needed & said if needed else not missed, name
