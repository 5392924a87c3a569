"""What a phenotype is diagnosed by: four tables that a hospital makes of a cohort definition, each for an algorithm.

    entries   a row for each person's first period: the concept that began it, days observed before and after, and in it
    risk      a row for each period of time at risk of entering, of everybody in the data: what `incidence` reads
    codes     a row for each person and code that is near the concept sets of entry, in use, and outside them; why it is
              near stands behind it: `4193704 Type 2 diabetes without complication [relative, name]`
    overlap   a row for each person of two cohorts

In the manner of CohortDiagnostics (OHDSI): Gilbert et al. (2024), doi:10.1371/journal.pone.0310634.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atoll.study.dictionary import Column, Dictionary

WAYS: Mapping[int, str] = {1: "relative", 2: "code", 4: "name"}  # that a code is near by; they add up
PERSON = {"person": Column("person")}
SEXES = ("female", "male")
TABLES: Mapping[str, Dictionary] = {
    "entries": PERSON
    | {
        "concept": Column("category", label="concept that began the cohort"),
        "before": Column("number", unit="d", low=0, label="observation before the index date"),
        "after": Column("number", unit="d", low=0, label="observation after the index date"),
        "within": Column("number", unit="d", low=0, label="time in the cohort"),
    },
    "risk": PERSON
    | {
        "sex": Column("category", SEXES),
        "born": Column("number", unit="a", label="year of birth"),
        "enters": Column("number", unit="d", label="first day at risk, counted from 1970"),
        "leaves": Column("number", unit="d", label="last day at risk, counted from 1970"),
        "event": Column("flag", label="enters the cohort on the last day"),
    },
    "codes": PERSON | {"code": Column("category", label="code near the concept sets and outside them")},
    "overlap": PERSON
    | {
        "first": Column("flag", label="in the first cohort"),
        "second": Column("flag", label="in the second cohort"),
    },
}


def with_ways(word: str, ways: int) -> str:
    """A code with why it is near."""
    return f"{word} [{', '.join(name for way, name in WAYS.items() if ways & way)}]"


def without_ways(word: str) -> tuple[str, tuple[str, ...]]:
    """The code and why it is near; nothing where the word does not say it."""
    head, bracket, tail = word.removesuffix("]").rpartition(" [")
    ways = tuple(tail.split(", "))
    return (head, ways) if bracket and word.endswith("]") and set(ways) <= set(WAYS.values()) else (word, ())


ANALYSES: Mapping[str, tuple[str, str, dict[str, Any]]] = {  # table, algorithm and options of each; rates ask for years
    "incidence": (
        "risk",
        "incidence",
        {"enters": "enters", "leaves": "leaves", "born": "born", "event": "event", "by": "sex"},
    ),
    "began by": ("entries", "breakdown", {"column": "concept"}),
    "orphan codes": ("codes", "breakdown", {"column": "code"}),
    "times": ("entries", "durations", {"columns": ["before", "after", "within"]}),
    "overlap": ("overlap", "overlap", {"first": "first", "second": "second"}),
}
WORDS: Mapping[str, tuple[str, str]] = {  # what a steward reads of each
    "entries": (
        "Of each of them, at the start of the first period: the concept of the record that began it, the days of "
        "observation before and after, and the days in the cohort.",
        "对其中每一位，取首次入组时：引发入组的记录的概念、入组前后的观察天数、在队列中的天数。",
    ),
    "risk": (
        "Of everybody in the data: sex, year of birth, and the first and last day on which the person could have "
        "entered, and whether that happened.",
        "对数据中的每一个人，取：性别、出生年份、可能入组的首日和末日，以及是否入组。",
    ),
    "codes": (
        "Of everybody in the data: which codes a person has that are near the concept sets of entry and outside them.",
        "对数据中的每一个人，取：具有哪些与入组概念集相近但不在其中的编码。",
    ),
    "overlap": (
        "Of each person in this cohort or in a second one, whose definition follows: in which of the two.",
        "对属于本队列或第二个队列（定义见下）的每一位，取：属于其中哪一个。",
    ),
}
