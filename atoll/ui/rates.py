"""Incidence as a table of cells, and as bars of rates: sexes and ages, calendar years, hospitals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from atoll.study.dictionary import Dictionary
from atoll.ui.charts import NARROW, WIDE, Chart, Translate
from atoll.ui.drawing import number, stacked
from atoll.ui.layout import figure
from atoll.ui.steps import Bar, bars
from atoll.ui.tables import Row, between
from atoll.ui.vocabulary import SEXES
from atoll.ui.words import Say

BOUNDS = ("events_low", "events_high", "years_low", "years_high", "rate_low", "rate_high")
CHARTS = ("", "by sex", "year")  # cells that stand in one chart: everybody, sexes and ages; ages within a sex; years


def rows(document: Mapping[str, Any]) -> list[Row]:
    """One row a cell: bounds of its events, person-years, and rate per 1,000 person-years."""
    return [
        {"by": cell["by"], "sex": cell["sex"], "first": _blank(cell["first"]), "last": _blank(cell["last"])}
        | {bound: _blank(cell[bound]) for bound in BOUNDS}
        for cell in document["cells"]
    ]


def parts(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    """Charts, and a table of the cells of which something is known, with a column a hospital."""
    sites = document["sites_apart"]
    table, left_out = [], False
    for i, cell in sorted(enumerate(document["cells"]), key=lambda one: _place(one[1])):
        own = [one["cells"][i] for one in sites.values()]
        if not _known(cell) and not any(_known(one) for one in own):
            left_out = True
            continue
        years = _between(cell["years_low"], cell["years_high"])
        table.append(
            {
                "name": called(cell, say),
                "events": between(cell["events_low"], cell["events_high"]),
                "years": f"{cell['years_low']:,.0f}" if cell["years_low"] == cell["years_high"] else years,
                "rate": told_rate(cell),
                "sites": [told_rate(one) for one in own],
            }
        )
    figures = [drawn for place in CHARTS if (drawn := _figure(_cells(document, place, say), say))]
    apart = [_bar(site, one["cells"][0]) for site, one in sites.items() if _known(one["cells"][0])]
    by_site = _figure(apart, say) if len(apart) > 1 else ""
    return {"rows": table, "sites": list(sites), "figures": figures, "by_site": by_site, "left_out": left_out}


def chart(document: Mapping[str, Any], say: Translate = str, width: int = WIDE) -> Chart | None:
    """Rates by sex and age, then by year; None where nothing is known of any."""
    drawn = [_bars(marks, say, width) for place in CHARTS if (marks := _cells(document, place, say))]
    return Chart(stacked([one.svg for one in drawn])) if drawn else None


def called(cell: Mapping[str, Any], say: Translate) -> str:
    """A cell in words: everybody; both sexes 40–49; women 40–49; 2019."""
    sex = say(SEXES[cell["sex"]]) if cell["sex"] in SEXES else cell["sex"]
    if cell["by"] == "all":
        return say("everybody")
    if cell["by"] == "year":
        return str(cell["first"])
    if cell["by"] == "sex":
        return str(sex)
    ages = f"≥ {cell['first']}" if cell["last"] is None else f"{cell['first']}–{cell['last']}"
    return f"{sex or say('both sexes')} {ages}"


def told_rate(cell: Mapping[str, Any]) -> str:
    """The rate, or the bounds between which it lies."""
    low, high = _ends(cell)
    return _between(low, high) if math.isfinite(high) else "–"


def _between(low: float, high: float) -> str:
    """Two bounds, or one number where they read alike."""
    return "–".join(dict.fromkeys((number(low), number(high))))


def _cells(document: Mapping[str, Any], place: str, say: Translate) -> list[Bar]:
    return [_bar(called(cell, say), cell) for cell in document["cells"] if _chart_of(cell) == place and _known(cell)]


def _place(cell: Mapping[str, Any]) -> int:
    """Where a cell stands among the others: ages of both sexes before those of each."""
    return ("all", "sex", "age", "year").index(cell["by"]) * 2 + (cell["by"] == "age" and bool(cell["sex"]))


def _chart_of(cell: Mapping[str, Any]) -> str:
    return "year" if cell["by"] == "year" else "by sex" if cell["by"] == "age" and cell["sex"] else ""


def _bar(name: str, cell: Mapping[str, Any]) -> Bar:
    """Events are told or held back; person-years always lie between two steps, and that holds nothing back."""
    return Bar(name, *_ends(cell), cell["events_low"] < cell["events_high"])


def _figure(marks: Sequence[Bar], say: Translate) -> Any:
    return figure(_bars(marks, say, WIDE).svg, _bars(marks, say, NARROW).svg) if marks else ""


def _bars(marks: Sequence[Bar], say: Translate, width: int) -> Chart:
    axis = say("events per 1,000 person-years")
    return bars(marks, say, say("Incidence"), axis, width, _between)


def _known(cell: Mapping[str, Any]) -> bool:
    """Whether the rate has an upper bound, and is not just anything from nothing."""
    return math.isfinite(_ends(cell)[1]) and (cell["events_low"] > 0 or cell["events_low"] == cell["events_high"])


def _ends(cell: Mapping[str, Any]) -> tuple[float, float]:
    low, high = cell["rate_low"], cell["rate_high"]
    return 0.0 if low is None else float(low), math.inf if high is None else float(high)


def _blank(value: Any) -> Any:
    return math.nan if value is None else value
