"""Which checks matter for one study: those of the tables, and of the concepts, that its recipes read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import sql
from atoll.cohort.concepts import ConceptSets, members_of
from atoll.cohort.domains import BY_CRITERION, BY_WORD
from atoll.errors import StudyError
from atoll.quality.check import Check
from atoll.study.dataset import Recipe
from atoll.study.features import SCORE
from atoll.study.protocol import Study
from atoll.study.score import READS

ALWAYS = frozenset(("person", "observation_period", "death"))  # who is looked at, and for how long


@dataclass(frozen=True)
class Scope:
    """The tables and the concepts, with their descendants, that a study reads."""

    tables: frozenset[str]
    concepts: frozenset[int]

    def holds(self, check: Check) -> bool:
        """Whether a check matters: of the whole table, or of one of the concepts."""
        return check.table in self.tables and (not check.concept or check.concept in self.concepts)


def scope_of(study: Study, workspace: Workspace) -> Scope:
    """What a study reads in a hospital's OMOP data.

    Raises
    ------
    StudyError
        When it has no recipe: then it reads registered tables, and no OMOP data.
    DataError
        When the CDM has no vocabulary.
    """
    if not study.recipes:
        raise StudyError(
            "The study reads tables that stewards register, and no OMOP data.", "Leave --study out.", subject="datasets"
        )
    sets = ConceptSets(workspace)
    tables = set(ALWAYS)
    for recipe in study.recipes.values():
        tables |= set(_tables(recipe))
        for definition in recipe.definitions:
            found = sets.of(definition)
            for entry in definition.concept_sets:
                found.key(entry.id)
        for concepts in recipe.features.concepts.values() if recipe.features else ():
            sets.key((members_of(concepts.include, concepts.exclude, concepts.descendants),))
    if not sets.keys:
        return Scope(frozenset(tables), frozenset())
    sets.resolve()
    rows = workspace.fetch(sql("SELECT DISTINCT concept_id FROM {c}", c=sets.codes))
    workspace.drop(sets.codes)
    return Scope(frozenset(tables), frozenset(map(int, rows.column("concept_id").to_pylist())))


def _tables(recipe: Recipe) -> Iterator[str]:
    """Tables of the definition's criteria and of the features and outcomes."""
    for definition in recipe.definitions:
        for word in _keys(definition.document()):
            if word in BY_CRITERION:
                yield BY_CRITERION[word].table
    if recipe.features is None:
        return
    words = [feature.domain for feature in recipe.features.features]
    words += [outcome.domain for outcome in recipe.features.outcomes]
    for word in [*words, *(READS if SCORE in words else ())]:
        if word in BY_WORD:
            yield BY_WORD[word].table


def _keys(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        yield from document
        for value in document.values():
            yield from _keys(value)
    elif isinstance(document, list):
        for value in document:
            yield from _keys(value)
