"""Errors of a whole test, which no other value in the database contradicts: found because people are not like that."""

from __future__ import annotations

import csv
from importlib.resources import files

import duckdb
import pytest

from atoll.cdm.workspace import DuckDBWorkspace
from atoll.quality import tests as single
from atoll.quality.possible import limits
from atoll.quality.references import higher_sex, middle_of, references
from atoll.quality.run import run
from atoll.simulate.world import simulate
from tests.reference.shared import SHARED

HBA1C, GLUCOSE, HAEMOGLOBIN, SYSTOLIC, DIASTOLIC, PSA = 3004410, 3004501, 3000963, 3004249, 3012888, 3013603
FEMALE, MALE, MGDL, MMOL = 8532, 8507, 8840, 8753
FAMILIES = ("middle_plausible", "sexes_in_order", "not_zero", "supply_possible", "pressure_in_order", "not_doubled",
            "sex_possible", "no_second_unit", "same_over_years", "value_possible", "no_negative")  # fmt: skip
UREA, POTASSIUM = 3013682, 3023103
OF = "UPDATE measurement SET value_as_number = {} WHERE measurement_concept_id = {}"
SECOND = "no_second_unit:measurement.value_as_number:"
FAULTS = {  # what was done to the data → the check that says so
    "HbA1c in mmol/mol called %": (
        OF.format("(value_as_number - 2.152) / 0.09148", HBA1C),
        f"middle_plausible:measurement.value_as_number:{HBA1C}"),
    "glucose in mmol/L called mg/dL": (
        OF.format("value_as_number / 18", GLUCOSE), f"middle_plausible:measurement.value_as_number:{GLUCOSE}"),
    "haemoglobin ten times what it is": (
        OF.format("value_as_number * 10", HAEMOGLOBIN),
        f"middle_plausible:measurement.value_as_number:{HAEMOGLOBIN}"),
    "urea in mmol/L called mg/dL": (
        OF.format("value_as_number * 0.357", UREA), f"middle_plausible:measurement.value_as_number:{UREA}"),
    "a tenth of urea in mmol/L": (
        OF.format("value_as_number * 0.357", f"{UREA} AND measurement_id % 10 = 3"), f"{SECOND}{UREA}"),
    "urea in mmol/L from a year on": (
        OF.format("value_as_number * 0.357", f"{UREA} AND year(measurement_date) >= 2021"),
        f"same_over_years:measurement.value_as_number:{UREA}"),
    "every twentieth potassium in mg/dL": (
        OF.format("value_as_number * 3.91", f"{POTASSIUM} AND measurement_id % 20 = 3"), f"{SECOND}{POTASSIUM}"),
    "potassium of a tenth of the persons in mg/dL": (
        OF.format("value_as_number * 3.91", f"{POTASSIUM} AND person_id % 10 = 3"), f"{SECOND}{POTASSIUM}"),
    "systolic and diastolic exchanged": (
        f"UPDATE measurement SET measurement_concept_id = {SYSTOLIC + DIASTOLIC} - measurement_concept_id"
        f" WHERE measurement_concept_id IN ({SYSTOLIC}, {DIASTOLIC})",
        f"pressure_in_order:measurement.value_as_number:{SYSTOLIC}"),
    "every measurement twice": (
        "INSERT INTO measurement SELECT * REPLACE (measurement_id + 1000000000 AS measurement_id) FROM measurement",
        "not_doubled:measurement"),
    "999 for a potassium that was not measured": (
        OF.format("999", f"{POTASSIUM} AND measurement_id % 80 = 3"),
        f"value_possible:measurement.value_as_number:{POTASSIUM}"),
    "a systolic pressure that lost its point": (
        OF.format("9999", f"{SYSTOLIC} AND measurement_id % 60 = 3"),
        f"value_possible:measurement.value_as_number:{SYSTOLIC}"),
    "a minus before four of ten potassiums": (
        OF.format("-value_as_number", f"{POTASSIUM} AND measurement_id % 10 < 4"),
        f"no_negative:measurement.value_as_number:{POTASSIUM}"),
    "a tenth of glucose is 0": (
        OF.format("0", f"{GLUCOSE} AND measurement_id % 10 = 0"), f"not_zero:measurement.value_as_number:{GLUCOSE}"),
    "days of supply a hundred times": (
        "UPDATE drug_exposure SET days_supply = 100 * days_supply", "supply_possible:drug_exposure.days_supply"),
    "men are women and women are men": (
        f"UPDATE person SET gender_concept_id = {FEMALE + MALE} - gender_concept_id",
        f"sexes_in_order:measurement.value_as_number:{HAEMOGLOBIN}"),
}  # fmt: skip


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """A simulated hospital's tables, as files."""
    folder = tmp_path_factory.mktemp("hospital") / "world"
    simulate(folder, 3000, hospitals=1, seed=5)
    return next(folder.glob("*/omop"))


