"""What FHIR may say in several types (value[x], onset[x] …): read, or named. And resources without an id of one."""

from __future__ import annotations

import json

import pytest

from atoll.ingest.fhir import TYPES
from tests.ingest.exports import reasons, rows
from tests.ingest.test_messages import INFARCTION, MISTAKEN, ON, PATIENT, fhir_loaded, ndjson, table

BEFORE = {"issued": "2020-07-09"}
UNDATED = {name: said for name, said in INFARCTION.items() if name != "onsetDateTime"}
# the types of each element that is read, FHIR R4 (4.0.1), the resources' lists of elements
R4 = {
    "Patient": {"deceased": "Boolean DateTime"},
    "Condition": {"onset": "DateTime Age Period Range String", "abatement": "DateTime Age Period Range String"},
    "Observation": {
        "effective": "DateTime Period Timing Instant",
        "value": "Quantity CodeableConcept String Boolean Integer Range Ratio SampledData Time DateTime Period",
    },
    "MedicationRequest": {"medication": "CodeableConcept Reference"},
    "MedicationStatement": {"medication": "CodeableConcept Reference", "effective": "DateTime Period"},
    "MedicationAdministration": {"medication": "CodeableConcept Reference", "effective": "DateTime Period"},
    "MedicationDispense": {"medication": "CodeableConcept Reference"},
    "Procedure": {"performed": "DateTime Period String Age Range"},
    "Immunization": {"occurrence": "DateTime String"},
    "AllergyIntolerance": {"onset": "DateTime Age Period Range String"},
}


def observed(name, **said):
    return {"resourceType": "Observation", "id": name, "status": "final", **ON, "code": {"text": "x"}, **said}


def number(value, unit=None):
    return {"value": value, **({"unit": unit} if unit else {})}


def read(tmp_path, resource, *columns):
    found, source = table(ndjson(tmp_path / "x", PATIENT, resource), tmp_path / "w", resource["resourceType"])
    return [tuple(row[name] for name in columns) for row in found], source.notes


@pytest.mark.parametrize(
    ("said", "day"),
    [({"effectiveInstant": "2020-03-01T08:00:00Z"}, "2020-03-01T08:00:00Z"),
     ({"effectiveTiming": {"event": ["2020-03-02"]}}, "2020-03-02"),
     ({"effectiveTiming": {"repeat": {"boundsPeriod": {"start": "2020-03-03"}}}}, "2020-03-03"),
     ({"effectivePeriod": {"end": "2020-03-04"}}, "2020-03-04"), ({}, "2020-07-09")],
)  # fmt: skip
def test_a_result_is_of_the_day_that_it_tells(tmp_path, said, day):
    assert read(tmp_path, observed("o", **BEFORE, **said), "time") == ([(day,)], [])


def test_a_time_that_cannot_be_read_is_not_that_of_the_issue(tmp_path):
    found, notes = read(tmp_path, observed("o", **BEFORE, effectiveTiming={"code": {"text": "daily"}}), "time")
    assert (found, notes) == ([(None,)], ["export.ndjson: 1 Observation tell `effectiveTiming`, which is not read"])


@pytest.mark.parametrize(
    ("said", "value"),
    [({"valueRatio": {"numerator": number(1), "denominator": number(128)}}, (None, None, "1:128")),
     ({"valueRatio": {"numerator": number(5, "mg"), "denominator": number(2, "mL")}}, (2.5, "mg/mL", None)),
     ({"valueRatio": {"numerator": number(5, "mg"), "denominator": number(0, "mL")}}, (None, "mg/mL", None)),
     ({"valueRange": {"low": number(3, "mg"), "high": number(5, "mg")}}, (None, "mg", "3-5")),
     ({"valueRange": {"high": number(5)}}, (None, None, "<=5")), ({"valueTime": "12:02:00"}, (None, None, "12:02:00")),
     ({"valueDateTime": "2020-01-01"}, (None, None, "2020-01-01")), ({"valueInteger": 3}, (None, None, "3")),
     ({"valuePeriod": {"start": "2020", "end": "2021"}}, (None, None, "2020/2021"))],
)  # fmt: skip
def test_a_value_of_every_type_arrives(tmp_path, said, value):
    found, _ = read(tmp_path, observed("o", component=[{"code": {"text": "y"}, **said}], **said),
                    "value", "unit", "value_string")  # fmt: skip
    assert found == [value, value]


