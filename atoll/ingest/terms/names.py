"""Names of concepts for reviewers, and whether a concept that somebody types is one.

Known are the files of concepts and the vocabulary that are given, and the starter set of the package.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from atoll.cdm.workbench import Workbench
from atoll.errors import DataError
from atoll.ingest.terms.concepts import read_concepts


class ConceptNames:
    """Concept id → name.

    paths        CSV files with concept_id and concept_name
    vocabulary   the DuckDB file that `atoll vocabulary load` makes
    own          names for concepts that the starter set names by their code alone

    Raises
    ------
    DataError
        When a file holds no concepts.
    """

    def __init__(
        self,
        paths: Sequence[Path] = (),
        vocabulary: Path | None = None,
        own: Mapping[int, str] = MappingProxyType({}),
    ):
        self.given = bool(paths or vocabulary)
        self.vocabulary = vocabulary
        text = files("atoll.cdm").joinpath("starter_concepts.csv").read_text("utf-8")
        self.names = {int(row["concept_id"]): row["concept_name"] for row in csv.DictReader(text.splitlines())}
        coded = [number for number, name in self.names.items() if name.startswith("LOINC ")]
        self.names |= {number: f"{own[number]} ({self.names[number]})" for number in coded if number in own}
        for path in paths:
            self.names |= {c.concept_id: c.name for c in read_concepts(path) if not c.variant}
        if vocabulary is not None:
            if not vocabulary.is_file():
                raise DataError(
                    f"There is no file {vocabulary}.", "Make one with `atoll vocabulary load ATHENA --to FILE`."
                )
            self.look([0])

    def look(self, concepts: Iterable[int]) -> None:
        """Take the names of these concepts from the vocabulary."""
        wanted = ", ".join(str(int(concept)) for concept in concepts)
        if self.vocabulary is None or not wanted:
            return
        with Workbench(self.vocabulary, read_only=True) as bench:
            if "concept" not in bench.tables():
                raise DataError(
                    f"{self.vocabulary.name} holds no vocabulary.",
                    "Make one with `atoll vocabulary load ATHENA --to FILE`.",
                )
            query = f"SELECT concept_id, concept_name FROM main.concept WHERE concept_id IN ({wanted})"
            self.names |= {int(number): name for number, name in bench.rows(query)}

    def known(self, concept: int) -> bool:
        """Whether a concept is in what was given; where nothing was given, everything may be right."""
        if self.given and concept not in self.names:
            self.look([concept])
        return not self.given or concept in self.names
