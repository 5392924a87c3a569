"""What the page of each kind of result needs: figures, rows, labels. Its template stands in `templates/kinds`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from atoll.study.dictionary import Dictionary
from atoll.ui import charts, tables
from atoll.ui.charts import NARROW
from atoll.ui.effects import effect
from atoll.ui.layout import figure, p_value
from atoll.ui.splines import Curve, basis_terms, curves
from atoll.ui.steps import funnel, of_cohort
from atoll.ui.words import Say

WIDE, HALF = 1050, 500  # units of width of a chart that has its row alone, or shares it


def _drawn(draw: Any, document: Mapping[str, Any], say: Say, caption: str = "", wide: int = WIDE) -> Any:
    big, small = (draw(document, say, width).svg for width in (wide, NARROW))
    return figure(big, small, caption)


def model(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    """Coefficients with a forest plot, and the curve of each spline."""
    rows = tables.coefficients(document)
    labels = {row["term"]: _label(row["term"], columns) for row in rows}
    forest = _drawn(charts.forest, document, say) if len(rows) > len(charts.apart(document)) else ""
    found, basis = curves(document), basis_terms(document)
    bent = [_bent(curve, document, columns, say, HALF if len(found) > 1 else WIDE) for curve in found]
    return {
        "rows": rows,
        "labels": labels,
        "ratio": tables.ratio_of(document),
        "forest": forest,
        "basis": basis,
        "uncurved": len(basis) > sum(len(curve.terms) for curve in found),
        "curves": bent,
    }


def _bent(curve: Curve, document: Mapping[str, Any], columns: Dictionary, say: Say, wide: int) -> dict[str, Any]:
    """A spline's curve, called as the dictionary calls its column."""
    name = (columns[curve.column].label if curve.column in columns else "") or curve.column

    def draw(document: Mapping[str, Any], say: Say, width: int) -> charts.Chart:
        return effect(curve, document, say, width, name)

    return {"name": name, "figure": _drawn(draw, document, say, wide=wide)}


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


def survival(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    test = document["logrank"]
    caption = ""
    if test:
        p = p_value(test["p"]) if test["p"] < 0.001 else f"= {p_value(test['p'])}"
        caption = say("Log-rank test: χ² = {chisq}, {df} df, p {p}.", chisq=f"{test['chisq']:.2f}", df=test["df"], p=p)
    medians = {name: [_known(value) for value in group["median"]] for name, group in document["groups"].items()}
    rows = tables.survival(document)
    return {
        "curves": _drawn(charts.curves, document, say, caption),
        "rows": rows,
        "medians": medians,
        "unit": _time(document, say),
    }


def _known(value: float | None) -> float | None:
    """A number, or None where there is none: NaN in Python's results, null in those of the hub."""
    return None if value is None or math.isnan(value) else float(value)


def _time(document: Mapping[str, Any], say: Say) -> str:
    unit = document.get("unit", "")
    return say(charts.UNITS[unit]) if unit in charts.UNITS else unit


def description(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
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


def judged(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    bounds = say(
        "The AUC over all hospitals compares patients of different hospitals. Their scores stay where they are, so it"
        " is known between two bounds; a hospital's own AUC is exact."
    )
    return {
        "rows": tables.judged(document),
        "auc": _drawn(charts.discrimination, document, say, bounds, HALF),
        "calibration": _drawn(charts.calibration, document, say, "", HALF),
    }


def steps(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    apart = document["sites_apart"]
    rows = []
    for i, (row, sites) in enumerate(zip(tables.steps(document), tables.own_steps(document), strict=True)):
        own = [tables.between(*bounds) for bounds in sites]
        alone = tables.between(row["alone_low"], row["alone_high"]) if i and "alone_low" in row else ""
        left = tables.between(row["low"], row["high"])
        named = of_cohort(row, say) if i else say("entered")
        shown = {"step": row["step"], "label": row["label"], "named": named}
        rows.append(shown | {"left": left, "alone": alone, "sites": own})
    apart_too = any(row["alone"] for row in rows)
    return {"rows": rows, "sites": list(apart), "alone": apart_too, "chart": _drawn(funnel, document, say)}


def values(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    rows = [row for row in tables.values(document) if row["name"] not in ("algorithm", "rounds")]
    return {"rows": rows}
