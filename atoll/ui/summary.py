"""A result as lines for a terminal: heading, main table, notes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from atoll.ui.drawing import text_width
from atoll.ui.kinds import rows
from atoll.ui.vocabulary import note


def lines(document: Mapping[str, Any], say: Callable[[str], str] = str) -> list[str]:
    """Heading, main table and notes, as lines of text; `say` translates the notes."""
    table = rows(document)
    heads = list(table[0]) if table else []
    cells = [heads] + [[_cell(row[head]) for head in heads] for row in table]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(heads))]
    text = [
        "  ".join(_aligned(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    return [heading(document), "", *text, *[say(note(code)) for code in document.get("notes", [])]]


def heading(document: Mapping[str, Any]) -> str:
    """One line: what was fitted, to how many persons, at which sites, in how many rounds."""
    facts = [f"{key} {document[key]:,}" for key in ("n", "events", "rounds") if isinstance(document.get(key), int)]
    model = " ".join(str(document[key]) for key in ("family", "link", "ties") if document.get(key))
    sites = f"{len(document['sites'])} site{'' if len(document['sites']) == 1 else 's'}"
    return " · ".join(filter(None, [document["algorithm"], model, sites, *facts, *coded(document)]))


def coded(document: Mapping[str, Any]) -> list[str]:
    """Which level of an outcome of words counts as 1, without a word of any language: `sex: male = 1, female = 0`."""
    return [
        f"{name}: " + ", ".join(f"{level} = {number}" for level, number in sorted(levels.items(), key=lambda e: -e[1]))
        for name, levels in document.get("coded", {}).items()
    ]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return (
            ""
            if math.isnan(value)
            else f"{value:.4g}"
            if (abs(value) < 1e-3 and value) or abs(value) >= 1e5
            else f"{value:.4f}"
        )
    return str(value)


def _width(cell: str) -> int:
    """Columns on a terminal: a Chinese character takes two."""
    return len(cell) + round((text_width(cell, 1.0) - 0.56 * len(cell)) / 0.44)


def _aligned(cell: str, width: int, column: int) -> str:
    space = " " * (width - _width(cell))
    return cell + space if column == 0 else space + cell
