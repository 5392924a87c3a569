"""A normalised schema in a DuckDB file: orders and results apart, codes in dictionary tables, dates as dates."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from atoll.errors import OperatorError
from atoll.simulate.facts import CONDITIONS, DRUGS, MEASUREMENTS
from atoll.simulate.neutral import Tables
from atoll.simulate.omop import KIND_NAMES
from atoll.simulate.shapes.export import Export, write_codes

SCHEMA = """
CREATE TABLE patient (patient_no VARCHAR, birth_date DATE, sex VARCHAR, death_date DATE, smoking VARCHAR);
CREATE TABLE encounter_type (encounter_type_id INTEGER PRIMARY KEY, name VARCHAR);
CREATE TABLE encounter (encounter_no VARCHAR, patient_no VARCHAR, encounter_type_id INTEGER, admitted DATE,
                        discharged DATE);
CREATE TABLE icd_code (icd_id INTEGER PRIMARY KEY, code VARCHAR, title VARCHAR);
CREATE TABLE diagnosis (diagnosis_id BIGINT, encounter_no VARCHAR, patient_no VARCHAR, icd_id INTEGER, diagnosed DATE);
CREATE TABLE drug (drug_id INTEGER PRIMARY KEY, rxnorm VARCHAR, generic_name VARCHAR, strength DOUBLE, unit VARCHAR);
CREATE TABLE prescription (prescription_id BIGINT, encounter_no VARCHAR, patient_no VARCHAR, drug_id INTEGER,
                           prescribed DATE, days INTEGER);
CREATE TABLE lab_item (item_id INTEGER PRIMARY KEY, loinc VARCHAR, name VARCHAR, specimen VARCHAR);
CREATE TABLE lab_order (order_no VARCHAR, encounter_no VARCHAR, patient_no VARCHAR, ordered DATE);
CREATE TABLE lab_result (result_id BIGINT, order_no VARCHAR, item_id INTEGER, result VARCHAR, unit VARCHAR);
"""
FIRST_ITEM, UNKNOWN = 100, 999


class Shape(Export):
    """One file, hospital.duckdb."""

    unknown = (
        ("diagnosis", "condition_occurrence", "R99X"),
        ("prescription", "drug_exposure", "local drug"),
        ("lab_result", "measurement", "local test"),
    )
    impossible = ("impossible_date",)  # a DATE cannot hold it

    def start(self) -> None:
        """Create the schema and fill the dictionaries."""
        try:
            import duckdb
        except ImportError as error:
            raise OperatorError("The shape `sql` needs DuckDB.", "pip install 'atoll[duckdb]'") from error
        self.connection = duckdb.connect(str(self.folder / "hospital.duckdb"))
        self.connection.execute(SCHEMA)
        fill = self.connection.executemany
        fill("INSERT INTO encounter_type VALUES (?, ?)", list(enumerate(KIND_NAMES)))
        fill(
            "INSERT INTO icd_code VALUES (?, ?, ?)",
            [(i, row["icd10"], row["own_name"]) for i, row in enumerate(CONDITIONS)] + [(UNKNOWN, "R99X", "")],
        )
        fill("INSERT INTO drug VALUES (?, ?, ?, ?, ?)",
             [(i, row["rxnorm"], row["own_name"], float(row["strength"]), row["dose_unit"])
              for i, row in enumerate(DRUGS)] + [(UNKNOWN, None, "local drug", None, None)])  # fmt: skip
        fill("INSERT INTO lab_item VALUES (?, ?, ?, ?)",
             [(FIRST_ITEM + i, row["loinc"], row["own_name"], "") for i, row in enumerate(MEASUREMENTS)]
             + [(UNKNOWN, None, "local test", "")])  # fmt: skip
        write_codes(self.truth.folder / f"codes_{self.hospital.name}.csv", {
            "condition": [row["icd10"] for row in CONDITIONS], "drug": [row["rxnorm"] for row in DRUGS],
            "measurement": [row["loinc"] for row in MEASUREMENTS]})  # fmt: skip

    def put(self, tables: Tables) -> None:
        """Append a block in one transaction."""
        p, v, d, m, o = (tables[name] for name in ("patients", "visits", "diagnoses", "drugs", "labs"))
        order = pc.binary_join_element_wise(
            pc.coalesce(o["visit"], "V0"), o["patient"], pc.replace_substring(o["date"], "-", ""), "-"
        )
        orders = pa.table(
            [order, o["visit"], o["patient"], o["date"]], ["order_no", "encounter_no", "patient_no", "at"]
        )
        orders = orders.group_by(["order_no", "encounter_no", "patient_no", "at"]).aggregate([])
        item = pc.if_else(pc.less(o["code"], 0), UNKNOWN, pc.add(o["code"], FIRST_ITEM))
        parts = {
            "patient": (p["patient"], p["birth"], p["sex"], p["death"], p["smoking"]),
            "encounter": (v["visit"], v["patient"], v["kind"], v["start"], v["end"]),
            "diagnosis": (d["row"], d["visit"], d["patient"], _known(d["code"]), d["date"]),
            "prescription": (m["row"], m["visit"], m["patient"], _known(m["code"]), m["date"], m["days"]),
            "lab_order": tuple(orders.columns),
            "lab_result": (o["row"], order, item, o["value"], o["unit"]),
        }
        self.connection.execute("BEGIN")
        for name, columns in parts.items():
            block = pa.table(list(columns), [f"c{i}" for i in range(len(columns))])
            self.connection.register("block", block)
            self.connection.execute(f"INSERT INTO {name} SELECT * FROM block")  # noqa: S608 (names of our own)
            self.connection.unregister("block")
        self.connection.execute("COMMIT")
        for name, table, key in (("patient", p, "patient"), ("encounter", v, "visit"), ("diagnosis", d, "row"),
                                 ("prescription", m, "row"), ("lab_result", o, "row")):  # fmt: skip
            self.record(f"hospital.duckdb:{name}", table, name, key, header=0)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _known(code: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.less(code, 0), UNKNOWN, code)
