"""Definitions written by hand: from questions or the library, to JSON and back, in folders, studies; sets resolved."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from atoll.cli.main import atoll
from atoll.cohort.folder import read_definition
from atoll.errors import StudyError
from atoll.governance.signatures import fingerprint, new_key, public_bytes, sign_study
from atoll.study import circe
from atoll.study.dataset import files_beside
from atoll.study.diagnosis import TABLES, WORDS
from atoll.study.explain import explain
from atoll.study.protocol import from_canonical, read
from tests.unit.test_cohort_command import GOOD, a_cdm

ANSWERS = "Diabetes of adults\ncondition\n201826, 443238\ny\n365\n18\n730\n"


def command(*arguments, answers=None):
    return CliRunner().invoke(atoll, list(map(str, arguments)), input=answers, catch_exceptions=False)


def test_answers_become_a_definition_that_can_be_run(tmp_path):
    file = tmp_path / "dm.yaml"
    done = command("cohort", "new", file, answers=ANSWERS)
    assert done.exit_code == 0, done.output
    definition = read_definition(file)
    assert [item.concept.concept_id for item in definition.concept_sets[0].expression.items] == [201826, 443238]
    assert definition.primary_criteria.criteria_list[0].first and definition.title == "Diabetes of adults"
    again, adults = definition.inclusion_rules
    assert again.expression.criteria_list[0].start_window.end.days == 730
    assert adults.expression.demographic_criteria_list[0].age.value == 18
    told = command("cohort", "explain", file)
    assert told.exit_code == 0 and "18 years or older" in told.output


def test_what_is_there_is_never_written_over(tmp_path):
    file = tmp_path / "dm.yaml"
    file.write_text("mine")
    for more in ((), ("--phenotype", "gout")):
        done = command("cohort", "new", file, *more, answers=ANSWERS)
        assert done.exit_code == 10 and "is there already" in done.output
    other = tmp_path / "gout.yaml"
    assert command("cohort", "new", other, "--phenotype", "gout").exit_code == 0
    done = command("cohort", "convert", other, "--out", file)
    assert done.exit_code == 14 and "is there already" in done.output
    assert file.read_text() == "mine"


def test_wrong_ids_are_asked_again(tmp_path):
    answers = ANSWERS.replace("201826, 443238", "diabetes\n201826，443238")
    done = command("cohort", "new", tmp_path / "dm.yaml", answers=answers)
    assert "'diabetes' are no concept ids" in done.output and done.exit_code == 0
    assert len(read_definition(tmp_path / "dm.yaml").concept_sets[0].expression.items) == 2


def test_a_definition_goes_to_its_other_form_and_back(tmp_path):
    (tmp_path / "gout.yaml").write_text(command("phenotypes", "show", "gout", "--yaml").output, "utf-8")
    assert command("cohort", "convert", tmp_path / "gout.yaml", "--out", tmp_path / "back.json").exit_code == 0
    assert circe.read((tmp_path / "back.json").read_text("utf-8"))
    text = command("cohort", "convert", tmp_path / "back.json").output
    assert text.rstrip() == (tmp_path / "gout.yaml").read_text("utf-8").rstrip()
    same = command("cohort", "diff", tmp_path / "gout.yaml", tmp_path / "back.json")
    assert "mean the same" in same.output


def test_a_folder_of_both_forms_gives_the_same_persons(tmp_path):
    folder = tmp_path / "definitions"
    folder.mkdir()
    (folder / "json.json").write_text(json.dumps(GOOD))
    assert command("cohort", "convert", folder / "json.json", "--out", folder / "yaml.yaml").exit_code == 0
    out = tmp_path / "rows.parquet"
    done = command("cohort", "run", folder, "--cdm", a_cdm(tmp_path / "cdm.duckdb"), "--out", out)
    assert done.exit_code == 0, done.output
    rows = pq.read_table(out).to_pylist()
    by_name = {
        name: [{k: v for k, v in row.items() if k != "definition"} for row in rows if row["definition"] == name]
        for name in ("json", "yaml")
    }
    assert by_name["json"] == by_name["yaml"] != []


def test_two_files_of_one_name_are_named_and_stop_no_other(tmp_path):
    folder = tmp_path / "definitions"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(GOOD))
    (folder / "b.json").write_text(json.dumps(GOOD))
    command("cohort", "convert", folder / "a.json", "--out", folder / "a.yaml")
    out = tmp_path / "rows.parquet"
    done = command("cohort", "run", folder, "--cdm", a_cdm(tmp_path / "cdm.duckdb"), "--out", out)
    assert done.exit_code == 3 and "Two files are called a" in done.output
    assert {row["definition"] for row in pq.read_table(out).to_pylist()} == {"b"}


@pytest.mark.parametrize("name", ["cohort.yaml", "cohort.json"])
def test_a_study_takes_either_form_into_it(tmp_path, name):
    (tmp_path / "cohort.json").write_text(json.dumps(GOOD))
    command("cohort", "convert", tmp_path / "cohort.json", "--out", tmp_path / "cohort.yaml")
    (tmp_path / "study.yaml").write_text("")
    text = f"""
