"""Quality: clean data pass, a planted fault is found by the check that is made for it, on every engine."""

from __future__ import annotations

import csv
import datetime
import json
import math
import secrets

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from atoll.cdm.workspace import workspace_at
from atoll.cli.own_names import best_names, own_names
from atoll.errors import StudyError
from atoll.quality import births, completeness, conformance, plausibility, possible, references
from atoll.quality.plausibility import sexes, units_of_tests
from atoll.quality.report import drift, sizes, to_document
from atoll.quality.run import all_checks, run
from atoll.quality.scope import scope_of
from atoll.quality.tests import FAMILIES, check_of
from atoll.quality.words import ADVICE, KINDS, VERDICTS, WORDS
from atoll.study import protocol
from atoll.study.dataset import files_beside
from atoll.ui.quality import page
from tests.cdm import Engine
from tests.reference.shared import SHARED
from tests.unit import studies

CONDITION, GLUCOSE, VISIT, MGDL, MMOL = 201826, 3004501, 9202, 8840, 8753
PROSTATE, _, _ = next(entry for entry in sexes() if entry[1:] == ("condition_occurrence", "male"))
FIRST = datetime.date(2019, 1, 1)


def clean(n: int = 300) -> dict[str, list]:
    """A small database without a fault: a visit, a diagnosis and two tests a person."""
    r = np.random.default_rng(3)
    rows: dict[str, list] = {name: [] for name in ("person", "observation_period", "visit_occurrence")}
    rows |= {"condition_occurrence": [], "measurement": [], "death": []}
    for p in range(1, n + 1):
        day = FIRST + datetime.timedelta(days=int(r.integers(0, 700)))
        rows["person"].append({"person_id": p, "year_of_birth": int(r.integers(1940, 1999)),
                               "gender_concept_id": 8532 if p % 2 else 8507, "race_concept_id": 1,
                               "ethnicity_concept_id": 1})  # fmt: skip
        rows["observation_period"].append(
            {"observation_period_id": p, "person_id": p, "observation_period_start_date": FIRST,
             "observation_period_end_date": "2022-12-31", "period_type_concept_id": 1}
        )  # fmt: skip
        rows["visit_occurrence"].append(
            {"visit_occurrence_id": p, "person_id": p, "visit_concept_id": VISIT, "visit_start_date": day,
             "visit_end_date": day, "visit_type_concept_id": 1}
        )  # fmt: skip
        rows["condition_occurrence"].append(
            {"condition_occurrence_id": p, "person_id": p, "condition_concept_id": CONDITION,
             "condition_start_date": day, "condition_type_concept_id": 1, "visit_occurrence_id": p}
        )  # fmt: skip
        for k in range(2):
            rows["measurement"].append(
                {"measurement_id": 2 * p + k, "person_id": p, "measurement_concept_id": GLUCOSE,
                 "measurement_date": day, "value_as_number": float(r.normal(100, 15)), "unit_concept_id": MGDL,
                 "measurement_type_concept_id": 1, "visit_occurrence_id": p}
            )  # fmt: skip
    concepts = (CONDITION, GLUCOSE, VISIT, MGDL, MMOL, PROSTATE, 1, 8507, 8532)
    rows["concept"] = [{"concept_id": concept} for concept in concepts]
    return rows


def failed(engine: Engine, rows: dict[str, list]) -> set[str]:
    """Checks that failed, but for what the small database does not have: tables, columns, texts."""
    with engine.workspace(rows) as workspace:
        findings = run(workspace)
    outside = ("table_there", "column_there", "concept_domain", "concept_standard", "birth_given")
    return {f.check.id for f in findings if f.verdict == "failed" and f.check.family not in outside}


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def engine(request, tmp_path_factory):
    database = ""
    if request.param == "postgresql":
        import psycopg

        server, own = request.getfixturevalue("postgres"), f"quality_{secrets.token_hex(6)}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {own}")
        database = f"{server}/{own}"
    engine = Engine(request.param, tmp_path_factory.mktemp("quality"), database)
    yield engine
    engine.close()


def change(rows: dict[str, list], table: str, count: int = 1, **values) -> dict[str, list]:
    """The rows with other values in the first `count` of a table."""
    for row in rows[table][:count]:
        row.update(values)
    return rows