def test_a_titre_is_loaded_and_a_series_of_values_is_kept_aside(tmp_path):
    titre = {"valueRatio": {"numerator": {**number(1), "comparator": "<"}, "denominator": number(128)}}
    plain = {name: said for name, said in MISTAKEN.items() if name != "valueQuantity"} | {"status": "final"}
    series = {**plain, "id": "s", "valueSampledData": {"dimensions": 1, "data": "1 2"}}
    report = fhir_loaded(tmp_path, PATIENT, {**plain, "id": "t", **titre}, series)
    assert reasons(report) == {"a series of values": 1, "unreadable value_as_number": 1}
    assert rows(tmp_path, "SELECT value_source_value, operator_concept_id FROM measurement") == [("1:128", 4171756)]
    assert report.manifest["notes"] == ["export.ndjson: 1 Observation tell `valueSampledData`, which is not read"]


AGED = "export.ndjson: 1 {} tell `{}`: its day is counted from the birth"


@pytest.mark.parametrize(
    ("field", "said", "day"),
    [("onsetAge", {"value": 40, "code": "a"}, "1990-02-03"), ("onsetAge", {"value": 6, "unit": "months"}, "1950-08-03"),
     ("onsetRange", {"low": number(40, "a"), "high": number(42, "a")}, "1990-02-03"),
     ("onsetAge", {"value": 10, "code": "d"}, "1950-02-13"), ("onsetAge", {"value": 4, "code": "m"}, "2020-01-02")],
)  # fmt: skip
def test_an_age_is_a_day(tmp_path, field, said, day):
    condition = {**UNDATED, "id": "c", field: said, "recordedDate": "2020-01-02"}
    assert read(tmp_path, condition, "start_time") == ([(day,)], [AGED.format("Condition", field)])


def test_an_end_is_that_of_the_disease_and_not_of_the_time_in_which_it_began(tmp_path):
    began = {**UNDATED, "id": "c", "onsetPeriod": {"start": "2001-01-01", "end": "2001-02-01"}}
    assert read(tmp_path, began, "start_time", "end_time")[0] == [("2001-01-01", None)]
    ended = {**began, "abatementPeriod": {"start": "2003-01-01", "end": "2003-02-01"}}
    assert read(tmp_path, ended, "end_time")[0] == [("2003-02-01",)]
    aged = {**began, "abatementAge": {"value": 60, "code": "a"}}
    assert read(tmp_path, aged, "end_time")[0] == [("2010-02-03",)]


@pytest.mark.parametrize(
    ("kind", "field"), [("Procedure", "performedString"), ("Immunization", "occurrenceString"),
                        ("Condition", "onsetString"), ("AllergyIntolerance", "onsetString")],
)  # fmt: skip
def test_what_is_told_in_words_is_named(tmp_path, kind, field):
    found, notes = read(tmp_path, {"resourceType": kind, "id": "x", **ON, field: "as a child"}, "start_time")
    assert (found, notes) == ([(None,)], [f"export.ndjson: 1 {kind} tell `{field}`, which is not read"])


@pytest.mark.parametrize(("kind", "field"), [("Procedure", "performedAge"), ("AllergyIntolerance", "onsetAge")])
def test_whatever_has_a_day_may_tell_an_age(tmp_path, kind, field):
    aged = {"resourceType": kind, "id": "x", "patient": ON["subject"], field: {"value": 12, "code": "a"}}
    assert read(tmp_path, aged, "start_time")[0] == [("1962-02-03",)]


def test_every_type_that_r4_allows_is_read_or_named(tmp_path):
    """Each alone in its resource: a field that is neither read nor counted fails."""
    from atoll.ingest.fhir_choices import UNREAD

    assert set(R4) < set(TYPES)
    known = {kind: {*fields, *UNREAD} for kind, (fields, _) in TYPES.items()}
    for kind, elements in R4.items():
        for element, types in elements.items():
            assert {f"{element}{one}" for one in types.split()} <= known[kind], kind


def test_a_resource_without_an_id_has_that_of_its_address(tmp_path):
    """As transactions send them: the server is to give the ids, so that they refer to each other by fullUrl."""
    patient, condition = ({name: said for name, said in one.items() if name != "id"} for one in (PATIENT, INFARCTION))
    entries = [{"fullUrl": "urn:uuid:0a-1", "resource": patient},
               {"fullUrl": "urn:uuid:0a-2", "resource": {**condition, "subject": {"reference": "urn:uuid:0a-1"}}},
               {"fullUrl": "urn:uuid:0a-3", "resource": {**INFARCTION, "id": "own"}}]  # fmt: skip
    (tmp_path / "x").mkdir()
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    (tmp_path / "x" / "bundle.json").write_text(json.dumps(bundle, indent=1))
    assert [row["id"] for row in table(tmp_path / "x", tmp_path / "w", "Patient")[0]] == ["0a-1"]
    conditions = table(tmp_path / "x", tmp_path / "w2", "Condition")[0]
    assert [(row["id"], row["patient"]) for row in conditions] == [("0a-2", "0a-1"), ("own", "p1")]
