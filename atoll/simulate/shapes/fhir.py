"""FHIR R4 as a bulk export: one resource a line (NDJSON), codes with their systems, units in UCUM.

Lines are put together column by column: building a million resources as objects would take longer than simulating them.
"""

from __future__ import annotations

from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from atoll.simulate.facts import CONDITIONS, DRUGS, MEASUREMENTS
from atoll.simulate.neutral import Tables, joined, looked_up
from atoll.simulate.shapes.export import Export, write_codes

ICD10, RXNORM = "http://hl7.org/fhir/sid/icd-10", "http://www.nlm.nih.gov/research/umls/rxnorm"
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
LOCAL = "https://lagoon.example/codes"
CLASSES = ("AMB", "IMP", "EMER")
RESOURCES = ("Patient", "Encounter", "Condition", "MedicationRequest", "Observation")


class Shape(Export):
    """One NDJSON file a resource type."""

    unknown = (
        ("Condition", "condition_occurrence", "R99X"),
        ("MedicationRequest", "drug_exposure", "X-4711"),
        ("Observation", "measurement", "99999-X"),
    )
    chinese_units = 0.5

    def start(self) -> None:
        """Open the files."""
        self.files: dict[str, IO[bytes]] = {name: (self.folder / f"{name}.ndjson").open("wb") for name in RESOURCES}
        write_codes(self.truth.folder / f"codes_{self.hospital.name}.csv", {
            "condition": [row["icd10"] for row in CONDITIONS], "drug": [row["rxnorm"] for row in DRUGS],
            "measurement": [row["loinc"] for row in MEASUREMENTS]})  # fmt: skip

    def put(self, tables: Tables) -> None:
        """Write a block."""
        p, v, d, m, o = (tables[name] for name in ("patients", "visits", "diagnoses", "drugs", "labs"))
        self._write("Patient", p, "patient", _patient(p))
        self._write("Encounter", v, "visit", _encounter(v))
        for name, table, make in (("Condition", d, _condition), ("MedicationRequest", m, _medication),
                                  ("Observation", o, _observation)):  # fmt: skip
            numbered = table.append_column("id", joined(name[0], table["row"]))
            self._write(name, numbered, "id", make(numbered))

    def _write(self, name: str, table: pa.Table, key: str, lines: Any) -> None:
        if table.num_rows:
            lines = lines.combine_chunks() if isinstance(lines, pa.ChunkedArray) else lines
            self.files[name].write(("\n".join(lines.to_pylist()) + "\n").encode())
        self.record(f"{name}.ndjson", table, name, key, header=0)

    def close(self) -> None:
        """Finish all files."""
        for file in self.files.values():
            file.close()


def _optional(before: str, value: Any, after: str) -> Any:
    """`before` value `after`, or nothing where the value is missing."""
    return pc.coalesce(pc.binary_join_element_wise(before, value, after, ""), pa.scalar(""))


def _coding(systems: Any, codes: Any, names: Any) -> Any:
    return joined(
        '{"coding":[{"system":"', systems, '","code":"', codes, '","display":"', names, '"}],"text":"', names, '"}'
    )


def _refs(table: pa.Table) -> Any:
    """Subject, and the encounter where there is one."""
    encounter = _optional(',"encounter":{"reference":"Encounter/', table["visit"], '"}')
    return joined(',"subject":{"reference":"Patient/', table["patient"], '"}', encounter)


def _patient(p: pa.Table) -> Any:
    sex = pc.if_else(pc.equal(p["sex"], "M"), "male", "female")
    dead = _optional(',"deceasedDateTime":"', p["death"], '"')
    smoking = joined(',"extension":[{"url":"https://lagoon.example/smoking","valueCode":"', p["smoking"], '"}]')
    return joined(
        '{"resourceType":"Patient","id":"',
        p["patient"],
        '","identifier":[{"system":"https://lagoon.example/mrn","value":"',
        p["patient"],
        '"}],"gender":"',
        sex,
        '","birthDate":"',
        p["birth"],
        '"',
        dead,
        smoking,
        "}",
    )


def _encounter(v: pa.Table) -> Any:
    kind = pa.array(CLASSES).take(v["kind"])
    return joined(
        '{"resourceType":"Encounter","id":"',
        v["visit"],
        '","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"',
        kind,
        '"},"subject":{"reference":"Patient/',
        v["patient"],
        '"},"period":{"start":"',
        v["start"],
        '","end":"',
        v["end"],
        '"}}',
    )


def _condition(d: pa.Table) -> Any:
    system = pc.if_else(pc.less(d["code"], 0), LOCAL, ICD10)
    code = _coding(system, looked_up([row["icd10"] for row in CONDITIONS], d["code"], "R99X"),
                   looked_up([row["own_name"] for row in CONDITIONS], d["code"], "local finding"))  # fmt: skip
    return joined('{"resourceType":"Condition","id":"', d["id"], '","code":', code, _refs(d), ',"onsetDateTime":"',
                  d["date"], '"}')  # fmt: skip


def _medication(m: pa.Table) -> Any:
    system = pc.if_else(pc.less(m["code"], 0), LOCAL, RXNORM)
    code = _coding(system, looked_up([row["rxnorm"] for row in DRUGS], m["code"], "X-4711"),
                   looked_up([row["own_name"] for row in DRUGS], m["code"], "local drug"))  # fmt: skip
    return joined('{"resourceType":"MedicationRequest","id":"', m["id"], '","status":"completed","intent":"order",'
                  '"medicationCodeableConcept":', code, _refs(m), ',"authoredOn":"', m["date"],
                  '","dispenseRequest":{"expectedSupplyDuration":{"value":', m["days"], ',"unit":"d"}}}')  # fmt: skip


def _observation(o: pa.Table) -> Any:
    system = pc.if_else(pc.less(o["code"], 0), LOCAL, LOINC)
    code = _coding(system, looked_up([row["loinc"] for row in MEASUREMENTS], o["code"], "99999-X"),
                   looked_up([row["own_name"] for row in MEASUREMENTS], o["code"], "local test"))  # fmt: skip
    unit = _optional(f',"system":"{UCUM}","code":"', o["unit"], '"')
    spelt = _optional(',"unit":"', o["unit"], '"')
    number = joined(',"valueQuantity":{"value":', o["value"], spelt, unit, "}")
    text = joined(',"valueString":"', o["value"], '"')
    value = pc.if_else(pc.match_substring_regex(o["value"], r"^-?[0-9.]+(e-?[0-9]+)?$"), number, text)
    return joined('{"resourceType":"Observation","id":"', o["id"], '","status":"final","code":', code, _refs(o),
                  ',"effectiveDateTime":"', o["date"], '"', value, "}")  # fmt: skip
