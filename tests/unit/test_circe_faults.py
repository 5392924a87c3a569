"""Every sentence of the check list has its Chinese form: read from the source of the check list itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from atoll.study import circe_check
from atoll.study.circe_faults_zh import DEFECTS, REMEDIES, in_chinese

TREE = ast.parse(Path(circe_check.__file__).read_text("utf-8"))
NAMES = (
    "Coeff|Count|Type|Extent|Start|End|PriorDays|StartWith|EndWith|ALL|ANY|AT_LEAST|AT_MOST|CDM|circe-be|Circe|circe"
)
KEYS = re.compile(rf"({NAMES}|Atoll|bt|place|[A-Z][A-Za-z]+(CS|Days|Date|Concept|Length|Adjustment|Criteria))")


def shown(node: ast.expr) -> str:
    """A sentence with 7 at the places of its values; the largest number of rules as it is."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.JoinedStr), ast.dump(node)
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else "62" if "MAX_RULES" in ast.unparse(part) else "7"
        for part in node.values
    )


CALLS = [
    [shown(argument) for argument in call.args[2:]]
    for call in ast.walk(TREE)
    if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Fault"
    and all(isinstance(argument, ast.Constant | ast.JoinedStr) for argument in call.args[2:])
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0][:40])
def test_every_entry_is_said_in_chinese(call):
    what, remedy = (*call, "")[:2]
    if what == "77.":  # the future: its two sentences are put together
        what = "looks at all the future of the index event, and asks that nothing comes."
    chinese = in_chinese("place", what, remedy)
    assert not re.search(r"[A-Za-z]{2,}", KEYS.sub("", chinese)), chinese


def test_there_are_many_and_no_remedy_is_left_over():
    assert len(CALLS) > 25
    of_days = {"Write it as 2020-02-29."}  # from `read_day`
    assert set(REMEDIES) - of_days - {remedy for call in CALLS for remedy in call[1:]} == set()


def test_every_difference_from_circe_is_said_in_chinese():
    source = Path(circe_check.__file__).read_text("utf-8")
    assert set(re.findall(r'"\w+ \((circe [^)]*)\)"', source)) == set(DEFECTS)
