"""What speaks for and against a pair of name and candidate, as numbers: the signals that the matcher weighs."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.ingest.terms.chinese import is_chinese, plain, translate
from atoll.ingest.terms.concepts import DISSECTED, METHODS, WHOLE
from atoll.ingest.terms.index import Index, coded, weighted
from atoll.ingest.terms.text import (
    HERE,
    Reading,
    abbreviated,
    canonical,
    chinese_systems,
    dissected,
    read,
    split,
    systems,
    unfold,
)
from atoll.study.units import canonical as ucum

if TYPE_CHECKING:
    from atoll.ingest.terminology import Name

PROPERTIES = ("mass", "moles", "units", "enzyme", "count", "area", "presence", "titer", "text", "ratio", "fraction",
              "daily", "pressure", "entitic", "time", "none")  # fmt: skip
CATEGORIES = ("chemistry", "hematology", "gas")
BLOODS = ("serum", "blood", "arterial", "ppp")
CELLS = frozenset((
    "leukocyte", "erythrocyte", "platelet", "neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil",
    "granulocyte", "reticulocyte", "blast", "hemoglobin", "hematocrit", "mcv", "mch", "mchc", "prothrombin", "aptt",
    "inr", "fibrinogen",
    "coagulation", "thrombin", "antithrombin", "myelocyte", "metamyelocyte", "promyelocyte", "polymorphonuclear",
))  # fmt: skip
USUAL = "blood"  # the specimen of a laboratory test for which none is told
METHOD_NAMES = ("", *sorted(set(METHODS.values())), "other")
CATEGORY_WORDS = {
    "chemistry": ("chem", "生化", "biochem", "immun", "serol", "endocr", "免疫", "激素", "肿瘤"),
    "hematology": ("hemat", "haemat", "coag", "cbc", "血常规", "血液", "凝血", "血细胞"),
    "gas": ("gas", "血气"),
}
FEATURES = (
    "words", "words of the name found", "words of the concept found", "same words", "n-grams",
    "n-grams of the raw text",
    "ratio's second part", "ratio only in the name", "ratio only in the concept", "method words",
    "words of the concept missing", "words of the name missing",
    "specimen same", "specimen close", "specimen not said by the concept", "specimen other",
    "property fits", "property other", "property none", "earlier decision", "domain other", "synonym",
    "words of the unit", "a procedure rather than a result", "a value asked, presence given",
    "a value asked, concentration given", "not standard", "not of the usual vocabulary",
    *(f"property {p} by default" for p in PROPERTIES),
    *(f"property {p} in {c}" for c in CATEGORIES for p in ("mass", "moles", "presence", "units", "count", "fraction")),
    *(f"specimen {s} in {c}" for c in CATEGORIES for s in BLOODS),
    *(f"method {m or 'none'}" for m in METHOD_NAMES),
    "qualitative name, screen method", "cell count, automated",
)  # fmt: skip
AT = {name: i for i, name in enumerate(FEATURES)}


@dataclass(frozen=True)
class Hospital:
    """A block of names, read: matrices over the index's columns, and what is told beside the words.

    domain   the domain that is given, else the one that a Chinese name's words speak for
    asked    the domain that is given
    """

    readings: list[Reading]
    words: Any
    below: Any
    grams: Any
    raw: Any
    unit: Any
    norm: Any
    mass: Any
    system: list[str]
    property: list[str]
    category: list[str]
    domain: list[str]
    asked: list[str]
    decided: list[int | None]


@dataclass(frozen=True)
class Pairs:
    """Candidates of names: pair k is name rows[k] with concept columns[k], and x[k] its features."""

    rows: Any
    columns: Any
    x: Any
    ids: Any

    def best_of_concept(self, score: Any) -> Any:
        """True for one pair of every name and concept id: the one with the highest score."""
        order = np.lexsort((-score, self.ids, self.rows))
        first = np.ones(len(order), bool)
        first[1:] = (np.diff(self.rows[order]) != 0) | (np.diff(self.ids[order]) != 0)
        found = np.empty(len(order), bool)
        found[order] = first
        return found

    def reason(self, pair: int, block: Hospital, index: Index) -> str:
        """Why this candidate, in words."""
        row, x = int(self.rows[pair]), self.x[pair]
        concept, reading = index.concepts[self.columns[pair]], block.readings[row]
        said = []
        if x[AT["earlier decision"]]:
            said.append("decided so before")
        shared = [word for word in reading.words if word in concept.words]
        if x[AT["same words"]] and len(shared) == len(reading.words):
            said.append(f"same words: {' '.join(reading.words)}")
        elif x[AT["same words"]]:  # cut short, or misspelt
            said.append(f"{' '.join(reading.words)} read as {' '.join(concept.words)}")
        elif shared:
            said.append(f"shared words: {' '.join(shared)}")
        else:
            said.append(f"similar letters ({x[AT['n-grams']]:.0%})")
        if system := block.system[row]:
            if x[AT["specimen same"]]:
                said.append(f"specimen {system}")
            elif x[AT["specimen close"]]:
                said.append(f"specimen {system} is close to {concept.system}")
            elif x[AT["specimen other"]]:
                said.append(f"another specimen: {concept.system}")
        if (kind := block.property[row]) and concept.property != "none":
            fits = "fits" if x[AT["property fits"]] >= 0.5 else "hardly fits"
            fits = "is to be converted into" if {kind, concept.property} == {"mass", "moles"} else fits
            said.append(f"{kind} {fits} {concept.property}")
        if x[AT["method words"]]:
            said.append("method words")
        return "; ".join(said).replace("protein_", "protein ")


@cache
def closeness(name: str) -> dict[tuple[str, str], float]:
    """A table of how close two kinds are, 0 to 1."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return {(a, b): float(value) for a, b, value in list(csv.reader(file))[1:]}


