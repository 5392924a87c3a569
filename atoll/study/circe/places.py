"""A place of a definition as a person finds it: in words, and as a line of the YAML that says it.

A place is a path of Circe's keys, as `circe.nodes` gives it: `InclusionRules[1].expression.CriteriaList[0]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from atoll.study.circe import CohortExpression, nodes
from atoll.study.circe.as_yaml import DEEPEST, LARGEST, TITLE, is_yaml
from atoll.study.circe.criteria import CorrelatedCriteria, Criterion, DemographicCriteria
from atoll.study.circe.fields import fields_of
from atoll.study.circe.node import Node
from atoll.study.circe.sentences import NAMES, PLACES
from atoll.study.nodes import Node as Line
from atoll.study.nodes import from_yaml

_STEP = re.compile(r"([^.\[\]…]+)(?:\[(\d+)\])?")
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_TOP = {"PrimaryCriteria": "entry", "InclusionRules": "rules", "AdditionalCriteria": "also", "EndStrategy": "exit",
        "CensoringCriteria": "censor", "CensorWindow": "between", "CollapseSettings": "eras",
        "ConceptSets": "concepts", "PriorDays": "observed before", "PostDays": "observed after",
        "StartWindow": "starts", "EndWindow": "ends"}  # fmt: skip
Phrase = Callable[[Node], str]


def in_words(definition: CohortExpression, place: str, phrase: Phrase, language: int, whole: bool = False) -> str:
    """What a place is called: the part of the definition, the sentence of its criterion, and the attribute.

    phrase   the sentence of a criterion, in the language
    whole    name the last key whatever it is, as for one that Circe does not know
    """
    part = _part(definition, place, language)
    found = [(path, node) for path, node in nodes(definition) if _said(node) and _within(place, path)]
    path, node = max(found, key=lambda one: len(one[0]), default=("", None))
    if node is not None:
        part += (" (“{}”)", "（“{}”）")[language].format(phrase(node))
    last = place[len(path) :].rpartition(".")[2]
    name = NAMES.get(_CAPITAL.sub("_", last).lower())
    if whole and last:
        return (f"`{last}` in {part}", f"{part}中的 `{last}`")[language]
    return (f"the {name[0]} in {part}", f"{part}的{name[1]}")[language] if name and node is not None else part


def _said(node: Node) -> bool:
    return isinstance(node, (CorrelatedCriteria, Criterion, DemographicCriteria))


def _within(place: str, path: str) -> bool:
    return place.startswith(path) and place[len(path) : len(path) + 1] in ("", ".", "[")


def _part(definition: CohortExpression, place: str, language: int) -> str:
    for pattern, pair in PLACES.items():
        if found := re.match(pattern, place):
            number = int(found[1]) if found.re.groups else 0
            rules = definition.inclusion_rules
            name = (rules[number].name or "") if pattern.startswith("InclusionRules") and found.re.groups else ""
            return pair[language].format(number=number + 1, name=" ".join(name.split())).replace(" “”", "")
    return place


def lines(name: str, text: str) -> Callable[[str], int] | None:
    """The line of each place, where a file of this name is YAML and can be read; None where it has no lines."""
    root, problems = from_yaml(text, TITLE, largest=LARGEST, deepest=DEEPEST) if is_yaml(name) else (None, [])
    return partial(line_of, root) if root is not None and not problems else None


def line_of(root: Line, place: str) -> int:
    """The line of the YAML in which a place stands, or that of what it is a part of; 0 where that is the whole."""
    here, kind, line = root, "", 0
    for key, number in _steps(place):
        content = here.content
        if isinstance(content, list):
            break
        below = _below(content, key, number, kind) if isinstance(content, dict) else None
        if below is not None:
            here, line = below, below.line
        kind = key if number is None else kind
    return line


def _steps(place: str) -> Iterator[tuple[str, int | None]]:
    for key, number in _STEP.findall(place):
        yield key, int(number) if number else None


def _below(entry: dict[str, Line], key: str, number: int | None, kind: str) -> Line | None:
    """What a key of Circe is called in an entry of the YAML, and the member of a number; None: no step."""
    word = _TOP.get(key) or next((w for w in entry if _key(kind, w) == key), "")
    if number is None:
        return entry.get(word)
    if key == "ConceptSets":
        held = entry["concepts"].content if "concepts" in entry else {}
        return dict(enumerate(held.values())).get(number) if isinstance(held, dict) else None
    members: Any = entry[word].content if word in entry else _members(entry, key)
    return members[number] if isinstance(members, list) and number < len(members) else None


def _members(entry: dict[str, Line], key: str) -> list[Line]:
    """The members of a group, of one kind; in the YAML they stand in one list."""
    listed = next((node.content for word, node in entry.items() if word.endswith(" of")), [])
    kinds: dict[str, list[Line]] = {"CriteriaList": [], "DemographicCriteriaList": [], "Groups": []}
    for member in listed if isinstance(listed, list) else ():
        words = member.content if isinstance(member.content, dict) else {}
        group = any(word.endswith(" of") for word in words)
        kinds["DemographicCriteriaList" if "person" in words else "Groups" if group else "CriteriaList"].append(member)
    return kinds.get(key, [])


def _key(kind: str, word: str) -> str:
    """The key of Circe that a word of the YAML stands for among the attributes of a kind."""
    try:
        found = fields_of(kind or "DemographicCriteria").get(word)
    except (KeyError, LookupError):
        return ""
    return found.key if found else ""
