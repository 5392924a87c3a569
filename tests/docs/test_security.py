"""SECURITY.md names places and tests; each of them exists."""

import ast
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
TEXT = (TOP / "SECURITY.md").read_text("utf-8")
PLACES = sorted(set(re.findall(r"`((?:atoll|tests)/[\w/]+\.py(?:::\w+)?)`", TEXT)))
ROWS = [line for line in TEXT.splitlines() if line.startswith("|") and "---" not in line and "property" not in line]


def names_in(path):
    tree = ast.parse(path.read_text("utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def test_the_page_names_places():
    assert len(PLACES) > 30
    assert all("`tests/" in row.split("|")[3] for row in ROWS), "a property that no test holds is no property"
    assert all(len(row.split("|")) == 5 and "`atoll/" in row.split("|")[2] for row in ROWS)


@pytest.mark.parametrize("place", PLACES)
def test_every_place_exists(place):
    path, _, name = place.partition("::")
    assert (TOP / path).is_file(), f"{path} is named in SECURITY.md and does not exist"
    assert not name or name in names_in(TOP / path), f"{name} is named in SECURITY.md and is not in {path}"


def test_the_files_a_reviewer_reads_first_are_short():
    first = re.search(r"Read first, under 900 lines together:(.*?)\n\n", TEXT, re.DOTALL)
    files = re.findall(r"`([\w/]+\.py)`", first[1])
    assert len(files) == 5
    assert sum(len((TOP / path).read_text("utf-8").splitlines()) for path in files) < 900
