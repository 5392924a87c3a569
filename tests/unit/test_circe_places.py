"""Where something is wrong with a definition: in words of both languages, and as a line of YAML."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from atoll.cli.main import atoll
from atoll.study.circe import as_yaml, nodes
from atoll.study.circe.check import faults
from atoll.study.circe.places import lines
from atoll.study.circe.review import check_list
from atoll.study.circe.text import explain

WRITTEN = """\
title: High blood pressure
concepts:
  pressure: [320128]
  empty: []
entry:
  any of:
  - condition occurrence: pressure
    age: '>= 18'
  - drug exposure: empty
rules:
- name: seen again
  all of:
  - person: {age: '>= -2'}
  - condition occurrence: pressure
    starts: 9 days after to 1 day after
  - any of:
    - drug exposure: empty
    - at least: 0
      measurement: any
between: {from: 2020-13-45}
"""
PATH = re.compile(r"PrimaryCriteria|InclusionRules|ConceptSets|CensorWindow|\[\d")


def command(*words):
    result = CliRunner().invoke(atoll, ["cohort", *map(str, words)], standalone_mode=True)
    return result.exit_code, result.stdout, result.stderr


def test_every_entry_names_its_line_and_its_sentence():
    definition = as_yaml.read(WRITTEN)
    said = check_list(definition, faults(definition), "en", lines("x.yaml", WRITTEN))
    assert not [line for line in said if PATH.search(line)]
    assert "Error: line 20, the window of dates is '2020-13-45', which is no date. Write it as 2020-02-29." in said, (
        said
    )
    assert any(line.startswith("Error: line 13, the age at the start in rule 1 “seen again” (“") for line in said)
    late = next(line for line in said if "starts after its end" in line)
    assert late.startswith("Error: line 15, rule 1 “seen again” (“at least once a diagnosis of “pressure”")
    assert any(line.startswith("Warning: line 18, rule 1 “seen again” (“") and "always holds" in line for line in said)
    assert "Warning: line 4, concept set 2 (empty) is empty, so no row fits it. Add concepts." in said


def test_in_chinese_no_path_and_no_english_stands():
    definition = as_yaml.read(WRITTEN)
    for line in check_list(definition, faults(definition), "zh", lines("x.yaml", WRITTEN)):
        assert not PATH.search(line), line
        assert not re.search(r"\b[a-z]{3,}", re.sub("pressure|seen again|empty", "", line)), line
        assert re.match(r"(错误|警告|提示)：第 \d+ 行，", line), line


def test_of_json_the_words_stand_alone():
    definition = as_yaml.read(WRITTEN)
    said = check_list(definition, faults(definition))
    assert "Error: The window of dates is '2020-13-45', which is no date. Write it as 2020-02-29." in said


def test_every_place_of_a_definition_has_a_line_within_the_one_above_it():
    found = lines("x.yaml", WRITTEN)
    for place, _ in nodes(as_yaml.read(WRITTEN)):
        assert 0 <= found(place) <= len(WRITTEN.splitlines())
        assert found(place) >= found(place.rpartition(".")[0])
    assert lines("x.json", WRITTEN) is None


def test_the_command_says_everything_and_ends_as_the_list_says(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(WRITTEN)
    code, stdout, _ = command("check", file)
    assert (code, stdout.count("Error: ")) == (10, 3)
    assert command("explain", file)[0] == 10
    assert command("explain", file, "--language", "zh")[0] == 10
    file.write_text("concepts: {a: [1]}\nentry: {any of: [condition occurrence: a]}\n")
    assert command("check", file) == (0, "Nothing was found.\n", "")
    assert command("check", file, "--language", "zh") == (0, "没有发现问题。\n", "")
    assert json.loads(command("check", file, "--json")[1]) == []
    assert command("explain", file)[0] == 0


@pytest.mark.parametrize("place", ["", "Nowhere", "InclusionRules", "PrimaryCriteria.CriteriaList[9]"])
def test_a_place_that_is_not_there_does_no_harm(place):
    from atoll.study.circe.places import in_words

    definition = as_yaml.read(WRITTEN)
    assert in_words(definition, place, str, 0)
    assert lines("x.yaml", WRITTEN)(place) >= 0


def test_one_is_one_and_a_window_to_the_day_reads_well():
    definition = as_yaml.read(
        "concepts: {a: [1]}\nentry: {any of: [condition occurrence: a], observed before: 1}\n"
        "rules:\n- name: before\n  all of:\n  - condition occurrence: a\n    starts: any time before to 0 days before\n"
    )
    text = explain(definition)
    assert "“a”: 1 entry, 1 with what is below" in text
    assert "with 1 day of it before and 0 after" in text
    assert " 1 days" not in text
    assert "starting from any time before to the day of the start of the index event" in text
