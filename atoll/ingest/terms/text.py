"""What a written term says: the words of its analyte, and what it tells of specimen, property and method.

One reading for both sides, the hospital's names and the vocabulary's, so that `Uric Acid` and `Urate`, `WBC` and
`Leukocytes` become the same words. Three small tables of our own are behind it, written from general knowledge of
laboratory usage: `words_en.csv` (abbreviation or synonym → words as LOINC writes them), `systems.csv` (words for a
specimen) and the Chinese tables (`chinese.py`). They hold words, never concept ids.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
CELLS_AS_SPECIMEN = ("redcells", "whitecells")  # in a hospital's name these are what is counted
LONGEST = 6  # words of the longest phrase in the tables
GREEK = str.maketrans({letter: f" {name} " for letter, name in zip(
    "αβγδκλ", ("alpha", "beta", "gamma", "delta", "kappa", "lambda"), strict=True)})  # fmt: skip
WORD = re.compile(r"[a-z0-9]+|[#%/]")
HINTS: Mapping[str, str] = {  # a word that tells the property rather than the analyte
    "#": "count", "absolute": "count", "abs": "count", "count": "count", "%": "fraction", "percent": "fraction",
    "percentage": "fraction", "screen": "qualitative", "qualitative": "qualitative", "qual": "qualitative",
    "titer": "titer", "titre": "titer", "ratio": "ratio", "quantitative": "value", "quant": "value", "value": "value",
}  # fmt: skip
# fmt: off
EMPTY = frozenset((
    "the", "of", "in", "for", "and", "or", "by", "with", "w", "an", "test", "assay", "level", "measured", "measurement",
    "flag", "flg", "qnt", "result", "calculated", "calc", "number", "nos", "sp", "type",
))
KEPT_WITH_S = frozenset((
    "pus", "gas", "bias", "aids", "sars", "ss", "us", "virus", "streptococcus", "lupus", "mucus", "ketones",
    "diabetes", "pancreas", "herpes", "rabies", "measles", "mumps", "ascites", "caries", "scabies", "rickets",
))
# fmt: on


@dataclass(frozen=True)
class Reading:
    """One written term, read.

    words    canonical words of the analyte; after "/" those of a ratio's second part
    below    words of the second part, or empty
    system   specimen named in the text, or empty
    hints    properties that the text tells (`HINTS`)
    plain    the text in lower case without marks, for character n-grams
    """

    words: tuple[str, ...]
    below: tuple[str, ...] = ()
    system: str = ""
    hints: frozenset[str] = field(default_factory=frozenset)
    plain: str = ""


@cache
def table(name: str) -> dict[tuple[str, ...], str]:
    """A two-column table beside this file: written form (as words) → the other column."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {words: meaning for written, meaning in rows if (words := tuple(split(written)))}


_LINKS = frozenset(
    ("due", "to", "caused", "associated", "related", "co", "occurrent", "unspecified", "from", "as", "on")
)


def dissected(words: Sequence[str]) -> tuple[str, ...]:
    """The words of a disease with organs and processes as nouns, each once (`anatomy.csv`, of our own): `pulmonary` is
    lung, `colitis` colon and inflammation. So what is put together of parts is what has one word for all."""
    plain = table("anatomy.csv")
    found = (part for word in words if word not in _LINKS for part in split(plain.get((word,), word)))
    return tuple(dict.fromkeys(found)) or tuple(words)


def abbreviated(text: str) -> str:
    """What a diagnosis that is written in a few letters alone means (`SLE`), or empty."""
    return table("diagnoses_latin.csv").get(tuple(split(text)), "")


@cache
def meanings() -> dict[tuple[str, ...], tuple[str, ...]]:
    """Synonyms and abbreviations: words → canonical words."""
    found = {written: tuple(split(meaning, keep=True)) for written, meaning in table("words_en.csv").items()}
    for meaning in list(found.values()):  # what is canonical already stays as it is
        if 1 < len(meaning) <= LONGEST and not {"/", "#", "%"} & set(meaning):
            found.setdefault(meaning, meaning)
    return found


@cache
def spelt() -> frozenset[str]:
    """Every word that the tables of both languages mean something by: none of them is another word, misspelt."""
    found = {word for meaning in meanings().values() for word in meaning}
    for name in ("words_zh_lab.csv", "words_zh_drug.csv", "words_zh_condition.csv"):
        with (HERE / name).open(encoding="utf-8", newline="") as file:
            found |= {word for row in csv.DictReader(file) for word in split(row["means"])}
    return frozenset(found)


