"""A Circe definition as a text that a person writes and reads: YAML with the field's words, both ways.

    title: High blood pressure, first seen
    concepts:
      high blood pressure: [320128 high blood pressure]     with what is below it; {only: …}, {not: …}, {mapped: true}
    entry:
      any of:
      - condition occurrence: high blood pressure
        age: '>= 18'
      observed before: 365
      take: first
    rules:
    - name: seen again
      all of:
      - condition occurrence: high blood pressure
        starts: 1 day after to 365 days after

Every kind, attribute, window, group, limit, exit, era and censor option has its word, made from its name in `circe`.
What no engine reads is left out: codes and captions of concepts, numbers of concept sets, keys that are null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import yaml

from atoll.errors import StudyError
from atoll.study import circe
from atoll.study.circe.fields import KINDS, Field, fields_of
from atoll.study.circe.node import Misread
from atoll.study.circe.values import read_concept, read_window, take_occurrence
from atoll.study.circe.yaml_writer import ANY, DocumentWriter
from atoll.study.nodes import Node as Line
from atoll.study.nodes import Problem, Problems, from_yaml

LARGEST, DEEPEST = 4 * 1_048_576, 200  # bytes, and levels of YAML: some three for a group of Circe
SUFFIXES = (".yaml", ".yml")
TITLE = "The definition cannot be used:"
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
GROUP = re.compile(r"(all|any|group) of|at (least|most) ([0-9]{1,9}) of")
TOP = ("title", "cdm", "concepts", "entry", "also", "also take", "rules", "keep", "exit", "censor", "eras", "between")


def written(definition: circe.CohortExpression) -> str:
    """The definition as YAML.

    Raises
    ------
    StudyError
        When it holds what the text form has no word for: a key that Circe does not know, two sets of one number, a
        set that is not there.
    """
    unknown = circe.unknown_keys(definition)
    if unknown:
        raise StudyError(f"{unknown[0]} is no key of Circe: the text form has no word for it.", "Keep it as JSON.")
    try:
        document = DocumentWriter(definition).document()
    except Misread as error:
        raise error.error() from None
    return str(yaml.dump(document, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120))


def read(text: str) -> circe.CohortExpression:
    """The definition that a YAML text says.

    Raises
    ------
    Problems
        With line, word and remedy, when it is none.
    StudyError
        When it says something that no Circe definition can.
    """
    return _definition(_root(text))


def read_sets(text: str) -> circe.CohortExpression:
    """The concept sets of a text that holds them alone, in a definition of nobody.

    Raises
    ------
    Problems
        As `read`.
    """
    root = _root(text)
    if isinstance(root.content, dict) and "entry" in root.content:
        return _definition(root)
    return _definition(Line({"concepts": root, "entry": Line({}, root.line)}, root.line))


def named(name: str, text: str | bytes) -> circe.CohortExpression:
    """The definition of a file of this name: YAML where it ends so, else JSON.

    Raises
    ------
    StudyError
        When it holds no definition.
    """
    if not is_yaml(name):
        return circe.read(text)
    try:
        return read(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise StudyError("The definition is no UTF-8 text.", "Save it as UTF-8.") from error


def is_yaml(name: str) -> bool:
    """Whether a file of this name holds the text form."""
    return name.lower().endswith(SUFFIXES)


def _root(text: str) -> Line:
    root, problems = from_yaml(text, TITLE, largest=LARGEST, deepest=DEEPEST)
    if problems:
        raise Problems(TITLE, problems)
    return root


def _definition(root: Line) -> circe.CohortExpression:
    try:
        made = DocumentReader().document(_mapping(root.value()))
    except Misread as error:
        path = list(reversed(error.steps))
        key = "".join(path).lstrip(".")
        raise Problems(TITLE, [Problem(_line(root, path), key, error.sentence, error.remedy)]) from None
    except ValueError as error:
        raise Problems(TITLE, [Problem(0, "", f"a number {error}.", "Correct it.")]) from None
    return circe.read(json.dumps(made))


def _line(root: Line, path: Iterable[str]) -> int:
    """The line of the innermost entry on this path that stands in the document."""
    line = root.line
    for step in path:
        content = root.content
        if isinstance(content, list) and step.startswith("[") and int(step[1:-1]) < len(content):
            root = content[int(step[1:-1])]
        elif isinstance(content, dict) and step[1:] in content:
            root = content[step[1:]]
        else:
            break
        line = root.line
    return line


class DocumentReader:
    """Circe's JSON from the text form."""

    def __init__(self) -> None:
        self._sets: dict[str, int] = {}

    def document(self, top: Mapping[str, Any]) -> dict[str, Any]:
        """The whole definition."""
        _known(top, TOP)
        if "entry" not in top:
            raise Misread("has no `entry`.", "Say by which events persons enter: `entry: {any of: […]}`.")
        out: dict[str, Any] = {}
        for name, key in (("title", "Title"), ("cdm", "cdmVersionRange")):
            if top.get(name) is not None:
                out[key] = str(top[name])
        out["ConceptSets"] = _at(top, "concepts", self._concepts, [])
        out["PrimaryCriteria"] = _at(top, "entry", self._entry, {})
        for name, key in (("also take", "QualifiedLimit"), ("keep", "ExpressionLimit")):
            if top.get(name) is not None:
                out[key] = _limit(top[name])
        out["InclusionRules"] = _at(top, "rules", lambda value: _each(value, self._rule), [])
        out["CensoringCriteria"] = _at(top, "censor", lambda value: _each(value, self._criterion), [])
        others: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
            ("also", "AdditionalCriteria", self._group), ("exit", "EndStrategy", self._exit),
            ("eras", "CollapseSettings", _eras), ("between", "CensorWindow", _period),
        )  # fmt: skip
        for name, key, reader in others:
            if top.get(name) is not None:
                out[key] = _at(top, name, reader, None)
        return out

    def _concepts(self, value: Any) -> list[dict[str, Any]]:
        sets = _mapping(value)
        if ANY in sets:
            raise Misread(f"holds a set called `{ANY}`, which means no set.", "Give it another name.")
        self._sets = {name: number for number, name in enumerate(sets)}
        return [
            {"id": number, "name": name, "expression": {"items": _at(sets, name, lambda v: _each(v, _item), [])}}
            for number, name in enumerate(sets)
        ]

    def _entry(self, value: Any) -> dict[str, Any]:
        entry = _mapping(value)
        _known(entry, ("any of", "observed before", "observed after", "take"))
        window = {"PriorDays": entry.get("observed before", 0), "PostDays": entry.get("observed after", 0)}
        found = {"CriteriaList": _at(entry, "any of", lambda v: _each(v, self._criterion), [])}
        return found | {"ObservationWindow": window, "PrimaryCriteriaLimit": _limit(entry.get("take", "all"))}

    def _rule(self, value: Any) -> dict[str, Any]:
        rule = dict(_mapping(value))
        head = {name: str(rule.pop(name)) for name in ("name", "description") if rule.get(name) is not None}
        return {**head, "expression": self._group(rule)}

    def _group(self, value: Any) -> dict[str, Any]:
        group = _mapping(value)
        if len(group) != 1 or not (said := GROUP.fullmatch(next(iter(group)))):
            raise Misread(
                "is no group.", "Write `all of:`, `any of:`, `at least 2 of:` or `at most 2 of:`, then a list."
            )
        word = next(iter(group))
        out: dict[str, Any] = {"CriteriaList": [], "DemographicCriteriaList": [], "Groups": []}
        if said[1] != "group":
            out["Type"] = said[1].upper() if said[1] else f"AT_{said[2].upper()}"
        if said[3]:
            out["Count"] = int(said[3])
        for kind, member in _at(group, word, lambda v: _each(v, self._member), []):
            out[kind].append(member)
        return out

    def _member(self, value: Any) -> tuple[str, dict[str, Any]]:
        entry = _mapping(value)
        if "person" in entry:
            _known(entry, ("person",))
            return "DemographicCriteriaList", _at(entry, "person", self._person, {})
        if any(GROUP.fullmatch(word) for word in entry):
            return "Groups", self._group(entry)
        return "CriteriaList", self._correlated(entry)

    def _person(self, value: Any) -> dict[str, Any]:
        return self._attributes(_mapping(value), fields_of("DemographicCriteria"))

    def _correlated(self, value: Mapping[str, Any]) -> dict[str, Any]:
        entry = dict(value)
        out: dict[str, Any] = {"Occurrence": take_occurrence(entry)}
        starts = _at(entry, "starts", read_window, {"Start": {"Coeff": -1}, "End": {"Coeff": 1}})
        out["StartWindow"] = starts
        if "ends" in entry:
            out["EndWindow"] = _at(entry, "ends", read_window, None)
        for word, key in (("same visit", "RestrictVisit"), ("outside observation", "IgnoreObservationPeriod")):
            if word in entry:
                out[key] = entry[word]
        rest = {w: v for w, v in entry.items() if w not in ("starts", "ends", "same visit", "outside observation")}
        return {"Criteria": self._criterion(rest), **out}

    def _criterion(self, value: Any) -> dict[str, Any]:
        entry = dict(_mapping(value))
        kinds = [word for word in entry if word in KINDS]
        if len(kinds) != 1:
            shown = ", ".join(f"`{word}`" for word in kinds) or _near(entry, KINDS)
            raise Misread(
                f"names {'no kind' if not kinds else shown} of record.",
                f"Write one: {', '.join(sorted(KINDS))}." if kinds else f"{shown}",
            )
        word = kinds[0]
        fields = fields_of(KINDS[word])
        named = entry.pop(word)
        body = self._attributes(entry, fields)
        if named not in (ANY, None):
            if not (keys := [f.key for f in fields.values() if f.attribute == "codeset_id"]):
                raise Misread(f"says {str(named)[:40]!r}, but this kind has no codes.", f"Write `{word}: {ANY}`.")
            try:
                body = {keys[0]: self._set(named), **body}
            except Misread as error:
                error.steps.append(f".{word}")
                raise
        return {KINDS[word]: body}

    def _attributes(self, entry: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
        _known(entry, fields)

        def value(word: str) -> Any:
            return _at(entry, word, lambda given: self._value(fields[word], given), None)

        return {fields[word].key: value(word) for word in entry}

    def _value(self, field: Field, value: Any) -> Any:
        match field.kind:
            case "set":
                return self._set(value)
            case "choice":
                excluded = isinstance(value, dict)
                named = _one(value, "not") if excluded else value
                chosen = {} if named == ANY else {"CodesetId": self._set(named)}
                return {**chosen, "IsExclusion": excluded}
            case "concepts":
                return _each(value, read_concept)
            case "group":
                return self._group(value)
            case "criteria":
                return _each(value, self._criterion)
            case _:
                return field.read(value)

    def _set(self, name: Any) -> int:
        if str(name) not in self._sets:
            near = get_close_matches(str(name), self._sets, 1)
            hint = f"Did you mean {near[0]!r}?" if near else "Add it under `concepts`."
            raise Misread(f"names the concept set {str(name)[:60]!r}, which is not there.", hint)
        return self._sets[str(name)]

    def _exit(self, value: Any) -> dict[str, Any]:
        entry = _mapping(value)
        if "drug" in entry:
            _known(entry, ("drug", "gap", "plus", "days supply"))
            era = {"DrugCodesetId": _at(entry, "drug", self._set, None)}
            keys = {"gap": "GapDays", "plus": "Offset", "days supply": "DaysSupplyOverride"}
            return {"CustomEra": era | {key: entry[word] for word, key in keys.items() if word in entry}}
        _known(entry, ("date", "plus"))
        fields = {"start": "StartDate", "end": "EndDate"}
        date = str(entry.get("date"))
        if date not in fields:
            raise Misread("says no date.", "Write `date: start` or `date: end`, and `plus: DAYS`.")
        plus = {"Offset": entry["plus"]} if "plus" in entry else {}
        return {"DateOffset": {"DateField": fields[date], **plus}}


def _item(value: Any) -> dict[str, Any]:
    """A member of a concept set: with what is below it unless it says `only`; left out where it says `not`."""
    if not isinstance(value, dict):
        return {"concept": read_concept(value), "includeDescendants": True}
    _known(value, ("with", "only", "not", "not only", "mapped"))
    words = [word for word in ("with", "only", "not", "not only") if word in value]
    if len(words) != 1:
        raise Misread("is no member of a concept set.", "Write {only: ID}, {not: ID}, {not only: ID} or {with: ID}.")
    out: dict[str, Any] = {"concept": _at(value, words[0], read_concept, None)}
    out |= {"isExcluded": words[0].startswith("not"), "includeDescendants": not words[0].endswith("only")}
    return out | ({"includeMapped": value["mapped"]} if "mapped" in value else {})


def _eras(value: Any) -> dict[str, Any]:
    entry = _mapping(value)
    _known(entry, ("gap",))
    return {"CollapseType": "ERA", "EraPad": entry.get("gap", 0)}


def _period(value: Any) -> dict[str, Any]:
    entry = _mapping(value)
    _known(entry, ("from", "to"))
    keys = {"from": "StartDate", "to": "EndDate"}
    return {key: entry[word] for word, key in keys.items() if entry.get(word) is not None}


def _limit(value: Any) -> dict[str, Any]:
    return {"Type": str(value).capitalize()}


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Misread("is no mapping.", "Write words with a colon, each on its line.")
    return value


def _one(value: Mapping[str, Any], word: str) -> Any:
    _known(value, (word,))
    if word not in value:
        raise Misread("says nothing.", f"Write {{{word}: NAME}}.")
    return value[word]


def _each(value: Any, reader: Callable[[Any], Any]) -> list[Any]:
    if not isinstance(value, list):
        raise Misread("is no list.", "Write its entries with dashes, each on its line.")
    found: list[Any] = []
    try:
        for entry in value:
            found.append(reader(entry))
    except Misread as error:
        error.steps.append(f"[{len(found)}]")
        raise
    return found


def _at(entry: Mapping[str, Any], word: str, reader: Callable[[Any], Any], default: Any) -> Any:
    """What stands at a word, read; the default when it is not there."""
    if word not in entry:
        return default
    try:
        return reader(entry[word])
    except Misread as error:
        error.steps.append(f".{word}")
        raise


def _known(entry: Mapping[str, Any], words: Iterable[str]) -> None:
    known = list(words)
    for word in entry:
        if word not in known:
            raise Misread(f"holds `{word[:60]}`, which is no word here.", _near([word], known))


def _near(words: Iterable[str], known: Iterable[str]) -> str:
    known = sorted(known)
    for word in words:
        if near := get_close_matches(word, known, 1):
            return f"Did you mean `{near[0]}`?"
    return f"There are: {', '.join(known)}."
