"""Every entry of the check list is said in both languages, and every sentence is one that the check list uses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from atoll.study.circe import check as circe_check
from atoll.study.circe.faults import DEFECTS, SENTENCES, Fault

TREE = ast.parse(Path(circe_check.__file__).read_text("utf-8"))
NAMES = (
    "Coeff|Count|Type|Extent|Start|End|PriorDays|StartWith|EndWith|ALL|ANY|AT_LEAST|AT_MOST|CDM|circe-be|Circe|circe"
)
KEYS = re.compile(rf"({NAMES}|Atoll|bt|place|[A-Z][A-Za-z]+(CS|Days|Date|Concept|Length|Adjustment|Criteria))")
HELD = re.compile(r"{(\d)(?:!r)?}")
CALLS = [call for call in ast.walk(TREE) if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Fault"]


def words(node):
    """The keys that an argument may be."""
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}


@pytest.mark.parametrize("key", SENTENCES)
def test_a_sentence_says_the_same_in_both_languages(key):
    for english, chinese in SENTENCES[key][1:]:
        assert set(HELD.findall(english)) == set(HELD.findall(chinese))
        assert bool(english) == bool(chinese) and not re.search(r"[\u4e00-\u9fff]", english)
        assert not re.search(r"[A-Za-z]{2,}", KEYS.sub("", chinese)), chinese


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_difference_from_circe_is_said_in_both_languages(defect):
    english, chinese = DEFECTS[defect]
    assert re.search(r"[\u4e00-\u9fff]", chinese) and not re.search(r"[\u4e00-\u9fff]", english)
    said = Fault("differs", "there", ("Age", DEFECTS[defect]))
    assert f"uses Age ({english}), where" in said.whole(0) and f"使用 Age（{chinese}）" in said.whole(1)


def test_the_check_list_uses_every_sentence_and_no_other():
    asked = [words(call.args[0]) for call in CALLS]
    assert len(asked) > 25 and set().union(*asked) - {""} == set(SENTENCES)
    used = {part.value for part in ast.walk(TREE) if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    assert set(DEFECTS) <= used


@pytest.mark.parametrize("call", CALLS, ids=lambda call: "-".join(sorted(words(call.args[0]))))
def test_an_entry_has_a_value_for_every_place(call):
    values = call.args[2] if len(call.args) > 2 else ast.Tuple(elts=[])
    if not isinstance(values, ast.Tuple):
        assert ast.unparse(values) == "tuple(written)", "two ends"
        return
    for key in words(call.args[0]):
        assert set(HELD.findall(SENTENCES[key].what[0])) == set(map(str, range(len(values.elts)))), key


def test_an_entry_is_one_line_in_each_language():
    fault = Fault("set missing", "CodesetId", (77,))
    assert str(fault) == "CodesetId uses concept set 77, which the definition does not hold. Add the set."
    assert fault.whole(1) == "CodesetId 使用概念集 77，但定义中没有该概念集。请补上该概念集。"
    assert fault.document() == {
        "level": "error", "place": "CodesetId", "what": "uses concept set 77, which the definition does not hold.",
        "remedy": "Add the set.",
    }  # fmt: skip
    assert Fault("nobody left", "").whole(1) == "该定义 结束早于开始，因此无人留下。请更正日期。"
