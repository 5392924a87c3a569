"""From a hospital's OMOP data to a joint model, by one signed study: cohort, features, approval, rounds, result."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys

import duckdb
import numpy as np
import pytest

from atoll.errors import OperatorError
from atoll.features.recipe import table_at
from atoll.governance.signatures import SignedStudy
from atoll.local import run_study
from atoll.study.explain import explain
from atoll.study.protocol import from_canonical
from tests.cdm import load_duckdb, tables
from tests.network.world import ROOT, World, wait_until

HYPERTENSION, DIABETES, GLUCOSE, VISIT = 316866, 201826, 3004501, 9202
DEFINITION = {
    "ConceptSets": [{"id": 0, "name": "visit", "expression": {"items": [{"concept": {"CONCEPT_ID": VISIT}}]}}],
    "PrimaryCriteria": {
        "CriteriaList": [{"VisitOccurrence": {"CodesetId": 0, "First": True}}],
        "ObservationWindow": {"PriorDays": 0, "PostDays": 0},
        "PrimaryCriteriaLimit": {"Type": "First"},
    },
}
RECIPE = f"""\
datasets:
  screening:
    cohort: '{json.dumps(DEFINITION)}'
    features:
      concepts:
        hypertension: {{include: [{HYPERTENSION}]}}
        diabetes: {{include: [{DIABETES}]}}
        glucose: {{include: [{GLUCOSE}]}}
      features:
        age: {{from: person, as: age}}
        sex: {{from: person, as: sex}}
        hypertension: {{from: condition, of: hypertension, window: [null, 0]}}
        glucose: {{from: measurement, of: glucose, as: last, range: [2, 40]}}
      outcome:
        diabetes: {{from: condition, of: diabetes, window: [1, 1095]}}
"""
MODEL = (
    "  risk: {algorithm: glm, dataset: screening, family: binomial, formula: 'diabetes ~ age + hypertension + glucose'}"
)


def with_rules():
    """Adults whom a visit brings in, with high blood pressure, then with a high glucose."""

    def rule(name, criteria):
        around = {"Start": {"Days": 0, "Coeff": -1}, "End": {"Days": 0, "Coeff": 1}}
        found = {"Criteria": criteria, "StartWindow": around, "Occurrence": {"Type": 2, "Count": 1}}
        return {"name": name, "expression": {"Type": "ALL", "CriteriaList": [found]}}

    sets = [{"id": n, "name": str(n), "expression": {"items": [{"concept": {"CONCEPT_ID": n}}]}}
            for n in (HYPERTENSION, GLUCOSE)]  # fmt: skip
    high = {"Measurement": {"CodesetId": GLUCOSE, "ValueAsNumber": {"Value": 5.5, "Op": "gte"}}}
    rules = [rule("high blood pressure", {"ConditionOccurrence": {"CodesetId": HYPERTENSION}}), rule("glucose", high)]
    return DEFINITION | {"ConceptSets": [*DEFINITION["ConceptSets"], *sets], "InclusionRules": rules}


def hospital(path, seed: int, n: int = 600) -> None:
    """An OMOP database of invented persons, in whom glucose and hypertension go before diabetes."""
    r = np.random.default_rng(seed)
    index = datetime.date(2018, 1, 1)
    rows: dict[str, list] = {name: [] for name in ("person", "observation_period", "visit_occurrence")}
    rows |= {"condition_occurrence": [], "measurement": []}
    for p in range(1, n + 1):
        glucose, high = float(np.round(r.normal(5.6, 0.8), 1)), r.random() < 0.3
        ill = r.random() < 1 / (1 + np.exp(-(1.4 * (glucose - 6) + 0.6 * high - 0.5)))
        day = index + datetime.timedelta(days=int(r.integers(0, 300)))
        rows["person"].append({"person_id": p, "year_of_birth": int(r.integers(1935, 1990)), "gender_concept_id": 8507})
        period = {"observation_period_start_date": "2015-01-01", "observation_period_end_date": "2022-12-31"}
        rows["observation_period"].append({"person_id": p, "observation_period_id": p, **period})
        rows["visit_occurrence"].append(
            {"visit_occurrence_id": p, "person_id": p, "visit_concept_id": VISIT, "visit_start_date": day,
             "visit_end_date": day}
        )  # fmt: skip
        rows["measurement"].append(
            {"measurement_id": p, "person_id": p, "measurement_concept_id": GLUCOSE, "measurement_date": day,
             "value_as_number": glucose}
        )  # fmt: skip
        later = day + datetime.timedelta(days=int(r.integers(30, 900)))
        for number, (there, concept, when) in enumerate([(high, HYPERTENSION, day), (ill, DIABETES, later)]):
            if there:
                rows["condition_occurrence"].append(
                    {"condition_occurrence_id": 2 * p + number, "person_id": p, "condition_concept_id": concept,
                     "condition_start_date": when}
                )  # fmt: skip
    concepts = (HYPERTENSION, DIABETES, GLUCOSE, VISIT)
    rows["concept"] = [{"concept_id": c} for c in concepts]
    rows["concept_ancestor"] = [{"ancestor_concept_id": c, "descendant_concept_id": c} for c in concepts]
    with duckdb.connect(str(path)) as connection:
        load_duckdb(connection, tables(rows))


@pytest.fixture
def hospitals(tmp_path, nursery):
    world = World(nursery, tmp_path, roles=("centre", "hospital"))
    for number, (_, home) in enumerate(sorted(world.homes.items())):
        hospital(home.folder / "omop.duckdb", number)
    yield world
    world.close()


def atoll(world: World, site: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command that a steward types."""
    command = [sys.executable, "-m", "atoll", "site", *words, "--home", str(world.homes[site].folder)]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