def hospital_side(names: Sequence[Name], index: Index) -> Hospital:
    """Read a block of names for an index."""
    both = [_reading(name, index) for name in names]
    readings = [reading for reading, _ in both]
    rows = [_known(reading.words, index) for reading in readings]
    words = weighted(rows, len(index.vocabulary))
    below = weighted([_known(reading.below, index) for reading in readings], len(index.vocabulary))
    unknown = np.array([sum(index.rare for w in r.words if w not in index.vocabulary and not index.meant(w))
                        for r in readings])  # fmt: skip
    canonical = [" ".join((*reading.words, *reading.below)) for reading in readings]
    units = [{index.vocabulary[w]: 1.0 for w in split(n.unit) if len(w) > 2 and w in index.vocabulary} for n in names]
    return Hospital(
        readings=readings,
        words=words,
        below=below,
        grams=index.grams_like(canonical),
        raw=index.grams_like([reading.plain for reading in readings]),
        unit=weighted(units, len(index.vocabulary)),
        norm=np.sqrt(words.multiply(words).sum(1).A1 + unknown**2),
        mass=words.sum(1).A1 + unknown,
        system=[
            reading.system or _fluid(name.fluid) or ("" if domain in ("Drug", "Condition") else USUAL)
            for (reading, domain), name in zip(both, names, strict=True)
        ],
        property=[_property(reading, name) for reading, name in zip(readings, names, strict=True)],
        category=[
            _category(name.category) or _usual_category(reading, name.unit)
            for (reading, _), name in zip(both, names, strict=True)
        ],
        domain=[domain for _, domain in both],
        asked=[name.domain for name in names],
        decided=[index.decided.get(" ".join(split(name.name))) for name in names],
    )


MEASURED = re.compile(r"/\s*[dmuµμ]?l\b|/\s*[hl]pf?\b|mmhg|/\s*24h", re.IGNORECASE)  # units that drugs have not


