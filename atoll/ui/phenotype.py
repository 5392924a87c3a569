"""What a phenotype's diagnostics look like beside its incidence: words, the overlap of two cohorts, times in days."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from atoll.study.diagnosis import without_ways
from atoll.study.dictionary import Dictionary
from atoll.ui.charts import NARROW, TURN, WIDE, Chart, Mark, Translate, dots
from atoll.ui.drawing import number, stacked
from atoll.ui.layout import figure
from atoll.ui.steps import bars, counted
from atoll.ui.tables import Row, between
from atoll.ui.vocabulary import COLUMNS, NAMED, PARTS, WAYS
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
        {"word": word, "persons": between(one["low"], one["high"]), "why": say.listed(say(WAYS[way]) for way in ways)}
        | {"sites": [between(own["low"][i], own["high"][i]) for own in apart.values()]}
        for i, one in enumerate(document["words"])
        for word, ways in [without_ways(one["word"])]
    ]
    label = columns[document["column"]].label if document["column"] in columns else ""
    label = say(COLUMNS[label]) if label in COLUMNS else label or document["column"]
    return {"rows": table, "sites": list(apart), "label": label, "chart": _both(words_chart, document, say)}


def words_chart(document: Document, say: Translate = str, width: int = WIDE) -> Chart | None:
    """Persons of the most frequent words, all hospitals together; None without any."""
    marks = [counted(without_ways(one["word"])[0], one["low"], one["high"]) for one in document["words"][:SHOWN]]
    return bars(marks, say, say("Persons per word"), say("persons"), width) if marks else None


# ---- two cohorts


def overlap_rows(document: Document) -> list[Row]:
    """One row a part: either, the first, the second, both, and one of them alone."""
    return [{"part": part, **ends} for part, ends in document["parts"].items()]


def overlap_parts(document: Document, columns: Dictionary, say: Say) -> dict[str, Any]:
    """A table of the parts with a column a hospital, and the chart."""
    apart = document["sites_apart"]
    table = [
        {"name": _part(part, document, say), "persons": between(ends["low"], ends["high"])}
        | {"sites": [between(own["parts"][part]["low"], own["parts"][part]["high"]) for own in apart.values()]}
        for part, ends in document["parts"].items()
    ]
    chart = _both(overlap_chart, document, say)
    return {"rows": table, "sites": list(apart), "chart": chart}


def overlap_chart(document: Document, say: Translate = str, width: int = WIDE) -> Chart:
    """Persons in the one cohort alone, in both, in the other alone."""
    ends = document["parts"]
    marks = [counted(_part(part, document, say), ends[part]["low"], ends[part]["high"]) for part in DRAWN]
    return bars(marks, say, say("Overlap of two cohorts"), say("persons"), width)


def _part(part: str, document: Document, say: Translate) -> str:
    """A part by the name of its cohort, where that has one."""
    label = document["labels"].get(part.removeprefix("only_"), "")
    return say(NAMED[part]).format(cohort=label) if label and label not in COLUMNS else say(PARTS[part])


# ---- times


def durations_rows(document: Document) -> list[Row]:
    """One row a column, and one a column and hospital: persons, median and quartiles, in days."""
    places = [("", document["columns"]), *((site, own["columns"]) for site, own in document["sites_apart"].items())]
    table: list[Row] = []
    for name in document["columns"]:
        for site, columns in places:
            one = columns[name]
            row: Row = {"column": name, "site": site or "(all)", "persons": one["persons"]}
            for probability in QUANTILES:
                key = f"q{round(100 * probability)}"
                row |= dict(zip((key, f"{key}_low", f"{key}_high"), _at(one, probability), strict=True))
            table.append(row | {"unit": one["unit"]})
    return table


def durations_parts(document: Document, columns: Dictionary, say: Say) -> dict[str, Any]:
    """For each column its middle values and the share of persons up to a few times, all together and by hospital."""
    places = [(_together(document, say), document["columns"])]
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
        places = [(_together(document, say), together, "whole")]
        places += [(site, own["columns"][name], "mark") for site, own in document["sites_apart"].items()]
        told = [(place, one, style) for place, one, style in places if one["persons"]]
        if told:
            label, marks = _label(document, name, say), [_mark(*one) for one in told]
            least = [0.0, 1.0, *(at for _, one, _ in told for p in QUANTILES for at in _at(one, p)[:2])]
            unit = say("days") if width < TURN else say("days: median and middle half")
            drawn.append(dots(marks, label, f"{label} ({unit})", least=least, width=width).svg)
    return Chart(stacked(drawn)) if drawn else None


def _together(document: Document, say: Translate) -> str:
    """What the numbers are of that are told first."""
    return say("this hospital") if len(document["sites"]) == 1 else say("all hospitals")


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
    median, _, half = _in_days(one).partition(" (")
    told = {"place": place, "persons": f"{one['persons']:,}", "median": median}
    return told | {"half": f"({half}", "year": f"{share} %"}


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
