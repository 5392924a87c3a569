"""The term matcher against names that nobody wrote for it: an English hospital's, and Chinese ones."""

from __future__ import annotations

import csv
import re
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from atoll.ingest.terminology import Matcher, Name
from atoll.ingest.terms.concepts import Concept, read_concepts
from atoll.ingest.terms.features import told_domain
from atoll.ingest.terms.near import BEGINNING, Near
from scripts.fit_terms import calibration, half, read_names
from tests.reference.shared import SHARED

HERE, VOCABULARY = Path(__file__).parent, SHARED / "vocabulary"
pytestmark = pytest.mark.skipif(not VOCABULARY.exists(), reason="the shared vocabulary files are not here")


def judged(matcher: Matcher, names: list[Name], right: list[set[int]]) -> tuple[float, float, float]:
    """First, in the first five, calibration error of the first."""
    found = defaultdict(list)
    for suggestion in matcher.suggest(names):
        found[suggestion.at].append(suggestion)
    hits = [[s.concept_id in right[at] for s in found[at]] for at in range(len(names))]
    first = [bool(hit and hit[0]) for hit in hits]
    chance = [found[at][0].probability if found[at] else 0.0 for at in range(len(names))]
    return float(np.mean(first)), float(np.mean([any(hit) for hit in hits])), calibration(chance, first)


def test_an_english_hospitals_names() -> None:
    matcher = Matcher(read_concepts(VOCABULARY / "lab_concepts.csv"))
    names, gold = read_names(VOCABULARY / "lab_names_en.csv")
    test = [at for at, name in enumerate(names) if half(name.name) == 1]
    first, five, error = judged(matcher, [names[at] for at in test], [{int(gold[at])} for at in test])
    assert first >= 0.70
    assert five >= 0.90
    assert error <= 0.05  # chance alone gives 0.035 over 334 names, however right the probabilities are


def everything() -> list[Concept]:
    """All laboratory concepts, and every standard concept of the shared list."""
    laboratory = read_concepts(VOCABULARY / "lab_concepts.csv")
    known = {concept.concept_id for concept in laboratory}
    with (VOCABULARY / "concepts.csv").open(encoding="utf-8", newline="") as file:
        standard = {int(row["concept_id"]) for row in csv.DictReader(file) if row["standard"] == "S"}
    more = read_concepts(VOCABULARY / "concepts.csv")
    return laboratory + [c for c in more if c.concept_id in standard and c.concept_id not in known]


def chinese(file: str) -> list[dict[str, str]]:
    """The rows of a file of names; see README.md beside it."""
    with (HERE / f"{file}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def asked_and_right(rows: list[dict[str, str]]) -> tuple[list[Name], list[set[int]]]:
    """What is asked, and which concepts are right."""
    parts = ("name", "fluid", "category", "unit", "domain", "sample_values")
    names = [Name(**{part: row.get(part, "") for part in parts}) for row in rows]
    return names, [{int(number) for number in row["concept_ids"].split("|")} for row in rows]


@pytest.mark.parametrize("file", ["chinese_names", "chinese_names_untouched", "chinese_names_blind"])
def test_chinese_names(file: str) -> None:
    rows = [row for row in chinese(file) if row.get("half") != "read"]
    first, five, error = judged(Matcher(everything()), *asked_and_right(rows))
    assert first >= 0.80
    assert five >= 0.95
    assert error <= 0.12


@pytest.mark.parametrize("language", ["chinese", "english"])
def test_of_a_large_vocabulary_everything_is_looked_at_that_shares_a_word(language: str) -> None:
    """What the matcher ranks first of all concepts, or finds likely, it has among the few as well; not what is first
    for its letters alone, where nothing fits."""
    concepts = everything()
    if language == "chinese":
        with (HERE / "chinese_names.csv").open(encoding="utf-8", newline="") as lines:
            names = [Name(row["name"], row["fluid"], "", row["unit"]) for row in csv.DictReader(lines)]
    else:
        names = [name for name in read_names(VOCABULARY / "lab_names_en.csv")[0] if half(name.name) == 1]
    words = [sorted({w[:BEGINNING] for w in re.findall("[a-z0-9]+", c.name.lower())}) for c in concepts]
    near = [_near(names, concepts, words, domain) for domain in ("", "Measurement")]
    found = [s for s in Matcher(concepts).suggest(names) if s.rank == 1 or s.probability >= 0.05]
    shared = [s for s in found if not s.reason.startswith("similar letters")]
    assert len({s.at for s in shared}) > 0.9 * len(names)
    told = [told_domain(name) == "Measurement" for name in names]
    kept = [{*near[0].best[at][1], *(near[1].best[at][1] if told[at] else ())} for at in range(len(names))]
    assert [names[s.at].name for s in shared if s.concept_id not in kept[s.at]] == []


def _near(names: list[Name], concepts: list[Concept], words: list[list[str]], domain: str) -> Near:
    """As a vocabulary is looked through: all of it, and its measurements for names that tell to be one."""
    chosen = [at for at, concept in enumerate(concepts) if domain in ("", concept.domain)]
    near = Near(names, dict(sorted(Counter(word for at in chosen for word in words[at]).items())), 1000)
    near.look(np.array([concepts[at].concept_id for at in chosen]),
              pa.array([words[at] for at in chosen], pa.list_(pa.string())))  # fmt: skip
    return near


def test_many_names_against_many_concepts_take_seconds() -> None:
    matcher = Matcher(everything())
    names, _ = read_names(VOCABULARY / "lab_names_en.csv")
    started = time.process_time()
    assert len(matcher.suggest(names, top=5)) > len(names)
    assert time.process_time() - started < 60  # seconds here; the bound only catches a loop over pairs


def test_no_name_of_a_vocabulary_that_may_not_be_copied_is_in_the_tables() -> None:
    with (VOCABULARY / "concepts.csv").open(encoding="utf-8", newline="") as file:
        snomed = {row["concept_name"].lower() for row in csv.DictReader(file) if row["vocabulary_id"] == "SNOMED"}
    folder = Path(__file__).parents[2] / "atoll" / "simulate"
    with (folder / "conditions.csv").open(encoding="utf-8", newline="") as file:
        own = [row["own_name"].lower() for row in csv.DictReader(file)]
    with (folder.parent / "ingest" / "terms" / "words_zh_condition.csv").open(encoding="utf-8", newline="") as file:
        own += [row["means"].lower() for row in csv.DictReader(file)]
    ordered = [name for name in own if len(name.split()) > 3 and name.split() != sorted(name.split())]
    assert not set(ordered) & snomed


@pytest.mark.parametrize("table", ["words_zh_condition", "diagnoses_latin"])
def test_what_a_diagnosis_means_is_a_set_of_words_and_no_name(table: str) -> None:
    path = Path(__file__).parents[2] / "atoll" / "ingest" / "terms" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        means = [row["means"].split() for row in csv.DictReader(file)]
    assert [words for words in means if len(words) > 3 and words != sorted(words)] == []