FAULTS = {
    "after_birth:condition_occurrence.condition_start_date": lambda r: change(
        r, "condition_occurrence", condition_start_date="1900-05-01"),
    "before_death:measurement.measurement_date": lambda r: {
        **change(r, "measurement", measurement_date="2021-06-01"),
        "death": [{"person_id": 1, "death_date": "2021-01-01"}],
    },
    "not_future:visit_occurrence.visit_end_date": lambda r: change(r, "visit_occurrence", visit_end_date="2150-01-01"),
    "end_after_start:visit_occurrence.visit_end_date": lambda r: change(
        r, "visit_occurrence", visit_end_date="2018-12-31"),
    "required:condition_occurrence.condition_start_date": lambda r: change(
        r, "condition_occurrence", condition_start_date=None),
    "unique_key:measurement.measurement_id": lambda r: change(r, "measurement", 2, measurement_id=7_000_000),
    "one_row_a_person:death.person_id": lambda r: {
        **r, "death": [{"person_id": 1, "death_date": "2022-12-30"}, {"person_id": 1, "death_date": "2022-12-31"}]},
    "reference_known:measurement.person_id:person": lambda r: change(r, "measurement", person_id=999_999),
    "reference_known:condition_occurrence.visit_occurrence_id:visit_occurrence": lambda r: change(
        r, "condition_occurrence", visit_occurrence_id=999_999),
    "reference_same_person:measurement.visit_occurrence_id:visit_occurrence": lambda r: change(
        r, "measurement", 1, visit_occurrence_id=2),
    "concept_known:condition_occurrence.condition_concept_id": lambda r: change(
        r, "condition_occurrence", condition_concept_id=77),
    "code_mapped:condition_occurrence.condition_concept_id": lambda r: change(
        r, "condition_occurrence", 60, condition_concept_id=0),
    "unit_given:measurement.unit_concept_id": lambda r: change(r, "measurement", 200, unit_concept_id=None),
    "value_given:measurement.value_as_number": lambda r: change(r, "measurement", 200, value_as_number=None),
    "person_observed:observation_period": lambda r: {**r, "observation_period": r["observation_period"][1:]},
    "within_observation:condition_occurrence.condition_start_date": lambda r: change(
        r, "condition_occurrence", 40, condition_start_date="2018-06-01"),
    "age_possible:person.year_of_birth": lambda r: change(r, "person", year_of_birth=1700),
    "one_unit:measurement.value_as_number:3004501": lambda r: change(r, "measurement", 100, unit_concept_id=MMOL),
    "no_negative:measurement.value_as_number:3004501": lambda r: change(r, "measurement", 10, value_as_number=-90.0),
    "one_scale:measurement.value_as_number:3004501": lambda r: change(r, "measurement", 60, value_as_number=5.6),
    "sex_possible:condition_occurrence.condition_concept_id:" + f"{PROSTATE}:male": lambda r: change(
        r, "condition_occurrence", 20, condition_concept_id=PROSTATE),
}  # fmt: skip


def test_clean_data_pass(engine):
    assert failed(engine, clean()) == set()


def test_drugs_in_hand_may_outlast_today_and_a_death_as_the_loader_lets_them(engine):
    def ends(days: int) -> set[str]:
        today = datetime.date.today()
        rows, died = clean(), today - datetime.timedelta(3)
        rows["drug_exposure"] = [
            {"drug_exposure_id": p, "person_id": p, "drug_concept_id": 1, "drug_exposure_start_date": str(died),
             "drug_exposure_end_date": str((died if p == 1 else today) + datetime.timedelta(days)),
             "drug_type_concept_id": 1} for p in (1, 2)
        ]  # fmt: skip
        rows["death"] = [{"person_id": 1, "death_date": str(died), "death_type_concept_id": 1}]
        said = ("before_death:drug_exposure.drug_exposure_end_date", "not_future:drug_exposure.drug_exposure_end_date")
        return failed(engine, rows) & set(said)

    assert ends(366) == set()
    assert len(ends(368)) == 2


@pytest.mark.parametrize("between", [False, True])
def test_what_lies_between_two_times_of_observation_is_outside_of_them(engine, between):
    rows = clean()
    for period in list(rows["observation_period"]):
        if between:
            period["observation_period_end_date"] = "2018-01-31"
        later = {"observation_period_id": 1000 + period["person_id"], "observation_period_start_date": "2022-06-01"}
        rows["observation_period"].append(period | later | {"observation_period_end_date": "2022-12-31"})
        period["observation_period_start_date"] = "2018-01-01"
    found = failed(engine, rows)
    assert ("within_observation:measurement.measurement_date" in found) == between
    assert ("within_observation:condition_occurrence.condition_start_date" in found) == between


