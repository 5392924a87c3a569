"""What a planned analysis needs, and whether its precision is what the analysis then has."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest
from click.testing import CliRunner

from atoll.algorithms.planned import Plan, as_questions, plans, precision, too_few
from atoll.cli.main import atoll
from atoll.errors import StudyError
from atoll.local import Network
from atoll.privacy.disclosure import PUBLIC, STRICT
from atoll.study.protocol import read

HEAD = """\
atoll: 1
title: A plan
purpose: To count.
investigator: {name: Wang Fang, organisation: City Hospital}
sites: {north: {}, south: {}}
datasets:
  checkup:
    columns:
      age: {type: number, unit: a, range: [0, 120]}
      sex: {type: category, levels: [female, male]}
      ward: {type: category}
      bmi: {type: number}
      t: {type: number, unit: d}
      y: {type: flag}
  other: {columns: {age: {type: number}}}
valid: {from: 2026-01-01, until: 2027-01-01}
analyses:
"""
ANALYSES = """\
  risk: {algorithm: glm, dataset: checkup, family: binomial, formula: 'y ~ C(sex) + bs(age, df=4) + site'}
  time: {algorithm: cox, dataset: checkup, formula: 'age + scale(bmi)', time: t, event: y, strata: [ward]}
  weight: {algorithm: glm, dataset: checkup, formula: 'bmi ~ age + C(ward)'}
  curve: {algorithm: kaplan_meier, dataset: checkup, time: t, event: y, times: [365], by: sex}
  who: {algorithm: describe, dataset: other, columns: [age]}
  judged: {algorithm: performance, dataset: checkup, model: risk, outcome: y}
  given: {algorithm: performance, dataset: checkup, outcome: y, model: {terms: [Intercept, bmi], coefficients: [0, 1]}}
  lost: {algorithm: attrition, dataset: checkup, columns: [y]}
