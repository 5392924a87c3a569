"""What a phenotype's diagnostics look like beside its incidence: words, the overlap of two cohorts, times in days."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from atoll.study.dictionary import Dictionary
from atoll.ui.charts import NARROW, WIDE, Chart, Mark, Translate, dots
from atoll.ui.drawing import number, stacked
from atoll.ui.layout import figure
from atoll.ui.steps import bars, counted
from atoll.ui.tables import Row, between
from atoll.ui.vocabulary import COLUMNS, PARTS
from atoll.ui.words import Say

Document = Mapping[str, Any]
SHOWN = 20  # words in a chart
DRAWN = ("only_first", "both", "only_second")
QUANTILES = (0.25, 0.5, 0.75)


def _both(chart: Any, document: Document, say: Say) -> Any:
    """The chart for wide and for narrow screens, or nothing."""
    wide, narrow = (chart(document, say, width) for width in (WIDE, NARROW))
    return figure(wide.svg, narrow.svg) if wide and narrow else ""


# ---- persons per word


def words_rows(document: Document) -> list[Row]:
    """One row a word: its persons, between two bounds where they are held back somewhere."""
    head: Row = {"word": "", "persons": "", "low": math.nan, "high": math.nan}
    table = [{**one, "persons": between(one["low"], one["high"], "")} for one in document["words"]]
    return [{key: one[key] for key in head} for one in table] or [head]


def words_parts(document: Document, columns: Dictionary, say: Say) -> dict[str, Any]:
    """A table of all words with a column a hospital, and the chart."""
    apart = document["sites_apart"]
    table = [
        {"word": one["word"], "persons": between(one["low"], one["high"])}
        | {"sites": [between(own["low"][i], own["high"][i]) for own in apart.values()]}
        for i, one in enumerate(document["words"])
    ]
    label = columns[document["column"]].label if document["column"] in columns else ""
    label = say(COLUMNS[label]) if label in COLUMNS else label or document["column"]
    return {"rows": table, "sites": list(apart), "label": label, "chart": _both(words_chart, document, say)}


def words_chart(document: Document, say: Translate = str, width: int = WIDE) -> Chart | None:
    """Persons of the most frequent words, all hospitals together; None without any."""
    marks = [counted(one["word"], one["low"], one["high"]) for one in document["words"][:SHOWN]]
    return bars(marks, say, say("Persons per word"), say("persons"), width) if marks else None


# ---- two cohorts


def overlap_rows(document: Document) -> list[Row]:
    """One row a part: either, the first, the second, both, and one of them alone."""
    return [{"part": part, **ends} for part, ends in document["parts"].items()]


def overlap_parts(document: Document, columns: Dictionary, say: Say) -> dict[str, Any]:
    """A table of the parts with a column a hospital, and the chart."""
    apart = document["sites_apart"]
    table = [
        {"name": say(PARTS[part]), "persons": between(ends["low"], ends["high"])}
        | {"sites": [between(own["parts"][part]["low"], own["parts"][part]["high"]) for own in apart.values()]}
        for part, ends in document["parts"].items()
    ]
    labels = {key: name for key, name in document["labels"].items() if name not in COLUMNS}
    chart = _both(overlap_chart, document, say)
    return {"rows": table, "sites": list(apart), "labels": labels, "chart": chart}


def overlap_chart(document: Document, say: Translate = str, width: int = WIDE) -> Chart:
    """Persons in the first cohort alone, in both, in the second alone."""
    ends = document["parts"]
    marks = [counted(say(PARTS[part]), ends[part]["low"], ends[part]["high"]) for part in DRAWN]
    return bars(marks, say, say("Overlap of two cohorts"), say("persons"), width)


# ---- times


def durations_rows(document: Document) -> list[Row]:
    """One row a column, and one a column and hospital: persons, median and quartiles in words and numbers, in days."""
    places = [("", document["columns"]), *((site, own["columns"]) for site, own in document["sites_apart"].items())]
    table: list[Row] = []
    for name in document["columns"]:
        for site, columns in places:
            one = columns[name]
            row: Row = {"column": name, "site": site or "(all)", "persons": one["persons"], "days": _in_days(one)}
            for probability in QUANTILES:
                key = f"q{round(100 * probability)}"
                row |= dict(zip((key, f"{key}_low", f"{key}_high"), _at(one, probability), strict=True))
            table.append(row | {"unit": one["unit"]})
    return table


def durations_parts(document: Document, columns: Dictionary, say: Say) -> dict[str, Any]:
    """For each column its middle values and the share of persons up to a few times, all together and by hospital."""
    places = [(say("all hospitals"), document["columns"])]
    places += [(site, own["columns"]) for site, own in document["sites_apart"].items()]
    tables = []
    for name in document["columns"]:
        table = [_told(place, columns_[name]) for place, columns_ in places]
        tables.append({"name": name, "label": _label(document, name, say), "rows": table})
    known = [one for _, own in places for one in own.values() if one["persons"]]
    open_ = any(not math.isfinite(end) for one in known for end in _ends(one))
    drawn = _both(durations_chart, document, say)
    return {"tables": tables, "figure": drawn, "open": open_, "exact": document.get("exact", False)}


def durations_chart(document: Document, say: Translate = str, width: int = WIDE) -> Chart | None:
    """Median and middle half of each column, all hospitals together and each apart; None where nobody is told."""
    drawn = []
    for name, together in document["columns"].items():
        places = [(say("all hospitals"), together, "whole")]
        places += [(site, own["columns"][name], "mark") for site, own in document["sites_apart"].items()]
        told = [(place, one, style) for place, one, style in places if one["persons"]]
        if told:
            label, marks = _label(document, name, say), [_mark(*one) for one in told]
            least = [0.0, 1.0, *(at for _, one, _ in told for p in QUANTILES for at in _at(one, p)[:2])]
            axis = f"{label} ({say('days: median and middle half')})"
            drawn.append(dots(marks, label, axis, least=least, width=width).svg)
    return Chart(stacked(drawn)) if drawn else None


def _mark(place: str, one: Mapping[str, Any], style: str) -> Mark:
    """The median on the middle half, open where a quartile is beyond the grid."""
    low, high = _ends(one)
    return Mark(place, _at(one, 0.5)[0], low, high, style, _in_days(one))


def _ends(one: Mapping[str, Any]) -> tuple[float, float]:
    """Between which numbers the middle half lies: its quartiles, else their outer bounds, ∓∞ where there are none."""
    (first, low, _), (third, _, high) = (_at(one, p) for p in (0.25, 0.75))
    start, end = (bound if math.isnan(told) else told for told, bound in ((first, low), (third, high)))
    return -math.inf if math.isnan(start) else start, math.inf if math.isnan(end) else end


def _told(place: str, one: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the table: persons, median with quartiles, and the share of more than a year."""
    if not one["persons"]:
        return {"place": place, "persons": "–", "median": "–", "half": "", "year": "–"}
    year = next((at for at in one["at_most"] if at[0] == 365.0), None)
    ends = sorted((1 - year[2], 1 - year[1])) if year else []
    share = "–".join(dict.fromkeys(f"{100 * end:.0f}" for end in ends))
    first, middle, third = (_days(*_at(one, p)) for p in QUANTILES)
    told = {"place": place, "persons": f"{one['persons']:,}", "median": middle}
    return told | {"half": f"{first} – {third}", "year": f"{share} %"}


def _at(one: Mapping[str, Any], probability: float) -> tuple[float, float, float]:
    """Estimate and bounds of a quantile, NaN where there is none."""
    found = next((q[1:] for q in one["quantiles"] if abs(q[0] - probability) < 1e-9), [None] * 3)
    estimate, low, high = (_number(value) for value in found)
    return estimate, low, high


def _in_days(one: Mapping[str, Any]) -> str:
    """The median with its quartiles: 1,871 (912, ≥ 1,826)."""
    first, middle, third = (_days(*_at(one, p)) for p in QUANTILES)
    return f"{middle} ({first}, {third})" if one["persons"] else ""


def _days(estimate: float, low: float, high: float) -> str:
    """A number of days; without an estimate the bound that is known."""
    if math.isfinite(estimate):
        return f"{estimate:,.0f}" if estimate >= 100 or estimate == round(estimate) else number(estimate)
    return f"≥ {low:,.0f}" if math.isfinite(low) else f"≤ {high:,.0f}" if math.isfinite(high) else "–"


def _label(document: Document, name: str, say: Translate) -> str:
    label = document["columns"][name]["label"]
    return say(COLUMNS[label]) if label in COLUMNS else label or name


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
