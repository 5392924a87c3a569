"""The candidates' side of the matcher: sparse matrices of words and of character n-grams over all concepts."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from atoll.ingest.terms.concepts import Concept, forms
from atoll.ingest.terms.text import spelt, split

if TYPE_CHECKING:
    from atoll.ingest.terms.features import Hospital

ALIKE = 0.55  # Dice coefficient of trigrams from which an unknown word is taken for a misspelling
PREFIX = 4  # letters from which an unknown word is taken for the beginning of another
GRAM = 3
GENERAL = re.compile(r"\b(measurement|determination|estimation|test|level|count)$", re.IGNORECASE)


class Index:
    """Words, n-grams and parts of the concepts, as arrays.

    words, below, tail   concepts × vocabulary, idf-weighted (rows not normalised)
    grams                concepts × trigrams, rows of length 1
    """

    def __init__(self, concepts: Sequence[Concept], decisions: Mapping[str, int]):
        self.concepts = [form for concept in concepts for form in forms(concept)]
        self.decided = {" ".join(split(name)): number for name, number in decisions.items()}
        self.ids = np.array([concept.concept_id for concept in self.concepts], np.int64)
        self.domains = np.array([concept.domain for concept in self.concepts], str)
        self.vocabulary: dict[str, int] = {}
        for concept in self.concepts:
            for word in (*concept.words, *concept.below, *concept.tail):
                self.vocabulary.setdefault(word, len(self.vocabulary))
        counts = np.zeros(len(self.vocabulary))
        for part in {concept.words + concept.below for concept in self.concepts}:
            for word in set(part):
                counts[self.vocabulary[word]] += 1
        self.idf = np.log(1 + (len(self.concepts) + 1) / (counts + 0.5))
        self.rare = float(np.log(1 + 2 * (len(self.concepts) + 1)))
        self.words = self.matrix(concept.words for concept in self.concepts)
        self.below = self.matrix(concept.below for concept in self.concepts)
        self.tail = self.matrix(concept.tail for concept in self.concepts)
        self.norm = np.sqrt(self.words.multiply(self.words).sum(1)).A1
        self.mass = self.words.sum(1).A1
        self.gram_ids: dict[str, int] = {}
        self.grams = self._grams([text_of(concept) for concept in self.concepts], learn=True)

    def matrix(self, rows: Iterable[Sequence[str]]) -> Any:
        """Known words of every row with their idf."""
        return weighted([{self.vocabulary[w]: self.idf[self.vocabulary[w]] for w in row if w in self.vocabulary}
                         for row in rows], len(self.vocabulary))  # fmt: skip

    def _grams(self, texts: Sequence[str], *, learn: bool = False) -> Any:
        rows: list[dict[int, float]] = []
        for text in texts:
            row: dict[int, float] = {}
            for gram in grams_of(text):
                at = self.gram_ids.setdefault(gram, len(self.gram_ids)) if learn else self.gram_ids.get(gram, -1)
                if at >= 0:
                    row[at] = row.get(at, 0.0) + 1.0
            rows.append(row)
        found = weighted(rows, len(self.gram_ids))
        if learn:
            frequency = np.bincount(found.indices, minlength=len(self.gram_ids))
            self.gram_idf = np.log(1 + len(rows) / (frequency + 0.5))
        found = found @ sparse.diags(self.gram_idf)
        length = np.sqrt(found.multiply(found).sum(1)).A1
        return sparse.diags(1 / np.maximum(length, 1e-9)) @ found

    def grams_like(self, texts: Sequence[str]) -> Any:
        """Trigrams of texts in this index's columns, rows of length 1 (grams unknown here are left out)."""
        return self._grams(texts)

    @cached_property
    def parts(self) -> dict[str, tuple[Any, list[str]]]:
        """Specimen, property and method of every concept, each as codes and what they stand for."""
        return {part: coded([getattr(concept, part) for concept in self.concepts])
                for part in ("system", "property", "method")}  # fmt: skip

    @cached_property
    def broad(self) -> Any:
        """Whether a concept is a procedure rather than a result."""
        return np.array([GENERAL.search(concept.name) is not None and not concept.system for concept in self.concepts])

    @cached_property
    def variant(self) -> Any:
        """Which of a concept's names it is."""
        return np.array([concept.variant for concept in self.concepts])

    @cached_property
    def standing(self) -> tuple[Any, Any]:
        """Whether a concept is standard, and whether it is of its domain's usual vocabulary."""
        return (
            np.array([concept.standard for concept in self.concepts], bool),
            np.array([concept.usual for concept in self.concepts], bool),
        )

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(word for word in self.vocabulary if len(word) > PREFIX)

    @cached_property
    def _spelling(self) -> tuple[Any, Any, dict[str, int]]:
        ids: dict[str, int] = {}
        rows = [{ids.setdefault(g, len(ids)): 1.0 for g in set(grams_of(word))} for word in self._sorted]
        found = weighted(rows, len(ids))
        return found, found.sum(1).A1, ids

    def meant(self, word: str) -> dict[int, float]:
        """Words of the vocabulary that an unknown word may be: itself cut short, or misspelt; with a weight ≤ 1."""
        if len(word) < PREFIX or word in spelt() or any(character.isdigit() for character in word):
            return {}
        at = bisect.bisect_left(self._sorted, word)
        longer = [w for w in self._sorted[at : at + 5] if w.startswith(word)]
        if longer:
            return {self.vocabulary[w]: 0.9 / len(longer) for w in longer}
        matrix, sizes, ids = self._spelling
        own = set(grams_of(word))
        vector = np.zeros(matrix.shape[1])
        vector[[ids[g] for g in own if g in ids]] = 1.0
        dice = 2 * (matrix @ vector) / (sizes + len(own))
        best = int(dice.argmax()) if len(dice) else -1
        if best < 0 or dice[best] < ALIKE:
            return {}
        return {self.vocabulary[self._sorted[best]]: float(dice[best])}

    def candidates(self, block: Hospital, most: int) -> tuple[Any, Any]:
        """The likeliest concepts of every name by text alone: rows (names) and columns (concepts) of the pairs."""
        text = block.words @ self.words.T
        text = sparse.diags(1 / np.maximum(block.norm, 1e-9)) @ text @ sparse.diags(1 / np.maximum(self.norm, 1e-9))
        score = (text + 0.3 * (block.words @ self.tail.T) + 0.7 * (block.grams @ self.grams.T)).tocsr()
        rows, columns = [], []
        for row in range(score.shape[0]):
            begin, end = score.indptr[row], score.indptr[row + 1]
            found, value = score.indices[begin:end], score.data[begin:end]
            if asked := block.asked[row]:
                fits = (self.domains[found] == asked) | (self.domains[found] == "")
                found, value = found[fits], value[fits]
            if len(found) > most:
                found = found[np.argpartition(-value, most)[:most]]
            decided = block.decided[row]
            if decided is not None:
                found = np.union1d(found, np.flatnonzero(self.ids == decided))
            rows.append(np.full(len(found), row))
            columns.append(np.sort(found))
        return np.concatenate(rows), np.concatenate(columns)


def coded(values: Sequence[str]) -> tuple[Any, list[str]]:
    """Words as numbers, and the word of each number."""
    kinds = sorted(set(values))
    at = {kind: i for i, kind in enumerate(kinds)}
    return np.array([at[value] for value in values], np.int64), kinds


def weighted(rows: Sequence[Mapping[int, float]], width: int) -> Any:
    """Rows of column → value as a sparse matrix."""
    lengths = [len(row) for row in rows]
    indices = np.fromiter((i for row in rows for i in row), np.int64, sum(lengths))
    data = np.fromiter((v for row in rows for v in row.values()), float, sum(lengths))
    return sparse.csr_matrix((data, indices, np.concatenate([[0], np.cumsum(lengths)])), (len(rows), width))


def text_of(concept: Concept) -> str:
    """The text whose n-grams stand for a concept."""
    return " ".join((*concept.words, *concept.below))


def grams_of(text: str) -> list[str]:
    """Trigrams of the words of a text, each word with a mark before and behind it."""
    return [f" {word} "[i : i + GRAM] for word in text.split() for i in range(max(len(word) + 2 - GRAM + 1, 1))]