"""


def study(analyses: str = ANALYSES):
    return read(HEAD + analyses)


def test_each_analysis_says_what_a_patient_must_have():
    found = plans(study())
    assert list(found) == ["risk", "time", "weight", "curve", "who", "judged", "given"]
    assert found["risk"] == Plan("glm", "checkup", ("y", "sex", "age"), "y", 1 + 1 + 4 + 1, "odds ratio")
    assert set(found["time"].columns) == {"t", "y", "ward", "age", "bmi"}
    assert (found["time"].happened, found["time"].parameters, found["time"].measure) == ("y", 2, "hazard ratio")
    assert (found["weight"].happened, found["weight"].parameters) == (None, None), "nobody knows the wards yet"
    assert set(found["curve"].columns) == {"t", "y", "sex"} and found["curve"].measure == "survival"
    assert set(found["judged"].columns) == {"y", "sex", "age"} and found["judged"].measure == "AUC"
    assert set(found["given"].columns) == {"y", "bmi"}


def test_a_question_asks_one_hospital_and_takes_only_the_data_that_it_needs():
    question = as_questions(
        study("  who: {algorithm: describe, dataset: other, columns: [age]}\n"), "south", date(2026, 5, 1)
    )
    assert set(question.sites) == {"south"} and set(question.datasets) == {"other"}
    assert question.title == "A plan · 2026-05-01"
    assert {a.algorithm for a in question.analyses.values()} == {"feasibility"}
    assert read(json.dumps(question.to_document())).hash == question.hash
    with pytest.raises(StudyError, match="plans no analysis"):
        as_questions(
            study("  lost: {algorithm: attrition, dataset: checkup, columns: [y]}\n"), "south", date(2026, 5, 1)
        )


def test_the_precision_is_that_of_the_analysis():
    """Standard errors of models over terms without effect, of 20,000 patients."""
    r = np.random.default_rng(3)
    n, x = 20_000, r.normal(size=20_000)
    y, t = (r.random(n) < 0.1).astype(float), r.exponential(100, n)
    network = Network({"north": {"x": x, "y": y, "t": t, "z": r.normal(0, 3, n)}}, policy="public")
    plan = {
        measure: Plan("", "", (), "y", 2, measure) for measure in ("odds ratio", "hazard ratio", "difference", "AUC")
    }
    events = int(y.sum())

    def found(measure: str) -> float:
        return precision(plan[measure], n, events).found

    logistic = network.run("glm", formula="y ~ x", family="binomial").document
    assert np.log(found("odds ratio")) / 2.8016 == pytest.approx(logistic["bse"][1], rel=0.03)
    cox = network.run("cox", formula="x", time="t", event="y").document
    assert np.log(found("hazard ratio")) / 2.8016 == pytest.approx(cox["bse"][0], rel=0.03)
    linear = network.run("glm", formula="z ~ x").document
    assert found("difference") / 2.8016 == pytest.approx(linear["bse"][1] / 3, rel=0.03)


def test_the_width_of_an_auc_is_that_of_hanley_and_mcneil():
    """Their example of an AUC of 0.75 is not in print for these sizes: simulated scores stand for it."""
    r, areas = np.random.default_rng(5), []
    for _ in range(400):
        cases, controls = r.exponential(3.0, 60), r.exponential(1.0, 180)  # P(case > control) = 0.75
        areas.append(np.mean(cases[:, None] > controls))
    told = precision(Plan("performance", "", (), "y", None, "AUC"), 240, 60).half_width
    assert told == pytest.approx(1.96 * np.std(areas), rel=0.15) and np.mean(areas) == pytest.approx(0.75, abs=0.01)


def test_a_proportion_is_told_at_a_half():
    assert precision(Plan("describe", "", (), None, None, "proportion"), 400, None).half_width == pytest.approx(
        0.049, abs=5e-4
    )


@pytest.mark.parametrize(
    ("measure", "persons", "events"),
    [
        ("odds ratio", 1, 1),
        ("odds ratio", 100, 0),
        ("odds ratio", 100, 100),
        ("hazard ratio", 50, 0),
        ("AUC", 9, 9),
        ("", 99, 9),
    ],
)
def test_where_nothing_can_be_told_nothing_is(measure, persons, events):
    assert precision(Plan("", "", (), "y", 2, measure), persons, events) is None


@pytest.fixture
def files(tmp_path, monkeypatch):
    r = np.random.default_rng(1)
    for site in ("north", "south"):
        rows = ["age,sex,ward,bmi,t,y"]
        for _ in range(800):
            bmi = "" if r.random() < 0.2 else f"{r.normal(25, 4):.1f}"
            sex = ("female", "male")[int(r.random() < 0.5)]
            rows.append(f"{r.normal(60, 10):.1f},{sex},a,{bmi},{int(r.exponential(500)) + 1},{int(r.random() < 0.2)}")
        (tmp_path / f"{site}.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "study.yaml").write_text(
        HEAD.replace("  other: {columns: {age: {type: number}}}\n", "")
        + ANALYSES.replace("dataset: other", "dataset: checkup")
    )
    monkeypatch.chdir(tmp_path)
    return ["--table", "north=north.csv", "--table", "south=south.csv"]


def test_the_command_says_it_in_a_table_and_in_words(files):
    said = CliRunner().invoke(atoll, ["feasibility", "study.yaml", *files])
    assert said.exit_code == 0, said.output
    assert "together  1,600" in said.stdout and "7 parameters; " in said.stdout
    assert "an odds ratio of 1." in said.stdout and "an AUC would be known to ±" in said.stdout
    document = json.loads(CliRunner().invoke(atoll, ["feasibility", "study.yaml", *files, "--json"]).stdout)
    risk = document["analyses"]["risk"]
    assert risk["sites"]["together"]["events"][0] == sum(risk["sites"][s]["events"][0] for s in ("north", "south"))
    assert risk["events_per_parameter"] == round(risk["sites"]["together"]["events"][0] / 7, 1)
    assert document["no answer"] == {}


def test_a_hospital_of_few_patients_says_that_it_says_nothing(files):
    from pathlib import Path

    Path("south.csv").write_text("\n".join(Path("south.csv").read_text().splitlines()[:6]) + "\n")
    document = json.loads(CliRunner().invoke(atoll, ["feasibility", "study.yaml", *files, "--json"]).stdout)
    assert list(document["analyses"]["risk"]["sites"]) == ["north"]
    assert "few" in document["no answer"]["south"].lower()


@pytest.mark.parametrize(
    ("known", "events", "said"),
    [
        ((0, 10), (0, 10), "fewer than 10 with all columns"),
        ((400, 400), (0, 10), "fewer than 10 with the event"),
        ((400, 400), (390, 400), "fewer than 10 without the event"),
        ((60, 60), (20, 20), "fewer than 70 patients, which 7 parameters need"),
        ((400, 400), (20, 20), ""),
        ((400, 400), None, ""),
    ],
)
def test_of_whom_a_hospital_has_too_few(known, events, said):
    plan = Plan("glm", "", (), "y", 7, "odds ratio")
    assert too_few(plan, known, events, STRICT) == said
    assert too_few(plan, known, events, PUBLIC) == ""


def test_a_hospital_that_may_have_enough_is_not_named():
    assert too_few(Plan("performance", "", (), "y", None, "AUC"), (0, 15), (0, 15), STRICT) == ""


def test_a_model_of_times_needs_persons_with_the_event():
    plan = Plan("cox", "", (), "y", 7, "hazard ratio")
    said = "fewer than 70 with the event, which 7 parameters need"
    assert too_few(plan, (400, 400), (60, 60), STRICT) == said


def test_the_command_names_who_would_refuse_and_the_run_does(files):
    """As the run itself: what feasibility calls refused has no result, and without those hospitals it has one."""
    from pathlib import Path

    lines = Path("south.csv").read_text().splitlines()
    rows = [lines[0], *(line[:-1] + "0" for line in lines[1:-7]), *(line[:-1] + "1" for line in lines[-7:])]
    Path("south.csv").write_text("\n".join(rows) + "\n")
    said = CliRunner().invoke(atoll, ["feasibility", "study.yaml", *files])
    assert said.exit_code == 0
    assert "risk would be refused at south: fewer than 10 with the event. Every hospital of `sites` must" in said.stdout
    assert "take them out of the study's `sites`" in said.stdout and "Without them: 7 parameters; " in said.stdout
    assert "who would be refused" not in said.stdout
    run = CliRunner().invoke(atoll, ["run", "study.yaml", *files])
    assert "risk: south: A number would describe too few persons" in run.stderr
    assert "leave this site out of the sites that the study names" in run.stderr
    alone = Path("study.yaml").read_text().replace("sites: {north: {}, south: {}}", "sites: {north: {}}")
    Path("study.yaml").write_text(alone)
    run = CliRunner().invoke(atoll, ["run", "study.yaml", *files[:2]])
    assert "risk: " in run.stdout and "risk: " not in run.stderr


def test_where_nobody_answers_the_exit_code_says_so(files):
    from pathlib import Path

    for site in ("north", "south"):
        Path(f"{site}.csv").write_text("\n".join(Path(f"{site}.csv").read_text().splitlines()[:6]) + "\n")
    said = CliRunner().invoke(atoll, ["feasibility", "study.yaml", *files], standalone_mode=True)
    assert (said.exit_code, "Nobody has answered yet." in said.stdout) == (12, True)


def test_a_study_that_is_none_is_a_sentence(files):
    from pathlib import Path

    Path("study.yaml").write_text("atoll: 1\n")
    said = CliRunner().invoke(atoll, ["feasibility", "study.yaml", *files])
    assert said.exit_code == StudyError.exit_code and "Traceback" not in said.output
