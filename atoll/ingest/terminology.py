"""Which standard concept does a hospital's name mean? Ranked candidates with a probability and the reason.

Several signals are weighed for every pair of name and candidate: the words after synonyms and abbreviations, character
n-grams, truncated and misspelt words, the second part of a ratio, the specimen, the property that the unit or the name
tells, method words, category, domain, and earlier decisions. The weights are those of a conditional logit

    P(concept c | name n) = exp(w · x_nc) / (exp(w0) + Σ_c' exp(w · x_nc'))

where w0 stands for "none of these". They were fitted (scripts/fit_terms.py) on one half of a hospital's laboratory
names that two reviewers had mapped, halved by a hash of the name; the other half was never read for it. How sure they
are was set on the same half, with words taken away that only the names asked use. The synonym
tables beside this file were written from general laboratory knowledge, without the test half.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from atoll.ingest.terms.concepts import Concept
from atoll.ingest.terms.features import FEATURES, Hospital, Pairs, features, hospital_side
from atoll.ingest.terms.index import Index
from atoll.ingest.terms.text import HERE

CANDIDATES = 150  # looked at for one name
BLOCK, PAIRS = 500, 5_000_000  # names, and pairs of name and concept, at a time, so that memory stays bounded
SHOWN = 0.001  # candidates below this probability are left out, save the first


@dataclass(frozen=True)
class Name:
    """One name of a hospital, with whatever else is known of it; empty where it is not.

    domain   OMOP's (`Condition`, `Drug` …): only concepts of it are candidates, and those of no known domain
    """

    name: str
    fluid: str = ""
    category: str = ""
    unit: str = ""
    domain: str = ""
    sample_values: str = ""


class Suggestion(NamedTuple):
    """A candidate for the name in row `at` of those asked: rank from 1, probability that it is the right one."""

    at: int
    rank: int
    concept_id: int
    probability: float
    reason: str


class Matcher:
    """Candidates for names among the concepts given.

    decisions   earlier decisions of this or other hospitals: written name → concept id (`*.csv` code lists)
    """

    def __init__(self, concepts: Sequence[Concept], decisions: Mapping[str, int] | None = None):
        self.index = Index(concepts, decisions or {})

    def suggest(self, names: Sequence[Name], top: int = 5) -> list[Suggestion]:
        """The `top` candidates of every name, best first; names without any candidate have no row."""
        found: list[Suggestion] = []
        step = max(1, min(BLOCK, PAIRS // max(len(self.index.concepts), 1)))
        for start in range(0, len(names), step):
            block = hospital_side(names[start : start + step], self.index)
            pairs = self.pairs(block)
            found += self._ranked(block, pairs, probabilities(pairs, weights()), top, start)
        return found

    def pairs(self, block: Hospital) -> Pairs:
        """The candidates of every name with their features."""
        rows, columns = self.index.candidates(block, CANDIDATES)
        return features(block, self.index, rows, columns)

    def _ranked(self, block: Hospital, pairs: Pairs, p: Any, top: int, start: int) -> list[Suggestion]:
        order = np.lexsort((pairs.columns, -p, pairs.rows))
        found, seen, at, rank = [], set[int](), -1, 0
        for pair in order:
            row, concept = int(pairs.rows[pair]), self.index.concepts[pairs.columns[pair]]
            if row != at:
                at, rank, seen = row, 0, set()
            if rank >= top or concept.concept_id in seen or (rank and p[pair] < SHOWN):
                continue
            seen.add(concept.concept_id)
            rank += 1
            reason = pairs.reason(int(pair), block, self.index)
            found.append(Suggestion(start + row, rank, concept.concept_id, float(p[pair]), reason))
        return found


@cache
def weights() -> Any:
    """The fitted weights in the order of `FEATURES`, the last that of "none of these"."""
    with (HERE / "weights.csv").open(encoding="utf-8", newline="") as file:
        fitted = {row["feature"]: float(row["weight"]) for row in csv.DictReader(file)}
    return np.array([fitted.get(name, 0.0) for name in (*FEATURES, "none of these")])


def probabilities(pairs: Pairs, w: Any) -> Any:
    """P(candidate | name) of every pair; variants of one concept share its best score."""
    score = pairs.x @ w[:-1]
    n = int(pairs.rows.max()) + 1 if len(pairs.rows) else 0
    best = np.full(n, w[-1])
    np.maximum.at(best, pairs.rows, score)
    e = np.where(pairs.best_of_concept(score), np.exp(score - best[pairs.rows]), 0.0)
    total = np.exp(w[-1] - best)
    np.add.at(total, pairs.rows, e)
    return e / total[pairs.rows]
