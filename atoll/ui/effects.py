"""The chart of a model: its forest plot, and below it for each spline the curve of its effect with its band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from atoll.study.basis import Array
from atoll.ui.charts import TURN, UNITS, WIDE, Chart, Translate, apart, forest
from atoll.ui.drawing import (
    Scale,
    centred,
    line,
    linear,
    logarithmic,
    number,
    stacked,
    svg,
    text,
    text_width,
    tick_label,
    told,
)
from atoll.ui.splines import Curve, curves
from atoll.ui.tables import ratio_of

WELL = 4  # times the band's narrowest quarter: a curve whose band is wider is not worth an axis


def chart(document: Mapping[str, Any], say: Translate = str, width: int = WIDE) -> Chart:
    """The forest plot, and below it the curves."""
    drawn = [forest(document, say, width)] if has_forest(document) else []
    drawn += [effect(curve, document, say, width) for curve in curves(document)]
    return Chart(stacked([one.svg for one in drawn]))


def has_forest(document: Mapping[str, Any]) -> bool:
    """Whether a term is left for a forest plot; a model of nothing but an intercept has an empty one."""
    return len(document["terms"]) > len(apart(document)) or not curves(document)


def effect(curve: Curve, document: Mapping[str, Any], say: Translate = str, width: int = WIDE, name: str = "") -> Chart:
    """The effect of a spline's column against its reference, on a logarithmic scale where the model has ratios.

    name   what the column is called; its name in the formula when left out
    """
    log, narrow = bool(ratio_of(document)), width < TURN
    null, top, bottom = float(log), 34.0, 34.0 + (210 if narrow else 260)
    low, middle, high = (np.exp(np.clip(v, -20, 20)) if log else v for v in (curve.lower, curve.middle, curve.upper))
    ends = [math.exp(end) if log else end for end in _reach(curve)]
    down = logarithmic(ends, bottom, top, 6) if log else linear([*ends, null], bottom, top, 5)
    left = max(text_width(tick_label(tick)) for tick in down.ticks) + 14
    across = _along(curve, left, width - 14, 5 if narrow else 8)
    band = _points([*curve.x, *curve.x[::-1]], [*high, *low[::-1]], across, down)
    dot = f'<circle class="f0" cx="{across(curve.reference):.1f}" cy="{down(null):.1f}" r="4.5"/>'
    title, axis = _title(curve, document, say), (name or curve.column) + _unit(curve.column, document, say, " ({})")
    body = [
        text(0, 14, title, "start", "soft", width),
        *_frame(across, down, null),
        f'<path class="band f0" d="M{band}Z"/>',
        _line(curve.x, middle, across, down),
        told(dot, f"{say('reference')}: {tick_label(curve.reference)}"),
        centred((left + width - 14) / 2, bottom + 42, axis, width),
    ]
    heard = "; ".join(_heard(tick, curve.x, (middle, low, high)) for tick in across.ticks)
    return Chart(svg(body, width, bottom + 50, f"{axis}: {title}: {heard}"))


def _title(curve: Curve, document: Mapping[str, Any], say: Translate) -> str:
    """What the upright axis shows, and against what."""
    if ratio := ratio_of(document):
        measure = say(ratio)
    elif document.get("link") == "identity":
        measure = say("difference")
    else:
        measure = say("difference of the linear predictor")
    reference = tick_label(curve.reference) + _unit(curve.column, document, say, " {}")
    shown = say("{measure} against {reference}").format(measure=measure, reference=reference)
    return f"{shown} ({say('95 % interval')})"


def _unit(column: str, document: Mapping[str, Any], say: Translate, form: str) -> str:
    unit = document.get("units", {}).get(column, "")
    return form.format(say(UNITS[unit]) if unit in UNITS else unit) if unit else ""


def _reach(curve: Curve) -> tuple[float, float]:
    """What the upright axis holds: the curve where it is known well, and its band, cut off where it opens wide."""
    wide = curve.upper - curve.lower
    known = wide <= WELL * np.quantile(wide, 0.25)
    lowest, highest = float(curve.middle[known].min()), float(curve.middle[known].max())
    room = max(highest - lowest, float(np.quantile(wide, 0.25)), 1e-9)
    return max(float(curve.lower.min()), lowest - room), min(float(curve.upper.max()), highest + room)


def _along(curve: Curve, start: float, end: float, about: int) -> Scale:
    """The range of the column, with round ticks inside it."""
    low, high = float(curve.x[0]), float(curve.x[-1])
    return Scale(low, high, start, end, tuple(t for t in linear([low, high], 0, 1, about).ticks if low <= t <= high))


def _frame(across: Scale, down: Scale, null: float) -> list[str]:
    """Lines and numbers of both axes, and the line of no effect."""
    body = [line(across.start, down(tick), across.end, down(tick), "grid") for tick in down.ticks]
    body += [text(across.start - 8, down(tick) + 4.5, tick_label(tick), "end", "soft") for tick in down.ticks]
    body += [text(across(tick), down.start + 20, tick_label(tick), "middle", "soft") for tick in across.ticks]
    body.append(line(across.start, down.start, across.end, down.start, "axis"))
    return [*body, line(across.start, down(null), across.end, down(null), "null")]


def _points(x: Sequence[float] | Array, y: Sequence[float] | Array, across: Scale, down: Scale) -> str:
    return "L".join(f"{across(float(a)):.1f} {down(float(b)):.1f}" for a, b in zip(x, y, strict=True))


def _line(x: Array, y: Array, across: Scale, down: Scale) -> str:
    """The curve, as far as it lies on the axis."""
    inside = [down.holds(float(value)) for value in y]
    steps = [
        f"{'L' if i and inside[i - 1] else 'M'}{_points([x[i]], [y[i]], across, down)}" for i in np.flatnonzero(inside)
    ]
    return f'<path class="curve c0" d="{"".join(steps)}"/>'


def _heard(at: float, x: Array, values: tuple[Array, ...]) -> str:
    middle, low, high = (number(float(np.interp(at, x, value))) for value in values)
    return f"{tick_label(at)}: {middle} ({low}, {high})"
