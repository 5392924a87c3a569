"""JSON objects as frozen dataclasses, read and written without loss: what `circe` is made of.

A class names its fields once, as `age: NumericRange | None = key("Age")`; the annotation says what is read. A node
remembers which keys stood in the document and in which order, so that it is written back as it was: also a key with
null, and a key that Circe does not know (`unknown`).
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from atoll.errors import StudyError


class Misread(Exception):
    """A value of the wrong kind; each level that it passes on its way up adds its step to the place."""

    def __init__(self, sentence: str, remedy: str = "Correct it in the definition."):
        super().__init__(sentence)
        self.sentence, self.remedy = sentence, remedy
        self.steps: list[str] = []

    def error(self) -> StudyError:
        """The refusal, with the place: `PrimaryCriteria.CriteriaList[0].ConditionOccurrence is …`."""
        path = "".join(reversed(self.steps)).lstrip(".") or "The document"
        return StudyError(f"{path} {self.sentence}", self.remedy)


def key(name: str, default: Any = None) -> Any:
    """A field and its key in the document."""
    return field(default=default, metadata={"key": name})


def words(name: str, *allowed: str) -> Any:
    """A field that holds one of a few words, and its key."""
    return field(default=None, metadata={"key": name, "words": allowed})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(key, words))
@dataclass(frozen=True, kw_only=True)
class Node:
    """Base of every object of the document; subclasses become frozen dataclasses."""

    given: tuple[str, ...] = field(default=(), compare=False, repr=False)  # the document's keys, in its order
    unknown: Mapping[str, Any] = field(default_factory=dict, compare=False)
    required: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)

    @classmethod
    def read(cls, value: Any) -> Self:
        """The object as this class.

        Raises
        ------
        Misread
            When a value is of another kind.
        """
        if type(value) is not dict:
            raise wrong(value, "an object {…}")
        values: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        readers = _readers(cls)
        for name, entry in value.items():
            if name not in readers:
                unknown[name] = entry
            elif entry is not None:
                attribute, reader = readers[name]
                try:
                    values[attribute] = reader(entry)
                except Misread as error:
                    error.steps.append(f".{name}")
                    raise
        for name in cls.required:
            if value.get(name) is None:
                raise Misread(f"has no {name!r}.", "Add it, or export the definition from ATLAS again.")
        return cls(**values, given=tuple(value), unknown=unknown)

    def document(self) -> dict[str, Any]:
        """The object as it was read, or as its fields say for one that was made here."""
        fields = {name: attribute for name, (attribute, _) in _readers(type(self)).items()}
        out: dict[str, Any] = {}
        for name in self.given:
            out[name] = self.unknown[name] if name in self.unknown else _plain(getattr(self, fields[name]))
        for name, attribute in fields.items():
            if name not in out and (entry := getattr(self, attribute)) not in (None, ()):
                out[name] = _plain(entry)
        return out

    def attributes(self) -> Iterator[tuple[str, Any]]:
        """Its fields and values that are there, in the order of the class."""
        for attribute, _ in _readers(type(self)).values():
            if (entry := getattr(self, attribute)) is not None:
                yield attribute, entry

    def children(self) -> Iterator[tuple[str, Any]]:
        """Its keys and values that are there, in the order of the class."""
        for name, (attribute, _) in _readers(type(self)).items():
            if (entry := getattr(self, attribute)) is not None:
                yield name, entry


N = TypeVar("N", bound=Node)
Reader = Callable[[Any], Any]


def wrong(value: Any, expected: str) -> Misread:
    """The sentence for a value of the wrong kind."""
    names = {
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    short = isinstance(value, (bool, int, float, str)) and len(repr(value)) < 40
    return Misread(
        f"is {names.get(type(value), 'nothing')}{f' ({value!r})' if short else ''}; expected was {expected}."
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Node):
        return value.document()
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return value


_READERS: dict[type[Node], dict[str, tuple[str, Reader]]] = {}


def _readers(cls: type[Node]) -> dict[str, tuple[str, Reader]]:
    if cls not in _READERS:
        hints = typing.get_type_hints(cls)
        _READERS[cls] = {
            entry.metadata["key"]: (entry.name, _reader(hints[entry.name], entry.metadata.get("words", ())))
            for entry in dataclasses.fields(cls)
            if "key" in entry.metadata
        }
    return _READERS[cls]


def _reader(hint: Any, allowed: tuple[str, ...]) -> Reader:
    if isinstance(hint, types.UnionType):
        arms = [arm for arm in typing.get_args(hint) if arm is not type(None)]
        hint = arms[0] if len(arms) == 1 else float
    if typing.get_origin(hint) is tuple:
        one = _reader(typing.get_args(hint)[0], ())
        return lambda value: _list(value, one)
    if hint is str and allowed:
        return lambda value: _word(value, allowed)
    if isinstance(hint, type) and issubclass(hint, Node):
        return hint.read
    return {int: _integer, float: _number, bool: _truth, str: _text}[hint]


def _list(value: Any, one: Reader) -> tuple[Any, ...]:
    if type(value) is not list:
        raise wrong(value, "a list […]")
    entries: list[Any] = []
    try:
        for entry in value:
            entries.append(one(entry))
    except Misread as error:
        error.steps.append(f"[{len(entries)}]")
        raise
    return tuple(entries)


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise wrong(value, "a whole number")
    if not -(2**63) <= value < 2**63:
        raise Misread("is a number of more than 18 digits.")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise wrong(value, "a number")
    if not abs(value) < 1e18:
        raise Misread("is a number of more than 18 digits.")
    return value  # type: ignore[no-any-return]  # an int stays one, so that it is written as one


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise wrong(value, "true or false")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise wrong(value, "a text")
    return value


def _word(value: Any, allowed: tuple[str, ...]) -> str:
    text = _text(value)
    if text not in allowed:
        near = get_close_matches(text, allowed, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(allowed)}."
        raise Misread(f"is {text[:60]!r}, which Circe does not know.", hint)
    return text


W = TypeVar("W", bound=Node)


def read_wrapped(value: Any, kinds: Mapping[str, type[W]], expected: str) -> W:
    """The node of an object with one key, which names its kind; raises Misread for anything else."""
    if type(value) is not dict or len(value) != 1:
        raise wrong(value, expected)
    ((name, body),) = value.items()
    if name not in kinds:
        near = get_close_matches(name, kinds, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(kinds))}."
        raise Misread(f"holds {name[:60]!r}, which is no kind that Circe knows.", hint)
    try:
        return kinds[name].read(body)
    except Misread as error:
        error.steps.append(f".{name}")
        raise


def read_day(text: str, path: str) -> date:
    """A date of the document, as 2020-02-29.

    Raises
    ------
    StudyError
        When it is none.
    """
    try:
        year, month, day = (int(part) for part in text.split("-"))
        return date(year, month, day)
    except ValueError as error:
        raise StudyError(f"{path} is {text[:40]!r}, which is no date.", "Write it as 2020-02-29.") from error
