"""Pieces of a drawing: scales with round ticks, text that knows its width, and SVG elements as text.

No style attribute is ever written: pages forbid inline styles, and colours come from classes.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape, unescape
from typing import Any

SIZE = 13.0  # of text, in the drawing's units
DAYS = (1, 2, 5, 10, 30, 60, 90, 180, 365, 730, 1825, 3650)


def text_width(text: str, size: float = SIZE) -> float:
    """About how wide the text is: a Chinese character is as wide as it is high, a Latin letter about half."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return size * (wide + 0.56 * (len(text) - wide))


def shortened(text: str, room: float, size: float = SIZE) -> str:
    """The text, or its beginning and end with … between, so that it fits into `room`."""
    if text_width(text, size) <= room:
        return text
    keep = len(text)
    while keep > 4 and text_width(text[:keep], size) + size > room:
        keep -= 1
    head = math.ceil(keep * 0.6)
    return f"{text[:head]}…{text[len(text) - (keep - head) :]}"


@dataclass(frozen=True)
class Scale:
    """From values to places, straight or logarithmic; values outside land on the ends."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    log: bool = False

    def __call__(self, value: float) -> float:
        x, low, high = (math.log(max(v, 1e-300)) if self.log else v for v in (value, self.low, self.high))
        return self.start + min(max((x - low) / (high - low), 0.0), 1.0) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether the value lies on the scale."""
        return self.low <= value <= self.high


def linear(values: Sequence[float], start: float, end: float, about: int = 5) -> Scale:
    """A straight scale over all finite values, which ends at ticks."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    step = _round_step((high - low) / about)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(i * step, 12) for i in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], start, end, ticks)


def logarithmic(values: Sequence[float], start: float, end: float, most: int = 7) -> Scale:
    """A logarithmic scale over all positive values and 1: halves and doubles, or round numbers near 1."""
    finite = [min(max(value, 1e-9), 1e9) for value in values if math.isfinite(value) and value > 0]
    low, high = min([*finite, 0.95]), max([*finite, 1.05])
    low, high = low / (high / low) ** 0.03, high * (high / low) ** 0.03
    if high / low < 3:
        ticks = tuple(
            tick for tick in linear([low, high], 0, 1, max(most - 2, 3)).ticks if low <= tick <= high and tick > 0
        )
    else:
        low_power, high_power = math.floor(math.log10(low)), math.ceil(math.log10(high))
        for steps in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7)):  # the finer ones where fewer than three would stand
            ladder = [m * 10.0**e for e in range(low_power, high_power + 1) for m in steps]
            ticks = tuple(tick for tick in ladder if low <= tick <= high)
            if len(ticks) > 2:
                break
        if len(ticks) > most:
            ticks = tuple(tick for tick in ticks if abs(math.log10(tick) - round(math.log10(tick))) < 1e-9)
        while len(ticks) > most:
            ticks = ticks[::2]
    return Scale(low, high, start, end, ticks, log=True)


def calendar(end: float, unit: str, start: float, stop: float, most: int = 7) -> Scale:
    """A scale for follow-up from zero; days are cut at months and years."""
    if unit == "d" and end > 60:
        step = float(next((days for days in DAYS if end / days <= most - 1), DAYS[-1]))
    else:
        step = _round_step(end / (most - 2))
    return Scale(0.0, end, start, stop, tuple(i * step for i in range(int(end / step + 1e-9) + 1)))


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))


def number(value: float, digits: int = 3) -> str:
    """A number as people write it: 1.03, 12.4, 0.0012, 1,200; – when it does not exist."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    rounded = float(f"{value:.{digits - 1}e}")  # 0.9999 has the places of 1.00
    places = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0) if value else digits - 1
    return f"{value:,.{min(places, 6)}f}".replace("-", "−")


def tick_label(value: float) -> str:
    """A round number, short."""
    return f"{value:,.6g}".replace("-", "−")


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A straight line."""
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x: float, y: float, content: Any, anchor: str = "start", style: str = "", room: float = math.inf) -> str:
    """Text; one that does not fit is shortened and told whole to the pointer."""
    whole = str(content)
    shown = shortened(whole, room)
    title = f"<title>{escape(whole)}</title>" if shown != whole else ""
    classes = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{classes}>{title}{escape(shown)}</text>'


def centred(x: float, y: float, content: str, width: float) -> str:
    """Text about a place, moved so far that all of it lies within a drawing of this width."""
    half = min(text_width(content), width) / 2
    return text(min(max(x, half), width - half), y, content, "middle", "soft", width)


def told(body: str, said: str) -> str:
    """A group that says its content to the pointer."""
    return f"<g><title>{escape(said)}</title>{body}</g>"


def stacked(drawings: Sequence[str], gap: float = 28) -> str:
    """Drawings of `svg`, one below the other, as one."""
    if len(drawings) == 1:
        return drawings[0]
    body: list[str] = []
    described: list[str] = []
    height = width = 0.0
    for drawing in drawings:
        found = re.match(r'<svg [^>]*width="(\d+)" height="(\d+)" [^>]*aria-label="([^"]*)">(.*)</svg>$', drawing, re.S)
        assert found is not None
        top = height + gap if body else 0.0
        body.append(f'<g transform="translate(0 {top:.0f})">{found[4]}</g>')
        width, height = max(width, float(found[1])), top + float(found[2])
        described.append(unescape(found[3]))
    return svg(body, width, height, ". ".join(described))


def svg(body: Sequence[str], width: float, height: float, described: str) -> str:
    """The drawing, with its content in words for those who do not see it."""
    return (
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(described)}">{"".join(body)}</svg>'
    )
