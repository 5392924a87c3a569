"""Charts as SVG: forest plot, survival curves, bars. Drawn here, on the server or in a notebook.

A chart is text: it needs no script, no font file and no second language in the page, and it scales and
prints. Colours, strokes and the dark scheme come from classes (`ui/static/atoll.css` on the pages, a small
style inside the file elsewhere). Every axis says what it shows and its unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from atoll.ui.tables import EXPONENTIATED, coefficients, judged

STYLE = """
svg.chart{font:13px system-ui,'Noto Sans','Noto Sans CJK SC',sans-serif;background:#fff}
.chart text{fill:#1c2b33}.chart .soft{fill:#5b6b73}.chart .grid{stroke:#e3e9ec}.chart .axis{stroke:#9fb0b8}
.chart .null{stroke:#5b6b73;stroke-dasharray:4 3}.chart .mark{fill:#00707c;stroke:none}.chart .range{stroke:#00707c;stroke-width:2}
.chart .line0{stroke:#00707c}.chart .line1{stroke:#c2541b}.chart .line2{stroke:#5a4fa0}.chart .line3{stroke:#4d7c2c}
.chart .area0{fill:#00707c}.chart .area1{fill:#c2541b}.chart .area2{fill:#5a4fa0}.chart .area3{fill:#4d7c2c}
.chart .area{opacity:.13;stroke:none}.chart .curve{fill:none;stroke-width:2}
"""
WIDTH = 720
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
        return f"{head}><style>{STYLE}</style>{rest}"

    def save(self, path: str | Path) -> None:
        """Write the drawing as an SVG file."""
        Path(path).write_text(self.standalone(), encoding="utf-8")


def chart(document: Mapping[str, Any], say: Translate = str) -> Chart:
    """The chart that belongs to a result; `say` translates its words.

    Raises
    ------
    ValueError
        When this kind of result has no chart.
    """
    kind = document["algorithm"]
    if kind in ("glm", "cox"):
        return forest(document, say)
    if kind == "kaplan_meier":
        return curves(document, say)
    if kind == "performance":
        rows = judged(document)
        marks = [(row["site"] if row["site"] != "(all)" else say("all hospitals"), row["auc"]) for row in rows]
        return bars(marks, say("AUC"), 0.5, 1.0)
    if kind == "describe" and document["categories"]:
        marks = [
            (f"{name}: {level}", n) for name, levels in document["categories"].items() for level, n in levels.items()
        ]
        return bars(marks, say("persons"), 0.0, max(n for _, n in marks))
    raise ValueError(f"a result of {kind} has no chart; use to_frame() or summary()")


def forest(document: Mapping[str, Any], say: Translate = str) -> Chart:
    """Estimates with 95 % intervals, on the ratio's logarithmic scale where there is one."""
    rows = [row for row in coefficients(document) if row["term"] != "Intercept"]
    ratio = EXPONENTIATED.get(document.get("link", "log_hazard"))
    names = ("ratio", "ratio_lower", "ratio_upper") if ratio else ("estimate", "lower", "upper")
    values = [tuple(float(row[name]) for name in names) for row in rows]
    title = say(ratio) if ratio else say("coefficient")
    left, top, step = 230, 14, 26
    height = top + step * len(rows) + 48
    ends = [end for _, low, high in values for end in (low, high) if math.isfinite(end) and (end > 0 or not ratio)]
    scale = _log_scale(ends, left) if ratio else _linear_scale([*ends, 0.0], left)
    bottom = top + step * len(rows)
    body = [_vertical(scale(tick), top, bottom, "grid") + _tick(scale(tick), bottom, tick) for tick in scale.ticks]
    body.append(_vertical(scale(1.0 if ratio else 0.0), top, bottom, "null"))
    for i, (row, (middle, low, high)) in enumerate(zip(rows, values, strict=True)):
        y = top + step * i + step / 2
        shown = f"{middle:.3g} ({low:.3g}, {high:.3g})"
        body += [
            _text(left - 14, y + 4, row["term"], "end"),
            f'<line class="range" x1="{scale(low):.1f}" x2="{scale(high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>',
            f'<rect class="mark" x="{scale(middle) - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>',
            _text(WIDTH - 4, y + 4, shown, "end", "soft"),
        ]
    body.append(_text((left + WIDTH - 170) / 2, height - 8, f"{title} ({say('95 % interval')})", "middle", "soft"))
    return _svg(
        body, height, f"{title}: " + "; ".join(f"{r['term']} {v[0]:.3g}" for r, v in zip(rows, values, strict=True))
    )


def curves(document: Mapping[str, Any], say: Translate = str) -> Chart:
    """Survival by group as steps, with 95 % bands and persons at risk below."""
    times = np.concatenate([[0.0], np.asarray(document["times"], float)])
    groups = document["groups"]
    left, top, plot = 64, 14, 260
    scale = _linear_scale([0.0, float(times.max())], left, WIDTH - 20)
    down = _Scale(0.0, 1.0, top + plot, top, [0, 0.25, 0.5, 0.75, 1.0])
    body = [
        f'<line class="grid" x1="{left}" x2="{WIDTH - 20}" y1="{down(s):.1f}" y2="{down(s):.1f}"/>'
        + _text(left - 8, down(s) + 4, f"{s:.0%}", "end", "soft")
        for s in down.ticks
    ]
    body += [_tick(scale(tick), top + plot, tick) for tick in scale.ticks]
    for i, (name, values) in enumerate(groups.items()):
        body += _one_curve(i, times, values, scale, down)
        body.append(_key(left + 12 + 150 * i, top + plot + 60, i, name if name != "all" else say("all patients")))
    unit = say(
        {"d": "days", "wk": "weeks", "mo": "months", "a": "years"}.get(
            document.get("unit", ""), document.get("unit", "")
        )
    )
    body.append(
        _text(
            left + 8,
            top + plot + 40,
            say("survival, with 95 % band") + f" · {say('time')} ({unit or say('unit not given')})",
            "start",
            "soft",
        )
    )
    body += _at_risk_rows(document, scale, top + plot + 78, say, left)
    height = top + plot + 92 + 18 * len(groups)
    return _svg(body, height, say("survival curves") + ": " + ", ".join(groups))


def _one_curve(i: int, times: Any, values: Mapping[str, Any], scale: _Scale, down: _Scale) -> list[str]:
    def steps(name: str, start: float) -> list[tuple[float, float]]:
        heights = [start, *[math.nan if v is None else float(v) for v in values[name]]]
        points = [(scale(times[0]), down(heights[0]))]
        for t, before, after in zip(times[1:], heights[:-1], heights[1:], strict=True):
            if math.isfinite(after):
                points += [(scale(t), down(before)), (scale(t), down(after))]
        return points

    lower, upper, middle = steps("lower", 1.0), steps("upper", 1.0), steps("survival", 1.0)
    band = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*upper, *reversed(lower)])
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in middle)
    return [
        f'<polygon class="area area{i % 4}" points="{band}"/>',
        f'<polyline class="curve line{i % 4}" points="{line}"/>',
    ]


def _at_risk_rows(document: Mapping[str, Any], scale: _Scale, y: float, say: Translate, left: int) -> list[str]:
    times = np.asarray(document["times"], float)
    shown = [int(np.argmin(np.abs(times - tick))) for tick in scale.ticks if tick > 0] if len(times) else []
    rows = [_text(left, y, say("persons at risk"), "start", "soft")]
    for i, values in enumerate(document["groups"].values()):
        for j in dict.fromkeys(shown):
            rows.append(
                _text(
                    scale(float(times[j])), y + 18 * (i + 1), f"{int(values['at_risk'][j]):,}", "middle", f"area{i % 4}"
                )
            )
    return rows


def bars(marks: Sequence[tuple[str, float]], title: str, low: float, high: float) -> Chart:
    """Horizontal bars, one a mark, each with its value."""
    left, top, step = 230, 10, 26
    high = max(high, low + 1e-9)
    scale = _Scale(low, high, left, WIDTH - 90, _ticks(low, high))
    bottom = top + step * len(marks)
    body = [_vertical(scale(tick), top, bottom, "grid") + _tick(scale(tick), bottom, tick) for tick in scale.ticks]
    for i, (name, value) in enumerate(marks):
        y = top + step * i + 5
        width = max(scale(min(max(value, low), high)) - left, 1.0)
        shown = f"{value:,.0f}" if high > 10 else f"{value:.3f}"
        body += [
            _text(left - 14, y + 12, name, "end"),
            f'<rect class="mark" x="{left}" y="{y:.1f}" width="{width:.1f}" height="16" rx="2"/>',
            _text(left + width + 8, y + 12, shown, "start", "soft"),
        ]
    body.append(_text((left + WIDTH) / 2, bottom + 40, title, "middle", "soft"))
    return _svg(body, bottom + 48, f"{title}: " + "; ".join(f"{name} {value:.3g}" for name, value in marks))


@dataclass(frozen=True)
class _Scale:
    """A straight line from values to places; `log` takes logarithms first."""

    low: float
    high: float
    start: float
    end: float
    ticks: list[float]
    log: bool = False

    def __call__(self, value: float) -> float:
        x, low, high = (math.log(max(v, 1e-12)) if self.log else v for v in (value, self.low, self.high))
        share = min(max((x - low) / (high - low), 0.0), 1.0)
        return self.start + share * (self.end - self.start)


def _linear_scale(values: Sequence[float], left: float, right: float = WIDTH - 170) -> _Scale:
    low, high = min(values, default=0.0), max(values, default=1.0)
    high = high if high > low else low + 1.0
    ticks = _ticks(low, high)
    return _Scale(min(low, ticks[0]), max(high, ticks[-1]), left, right, ticks)


def _log_scale(values: Sequence[float], left: float) -> _Scale:
    low, high = min([*values, 0.9]), max([*values, 1.1])
    low, high = max(low, 1e-3), min(high, 1e3)
    ladder = [m * 10.0**e for e in range(-3, 4) for m in (1, 2, 5)]
    ticks = [tick for tick in ladder if low <= tick <= high] or [1.0]
    while len(ticks) > 7:
        ticks = ticks[:: 2 if 1.0 in ticks[::2] else 3]
    return _Scale(low, high, left, WIDTH - 170, ticks, log=True)


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers from `low` to `high`."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(first * step + i * step, 12) for i in range(int((high - first * step) / step + 1e-9) + 1)]


def _vertical(x: float, top: float, bottom: float, style: str) -> str:
    return f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'


def _tick(x: float, bottom: float, value: float) -> str:
    return _text(x, bottom + 18, f"{value:,.6g}", "middle", "soft")


def _key(x: float, y: float, i: int, name: str) -> str:
    return f'<rect class="area{i % 4}" x="{x}" y="{y - 9}" width="14" height="4"/>' + _text(x + 20, y - 3, name)


def _text(x: float, y: float, text: Any, anchor: str = "start", style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{escape(str(text))}</text>'


def _svg(body: Sequence[str], height: float, described: str) -> Chart:
    """The drawing, with its content in words for those who do not see it."""
    return Chart(
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(described)}">{"".join(body)}</svg>'
    )
