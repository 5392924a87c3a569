"""Hospitals side by side: what is different, in words; each column's figures, hospital by hospital; a chart of those
that stand apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from atoll.study.dictionary import Dictionary
from atoll.ui.charts import NARROW, WIDE, Chart, Mark, Translate, dots
from atoll.ui.drawing import number
from atoll.ui.layout import figure
from atoll.ui.tables import Row
from atoll.ui.vocabulary import APART
from atoll.ui.words import Say

_BLANK = dict.fromkeys(("q25", "median", "q75", "share_least", "share"), math.nan)


def rows(document: Mapping[str, Any]) -> list[Row]:
    """One row a number and hospital, and one a level and hospital; `finding` says in a word what stands apart.

    A share lies between `share_least` and `share`, which are equal where it is told.
    """
    table: list[Row] = []
    for name, column in document["columns"].items():
        for site, one in document["sites_apart"].items():
            figures = one["columns"][name]
            found = " ".join(f["kind"] for f in one["findings"] if f["column"] == name)
            head = {"column": name, "level": "", "site": site, "missing": float(figures["missing"])}
            tail = {"unit": column["unit"], "finding": found}
            if "shares" in figures:
                table += [
                    head | {"level": level} | _BLANK | {"share_least": least, "share": most} | tail
                    for level, (least, most) in ((level, _ends(figures, level)) for level in figures["shares"])
                ]
            else:
                known = {key: _number(figures[key]) for key in ("q25", "median", "q75")}
                table.append(head | _BLANK | known | tail)
    return table


def parts(document: Mapping[str, Any], columns: Dictionary, say: Say) -> dict[str, Any]:
    """Sentences of what stands apart, and a table with a column a hospital."""
    sites = document["sites_apart"]
    told = [
        {"site": site, "column": finding["column"], "label": _label(finding["column"], columns),
         "said": _said(finding, document["columns"][finding["column"]]["unit"], say)}
        for site, one in sites.items() for finding in one["findings"]
    ]  # fmt: skip
    table = []
    for name, column in document["columns"].items():
        apart = [any(f["column"] == name for f in one["findings"]) for one in sites.values()]
        own = [one["columns"][name] for one in sites.values()]
        known = {level for one in own for level in one.get("shares", {})}
        levels = sorted(known - {"0"} if column["type"] == "flag" else known)  # of a flag the other share says the same
        for level in levels or [""]:
            cells = [{**_cell(one, level), "apart": flag} for one, flag in zip(own, apart, strict=True)]
            unit = f"({column['unit']})" if column["unit"] else ""
            label = " ".join(filter(None, [_label(name, columns), unit]))
            table.append({"column": name, "label": label, "level": level, "cells": cells})
    persons = [f"{one['persons']:,}" for one in sites.values()]
    wide, narrow = (chart(document, say, width) for width in (WIDE, NARROW))
    drawn = figure(wide.svg, narrow.svg) if wide and narrow else ""
    return {"told": told, "sites": list(sites), "persons": persons, "table": table, "figure": drawn}


def chart(document: Mapping[str, Any], say: Translate = str, width: int = WIDE) -> Chart | None:
    """Middle value and middle half of each hospital, for the numbers that stand apart somewhere; None without any."""
    sites, marks = document["sites_apart"], []
    for name in document["columns"]:
        apart = {site for site, one in sites.items() for f in one["findings"]
                 if f["column"] == name and f["kind"] in ("unit", "level", "mixed")}  # fmt: skip
        own = {site: one["columns"][name] for site, one in sites.items()}
        own = {site: one for site, one in own.items() if math.isfinite(_number(one.get("median")))}
        known = sorted(_number(one["median"]) for one in own.values())
        if not apart or not known:
            continue
        middle = known[len(known) // 2]
        for site, one in own.items():
            value, low, high = (_number(one[key]) / middle for key in ("median", "q25", "q75"))
            marks.append(Mark(f"{name} · {site}", value, low, high, "whole" if site in apart else "mark"))
    if not marks:
        return None
    axis = say("middle value and middle half, as a multiple of the middle hospital's")
    return dots(marks, say("multiple"), axis, null=1.0, log=True, width=width)


def _said(finding: Mapping[str, Any], unit: str, say: Say) -> str:
    show = number if finding["kind"] in ("unit", "level") else _percent
    here, elsewhere = (
        _between(float(finding[f"{key}_least"]), float(finding[key])) if finding["kind"] == "share"
        else show(float(finding[key]))
        for key in ("here", "elsewhere")
    )  # fmt: skip
    return say(
        APART[finding["kind"]],
        here=here,
        elsewhere=elsewhere,
        unit=f" {unit}" if unit else "",
        likely=finding.get("looks_like", ""),
        level=finding.get("level", ""),
    )


def _cell(figures: Mapping[str, Any], level: str) -> dict[str, str]:
    """What a hospital's cell shows: the middle value and the middle half, or a share; and gaps."""
    gaps = _percent(float(figures["missing"])) if float(figures["missing"]) >= 0.005 else ""
    if "shares" in figures:
        return {"main": _between(*_ends(figures, level)), "more": "", "missing": gaps}
    values = {key: _number(figures[key]) for key in ("median", "q25", "q75")}
    if not math.isfinite(values["median"]):
        return {"main": "–", "more": "", "missing": gaps}
    half = f"{number(values['q25'])} – {number(values['q75'])}"
    return {"main": number(values["median"]), "more": half, "missing": gaps}


def _ends(figures: Mapping[str, Any], level: str) -> tuple[float, float]:
    """The least and the largest share of a level."""
    return float(figures["shares_least"].get(level, 0.0)), float(figures["shares"].get(level, 0.0))


def _between(least: float, most: float) -> str:
    """A share, or the two between which it lies."""
    if math.isclose(least, most, abs_tol=1e-9):
        return _percent(most)
    return f"{_percent(least)} – {_percent(most)}" if least else f"≤ {max(math.ceil(most * 100 - 1e-9), 1)} %"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _label(name: str, columns: Dictionary) -> str:
    """The dictionary's words for a column; none where it has no others than the name."""
    return columns[name].label if name in columns else ""
