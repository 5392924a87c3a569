"""The steps of an attrition as a drawing for a file: its title, all hospitals together, then each hospital."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atoll.ui.charts import WIDE, Chart, Translate
from atoll.ui.drawing import stacked, svg, text
from atoll.ui.steps import funnel
from atoll.ui.tables import own_steps

GAP = 8.0


def losses(document: Mapping[str, Any], title: str, say: Translate = str, width: int = WIDE) -> Chart:
    """A panel for the sum and one for each hospital that shows its own numbers, under a title."""
    drawings = [_heading(title, width)]
    sites = list(document["sites_apart"])
    if len(sites) > 1:
        drawings.append(_heading(say("all hospitals together"), width))
    drawings.append(funnel(document, say, width).svg)
    for i, site in enumerate(sites if len(sites) > 1 else ()):
        drawings += [_heading(site, width), funnel(_alone(document, i), say, width).svg]
    return Chart(stacked(drawings, GAP))


def _alone(document: Mapping[str, Any], i: int) -> dict[str, Any]:
    """The document of one hospital."""
    (entered, entered_high), *bounds = [row[i] for row in own_steps(document)]
    steps = [{**step, "low": low, "high": high} for step, (low, high) in zip(document["steps"], bounds, strict=True)]
    return {"entered": entered, "entered_high": entered_high, "steps": steps, "sites_apart": {}}


def _heading(words: str, width: int) -> str:
    return svg([text(0, 16, words, room=width)], width, 20, words)
