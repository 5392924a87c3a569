"""How many persons have each word of a column, over hospitals: which concept began a cohort, which codes stand near it.

    n_w = |{i : some row of person i has the word w}|

A hospital tells a word that K persons or more have, and joins the others, fewest first, until K have one of them: of
each it only says that n_w lies between nobody and K, or the number that the joined words have together, where that is
more. Where fewer than K persons have any word it says so of every word, and the same for nobody. What a first round
learns is the words, each told at some hospital; a word beginning with a number, as concepts do (`201826 Type 2
diabetes mellitus`), is that number's, whatever name a hospital's vocabulary gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.bins import persons_per_level
from atoll.algorithms.cells import few
from atoll.algorithms.core import Data, Program, at_site_or_nobody
from atoll.algorithms.options import ColumnName
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, table, tally
from atoll.study.dictionary import OTHER
from atoll.study.view import Setting

TELLS_OF_FEW = True
EXAMPLES = ({"column": "arm"}, {"column": "sex", "by_site": False})


class Words(Statistics):
    """The words that enough persons have."""

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
    return Words({f"{column}={word}": n for word, n in _told(data, column)[0].items()})


@at_site_or_nobody
def held(data: Data, column: str, asked: tuple[str, ...]) -> Held:
    """Bounds of each word that is asked for."""
    return Held(*_bounds(data, column, asked))


@at_site_or_nobody
def own(data: Data, column: str, asked: tuple[str, ...]) -> Own:
    """The same, apart for this hospital."""
    return Own(*_bounds(data, column, asked))


def _told(data: Data, column: str) -> tuple[dict[str, int], int]:
    """Persons of the words that are told, and what stands for each of the others at most."""
    least = few(data.minimum, data.rounding)
    persons = persons_per_level(data, column) if data.n and data.persons() >= data.minimum else {}
    return {word: n for word, n in persons.items() if word != OTHER}, max(persons.get(OTHER, 0), least)


def _bounds(data: Data, column: str, asked: tuple[str, ...]) -> tuple[Array, Array]:
    told, others = _told(data, column)
    known = {identity(word): n for word, n in told.items()}
    ends = [(known.get(identity(word), 0), known.get(identity(word), others)) for word in asked]
    low, high = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    return low, high


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
