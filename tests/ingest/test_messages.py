"""FHIR and HL7 v2 exports as tables, and from there into the model with the mappings of the examples."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from atoll.cdm.workbench import Workbench
from atoll.errors import DataError
from atoll.ingest import formats
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
    assert read == [
        ("r1", "007", "V1", "葡萄糖", "5.55", "mmol/L", "20200111"),
        ("r2", "007", "V1", "白细胞", "6.1&2", "10^9/L", "20200111"),
    ]
    diagnoses, _ = table(tmp_path / "x", tmp_path / "w", "diagnoses")
    assert [(row["code"], row["text"], row["system"]) for row in diagnoses] == [("E11.9", "2型糖尿病", "I10")]


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
