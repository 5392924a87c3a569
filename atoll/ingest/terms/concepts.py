"""The candidates of the term matcher: concepts with their names read into parts.

A LOINC long name says component, property, specimen and method (`Glucose [Mass/volume] in Urine by Test strip`); the
parts are read from the name, so that any list of concepts will do. Other vocabularies' names are one component.
Sources: a CSV (concept_id, concept_name and whatever else it has), or what the package has names for; a whole
vocabulary is read by `vocabulary`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from atoll.errors import DataError
from atoll.ingest.lists import whole_rows
from atoll.ingest.terms.chinese import UNREAD, translate
from atoll.ingest.terms.text import canonical, dissected, split, table

BRACKET = re.compile(r"^(?P<component>.+?) \[(?P<property>[^\]]+)\](?P<more>.*)$")
WITHIN = re.compile(r" (?:in|of|for|from|-) ")
USUAL_BELOW = re.compile(
    r"/(?:100 [a-z0-9 ]+|Protein\.total|Hemoglobin\.total|[A-Za-z ]+\.total corrected for albumin)$", re.IGNORECASE
)
METHODS = {
    "automated count": "automated", "manual count": "manual", "light microscopy": "microscopy",
    "microscopy high power field": "hpf", "microscopy low power field": "lpf", "test strip": "strip",
    "immunoassay": "immunoassay", "rapid immunoassay": "immunoassay", "coagulation assay": "coagulation",
    "electrophoresis": "electrophoresis", "calculation": "calculation", "screen method": "screen",
    "naa with probe detection": "naa", "organism specific culture": "culture", "chromogenic method": "chromogenic",
}  # fmt: skip
WHOLE = ("Condition", "Drug", "Procedure", "Device")  # domains whose names are not parted
DISSECTED = ("Condition", "Procedure", "Observation")
USUAL = {"Measurement": ("LOINC",), "Condition": ("SNOMED",), "Drug": ("RxNorm", "RxNorm Extension"),
         "Procedure": ("SNOMED",)}  # fmt: skip


@dataclass(frozen=True)
class Concept:
    """One candidate.

    words, below   canonical words of the component, and of a ratio's second part
    system         specimen as `systems.csv` names it, or empty
    property       as `properties.csv` names it; "none" without one
    method         "" without one, a key of `METHODS`' values, or "other"
    tail           canonical words of method and property, for names that tell them
    """

    concept_id: int
    name: str
    domain: str
    words: tuple[str, ...]
    below: tuple[str, ...]
    system: str
    property: str
    method: str
    tail: tuple[str, ...]
    variant: int = 0  # 0 the name itself; 1 a synonym or an earlier decision
    standard: bool = True
    usual: bool = True  # of the vocabulary that OMOP has for this domain, so far as that is known


def parse(concept_id: int, name: str, domain: str = "", variant: int = 0) -> Concept:
    """Read a concept's name into its parts. That of a disease or a drug is one component: its bones are no specimen."""
    name = name.strip().strip('"')
    if domain in WHOLE:
        return Concept(concept_id, name, domain, canonical(name)[0] or (name.lower(),), (), "", "none", "", (), variant)
    rest, _, method = name.rpartition(" by ") if " by " in name else (name, "", "")
    found = BRACKET.match(rest)
    component, kind, more = (found["component"], found["property"], found["more"]) if found else (rest, "", "")
    if not kind:
        component, more = _cut_system(component)
    elif kind and not more and (at := WITHIN.search(component)):  # Cholesterol in HDL [Mass/volume] in Serum
        component = component[: at.start()] + " " + component[at.end() :]
    more, repeated = _trailing_property(more)
    kind = kind or repeated
    component = re.sub(r"\((?:T4 helper|T8 suppressor(?: cells)?)\)", "", component)
    above, below, fraction = _ratio(component)
    words, hints = canonical(above)
    system = _system(more)
    tail = canonical(f"{method} {more}")[0]
    prop = table("properties.csv").get(tuple(split(kind or "")), "text") if kind else "none"
    if fraction and prop in ("none", "ratio"):
        prop = "fraction"
    elif below and prop == "none":
        prop = "ratio"
    elif "time" in words and prop == "none":
        prop = "time"
    if set(words) & {"observation", "identified"}:  # the analyte of a stain or a culture is its method
        words += tuple(word for word in tail if word not in words)
    usual = METHODS.get(method.lower(), "other" if method else "")
    return Concept(
        concept_id, name, domain, words or (name.lower(),), canonical(below)[0] if below else (), system, prop, usual,
        tail + tuple(sorted(hints)), variant,
    )  # fmt: skip


def forms(concept: Concept) -> Iterator[Concept]:
    """A concept as it is, and a disease also with its parts as nouns of their own."""
    yield concept
    if concept.domain in DISSECTED and (parts := dissected(concept.words)) != concept.words:
        yield replace(concept, words=parts)