@pytest.mark.parametrize(("month", "day", "fails"), [(5, 2, True), (6, 1, True), (5, 1, False), (None, 9, False)])
def test_what_happens_in_the_year_of_birth_is_held_against_the_day(engine, month, day, fails):
    rows = change(clean(), "person", year_of_birth=2019, month_of_birth=month, day_of_birth=day)
    for table, column in (("condition_occurrence", "condition_start_date"), ("measurement", "measurement_date")):
        change(rows, table, **{column: "2019-05-01"})
    assert ("after_birth:condition_occurrence.condition_start_date" in failed(engine, rows)) == fails


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_and_little_else(fault):
    engine = Engine("duckdb", None)  # type: ignore[arg-type]
    try:
        found = failed(engine, FAULTS[fault](clean()))
    finally:
        engine.close()
    assert fault in found
    assert len(found) <= 4, found


def leaps(values) -> set[str]:
    """What fails of glucose when the value of person p, of age a and sex s, is values(r, p, a, s)."""
    rows, r = clean(1_200), np.random.default_rng(5)
    for person in rows["person"]:
        person.update(year_of_birth=2019 - int(person["person_id"]) * 80 // 1_201)
    ages = {p["person_id"]: 2019 - p["year_of_birth"] for p in rows["person"]}
    sexes = {p["person_id"]: p["gender_concept_id"] for p in rows["person"]}
    for row in rows["measurement"]:
        row["value_as_number"] = float(values(r, ages[row["person_id"]], sexes[row["person_id"]]))
    engine = Engine("duckdb", None)
    with engine.workspace(rows) as workspace:
        found = run(workspace)
    engine.close()
    return {f.check.family for f in found if f.verdict == "failed" and f.check.family.startswith("same_")}


def test_a_test_that_rises_with_age_is_no_fault_and_one_in_two_units_is():
    assert leaps(lambda r, age, sex: r.lognormal(math.log(20) + 0.09 * age, 1.6)) == set()  # as NT-proBNP does
    assert leaps(lambda r, age, sex: r.lognormal(math.log(95 / (18 if age < 20 else 1)), 0.2)) == {"same_over_ages"}
    of_men = leaps(lambda r, age, sex: r.lognormal(math.log(95 / (18 if sex == 8507 else 1)), 0.2))
    assert "same_for_sexes" in of_men and "same_over_ages" not in of_men


@pytest.mark.parametrize(("count", "fails"), [(2, False), (60, True)])
def test_a_few_records_of_which_the_source_said_nothing_are_no_fault(tmp_path, count, fails):
    with duckdb.connect(str(tmp_path / "cdm.duckdb")) as made:
        made.execute("CREATE TABLE person AS SELECT 1 AS person_id")
        made.execute(
            "CREATE TABLE measurement AS SELECT range AS measurement_id, 1 AS person_id,"
            " DATE '2020-01-01' AS measurement_date,"
            f" CASE WHEN range < {count} THEN 0 ELSE 3004501 END AS measurement_concept_id,"
            f" CASE WHEN range < {count} THEN NULL ELSE 'GLU' END AS measurement_source_value FROM range(600)"
        )
    with workspace_at(f"duckdb:///{tmp_path}/cdm.duckdb") as workspace:
        found = {f.check.id: f.verdict for f in run(workspace)}
    assert (found["source_kept:measurement.measurement_source_value"] == "failed") is fails


def test_all_faults_at_once_on_every_engine(engine):
    rows = clean()
    for plant in (FAULTS["end_after_start:visit_occurrence.visit_end_date"],
                  FAULTS["one_scale:measurement.value_as_number:3004501"],
                  FAULTS["unique_key:measurement.measurement_id"]):  # fmt: skip
        rows = plant(rows)
    found = failed(engine, rows)
    assert {"end_after_start:visit_occurrence.visit_end_date", "one_scale:measurement.value_as_number:3004501",
            "unique_key:measurement.measurement_id"} <= found  # fmt: skip


def test_a_gap_and_a_jump_in_time():
    rows = clean(0)
    day = datetime.date(2019, 1, 15)
    for month in range(12):
        many = {3: 0, 8: 5000}.get(month, 300)
        when = day.replace(month=month + 1)
        rows["condition_occurrence"] += [
            {"condition_occurrence_id": 10_000 * month + k, "person_id": k, "condition_concept_id": CONDITION,
             "condition_start_date": when, "condition_type_concept_id": 1}
            for k in range(many)
        ]  # fmt: skip
    rows["person"] = [{"person_id": 1, "year_of_birth": 1950, "gender_concept_id": 8507}]
    engine = Engine("duckdb", None)  # type: ignore[arg-type]
    try:
        found = failed(engine, rows)
    finally:
        engine.close()
    assert {"no_gap:condition_occurrence:gap", "no_jump:condition_occurrence:jump"} <= found


def test_there_are_two_thousand_checks_and_each_has_a_name_of_its_own():
    checks = all_checks()
    assert len(checks) >= 2_000 and len({check.id for check in checks}) == len(checks)
    assert {check.kind for check in checks} == set(KINDS)


def test_every_family_says_what_to_do_in_both_languages():
    assert set(WORDS) - set(ADVICE) == set(), "say in ADVICE of quality/words.py what to do where these fail"
    assert set(ADVICE) == set(WORDS)
    for english, chinese in ADVICE.values():
        assert english.endswith(".") and chinese.endswith("。")
        assert english.count("`") == chinese.count("`") and english.count("`") % 2 == 0


def test_the_page_says_what_was_checked_what_to_do_and_names_of_tests():
    rows = change(clean(), "measurement", 60, value_as_number=5.6)
    engine = Engine("duckdb", None)
    with engine.workspace(rows) as workspace:
        findings = run(workspace)
    with engine.workspace(clean()) as workspace:
        before = to_document(run(workspace))
    engine.close()
    document = to_document(findings, names={GLUCOSE: "LOINC 2345-7"})
    document["changes"] = drift(before, document)
    (entry,) = [entry for entry in document["findings"] if entry["id"].startswith("one_scale:")]
    assert entry["concept_name"] == "LOINC 2345-7"
    own = {GLUCOSE: ("glucose in serum", "葡萄糖")}
    english = page(document, WORDS, KINDS, VERDICTS, "en", ADVICE, own)
    assert "glucose in serum 3004501" in english and "LOINC" not in english
    assert "What to do" in english and "Give these values their unit in the mapping" in english
    changed = english.partition("Different from the earlier release")[2].partition("</section>")[0]
    assert changed and "one_scale:measurement" not in changed  # what is different, too, is said in words
    listing = "atoll quality rows one_scale:measurement.value_as_number:3004501 --cdm URL"
    assert f'List the rows at home: <code translate="no">{listing}</code>' in english
    assert "quality rows table_there" not in english  # failed, too, and about no row
    assert "What was checked" in english and "plausibility" in english and "can be true" not in english.split("<h2>")[1]
    chinese = page(document, WORDS, KINDS, VERDICTS, "zh", ADVICE, own)
    assert f'在院内列出这些行： <code translate="no">{listing}</code>' in chinese
    assert "葡萄糖 3004501" in chinese and "怎么办" in chinese and "合理性" in chinese
    clean_page = page(before | {"verdicts": before["verdicts"] | {"failed": 0}}, WORDS, KINDS, VERDICTS, "en")
    assert "No check failed." in clean_page and ">visit_occurrence</th>" in clean_page
    assert 'id="only-failed" checked' not in clean_page


def test_a_test_has_the_best_name_there_is():
    given = {GLUCOSE: "LOINC 2345-7", 3001420: "", 3000963: "Hemoglobin of a vocabulary", 77: "LOINC 0-0"}
    assert best_names(given) == {GLUCOSE: "glucose in serum", 3001420: "magnesium in serum",
                                 3000963: "Hemoglobin of a vocabulary", 77: "LOINC 0-0"}  # fmt: skip
    assert own_names()[3001420] == ("magnesium in serum", "镁")


def test_the_numbers_say_what_they_count():
    counted = {check.family: check.counted for check in all_checks()}
    assert {counted[family] for family in ("unit_given", "code_mapped", "not_doubled")} == {"rows"}
    assert (counted["no_gap"], counted["column_type"], counted["person_has_records"]) == (
        "months",
        "columns",
        "persons",
    )
    assert [check_of(family, GLUCOSE).counted for family in ("one_scale", "middle_plausible")] == ["rows", "groups"]


def test_every_family_is_said_in_both_languages():
    modules = (conformance, completeness, plausibility, references, possible, births)
    families = {f.__name__ for m in modules for f in m.FAMILIES} | set(FAMILIES)
    assert families - set(WORDS) == set(), "say in WORDS of quality/words.py, in two languages, what these look at"
    assert set(WORDS) - families == set(), "these are no families any more: take them out of quality/words.py"


def test_the_report_tells_numbers_and_drift_and_no_row(tmp_path):
    engine = Engine("duckdb", None)  # type: ignore[arg-type]
    try:
        with engine.workspace(clean()) as workspace:
            before = to_document(run(workspace))
        rows = change(clean(), "measurement", person_id=987654321, value_as_number=123456.789)
        with engine.workspace(FAULTS["unit_given:measurement.unit_concept_id"](rows)) as workspace:
            after = to_document(run(workspace))
    finally:
        engine.close()
    assert "unit_given:measurement.unit_concept_id" in [change["id"] for change in drift(before, after)]
    text = json.dumps(after)
    assert "987654321" not in text and "123456.789" not in text and after["verdicts"]["failed"] >= 1
    html = page(after | {"changes": drift(before, after)}, WORDS, KINDS, VERDICTS, "zh")
    assert "数据质量" in html and "数值带有已知单位" in html and "Quality" not in html


def test_a_table_that_shrank_and_a_test_that_is_gone_are_told():
    def entry(family, table, column, rows, verdict="passed", concept=None):
        return {"id": f"{family}:{table}.{column}:{concept or ''}", "family": family, "kind": "conformance",
                "table": table, "column": column, "concept": concept,
                "concept_name": "", "subject": "", "looked_at": rows, "counted": "rows", "faults": 0,
                "share": 0.0, "allowed": 0.0, "verdict": verdict, "of_rows": True}  # fmt: skip

    def run_of(measured, drugs, values):
        empty = "passed" if drugs else "empty"
        return {"findings": [
            entry("required", "measurement", "person_id", measured),
            entry("required", "drug_exposure", "person_id", drugs, empty),
            entry("not_future", "drug_exposure", "start", drugs, empty),
            entry("value_given", "measurement", "value", values, "passed" if values else "empty"),
        ]}  # fmt: skip

    before, after = run_of(200, 50, 90), run_of(100, 0, 0)
    before["findings"].append(entry("one_unit", "measurement", "value_as_number", 60, concept=GLUCOSE))
    assert sizes(before, after) == [
        {"table": "drug_exposure", "was": 50, "is": 0}, {"table": "measurement", "was": 200, "is": 100},
    ]  # fmt: skip
    told = {change["family"]: change["verdict_is"] for change in drift(before, after)}
    assert told == {"value_given": "empty", "one_unit": "empty"}  # of the empty table its rows say it once
    assert sizes(before, before) == drift(before, before) == []
    fewer = {"findings": after["findings"][:1]}  # a run for a study: tests that it does not ask about are not gone
    assert {change["family"] for change in drift(before, fewer)} == set()
    whole = {"seconds": 1.0, "database": "x", "when": "2026-01-01T00:00:00Z", "checks": 5,
             "verdicts": {"failed": 0, "passed": 1, "empty": 0, "missing": 0}}  # fmt: skip
    document = {**whole, **after, "sizes": sizes(before, after), "changes": drift(before, after)}
    shown = page(document, WORDS, KINDS, VERDICTS, "zh")
    assert "现在的行数" in shown and "drug_exposure" in shown.partition("现在的行数")[2].partition("</section>")[0]


@pytest.mark.skipif(not (SHARED / "vocabulary").exists(), reason="the shared facts are not on this machine")
def test_the_parameters_are_the_facts_they_name():
    with (SHARED / "vocabulary" / "measurement_ranges.csv").open() as file:
        units = {int(row["conceptId"]): tuple(map(int, row["plausibleUnitConceptIds"].split(",")))
                 for row in csv.DictReader(file) if row["plausibleUnitConceptIds"]}  # fmt: skip
    assert units_of_tests() == units
    with (SHARED / "vocabulary" / "sex_specific.csv").open() as file:
        facts = tuple((int(r["concept_id"]), r["table"].lower(), r["sex"].lower()) for r in csv.DictReader(file))
    assert sexes() == facts


def test_a_database_that_is_none_of_persons(tmp_path):
    from click.testing import CliRunner

    from atoll.cli.main import atoll

    (tmp_path / "x.parquet").parent.mkdir(exist_ok=True)
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "thing.parquet")
    done = CliRunner().invoke(atoll, ["quality", "run", "--cdm", f"duckdb:///{tmp_path}"])
    assert done.exit_code and "no table of persons" in done.output


