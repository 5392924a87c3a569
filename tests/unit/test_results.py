"""Results and their tables: arrays, frames with and without pandas, summaries, JSON."""

from __future__ import annotations

import builtins
import json

import numpy as np
import pytest

import atoll
from atoll import Network
from atoll.hub.sentences import ENGLISH
from atoll.study.dictionary import Column
from atoll.ui.report import report
from atoll.ui.results import Result
from tests.conformance.world import COLUMNS, split, world

NETWORK = atoll.Network(
    split(world(1), np.random.default_rng(2).integers(0, 3, 400)), policy="public", columns=COLUMNS, threads=1
)
RESULTS = {
    "glm": NETWORK.run("glm", formula="y ~ age + C(sex)", family="binomial"),
    "cox": NETWORK.run("cox", formula="age + sex", time="t", event="e"),
    "kaplan_meier": NETWORK.run("kaplan_meier", time="t", event="e", by="sex", times=[365, 730]),
    "describe": NETWORK.run("describe", columns=["age", "sex", "smoker"]),
}
RESULTS["performance"] = NETWORK.run("performance", model=RESULTS["glm"].document["model"], outcome="y")
STRICT = atoll.Network(split(world(1, 1501), np.random.default_rng(4).integers(0, 3, 1501)), columns=COLUMNS, threads=1)
EACH = pytest.mark.parametrize("name", RESULTS)
COLUMNS_OF = {
    "glm": ["term", "estimate", "se", "lower", "upper", "ratio", "ratio_lower", "ratio_upper", "z", "p"],
    "cox": ["term", "estimate", "se", "lower", "upper", "ratio", "ratio_lower", "ratio_upper", "z", "p"],
    "kaplan_meier": ["group", "time", "survival", "se", "lower", "upper", "at_risk", "events"],
    "describe": ["column", "level", "n", "missing", "mean", "sd", "skewness", "q25", "median", "q75", "unit"],
    "performance": [
        "site",
        "auc",
        "auc_lower",
        "auc_upper",
        "brier",
        "observed_expected",
        "calibration_in_the_large",
        "calibration_slope",
    ],
}


def without_pandas(monkeypatch):
    real = builtins.__import__

    def importing(name, *rest, **more):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", importing)


@EACH
def test_the_main_table_is_a_frame_with_and_without_pandas(name, monkeypatch):
    frame = RESULTS[name].to_frame()
    assert list(frame.columns) == COLUMNS_OF[name]
    assert type(frame).__module__.startswith("pandas")
    without_pandas(monkeypatch)
    table = RESULTS[name].to_frame()
    assert type(table).__module__.startswith("pyarrow")
    assert table.column_names == COLUMNS_OF[name]
    assert table.num_rows == len(frame)


@EACH
def test_json_holds_the_document_and_no_nan(name, tmp_path):
    text = RESULTS[name].to_json(str(tmp_path / "r.json"))
    assert (tmp_path / "r.json").read_text("utf-8") == text
    assert "NaN" not in text
    assert "Infinity" not in text
    again = Result(json.loads(text))
    assert again.summary().splitlines()[0] == RESULTS[name].summary().splitlines()[0]
    assert list(again.to_frame().columns) == COLUMNS_OF[name]


@EACH
def test_a_summary_has_a_heading_and_the_table(name):
    lines = RESULTS[name].summary().splitlines()
    assert lines[0].startswith(name)
    assert "3 sites" in lines[0]
    assert repr(RESULTS[name]) == RESULTS[name].summary()


def test_arrays_follow_the_terms():
    fit = RESULTS["glm"]
    assert fit.terms == ("Intercept", "age", "C(sex)[T.male]") or list(fit.terms) == [
        "Intercept",
        "age",
        "C(sex)[T.male]",
    ]
    for name in ("params", "bse"):
        assert isinstance(getattr(fit, name), np.ndarray)
        assert getattr(fit, name).shape == (3,)
    assert fit.cov.shape == (3, 3)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.cov)), fit.bse)
    assert fit.n == 400
    assert {"loglik", "deviance", "rounds", "params"} <= set(dir(fit))


def test_what_a_result_does_not_have_is_said_with_what_it_has():
    with pytest.raises(AttributeError, match=r"'coef' is not part of this result; it has algorithm, sites, terms"):
        _ = RESULTS["glm"].coef


def test_a_result_of_another_kind_shows_its_single_values():
    result = Result({"algorithm": "other", "sites": ["a"], "value": 3.5, "list": [1, 2]})
    assert list(result.to_frame()["name"]) == ["algorithm", "value"]
    assert "3.5" in result.summary()
    assert list(Result({"algorithm": "other", "sites": [], "x": [None, 2]}).x)[1] == 2


def test_null_is_missing():
    assert np.isnan(Result({"algorithm": "x", "sites": [], "v": [1, None]}).v[1])


def test_a_note_tells_exact_numbers_from_rounded_ones():
    """Of 1,501 persons with a number of events that is no multiple of 5: exact is what a note calls exact."""
    table = world(1, 1501)
    events, cases = int(table["e"].sum()), int(table["y"].sum())
    assert events % 5 and cases % 5
    glm = STRICT.run("glm", formula="y ~ age + C(sex)", family="binomial")
    assert (glm.notes, glm.n) == (["rounded_persons"], 1501) and glm.persons % 5 == 0
    cox = STRICT.run("cox", formula="age + sex", time="t", event="e")
    assert (cox.notes, cox.n) == (["rounded_events"], 1501) and cox.events % 5 == 0 != cox.events - events
    curve = STRICT.run("kaplan_meier", time="t", event="e", times=[365, 730])
    assert curve.notes == ["life_table", "rounded_curves"] and (curve.n % 5, curve.events % 5) == (0, 0)
    told = STRICT.run("describe", columns=["age", "sex"])
    assert "rounded_levels" in told.notes and sum(told.categories["sex"].values()) % 5 == 0
    assert told.numbers["age"]["mean"] == pytest.approx(np.nanmean(table["age"]), rel=1e-12)
    judged = STRICT.run("performance", model=glm.document["model"], outcome="y")
    assert (judged.notes, judged.n, judged.events) == (["rounded_auc"], 1501, cases)
    assert all(result.document.get("notes", []) == [] for name, result in RESULTS.items() if name != "kaplan_meier")


@pytest.mark.parametrize("columns", [None, {"sex": Column("category", ("male", "female")), "age": Column("number")}])
def test_an_outcome_of_words_says_which_of_them_counts_as_one(columns):
    numbers = np.linspace(30, 80, 200)
    table = {"sex": np.where(np.arange(200) % 3 == 0, "male", "female"), "age": numbers + np.arange(200) % 7}
    fit = Network({"a": table}, policy="public", columns=columns).run("glm", formula="sex ~ age", family="binomial")
    one, nought = ("male", "female") if columns is None else ("female", "male")
    assert fit.coded == {"sex": {nought: 0, one: 1}}
    assert fit.summary().splitlines()[0].endswith(f" · sex: {one} = 1, {nought} = 0")
    assert (np.mean(table["sex"] == one) > 0.5) == (fit.params[0] + fit.params[1] * 55 > 0), "and so it is"
    assert report(fit.document, columns or {}, ENGLISH)["notes"] == [f"sex: {one} = 1, {nought} = 0"], "and on a page"
    assert "coded" not in RESULTS["glm"].document, "0 and 1 say it themselves"