def test_a_study_makes_its_own_table_at_every_hospital_that_approves_it(hospitals):
    signed = hospitals.study_of(RECIPE, MODEL)
    hospitals.start_sites()
    study, (run,) = hospitals.submit(signed)
    wait_until(lambda: all(study[:12] in atoll(hospitals, site, "studies").stdout for site in hospitals.homes))
    refused = atoll(hospitals, "north", "approve", study)
    assert refused.returncode == OperatorError.exit_code
    assert "this site knows of none" in refused.stderr and "atoll site cdm URL" in refused.stderr
    urls = {}
    for site, home in hospitals.homes.items():
        urls[site] = f"duckdb:///{home.folder / 'omop.duckdb'}"
        assert atoll(hospitals, site, "cdm", urls[site]).returncode == 0
        approved = atoll(hospitals, site, "approve", study)
        assert approved.returncode == 0, approved.stderr
        assert "screening: 600 rows" in approved.stderr
    assert hospitals.wait_for(run, "finished", "failed")["state"] == "finished", hospitals.run(run)
    recipe = signed.study().recipes["screening"]
    made = {site: {"screening": table_at(url, recipe)} for site, url in urls.items()}
    (_, expected) = next(run_study(signed.study(), {}, threads=1, made=made))
    result = hospitals.result(run)
    assert result["params"] == expected.document["params"].tolist()
    assert result["n"] == 1800 and result["params"][result["terms"].index("glucose")] > 0.8


def test_what_is_signed_is_the_definition_itself_and_the_steward_reads_it(hospitals):
    signed = hospitals.study_of(RECIPE, MODEL)
    again = from_canonical(SignedStudy.from_bytes(signed.to_bytes()).body)
    assert again.recipes["screening"].definition == signed.study().recipes["screening"].definition
    text = explain(again, "north")
    assert "The dataset screening is made here from this hospital's OMOP data." in text
    assert f"hypertension: whether there are diagnoses of “hypertension” (concepts {HYPERTENSION}" in text
    assert "outcome diabetes: the first of diagnoses" in text
    chinese = explain(again, "north", "zh")
    assert "数据集 screening 由本院的 OMOP 数据在本院生成" in chinese and "结局 diabetes" in chinese


LOSSES = f"""\
datasets:
  losses:
    cohort: '{json.dumps(with_rules())}'
    attrition: true
"""
STEPS = "  lost: {algorithm: attrition, dataset: losses, columns: [rule_1, rule_2, stays]}"


