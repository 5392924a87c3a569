"""FHIR and HL7 v2 exports as tables, and from there into the model with the mappings of the examples."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from atoll.cdm.workbench import Workbench
from atoll.errors import DataError
from atoll.ingest import formats
from atoll.ingest.drafts.proposal import propose
from atoll.ingest.load import load
from atoll.ingest.mapping import read_mapping
from atoll.ingest.sources import Opened, Source, open_source
from atoll.study.nodes import Problems
from tests.ingest.exports import MAPPING, TODAY, mapping, reasons, rows

EXAMPLES = Path(__file__).parents[2] / "examples" / "exports"
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"value": "007"}],
    "gender": "female",
    "birthDate": "1950-02-03",
}
VISIT = {
    "resourceType": "Encounter", "id": "e1", "class": {"code": "IMP"}, "subject": {"reference": "Patient/p1"},
    "period": {"start": "2020-01-10T23:30:00+08:00", "end": "2020-01-12"},
}  # fmt: skip
PRESSURE = {
    "resourceType": "Observation", "id": "o1", "subject": {"reference": "urn:uuid:p1"},
    "encounter": {"reference": "https://here.example/fhir/Encounter/e1"}, "effectiveDateTime": "2020-01-11",
    "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
    "component": [
        {"code": {"coding": [{"code": "8480-6"}]}, "valueQuantity": {"value": 120, "unit": "mmHg", "code": "mm[Hg]"}},
        {"code": {"coding": [{"code": "8462-4"}]}, "valueQuantity": {"value": 80, "unit": "mmHg", "code": "mm[Hg]"}},
    ],
}  # fmt: skip


def ndjson(folder, *resources):
    folder.mkdir(exist_ok=True)
    (folder / "export.ndjson").write_text("".join(json.dumps(one) + "\n" for one in resources), "utf-8")
    return folder


def table(path, folder, name):
    with Workbench() as bench:
        source = open_source(str(path), bench, folder)
        return bench.ibis.to_pyarrow(source.table(name)).to_pylist(), source


def test_components_are_rows_of_their_own(tmp_path):
    found, _ = table(ndjson(tmp_path / "x", PATIENT, VISIT, PRESSURE), tmp_path / "w", "Observation")
    read = [(row["id"], row["patient"], row["encounter"], row["code"], row["value"], row["unit"]) for row in found]
    assert sorted(read) == [
        ("o1", "p1", "e1", "85354-9", None, None),
        ("o1#1", "p1", "e1", "8480-6", 120.0, "mm[Hg]"),
        ("o1#2", "p1", "e1", "8462-4", 80.0, "mm[Hg]"),
    ]


def test_a_bundle_is_the_same_as_lines(tmp_path):
    (tmp_path / "b").mkdir()
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": one} for one in (PATIENT, VISIT, PRESSURE)],
    }
    (tmp_path / "b" / "bundle.json").write_text(json.dumps(bundle, indent=1), "utf-8")
    lines = table(ndjson(tmp_path / "x", PATIENT, VISIT, PRESSURE), tmp_path / "w", "Observation")[0]
    assert table(tmp_path / "b", tmp_path / "w2", "Observation")[0] == lines


def test_resources_without_a_table_are_named(tmp_path):
    _, source = table(ndjson(tmp_path / "x", PATIENT, {"resourceType": "Goal", "id": "g"}), tmp_path / "w", "Patient")
    assert source.notes == ["export.ndjson: 1 resources of type Goal have no table"]


def test_fhir_into_the_model(tmp_path):
    glucose = {**PRESSURE, "id": "o2", "code": {"coding": [{"code": "2345-7"}]}, "subject": {"reference": "Patient/p1"},
               "valueQuantity": {"value": 5.55, "unit": "mmol/L"}}  # fmt: skip
    del glucose["component"]
    condition = {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p1"},
                 "code": {"coding": [{"code": "E11.9"}]}, "onsetDateTime": "2020-01-10"}  # fmt: skip
    drug = {"resourceType": "MedicationRequest", "id": "m", "subject": {"reference": "Patient/p1"},
            "authoredOn": "2020-01-10",
            "medicationCodeableConcept": {"coding": [{"code": "6809"}]}}  # fmt: skip
    export = ndjson(tmp_path / "x", PATIENT, VISIT, glucose, condition, drug)
    report = load(read_mapping(EXAMPLES / "fhir" / "mapping.yaml"), str(export), tmp_path / "cdm.duckdb", today=TODAY)
    assert reasons(report) == {}
    found = rows(tmp_path, "SELECT round(value_as_number), unit_concept_id, measurement_concept_id FROM measurement")
    assert found == [(100.0, 8840, 3004501)]
    assert rows(tmp_path, "SELECT person_source_value FROM person") == [("007",)]
    assert rows(tmp_path, "SELECT visit_start_date::VARCHAR FROM visit_occurrence") == [("2020-01-10",)]


ADT = (
    "MSH|^~\\&|HIS|river|||20250101||ADT^A01|1|P|2.4||||||{encoding}\r"
    "PID|1||007^^^MRN||王^小明||19500203|F\rPV1|1|I|||||||||||||||||V1|" + "|" * 24 + "20200110|20200112\r"
    "DG1|d1|I10|E11.9^2型糖尿病^I10||20200110|F\r"
)
ORU = (
    "MSH|^~\\&|LIS|river|||20250101||ORU^R01|2|P|2.4||||||{encoding}\r"
    "PID|1||007^^^MRN\rPV1|1||||||||||||||||||V1\rOBR|1|||BIO|||202001110800\r"
    "OBX|r1|NM|2345-7^葡萄糖^LN||5.55|mmol/L|||||F\rOBX|r2|ST|6690-2^白细胞^LN||6.1\\T\\2|10^9/L|||||F|||20200111\r"
)


@pytest.mark.parametrize(
    ("named", "encoding", "frame"),
    [("GB 18030-2000", "gb18030", b""), ("UNICODE UTF-8", "utf-8", b"\x0b"), ("", "gb18030", b"\n")],
)
def test_hl7_in_chinese_encodings_with_and_without_frames(tmp_path, named, encoding, frame):
    (tmp_path / "x").mkdir()
    messages = [text.format(encoding=named).encode(encoding) for text in (ADT, ORU)]
    end = b"\x1c\r" if frame == b"\x0b" else b"\n"
    (tmp_path / "x" / "all.hl7").write_bytes(b"".join(frame + message + end for message in messages))
    found, _ = table(tmp_path / "x", tmp_path / "w", "results")
    read = [(r["set_id"], r["patient"], r["visit"], r["text"], r["value"], r["unit"], r["time"][:8]) for r in found]
    assert sorted(read) == [
        ("r1", "007", "V1", "葡萄糖", "5.55", "mmol/L", "20200111"),
        ("r2", "007", "V1", "白细胞", "6.1&2", "10^9/L", "20200111"),
    ]
    diagnoses, _ = table(tmp_path / "x", tmp_path / "w", "diagnoses")
    assert [(row["code"], row["text"], row["system"]) for row in diagnoses] == [("E11.9", "2型糖尿病", "I10")]


def written(folder, data, name="a.hl7"):
    folder.mkdir()
    (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("named", "encoding"),
    [("UNICODE", "utf-8"), ("UNICODE", "utf-16"), ("UNICODE UTF-16", "utf-16-be"), ("UNICODE UTF-16", "utf-16-le"),
     ("UNICODE UTF-8", "utf-8-sig")],
)  # fmt: skip
def test_unicode_is_what_the_bytes_are(tmp_path, named, encoding):
    export = written(tmp_path / "x", (ADT + "\n" + ORU).format(encoding=named).encode(encoding))
    diagnoses, source = table(export, tmp_path / "w", "diagnoses")
    assert [(row["patient"], row["text"]) for row in diagnoses] == [("007", "2型糖尿病")]
    assert [file.encoding for file in source.files()] == [encoding.removesuffix("-sig")]
    assert {row["set_id"] for row in table(export, tmp_path / "w2", "results")[0]} == {"r1", "r2"}


@pytest.mark.parametrize("name", ["a.msg", "a.dat", "a.txt", "0001", "a.hl7"])
def test_messages_are_known_by_how_they_begin(tmp_path, name):
    found, source = table(written(tmp_path / "x", ADT.encode(), name), tmp_path / "w", "visits")
    assert (source.kind, [row["visit"] for row in found]) == ("hl7", ["V1"])


def test_a_file_beside_messages_is_left_out_and_named(tmp_path):
    export = written(tmp_path / "x", ADT.encode())
    (export / "readme.txt").write_text("Messages of the year.")
    _, source = table(export, tmp_path / "w", "visits")
    assert source.notes == ["readme.txt does not begin with an HL7 v2 message (MSH) and is left out"]


def test_a_message_names_its_separators(tmp_path):
    """MSH-1 and MSH-2 hold for their message alone; the usual signs are text in it, and its own where escaped."""
    oru = ORU.format(encoding="UNICODE UTF-8").replace("6.1\\T\\2", "6|1\\F\\2").replace("2型", "2^型")
    other = "".join(line.translate(str.maketrans("|^", "#!")) + "\r" for line in oru.split("\r")[:-2])
    other += "OBX#r2#ST#6690-2!白^细胞!LN##6|1\\F\\2#10!9/L#####F###20200111\r"
    export = written(tmp_path / "x", (other + ADT.format(encoding="") + oru.replace("r1", "r3")).encode())
    found, _ = table(export, tmp_path / "w", "results")
    read = {row["set_id"]: (row["patient"], row["visit"], row["text"], row["value"], row["unit"]) for row in found}
    assert read["r1"] == read["r3"] == ("007", "V1", "葡萄糖", "5.55", "mmol/L")
    assert {row["value"] for row in found if row["text"] == "白^细胞"} == {"6|1#2"}
    assert [row["birth"] for row in table(export, tmp_path / "w2", "patients")[0]] == ["19500203"]


def test_who_has_no_birth_and_which_visit_no_day_is_said(tmp_path):
    """A message of results need not tell the birth; where none does, the patient is named."""
    adt = ADT.replace("19500203", "").replace("|20200110|20200112\r", "||20200112\r")
    other = (ADT + ORU).replace("007^", "008^").replace("|V1|", "|V2|").replace("|V1\r", "|V2\r")
    export = written(tmp_path / "x", (adt + ORU + other).format(encoding="").encode())
    report = load(read_mapping(EXAMPLES / "hl7" / "mapping.yaml"), str(export), tmp_path / "cdm.duckdb", today=TODAY)
    assert reasons(report) == {"no year_of_birth": 1, "unknown person": 4, "unreadable value_as_number": 1}
    visits = table(export, tmp_path / "w", "visits")[0]
    assert sorted((row["visit"], row["admitted"], row["discharged"]) for row in visits) == [
        ("V1", None, "20200112"), ("V2", "20200110", "20200112")
    ]  # fmt: skip


def test_what_tells_results_apart_is_true_of_real_messages(tmp_path):
    """Set ids begin anew with each order, control numbers with each sender; a message sent twice is one."""
    head = ORU.format(encoding="").split("OBR")[0]
    orders = "".join(f"OBR|{n}||{n}|BIO|||2020011{n}\rOBX|1|NM|2345-7^^LN||90|mg/dL|||||F\r" for n in (0, 1))
    sender = (head + orders).replace("LIS", "POCT")
    export = written(tmp_path / "x", (ADT.format(encoding="") + head + orders + sender + head + orders).encode())
    report = load(read_mapping(EXAMPLES / "hl7" / "mapping.yaml"), str(export), tmp_path / "cdm.duckdb", today=TODAY)
    assert report.tables["measurement"] == 4
    first = {row["row"] for row in table(export, tmp_path / "w", "results")[0]}
    later = written(tmp_path / "y", (sender + head + orders).encode())
    assert {row["row"] for row in table(later, tmp_path / "w2", "results")[0]} == first


def test_a_diagnosis_that_each_message_repeats_is_one(tmp_path):
    again = ADT.replace("A01|1", "A03|2").replace("d1", "1")
    export = written(tmp_path / "x", (ADT + again).format(encoding="").encode())
    report = load(read_mapping(EXAMPLES / "hl7" / "mapping.yaml"), str(export), tmp_path / "cdm.duckdb", today=TODAY)
    assert (report.tables["condition_occurrence"], reasons(report)) == (1, {})


def test_merged_numbers_of_hl7(tmp_path):
    (tmp_path / "x").mkdir()
    text = "MSH|^~\\&|HIS|river|||20250101||ADT^A40|1|P|2.4\rPID|1||007^^^MRN\rMRG|006^^^MRN\r"
    (tmp_path / "x" / "a.hl7").write_text(text)
    assert table(tmp_path / "x", tmp_path / "w", "merges")[0] == [{"patient": "006", "kept": "007"}]


def test_a_format_of_messages_is_a_module_and_a_line(tmp_path, monkeypatch):
    """Found from its files, asked for by a mapping, opened with the same words as the others."""
    module = ModuleType("lines")
    module.is_message = lambda name, head: name.endswith(".lines") and head.startswith(b"#")

    def open_messages(files, bench, folder, progress):
        progress(files[0].name)
        bench.view("patients", "SELECT '1' AS id")
        return Source(bench, "lines", {"patients": Opened("patients", {"id": "string"})})

    module.open_messages = open_messages
    monkeypatch.setitem(sys.modules, "lines", module)
    monkeypatch.setitem(formats.FORMATS, "lines", "lines")
    (tmp_path / "a.lines").write_text("#\n")
    for text in (None, "{kind: lines}"):
        said = []
        asked = mapping(tmp_path, MAPPING.replace('{missing: ["?"]}', text)) if text else None
        with Workbench() as bench:
            source = open_source(str(tmp_path / "a.lines"), bench, tmp_path / "w", asked, said.append)
            assert (source.kind, list(source.tables), said) == ("lines", ["patients"], ["a.lines"])
    with pytest.raises(Problems, match="tables, fhir, hl7, lines"):
        mapping(tmp_path, MAPPING.replace('{missing: ["?"]}', "{kind: cda}"))


def test_a_file_that_is_no_message(tmp_path):
    (tmp_path / "a.hl7").write_text("PID|1||7\r")
    with pytest.raises(DataError, match=r"a\.hl7 does not begin with an HL7 v2 message \(MSH\)"):
        table(tmp_path / "a.hl7", tmp_path / "w", "results")


def test_an_encoding_that_the_message_only_claims(tmp_path):
    (tmp_path / "a.hl7").write_bytes(ADT.format(encoding="UNICODE UTF-8").encode("gb18030"))
    with pytest.raises(DataError, match=r"a\.hl7 says it is written in utf-8, and is not\. Correct MSH-18"):
        table(tmp_path / "a.hl7", tmp_path / "w", "results")


ON = {"subject": {"reference": "Patient/p1"}}
MISTAKEN = {"resourceType": "Observation", "id": "x1", "status": "entered-in-error", **ON,
            "effectiveDateTime": "2020-01-11", "code": {"coding": [{"code": "2345-7"}]},
            "valueQuantity": {"value": 9999, "unit": "mg/dL"}}  # fmt: skip
INFARCTION = {"resourceType": "Condition", **ON, "code": {"coding": [{"code": "I21"}]}, "onsetDateTime": "2020-01-10"}
ORDER = {"resourceType": "MedicationRequest", "status": "completed", "intent": "order", **ON,
         "authoredOn": "2020-01-10", "medicationCodeableConcept": {"coding": [{"code": "6809"}]}}  # fmt: skip


def verified(name, status):
    return {**INFARCTION, "id": name, "verificationStatus": {"coding": [{"code": status}]}}


def fhir_loaded(tmp_path, *resources):
    """Loaded with the rules of the example whose types of resources are there."""
    export, whole = ndjson(tmp_path / "x", *resources), read_mapping(EXAMPLES / "fhir" / "mapping.yaml")
    there = {one["resourceType"] for one in resources}
    mapping = replace(whole, rules=tuple(rule for rule in whole.rules if rule.source in there))
    return load(mapping, str(export), tmp_path / "cdm.duckdb", today=TODAY)


def test_what_fhir_takes_back_is_kept_aside_with_its_reason(tmp_path):
    orders = [{**ORDER, "id": "m1", "status": "cancelled"}, {**ORDER, "id": "m2", "doNotPerform": True},
              {**ORDER, "id": "m3", "intent": "proposal"}, {**ORDER, "id": "m4"}]  # fmt: skip
    conditions = [verified("c1", "entered-in-error"), verified("c2", "refuted"), verified("c3", "confirmed")]
    report = fhir_loaded(tmp_path, PATIENT, MISTAKEN, *orders, *conditions, {**VISIT, "status": "planned"})
    assert reasons(report) == {"entered in error": 2, "refuted": 1, "cancelled": 1, "not to be performed": 1,
                               "no order": 1, "only planned": 1}  # fmt: skip
    assert (report.tables["condition_occurrence"], report.tables["drug_exposure"]) == (1, 1)
    assert "measurement" not in report.tables and "visit_occurrence" not in report.tables


def test_a_comparator_is_an_operator(tmp_path):
    below = {**MISTAKEN, "status": "final", "valueQuantity": {"value": 20, "comparator": "<", "unit": "mg/dL"}}
    fhir_loaded(tmp_path, PATIENT, below)
    assert rows(tmp_path, "SELECT value_as_number, operator_concept_id FROM measurement") == [(20.0, 4171756)]


@pytest.mark.parametrize(
    ("duration", "days"),
    [({"value": 3, "unit": "wk", "code": "wk"}, 21), ({"value": 30, "unit": "days"}, 30), ({"value": 2}, 2),
     ({"value": 36, "code": "h"}, 2), ({"value": 1, "unit": "mo"}, 30), ({"value": 3, "unit": "packs"}, None)],
)  # fmt: skip
def test_a_supply_is_in_days(tmp_path, duration, days):
    order = {**ORDER, "id": "m", "dispenseRequest": {"expectedSupplyDuration": duration}}
    report = fhir_loaded(tmp_path, PATIENT, order)
    assert rows(tmp_path, "SELECT days_supply FROM drug_exposure") == [(days,)]
    assert reasons(report) == ({} if days else {"unreadable days_supply": 1})


def test_a_medication_by_reference_is_the_one_referred_to(tmp_path):
    metformin = {"coding": [{"code": "6809", "display": "metformin"}]}
    plain = {name: value for name, value in ORDER.items() if name != "medicationCodeableConcept"}
    contained = {**plain, "id": "a", "medicationReference": {"reference": "#in"},
                 "contained": [{"resourceType": "Medication", "id": "in", "code": metformin}]}  # fmt: skip
    other = {**plain, "id": "b", "medicationReference": {"reference": "Medication/m7/_history/3"}}
    nowhere = {**plain, "id": "c", "medicationReference": {"reference": "Medication/m9", "display": "Glucophage"}}
    medication = {"resourceType": "Medication", "id": "m7", "code": metformin}
    fhir_loaded(tmp_path, PATIENT, contained, other, nowhere, medication)
    found = rows(tmp_path, "SELECT drug_source_value, drug_concept_id > 0 FROM drug_exposure ORDER BY 1")
    assert found == [("6809", True), ("6809", True), ("Glucophage", False)]


@pytest.mark.parametrize(("birth", "parts"), [("1950-03", (1950, 3, None)), ("1950", (1950, None, None))])
def test_a_birth_of_which_little_is_known_keeps_the_person(tmp_path, birth, parts):
    report = fhir_loaded(tmp_path, {**PATIENT, "birthDate": birth}, {**INFARCTION, "id": "c"})
    assert reasons(report) == {}
    assert rows(tmp_path, "SELECT year_of_birth, month_of_birth, day_of_birth FROM person") == [parts]


def test_a_version_of_a_reference_is_no_number(tmp_path):
    condition = {**INFARCTION, "id": "c", "subject": {"reference": "https://h.example/fhir/Patient/p1/_history/2"}}
    assert reasons(fhir_loaded(tmp_path, PATIENT, condition)) == {}


def test_one_patient_under_two_numbers_of_fhir(tmp_path):
    old = {**PATIENT, "id": "p0", "link": [{"type": "replaced-by", "other": {"reference": "Patient/p1"}}]}
    report = fhir_loaded(tmp_path, PATIENT, old, {**INFARCTION, "id": "c", "subject": {"reference": "Patient/p0"}})
    assert (report.tables["person"], report.merged, report.tables["condition_occurrence"]) == (1, 1, 1)


def test_what_no_rule_reads_is_told_with_its_rows(tmp_path):
    given = {"resourceType": "MedicationStatement", "id": "s", "status": "active", **ON}
    goal = {"resourceType": "Goal", "id": "g"}
    report = fhir_loaded(tmp_path, PATIENT, given, given, goal)
    assert report.manifest["unread"] == [{"table": "Goal", "rows": 1}, {"table": "MedicationStatement", "rows": 2}]


def test_a_draft_of_fhir_reads_statements_comparators_texts_and_merges(tmp_path):
    taken = {"resourceType": "MedicationStatement", "id": "s", "status": "active", **ON, "dateAsserted": "2020-01-11",
             "medicationCodeableConcept": {"text": "二甲双胍"}}  # fmt: skip
    below = {**MISTAKEN, "status": "final", "valueQuantity": {"value": 20, "comparator": "<", "unit": "mmol/L"}}
    others = [{**below, "id": f"y{i}", "valueQuantity": {"value": 90 + i, "unit": "mg/dL"},
               "code": {"coding": [{"code": "2345-7", "display": "glucose"}]}} for i in range(5)]  # fmt: skip
    old = {**PATIENT, "id": "p0", "link": [{"type": "replaced-by", "other": {"reference": "Patient/p1"}}]}
    export = ndjson(tmp_path / "x", PATIENT, old, below, *others, {**ORDER, "id": "m"}, taken)
    made = propose(str(export), tmp_path / "m" / "own.yaml", "own")
    assert made.notes == [
        "MedicationRequest, MedicationStatement may tell of the same drugs: keep the rule of one of them, or say which"
        " rows."
    ]
    report = load(read_mapping(tmp_path / "m" / "own.yaml"), str(export), tmp_path / "cdm.duckdb", today=TODAY)
    assert (reasons(report), report.merged, report.tables["drug_exposure"]) == ({}, 1, 2)
    found = rows(tmp_path, "SELECT round(value_as_number), operator_concept_id, unit_concept_id FROM measurement"
                 " ORDER BY value_as_number DESC LIMIT 2")  # fmt: skip
    assert found == [(360.0, 4171756, 8840), (94.0, None, 8840)], "converted into the unit of the most"


RESULT = "OBX|{set}|{kind}|2345-7^葡萄糖^LN||{value}|mg/dL|||||{status}|||20200111\r"
HEAD = "MSH|^~\\&|LIS|river|||{sent}||ORU^R01|{sent}|P|2.4||||||UNICODE UTF-8\rPID|1||007^^^MRN||||1950|F\rOBR|1|A|B\r"


def hl7_results(tmp_path, *rows_of, folder="x"):
    """Messages of one result each: (value type, value, status)."""
    (tmp_path / folder).mkdir()
    text = "".join(
        HEAD.format(sent=20250101 + at) + RESULT.format(set=at, kind=kind, value=value, status=status)
        for at, (kind, value, status) in enumerate(rows_of)
    )
    (tmp_path / folder / "oru.hl7").write_text(text, "utf-8")
    return tmp_path / folder


def hl7_loaded(tmp_path, *rows_of):
    export = hl7_results(tmp_path, *rows_of)
    return load(read_mapping(EXAMPLES / "hl7" / "mapping.yaml"), str(export), tmp_path / "cdm.duckdb", today=TODAY)


@pytest.mark.parametrize(
    ("statuses", "values", "reason"),
    [("FC", [101.0], {"corrected later": 1}), ("FD", [], {"deleted later": 1, "deleted": 1}),
     ("PF", [101.0], {"final later": 1}), ("FF", [100.0, 101.0], {}), ("CF", [100.0, 101.0], {})],
)  # fmt: skip
def test_a_result_that_is_corrected_or_deleted_does_not_stand_beside_the_other(tmp_path, statuses, values, reason):
    report = hl7_loaded(tmp_path, *(("NM", str(100 + at), status) for at, status in enumerate(statuses)))
    assert reasons(report) == reason
    assert [v for (v,) in rows(tmp_path, "SELECT value_as_number FROM measurement ORDER BY 1")] == values


@pytest.mark.parametrize(
    ("kind", "written", "said", "number", "operator"),
    [("SN", "^1^:^40", "1:40", None, None), ("SN", "<^5", "<5", 5.0, 4171756), ("NM", ">=^5", ">=5", 5.0, 4171754),
     ("SN", "=^5", "5", 5.0, None), ("SN", "^3^-^5", "3-5", None, None), ("CE", "POS^positive^L", "POS", None, None)],
)  # fmt: skip
def test_structured_numbers(tmp_path, kind, written, said, number, operator):
    hl7_loaded(tmp_path, (kind, written, "F"))
    query = "SELECT value_source_value, value_as_number, operator_concept_id FROM measurement"
    assert rows(tmp_path, query) == [(said, number, operator)]


def test_merges_of_hl7_are_drafted(tmp_path):
    export = hl7_results(tmp_path, ("NM", "90", "F"))
    text = "MSH|^~\\&|HIS|river|||20250101||ADT^A40|1|P|2.4\rPID|1||007^^^MRN||||1950|F\rMRG|006^^^MRN\r"
    (export / "adt.hl7").write_text(text)
    propose(str(export), tmp_path / "m" / "own.yaml", "own")
    report = load(read_mapping(tmp_path / "m" / "own.yaml"), str(export), tmp_path / "cdm.duckdb", today=TODAY)
    assert (report.tables["person"], report.merged) == (1, 1)


def test_a_cancelled_order_of_hl7_is_no_exposure(tmp_path):
    order = "RXE|^^{days}^20200110|6809^metformin^RXNORM|1||mg\r"
    head = "MSH|^~\\&|HIS|river|||20250101||RDE^O11|1|P|2.4\rPID|1||007^^^MRN||||1950|F\r"
    sent = [("NW", 1, "D5"), ("NW", 2, "W3"), ("CA", 1, "D5")]
    (tmp_path / "x").mkdir()
    text = "".join(f"{head}ORC|{control}|{number}\r{order.format(days=days)}" for control, number, days in sent)
    (tmp_path / "x" / "rde.hl7").write_text(text)
    found, _ = table(tmp_path / "x", tmp_path / "w", "drugs")
    read = [(row["order_id"], row["days"], row["reader:left_out"]) for row in found]
    assert sorted(read) == [("1", "5", "cancelled"), ("1", "5", "cancelled"), ("2", "21", None)]
