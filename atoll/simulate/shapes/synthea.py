"""Comma-separated files like those of the Synthea generator: standard codes, English words, one unit per test."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from atoll.simulate.facts import CONDITIONS, DRUGS, MEASUREMENTS
from atoll.simulate.neutral import Tables, looked_up
from atoll.simulate.omop import KIND_NAMES
from atoll.simulate.shapes.export import Export, Lines, write_codes

FILES = {
    "patients": ("Id", "BIRTHDATE", "DEATHDATE", "GENDER", "SMOKING"),
    "encounters": ("Id", "START", "STOP", "PATIENT", "ENCOUNTERCLASS"),
    "conditions": ("START", "PATIENT", "ENCOUNTER", "SYSTEM", "CODE", "DESCRIPTION", "ROW"),
    "medications": ("START", "STOP", "PATIENT", "ENCOUNTER", "CODE", "DESCRIPTION", "DISPENSES", "DAYS", "ROW"),
    "observations": (
        "DATE",
        "PATIENT",
        "ENCOUNTER",
        "CATEGORY",
        "CODE",
        "DESCRIPTION",
        "VALUE",
        "UNITS",
        "TYPE",
        "ROW",
    ),
}


class Shape(Export):
    """patients, encounters, conditions, medications, observations, each a CSV."""

    unknown = (
        ("conditions", "condition_occurrence", "R99X"),
        ("medications", "drug_exposure", "X-4711"),
        ("observations", "measurement", "99999-X"),
    )

    def start(self) -> None:
        """Open the five files."""
        self.files = {name: Lines(self.folder / f"{name}.csv", headings) for name, headings in FILES.items()}
        snomed, rx = [row["snomed"] for row in CONDITIONS], [row["rxnorm"] for row in DRUGS]
        loinc = [row["loinc"] for row in MEASUREMENTS]
        write_codes(self.truth.folder / f"codes_{self.hospital.name}.csv",
                    {"condition": snomed, "drug": rx, "measurement": loinc})  # fmt: skip

    def put(self, tables: Tables) -> None:
        """Write a block."""
        p, v, d, m, o = (tables[name] for name in ("patients", "visits", "diagnoses", "drugs", "labs"))
        self.files["patients"].write((p["patient"], p["birth"], p["death"], p["sex"], p["smoking"]))
        kind = pa.array(KIND_NAMES).take(v["kind"])
        self.files["encounters"].write((v["visit"], v["start"], v["end"], v["patient"], kind))
        code = looked_up([row["snomed"] for row in CONDITIONS], d["code"], "R99X")
        name = looked_up([row["own_name"] for row in CONDITIONS], d["code"], "local finding")
        self.files["conditions"].write(
            (d["date"], d["patient"], d["visit"], constant("SNOMED-CT", d), code, name, d["row"])
        )
        code = looked_up([row["rxnorm"] for row in DRUGS], m["code"], "X-4711")
        name = looked_up([row["own_name"] for row in DRUGS], m["code"], "local drug")
        stop = constant(None, m)
        self.files["medications"].write(
            (m["date"], stop, m["patient"], m["visit"], code, name, constant("1", m), m["days"], m["row"])
        )
        code = looked_up([row["loinc"] for row in MEASUREMENTS], o["code"], "99999-X")
        name = looked_up([row["own_name"] for row in MEASUREMENTS], o["code"], "local test")
        numeric = pc.if_else(pc.equal(o["value"], "标本溶血"), "text", "numeric")
        self.files["observations"].write(
            (o["date"], o["patient"], o["visit"], constant("laboratory", o), code, name, o["value"], o["unit"], numeric,
             o["row"])
        )  # fmt: skip
        for name, table, key in (("patients", p, "patient"), ("encounters", v, "visit"), ("conditions", d, "row"),
                                 ("medications", m, "row"), ("observations", o, "row")):  # fmt: skip
            self.record(f"{name}.csv", table, name, key)

    def close(self) -> None:
        """Finish all files."""
        for file in self.files.values():
            file.close()


def constant(value: str | None, table: pa.Table) -> pa.Array:
    """One text for every row of a table."""
    return pa.nulls(table.num_rows, pa.string()) if value is None else pa.repeat(value, table.num_rows)
