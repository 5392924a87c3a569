"""Charts as SVG: forest plot, survival curves, bars. Drawn here, on the server or in a notebook.

Which kind of result has which chart stands in `ui.kinds`.

A chart is text: it needs no script, no font file and no second language in the page, and it scales and
prints. Colours, strokes and the dark scheme come from classes (`ui/static/atoll.css` on the pages, a small
style inside the file elsewhere). Every axis says what it shows and its unit. Below 440 units of width a
chart is drawn for a telephone: labels above the marks instead of beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atoll.ui.drawing import (
    Scale,
    calendar,
    centred,
    line,
    linear,
    logarithmic,
    number,
    svg,
    text,
    text_width,
    tick_label,
    told,
)
from atoll.ui.splines import basis_terms
from atoll.ui.tables import coefficients, judged, ratio_of

STYLE = """
svg.chart{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','PingFang SC','Microsoft YaHei',
'Noto Sans CJK SC',sans-serif;background:#fff;font-variant-numeric:tabular-nums}
.chart text{fill:#12262e;paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
.chart .soft{fill:#53666f}.chart .strong{font-weight:600}.chart .grid{stroke:#e2e9eb}
.chart .axis{stroke:#9aacb3}.chart .null{stroke:#53666f;stroke-dasharray:4 3}.chart .mark{fill:#00707c}
.chart .whole{fill:#12262e}.chart .range{stroke:#00707c;stroke-width:2}.chart .bar{fill:#00707c}
.chart .c0{stroke:#00707c}.chart .c1{stroke:#c04a12}.chart .c2{stroke:#5b4fa8}.chart .c3{stroke:#4c7a1f}
.chart .f0{fill:#00707c}.chart .f1{fill:#c04a12}.chart .f2{fill:#5b4fa8}.chart .f3{fill:#4c7a1f}
.chart text.f0{fill:#00606a}.chart text.f1{fill:#a33c0b}.chart .band{opacity:.14}
.chart .curve{fill:none;stroke-width:2;stroke-linejoin:round}
@media(prefers-color-scheme:dark){svg.chart{background:#0f1c22}.chart text{fill:#e6eff1;stroke:#0f1c22}
.chart .soft{fill:#a3b6bc}
.chart .grid{stroke:#22343c}.chart .axis{stroke:#5d727a}.chart .null{stroke:#a3b6bc}
.chart .mark,.chart .bar,.chart .f0,.chart text.f0{fill:#3fc1c9}.chart .whole{fill:#e6eff1}
.chart .range,.chart .c0{stroke:#3fc1c9}.chart .c1{stroke:#f59566}.chart .c2{stroke:#b3a7f5}.chart .c3{stroke:#a6d06c}
.chart .f1,.chart text.f1{fill:#f59566}.chart .f2{fill:#b3a7f5}.chart .f3{fill:#a6d06c}.chart .band{opacity:.2}}
"""
WIDE, NARROW, TURN = 720, 360, 440
UNITS = {"d": "days", "wk": "weeks", "mo": "months", "a": "years"}
FEW = 6  # as many times or fewer are drawn as points, not as a curve
SAME = 0.7  # units; steps closer than this are drawn as one
Translate = Callable[[str], str]


@dataclass(frozen=True)
class Chart:
    """An SVG drawing. Shows itself in a notebook; `save` writes it with its own style."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.standalone()

    def standalone(self) -> str:
        """The drawing with its style inside, for a file."""
        head, rest = self.svg.split(">", 1)
        return f"{head}><metadata>Atoll</metadata><style>{STYLE}</style>{rest}"

    def save(self, path: str | Path) -> None:
        """Write the drawing as an SVG file."""
        Path(path).write_text(self.standalone(), encoding="utf-8")


@dataclass(frozen=True)
class Mark:
    """A value with its interval; NaN where there is none. `said` stands beside it instead of the numbers."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    style: str = "mark"
    said: str = ""


# ---- marks with intervals


def forest(document: Mapping[str, Any], say: Translate = str, width: int = WIDE) -> Chart:
    """Estimates with 95 % intervals, on the ratio's logarithmic scale where there is one. No splines."""
    ratio, left_out = ratio_of(document), apart(document)
    value, low, high = ("ratio", "ratio_lower", "ratio_upper") if ratio else ("estimate", "lower", "upper")
    rows = [row for row in coefficients(document) if row["term"] not in left_out]
    marks = [Mark(row["term"], row[value], row[low], row[high]) for row in rows]
    title = say(ratio) if ratio else say("coefficient")
    return dots(
        marks, title, f"{title} ({say('95 % interval')})", null=1.0 if ratio else 0.0, log=bool(ratio), width=width
    )


def apart(document: Mapping[str, Any]) -> set[str]:
    """Terms of a model that stand in no forest plot: the intercept, and what only a spline's curve can show."""
    return {term for term in document["terms"] if term == "Intercept" or term in basis_terms(document)}


def discrimination(document: Mapping[str, Any], say: Translate = str, width: int = WIDE) -> Chart:
    """The AUC of all hospitals together with its bounds, and of each apart."""
    marks = [Mark(row["site"], row["auc"]) for row in judged(document)[1:]]
    together = Mark(say("all hospitals"), document["auc"], document["auc_lower"], document["auc_upper"], "whole")
    return dots([together, *marks], say("AUC"), say("AUC (area under the curve)"), least=(0.5, 1.0), width=width)


def calibration(document: Mapping[str, Any], say: Translate = str, width: int = WIDE) -> Chart:
    """Observed over expected events, all hospitals together and each apart."""
    rows = judged(document)
    marks = [Mark(say("all hospitals"), rows[0]["observed_expected"], style="whole")]
    marks += [Mark(row["site"], row["observed_expected"]) for row in rows[1:]]
    title = say("observed / expected events")
    return dots(marks, title, title, null=1.0, log=True, least=(0.8, 1.25), width=width)


def dots(
    marks: Sequence[Mark],
    title: str,
    axis: str,
    *,
    null: float = math.nan,
    log: bool = False,
    least: Sequence[float] = (),
    width: int = WIDE,
) -> Chart:
    """One row a mark: name, value with its interval on a common scale that holds `least`, and both as numbers."""
    narrow = width < TURN
    shown = [_in_numbers(mark) for mark in marks]
    label = min(max([text_width(mark.name) for mark in marks], default=0) + 18, width * 0.34)
    figures = max([text_width(said) for said in shown], default=0) + 14
    left, right = (14.0, width - 14.0) if narrow else (label, width - figures)
    ends = [*_reach(marks, log), *least, *([null] if math.isfinite(null) else [])]
    about = (4 if log else 5) if narrow else 6
    scale = logarithmic(ends, left, right, about) if log else linear(ends, left, right, about)
    top, step = 8.0, 48.0 if narrow else 28.0
    bottom = top + step * len(marks)
    body = [_upright(scale, tick, top, bottom, width) for tick in scale.ticks]
    if math.isfinite(null):
        body.append(line(scale(null), top, scale(null), bottom, "null"))
    for i, (mark, said) in enumerate(zip(marks, shown, strict=True)):
        y = top + step * i + (33 if narrow else step / 2)
        words = y - 15 if narrow else y + 4.5
        room = width - figures - 14 if narrow else label - 14
        strong = "strong" if mark.style == "whole" else ""
        body += [
            text(0, words, mark.name, "start", strong, room),
            told(_interval(mark, scale, y), f"{mark.name}: {said}"),
            text(width, words, said, "end", "soft"),
        ]
    body.append(centred((left + right) / 2, bottom + 40, axis, width))
    heard = "; ".join(f"{mark.name} {said}" for mark, said in zip(marks, shown, strict=True))
    return Chart(svg(body, width, bottom + 48, f"{title}: {heard}"))


def _in_numbers(mark: Mark) -> str:
    if mark.said:
        return mark.said
    if math.isnan(mark.low) or math.isnan(mark.high):
        return number(mark.value)
    return f"{number(mark.value)} ({number(mark.low)}, {number(mark.high)})"


def _reach(marks: Sequence[Mark], log: bool) -> list[float]:
    """What the axis must hold: every value, and intervals unless they are far wider than the usual one."""
    turn = (lambda v: math.log(v) if v > 0 else -math.inf) if log else float
    values = [mark.value for mark in marks if math.isfinite(mark.value) and math.isfinite(turn(mark.value))]
    widths = sorted(
        turn(m.high) - turn(m.low)
        for m in marks
        if math.isfinite(m.low) and math.isfinite(m.high) and (m.low > 0 or not log)
    )
    spread = turn(max(values)) - turn(min(values)) if values else 1.0
    usual = max(widths[(len(widths) - 1) // 2] if widths else 0.0, spread, 1e-9)
    reach = list(values)
    for mark in marks:
        for end in (mark.low, mark.high):
            if math.isfinite(end) and abs(turn(end) - turn(mark.value)) <= 3 * usual:
                reach.append(end)
    return reach


def _interval(mark: Mark, scale: Scale, y: float) -> str:
    """A square on its interval, or the interval alone; an end beyond the axis is an arrow."""
    if math.isinf(mark.value):
        return ""
    parts = []
    if not (math.isnan(mark.low) or math.isnan(mark.high)):
        low, high = scale(mark.low), scale(mark.high)
        parts.append(line(low, y, high, y, "range"))
        for end, place, turn in ((mark.low, low, 7), (mark.high, high, -7)):
            if not scale.holds(end):
                parts.append(f'<path class="mark" d="M{place:.1f} {y:.1f}l{turn} -5v10z"/>')
    if scale.holds(mark.value):
        x = scale(mark.value)
        parts.append(f'<rect class="{mark.style}" x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" rx="1.5"/>')
    return "".join(parts)


def _upright(scale: Scale, tick: float, top: float, bottom: float, width: float) -> str:
    x = scale(tick)
    return line(x, top, x, bottom, "grid") + centred(x, bottom + 18, tick_label(tick), width)


# ---- survival


def curves(document: Mapping[str, Any], say: Translate = str, width: int = WIDE) -> Chart:
    """Survival by group as steps with 95 % bands, and persons at risk below; a few times are drawn as points."""
    times, groups = np.asarray(document["times"], float), document["groups"]
    names = {name: say("all patients") if name == "all" else name for name in groups}
    narrow, unit = width < TURN, document.get("unit", "")
    held = max((text_width(f"{max(group['at_risk'], default=0):,.0f}") for group in groups.values()), default=0)
    labels = max(text_width(name) for name in names.values()) + held / 2 + 18
    left = 52.0 if narrow else min(max(58.0, labels), width * 0.28)
    across = calendar(float(times.max()) if len(times) else 1.0, unit, left, width - 18, 5 if narrow else 7)
    if len(times) <= FEW:
        across = Scale(0.0, across.high * 1.04, left, width - 18, (0.0, *map(float, times)))
    body, top = _legend(names, width)
    floor = _floor(groups)
    down = Scale(floor, 1.0, top + (220 if narrow else 280), top, linear([floor, 1.0], 0, 1, 5).ticks)
    body += [line(left, down(s), width - 18, down(s), "grid") for s in down.ticks]
    body += [text(left - 8, down(s) + 4.5, f"{s * 100:.4g} %", "end", "soft") for s in down.ticks]
    body += [text(across(t), down.start + 18, tick_label(t), "middle", "soft") for t in across.ticks]
    body.append(line(left, down.start, width - 18, down.start, "axis"))
    for i, name in enumerate(groups):
        body.append(
            _steps(i, times, groups[name], across, down)
            if len(times) > FEW
            else _points(i, times, groups[name], across, down, names[name])
        )
    named = say(UNITS[unit]) if unit in UNITS else unit or say("unit not given")
    body.append(text((left + width - 18) / 2, down.start + 38, f"{say('time')} ({named})", "middle", "soft"))
    rows, bottom = _at_risk(document, names, across, down.start + 64, say, narrow)
    heard = "; ".join(f"{names[name]} {_last(groups[name])}" for name in groups)
    return Chart(svg([*body, *rows], width, bottom, f"{say('survival, with 95 % interval')}: {heard}"))


def _last(values: Mapping[str, Any]) -> str:
    known = [float(v) for v in values["survival"] if v is not None and math.isfinite(v)]
    return f"{known[-1] * 100:.1f} %" if known else "–"


def _floor(groups: Mapping[str, Mapping[str, Any]]) -> float:
    """0, unless all curves stay above 60 %: then the axis begins higher, where the curves are."""
    lowest = min((v for g in groups.values() for v in g["lower"] if v is not None and math.isfinite(v)), default=0.0)
    return 0.0 if lowest < 0.6 else math.floor(lowest * 10 - 0.25) / 10


def _legend(names: Mapping[str, str], width: float) -> tuple[list[str], float]:
    """A key for each curve, in as many lines as it needs; none for a single curve."""
    if len(names) < 2:
        return [], 12.0
    parts, x, y = [], 0.0, 14.0
    for i, name in enumerate(names.values()):
        wanted = min(text_width(name), width - 26) + 26
        if x and x + wanted > width:
            x, y = 0.0, y + 20
        parts.append(f'<rect class="f{i % 4}" x="{x:.1f}" y="{y - 8:.1f}" width="16" height="5" rx="2"/>')
        parts.append(text(x + 22, y, name, room=width - 26))
        x += wanted + 18
    return parts, y + 18


def _steps(i: int, times: Any, values: Mapping[str, Any], across: Scale, down: Scale) -> str:
    def places(name: str) -> list[tuple[float, float]]:
        before, found = 1.0, [(across(0.0), down(1.0))]
        for t, value in zip(times, values[name], strict=True):
            after = math.nan if value is None else float(value)
            if math.isfinite(after):
                x = across(t)
                if x - found[-1][0] < SAME and len(found) > 2:
                    found[-1] = (found[-1][0], down(after))  # closer than eyes can part
                else:
                    found += [(x, down(before)), (x, down(after))]
                before = after
        return [*found, (across(float(times[-1])), down(before))]

    lower, upper, middle = places("lower"), places("upper"), places("survival")
    band, curve = f"{_path([*upper, *reversed(lower)])}Z", _path(middle)
    return f'<path class="band f{i % 4}" d="{band}"/><path class="curve c{i % 4}" d="{curve}"/>'


def _path(corners: Sequence[tuple[float, float]]) -> str:
    """Steps as a path, which names only what changes: a third of what points would need."""
    (x, y), parts = corners[0], [f"M{corners[0][0]:.1f} {corners[0][1]:.1f}"]
    for to_x, to_y in corners[1:]:
        moves = f"{to_x:.1f}" != f"{x:.1f}", f"{to_y:.1f}" != f"{y:.1f}"
        parts.append(
            {(True, False): f"H{to_x:.1f}", (False, True): f"V{to_y:.1f}", (False, False): ""}.get(
                moves, f"L{to_x:.1f} {to_y:.1f}"
            )
        )
        x, y = (to_x, to_y) if any(moves) else (x, y)
    return "".join(parts)


def _points(i: int, times: Any, values: Mapping[str, Any], across: Scale, down: Scale, name: str) -> str:
    parts = []
    for j, t in enumerate(times):
        s, low, high = (
            math.nan if values[k][j] is None else float(values[k][j]) for k in ("survival", "lower", "upper")
        )
        if not math.isfinite(s):
            continue
        x = across(float(t)) + 9 * (i % 4)
        drawn = f'<circle class="f{i % 4}" cx="{x:.1f}" cy="{down(s):.1f}" r="4.5"/>'
        if math.isfinite(low) and math.isfinite(high):
            drawn = line(x, down(low), x, down(high), f"curve c{i % 4}") + drawn
        parts.append(told(drawn, f"{name}: {s * 100:.1f} % ({number(low * 100)}, {number(high * 100)})"))
    return "".join(parts)


def _at_risk(
    document: Mapping[str, Any], names: Mapping[str, str], across: Scale, y: float, say: Translate, narrow: bool
) -> tuple[list[str], float]:
    """Persons at risk under the ticks, a row a group; and where the rows end."""
    times = np.asarray(document["times"], float)
    rows = [text(0, y, say("persons at risk"), "start", "soft")]
    step, gap = (36, 18) if narrow else (20, 20)
    near = (across.ticks[1] - across.ticks[0]) / 2 if len(across.ticks) > 1 else math.inf
    for i, (name, values) in enumerate(document["groups"].items()):
        below = y + gap + step * i
        room = across.end if narrow else across.start - text_width(f"{max(values['at_risk'], default=0):,.0f}") / 2 - 10
        rows.append(text(0, below, names[name], "start", f"f{i % 4}", room))
        for tick in across.ticks:
            j = int(np.searchsorted(times, tick - 1e-9))
            if j < len(times) and times[j] - tick < near:
                held = f"{int(values['at_risk'][j]):,}"
                rows.append(text(across(tick), below + (17 if narrow else 0), held, "middle"))
    return rows, y + gap + step * len(names) + 2


# ---- bars


def levels(document: Mapping[str, Any], say: Translate = str, width: int = WIDE) -> Chart | None:
    """Persons per level of each category; no chart where there is no category."""
    found = [(f"{name}: {level}", float(n)) for name, of in document["categories"].items() for level, n in of.items()]
    return bars(found, say("persons"), width) if document["categories"] else None


def bars(marks: Sequence[tuple[str, float]], title: str, width: int = WIDE) -> Chart:
    """Horizontal bars from zero, one a mark, each with its value."""
    narrow = width < TURN
    label = min(max([text_width(name) for name, _ in marks], default=0) + 18, width * 0.4)
    left, step = (0.0, 44.0) if narrow else (label, 28.0)
    figures = max([text_width(f"{value:,.0f}") for _, value in marks], default=0) + 14
    scale = linear([0.0, *(value for _, value in marks)], left, width - figures, 4)
    bottom = 8 + step * len(marks)
    body = []
    for i, (name, value) in enumerate(marks):
        y = 8 + step * i + (20 if narrow else 5)
        reach = max(scale(value) - left, 1.0)
        body += [
            text(0, y - 6 if narrow else y + 13, name, room=width if narrow else label - 14),
            f'<rect class="bar" x="{left:.1f}" y="{y:.1f}" width="{reach:.1f}" height="17" rx="2"/>',
            text(left + reach + 8, y + 13, f"{value:,.0f}", "start", "soft"),
        ]
    body.append(centred((left + width - figures) / 2, bottom + 22, title, width))
    heard = "; ".join(f"{name} {value:,.0f}" for name, value in marks)
    return Chart(svg(body, width, bottom + 30, f"{title}: {heard}"))
