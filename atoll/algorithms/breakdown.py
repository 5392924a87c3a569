"""How many persons have each word of a column, over hospitals: which concept began a cohort, which codes stand near it.

    n_w = |{i : some row of person i has the word w}|

A hospital tells a word that K persons or more have, and joins the others, fewest first, until K have one of them: of
each it only says that n_w lies between nobody and K, or the number T that the joined words have together, where that is
more. Where fewer than K of those have another word than the most frequent of them, that one lies between T − K and T.
Where fewer than K persons have any word it says so of every word, and the same for nobody.

What a first round
learns is the words, each told at some hospital; a word beginning with a number, as concepts do (`201826 Type 2
diabetes mellitus`), is that number's, whatever name a hospital's vocabulary gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.bins import coded_words, persons_per_level
from atoll.algorithms.cells import few
from atoll.algorithms.core import Data, Program, at_site_or_nobody
from atoll.algorithms.nested import nearest
from atoll.algorithms.options import ColumnName
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, table, tally
from atoll.study.dictionary import OTHER
from atoll.study.view import Setting

TELLS_OF_FEW = True
PRECISION = None  # it counts persons: there is nothing to plan
EXAMPLES = ({"column": "arm"}, {"column": "sex", "by_site": False})


class Words(Statistics):
    """The words that enough persons have; one that is told with a few others, with theirs."""

    persons: dict[str, int] = tally()


class Held(Statistics):
    """Bounds of the persons who have each word."""

    low: Array = table()
    high: Array = table()


class Own(Statistics):
    """The same, apart for this hospital, to the nearest multiple of its minimum."""

    low: Array = table(apart=True)
    high: Array = table(apart=True)


@dataclass(frozen=True)
class Breakdown:
    """`words` holds each `word` with bounds of its persons, the most frequent first.

    sites_apart   for each hospital lists `low` and `high`, in the order of `words`
    """

    column: str
    words: list[dict[str, Any]]
    sites_apart: dict[str, dict[str, Any]]
    notes: list[str]


@at_site_or_nobody
def words(data: Data, column: str) -> Words:
    """Persons of each word that is told."""
    return Words({f"{column}={word}": n for word, n in _site(data, column).words.items()})


@at_site_or_nobody
def held(data: Data, column: str, asked: tuple[str, ...]) -> Held:
    """Bounds of each word that is asked for."""
    return Held(*_bounds(data, column, asked))


@at_site_or_nobody
def own(data: Data, column: str, asked: tuple[str, ...]) -> Own:
    """The same, apart for this hospital."""
    return Own(*_bounds(data, column, asked))


@dataclass(frozen=True)
class Site:
    """What one site tells: persons of its words, of the joined words together, and which most of those have."""

    told: dict[str, int]
    joined: int
    mostly: str | None

    @property
    def words(self) -> dict[str, int]:
        """Words that may be named, each of K persons or more."""
        return self.told | ({self.mostly: self.joined} if self.mostly is not None else {})


def _site(data: Data, column: str) -> Site:
    if not data.n or data.persons() < data.minimum:
        return Site({}, 0, None)
    persons = persons_per_level(data, column)
    told = {word: n for word, n in persons.items() if word != OTHER}
    words, codes = coded_words(data, column)
    joined = {word: data.persons(codes == code) for code, word in enumerate(words) if word not in told}
    largest = max(joined, key=lambda word: joined[word], default=None)
    mostly = largest is not None and joined[largest] >= data.minimum  # joined since the others are too few
    return Site(told, persons.get(OTHER, 0), largest if mostly else None)


def _bounds(data: Data, column: str, asked: tuple[str, ...]) -> tuple[Array, Array]:
    """Of each word what is told, else what the joined ones allow."""
    site, least = _site(data, column), few(data.minimum, data.rounding)
    back = -(-(data.minimum - 1) // data.rounding) * data.rounding
    known = {identity(word): (n, n) for word, n in site.told.items()}
    if site.mostly is not None:
        low = nearest(site.joined, data.rounding) - back
        known[identity(site.mostly)] = (low if low >= data.minimum else 0, site.joined)
    ends = [known.get(identity(word), (0, max(site.joined, least))) for word in asked]
    low_, high = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    return low_, high


def identity(word: str) -> str:
    """What a word stands for: the number at its beginning, where there is one, else the word itself."""
    number, _, name = word.partition(" ")
    return number if name and number.isdecimal() else word


def breakdown(setting: Setting, *, column: ColumnName, by_site: bool = True) -> Program:
    """Persons of each word of a column, the most frequent first.

    column    a category
    by_site   also each hospital apart, where its policy allows
    """
    if setting.columns[column].type != "category":
        what = f"column: {column!r} is a {setting.columns[column].type}, and only a category has words."
        raise StudyError(what, "Name a category.", code="COLUMN_UNFIT", subject=column)
    found = yield words(column=column)
    there: dict[str, str] = {}
    for entry in sorted(found.persons, key=lambda word: (-found.persons[word], word)):
        word = entry.partition("=")[2]
        there.setdefault(identity(word), word)
    asked = tuple(there.values())
    if not asked:
        nothing: dict[str, dict[str, Any]] = {site: {"low": [], "high": []} for site in setting.sites}
        return Breakdown(column, [], nothing, _notes(setting, [], True))
    together = yield held(column=column, asked=asked)
    apart: Any = (yield own(column=column, asked=asked)) if by_site else None
    told: list[dict[str, Any]] = [
        {"word": word, "low": int(low), "high": int(high)}
        for word, low, high in zip(asked, together.low, together.high, strict=True)
    ]
    order = sorted(range(len(told)), key=lambda i: (-told[i]["low"], told[i]["word"]))
    sites = {
        site: {end: [int(getattr(apart, end)[k][i]) for i in order] for end in ("low", "high")}
        for k, site in enumerate(setting.sites if apart is not None else ())
    }
    return Breakdown(column, [told[i] for i in order], sites, _notes(setting, told, False))


def _notes(setting: Setting, told: list[dict[str, Any]], empty: bool) -> list[str]:
    """What must be said of the numbers."""
    notes = [] if setting.public else ["rounded"]
    if empty:
        notes.append("no_words")
    if any(one["low"] < one["high"] for one in told):
        notes.append("held_words")
    return notes
