"""The words of the text form for the fields of Circe's classes, made from their names and annotations."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from atoll.study.circe.criteria import CRITERIA, CriteriaGroup, Criterion, DemographicCriteria
from atoll.study.circe.node import Misread, Node
from atoll.study.circe.parts import (
    Concept,
    ConceptSetSelection,
    DateAdjustment,
    DateRange,
    NumericRange,
    Period,
    TextFilter,
)
from atoll.study.circe.values import range_text, read_range, text_filter

Kind = Literal["set", "choice", "concepts", "group", "criteria", "number range", "date range", "text", "period",
               "dates", "plain"]  # fmt: skip
_KINDS: Mapping[Any, Kind] = {
    NumericRange: "number range", DateRange: "date range", TextFilter: "text", Period: "period",
    DateAdjustment: "dates", ConceptSetSelection: "choice", CriteriaGroup: "group",
}  # fmt: skip
_LISTS: Mapping[Any, Kind] = {Concept: "concepts", Criterion: "criteria"}
_WORDS = {"correlated_criteria": "where", "date_adjustment": "dates", "criteria_list": "any of"}
_DATES = {"start with": "StartWith", "start plus": "StartOffset", "end with": "EndWith", "end plus": "EndOffset"}
_DAYS = {"START_DATE": "start", "END_DATE": "end"}


@dataclass(frozen=True)
class Field:
    """A field of a class: its word, its key in Circe's JSON, its name in `circe`, and how it is written."""

    word: str
    key: str
    attribute: str
    kind: Kind

    def text(self, value: Any) -> Any:
        """A value that needs no concept sets, as it is written."""
        match self.kind:
            case "number range" | "date range":
                return range_text(value)
            case "text":
                return {value.op: value.text}
            case "period":
                given = {"from": value.start_date, "to": value.end_date}
                return {word: day for word, day in given.items() if day is not None}
            case "dates":
                return _dates_text(value)
            case _:
                return value

    def read(self, value: Any) -> Any:
        """What Circe keeps for it."""
        if self.kind in ("number range", "date range"):
            return read_range(value, self.kind == "number range")
        if self.kind in ("text", "period", "dates") and not isinstance(value, dict):
            raise Misread("is no mapping.", "Write words with a colon.")
        match self.kind:
            case "text":
                return text_filter(value)
            case "period":
                return {key: value[word] for word, key in (("from", "StartDate"), ("to", "EndDate")) if word in value}
            case "dates":
                return _read_dates(value)
            case _:
                return value


def _dates_text(value: DateAdjustment) -> dict[str, Any]:
    given = {"start with": value.start_with, "start plus": value.start_offset} | {
        "end with": value.end_with, "end plus": value.end_offset,
    }  # fmt: skip
    return {word: _DAYS.get(str(part), part) for word, part in given.items() if part is not None}


def _read_dates(value: Mapping[str, Any]) -> dict[str, Any]:
    names = {word: name for name, word in _DAYS.items()}
    for word in value:
        if word not in _DATES:
            raise Misread(f"holds `{word[:60]}`, which is no word here.", f"There are: {', '.join(_DATES)}.")
    return {
        _DATES[word]: names.get(str(part), str(part)) if word.endswith("with") else part for word, part in value.items()
    }


def kind_word(name: str) -> str:
    """`ConditionOccurrence` as `condition occurrence`."""
    return re.sub(r"(?<!^)([A-Z])", r" \1", name).lower()


KINDS: Mapping[str, str] = {kind_word(name): name for name in CRITERIA}  # the word of a kind, and its name in Circe
_CLASSES: Mapping[str, type[Node]] = {**CRITERIA, "DemographicCriteria": DemographicCriteria}


@cache
def fields_of(name: str) -> Mapping[str, Field]:
    """The fields of a class by their words."""
    hints = typing.get_type_hints(_CLASSES[name])
    found = [
        Field(_word(entry.name), entry.metadata["key"], entry.name, _kind_of(name, entry.name, hints[entry.name]))
        for entry in dataclasses.fields(_CLASSES[name])
        if "key" in entry.metadata
    ]
    return {field.word: field for field in found}


def _word(attribute: str) -> str:
    return _WORDS.get(attribute) or re.sub(r" cs$", " set", attribute.replace("_", " "))


def _kind_of(name: str, attribute: str, hint: Any) -> Kind:
    arms = [arm for arm in typing.get_args(hint) if arm is not type(None)] if _is_union(hint) else [hint]
    one = arms[0]
    if typing.get_origin(one) is tuple:
        return _LISTS[typing.get_args(one)[0]]
    if one is int and re.search(r"codeset_id$|_concept$|_location$", attribute):
        return "set"
    return _KINDS.get(one, "plain")


def _is_union(hint: Any) -> bool:
    return isinstance(hint, types.UnionType)
