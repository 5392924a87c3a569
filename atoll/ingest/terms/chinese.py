"""Chinese names of tests, drugs and diagnoses as English words, so that one matcher serves both languages.

A name is read from left to right, always taking the longest entry of three tables of our own (`words_zh_lab.csv`,
`words_zh_drug.csv`, `words_zh_condition.csv`). They were written from general knowledge of Chinese hospital wording and
of INN and LOINC names, and hold words, never concept ids; tests/reference/README.md says which names they were judged
by. Latin parts (ALT, HbA1c, CA125) stay as they are.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from atoll.ingest.terms.text import HERE

TABLES = {"lab": "words_zh_lab.csv", "drug": "words_zh_drug.csv", "condition": "words_zh_condition.csv"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
DOSE = re.compile(r"\d+(?:\.\d+)?\s*(?:mg|g|ml|μg|ug|mcg|iu|u|万u|%)(?:[*×x/]\S*)?(?![a-z])", re.IGNORECASE)
DOMAINS = {"lab": "Measurement", "drug": "Drug", "condition": "Condition"}
UNREAD = "unread"  # stands for Chinese characters that no table knows, so that they count as words not found


@dataclass(frozen=True)
class Chinese:
    """A Chinese name in English words; the specimen it names; the domain that its words speak for, or empty."""

    english: str
    system: str
    domain: str


def is_chinese(text: str) -> bool:
    """Whether a text holds Chinese characters."""
    return bool(CHINESE.search(text))


@cache
def words() -> dict[str, tuple[tuple[str, str, str], ...]]:
    """Written form → its meanings: (words, kind, table)."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for table, name in TABLES.items():
        with (HERE / name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                written = plain(row["written"])
                meaning = (row["means"], row["kind"], table)
                if written and meaning not in found.setdefault(written, []):
                    found[written].append(meaning)
    return {written: tuple(meanings) for written, meanings in found.items()}


@cache
def longest() -> int:
    """Characters of the longest entry."""
    return max(map(len, words()))


def plain(text: str) -> str:
    """Half-width forms, lower case, without spaces between Chinese characters."""
    text = unicodedata.normalize("NFKC", text).lower().replace("－", "-").replace("—", "-")
    return re.sub(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])", "", text)


def translate(text: str, domain: str = "") -> Chinese:
    """Read a Chinese name. `domain` (Measurement, Drug, Condition), where it is known, decides between two meanings."""
    rest = plain(text)
    if domain == "Drug" or not domain:
        rest = DOSE.sub(" ", rest) if CHINESE.search(rest) else rest
    parts = _parts(rest)
    spoken = domain or _spoken(parts)
    preferred = next((table for table, name in DOMAINS.items() if name == spoken), "")
    english, system = [], ""
    for part in parts:
        if isinstance(part, str):
            english.append(part)
            continue
        meaning, kind, _ = next((m for m in part if m[2] == preferred), part[0])
        if kind in ("form", "salt") and spoken == "Drug":
            continue
        for word in meaning.split():
            if word.startswith("@"):
                system = system or word[1:]
            else:
                english.append(word)
    return Chinese(" ".join(english), system, spoken)


def _parts(text: str) -> list[str | tuple[tuple[str, str, str], ...]]:
    """The text in pieces: meanings where a table knows them, else Latin words as they are, else `UNREAD`."""
    table, at = words(), 0
    found: list[str | tuple[tuple[str, str, str], ...]] = []
    while at < len(text):
        entry = next((n for n in range(min(longest(), len(text) - at), 0, -1) if _fits(text, at, n, table)), 0)
        if entry:
            found.append(table[text[at : at + entry]])
            at += entry
        elif CHINESE.match(text[at]):
            end = at + 1
            found.append(UNREAD)
            at = end
        else:
            end = at
            while end < len(text) and not CHINESE.match(text[end]) and (end == at or not _starts(text, end, table)):
                end += 1
            found.append(text[at:end])
            at = end
    return found


def _fits(text: str, at: int, n: int, table: dict[str, tuple[tuple[str, str, str], ...]]) -> bool:
    """Whether an entry stands here, and does not cut a Latin word in two."""
    piece = text[at : at + n]
    if piece not in table:
        return False
    before, after = text[at - 1 : at], text[at + n : at + n + 1]
    cuts_left = piece[0].isascii() and piece[0].isalnum() and before.isascii() and before.isalnum()
    cuts_right = piece[-1].isascii() and piece[-1].isalnum() and after.isascii() and after.isalnum()
    return not (cuts_left or cuts_right)


def _starts(text: str, at: int, table: dict[str, tuple[tuple[str, str, str], ...]]) -> bool:
    return any(_fits(text, at, n, table) for n in range(min(longest(), len(text) - at), 1, -1))


def _spoken(parts: list[str | tuple[tuple[str, str, str], ...]]) -> str:
    """The domain that most of the words speak for: drug forms for drugs, a disease's name for conditions."""
    said: dict[str, int] = {}
    for part in parts:
        if isinstance(part, str):
            continue
        for _, kind, table in part:
            if kind in ("drug", "condition", "lab"):
                said[table] = said.get(table, 0) + 2
            elif kind in ("form", "fluid", "property"):
                said[table] = said.get(table, 0) + 1
    if not said:
        return ""
    best = max(said, key=lambda table: said[table])
    return DOMAINS[best]
