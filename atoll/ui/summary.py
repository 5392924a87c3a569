"""A result as lines for a terminal: heading, main table, notes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from atoll.ui.drawing import text_width
from atoll.ui.kinds import kind_of, rows
from atoll.ui.tables import Row, own_steps
from atoll.ui.vocabulary import FACTS, HEADS, STEPS, note

PLAIN = (
    "first",
    "last",
    "step",
    "label",
    "word",
    "level",
    "group",
    "term",
    "column",
    "time",
    "site",
)  # columns that keep their digits


def lines(document: Mapping[str, Any], say: Callable[[str], str] = str) -> list[str]:
    """Heading, main table and notes, as lines of text; `say` translates what is not a name."""
    columns = {head: column for table in _tables(document, say) for head, column in _columns(table).items()}
    cells = [[say(HEADS[head]) if head in HEADS else head for head in columns], *zip(*columns.values(), strict=True)]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(columns))]
    words = [i == 0 or any(cell[:1].isalpha() for cell in column) for i, column in enumerate(columns.values())]
    text = ["  ".join(map(_aligned, row, widths, words)).rstrip() for row in cells]
    return [heading(document, say), "", *text, *[say(note(code)) for code in document.get("notes", [])]]


def _tables(document: Mapping[str, Any], say: Callable[[str], str]) -> Iterator[list[Row]]:
    """The main table, and for the steps of an attrition what each hospital has beside it."""
    words = {"step": {"entered": "entered"}, "label": STEPS}
    yield [
        {key: say(words[key][value]) if key in words and value in words[key] else value for key, value in row.items()}
        for row in rows(document)
    ]
    sites = list(document.get("sites_apart") or ())
    if kind_of(document) == "attrition" and len(sites) > 1:
        yield [
            {f"{site}_{end}": bound for site, bounds in zip(sites, row, strict=True)
             for end, bound in zip(("low", "high"), bounds, strict=True)}
            for row in own_steps(document)
        ]  # fmt: skip


def _columns(table: Sequence[Row]) -> dict[str, list[str]]:
    """The cells of each column as people read them: two bounds are one column, `1,490–1,540`."""
    columns: dict[str, list[str]] = {}
    heads = list(table[0]) if table else []
    for head in heads:
        base, _, end = head.rpartition("_")
        if head in ("low", "high"):
            if head == "low" and not {"left", "persons"} & set(heads):
                columns["persons"] = _between(table, "low", "high")
        elif end == "low" and f"{base}_high" in heads:
            bounds = _between(table, head, f"{base}_high")
            middle = columns.get(base)
            columns[base] = bounds if middle is None else list(map(_beside, middle, bounds))
        elif not (end == "high" and f"{base}_low" in heads):
            columns[head] = _cells(head, [row[head] for row in table])
    return columns


def _beside(middle: str, bounds: str) -> str:
    """A number with its bounds, or one of the two where they say the same."""
    if not middle or not bounds:
        return middle or bounds
    plain = bounds.replace(",", "")
    same = plain.replace(".", "").isdecimal() and float(plain) == float(middle.replace(",", ""))
    return bounds if same else f"{middle} ({bounds})"


def _between(table: Sequence[Row], low: str, high: str) -> list[str]:
    both = _cells(low, [row[end] for end in (low, high) for row in table])
    ends = zip(both[: len(table)], both[len(table) :], strict=True)
    return [a if a == b else f"{a}–{b}" if a and b else f"≥ {a}" if a else f"≤ {b}" for a, b in ends]


def _cells(head: str, values: Sequence[Any]) -> list[str]:
    """Numbers of one column: without decimals where none has any, with commas but for years and ages."""
    comma = "" if head in PLAIN else ","
    known = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    whole = all(value == round(value) for value in known) and any(abs(value) >= 10 for value in known)
    return [_cell(value, comma, whole) for value in values]


def heading(document: Mapping[str, Any], say: Callable[[str], str] = str) -> str:
    """One line: what was fitted, to how many persons, at which sites, in how many rounds."""
    facts = [f"{say(name)} {document[key]:,}" for key, name in FACTS.items() if isinstance(document.get(key), int)]
    model = " ".join(str(document[key]) for key in ("family", "link", "ties") if document.get(key))
    number = len(document["sites"])
    sites = say("1 site") if number == 1 else say("{n} sites").format(n=number)
    return " · ".join(filter(None, [document["algorithm"], model, sites, *facts, *coded(document)]))


def coded(document: Mapping[str, Any]) -> list[str]:
    """Which level of an outcome of words counts as 1, without a word of any language: `sex: male = 1, female = 0`."""
    return [
        f"{name}: " + ", ".join(f"{level} = {number}" for level, number in sorted(levels.items(), key=lambda e: -e[1]))
        for name, levels in document.get("coded", {}).items()
    ]


def _cell(value: Any, comma: str, whole: bool) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:{comma}}"
    if isinstance(value, str) and value.replace("–", "").isdecimal() and comma:
        return "–".join(f"{int(part):,}" for part in value.split("–"))  # bounds, as `tables.between` writes them
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return ""
    if whole and math.isfinite(value):
        return f"{value:{comma}.0f}"
    if 0 < abs(value) < 1e-3:
        return f"{value:.4g}"
    return f"{value:{comma}.1f}" if abs(value) >= 1e3 else f"{value:.4f}"


def _width(cell: str) -> int:
    """Columns on a terminal: a Chinese character takes two."""
    return len(cell) + round((text_width(cell, 1.0) - 0.56 * len(cell)) / 0.44)


def _aligned(cell: str, width: int, word: bool) -> str:
    space = " " * (width - _width(cell))
    return cell + space if word else space + cell
