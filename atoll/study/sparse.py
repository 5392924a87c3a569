"""Large sparse features: every concept, or group of concepts, of a domain within a window, as columns of their own.

    least: 20
    sets:
      diagnoses: {from: condition, each: concept, window: [-365, 0]}
      chapters:  {from: condition, each: icd3, window: [null, 0], as: count}
      drugs:     {from: drug, each: atc4, window: [-90, 0], as: days}

A set has as many columns as there are concepts that `least` persons of the cohort have; which they are is found in the
data. A column's id follows from its meaning, window and concept or code alone, so it is the same at every hospital and
in every study. Concepts of a hospital's own have no meaning elsewhere and no column. As of all features, a window ends
at the index date.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import rfc8785

from atoll.study.features import NO_DAY, read_window
from atoll.study.form import Form
from atoll.study.nodes import Node, from_yaml

SPARSE_DOMAINS = ("condition", "drug", "procedure", "device", "measurement", "observation", "visit")
ATC = {"atc1": 1, "atc2": 3, "atc3": 4, "atc4": 5, "atc5": 7}  # letters of a code of each level
EACH = ("concept", "icd3", *ATC)
SAYS = ("any", "count", "days")
LEAST = 20  # persons of a column, unless told otherwise
_TITLE = "The sets of features cannot be read:"
_NO_WINDOW: tuple[int | None, int] = (NO_DAY, 0)


@dataclass(frozen=True)
class SparseSet:
    """One set of columns.

    domain   a word of `SPARSE_DOMAINS`
    each     a column a `concept` (standard), a category of ICD-10 (`icd3`, of the source's codes), a class of ATC
    window   days from the index date, both ends included; None: as far back as there is
    says     any (1), count (records), days (days with a record)
    """

    name: str
    domain: str
    each: str = "concept"
    window: tuple[int | None, int] = (NO_DAY, 0)
    says: str = "any"

    def id_of(self, key: str) -> int:
        """63 bits that stand for the column of a concept id or code; what the set is called does not matter."""
        meaning: dict[str, Any] = {"from": self.domain, "each": self.each, "window": list(self.window), "as": self.says}
        digest = hashlib.sha256(rfc8785.dumps(meaning | {"key": key})).digest()
        return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class Sparse:
    """Sets of columns, and how many persons a column must have."""

    sets: tuple[SparseSet, ...]
    least: int = LEAST


def read(text: str) -> Sparse:
    """The sets in a document that a person wrote (YAML).

    Raises
    ------
    Problems
        With every finding, each with its line.
    """
    root, problems = from_yaml(text, _TITLE)
    form = Form(problems)
    fields = form.fields(root, "", ("sets",), ("least",))
    least = form.part(fields, "", "least", Form.number, LEAST, 1, 10**9, True)
    sets: tuple[SparseSet, ...] = form.part(fields, "", "sets", _sets, ())
    form.finish(_TITLE)
    return Sparse(sets, int(least))


def _sets(form: Form, node: Node, key: str) -> tuple[SparseSet, ...]:
    found: list[SparseSet] = []
    for name, entry in form.entries(node, key, needed="set").items():
        path = f"{key}.{form.name(name, entry, key)}"
        fields = form.fields(entry, path, ("from",), ("each", "window", "as"))
        domain = form.part(fields, path, "from", Form.choice, "condition", SPARSE_DOMAINS)
        each = form.part(fields, path, "each", Form.choice, "concept", EACH)
        wanted = "condition" if each == "icd3" else "drug" if each in ATC else domain
        if domain != wanted:
            remedy = f"Write `from: {wanted}`, or `each: concept`."
            form.refuse(fields["each"], f"{path}.each", f"a {domain} has no group {each!r}.", remedy)
        window = form.part(fields, path, "window", read_window, _NO_WINDOW, True)
        says = form.part(fields, path, "as", Form.choice, "any", SAYS)
        one = SparseSet(name, domain, each, window, says)
        if any(one.id_of("") == other.id_of("") for other in found):
            form.refuse(entry, path, "another set says the same.", "Leave one of them out.")
        found.append(one)
    return tuple(found)
