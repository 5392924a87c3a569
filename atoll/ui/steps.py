"""Bars of numbers of which some are held back: full up to where the number surely reaches, lighter up to where it may.

The chart of an attrition, a bar a step, is one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from atoll.ui.charts import TURN, WIDE, Chart, Translate
from atoll.ui.drawing import Scale, centred, linear, svg, text, text_width, told
from atoll.ui.tables import between, entered
from atoll.ui.vocabulary import STEPS

RULE = re.compile("rule_([0-9]+)")  # what `Recipe` calls the columns of an attrition


class Bar(NamedTuple):
    """What it is called, the two ends of what is known of it, and whether something was held back between them."""

    name: str
    low: float
    high: float
    held: bool


def counted(name: str, low: float, high: float) -> Bar:
    """A bar of persons: between two numbers only where some are held back."""
    return Bar(name, low, high, low < high)


def funnel(document: Mapping[str, Any], say: Translate = str, width: int = WIDE) -> Chart:
    """Persons at first and after each step, all hospitals together."""
    marks = [counted(say("entered"), *entered(document))]
    marks += [counted(_named(step, say), step["low"], step["high"]) for step in document["steps"]]
    return bars(marks, say, say("Persons left after each step"), say("persons"), width)


def of_cohort(step: Mapping[str, Any], say: Translate = str) -> str:
    """A rule of a definition, or who is left after all of them, as people call it; nothing for a hospital's column."""
    rule, label = RULE.fullmatch(step["step"]), step["label"]
    if rule is None:
        return say(STEPS[label]) if label in STEPS else ""
    return label or say("rule {n}").format(n=rule[1])


def _named(step: Mapping[str, Any], say: Translate) -> str:
    return of_cohort(step, say) or step["label"] or step["step"]


def persons(low: float, high: float) -> str:
    """Bounds of a number of persons, as people write them."""
    return between(int(low), int(high))


def bars(
    marks: Sequence[Bar],
    say: Translate,
    title: str,
    axis: str,
    width: int = WIDE,
    shown_as: Callable[[float, float], str] = persons,
) -> Chart:
    """A bar a mark on one scale from nought, with its numbers; `axis` says what they count and in which unit."""
    shown = [shown_as(bar.low, bar.high) + (f" ({say('held back')})" if bar.held else "") for bar in marks]
    narrow = width < TURN
    label = min(max((text_width(name) for name, *_ in marks), default=0.0) + 18, width * 0.4)
    left, step = (0.0, 44.0) if narrow else (label, 28.0)
    figures = max((text_width(said) for said in shown), default=0.0) + 14
    scale = linear([0.0, *(float(bar.high) for bar in marks)], left, width - figures, 4)
    body = []
    for i, ((name, low, high, _), said) in enumerate(zip(marks, shown, strict=True)):
        y = 8 + step * i + (20 if narrow else 5)
        body += [
            text(0, y - 6 if narrow else y + 13, name, room=width if narrow else label - 14),
            told(_bar(scale, low, high, y), f"{name}: {said}"),
            text(scale(high) + 8, y + 13, said, "start", "soft"),
        ]
    bottom = 8 + step * len(marks)
    body.append(centred((left + width - figures) / 2, bottom + 22, axis, width))
    heard = "; ".join(f"{name} {said}" for (name, *_), said in zip(marks, shown, strict=True))
    return Chart(svg(body, width, bottom + 30, f"{title}: {heard}"))


def _bar(scale: Scale, low: float, high: float, y: float) -> str:
    start, known, end = scale(0.0), scale(low), scale(high)
    bar = f'<rect class="bar" x="{start:.1f}" y="{y:.1f}" width="{max(known - start, 1.0):.1f}" height="17" rx="2"/>'
    if high > low:
        bar += f'<rect class="bar band" x="{known:.1f}" y="{y:.1f}" width="{end - known:.1f}" height="17"/>'
    return bar
