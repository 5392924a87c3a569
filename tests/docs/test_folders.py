"""Folders that hold more than one thing say so in their docstring, file by file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ATOLL = Path(__file__).parents[2] / "atoll"
FOLDERS = ["algorithms", "cdm", "features", "ingest", "ingest/drafts", "ingest/terms", "quality", "simulate", "study",
           "study/circe"]  # fmt: skip


def page(folder: str) -> str:
    return ast.get_docstring(ast.parse((ATOLL / folder / "__init__.py").read_text("utf-8"))) or ""


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_names_each_of_its_files(folder):
    files = {path.stem for path in (ATOLL / folder).glob("*.py")} - {"__init__"}
    assert files - set(re.findall(r"\w+", page(folder))) == set(), "name these, each with what it is for"


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_page_of_a_folder_names_no_file_that_is_gone(folder):
    for name in re.findall(r"\b[a-z]+_[a-z_]+\b", page(folder)):
        assert (ATOLL / folder / f"{name}.py").exists(), f"{folder}: {name}"
