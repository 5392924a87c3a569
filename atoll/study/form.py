"""What may stand in a written document: every check of a value is one method, and every finding one sentence.

A `Form` goes through a whole document and gathers all findings. Its methods return a harmless value where
they found something, so that reading goes on.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from typing import Any, TypeVar, get_args

from atoll.study.dictionary import OTHER, Column, ColumnType, Dictionary
from atoll.study.nodes import CONSTANTS, Node, Problem, Problems, from_yaml

T = TypeVar("T")

FINGERPRINT = re.compile(r"SHA256:([A-Z2-7]{4}-){7}[A-Z2-7]{4}")
LONGEST_NAME = 64

_NAME = re.compile(rf"\w[\w-]{{0,{LONGEST_NAME - 1}}}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")  # control, invisible and direction-changing characters
_TYPES = get_args(ColumnType)
_ONLY_FOR = {"levels": "category", "range": "number", "unit": "number"}


class Form:
    """Gathers findings while a document is read."""

    def __init__(self, problems: list[Problem] | None = None):
        self.problems: list[Problem] = problems if problems is not None else []

    def refuse(self, node: Node, key: str, what: str, remedy: str) -> None:
        """Remember one finding."""
        self.problems.append(Problem(node.line, key, what, remedy))

    def finish(self, title: str, **details: Any) -> None:
        """Raise all findings at once, in the order of lines."""
        if self.problems:
            raise Problems(title, sorted(self.problems, key=lambda problem: problem.line), **details)

    def entries(self, node: Node, key: str, needed: str = "") -> dict[str, Node]:
        """The entries of a mapping; `needed` says what at least one entry must be."""
        if isinstance(node.content, dict):
            if needed and not node.content:
                self.refuse(node, key, "is empty.", f"Name at least one {needed}.")
            return node.content
        self.refuse(node, key, f"{node.shown()} stands where named entries belong.", "Write `name: value` below it.")
        return {}

    def items(self, node: Node, key: str) -> list[Node]:
        """The items of a list."""
        if isinstance(node.content, list):
            return node.content
        self.refuse(node, key, f"{node.shown()} is not a list.", "Write it as [first, second].")
        return []

    def fields(self, node: Node, key: str, needed: Iterable[str], optional: Collection[str] = ()) -> dict[str, Node]:
        """The entries of a mapping with known keys; unknown and missing ones are findings."""
        entries, needed = self.entries(node, key), tuple(needed)
        known = {*needed, *optional}
        for name, entry in entries.items():
            if name not in known:
                self.refuse(entry, _path(key, name), "there is no such key.", nearest(name, known))
            elif entry.empty:
                self.refuse(entry, _path(key, name), "nothing is written here.", "Give a value, or leave the key out.")
        missing = [name for name in needed if name not in entries] if isinstance(node.content, dict) else []
        for name in missing:
            self.refuse(node, _path(key, name), "this key is missing.", f"Add `{name}:`.")
        return {name: entry for name, entry in entries.items() if name in known and not entry.empty}

    def part(
        self, fields: Mapping[str, Node], key: str, name: str, reader: Callable[..., T], otherwise: T, *more: Any
    ) -> T:
        """The entry `name` of `fields`, read by one of these methods or a function like them; else `otherwise`."""
        return reader(self, fields[name], _path(key, name), *more) if name in fields else otherwise

    def text(self, node: Node, key: str, longest: int = 200, lines: bool = False) -> str:
        """Text, put into Unicode's composed form (NFC), without invisible characters; `lines` allows line breaks."""
        if not isinstance(node.content, str):
            self.refuse(node, key, f"{node.shown()} is not text.", "Write words, in quotes if need be.")
            return ""
        text = unicodedata.normalize("NFC", node.content).strip()
        hidden = [c for c in text if unicodedata.category(c) in _HIDDEN and not (lines and c == "\n")]
        if hidden:
            self.refuse(node, key, f"the text holds an invisible character U+{ord(hidden[0]):04X}.", "Remove it.")
        elif not text:
            self.refuse(node, key, "the text is empty.", "Write it, or leave the key out.")
        elif len(text) > longest:
            self.refuse(node, key, f"the text has {len(text)} characters.", f"At most {longest} are allowed.")
        return text

    def name(self, word: str, node: Node, key: str) -> str:
        """A name of a site, dataset, column or analysis: letters of any script, digits, `_` and `-`."""
        plain = unicodedata.normalize("NFKC", word)
        if not _NAME.fullmatch(plain):
            self.refuse(
                node, key, f"{word[:80]!r} is not a name.", f"Use letters, digits, _ and -, at most {LONGEST_NAME}."
            )
        elif plain != word:
            self.refuse(node, key, f"{word!r} is written with letters of a special form.", f"Write {plain!r}.")
        return word

    def number(self, node: Node, key: str, low: float, high: float, whole: bool = False) -> Any:
        """A finite number within bounds."""
        kind = "whole number" if whole else "number"
        try:
            value = node.value()
        except ValueError as error:
            self.refuse(node, key, f"{node.shown()} {error}.", f"Write a {kind} from {low:g} to {high:g}.")
            return low
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            self.refuse(node, key, f"{node.shown()} is not a {kind}.", f"Write one from {low:g} to {high:g}.")
        elif not low <= value <= high:
            self.refuse(node, key, f"{value:g} is outside {low:g} to {high:g}.", "Choose a value within.")
        else:
            return value
        return low

    def flag(self, node: Node, key: str) -> bool:
        """True or false."""
        if isinstance(node.content, str) and not node.quoted and node.content in CONSTANTS:
            return CONSTANTS[node.content]
        self.refuse(node, key, f"{node.shown()} is neither true nor false.", "Write true or false.")
        return False

    def choice(self, node: Node, key: str, allowed: Collection[str]) -> str:
        """One of some words."""
        if isinstance(node.content, str) and node.content in allowed:
            return node.content
        word = node.content if isinstance(node.content, str) else ""
        self.refuse(node, key, f"{node.shown()} is none of {', '.join(allowed)}.", nearest(word, allowed))
        return next(iter(allowed))

    def day(self, node: Node, key: str) -> date | None:
        """A date as 2026-11-01."""
        text = node.content if isinstance(node.content, str) else ""
        try:
            if _DAY.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        self.refuse(node, key, f"{node.shown()} is not a date.", "Write year-month-day, for instance 2026-11-01.")
        return None

    def fingerprint(self, node: Node, key: str) -> str:
        """A key's fingerprint."""
        if isinstance(node.content, str) and FINGERPRINT.fullmatch(node.content):
            return node.content
        self.refuse(
            node,
            key,
            f"{node.shown()} is not a key's fingerprint.",
            "It reads SHA256: and eight groups of four letters and digits; copy it from the key's owner.",
        )
        return ""

    def plain(self, node: Node, key: str) -> Any:
        """Any value as plain JSON types; what it means is for others to judge."""
        if isinstance(node.content, dict):
            return {
                self.text(Node(name, node.line, quoted=True), f"{key}.{name[:80]}"): self.plain(item, f"{key}.{name}")
                for name, item in node.content.items()
            }
        if isinstance(node.content, list):
            return [self.plain(item, key) for item in node.content]
        try:
            value = node.value()
        except ValueError as error:
            self.refuse(node, key, f"{node.shown()} {error}.", "Write a finite number, or text in quotes.")
            return None
        return self.text(node, key, 4000, lines=True) if isinstance(value, str) else value

    def columns(self, node: Node, key: str) -> dict[str, Column]:
        """The columns of a dataset, as `{name: {type, levels, unit, range, label}}`."""
        columns = {}
        for name, entry in self.entries(node, key, needed="column").items():
            path = _path(key, name)
            self.name(name, entry, path)
            if name == "site":
                self.refuse(entry, path, "`site` stands for the hospital in every formula.", "Rename the column.")
            columns[name] = self._column(entry, path)
        if len([name for name, column in columns.items() if column.type == "person"]) > 1:
            self.refuse(node, key, "two columns are of type person.", "Keep the one that identifies the person.")
        return columns

    def _column(self, node: Node, key: str) -> Column:
        fields = self.fields(node, key, ("type",), ("levels", "unit", "range", "label"))
        kind: Any = self.part(fields, key, "type", Form.choice, "number", _TYPES)
        for name, only in _ONLY_FOR.items():
            if name in fields and kind != only:
                self.refuse(fields[name], f"{key}.{name}", f"a {kind} has no {name}.", f"Only a {only} has one.")
        no_range: tuple[float | None, float | None] = (None, None)
        low, high = self.part(fields, key, "range", Form.range, no_range)
        return Column(
            type=kind,
            levels=self.part(fields, key, "levels", Form._levels, ()),
            unit=self.part(fields, key, "unit", Form.text, "", 32),
            low=low,
            high=high,
            label=self.part(fields, key, "label", Form.text, ""),
        )

    def _levels(self, node: Node, key: str) -> tuple[str, ...]:
        items = self.items(node, key)
        levels = [self.text(item, key, LONGEST_NAME) for item in items]
        if isinstance(node.content, list) and not items:
            self.refuse(node, key, "the list is empty.", "Name the levels, the reference first, or leave the key out.")
        for level in sorted({level for level in levels if levels.count(level) > 1 and level}):
            self.refuse(node, key, f"{level!r} stands twice.", "Name each level once.")
        if OTHER in levels:
            self.refuse(node, key, f"{OTHER!r} is kept for merged small levels.", "Give the level another name.")
        return tuple(levels)

    def range(self, node: Node, key: str) -> tuple[float | None, float | None]:
        """Two ends as [lowest, highest], of which one may be left empty."""
        items = self.items(node, key)
        if len(items) != 2:
            if isinstance(node.content, list):
                self.refuse(node, key, f"the range has {len(items)} values.", "Write [lowest, highest].")
            return None, None
        low, high = (None if item.empty else self.number(item, key, -1e15, 1e15) for item in items)
        if low is None and high is None:
            self.refuse(node, key, "the range has no end.", "Give one, or leave the key out.")
        elif low is not None and high is not None and low >= high:
            self.refuse(node, key, f"the range [{low:g}, {high:g}] is empty or reversed.", "Write [lowest, highest].")
        return low, high


def nearest(word: str, known: Collection[str]) -> str:
    """A remedy for a word that is not known: the nearest one, or all of them."""
    close = difflib.get_close_matches(word[:80], list(known), n=1)
    return f"Did you mean `{close[0]}`?" if close else f"Known here: {', '.join(sorted(known))}."


def read_dictionary(text: str) -> Dictionary:
    """A data dictionary that a steward wrote: YAML, `columns:` with the same words as in a study.

    Raises
    ------
    Problems
        With every finding, each with its line.
    """
    title = "The data dictionary cannot be used:"
    root, problems = from_yaml(text, title)
    form = Form(problems)
    fields = form.fields(root, "", ("columns",))
    columns: Dictionary = form.part(fields, "", "columns", Form.columns, {})
    form.finish(title)
    return columns


def _path(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