@cache
def systems() -> dict[tuple[str, ...], str]:
    """Words for a specimen, without the Chinese ones."""
    return table("systems.csv")


@cache
def chinese_systems() -> dict[str, str]:
    """Chinese words for a specimen as a column of its own holds them."""
    with (HERE / "systems.csv").open(encoding="utf-8", newline="") as file:
        return {written: system for written, system in list(csv.reader(file))[1:] if not written.isascii()}


def split(text: str, *, keep: bool = False) -> list[str]:
    """Lower-case words without marks and without a plural's s; `keep` leaves words such as protein_c whole."""
    text = unicodedata.normalize("NFKD", text).translate(GREEK).lower().replace("'", "")
    text = "".join(sign for sign in text if not unicodedata.combining(sign))  # Sjögren is Sjogren
    text = re.sub(r"\bcd\s+(?=\d)", "cd", text)
    text = re.sub(r"\b(cd\d+)/(?=\d+\b)", r"\1 cd", text)
    found = re.findall(r"[a-z0-9_]+|[#%/]", text) if keep else WORD.findall(text)
    return [singular(word) for word in found]


def singular(word: str) -> str:
    """`casts` → `cast`, `antibodies` → `antibody`; short words and -ss, -us, -is stay."""
    if len(word) < 4 or word in KEPT_WITH_S or not word.endswith("s") or word[-2] in "sui" or word[-2].isdigit():
        return word
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    return word[:-1]


def unfold(text: str) -> str:
    """Words that a machine name runs together: `LymFlg` → `Lym Flg`; tall-man drug names stay whole."""
    return re.sub(r"(?<=[a-z]{2})(?=[A-Z][a-z]{2,})", " ", text)


def read(text: str) -> Reading:
    """Read a hospital's name for something."""
    words = split(text)
    plain = " ".join(words)
    words, system = _take_system(words)
    if not words:  # the name is the specimen itself, as in a urinalysis item called Blood
        words, system = split(text), ""
    words, hints = _canonical(words)
    above, _, below = _halves(words)
    return Reading(above, below, system, hints, plain)


def _take_system(words: Sequence[str]) -> tuple[list[str], str]:
    """The words without those that name a specimen, and the specimen; a phrase of the analyte table keeps its words."""
    table_, system, at = systems(), "", 0
    kept: list[str] = []
    while at < len(words):
        analyte = _longest(words, at, meanings())
        specimen = _longest(words, at, table_)
        if specimen and table_[tuple(words[at : at + specimen])] in CELLS_AS_SPECIMEN:
            specimen = 0
        if specimen and specimen >= analyte and len(words) != specimen:
            system = table_[tuple(words[at : at + specimen])]
            at += specimen
        else:
            step = max(analyte, 1)
            kept += words[at : at + step]
            at += step
    return kept, system


def _longest(words: Sequence[str], at: int, phrases: Mapping[tuple[str, ...], object]) -> int:
    return next((n for n in range(min(LONGEST, len(words) - at), 0, -1) if tuple(words[at : at + n]) in phrases), 0)


def _canonical(words: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """Canonical words in order, without doubles within a part; and the properties that were told."""
    phrases, out, hints, at = meanings(), [], set(), 0
    while at < len(words):
        n = _longest(words, at, phrases)
        new = list(phrases[tuple(words[at : at + n])]) if n else [words[at]]
        at += n or 1
        for word in new:
            if word in HINTS:
                hints.add(HINTS[word])
            elif word == "anti" or word in ("antibody", "autoantibody", "abs"):
                out.append("ab")
            elif word == "antigen":
                out.append("ag")
            elif word not in EMPTY:
                out.append(word)
    return _without_doubles(out), frozenset(hints)


def _without_doubles(words: Sequence[str]) -> list[str]:
    out: list[str] = []
    start = 0
    for word in words:
        if word == "/":
            start = len(out) + 1
            out.append(word)
        elif word not in out[start:]:
            out.append(word)
    return out


def _halves(words: Sequence[str]) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    if "/" not in words:
        return tuple(words), "", ()
    at = list(words).index("/")
    above, below = tuple(words[:at]), tuple(word for word in words[at + 1 :] if word != "/")
    return (above, "/", below) if above else (below, "", ())


def canonical(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Canonical words of a text in which no specimen is looked for, and the properties that it tells."""
    words, hints = _canonical(split(text))
    return tuple(word for word in words if word != "/"), hints
