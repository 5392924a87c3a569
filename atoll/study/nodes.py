"""Documents as people write them: YAML read into nodes that remember their lines, JSON into nodes without.

Only the plain part of YAML is taken: mappings, lists, text, numbers, true and false. Anchors, aliases, merge
keys, tags and a second document are refused, so a small file cannot unfold into a large one. A bare word
is a number only if JSON would write it so: `no`, `on`, `01`, `1_000`, `12:30` and dates stay text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from atoll.errors import StudyError

MAX_BYTES = 262_144
MAX_DEPTH = 16
LARGEST = 2**53 - 1  # the largest whole number that every JSON reader keeps exactly

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
CONSTANTS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_EMPTY = ("", "~", "null", "Null", "NULL")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Problem:
    """One finding, as a sentence: where, what was found, what to do."""

    line: int
    key: str
    what: str
    remedy: str
    column: int = 0

    def __str__(self) -> str:
        column = [f"column {self.column}"] * (self.column > 0)
        where = ", ".join([f"line {self.line}"] * (self.line > 0) + column + [self.key] * bool(self.key))
        sentence = f"{where}: {self.what} {self.remedy}".strip()
        return sentence[0].upper() + sentence[1:] if self.line else sentence


class Problems(StudyError):
    """All that is wrong with a document; `.problems` holds one sentence each."""

    def __init__(self, title: str, problems: list[Problem], **details: Any):
        self.problems = [str(problem) for problem in problems]
        super().__init__(title + "".join(f"\n  {sentence}" for sentence in self.problems), **details)


@dataclass(frozen=True)
class Node:
    """A mapping, a list, or a scalar as its text; `line` counts from 1 and is 0 where there are no lines.

    An entry's line is that of its key; `place` is the line and column where its value begins.
    """

    content: dict[str, Node] | list[Node] | str
    line: int = 0
    quoted: bool = False
    place: tuple[int, int] = (0, 0)

    @property
    def empty(self) -> bool:
        """Nothing was written: null."""
        return isinstance(self.content, str) and not self.quoted and self.content in _EMPTY

    def value(self) -> Any:
        """Plain JSON types; a number without fraction is an int.

        Raises
        ------
        ValueError
            With a clause that says why a number is refused.
        """
        content = self.content
        if isinstance(content, dict):
            return {key: node.value() for key, node in content.items()}
        if isinstance(content, list):
            return [node.value() for node in content]
        if self.quoted:
            return content
        if self.empty:
            return None
        return CONSTANTS[content] if content in CONSTANTS else _number(content)

    def shown(self) -> str:
        """The value as it stands in the document, shortened, for a sentence."""
        if isinstance(self.content, dict):
            return "a mapping"
        if isinstance(self.content, list):
            return "a list"
        if self.empty:
            return "nothing"
        text = self.content if len(self.content) <= 60 else self.content[:57] + "…"
        return repr(text)


def _number(text: str) -> str | int | float:
    """A bare word: a number if JSON would write it so, else text."""
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("is not a finite number")
    if not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    if abs(number) > LARGEST:
        raise ValueError(f"is beyond ±{LARGEST}, where numbers are no longer exact")
    return int(number) if number.is_integer() else number


def from_yaml(
    text: str, title: str, *, largest: int = MAX_BYTES, deepest: int = MAX_DEPTH
) -> tuple[Node, list[Problem]]:
    """The document, and what could be read but must not stand there (duplicate keys, anchors, tags).

    Of more than `largest` bytes or `deepest` levels nothing is read.

    Raises
    ------
    Problems
        Under `title`, when there is no single document that can be read.
    """
    problems: list[Problem] = []
    try:
        _refuse_size(text.encode("utf-8", "surrogatepass"), largest)
        _refuse_control(text)
        events = yaml.parse(text, Loader=_LOADER)
        root = _document(events, problems, deepest)
    except _Unreadable as error:
        raise Problems(title, [*problems, error.problem]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "it cannot be read"
        remedy = "Indent with spaces, and put text that contains ': ', ' #' or a leading sign in quotes."
        found = Problem(mark.line + 1 if mark else 0, "", f"this is not YAML: {what}.", remedy)
        raise Problems(title, [*problems, found]) from error
    return root, problems


def from_json(body: bytes, title: str) -> Node:
    """The same nodes from JSON. Duplicate keys are refused.

    Raises
    ------
    Problems
        When the bytes are not JSON in UTF-8.
    """
    try:
        _refuse_size(body)
        value = json.loads(
            body.decode("utf-8"), parse_int=_Bare, parse_float=_Bare, parse_constant=_Bare, object_pairs_hook=_pairs
        )
        return _from_value(value, 1)
    except _Unreadable as error:
        raise Problems(title, [error.problem]) from error
    except (ValueError, RecursionError) as error:
        raise Problems(title, [Problem(0, "", "this is not JSON in UTF-8.", "Send the file again.")]) from error


class _Bare(str):
    """A number of JSON, kept as its text."""


class _Unreadable(Exception):
    def __init__(self, line: int, what: str, remedy: str, key: str = ""):
        super().__init__(what)
        self.problem = Problem(line, key, what, remedy)


def _refuse_size(body: bytes, largest: int = MAX_BYTES) -> None:
    if len(body) > largest:
        raise _Unreadable(
            0, f"the document has {len(body):,} bytes; at most {largest:,} are read.", "Split it, or shorten it."
        )


def _refuse_control(text: str) -> None:
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise _Unreadable(line, f"a control character U+{ord(found[0]):04X} stands here.", "Remove it; save as UTF-8.")


def _document(events: Iterator[Any], problems: list[Problem], deepest: int) -> Node:
    roots = [_node(events, event, deepest, problems) for event in events if not isinstance(event, _FRAME)]
    if not roots:
        raise _Unreadable(1, "the document is empty.", "`atoll study new` writes one to begin from.")
    if len(roots) > 1:
        raise _Unreadable(roots[1].line, "a second document begins here.", "Keep one document in a file.")
    return roots[0]


_FRAME = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)


def _node(events: Iterator[Any], event: Any, left: int, problems: list[Problem]) -> Node:
    line = event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent):
        raise _Unreadable(line, f"an alias (*{event.anchor}) stands here.", "Write the value out.")
    if left < 1:
        raise _Unreadable(line, "the document is nested too deeply.", "Flatten it.")
    if event.anchor:
        problems.append(Problem(line, "", f"an anchor (&{event.anchor}) stands here.", "Leave it out."))
    if event.tag is not None:
        problems.append(Problem(line, "", f"a tag ({event.tag}) stands here.", "Leave it out."))
    if isinstance(event, yaml.ScalarEvent):
        return Node(event.value, line, quoted=not event.implicit[0], place=_begin(event))
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Node] = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(_node(events, item, left - 1, problems))
        return Node(items, line)
    return Node(_entries(events, left, problems), line)


def _begin(event: Any) -> tuple[int, int]:
    """Where a scalar's own first character stands: behind a quote, or on the line below a `|`."""
    line, column = event.start_mark.line + 1, event.start_mark.column + 1
    if event.style in ("|", ">"):
        return line + 1, 1
    return line, column + (event.style in ("'", '"'))


