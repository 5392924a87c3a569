"""The main table of each kind of result: rows for a frame or a page, lines for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from atoll.ui.drawing import text_width
from atoll.ui.vocabulary import note

Z = 1.959963984540054  # 97.5 % quantile of the normal distribution
RATIOS = {"logit": "odds ratio", "cloglog": "hazard ratio", "log_hazard": "hazard ratio"}
RATIOS_OF_LOG = {"poisson": "rate ratio", "binomial": "risk ratio"}
Row = dict[str, Any]


def ratio_of(document: Mapping[str, Any]) -> str:
    """What exp(coefficient) is called under the model's link, or nothing where it has no meaning."""
    link = document.get("link", "log_hazard")
    if link == "log":
        return RATIOS_OF_LOG.get(document.get("family", ""), "ratio of means")
    return RATIOS.get(link, "")


def rows(document: Mapping[str, Any]) -> list[Row]:
    """The main table of a result, a dict a row, every row with the same keys."""
    return _TABLES.get(shape_of(document), _values)(document)


def shape_of(document: Mapping[str, Any]) -> str:
    """What a result looks like, by what it holds: whose algorithm made it does not matter."""
    return next((shape for shape, entries in SHAPES.items() if entries <= set(document)), "values")


def coefficients(document: Mapping[str, Any]) -> list[Row]:
    """One row a term: estimate, standard error, 95 % interval, z, p, and the ratio where the scale is logarithmic."""
    from scipy.special import ndtr

    ratio = ratio_of(document)
    table = []
    for term, estimate, error in zip(document["terms"], document["params"], document["bse"], strict=True):
        z = estimate / error if error else math.nan
        low, high = estimate - Z * error, estimate + Z * error
        row: Row = {
            "term": term,
            "estimate": float(estimate),
            "se": float(error),
            "lower": float(low),
            "upper": float(high),
        }
        if ratio:
            row |= {"ratio": _exp(estimate), "ratio_lower": _exp(low), "ratio_upper": _exp(high)}
        table.append(row | {"z": float(z), "p": float(2 * ndtr(-abs(z)))})
    return table


def survival(document: Mapping[str, Any]) -> list[Row]:
    """One row a group and time: survival with its 95 % interval, persons at risk, events so far."""
    return [
        {"group": group, "time": float(time)}
        | {name: _number(values[name][j]) for name in ("survival", "se", "lower", "upper", "at_risk", "events")}
        for group, values in document["groups"].items()
        for j, time in enumerate(document["times"])
    ]


def description(document: Mapping[str, Any]) -> list[Row]:
    """One row a number, and one a level of a category."""
    table = []
    for name, values in document["numbers"].items():
        quantiles = {q[0]: q[1] for q in values["quantiles"]}
        shown = {key: _number(values[key]) for key in ("mean", "sd", "skewness")}
        shown |= {key: int(values[key]) for key in ("n", "missing")}
        if values.get("type") == "flag":  # the mean is the share; a quantile of 0 and 1 says nothing
            quantiles = {}
        quartiles = {key: _number(quantiles.get(q)) for key, q in (("q25", 0.25), ("median", 0.5), ("q75", 0.75))}
        table.append({"column": name, "level": ""} | shown | quartiles | {"unit": values["unit"]})
    blank = {key: math.nan for key in ("missing", "mean", "sd", "skewness", "q25", "median", "q75")}
    for name, levels in document["categories"].items():
        table += [{"column": name, "level": level, "n": n} | blank | {"unit": ""} for level, n in levels.items()]
    order = ("column", "level", "n", "missing", "mean", "sd", "skewness", "q25", "median", "q75", "unit")
    return [{key: row[key] for key in order} for row in table]


def judged(document: Mapping[str, Any]) -> list[Row]:
    """One row for all hospitals together, and one for each apart."""
    together = {
        "site": "(all)",
        "auc": document["auc"],
        "auc_lower": document["auc_lower"],
        "auc_upper": document["auc_upper"],
        "brier": document["brier"],
        "observed_expected": document["observed_expected"],
        "calibration_in_the_large": round(document["calibration_in_the_large"], 12),  # nought, but for its last bits
        "calibration_slope": document["calibration_slope"],
    }
    apart = [
        {
            "site": site,
            "auc": _number(figures["auc"]),
            "auc_lower": math.nan,
            "auc_upper": math.nan,
            "brier": _number(figures["brier"]),
            "observed_expected": _number(figures["observed_expected"]),
            "calibration_in_the_large": _number(figures["calibration_in_the_large"]),
            "calibration_slope": _number(figures["calibration_slope"]),
        }
        for site, figures in document["sites_apart"].items()
    ]
    return [together, *apart]


def steps(document: Mapping[str, Any]) -> list[Row]:
    """One row for who entered, and one a step: who is left, in order, and who keeps the step alone."""
    entered: int = document["entered"]
    first: Row = {"step": "entered", "label": "", "low": entered, "high": entered}
    table = [first | {"alone_low": math.nan, "alone_high": math.nan}, *document["steps"]]
    order = ["step", "label", "left", "low", "high", *(["alone_low", "alone_high"] if _alone(document) else [])]
    return [
        {key: between(row["low"], row["high"], "") if key == "left" else row[key] for key in order} for row in table
    ]


def _alone(document: Mapping[str, Any]) -> bool:
    """Whether the steps say who keeps each of them alone."""
    return any("alone_low" in step for step in document["steps"])


def between(low: int, high: int, thousands: str = ",") -> str:
    """A number of persons, or the two between which one that is held back lies."""
    return f"{low:{thousands}}" if low == high else f"{low:{thousands}}–{high:{thousands}}"


def _values(document: Mapping[str, Any]) -> list[Row]:
    """Any other result: its single values."""
    return [{"name": name, "value": value} for name, value in document.items() if not isinstance(value, dict | list)]


SHAPES = {
    "coefficients": {"terms", "params", "bse"},
    "survival": {"times", "groups"},
    "description": {"numbers", "categories"},
    "performance": {"auc", "sites_apart"},
    "attrition": {"entered", "steps"},
}
_TABLES = {
    "coefficients": coefficients,
    "survival": survival,
    "description": description,
    "performance": judged,
    "attrition": steps,
}


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _exp(value: float) -> float:
    return float(np.exp(np.clip(value, -700, 700)))


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
    return " · ".join(filter(None, [document["algorithm"], model, f"{len(document['sites'])} sites", *facts]))


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
