"""docs/features.md names every key and word of the features, and its example can be signed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from atoll.errors import StudyError
from atoll.study import features, sparse
from atoll.study.dataset import files_beside
from atoll.study.protocol import from_canonical, read

TEXT = (Path(__file__).parents[2] / "docs" / "features.md").read_text("utf-8")
EXAMPLE, SETS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
AROUND = """\
atoll: 1
title: Screening
purpose: To try the example.
investigator: {{name: Wang Fang, organisation: City Hospital}}
sites: {{north: }}
{datasets}analyses:
  people: {{algorithm: describe, dataset: screening, columns: [age]}}
valid: {{from: 2026-11-01, until: 2099-11-01}}
"""
DEFINITION = {"PrimaryCriteria": {"CriteriaList": [{"VisitOccurrence": {}}], "ObservationWindow": {}}}


@pytest.mark.parametrize(
    "word", [*features.RECORD_DOMAINS, *features.PERSON_FACTS, *features.RECORDS, *features.VALUES, "include",
             "exclude", "descendants", "window", "unit", "range", "otherwise", "label", "cohort", "features", "outcome"]
)  # fmt: skip
def test_every_word_is_described(word):
    assert f"`{word}`" in TEXT or f"{word}:" in EXAMPLE, word


@pytest.mark.parametrize(
    "word", [*sparse.SPARSE_DOMAINS, "concept", "icd3", "atc1", "atc5", *sparse.SAYS, "least", "each"]
)
def test_every_word_of_sparse_sets_is_described(word):
    assert f"`{word}`" in TEXT.partition("## Large sparse sets")[2], word


def test_the_example_of_sparse_sets_can_be_read():
    assert [one.name for one in sparse.read(SETS).sets] == ["diagnoses", "chapters", "classes"]


def test_the_example_becomes_a_study_that_holds_its_definition(tmp_path):
    (tmp_path / "at-risk.json").write_text(json.dumps(DEFINITION, indent=4), "utf-8")
    study = read(AROUND.format(datasets=EXAMPLE), files=files_beside(tmp_path / "study.yaml"))
    assert list(study.datasets["screening"])[:3] == ["person", "age", "sex"]
    assert from_canonical(study.canonical()).canonical() == study.canonical()


@pytest.mark.parametrize(
    ("cohort", "words"),
    [
        ("missing.json", "'missing.json' cannot be read"),
        ("../elsewhere.json", "lies outside the study's folder"),
        ("'{\"a\": 1}'", "it has no PrimaryCriteria"),
        ("'{'", "This is no JSON"),
    ],
)
def test_a_cohort_that_is_none(tmp_path, cohort, words):
    text = AROUND.format(datasets=EXAMPLE.replace("at-risk.json", cohort))
    with pytest.raises(StudyError, match=words):
        read(text, files=files_beside(tmp_path / "study.yaml"))


def test_a_study_without_its_folder(tmp_path):
    with pytest.raises(StudyError, match="came without its folder"):
        read(AROUND.format(datasets=EXAMPLE))
