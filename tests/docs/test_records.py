"""Decision records are short and numbered once; the glossary has one line a word."""

import re
from pathlib import Path

import pytest

from atoll.privacy import disclosure

TOP = Path(__file__).parents[2]
RECORDS = sorted((TOP / "docs" / "adr").glob("*.md"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_is_short_and_named_as_its_title(path):
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 30
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+", path.stem)
    assert lines[0].startswith(f"# {path.stem[:4]} ")
    assert "## Decision" in lines


def test_numbers_of_records_are_given_once():
    numbers = [path.stem[:4] for path in RECORDS]
    assert len(numbers) == len(set(numbers))


def test_the_glossary_names_every_kind():
    (kinds,) = re.findall(r"(?m)^\| kind \|.*\((.+)\)", (TOP / "GLOSSARY.md").read_text("utf-8"))
    assert set(kinds.split(", ")) == set(disclosure._RULES)


def test_the_glossary_has_one_line_a_word():
    rows = re.findall(r"(?m)^\| ([a-z ]+) \| (\S+) \| (.+) \|$", (TOP / "GLOSSARY.md").read_text("utf-8"))
    words = [word for word, chinese, _ in rows if word != "word"]
    assert len(words) > 30
    assert len(words) == len(set(words))
    assert len({chinese for _, chinese, _ in rows}) == len(rows)