STUDY = """
atoll: 1
title: Sugar
purpose: To try.
investigator: {name: A, organisation: B}
sites: {north: {}}
datasets:
  sugar:
    cohort: sick.json
    features:
      concepts: {glucose: {include: [3004501], descendants: false}}
      features:
        age: {from: person, as: age}
        glucose: {from: measurement, of: glucose, as: last}
analyses: {who: {algorithm: describe, dataset: sugar, columns: [age, glucose]}}
valid: {from: 2026-01-01, until: 2036-01-01}
"""
SICK = {
    "ConceptSets": [{"id": 0, "name": "diabetes", "expression": {"items": [
        {"concept": {"CONCEPT_ID": CONDITION}, "includeDescendants": True}]}}],
    "PrimaryCriteria": {"CriteriaList": [{"ConditionOccurrence": {"CodesetId": 0}}],
                        "ObservationWindow": {"PriorDays": 0, "PostDays": 0}, "PrimaryCriteriaLimit": {"Type": "All"}},
    "QualifiedLimit": {"Type": "All"}, "ExpressionLimit": {"Type": "All"}, "InclusionRules": [],
    "CensoringCriteria": [], "CollapseSettings": {"CollapseType": "ERA", "EraPad": 0}, "cdmVersionRange": ">=5.0.0",
}  # fmt: skip


