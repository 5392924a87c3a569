"""What a site answers, and what it never does: permits, questions, failures."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

import atoll
from atoll.algorithms import describe, glm, kaplan_meier, survey
from atoll.algorithms.core import Question, at_site
from atoll.algorithms.program import Asked, program
from atoll.errors import CATALOGUE, DataError, DisclosureRefused, StudyError
from atoll.privacy.disclosure import PUBLIC, STRICT, Policy
from atoll.privacy.statistics import Statistics, count
from atoll.site.gate import policy_hash
from atoll.site.runner import Permit, effective
from atoll.study.dictionary import Column
from tests.unit.answering import Site, numbers, view

COLUMNS = {"x": Column("number"), "y": Column("number"), "id": Column("person")}
TABLE = numbers(1, 200, "x", "y") | {"id": np.arange(200)}


def site(**more):
    return Site(TABLE, COLUMNS, **more)


def sums(*names):
    return replace(describe.sums(numbers=names, categories=()), view=view(*names))


def test_a_permitted_question_is_answered_and_written_down():
    north = site()
    outcome = north.ask(sums("x"), north.permit("describe"))
    share = north.share(sums("x"), outcome)
    assert share.persons == 200
    assert share.sum[0] == pytest.approx(TABLE["x"].sum())
    assert share.behind == {}
    assert [entry["payload"] for entry in north.ledger.entries] == [outcome.payload]


@pytest.mark.parametrize(("by", "named"), [("sex", "sex"), (None, "t")])
def test_a_cell_of_a_curve_that_is_too_small_names_what_the_curve_is_told_by(by, named):
    table = {"t": np.arange(200) + 1.0, "e": (np.arange(200) < 5) * 1.0, "sex": np.where(np.arange(200) % 2, "m", "f")}
    columns = {"t": Column("number", unit="d"), "e": Column("flag"), "sex": Column("category", ("f", "m"))}
    north = Site(table, columns)
    outcome = north.first("kaplan_meier", time="t", event="e", by=by, times=[100.0])
    assert (outcome.code, outcome.subject) == ("TOO_FEW_PERSONS", named)
    assert north.ledger.entries[-1]["subject"] == named


@pytest.mark.parametrize(
    ("permit", "place", "code"),
    [
        ({}, {"question_hash": "2" * 64}, "HASH_MISMATCH"),
        ({}, {"participants": ("north", "river")}, "NOT_PERMITTED"),
        ({}, {"round": -1}, "NOT_PERMITTED"),
        ({}, {"attempt": -1}, "NOT_PERMITTED"),
        ({}, {"round": 25}, "TOO_MANY_ROUNDS"),
        ({"algorithm": "cox"}, {}, "NOT_PERMITTED"),
        ({"columns": {"y": Column("number")}}, {}, "NOT_PERMITTED"),
        ({"dataset": "other"}, {}, "UNKNOWN_DATASET"),
        ({"public": True}, {}, "NOT_PUBLIC"),
        ({"limits": {"minimum_persons": 201}}, {}, "TOO_FEW_PERSONS"),
    ],
)
def test_what_is_not_permitted_is_refused_and_written_down(permit, place, code):
    north = site()
    outcome = north.ask(sums("x"), north.permit(**{"algorithm": "describe"} | permit), **place)
    assert (outcome.code, outcome.payload) == (code, b"")
    assert [entry["decision"] for entry in north.ledger.entries] == ["refused"]
    assert north.ledger.entries[0]["rule"] == code


@pytest.mark.parametrize("name", ["describe.describe", "describe.nothing", "os.system", "newton.solve", "describe", ""])
def test_only_functions_marked_for_sites_can_be_asked(name):
    north = site()
    outcome = north.ask(Question(name, {}, view("x")), north.permit(name.partition(".")[0]))
    assert outcome.code in ("UNKNOWN_ALGORITHM", "NOT_PERMITTED")


def test_a_question_without_a_view_or_of_no_column_is_refused():
    north = site()
    assert north.ask(describe.sums(numbers=(), categories=()), north.permit("describe")).code == "NOT_PERMITTED"
    empty = replace(describe.sums(numbers=(), categories=()), view=view())
    assert north.ask(empty, north.permit("describe")).code == "DATA_INVALID"


def test_the_column_that_identifies_persons_is_never_read():
    for columns in (COLUMNS, COLUMNS | {"id": Column("number")}):  # whatever the study calls it
        north = site()
        outcome = north.ask(sums("id"), north.permit("describe", columns=columns))
        assert (outcome.code, outcome.subject) == ("NOT_PERMITTED", "")


@pytest.mark.parametrize(("ahead", "code"), [(True, "COLUMN_UNFIT"), (False, "")])
def test_a_design_over_what_comes_after_the_index_date_is_refused(ahead, code):
    """A hub may ask what the study did not: the hospital looks at the question itself."""
    columns = COLUMNS | {"x": Column("number", ahead=ahead)}
    outcome = site().first("glm", {"columns": columns}, formula="y ~ x")
    assert (outcome.code, outcome.subject) == (code, "formula" if ahead else "")


def test_a_model_that_reads_what_comes_after_the_index_date_is_not_judged():
    columns = COLUMNS | {"x": Column("number", ahead=True)}
    model = {"terms": ["x"], "coefficients": [0.1], "link": "logit"}
    with pytest.raises(StudyError, match="model: 'x' is made from what comes after the index date"):
        next(program(Asked("performance", {"model": model, "outcome": "y"}, columns, ("north",), False)))


def test_a_column_that_the_steward_did_not_list_is_not_there():
    north = Site(TABLE | {"diary": np.arange(200.0)}, COLUMNS)
    outcome = north.ask(sums("diary"), north.permit("describe", columns=COLUMNS | {"diary": Column("number")}))
    assert (outcome.code, outcome.subject) == ("MISSING_COLUMN", "diary")


def test_a_dictionary_whose_person_column_is_gone_does_not_count_rows():
    north = Site({"x": TABLE["x"]}, COLUMNS)
    assert north.ask(sums("x"), north.permit("describe")).code == "MISSING_COLUMN"


def test_a_site_function_reads_no_column_outside_the_view():
    north = site()
    hidden = replace(describe.sums(numbers=("y",), categories=()), view=view("x"))
    assert north.ask(hidden, north.permit("describe")).code == "SITE_FAILED"


@pytest.mark.parametrize(
    ("algorithm", "question"),
    [
        ("kaplan_meier", replace(kaplan_meier.distinct_times(), view=view(time="x", event="e"))),
        ("glm", replace(survey.ends(column="x"), view=view("x"))),
        ("describe", replace(survey.ends(column="x"), view=view("x"))),
    ],
)
def test_a_question_for_exact_values_inside_an_allowed_study_is_refused(algorithm, question):
    columns = {"x": Column("number"), "e": Column("flag")}
    north = Site({"x": TABLE["x"], "e": np.arange(200) % 2}, columns)
    assert north.ask(question, north.permit(algorithm)).code == "EXACT_VALUES"


@pytest.mark.parametrize(
    ("dataset", "study", "code", "minimum"),
    [(False, False, "", 10), (True, False, "", 10), (False, True, "NOT_PUBLIC", 0), (True, True, "", 1)],
)
def test_thresholds_are_lifted_only_where_steward_and_study_say_public(dataset, study, code, minimum):
    north = site(public=dataset)
    permit = north.permit("describe", public=study)
    assert north.ask(sums("x"), permit).code == code
    if not code:
        assert effective(STRICT, dataset, permit).minimum_persons == minimum


def test_a_study_looser_than_the_site_changes_nothing():
    permit = Permit("describe", "d", {}, (), limits={"minimum_persons": 1, "rounding": 1, "grid_days": 0})
    assert effective(STRICT, False, permit) == STRICT
    public = Permit("describe", "d", {}, (), public=True, limits={"minimum_persons": 21})
    assert effective(STRICT, True, public) == replace(PUBLIC, minimum_persons=21)


@pytest.mark.parametrize("failure", [OSError(28, "No space"), sqlite3.OperationalError("disk full")])
def test_a_ledger_that_cannot_be_written_gives_no_answer(failure):
    north = site()
    north.ledger.fail = failure
    with pytest.raises(type(failure)):
        north.ask(sums("x"), north.permit("describe"))


class Broken(Statistics):
    n: int = count()


@pytest.mark.parametrize(
    "error",
    [ValueError("value 4711"), KeyError("4711"), NotImplementedError("4711"), RecursionError("4711"), MemoryError(),
     AssertionError("4711"), OSError("4711"), np.linalg.LinAlgError("4711"), StopIteration("4711"),
     DataError("4711", code="NO_SUCH_CODE", subject="4711"), ZeroDivisionError("4711")],
)  # fmt: skip
def test_whatever_fails_becomes_a_code_and_never_says_a_value(error, monkeypatch, caplog):
    @at_site
    def broken(data) -> Broken:
        raise error

    monkeypatch.setattr("atoll.algorithms.registry.site_function", lambda name: broken)
    north = site()
    with caplog.at_level(logging.DEBUG):
        outcome = north.ask(sums("x"), north.permit("describe"))
    assert outcome.code in ("SITE_FAILED", "DATA_INVALID")
    assert outcome.subject == ""
    assert [entry["decision"] for entry in north.ledger.entries] == ["refused"]
    assert "4711" not in caplog.text


def test_arguments_that_do_not_fit_are_a_code():
    north = site()
    for arguments, code in (
        ({}, "SITE_FAILED"),
        ({"numbers": 3}, "SITE_FAILED"),
        ({"numbers": ["x"], "categories": [], "more": 1}, "SITE_FAILED"),
        ({"numbers": [["x"]]}, "NOT_PERMITTED"),
    ):
        asked = Question("describe.sums", arguments, view("x"))
        assert north.ask(asked, north.permit("describe")).code == code


def test_a_subject_goes_up_only_when_the_study_holds_it():
    columns = {"x": Column("number"), "secret": Column("number")}
    north = Site({"x": TABLE["x"]}, columns)
    asked = replace(glm.start(family="gaussian", link="identity"), view=view("x", "secret"))
    assert north.ask(asked, north.permit("glm")).subject == "secret"


def test_a_question_that_asks_too_much_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr("atoll.site.runner.chunks", lambda *_: pytest.fail("rows were read"))
    north = Site(TABLE, {"x": Column("number", unit="d"), "y": Column("number")})
    table = kaplan_meier.life_table(grid=np.arange(1.0, 500.0), groups=1)
    assert north.ask(replace(table, view=view("x", time="x")), north.permit("kaplan_meier")).code == "GRID_TOO_FINE"
    bins = describe.histogram(numbers=("x",), edges=np.zeros((1, 10_000)))
    assert north.ask(replace(bins, view=view("x")), north.permit("describe")).code == "TOO_MANY_BINS"
    many = kaplan_meier.life_table(grid=np.array([365.0]), groups=10**9)
    assert north.ask(replace(many, view=view("x", time="x")), north.permit("kaplan_meier")).code == "TOO_LARGE"


def test_the_unit_of_time_is_the_stewards():
    for unit, code in (
        ("d", "GRID_TOO_FINE"),
        ("a", ""),
        ("mo", ""),
        ("furlong", "GRID_TOO_FINE"),
        ("", "GRID_TOO_FINE"),
    ):
        north = Site(
            {"x": TABLE["x"], "y": np.arange(200) % 2}, {"x": Column("number", unit=unit), "y": Column("flag")}
        )
        asked = replace(kaplan_meier.life_table(grid=np.array([10.0, 20.0]), groups=1),
                        view=view(time="x", event="y", complete=True))  # fmt: skip
        told = {"x": Column("number", unit=unit), "y": Column("flag")}
        assert north.ask(asked, north.permit("kaplan_meier", columns=told)).code == code, unit
        told = {"x": Column("number", unit="wk"), "y": Column("flag")}
        other = north.ask(asked, north.permit("kaplan_meier", columns=told))
        assert (other.code, other.subject) == (("WRONG_TYPE", "x") if unit else ("GRID_TOO_FINE", "grid")), unit


def test_every_code_is_of_the_catalogue():
    assert {"HASH_MISMATCH", "NOT_PERMITTED", "NOT_PUBLIC", "SITE_FAILED", "EMPTY"} <= set(CATALOGUE)
    assert isinstance(STRICT, Policy)


def test_a_refusal_is_written_under_the_policy_in_force_and_names_the_formula():
    north = site()
    assert north.ask(sums("x"), north.permit("describe", limits={"minimum_persons": 300})).code == "TOO_FEW_PERSONS"
    assert north.ledger.entries[-1]["policy"] == policy_hash(STRICT.tightened({"minimum_persons": 300}))
    assert north.ask(Question("os.system", {}, view("x")), north.permit("os", limits={"rounding": 50})).code
    assert north.ledger.entries[-1]["policy"] == policy_hash(STRICT.tightened({"rounding": 50})), (
        "also before it is read"
    )
    x = 100.0 + np.random.default_rng(1).normal(0, 1, 200)
    heavy = Site({"x": np.where(np.arange(200) == 7, 120.0, x), "y": x[::-1] + 1}, COLUMNS)
    with pytest.raises(DisclosureRefused, match=r"One person would weigh too much in the model \(formula\)") as caught:
        atoll.Network({"north": heavy.table}).run("glm", formula="y ~ x")
    assert caught.value.subject == "formula"
