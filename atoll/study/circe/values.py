"""The small values of a Circe definition as a person writes them, both ways: `>= 140`, `9 days before to 1 day before`.

See `as_yaml`, which puts them into a document. What is written here is read back as the same value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from atoll.study.circe.node import Misread
from atoll.study.circe.parts import Concept, DateRange, Endpoint, NumericRange, Occurrence, Window

OPERATORS = {"lt": "<", "lte": "<=", "eq": "=", "!eq": "!=", "gt": ">", "gte": ">="}
_SIGNS = {sign: op for op, sign in OPERATORS.items()}
_RANGE = re.compile(r"(?P<sign><=|>=|!=|<|>|=)\s*(?P<one>\S+)|(?P<not>not )?(?P<low>\S+) to (?P<high>\S+)")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_ENDPOINT = r"(?:(any) time|([0-9]+) days?) (before|after)"
_WINDOW = re.compile(rf"(?:the event (start|end) )?{_ENDPOINT} to {_ENDPOINT}(?: the index (start|end))?")
_SIDES = {"before": -1, "after": 1}
TIMES = {Occurrence.EXACTLY: "exactly", Occurrence.AT_MOST: "at most", Occurrence.AT_LEAST: "at least"}


def range_text(value: NumericRange | DateRange) -> str:
    """`>= 140`, `4 to 7`, `not 4 to 7`."""
    if value.op in OPERATORS:
        return f"{OPERATORS[value.op]} {value.value}"
    return f"{'not ' if value.op == '!bt' else ''}{value.value} to {value.extent}"


def read_range(text: Any, numbers: bool) -> dict[str, Any]:
    """The object that Circe keeps for it.

    Raises
    ------
    Misread
        When it is no range.
    """
    example = "`>= 140`, or `4 to 7`" if numbers else "`>= 2010-01-01`, or `2010-01-01 to 2019-12-31`"
    found = _RANGE.fullmatch(str(text).strip())
    if not found:
        raise Misread(f"is {str(text)[:40]!r}, which is no range.", f"Write {example}.")
    parts = {name: _scalar(found[name], numbers, example) for name in ("one", "low", "high") if found[name]}
    if found["sign"]:
        return {"Value": parts["one"], "Op": _SIGNS[found["sign"]]}
    return {"Value": parts["low"], "Op": "!bt" if found["not"] else "bt", "Extent": parts["high"]}


def _scalar(text: str, numbers: bool, example: str) -> Any:
    if not numbers:
        return text
    if not _NUMBER.fullmatch(text):
        raise Misread(f"holds {text[:40]!r}, which is no number.", f"Write {example}.")
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else float(text)


def window_text(window: Window, ends: bool) -> str:
    """`365 days before to 1 day before`.

    Counted is from the index event's start, to the event's start, or to its end where a window is about ends; where it
    is otherwise, that is said.
    """
    end = window.use_event_end
    event = "" if end is None or end == ends else f"the event {'end' if end else 'start'} "
    index = " the index end" if window.use_index_end else ""
    return f"{event}{_endpoint_text(window.start)} to {_endpoint_text(window.end)}{index}"


def _endpoint_text(endpoint: Endpoint) -> str:
    side = {-1: "before", 1: "after"}.get(endpoint.coeff or 0)
    if side is None or (endpoint.days or 0) < 0:
        raise Misread("has a window without a side.", "Give its Coeff as -1 or 1 and its Days from 0 on.")
    if endpoint.days is None:
        return f"any time {side}"
    return f"{endpoint.days} day{'' if endpoint.days == 1 else 's'} {side}"


def read_window(text: Any) -> dict[str, Any]:
    """The object that Circe keeps for it.

    Raises
    ------
    Misread
        When it is no window.
    """
    found = _WINDOW.fullmatch(str(text).strip())
    if not found:
        raise Misread(
            f"is {str(text)[:60]!r}, which is no window.",
            "Write `365 days before to 1 day before`, or `any time before to 0 days after the index end`.",
        )
    event, *ends, index = found.groups()
    window: dict[str, Any] = {"Start": _endpoint(*ends[:3]), "End": _endpoint(*ends[3:])}
    if index:
        window["UseIndexEnd"] = index == "end"
    if event:
        window["UseEventEnd"] = event == "end"
    return window


def _endpoint(any_time: str | None, days: str | None, side: str) -> dict[str, Any]:
    return {"Coeff": _SIDES[side]} if any_time else {"Days": int(str(days)), "Coeff": _SIDES[side]}


def concept_text(concept: Concept) -> str | int:
    """`8876 mmHg`, or the id alone where no name is known."""
    assert concept.concept_id is not None
    return concept.concept_id if concept.concept_name is None else f"{concept.concept_id} {concept.concept_name}"


def read_concept(text: Any) -> dict[str, Any]:
    """The object that Circe keeps for it.

    Raises
    ------
    Misread
        When it does not begin with an id.
    """
    number, space, name = str(text).partition(" ")
    if not re.fullmatch(r"-?[0-9]{1,18}", number):
        raise Misread(f"is {str(text)[:40]!r}, which is no concept.", "Write its id, then its name: `201826 diabetes`.")
    return {"CONCEPT_ID": int(number), **({"CONCEPT_NAME": name} if space else {})}


def occurrence_keys(occurrence: Occurrence) -> dict[str, Any]:
    """`at least: 2`, and whether and by what distinct ones are counted."""
    if occurrence.type not in TIMES or occurrence.count is None:
        raise Misread("does not say how often.", "Give the Type (0, 1, 2) and the Count of its Occurrence.")
    keys: dict[str, Any] = {TIMES[occurrence.type]: occurrence.count}
    if occurrence.is_distinct is not None:
        keys["distinct"] = occurrence.is_distinct
    if occurrence.count_column is not None:
        keys["counting"] = occurrence.count_column.lower().replace("_", " ")
    return keys


def take_occurrence(entry: dict[str, Any]) -> dict[str, Any]:
    """The object that Circe keeps for them; its keys are taken out of `entry`. Without any, at least one.

    Raises
    ------
    Misread
        When more than one number of times is given.
    """
    given = [(kind, word) for kind, word in TIMES.items() if word in entry]
    if len(given) > 1:
        words = " and ".join(f"`{word}`" for _, word in given)
        raise Misread(f"says {words}.", "Keep one; write two entries for a range.")
    kind, word = given[0] if given else (Occurrence.AT_LEAST, "")
    occurrence: dict[str, Any] = {"Type": kind, "Count": entry.pop(word) if word else 1}
    if "distinct" in entry:
        occurrence["IsDistinct"] = entry.pop("distinct")
    if "counting" in entry:
        occurrence["CountColumn"] = str(entry.pop("counting")).upper().replace(" ", "_")
    return occurrence


def text_filter(value: Mapping[str, Any]) -> dict[str, Any]:
    """Circe's object for `{contains: word}`."""
    if len(value) != 1:
        raise Misread("is no single test of a text.", "Write one, as {contains: word}.")
    ((op, text),) = value.items()
    return {"Op": op} if text is None else {"Text": text, "Op": op}
