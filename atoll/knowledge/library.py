"""The phenotype library: who has a disease, as Circe definitions of our own with sources, limits and measured figures.

In the folder `phenotypes`, for each NAME
    NAME.json       the definition, as `study.circe` writes it
    NAME.yaml       title, version, intent, sources, known limits, and which disease of the simulator is its truth
and for all of them
    concepts.csv    every concept with our own name for it, in two languages, and the source of its id
    names.csv       the Chinese of the names of sets and rules
    figures.csv     what `simulate.phenotypes` counted on a simulated hospital
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from atoll.errors import StudyError
from atoll.study.circe import CohortExpression, read

HERE = Path(__file__).parent / "phenotypes"
Language = Literal["en", "zh"]


@dataclass(frozen=True)
class Truth:
    """One disease of the simulator or several; `new` when only what began a year after first sight is meant."""

    diseases: tuple[str, ...]
    new: bool


@dataclass(frozen=True)
class Figure:
    """A definition against the truth, in persons: of whom it is true, who was found, and both.

    seed, persons   of the simulated hospital
    """

    name: str
    seed: int
    persons: int
    true: int
    found: int
    both: int

    @property
    def sensitivity(self) -> float | None:
        """Share of those with the disease who are found."""
        return self.both / self.true if self.true else None

    @property
    def ppv(self) -> float | None:
        """Share of those found who have the disease: the positive predictive value."""
        return self.both / self.found if self.found else None


@dataclass(frozen=True)
class Phenotype:
    """One entry. Texts by language; `limits` are sentences."""

    name: str
    title: Mapping[Language, str]
    version: str
    intent: Mapping[Language, str]
    sources: tuple[str, ...]
    limits: Mapping[Language, tuple[str, ...]]
    truth: Truth | None

    @property
    def text(self) -> str:
        """The definition as JSON."""
        return (HERE / f"{self.name}.json").read_text("utf-8")

    def definition(self, language: Language = "en") -> CohortExpression:
        """The definition with its title; in Chinese with the names of its concepts, sets and rules in Chinese."""
        import json

        document = {"Title": self.title[language], **read(self.text).document()}
        return read(json.dumps(document if language == "en" else _translated(document)))


def names() -> list[str]:
    """The names of all entries, in order."""
    return sorted(file.stem for file in HERE.glob("*.yaml"))


@cache
def phenotype(name: str) -> Phenotype:
    """One entry.

    Raises
    ------
    StudyError
        When there is none of that name; says which are near.
    """
    known = names()
    if name not in known:
        near = get_close_matches(name, known, 2)
        remedy = f"Did you mean {' or '.join(map(repr, near))}?" if near else "See `atoll phenotypes list`."
        raise StudyError(f"The library has no phenotype {name[:60]!r}.", remedy)
    entry = yaml.safe_load((HERE / f"{name}.yaml").read_text("utf-8"))
    limits: dict[Language, tuple[str, ...]] = {key: tuple(lines) for key, lines in entry["limits"].items()}
    truth = Truth(tuple(entry["truth"]["diseases"]), entry["truth"]["new"]) if "truth" in entry else None
    return Phenotype(name, entry["title"], entry["version"], entry["intent"], tuple(entry["sources"]), limits, truth)


@cache
def concepts() -> Mapping[int, Mapping[str, str]]:
    """Every concept that the library names: concept_id → own_name, zh, domain, vocabulary, code, source."""
    return {int(row["concept_id"]): row for row in _table("concepts.csv")}


@cache
def figures() -> Mapping[str, Figure]:
    """The figures that were measured when the library was last changed."""
    rows = (
        Figure(row["name"], *(int(row[key]) for key in ("seed", "persons", "true", "found", "both")))
        for row in _table("figures.csv")
    )
    return {figure.name: figure for figure in rows}


def _table(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def _chinese() -> Mapping[str, str]:
    return {row["en"]: row["zh"] for row in _table("names.csv")}


def _translated(value: Any) -> Any:
    if isinstance(value, list):
        return [_translated(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    out = {key: _translated(entry) for key, entry in value.items()}
    if "name" in out:
        out["name"] = _chinese().get(out["name"], out["name"])
    if "CONCEPT_ID" in out:
        out["CONCEPT_NAME"] = concepts()[out["CONCEPT_ID"]]["zh"]
    return out