def told_domain(name: Name) -> str:
    """The domain that is given, or that a specimen or a result's unit tells; else empty."""
    return name.domain or ("Measurement" if name.fluid or MEASURED.search(name.unit) else "")


def _reading(name: Name, index: Index) -> tuple[Reading, str]:
    """The reading of a name, and its domain. Words that a machine ran together are parted where they are known so."""
    told = told_domain(name)
    if is_chinese(name.name):
        chinese = translate(name.name, told)
        english, domain = chinese.english or name.name, chinese.domain
        if domain in WHOLE or not (domain or chinese.system):
            return _whole(english, domain or "Condition"), domain
        reading = read(english)
        return replace(reading, system=reading.system or chinese.system), domain
    if told in ("", "Condition") and (means := abbreviated(name.name)):
        return _whole(means, "Condition"), "Condition"
    if name.domain in WHOLE:
        return _whole(name.name, name.domain), name.domain
    text = _joined(name.name, index)
    whole = read(text)
    if all(word in index.vocabulary for word in whole.words) or unfold(text) == text:
        return whole, told
    parted = read(unfold(text))
    known = [sum(word in index.vocabulary for word in r.words) / max(len(r.words), 1) for r in (whole, parted)]
    return (parted if known[1] > known[0] else whole), told


def _whole(text: str, domain: str) -> Reading:
    """The reading of a name that tells no specimen."""
    words = canonical(text)[0]
    return Reading(dissected(words) if domain in DISSECTED else words, plain=" ".join(split(text)))


def _joined(text: str, index: Index) -> str:
    """Two words that are one in the vocabulary are joined: `Macro Prolactin`."""
    words = split(text)
    for a, b in pairwise(words):
        if len(a) > 2 and len(b) > 2 and a + b in index.vocabulary:
            text = re.sub(rf"\b{a}s?[\s-]+(?={b})", a, text, flags=re.IGNORECASE)
    return text


def _known(words: Sequence[str], index: Index) -> dict[int, float]:
    found: dict[int, float] = {}
    for word in words:
        meant = {index.vocabulary[word]: 1.0} if word in index.vocabulary else index.meant(word)
        for at, share in meant.items():
            found[at] = max(found.get(at, 0.0), share * index.idf[at])
    return found


def _fluid(text: str) -> str:
    if is_chinese(text):
        return chinese_systems().get(plain(text), "") or translate(text).system
    return systems().get(tuple(split(text)), "")


def _category(text: str) -> str:
    lower = text.lower()
    return next((c for c, words in CATEGORY_WORDS.items() if any(w in lower for w in words)), "")


def _usual_category(reading: Reading, unit: str) -> str:
    """Chemistry or hematology where the hospital does not say: cells and clotting are hematology."""
    words = frozenset(reading.words)
    if words & CELLS or any(word.startswith("cd") and word[2:3].isdigit() for word in words):
        return "hematology"
    return "hematology" if unit_kind(unit) in ("cells", "entitic", "seconds") else "chemistry"


UNIT_KINDS = (
    ("log", r"^log"), ("daily", r"/\s*(24\s*h|24hr|day|d$)"), ("clearance", r"m[lL]/min"), ("field", r"/[hl]pf|视野"),
    ("pressure", r"mm\s*hg|kpa"), ("entitic", r"^(fl|pg)$"), ("moles", r"(mol|eq)/"), ("moles", r"^m?mol"),
    ("cells", r"^(#|[km](?![a-z])|10|×|x10|\^|/|cells|th|g/l$)|/(ul|µl|μl|cu)|10\*"), ("unit", r"(iu|u|units?)/"),
    ("unit", r"^(units?|gpl|mpl|iu|u|au)"), ("mass", r"g/"), ("percent", r"^%"), ("seconds", r"^(s|sec|seconds?|min)$"),
    ("ratio", r"^ratio|^1$"), ("qualitative", r"pos|neg|阴|阳"), ("qualitative", r"^n/?a$"), ("titer", r"titer|1:"),
    ("none", r"osm|score"),
)  # fmt: skip
SAMPLE_WORD = re.compile(r"^\s*(neg|pos|阴|阳|未检|trace|small|moderate|large|none|[+±-]|\d\+)", re.IGNORECASE)


