"""A result as parts of a page: facts in a row, figures, tables, notes. What each kind shows, in one place."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from atoll.study.dictionary import Dictionary
from atoll.ui import charts, tables
from atoll.ui.charts import NARROW, Chart
from atoll.ui.layout import figure, p_value
from atoll.ui.steps import funnel
from atoll.ui.vocabulary import note
from atoll.ui.words import Say

WIDE, HALF = 1050, 500  # units of width of a chart that has its row alone, or shares it
UNSAFE = ("=", "+", "-", "@", "\t", "\r", "\n")


def report(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    """What a page shows of a result: `kind`, `figures`, `notes`, and what that kind's template needs."""
    kind = tables.shape_of(document)
    made = {"coefficients": _model, "survival": _survival, "description": _description, "performance": _judged,
            "attrition": _steps}  # fmt: skip
    parts = made.get(kind, _values)(document, columns, say)
    notes = [say(note(code)) for code in document.get("notes", [])]
    return {"kind": kind, "document": document, "notes": notes, **parts}


def _drawn(draw: Any, document: Mapping[str, Any], say: Say, caption: str = "", wide: int = WIDE) -> Any:
    big, small = (draw(document, say, width).svg for width in (wide, NARROW))
    return figure(big, small, caption)


def _model(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    rows = tables.coefficients(document)
    labels = {row["term"]: _label(row["term"], columns) for row in rows}
    forest = _drawn(charts.forest, document, say) if any(row["term"] != "Intercept" for row in rows) else ""
    return {"rows": rows, "labels": labels, "ratio": tables.ratio_of(document), "forest": forest}


def _label(term: str, columns: Dictionary) -> str:
    """The dictionary's words for the columns in a term."""
    return label_of([name for name, column in columns.items() if column.label and _holds(term, name)], columns)


def label_of(names: Sequence[str], columns: Dictionary) -> str:
    """Columns by their labels, else by their names, each with its unit; those that act together joined by ×."""
    return " × ".join((columns[name].label or name) + _unit(columns, name) for name in names)


def _holds(term: str, name: str) -> bool:
    word = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in term.split("[")[0])
    return name in word.split()


def _unit(columns: Dictionary, name: str) -> str:
    return f" ({columns[name].unit})" if columns[name].unit else ""


def _survival(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    test = document["logrank"]
    caption = ""
    if test:
        p = p_value(test["p"]) if test["p"] < 0.001 else f"= {p_value(test['p'])}"
        caption = say("Log-rank test: χ² = {chisq}, {df} df, p {p}.", chisq=f"{test['chisq']:.2f}", df=test["df"], p=p)
    medians = {name: group["median"] for name, group in document["groups"].items()}
    rows = tables.survival(document)
    return {
        "curves": _drawn(charts.curves, document, say, caption),
        "rows": rows,
        "medians": medians,
        "unit": _time(document, say),
    }


def _time(document: Mapping[str, Any], say: Say) -> str:
    unit = document.get("unit", "")
    return say(charts.UNITS[unit]) if unit in charts.UNITS else unit


def _description(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    rows = [row for row in tables.description(document) if not row["level"]]
    flags = [row for row in rows if row["column"] in columns and columns[row["column"]].type == "flag"]
    numbers = [row for row in rows if row not in flags]
    for row in rows:
        row["label"] = columns[row["column"]].label if row["column"] in columns else ""
    categories = [
        {
            "column": name,
            "label": columns[name].label if name in columns else "",
            "level": level,
            "n": n,
            "of": sum(levels.values()),
        }
        for name, levels in document["categories"].items()
        for level, n in levels.items()
    ]
    return {"numbers": numbers, "flags": flags, "categories": categories}


def _judged(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    bounds = say(
        "The AUC over all hospitals compares patients of different hospitals. Their scores stay where they are, so it"
        " is known between two bounds; a hospital's own AUC is exact."
    )
    return {
        "rows": tables.judged(document),
        "auc": _drawn(charts.discrimination, document, say, bounds, HALF),
        "calibration": _drawn(charts.calibration, document, say, "", HALF),
    }


def _steps(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    apart = document["sites_apart"]
    rows = []
    for i, row in enumerate(tables.steps(document)):
        own = [tables.between(s["low"][i - 1], s["high"][i - 1]) if i else f"{s['entered']:,}" for s in apart.values()]
        alone = tables.between(row["alone_low"], row["alone_high"]) if i and "alone_low" in row else ""
        left = tables.between(row["low"], row["high"])
        rows.append({"step": row["step"], "label": row["label"], "left": left, "alone": alone, "sites": own})
    apart_too = any(row["alone"] for row in rows)
    return {"rows": rows, "sites": list(apart), "alone": apart_too, "chart": _drawn(funnel, document, say)}


def _values(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    rows = [row for row in tables.rows(document) if row["name"] not in ("algorithm", "rounds")]
    return {"rows": rows}


def chart_of(document: Mapping[str, Any], say: Say) -> Chart | None:
    """The result's chart as a file, or None when this kind has none."""
    try:
        return charts.chart(document, say)
    except ValueError:
        return None


def to_csv(document: Mapping[str, Any]) -> str:
    """The main table as CSV (RFC 4180) with a byte-order mark, so that a spreadsheet reads Chinese names rightly.

    A word that a spreadsheet would compute is headed by an apostrophe; a value that does not exist is empty.
    """
    rows: Sequence[Mapping[str, Any]] = tables.rows(document)
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
