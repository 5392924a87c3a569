"""The simulated hospitals as OMOP tables, Parquet and CSV: the truth that loading is scored by."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from atoll.simulate.facts import CONCEPTS, CONDITIONS, DRUGS, MEASUREMENTS, SMOKING, table, whole
from atoll.simulate.life import NEVER, START
from atoll.simulate.records import Records, patient_numbers

TYPES = {"int64": pa.int64(), "string": pa.string(), "double": pa.float64(), "date": pa.date32(),
         "timestamp": pa.timestamp("us")}  # fmt: skip
VISIT_KINDS = (CONCEPTS.outpatient, CONCEPTS.inpatient, CONCEPTS.emergency)
KIND_NAMES = ("outpatient", "inpatient", "emergency")


@cache
def schemas() -> dict[str, pa.Schema]:
    """The tables of CDM 5.4 that are written, with all their columns."""
    fields: dict[str, list[pa.Field]] = {}
    for row in table("omop_columns.csv"):
        fields.setdefault(row["table"], []).append(pa.field(row["column"], TYPES[row["type"]]))
    return {name: pa.schema(columns) for name, columns in fields.items()}


def tables(records: Records) -> dict[str, pa.Table]:
    """A block of one hospital as OMOP tables."""
    return {
        "person": _table("person", _person(records)),
        "observation_period": _table("observation_period", _period(records)),
        "visit_occurrence": _table("visit_occurrence", _visit(records)),
        "condition_occurrence": _table("condition_occurrence", _condition(records)),
        "drug_exposure": _table("drug_exposure", _drug(records)),
        "measurement": _table("measurement", _measurement(records)),
        "observation": _table("observation", _observation(records)),
        "death": _table("death", _death(records)),
    }


def _table(name: str, columns: dict[str, Any]) -> pa.Table:
    schema = schemas()[name]
    rows = len(next(iter(columns.values())))
    arrays = []
    for f in schema:
        values = columns.get(f.name)
        if values is None:
            arrays.append(pa.nulls(rows, f.type))
        elif isinstance(values, pa.Array | pa.ChunkedArray):
            arrays.append(values)
        elif f.type == pa.date32():
            arrays.append(pa.array(values.astype("int32")).cast(pa.date32()))
        else:
            arrays.append(pa.array(values, f.type))
    return pa.table(arrays, schema=schema)


def coded(texts: Any, index: Any) -> pa.Array:
    """Texts by index, as one string array."""
    return pa.array(list(texts), pa.string()).take(pa.array(index))


def constant(value: Any, n: int) -> Any:
    """A column of one number."""
    return np.full(n, value, np.int64)


def _person(r: Records) -> dict[str, Any]:
    n = len(r.person_id)
    birth = r.birth.astype("datetime64[D]")
    month = birth.astype("datetime64[M]")
    return {
        "person_id": r.person_id,
        "gender_concept_id": np.where(r.male, CONCEPTS.male, CONCEPTS.female),
        "year_of_birth": birth.astype("datetime64[Y]").astype(np.int64) + 1970,
        "month_of_birth": month.astype(np.int64) % 12 + 1,
        "day_of_birth": (birth - month).astype(np.int64) + 1,
        "race_concept_id": constant(CONCEPTS.asian, n),
        "ethnicity_concept_id": constant(0, n),
        "person_source_value": patient_numbers(r).astype(object),
        "gender_source_value": np.where(r.male, "M", "F").astype(object),
    }


def _period(r: Records) -> dict[str, Any]:
    return {
        "observation_period_id": r.person_id,
        "person_id": r.person_id,
        "observation_period_start_date": r.start,
        "observation_period_end_date": r.stop,
        "period_type_concept_id": constant(CONCEPTS.record, len(r.person_id)),
    }


def _visit(r: Records) -> dict[str, Any]:
    return {
        "visit_occurrence_id": r.visit_id,
        "person_id": r.person_id[r.visit_person],
        "visit_concept_id": np.array(VISIT_KINDS)[r.visit_kind],
        "visit_start_date": r.visit_day,
        "visit_end_date": r.visit_end,
        "visit_type_concept_id": constant(CONCEPTS.record, len(r.visit_id)),
        "visit_source_value": coded(KIND_NAMES, r.visit_kind),
    }


def _condition(r: Records) -> dict[str, Any]:
    person = r.visit_person[r.condition_visit]
    return {
        "condition_occurrence_id": r.condition_id,
        "person_id": r.person_id[person],
        "condition_concept_id": whole(CONDITIONS, "concept_id")[r.condition],
        "condition_start_date": r.visit_day[r.condition_visit],
        "condition_end_date": r.visit_end[r.condition_visit],
        "condition_type_concept_id": constant(CONCEPTS.record, len(r.condition_id)),
        "visit_occurrence_id": r.visit_id[r.condition_visit],
        "condition_source_value": coded([row["icd10"] for row in CONDITIONS], r.condition),
    }


def _drug(r: Records) -> dict[str, Any]:
    day = r.visit_day[r.drug_visit]
    return {
        "drug_exposure_id": r.drug_id,
        "person_id": r.person_id[r.visit_person[r.drug_visit]],
        "drug_concept_id": whole(DRUGS, "concept_id")[r.drug],
        "drug_exposure_start_date": day,
        "drug_exposure_end_date": np.minimum(day + r.drug_days - 1, r.death[r.visit_person[r.drug_visit]]),
        "drug_type_concept_id": constant(CONCEPTS.record, len(r.drug_id)),
        "quantity": r.drug_days.astype(float),
        "days_supply": r.drug_days,
        "visit_occurrence_id": r.visit_id[r.drug_visit],
        "drug_source_value": coded([row["own_name"] for row in DRUGS], r.drug),
        "dose_unit_source_value": coded([row["dose_unit"] for row in DRUGS], r.drug),
    }


def _measurement(r: Records) -> dict[str, Any]:
    return {
        "measurement_id": r.measurement_id,
        "person_id": r.person_id[r.visit_person[r.measurement_visit]],
        "measurement_concept_id": whole(MEASUREMENTS, "concept_id")[r.measurement],
        "measurement_date": r.visit_day[r.measurement_visit],
        "measurement_type_concept_id": constant(CONCEPTS.record, len(r.measurement_id)),
        "value_as_number": r.value,
        "unit_concept_id": whole(MEASUREMENTS, "unit_concept_id")[r.measurement],
        "visit_occurrence_id": r.visit_id[r.measurement_visit],
        "measurement_source_value": coded([row["abbreviation"] for row in MEASUREMENTS], r.measurement),
        "unit_source_value": coded([row["unit"] for row in MEASUREMENTS], r.measurement),
    }


def _observation(r: Records) -> dict[str, Any]:
    """Smoking, asked once when a person is first seen."""
    n = len(r.person_id)
    return {
        "observation_id": r.person_id,
        "person_id": r.person_id,
        "observation_concept_id": constant(CONCEPTS.smoking, n),
        "observation_date": r.start,
        "observation_type_concept_id": constant(CONCEPTS.record, n),
        "value_as_string": coded(SMOKING, r.smoking),
        "value_as_concept_id": constant(0, n),
        "observation_source_value": coded(["smoking"], np.zeros(n, np.int64)),
    }


def known_dead(r: Records) -> Any:
    """Positions of the persons whose death the hospital has recorded: those who died while they were its patients."""
    return np.flatnonzero((r.death != NEVER) & (r.death <= r.stop))


def _death(r: Records) -> dict[str, Any]:
    dead = known_dead(r)
    return {
        "person_id": r.person_id[dead],
        "death_date": r.death[dead],
        "death_type_concept_id": constant(CONCEPTS.record, len(dead)),
    }


class Writer:
    """One hospital's OMOP folder, written block by block: NAME.parquet, and NAME.csv where `as_csv`."""

    def __init__(self, folder: Path, title: str, *, as_csv: bool):
        self.folder, self.title, self.as_csv = folder, title, as_csv
        folder.mkdir(parents=True, exist_ok=True)
        self.open: dict[str, tuple[Any, Any]] = {}
        self.rows: dict[str, int] = {}
        self._write("care_site", _table("care_site", {"care_site_id": np.array([1]), "care_site_name": [title]}))
        self._write("cdm_source", _table("cdm_source", self._source()))

    def _source(self) -> dict[str, Any]:
        released = np.array([START])
        return {
            "cdm_source_name": [self.title],
            "cdm_source_abbreviation": [self.folder.parent.name],
            "cdm_holder": ["simulated"],
            "source_description": ["Simulated persons; no record of a real person went into it."],
            "source_release_date": released,
            "cdm_release_date": released,
            "cdm_version": ["5.4"],
            "cdm_version_concept_id": np.array([0]),
            "vocabulary_version": ["atoll.simulate"],
        }

    def write(self, records: Records) -> None:
        """Append a block."""
        for name, found in tables(records).items():
            self._write(name, found)

    def _write(self, name: str, found: pa.Table) -> None:
        if name not in self.open:
            path = self.folder / f"{name}.parquet"
            columns = parquet.ParquetWriter(path, found.schema, compression="zstd")
            lines = arrow_csv.CSVWriter(self.folder / f"{name}.csv", found.schema) if self.as_csv else None
            self.open[name] = (columns, lines)
        columns, lines = self.open[name]
        columns.write_table(found)
        if lines is not None:
            lines.write_table(found)
        self.rows[name] = self.rows.get(name, 0) + found.num_rows

    def close(self) -> None:
        """Finish all files."""
        for columns, lines in self.open.values():
            columns.close()
            if lines is not None:
                lines.close()