def unit_kind(unit: str) -> str:
    """What a unit measures (a key of `unit_properties.csv`), or empty."""
    lower = unit.strip().lower().split("|")[0]
    if lower in ("", "#error!"):
        return ""
    if lower == "g/l":
        return "mass"
    found = next((kind for kind, pattern in UNIT_KINDS if re.search(pattern, lower)), "")
    return unit_kind(ucum(unit)) if not found and is_chinese(unit) else found


def _property(reading: Reading, name: Name) -> str:
    """The property told by the unit, else by the name, else by sample values."""
    kind = unit_kind(name.unit)
    if kind and kind != "qualitative":
        return kind
    for hint in ("count", "fraction", "titer", "ratio", "qualitative"):
        if hint in reading.hints:
            return hint
    samples = [value for value in re.split(r"[|;]", name.sample_values) if value.strip()]
    if samples and sum(bool(SAMPLE_WORD.match(value)) for value in samples) > len(samples) / 2:
        return "qualitative"
    return kind


def features(block: Hospital, index: Index, rows: Any, columns: Any) -> Pairs:
    """The features of pairs, one row a pair."""
    x = np.zeros((len(rows), len(FEATURES)))
    _text(x, block, index, rows, columns)
    _parts(x, block, index, rows, columns)
    return Pairs(rows, columns, x, index.ids[columns])


def _text(x: Any, block: Hospital, index: Index, rows: Any, columns: Any) -> None:
    def product(a: Any, b: Any) -> Any:
        return a[rows].multiply(b[columns]).sum(1).A1

    presence = index.words.copy()
    presence.data = np.ones_like(presence.data)
    own = block.words.copy()
    own.data = np.ones_like(own.data)
    dot = product(block.words, index.words)
    found, covered = product(block.words, presence), product(own, index.words)
    x[:, AT["words"]] = dot / np.maximum(block.norm[rows] * index.norm[columns], 1e-9)
    x[:, AT["words of the name found"]] = found / np.maximum(block.mass[rows], 1e-9)
    x[:, AT["words of the concept found"]] = covered / np.maximum(index.mass[columns], 1e-9)
    x[:, AT["words of the concept missing"]] = (index.mass[columns] - covered) / index.rare
    x[:, AT["words of the name missing"]] = (block.mass[rows] - found) / index.rare
    same = (x[:, AT["words of the concept missing"]] < 1e-6) & (x[:, AT["words of the name missing"]] < 0.05)
    x[:, AT["same words"]] = same
    x[:, AT["n-grams"]] = product(block.grams, index.grams)
    x[:, AT["n-grams of the raw text"]] = product(block.raw, index.grams)
    x[:, AT["words of the unit"]] = product(block.unit, presence)
    tail = index.tail.copy()
    tail.data = np.ones_like(tail.data)
    left = product(block.words, tail) / np.maximum(block.mass[rows], 1e-9)
    x[:, AT["method words"]] = left
    below_a, below_b = block.below.getnnz(1) > 0, index.below.getnnz(1) > 0
    both = below_a[rows] & below_b[columns]
    length = np.sqrt(block.below.multiply(block.below).sum(1).A1)[rows]
    length = length * np.sqrt(index.below.multiply(index.below).sum(1).A1)[columns]
    x[:, AT["ratio's second part"]] = np.where(both, product(block.below, index.below) / np.maximum(length, 1e-9), 0)
    x[:, AT["ratio only in the name"]] = below_a[rows] & ~below_b[columns]
    x[:, AT["ratio only in the concept"]] = ~below_a[rows] & below_b[columns]


