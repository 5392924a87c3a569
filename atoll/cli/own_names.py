"""What this package calls the concepts that it knows, for vocabularies that name a test by its code alone."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.resources import files

from atoll.knowledge.called import called


def own_names() -> dict[int, tuple[str, str]]:
    """Concept id → its name in English and Simplified Chinese; an empty one where there is none in that language."""
    from atoll.knowledge.library import concepts
    from atoll.simulate.facts import table

    named = {int(row["concept_id"]): (row["own_name"], row["zh"]) for row in table("measurements.csv")}
    return _common_tests() | {number: (row["own_name"], row["zh"]) for number, row in concepts().items()} | named


def best_names(given: Mapping[int, str]) -> dict[int, str]:
    """The names that a database has of concepts; our own in English where it has none, or a code."""
    own = own_names()
    return {number: called(name, own.get(number), "en") for number, name in given.items()}


def _common_tests() -> dict[int, tuple[str, str]]:
    chinese: dict[str, str] = {}
    for row in _rows("words_zh_lab.csv"):
        chinese.setdefault(row["means"], row["written"])
    return {
        int(row["concept_id"]): (
            row["analyte"] + (f" in {row['specimen']}" if row["specimen"] else ""), chinese.get(row["analyte"], "")
        )
        for row in _rows("common_tests.csv")
    }  # fmt: skip


def _rows(file: str) -> csv.DictReader[str]:
    return csv.DictReader(files("atoll.ingest.terms").joinpath(file).read_text("utf-8").splitlines())
