"""Folders that hold more than one thing say so in their docstring, file by file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ATOLL = Path(__file__).parents[2] / "atoll"


@pytest.mark.parametrize("folder", ["algorithms", "features", "ingest", "study"])
def test_a_folder_names_each_of_its_files(folder):
    text = ast.get_docstring(ast.parse((ATOLL / folder / "__init__.py").read_text("utf-8"))) or ""
    files = {path.stem for path in (ATOLL / folder).glob("*.py")} - {"__init__"}
    assert files - set(re.findall(r"\w+", text)) == set(), "name these, each with what it is for"


def test_the_page_of_a_folder_names_no_file_that_is_gone():
    for folder in ("algorithms", "features", "ingest", "study"):
        text = (ATOLL / folder / "__init__.py").read_text("utf-8")
        for name in re.findall(r"\b[a-z]+_[a-z_]+\b", text):
            assert (ATOLL / folder / f"{name}.py").exists(), f"{folder}: {name}"
