"""Results as parts of a page and as files: notes in words, tables, cells that no spreadsheet computes."""

import csv
import io

import pytest

from atoll.algorithms import attrition, cox, describe, feasibility, glm, kaplan_meier, performance
from atoll.ui import kinds, report, vocabulary
from atoll.ui.results import Result
from atoll.ui.words import Say
from tests.unit.test_charts import CASES, model


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_compute_is_only_text(text):
    assert report.safe(text) == f"'{text}"


def test_numbers_stay_numbers_and_nothing_is_empty():
    assert [report.safe(v) for v in (-0.5, 3, float("nan"), None, True, "age")] == [-0.5, 3, "", "", "true", "age"]


def test_a_table_can_be_read_back():
    text = report.to_csv(model(["=cmd()", '血压,"高"'], [-0.5, 0.2], [0.1, 0.1]))
    assert text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row[0] for row in rows] == ["term", "'=cmd()", '血压,"高"']
    assert float(rows[1][1]) == -0.5


@pytest.mark.parametrize("name", CASES)
def test_every_kind_has_its_parts_and_its_file(name):
    shown = report.report({"n": 1, **CASES[name]}, {}, Say("en"))
    assert shown["kind"] == kinds.kind_of(CASES[name]) != "values"
    assert report.to_csv(CASES[name] | {"numbers": {}, "categories": CASES[name].get("categories", {})})


def test_another_algorithms_result_shows_its_values():
    shown = report.report({"algorithm": "toy", "answer": 42, "curve": [1, 2]}, {}, Say("en"))
    assert shown["kind"] == "values" and shown["rows"] == [{"name": "answer", "value": 42}]


def test_notes_are_sentences_in_both_languages():
    for said in vocabulary.NOTES.values():
        assert said.endswith(".") and Say("zh")(said) != said
    text = Result(model(["x"], [1.0], [0.1], notes=["grid", "third-party"])).summary()
    assert text.endswith(f"{vocabulary.NOTES['grid']}\nthird-party")


def test_every_note_that_an_algorithm_writes_has_its_sentence():
    import inspect
    import re

    written = set()
    for module in (attrition, cox, describe, feasibility, glm, kaplan_meier, performance):
        for line in inspect.getsource(module).splitlines():
            if "notes" in line and ("[" in line or "append" in line):
                written |= set(re.findall(r'"(\w+)"', line))
    assert written and written <= set(vocabulary.NOTES)