atoll: 1
title: Either
purpose: Count them.
investigator: {{name: Li Na, organisation: Coral}}
sites: {{north: {{key: '{fingerprint(public_bytes(new_key()))}'}}}}
datasets: {{lost: {{cohort: {name}, attrition: true}}}}
analyses: {{lost: {{algorithm: attrition, dataset: lost, columns: [stays]}}}}
valid: {{from: 2026-01-01, until: 2099-01-01}}
"""
    try:
        study = read(text, files=files_beside(tmp_path / "study.yaml"))
    except StudyError as error:
        pytest.fail(str(error))
    assert study.recipes["lost"].definition.primary_criteria.criteria_list[0].codeset_id is not None


def test_a_wrong_word_is_said_once_and_nothing_that_follows_from_it(tmp_path):
    """Neither the keys of another kind of feature, nor the columns of a dataset whose definition is not there."""
    text = AHEAD.replace("cohort.json", "missing.json").replace("x: {from: condition,", "x: {from: vist, as: count,")
    (tmp_path / "study.yaml").write_text(text.replace("FAMILY", "binomial").replace("FORMULA", "y ~ age + x"))
    found = json.loads(command("study", "check", tmp_path / "study.yaml", "--json").stdout)["error"]["problems"]
    assert [problem.split(":")[0].partition(", ")[2] for problem in found] == [
        "datasets.d.cohort", "datasets.d.features.features.x.from",
    ]  # fmt: skip
    right = text.replace("from: vist, as: count", "from: visit")
    (tmp_path / "study.yaml").write_text(right.replace("FORMULA", "y ~ age").replace("FAMILY", "binomial"))
    found = json.loads(command("study", "check", tmp_path / "study.yaml", "--json").stdout)["error"]["problems"]
    assert len(found) == 1 and "missing.json" in found[0], "It has ."


def test_a_definition_of_two_datasets_is_explained_once(tmp_path):
    (tmp_path / "cohort.json").write_text(json.dumps(GOOD))
    two = AHEAD.replace("analyses:", "  lost: {cohort: cohort.json, attrition: true}\nanalyses:")
    (tmp_path / "study.yaml").write_text(two.replace("FAMILY", "binomial").replace("FORMULA", "y ~ age"))
    said = command("study", "explain", tmp_path / "study.yaml").output
    assert said.count("Who enters, and when") == 1
    assert "The same persons as in the dataset d, by the same definition." in said


AHEAD = """
atoll: 1
title: Ahead
purpose: Foretell it.
investigator: {name: Li Na, organisation: Coral}
sites: {north: {}}
datasets:
  d:
    cohort: cohort.json
    features:
      concepts: {a: {include: [201826]}}
      features: {age: {from: person, as: age}, left: {from: person, as: followed}, x: {from: condition, of: a}}
      outcome: {y: {from: condition, of: a, window: [0, 365]}}
