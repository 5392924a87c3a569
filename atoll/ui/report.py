"""A result as a page, and as files: its kind's parts with notes, the main table as CSV, the chart."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from atoll.study.dictionary import Dictionary
from atoll.ui import kinds
from atoll.ui.charts import WIDE, Chart
from atoll.ui.summary import coded
from atoll.ui.vocabulary import note
from atoll.ui.words import Say

UNSAFE = ("=", "+", "-", "@", "\t", "\r", "\n")


def report(document: Mapping[str, Any], columns: Dictionary, say: Say, *, files: bool = True) -> dict[str, Any]:
    """What a page shows of a result: what is true of every kind, and what its kind's template needs.

    charted   whether it has a chart to be downloaded
    files     whether the table can be had as a file beside the page
    apart     whether it tells numbers of single hospitals
    """
    name = kinds.kind_of(document)
    kind = kinds.KINDS[name]
    notes = [*coded(document), *(say(note(code)) for code in document.get("notes", []))]
    told = {"kind": name, "document": document, "notes": notes, "apart": kind.apart and bool(document["sites_apart"])}
    told |= {"charted": chart_of(document, say) is not None, "files": files}
    return {**told, **kind.parts(document, columns, say)}


def chart_of(document: Mapping[str, Any], say: Say) -> Chart | None:
    """The result's chart as a file, or None when it has none."""
    return kinds.KINDS[kinds.kind_of(document)].chart(document, say, WIDE)


def to_csv(document: Mapping[str, Any]) -> str:
    """The main table as CSV (RFC 4180) with a byte-order mark, so that a spreadsheet reads Chinese names rightly.

    A word that a spreadsheet would compute is headed by an apostrophe; a value that does not exist is empty.
    """
    rows: Sequence[Mapping[str, Any]] = kinds.rows(document)
    text = io.StringIO()
    writer = csv.writer(text)
    if rows:
        writer.writerow([safe(name) for name in rows[0]])
    writer.writerows([safe(value) for value in row.values()] for row in rows)
    return "\ufeff" + text.getvalue()


def safe(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return "" if isinstance(value, float) and not math.isfinite(value) else value
    word = str(value)
    return f"'{word}" if word.startswith(UNSAFE) else word