def _grid(table: Mapping[tuple[str, str], float], left: Sequence[str], right: Sequence[str]) -> Any:
    return np.array([[1.0 if a == b else table.get((a, b), 0.0) for b in right] for a in left])


def _parts(x: Any, block: Hospital, index: Index, rows: Any, columns: Any) -> None:
    """Specimen, property, method, category, domain, decisions."""
    system, own = coded(block.system)
    other, theirs = index.parts["system"]
    near = _grid(closeness("kinship.csv"), own, theirs)[system[rows], other[columns]]
    said, has = np.array([bool(s) for s in own])[system[rows]], np.array([bool(s) for s in theirs])[other[columns]]
    x[:, AT["specimen same"]] = said & has & (near == 1)
    x[:, AT["specimen close"]] = np.where(said & has & (near < 1), near, 0)
    x[:, AT["specimen not said by the concept"]] = ~has
    x[:, AT["specimen other"]] = said & has & (near == 0)
    kind, kinds = coded(block.property)
    prop, props = index.parts["property"]
    fit = _grid(closeness("unit_properties.csv"), kinds, props)[kind[rows], prop[columns]]
    known = np.array([k not in ("", "qualitative") for k in kinds])[kind[rows]]
    told = np.array([bool(k) for k in kinds])[kind[rows]]
    x[:, AT["property fits"]] = np.where(told, fit, 0)
    x[:, AT["property other"]] = known & (fit == 0)
    plain = np.array([p == "none" for p in props])[prop[columns]]
    x[:, AT["property none"]] = plain
    _by_default(x, block, rows, [props[p] for p in prop[columns]], ~told, [theirs[s] for s in other[columns]])
    asked = np.array(["value" in r.hints for r in block.readings])[rows]
    x[:, AT["a value asked, presence given"]] = asked & (np.array(props)[prop[columns]] == "presence")
    x[:, AT["a value asked, concentration given"]] = asked & np.isin(
        np.array(props)[prop[columns]], ["units", "mass", "moles", "enzyme", "count"]
    )
    method, methods = index.parts["method"]
    for name in METHOD_NAMES:
        x[:, AT[f"method {name or 'none'}"]] = np.array([m == name for m in methods])[method[columns]]
    x[:, AT["qualitative name, screen method"]] = (
        np.array(["qualitative" in r.hints for r in block.readings])[rows] * x[:, AT["method screen"]]
    )
    x[:, AT["cell count, automated"]] = (
        np.isin(np.array(kinds)[kind[rows]], ["cells", "count"]) * (x[:, AT["method automated"]])
    )
    decided = np.array([-1 if number is None else number for number in block.decided])[rows]
    x[:, AT["earlier decision"]] = decided == index.ids[columns]
    domains = index.domains[columns]
    wanted = np.array(block.domain)[rows]
    x[:, AT["domain other"]] = (wanted != "") & (domains != "") & (wanted != domains)
    x[:, AT["a procedure rather than a result"]] = index.broad[columns]
    x[:, AT["synonym"]] = index.variant[columns] == 1
    standard, usual = index.standing
    x[:, AT["not standard"]], x[:, AT["not of the usual vocabulary"]] = ~standard[columns], ~usual[columns]


def _by_default(x: Any, block: Hospital, rows: Any, prop: list[str], untold: Any, system: list[str]) -> None:
    """What is usual where nothing was told: properties, and the kind of blood, by category."""
    props, systems_ = np.array(prop), np.array(system)
    category = np.array(block.category)[rows]
    blood = np.isin(np.array(block.system)[rows], ["blood", ""])
    for p in PROPERTIES:
        x[:, AT[f"property {p} by default"]] = (props == p) & untold
    for c in CATEGORIES:
        for p in ("mass", "moles", "presence", "units", "count", "fraction"):
            x[:, AT[f"property {p} in {c}"]] = (props == p) & untold & (category == c)
        for s in BLOODS:
            x[:, AT[f"specimen {s} in {c}"]] = (systems_ == s) & blood & (category == c)
