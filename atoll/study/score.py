"""Scores of diseases as data: points for groups of codes, for age and for sex; a group counts its highest points.

In the folder `scores`, for each NAME.yaml
    title         in two languages
    points_from   where the points were published, and `codes_from` where the codes were
    vocabulary    of the codes: icd10 or icd9
    groups        of each the parts: so many points for any of these codes or one that begins with it
    age, sex      points for everybody from this age on (the highest counts), and for a sex
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

HERE = Path(__file__).parent / "scores"
NAMES = ("charlson", "cha2ds2_vasc", "dcsi", "hfrs")
READS = ("condition", "observation", "procedure")  # domains in which the codes are looked for
VOCABULARIES = {"icd10": ("ICD10", "ICD10CM", "ICD10CN"), "icd9": ("ICD9CM",)}  # as OMOP names them


@dataclass(frozen=True)
class Part:
    """So many points for a record of any of these codes; codes without dots, each also for all that begin with it."""

    group: str
    points: float
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """A score: the sum over its groups of the highest points, over age and over sex.

    age   points from this age in years on; the highest age that is reached counts
    sex   points for `female` or `male`
    id    twelve hex digits that change with the table
    """

    name: str
    title: Mapping[str, str]
    points_from: str
    codes_from: str
    vocabulary: str
    parts: tuple[Part, ...]
    age: Mapping[int, float]
    sex: Mapping[str, float]
    id: str

    @property
    def highest(self) -> float:
        """The most points that a person can have."""
        groups: dict[str, float] = {}
        for part in self.parts:
            groups[part.group] = max(part.points, groups.get(part.group, 0.0))
        return sum(groups.values()) + max(self.age.values(), default=0.0) + max(self.sex.values(), default=0.0)


@cache
def score(name: str) -> Score:
    """The score of this name, one of `NAMES`."""
    content = (HERE / f"{name}.yaml").read_bytes()
    document = yaml.safe_load(content)
    return Score(
        name,
        document["title"],
        document["points_from"],
        document["codes_from"],
        document["vocabulary"],
        tuple(
            Part(group, float(part["points"]), tuple(code.replace(".", "") for code in part["codes"]))
            for group, parts in document["groups"].items()
            for part in parts
        ),
        document.get("age", {}),
        document.get("sex", {}),
        hashlib.sha256(content).hexdigest()[:12],
    )
