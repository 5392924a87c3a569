"""Five hospitals whose check-up patients are followed for three years: who develops type 2 diabetes?

Simulated people with a known truth. Each hospital has its own size and mix of patients (age, weight,
glucose), and one underlying risk model holds everywhere:

    logit P(diabetes within three years) = Σ TRUTH[term] · term

The strengths are of the order that screening scores such as FINDRISC report (age, BMI, fasting glucose,
blood pressure treatment, family history, smoking); they are the simulation's truth, not a medical claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.study.dictionary import Column, Dictionary

TRUTH = {
    "Intercept": -19.6,
    "age": 0.030,
    "sex[T.male]": 0.22,
    "bmi": 0.085,
    "glucose": 1.90,
    "sbp": 0.008,
    "bp_treated": 0.35,
    "family_history": 0.65,
    "smoker": 0.25,
}
FORMULA = "diabetes ~ " + " + ".join(term.removesuffix("[T.male]") for term in TRUTH if term != "Intercept")

COLUMNS: Dictionary = {
    "person_id": Column("person", label="local number of the person"),
    "age": Column("number", unit="a", low=18, high=100, label="age at the check-up"),
    "sex": Column("category", levels=("female", "male"), label="sex"),
    "bmi": Column("number", unit="kg/m2", low=12, high=70, label="body mass index"),
    "glucose": Column("number", unit="mmol/L", low=2, high=15, label="fasting plasma glucose"),
    "sbp": Column("number", unit="mm[Hg]", low=70, high=260, label="systolic blood pressure"),
    "bp_treated": Column("flag", label="treated for high blood pressure"),
    "family_history": Column("flag", label="parent or sibling with diabetes"),
    "smoker": Column("flag", label="smokes"),
    "diabetes": Column("flag", label="type 2 diabetes within three years"),
}


@dataclass(frozen=True)
class Hospital:
    """Size and patient mix of one simulated hospital."""

    name: str
    title: str
    persons: int
    age: float
    bmi: float
    glucose: float
    male: float
    smoking: float


HOSPITALS = (
    Hospital("coral", "Coral University Hospital", 94_000, 56, 26.8, 5.45, 0.49, 0.22),
    Hospital("harbour", "Harbour General", 58_000, 52, 27.6, 5.40, 0.53, 0.30),
    Hospital("lagoon", "Lagoon Women's and Family Clinic", 33_000, 44, 25.2, 5.15, 0.22, 0.15),
    Hospital("mangrove", "Mangrove District Hospital", 12_000, 61, 28.4, 5.60, 0.51, 0.27),
    Hospital("reef", "Reef Island Hospital", 3_000, 58, 30.1, 5.75, 0.55, 0.35),
)


def check_ups(hospital: Hospital, seed: int, persons: int | None = None) -> dict[str, Any]:
    """One hospital's table as arrays, one row a person; the same seed gives the same people.

    `persons` overrides the hospital's size (tests use fewer).
    """
    n = persons or hospital.persons
    r = np.random.default_rng([seed, *hospital.name.encode()])
    age = np.round(r.normal(hospital.age, 13, n).clip(18, 99))
    male = r.random(n) < hospital.male
    bmi = np.round((r.gamma(28, (hospital.bmi + 0.02 * (age - 50)) / 28, n)).clip(13, 65), 1)
    glucose = np.round(
        (hospital.glucose + 0.008 * (age - 50) + 0.03 * (bmi - 27) + r.normal(0, 0.5, n)).clip(2.5, 12), 2
    )
    sbp = np.round((104 + 0.42 * age + 0.5 * (bmi - 27) + r.normal(0, 13, n)).clip(75, 240))
    bp_treated = r.random(n) < 1 / (1 + np.exp(-(-9.5 + 0.045 * age + 0.042 * sbp)))
    family_history = r.random(n) < 0.24
    smoker = r.random(n) < hospital.smoking * np.where(male, 1.2, 0.8)
    table = {
        "age": age,
        "sex": np.where(male, "male", "female"),
        "bmi": bmi,
        "glucose": glucose,
        "sbp": sbp,
        "bp_treated": bp_treated.astype(np.int64),
        "family_history": family_history.astype(np.int64),
        "smoker": smoker.astype(np.int64),
    }
    table["diabetes"] = (r.random(n) < true_risk(table)).astype(np.int64)
    return {"person_id": np.array([f"{hospital.name}-{i:06d}" for i in range(n)]), **table}


def true_risk(table: dict[str, Any]) -> Any:
    """Each person's risk under `TRUTH`, as an array of n."""
    eta = TRUTH["Intercept"] + TRUTH["sex[T.male]"] * (table["sex"] == "male")
    for term, beta in TRUTH.items():
        if term in table:
            eta = eta + beta * table[term]
    return 1 / (1 + np.exp(-eta))