def test_a_study_asks_for_the_checks_of_its_tables_and_concepts_alone(engine, tmp_path):
    """A fault in what the study reads is found; one in what it does not read is not looked for."""
    (tmp_path / "sick.json").write_text(json.dumps(SICK))
    study = protocol.read(STUDY, files=files_beside(tmp_path / "study.yaml"))
    rows = change(clean(), "measurement", 150, unit_concept_id=MMOL)
    rows = change(rows, "visit_occurrence", visit_end_date="2018-12-31")
    rows["concept_ancestor"] = [{"ancestor_concept_id": CONDITION, "descendant_concept_id": CONDITION}]
    rows["concept_relationship"] = []
    with engine.workspace(rows) as workspace:
        scope = scope_of(study, workspace)
        every, found = run(workspace), run(workspace, scope=scope)
    assert scope.tables == {"person", "observation_period", "death", "condition_occurrence", "measurement"}
    assert scope.concepts == {CONDITION, GLUCOSE}
    wrong, wrong_here = ({f.check.family for f in of if f.verdict == "failed"} for of in (every, found))
    assert "one_unit" in wrong_here
    assert "end_after_start" in wrong - wrong_here, "of visits, which the study does not read"
    assert {finding.check.concept for finding in found} <= {0, CONDITION, GLUCOSE}
    assert 50 < len(found) < len(every) / 3


def test_a_study_of_registered_tables_has_no_checks_of_its_own(engine):
    study = protocol.read(studies.STUDY)
    with engine.workspace({}) as workspace, pytest.raises(StudyError, match="reads tables that stewards register"):
        scope_of(study, workspace)


def test_a_bound_is_no_value_on_another_scale_and_a_grade_misses_no_unit():
    rows = clean()
    for row in rows["measurement"]:
        row |= {"operator_concept_id": None, "value_as_concept_id": None}
    bounded = FAULTS["one_scale:measurement.value_as_number:3004501"](rows)
    for row in bounded["measurement"][:60]:
        row["operator_concept_id"] = 4171756
    engine = Engine("duckdb", None)  # type: ignore[arg-type]
    try:
        assert "one_scale:measurement.value_as_number:3004501" not in failed(engine, bounded)
        graded = change(clean(), "measurement", 200, unit_concept_id=None, value_as_concept_id=45878548)
        assert "unit_given:measurement.unit_concept_id" not in failed(engine, graded)
    finally:
        engine.close()
