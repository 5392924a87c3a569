"""The page on loading holds every word of the mapping language: its functions, its fields, its signs of numbers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from atoll.cdm.numbers import numbers_in
from atoll.ingest import mapping
from atoll.ingest.functions import FUNCTIONS
from atoll.ingest.values import parse_values
from atoll.study.units import molar_masses

PAGE = (Path(__file__).parents[2] / "docs" / "loading.md").read_text("utf-8")
CODE = re.findall(r"```.*?```|`[^`\n]+`", PAGE, re.DOTALL)


def fields():
    """The names that the reader of mappings takes."""
    tree = ast.parse(Path(mapping.__file__).read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("fields", "_switch"):
            tuples = [one for part in node.args for one in getattr(part, "elts", [])]
            parts = tuples if node.func.attr == "fields" else node.args[1:]
            yield from (part.value for part in parts if isinstance(part, ast.Constant))
    yield from mapping._TOP


def test_the_page_holds_every_function_and_field():
    words = set(re.findall(r"[a-z_]+", " ".join(CODE)))
    functions = {word for name in FUNCTIONS for word in re.findall(r"[a-z_]+", name)} - {"negative"}  # written -
    assert {"rules", "link", "infer", "same", "delimiter"} <= set(fields())
    assert (functions | set(fields())) - words == set()


def test_what_the_page_says_of_numbers_is_so():
    said = re.search(r"one thing alone \(([^)]*)\)", PAGE)
    assert said is not None
    written = re.findall(r"`([^`]+)`", said[1])
    assert len(written) >= 4
    import pyarrow as pa

    assert numbers_in(pa.array(written)).null_count == 0
    assert numbers_in(pa.array(["1,234"])).null_count == 1
    assert parse_values(["3.9～6.1"]).to_pylist()[0]["low"] == 3.9


def test_the_page_holds_the_name_of_every_analyte():
    said = re.search(r"The analytes are these, and no other name converts: ([^.]*)\.", PAGE)
    assert said is not None
    assert set(re.findall(r"`([^`]+)`", said[1])) == {*molar_masses(), "hba1c"}