def failed(hospital, change=""):
    """Checks of the families here that fail, after a change."""
    with duckdb.connect(config={"threads": 1}) as connection:
        for file in hospital.glob("*.parquet"):
            connection.execute(f"CREATE TABLE {file.stem} AS SELECT * FROM read_parquet('{file}')")
        if change:
            connection.execute(change)
        findings = run(DuckDBWorkspace("duckdb", connection))
    asked = [f for f in findings if f.check.family in FAMILIES and f.verdict in ("passed", "failed")]
    return {f.check.id for f in asked if f.verdict == "failed"}, len(asked)


def test_no_false_alarm(hospital):
    found, asked = failed(hospital)
    assert found == set() and asked > 50


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_whole_test_is_found(hospital, fault):
    change, check = FAULTS[fault]
    found, _ = failed(hospital, change)
    assert check in found
    beside = {
        "sex_possible",
        "sexes_in_order",
        "middle_plausible",
        "no_second_unit",
        "same_over_years",
        "value_possible",
    }
    assert {one.partition(":")[0] for one in found} <= {check.partition(":")[0], *beside}


def test_what_only_men_have_is_not_measured_of_women(hospital):
    found, _ = failed(hospital, FAULTS["men are women and women are men"][0])
    assert f"sex_possible:measurement.measurement_concept_id:{PSA}:male" in found


def test_an_interval_is_converted_into_the_unit_of_the_values():
    low, high = middle_of(GLUCOSE, MMOL, MALE, 45)
    assert (round(low, 1), round(high, 1)) == (2.6, 17.4)
    assert middle_of(GLUCOSE, MGDL, MALE, 45) == (46.5, 313.12)
    assert middle_of(GLUCOSE, 8576, MALE, 45) is None or middle_of(GLUCOSE, 8582, MALE, 45) is None
    assert middle_of(GLUCOSE, MGDL, MALE, 5) is None, "no interval for children is known"


def test_what_a_living_person_can_have_in_each_unit():
    found = limits(GLUCOSE)
    assert found[MGDL] == (85.0 / 64, max(r.high for r in references()[GLUCOSE]) * 64)
    assert found[MGDL][1] / found[MMOL][1] == pytest.approx(18.016, rel=0.01)
    assert limits(POTASSIUM)[MMOL] == pytest.approx((0.35, 50.0))
    assert limits(999_999) == {}, "of what nothing is known"


@pytest.mark.parametrize(("negative", "signed"), [(0.2, False), (0.3, True)])
def test_a_test_of_which_nothing_is_known_has_a_sign_with_many_negative_values(negative, signed):
    assert single.Test(1, 100, MMOL, 100, negative=round(100 * negative)).signed is signed
    assert not single.Test(POTASSIUM, 100, MMOL, 100, negative=90).signed


def test_the_order_of_the_sexes_is_that_of_the_survey():
    assert (higher_sex(HAEMOGLOBIN, 45), higher_sex(3007070, 45), higher_sex(GLUCOSE, 45)) == (MALE, FEMALE, None)


@pytest.mark.skipif(not (SHARED / "vocabulary").exists(), reason="the shared facts are not on this machine")
def test_the_concepts_are_those_of_their_codes():
    known = {}
    for name, code in (("lab_concepts.csv", "loinc"), ("concepts.csv", "concept_code")):
        with (SHARED / "vocabulary" / name).open(encoding="utf-8", newline="") as file:
            known |= {int(row["concept_id"]): row[code] for row in csv.DictReader(file)}
    text = files("atoll.simulate").joinpath("measurements.csv").read_text("utf-8")
    known |= {int(row["concept_id"]): row["loinc"] for row in csv.DictReader(text.splitlines())}
    rows = csv.DictReader(files("atoll.quality").joinpath("references.csv").read_text("utf-8").splitlines())
    for row in rows:
        assert known[int(row["concept_id"])] == row["loinc"], row
        assert row["source"] and float(row["low"]) <= float(row["middle"] or row["low"]) < float(row["high"])
    assert len(references()) >= 40
