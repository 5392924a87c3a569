"""Names of concepts for reviewers, and whether a concept that somebody types is one.

Known are the files of concepts and the vocabulary that are given, and what comes with the package.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from atoll.ingest.terms.concepts import read_concepts, starter_candidates
from atoll.ingest.terms.units import property_of
from atoll.ingest.terms.vocabulary import names_in
from atoll.knowledge.called import called
from atoll.settings import Language


class ConceptNames:
    """Concept id → the best name that there is.

    paths        CSV files with concept_id and concept_name
    vocabulary   an Athena download, or the DuckDB file that `atoll vocabulary load` makes
    own          our own words for concepts, in English and Chinese: for those that are named by their code alone

    Raises
    ------
    DataError
        When a file holds no concepts.
    """

    def __init__(
        self,
        paths: Sequence[Path] = (),
        vocabulary: Path | None = None,
        own: Mapping[int, tuple[str, str]] = MappingProxyType({}),
        language: Language = "en",
    ):
        self.given = bool(paths or vocabulary)
        self.vocabulary = vocabulary
        tests = {c.concept_id: c.name for c in starter_candidates() if not c.variant}  # they say what is counted
        ours = {number: (name, own.get(number, ("", ""))[1]) for number, name in tests.items()}
        self._own, self._language = {**own, **ours}, language
        self._counted = {number: property_of(name) for number, name in tests.items()}
        text = files("atoll.cdm").joinpath("starter_concepts.csv").read_text("utf-8")
        named = {int(row["concept_id"]): row["concept_name"] for row in csv.DictReader(text.splitlines())}
        for path in paths:
            named |= {c.concept_id: c.name for c in read_concepts(path) if not c.variant}
        self.names = dict[int, str]()
        self._take(dict.fromkeys(self._own, "") | named)
        if vocabulary is not None:
            self.look([0])

    def _take(self, named: Mapping[int, str]) -> None:
        for number, name in named.items():
            best = called(name, self._own.get(number), self._language)
            self.names[number] = f"{best} ({name})" if name and best != name else best

    def counted(self, concept: int) -> str:
        """Whether a concept counts `mass` or `moles` in a volume; empty where neither, or nothing says it."""
        self.look([concept] if concept not in self.names else [])
        return property_of(self.names.get(concept, "")) or self._counted.get(concept, "")

    def look(self, concepts: Iterable[int]) -> None:
        """Take the names of these concepts from the vocabulary."""
        if self.vocabulary is not None and (wanted := list(concepts)):
            self._take(names_in(self.vocabulary, wanted))

    def known(self, concept: int) -> bool | None:
        """Whether a concept is in what was given or comes with the package; None where nothing was given that could
        say so."""
        if concept not in self.names:
            self.look([concept])
        return True if concept in self.names else False if self.given else None
