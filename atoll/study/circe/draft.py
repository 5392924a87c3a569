"""A first definition from a few answers: who enters by which code, from what age, and whether it is seen again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

KINDS = {
    "condition": "condition occurrence",
    "drug": "drug exposure",
    "measurement": "measurement",
    "procedure": "procedure occurrence",
    "observation": "observation",
    "device": "device exposure",
    "visit": "visit occurrence",
}
DAYS = 36_500  # at most, of a window


@dataclass(frozen=True)
class Answers:
    """What a person says of a cohort.

    kind       of the records by which persons enter, a key of `KINDS`
    concepts   ids; what is below them belongs to them
    first      only a person's first record counts
    before     days of observation before it
    age        in years, at least; 0 for everybody
    again      days within which it must be seen a second time; 0 when once is enough
    """

    title: str
    kind: str
    concepts: Sequence[int]
    first: bool = True
    before: int = 365
    age: int = 0
    again: int = 0


def draft(answers: Answers) -> str:
    """The definition in the text form of `as_yaml`, to be read, changed and completed."""
    name, word = answers.title, KINDS[answers.kind]
    entering: dict[str, Any] = {word: name} | ({"first": True} if answers.first else {})
    rules: list[dict[str, Any]] = []
    if answers.again:
        again = {word: name, "starts": f"1 day after to {answers.again} days after"}
        rules.append({"name": f"seen again within {answers.again} days", "all of": [again]})
    if answers.age:
        rules.append({"name": f"{answers.age} years or older", "all of": [{"person": {"age": f">= {answers.age}"}}]})
    document = {
        "title": name,
        "concepts": {name: list(answers.concepts)},
        "entry": {"any of": [entering], "observed before": answers.before, "take": "first" if answers.first else "all"},
        **({"rules": rules} if rules else {}),
        "eras": {"gap": 0},
    }
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))
