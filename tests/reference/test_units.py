"""Unit concepts against the shared list of spellings, and factors against another reader of UCUM."""

from __future__ import annotations

import csv

import pytest

from atoll.study.units import concept_of, parse, unit_concepts
from tests.reference.shared import SHARED

OTHERWISE = {  # the hospital's list says what is not a unit, or gives one that UCUM has no code for
    "+/-", "Pos/Neg", "None", "log international unit per milliliter", "mL/beat", "log copies per milliliter",
    "nanogram of fibrinogen equivalent unit per milliliter", "bel microvolt",
}  # fmt: skip


def test_a_hospitals_spellings() -> None:
    path = SHARED / "vocabulary" / "unit_names.csv"
    if not path.exists():
        pytest.skip("the shared list of unit spellings is not here")
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: int(row["unit_concept_id"]) for row in csv.DictReader(file)}
    wrong = {name for name, concept in rows.items() if concept_of(name) != concept}
    assert wrong == OTHERWISE


def test_factors_agree_with_another_reader() -> None:
    ucumvert = pytest.importorskip("ucumvert", reason="the other reader of UCUM is not installed")
    registry = ucumvert.PintUcumRegistry()
    pairs = [
        ("mg/dL", "g/L"), ("umol/L", "mmol/L"), ("10*3/uL", "10*9/L"), ("mm[Hg]", "kPa"), ("mL/min", "L/h"),
        ("ug/mL", "ng/dL"), ("mg/(24.h)", "g/d"), ("fL", "uL"), ("kg/m2", "g/cm2"), ("cm[H2O]", "mm[Hg]"),
        ("[lb_av]", "kg"), ("[in_i]", "cm"), ("osm/kg", "mosm/g"),
    ]  # fmt: skip
    for source, target in pairs:
        theirs = registry.from_ucum(source).to(registry.from_ucum(target)).magnitude
        assert parse(source).factor / parse(target).factor == pytest.approx(float(theirs), rel=1e-5), (source, target)


def test_unit_concepts_are_from_the_files_that_they_name() -> None:
    folder = SHARED / "vocabulary"
    if not folder.exists():
        pytest.skip("the shared vocabulary files are not here")
    text = "".join(
        (folder / name).read_text("utf-8") for name in ("unit_names.csv", "concepts.csv", "measurement_ranges.csv")
    )
    assert all(str(concept) in text for concept in unit_concepts().values())
