"""The chart of an attrition: a bar a step, and a lighter piece up to where a number that is held back may lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atoll.ui.charts import TURN, WIDE, Chart, Translate
from atoll.ui.drawing import Scale, linear, svg, text, text_width, told
from atoll.ui.tables import between, entered


def funnel(document: Mapping[str, Any], say: Translate = str, width: int = WIDE) -> Chart:
    """Persons at first and after each step, all hospitals together."""
    marks = [(say("entered"), *entered(document))]
    marks += [(step["label"] or step["step"], step["low"], step["high"]) for step in document["steps"]]
    shown = [between(low, high) + ("" if low == high else f" ({say('held back')})") for _, low, high in marks]
    narrow = width < TURN
    label = min(max(text_width(name) for name, _, _ in marks) + 18, width * 0.4)
    left, step = (0.0, 44.0) if narrow else (label, 28.0)
    figures = max(text_width(said) for said in shown) + 14
    scale = linear([0.0, *(float(high) for _, _, high in marks)], left, width - figures, 4)
    body = []
    for i, ((name, low, high), said) in enumerate(zip(marks, shown, strict=True)):
        y = 8 + step * i + (20 if narrow else 5)
        body += [
            text(0, y - 6 if narrow else y + 13, name, room=width if narrow else label - 14),
            told(_bar(scale, low, high, y), f"{name}: {said}"),
            text(scale(high) + 8, y + 13, said, "start", "soft"),
        ]
    bottom = 8 + step * len(marks)
    body.append(text((left + width - figures) / 2, bottom + 22, say("persons"), "middle", "soft"))
    heard = "; ".join(f"{name} {said}" for (name, _, _), said in zip(marks, shown, strict=True))
    return Chart(svg(body, width, bottom + 30, f"{say('Persons left after each step')}: {heard}"))


def _bar(scale: Scale, low: float, high: float, y: float) -> str:
    start, known, end = scale(0.0), scale(low), scale(high)
    bar = f'<rect class="bar" x="{start:.1f}" y="{y:.1f}" width="{max(known - start, 1.0):.1f}" height="17" rx="2"/>'
    if high > low:
        bar += f'<rect class="bar band" x="{known:.1f}" y="{y:.1f}" width="{end - known:.1f}" height="17"/>'
    return bar
