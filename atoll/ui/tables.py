"""The main table of each kind of result, as rows for a frame, a file or a page.

Which kind has which table stands in `ui.kinds`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from atoll.ui.splines import Z, basis_terms

RATIOS = {"logit": "odds ratio", "cloglog": "hazard ratio", "log_hazard": "hazard ratio"}
RATIOS_OF_LOG = {"poisson": "rate ratio", "binomial": "risk ratio"}
Row = dict[str, Any]


def ratio_of(document: Mapping[str, Any]) -> str:
    """What exp(coefficient) is called under the model's link, or nothing where it has no meaning."""
    link = document.get("link", "log_hazard")
    if link == "log":
        return RATIOS_OF_LOG.get(document.get("family", ""), "ratio of means")
    return RATIOS.get(link, "")


def coefficients(document: Mapping[str, Any]) -> list[Row]:
    """One row a term: estimate, standard error, 95 % interval, z, p, and the ratio where the scale is logarithmic.

    A basis function of a spline has no ratio: no two patients differ in it alone.
    """
    from scipy.special import ndtr

    ratio, basis = ratio_of(document), basis_terms(document)
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
            ends = {"ratio": estimate, "ratio_lower": low, "ratio_upper": high}
            row |= {name: math.nan if term in basis else _exp(value) for name, value in ends.items()}
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
    low, high = entered(document)
    first: Row = {"step": "entered", "label": "", "low": low, "high": high}
    table = [first | {"alone_low": math.nan, "alone_high": math.nan}, *document["steps"]]
    order = ["step", "label", "left", "low", "high", *(["alone_low", "alone_high"] if _alone(document) else [])]
    return [
        {key: between(row["low"], row["high"], "") if key == "left" else row[key] for key in order} for row in table
    ]


def own_steps(document: Mapping[str, Any]) -> list[list[tuple[int, int]]]:
    """A list a row of `steps`: the bounds of each hospital, in the order of `sites_apart`."""
    apart = document["sites_apart"].values()
    first = [entered(site) for site in apart]
    return [first, *([(s["low"][i], s["high"][i]) for s in apart] for i in range(len(document["steps"])))]


def entered(document: Mapping[str, Any]) -> tuple[int, int]:
    """Bounds of who entered; results of before there were bounds hold the number alone."""
    return document["entered"], document.get("entered_high", document["entered"])


def _alone(document: Mapping[str, Any]) -> bool:
    """Whether the steps say who keeps each of them alone."""
    return any("alone_low" in step for step in document["steps"])


def between(low: int, high: int, thousands: str = ",") -> str:
    """A number of persons, or the two between which one that is held back lies."""
    return f"{low:{thousands}}" if low == high else f"{low:{thousands}}–{high:{thousands}}"


def values(document: Mapping[str, Any]) -> list[Row]:
    """Any other result: its single values."""
    return [{"name": name, "value": value} for name, value in document.items() if not isinstance(value, dict | list)]


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _exp(value: float) -> float:
    return float(np.exp(np.clip(value, -700, 700)))
