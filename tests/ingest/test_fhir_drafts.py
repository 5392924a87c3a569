"""What a draft makes of a FHIR export: visits, answers in codes, deaths without a day, units; which coding counts."""

from __future__ import annotations

import pytest

from atoll.ingest.drafts.proposal import propose
from atoll.ingest.load import load
from atoll.ingest.mapping import read_mapping
from tests.ingest.exports import TODAY, reasons, rows
from tests.ingest.test_messages import INFARCTION, ON, PATIENT, VISIT, ndjson, table

ICD = {"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11.9"}
LOCAL = {"system": "http://hospital/local", "code": "X1"}
SNOMED_NEGATIVE = {"system": "http://snomed.info/sct", "code": "260385009"}


def observed(name, code, **said):
    return {"resourceType": "Observation", "id": name, "status": "final", **ON, "effectiveDateTime": "2020-01-11",
            "encounter": {"reference": "Encounter/e1"},
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, **said}  # fmt: skip


def quantity(value, unit):
    return {"valueQuantity": {"value": value, "unit": unit}}


@pytest.fixture(scope="module")
def drafted(tmp_path_factory):
    """A draft, loaded as it is: its folder, what was drafted, the report."""
    folder = tmp_path_factory.mktemp("drafted")
    allergy = {"resourceType": "AllergyIntolerance", "id": "a", "patient": {"reference": "Patient/p1"},
               "encounter": {"reference": "Encounter/e1"}, "onsetDateTime": "2020-01-11"}  # fmt: skip
    answers = [{"coding": [SNOMED_NEGATIVE]}, {"text": "阳性"}, {"coding": [{"code": "Q7", "display": "cloudy"}]}]
    export = ndjson(
        folder / "x", PATIENT, {**PATIENT, "id": "p2", "deceasedBoolean": True},
        {**PATIENT, "id": "p3", "deceasedDateTime": "2021-01-02T23:30:00-05:00"}, VISIT, allergy,
        *(observed(f"n{i}", "5804-0", valueCodeableConcept=answer) for i, answer in enumerate(answers)),
        *(observed(f"g{i}", "2345-7", **quantity(5.5, "mmol/L")) for i in range(3)),
        observed("mass", "2345-7", **quantity(100, "mg/dL")),
        observed("odd", "2345-7", **quantity(70, "furlong")), observed("other", "2345-7", **quantity(3, "mmHg")),
    )  # fmt: skip
    made = propose(str(export), folder / "m" / "own.yaml", "own")
    return folder, made, load(read_mapping(folder / "m" / "own.yaml"), str(export), folder / "cdm.duckdb", today=TODAY)


def test_what_happened_in_a_visit_is_no_second_visit(drafted):
    folder, made, report = drafted
    assert report.tables["visit_occurrence"] == 1 and "AllergyIntolerance" in made.unused
    assert rows(folder, "SELECT count(*) FROM measurement WHERE visit_occurrence_id IS NULL") == [(0,)]


def test_an_answer_in_codes_or_words_arrives(drafted):
    """By its code in SNOMED, by its words, and else as a concept of the hospital's own: the table has one column."""
    query = ("SELECT value_source_value, value_as_number, vocabulary_id, value_as_concept_id FROM measurement"
             " JOIN concept ON concept_id = value_as_concept_id ORDER BY 1")  # fmt: skip
    found = rows(drafted[0], query)
    assert found[:2] == [("260385009", None, "SNOMED", 9189), ("cloudy", None, "list answer", found[1][3])]
    assert found[2] == ("阳性", None, "SNOMED", 9191) and found[1][3] >= 2_000_000_000


def test_a_death_without_a_day_is_named(drafted):
    folder, _, report = drafted
    assert rows(folder, "SELECT death_date::VARCHAR FROM death") == [("2021-01-02",)]
    assert reasons(report)["no death_date"] == 1


def test_units_convert_by_the_code_alone_and_others_are_told(drafted):
    """What does not convert keeps number and unit; the report counts such units, the list beside it names them."""
    folder, _, report = drafted
    query = ("SELECT unit_source_value, round(value_as_number, 2), unit_concept_id FROM measurement WHERE"
             " value_as_number <> 5.5 ORDER BY 1")  # fmt: skip
    assert rows(folder, query) == [("furlong", 70, 0), ("mg/dL", 5.55, 8753), ("mmHg", 3, 8876)]
    named = {reason: n for reason, n in reasons(report).items() if "unit" in reason}
    assert named == {"unknown unit": 1, "unit that does not convert": 1}
    assert {"vocabulary": "units as written", "codes": 2, "rows": 2} in report.unmapped
    assert [code for owner, code, _ in report.codes if owner == "units as written"] == ["furlong", "mmHg"]


@pytest.mark.parametrize("codings", [[LOCAL, ICD], [ICD, LOCAL], [{"code": "X1"}, ICD]])
def test_the_coding_of_a_known_system_counts_first(tmp_path, codings):
    condition = {**INFARCTION, "id": "c", "code": {"coding": codings, "text": "糖尿病"}}
    (row,), _ = table(ndjson(tmp_path / "x", PATIENT, condition), tmp_path / "w", "Condition")
    assert (row["code"], row["code_2"], row["display"]) == ("E11.9", "X1", "糖尿病")