def test_attrition_over_hospitals_from_one_signed_study(hospitals):
    signed = hospitals.study_of(LOSSES, STEPS)
    again = from_canonical(SignedStudy.from_bytes(signed.to_bytes()).body)
    assert again.hash == signed.study().hash
    assert again.datasets["losses"]["rule_1"].label == "high blood pressure"
    text = explain(again, "north")
    assert "which of the rules are kept, and whether the person is in the cohort" in text
    assert "numbers of persons, to the nearest multiple of the minimum" in text
    assert "满足哪些规则" in explain(again, "north", "zh")
    hospitals.start_sites()
    study, (run,) = hospitals.submit(signed)
    wait_until(lambda: all(study[:12] in atoll(hospitals, site, "studies").stdout for site in hospitals.homes))
    exact = np.zeros(4)
    for site, home in hospitals.homes.items():
        url = f"duckdb:///{home.folder / 'omop.duckdb'}"
        assert atoll(hospitals, site, "cdm", url).returncode == 0
        approved = atoll(hospitals, site, "approve", study)
        assert approved.returncode == 0, approved.stderr
        made = table_at(url, signed.study().recipes["losses"])
        assert made.column_names == ["person", "rule_1", "rule_2", "stays"]
        flags = np.column_stack([made.column(name).to_numpy() for name in made.column_names[1:]])
        exact += [made.num_rows, *np.cumprod(flags, axis=1).sum(axis=0)]
    assert hospitals.wait_for(run, "finished", "failed")["state"] == "finished", hospitals.run(run)
    result = hospitals.result(run)
    assert abs(result["entered"] - exact[0]) <= 7.5 and exact[0] == 1800
    for step, true in zip(result["steps"], exact[1:], strict=True):
        assert step["low"] - 7.5 <= true <= step["high"] + 7.5
    assert result["steps"][2]["low"] < result["steps"][2]["high"], "all who keep the rules stay: a loss of nobody"
    assert set(result["sites_apart"]) == set(hospitals.homes)
    assert "held_back" in result["notes"]


TABLES_OF = f"""\
datasets:
  risk: {{cohort: '{json.dumps(with_rules())}', diagnose: risk}}
  entries: {{cohort: '{json.dumps(with_rules())}', diagnose: entries}}
"""
DIAGNOSES = """\
  rates:
    {algorithm: incidence, dataset: risk, enters: enters, leaves: leaves, born: born, event: event, by: sex,
     since: 2015, until: 2024}
  began: {algorithm: breakdown, dataset: entries, column: concept}
  times: {algorithm: durations, dataset: entries, columns: [before, after, within]}"""


def test_a_cohort_is_diagnosed_over_hospitals_from_one_signed_study(hospitals):
    """The hospital's own words of concepts are listed when it makes the table; rates are those of the rows."""
    signed = hospitals.study_of(TABLES_OF, DIAGNOSES)
    text = explain(from_canonical(SignedStudy.from_bytes(signed.to_bytes()).body), "north")
    assert "Of everybody in the data: sex, year of birth" in text and "events per" not in text
    assert "time at risk of all in years" in text
    hospitals.start_sites()
    study, runs = hospitals.submit(signed)
    wait_until(lambda: all(study[:12] in atoll(hospitals, site, "studies").stdout for site in hospitals.homes))
    events, persons = 0, 0
    for site, home in hospitals.homes.items():
        url = f"duckdb:///{home.folder / 'omop.duckdb'}"
        assert atoll(hospitals, site, "cdm", url).returncode == 0
        approved = atoll(hospitals, site, "approve", study)
        assert approved.returncode == 0, approved.stderr
        made = {name: table_at(url, recipe) for name, recipe in signed.study().recipes.items()}
        events += int(np.sum(made["risk"].column("event").to_numpy()))
        persons += made["entries"].num_rows
    results = {}
    for run in runs:
        assert hospitals.wait_for(run, "finished", "failed")["state"] == "finished", hospitals.run(run)
        results[hospitals.result(run)["algorithm"]] = hospitals.result(run)
    everybody = results["incidence"]["cells"][0]
    assert abs(everybody["events_low"] - events) <= 7.5 and events > 100
    assert results["breakdown"]["words"][0]["word"].startswith(str(VISIT))
    assert abs(results["durations"]["columns"]["before"]["persons"] - persons) <= 50
    assert set(results["incidence"]["sites_apart"]) == set(hospitals.homes)