def _cut_system(text: str) -> tuple[str, str]:
    """`Osmolality of Urine` → component and specimen, where what follows is a specimen."""
    for at in reversed(list(WITHIN.finditer(text))):
        if _system(text[at.start() :]):
            return text[: at.start()], text[at.start() :]
    return text, ""


def _trailing_property(more: str) -> tuple[str, str]:
    """`in HDL [Mass/volume] in Serum` holds a second bracket: the part after it is the specimen."""
    if found := re.search(r"\[([^\]]+)\](.*)$", more):
        return found[2], found[1]
    return more, ""


def _ratio(component: str) -> tuple[str, str, bool]:
    """Above, below, and whether what stands below is the usual whole (100 leukocytes, total hemoglobin)."""
    if component.endswith(" actual/normal"):
        return component.removesuffix(" actual/normal"), "", True
    if USUAL_BELOW.search(component):
        return USUAL_BELOW.sub("", component), "", True
    above, slash, below = component.partition("/")
    if slash and below.lower().removesuffix(".total").strip() == re.sub(r"\.[^.]*$", "", above).lower().strip():
        return above, "", True
    head = above.split(".")[0].split(" ")[0].lower()
    if slash and below.endswith(".total") and below.lower().startswith(head):
        return above, "", True
    return above, below, False


def _system(text: str) -> str:
    words, known = split(text), table("systems.csv")
    while words and words[0] in ("in", "of", "for", "from", "by"):
        words = words[1:]
    return known.get(tuple(words), "")


def read_concepts(path: Path) -> list[Concept]:
    """The concepts of a CSV file with concept_id and concept_name.

    `domain_id`, `vocabulary_id`, `standard_concept` (or `standard`) and `concept_synonym` (several, by |) are used
    where present.

    Raises
    ------
    DataError
        When the file is missing, holds no such columns, or an id is not a number.
    """
    found = []
    for line, row in enumerate(_rows(path), 2):
        try:
            number = int(row["concept_id"])
        except (KeyError, ValueError):
            raise DataError(
                f"{path.name}, line {line}: a concept needs a number in the column concept_id.",
                "Give a CSV with the columns concept_id and concept_name.",
            ) from None
        domain = row.get("domain_id") or ("Measurement" if row.get("loinc") else "")
        names = [row.get("concept_name") or "", *filter(None, (row.get("concept_synonym") or "").split("|"))]
        flag, vocabulary = row.get("standard_concept", row.get("standard")), row.get("vocabulary_id", "")
        standard = flag is None or flag.upper() == "S"
        usual = not vocabulary or vocabulary in USUAL.get(domain, (vocabulary,))
        for at, name in enumerate(names):
            found.append(replace(parse(number, name, domain, int(at > 0)), standard=standard, usual=usual))
    if not found:
        raise DataError(f"{path.name} holds no concepts.", "Give a CSV with the columns concept_id and concept_name.")
    return found


def starter_candidates() -> list[Concept]:
    """The concepts that the package has a name for: drugs, common tests by analyte, property and specimen
    (`common_tests.csv`), and in its own words diagnoses. LOINC's and SNOMED's own names are not in it: a vocabulary
    brings them."""
    rows = csv.DictReader(_of_package("atoll.cdm", "starter_concepts.csv"))
    found = {
        int(row["concept_id"]): (row["concept_name"], row["domain_id"])
        for row in rows
        if row["standard_concept"] == "S" and row["concept_name"] != f"{row['vocabulary_id']} {row['concept_code']}"
    }
    chinese: list[Concept] = []
    for row in csv.DictReader(_of_package("atoll.knowledge", "phenotypes/concepts.csv")):
        found.setdefault(int(row["concept_id"]), (row["own_name"], row["domain"]))
        read_as = translate(row["zh"], row["domain"]).english  # a name of ours may be shorter than the word for it
        if read_as and UNREAD not in read_as.split():
            chinese.append(parse(int(row["concept_id"]), read_as, row["domain"], 1))
    for row in common_tests():
        parts = (
            row["analyte"],
            f"[{row['property']}]" * bool(row["property"]),
            f"in {row['specimen']}" * bool(row["specimen"]),
        )
        found[int(row["concept_id"])] = (" ".join(filter(None, parts)), "Measurement")
    return [parse(number, name, domain) for number, (name, domain) in found.items()] + chinese


def common_tests() -> list[dict[str, str]]:
    """The commonest tests: concept_id, analyte, property, specimen, and for mass and moles a usual unit."""
    return list(csv.DictReader(_of_package("atoll.ingest.terms", "common_tests.csv")))


def _of_package(package: str, name: str) -> list[str]:
    return files(package).joinpath(name).read_text("utf-8").splitlines()


def _rows(path: Path) -> Iterable[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in whole_rows(csv.DictReader(file, restval=""), path.name):
                yield {key.strip().lower(): value for key, value in row.items() if isinstance(key, str)}
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} cannot be read as a table.", "Give a UTF-8 file with a line of names.") from error
