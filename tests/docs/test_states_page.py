"""The page on states shows what the code holds."""

from pathlib import Path

import pytest

from atoll.governance.states import MEANING, RUN, STUDY, mermaid

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


@pytest.mark.parametrize("machine", [STUDY, RUN])
def test_the_page_holds_the_diagrams(machine):
    assert f"```mermaid\n{mermaid(machine)}\n```" in PAGE.read_text("utf-8")


def test_the_page_holds_every_meaning():
    text = PAGE.read_text("utf-8")
    for state, meaning in MEANING.items():
        assert f"| {state} | {meaning} |" in text
