"""docs/commands.md is what the commands say of themselves."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


@pytest.fixture
def docs():
    spec = importlib.util.spec_from_file_location("docs_script", TOP / "scripts" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(docs, monkeypatch):
    monkeypatch.setenv("ATOLL_HOME", "/nowhere")
    assert docs.commands() == (TOP / "docs" / "commands.md").read_text("utf-8"), "run `make docs`"


def test_every_command_has_help(docs):
    text = docs.commands()
    for name in ("study submit", "site dataset add", "site score", "hub invite", "run", "demo"):
        assert f"## atoll {name}\n" in text
