"""# Phenotypes of the library

What the logic of some definitions lets in, on every engine.
"""

from __future__ import annotations

import json

import pytest

from atoll.knowledge.library import concepts, phenotype
from tests.spec.definitions import conditions, drugs, observed, people

VOCABULARY = {
    "concept": [{"concept_id": number} for number in concepts()],
    "concept_ancestor": [{"ancestor_concept_id": n, "descendant_concept_id": n} for n in concepts()],
}
PERSONS = range(1, 9)
T2, T1, METFORMIN, A1C, PERCENT, MMOL_MOL = 201826, 201254, 1503297, 3004410, 8554, 9579
EGFR, PER_AREA, AKI, CKD3 = 46236952, 720870, 197320, 443597
MI, STAY, OUTPATIENT = 312327, 9201, 9202


@pytest.fixture
def found(persons):
    """The persons whom an entry of the library finds; all are born in 1960 and observed from 2018 to 2023."""

    def run(name, **rows):
        everybody = observed(*((n, "2018-01-01", "2023-12-31") for n in PERSONS))
        born = people(*((n, 1960, 8507) for n in PERSONS))
        document = json.loads(phenotype(name).text)
        return persons(VOCABULARY | {"person": born, "observation_period": everybody} | rows, document)[0]

    return run


def measured(concept, unit, *values):
    return [
        {"measurement_id": n, "person_id": person, "measurement_concept_id": concept, "measurement_date": day,
         "value_as_number": value, "unit_concept_id": unit}
        for n, (person, day, value) in enumerate(values)
    ]  # fmt: skip


def stays(*visits):
    return [
        {"visit_occurrence_id": n, "person_id": person, "visit_concept_id": kind, "visit_start_date": start,
         "visit_end_date": end}
        for n, (person, kind, start, end) in enumerate(visits)
    ]  # fmt: skip


def test_type_2_diabetes_wants_two_signs_and_no_type_1(found):
    """1 two diagnoses · 2 one · 3 diagnosis and drug · 4 HbA1c twice · 5 once · 6 type 1 · 7 diagnosis and mmol/mol"""
    values = measured(A1C, PERCENT, (4, "2020-01-01", 6.5), (4, "2020-06-01", 7.0), (5, "2020-01-01", 8.0))
    values += [row | {"measurement_id": 90} for row in measured(A1C, MMOL_MOL, (7, "2020-01-01", 48))]
    rows = {
        "condition_occurrence": conditions(
            (1, T2, "2020-01-01"), (1, T2, "2021-01-01"), (2, T2, "2020-01-01"), (3, T2, "2020-01-01"),
            (6, T2, "2020-01-01"), (6, T2, "2021-01-01"), (6, T1, "2019-01-01"), (7, T2, "2020-01-01"),
        ),
        "drug_exposure": drugs((3, METFORMIN, "2020-02-01"), (8, METFORMIN, "2020-02-01")),
        "measurement": values,
    }  # fmt: skip
    assert found("type_2_diabetes", **rows) == [1, 3, 4, 7]


def test_stage_3_of_kidney_disease_lasts_90_days(found):
    """1 low twice · 2 too soon · 3 normal between · 4 lower than the stage · 5 code twice · 6 code once · 7 acute"""
    rows = {
        "measurement": measured(
            EGFR, PER_AREA,
            (1, "2020-01-01", 45), (1, "2020-04-15", 50), (2, "2020-01-01", 45), (2, "2020-03-01", 50),
            (3, "2020-01-01", 45), (3, "2020-02-01", 75), (3, "2020-04-15", 50),
            (4, "2020-01-01", 20), (4, "2020-04-15", 22), (7, "2020-01-01", 45), (7, "2020-04-15", 50),
        ),
        "condition_occurrence": conditions(
            (5, CKD3, "2020-01-01"), (5, CKD3, "2020-03-01"), (6, CKD3, "2020-01-01"), (7, AKI, "2019-12-20")
        ),
    }  # fmt: skip
    assert found("chronic_kidney_disease_stage_3", **rows) == [1, 5]
    assert found("chronic_kidney_disease_stage_4", **rows) == [4]


def test_prediabetes_ends_where_diabetes_begins(found):
    """1 between · 2 normal · 3 diabetes before · 4 HbA1c of diabetes before · 5 too little history"""
    rows = {
        "measurement": measured(
            A1C, PERCENT,
            (1, "2020-01-01", 5.9), (2, "2020-01-01", 5.5), (3, "2020-01-01", 5.9), (4, "2019-06-01", 6.8),
            (4, "2020-01-01", 6.0), (5, "2018-03-01", 5.9),
        ),
        "condition_occurrence": conditions((3, T2, "2019-01-01")),
    }  # fmt: skip
    assert found("prediabetes", **rows) == [1]


def test_a_heart_attack_is_new_and_seen_in_hospital(found):
    """1 admitted · 2 as an outpatient · 3 within the first year · 4 the second one · 5 on the third day of a stay"""
    rows = {
        "condition_occurrence": conditions(
            (1, MI, "2020-01-01"), (2, MI, "2020-01-01"), (3, MI, "2018-06-01"), (4, MI, "2018-06-01"),
            (4, MI, "2020-01-01"), (5, MI, "2020-01-03"),
        ),
        "visit_occurrence": stays(
            (1, STAY, "2020-01-01", "2020-01-09"), (2, OUTPATIENT, "2020-01-01", "2020-01-01"),
            (3, STAY, "2018-06-01", "2018-06-09"), (4, STAY, "2018-06-01", "2018-06-09"),
            (4, STAY, "2020-01-01", "2020-01-09"), (5, STAY, "2020-01-01", "2020-01-09"),
        ),
    }  # fmt: skip
    assert found("myocardial_infarction", **rows) == [1, 5]