def _entries(events: Iterator[Any], left: int, problems: list[Problem]) -> dict[str, Node]:
    entries: dict[str, Node] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(events, event, left - 1, problems)
        node = _node(events, next(events), left - 1, problems)
        if not isinstance(key.content, str):
            raise _Unreadable(key.line, "a key is a list or a mapping.", "Write a word before the colon.")
        if key.content == "<<":
            problems.append(Problem(key.line, "<<", "merge keys are not read.", "Write the entries out."))
        elif key.content in entries:
            first = entries[key.content].line
            remedy = "Keep one of them, or give the second another name."
            problems.append(Problem(key.line, key.content, f"this name stands already in line {first}.", remedy))
        else:
            entries[key.content] = Node(node.content, key.line, node.quoted, node.place)
    return entries


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if key in entries:
            raise _Unreadable(0, "this name stands twice.", "Keep one of them.", key=key)
        entries[key] = value
    return entries


def _from_value(value: Any, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise _Unreadable(0, "the document is nested too deeply.", "Flatten it.")
    if isinstance(value, dict):
        return Node({key: _from_value(item, depth + 1) for key, item in value.items()})
    if isinstance(value, list):
        return Node([_from_value(item, depth + 1) for item in value])
    if isinstance(value, str) and not isinstance(value, _Bare):
        return Node(value, quoted=True)
    return Node(value if isinstance(value, str) else {True: "true", False: "false", None: "null"}[value])