analyses: {risk: {algorithm: glm, dataset: d, family: FAMILY, formula: 'FORMULA'}}
valid: {from: 2026-01-01, until: 2099-01-01}
"""


@pytest.mark.parametrize(
    ("family", "formula", "refused"),
    [
        ("binomial", "y ~ age + left", "left"),
        ("binomial", "y ~ I(log(left + 1)) + age", "left"),
        ("binomial", "y ~ age + y_time", "y_time"),
        ("binomial", "y ~ age:y_event", "y_event"),
        ("binomial", "y_event ~ age + y", "y"),
        ("binomial", "y ~ age + y", "y"),
        ("binomial", "y ~ bs(y_time, df=4)", "y_time"),
        ("binomial", "y ~ age + x", ""),
        ("gaussian", "left ~ age", ""),
        ("gaussian", "y_time ~ age", ""),
    ],
)
def test_what_comes_after_the_index_date_is_no_covariate(tmp_path, family, formula, refused):
    (tmp_path / "cohort.json").write_text(json.dumps(GOOD))
    (tmp_path / "study.yaml").write_text(AHEAD.replace("FAMILY", family).replace("FORMULA", formula))
    done = command("study", "check", tmp_path / "study.yaml")
    said = f"{formula!r}: {refused!r} is made from what comes after the index date, and a covariate"
    assert ("Line 14, analyses.risk.formula = " in done.output and said in done.output) == bool(refused)
    assert (done.exit_code != 0) == bool(refused)
    if not refused:
        shared = "Outcome y and feature x read the same concepts on day 0"
        assert shared in done.output and shared in command("study", "explain", tmp_path / "study.yaml").output


def test_a_signed_study_that_reads_what_comes_later_is_refused_by_whoever_checks_it(tmp_path):
    """Somebody signed it with a program that does not look."""
    (tmp_path / "cohort.json").write_text(json.dumps(GOOD))
    key, text = new_key(), AHEAD.replace("FAMILY", "binomial").replace("FORMULA", "y ~ age + y_event")
    pinned = text.replace("north: {}", f"north: {{key: '{fingerprint(public_bytes(new_key()))}'}}")
    file = tmp_path / "study.signed.json"
    file.write_bytes(sign_study(read(pinned, files=files_beside(file)), key).to_bytes())
    done = command("study", "check", file)
    assert done.exit_code == 10
    assert "analyses.risk.formula: 'y_event' is made from what comes after the index date" in done.output


DIAGNOSED = """
atoll: 1
title: Diagnosed
purpose: See how it behaves.
investigator: {name: Li Na, organisation: Coral}
sites: {north: {key: 'KEY'}}
datasets: {told: {cohort: old.json, TABLE}}
analyses: {told: {algorithm: describe, dataset: told, columns: []}}
valid: {from: 2026-01-01, until: 2099-01-01}
""".replace("KEY", fingerprint(public_bytes(new_key())))
TITLED = {name: json.dumps(GOOD | {"Title": name.upper()}) for name in ("old.json", "new.json")}


@pytest.mark.parametrize("what", [*TABLES])
def test_a_study_diagnoses_a_cohort_by_a_table_that_it_names(what):
    written = f"diagnose: {what}" + (", with: new.json" if what == "overlap" else "")
    study = read(DIAGNOSED.replace("TABLE", written), files=TITLED.__getitem__)
    recipe = study.recipes["told"]
    assert set(study.datasets["told"]) == set(TABLES[what]) == set(recipe.dictionary())
    assert len(recipe.definitions) == (2 if what == "overlap" else 1)
    assert from_canonical(study.canonical()).hash == study.hash
    if what == "overlap":
        assert study.datasets["told"]["second"].label == "NEW.JSON"
    for language, pair in zip(("en", "zh"), WORDS[what], strict=True):
        assert pair in explain(study, language=language)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "diagnose: everything",
            r"datasets\.told\.diagnose: .everything. is no table\. Give one of entries",
        ),
        (
            "diagnose: overlap",
            r"an overlap is of two cohorts\. Name the second one under `with`",
        ),
        ("diagnose: risk, with: new.json", "only an overlap has a second cohort"),
        ("diagnose: risk, attrition: true", r"told\.attrition: there is no such key"),
        ("diagnose: risk, with: gone.json", "gone.json"),
    ],
)
def test_what_is_wrong_with_a_diagnosis_is_said_where_it_stands(written, said):
    def files(name):
        if name not in TITLED:
            raise StudyError(f"The cohort definition {name!r} cannot be read.", "Put it there.")
        return TITLED[name]

    with pytest.raises(StudyError, match=said):
        read(DIAGNOSED.replace("TABLE", written), files=files)


def test_sets_are_resolved_by_the_hospitals_own_vocabulary(tmp_path):
    cdm = a_cdm(tmp_path / "cdm.duckdb")
    sets = tmp_path / "sets.yaml"
    sets.write_text("everything: [1, {not: 3}]\nseldom: [{only: 9}]\nnobody: [4711]\n")
    done = command("concepts", "resolve", sets, "--cdm", cdm, "--json")
    assert done.exit_code == 0, done.output
    found = {one["set"]: one for one in json.loads(done.output)}
    assert [m["concept"] for m in found["everything"]["concepts"]] == [1, 2]
    first = found["everything"]["concepts"][0]
    assert (first["persons"], first["records"]) == (2, 3) and found["everything"]["used"] == 1
    assert [(m["concept"], m["records"]) for m in found["seldom"]["concepts"]] == [(9, 0)]
    assert found["nobody"]["concepts"] == []
    shown = command("concepts", "resolve", sets, "--cdm", cdm, "--used").output
    assert "everything: 2 concepts, 1 of them used here" in shown


def test_a_whole_definition_is_resolved_too_and_a_broken_one_is_refused(tmp_path):
    cdm = a_cdm(tmp_path / "cdm.duckdb")
    (tmp_path / "good.json").write_text(json.dumps(GOOD))
    done = command("concepts", "resolve", tmp_path / "good.json", "--cdm", cdm, "--json")
    assert done.exit_code == 0 and json.loads(done.output)[0]["used"] == 1
    (tmp_path / "bad.yaml").write_text("diabetes: [type two]\n")
    done = command("concepts", "resolve", tmp_path / "bad.yaml", "--cdm", cdm)
    assert done.exit_code == 10 and "Line 1, concepts.diabetes[0]: is 'type two'" in done.output
    done = command("concepts", "resolve", tmp_path / "none.yaml", "--cdm", cdm)
    assert done.exit_code == 10 and "cannot be read" in done.output
