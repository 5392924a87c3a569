"""docs/study.md names every key of the form, and all of its examples can be read."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from atoll.knowledge import library
from atoll.study import protocol
from atoll.study.dictionary import ColumnType
from atoll.study.form import LONGEST_NAME
from atoll.study.nodes import LARGEST, MAX_BYTES
from atoll.study.protocol import PrivacyFloor, read

TEXT = (Path(__file__).parents[2] / "docs" / "study.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
WHOLE, *PARTS = EXAMPLES


def sections(text):
    """Top-level keys and their text."""
    return {part.partition(":")[0]: part for part in re.split(r"(?m)^(?=\S)", text) if part}


def unknown_key(path):
    """The keys that the form itself lists when it meets a key that it cannot know."""
    parts = sections(WHOLE)
    match path.split("."):
        case [""]:
            text = WHOLE + "qqqqqqqq: 1\n"
        case [top] if top in parts:
            text = "".join((parts | {top: f"{top}: {{qqqqqqqq: 1}}\n"}).values())
        case [top]:
            text = WHOLE + f"{top}: {{qqqqqqqq: 1}}\n"
        case [top, *rest]:
            inner = "{qqqqqqqq: 1}"
            for name in reversed(rest):
                inner = f"{{{name}: {inner}}}"
            text = "".join((parts | {top: f"{top}: {inner}\n"}).values())
    with pytest.raises(protocol.StudyError) as caught:
        read(text)
    listed = re.search(r"qqqqqqqq: there is no such key\. Known here: (.*?)\.\n", str(caught.value) + "\n")
    return listed[1].split(", ")


@pytest.mark.parametrize(
    "path", ["", "investigator", "sites.north", "datasets.d", "datasets.d.columns.x", "privacy", "valid"]
)
def test_every_key_of_the_form_is_documented(path):
    keys = unknown_key(path)
    assert keys
    for key in keys:
        assert f"`{key}`" in TEXT, f"docs/study.md does not name {path}.{key}"


def test_keys_that_the_code_names_are_documented():
    for name in (*protocol._OWN, *(f.name for f in fields(PrivacyFloor)), *get_args(ColumnType)):
        assert f"`{name}`" in TEXT


def test_the_whole_example_is_a_study():
    study = read(WHOLE)
    assert all(site.key for site in study.sites.values())


@pytest.mark.parametrize("part", PARTS)
def test_every_other_example_fits_into_it(part):
    definition = library.phenotype("gout").text  # stands for the files that an example names
    study = read("".join((sections(WHOLE) | sections(part)).values()), files=lambda name: definition)
    assert study.hash != read(WHOLE).hash


def test_limits_are_those_of_the_code():
    assert f"at most {LONGEST_NAME}" in TEXT
    assert f"files over {MAX_BYTES // 1024} KiB" in TEXT
    assert f"±{LARGEST}" in TEXT
