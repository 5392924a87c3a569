"""Attrition in a form that may leave a site: bounds whose every cell holds enough persons, and that add up over sites.

The steps of a cohort are nested: entered ≥ kept rule 1 ≥ … ≥ left at exit. A step that loses fewer persons than the
minimum is not told alone: its losses are counted with those of a later step (`late`) in one table and with those of
an earlier one (`early`) in another. So the persons kept after a step lie between two numbers, in which nobody stands
alone; where a step was told, the two are equal. Summed over sites they still bound the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from atoll.cohort.attrition import Attrition
from atoll.privacy.statistics import Array, Statistics, count, table


class Losses(Statistics):
    """Disjoint cells: persons lost at each step (rules in order, then exit), and last those who stay.

    fails_low, fails_high   persons that no event of which keeps a rule, alone: bounds
    """

    entered: int = count()
    early: Array = table()
    late: Array = table()
    fails_low: Array = table()
    fails_high: Array = table()


@dataclass(frozen=True)
class Step:
    """Persons that are left after a step lie from `low` to `high`; `fails` is the rule alone (absent at exit)."""

    name: str
    low: int
    high: int
    fails: tuple[int, int] | None = None

    @property
    def told(self) -> bool:
        """Whether no site held the number back."""
        return self.low == self.high


def losses(attrition: Attrition, minimum: int) -> Losses:
    """The share of one site, in which every cell is zero or at least `minimum`."""
    left = [attrition.entered, *(rule.in_order for rule in attrition.rules), attrition.final]
    told = _told(left, minimum)
    high = [min(value for value in told if value >= step) for step in left]
    low = [max(value for value in told if value <= step) for step in left]
    fails = [attrition.entered - rule.alone for rule in attrition.rules]
    bounds = [_bounds(number, attrition.entered, minimum) for number in fails]
    return Losses(
        entered=attrition.entered,
        early=_cells(low),
        late=_cells(high),
        fails_low=np.array([pair[0] for pair in bounds], dtype=np.int64),
        fails_high=np.array([pair[1] for pair in bounds], dtype=np.int64),
    )


def steps(total: Losses, names: Sequence[str]) -> list[Step]:
    """The picture of summed shares: one step a rule, and the exit."""
    low, high = (total.entered - np.cumsum(cells[:-1]) for cells in (total.early, total.late))
    alone = list(zip(total.fails_low.tolist(), total.fails_high.tolist(), strict=True))
    out = [Step(name, int(low[i]), int(high[i]), (int(alone[i][0]), int(alone[i][1]))) for i, name in enumerate(names)]
    return [*out, Step("exit", int(low[-1]), int(high[-1]))]


def _told(left: Sequence[int], minimum: int) -> list[int]:
    """The numbers that are told: neighbours differ by at least the minimum; zero and the first are always there.

    From the end backwards, since who stays matters most. A site with fewer persons than the minimum tells only zero.
    """
    told = [0]
    for value in sorted(set(left[1:])):
        if value - told[-1] >= minimum and left[0] - value >= minimum:
            told.append(value)
    return [*told, left[0]]


def _bounds(number: int, entered: int, minimum: int) -> tuple[int, int]:
    """The number itself, or two that hold it between them; each leaves nobody or enough on either side."""
    parts = entered >= 2 * minimum
    if 0 < number < minimum:
        return 0, minimum if parts else entered
    if 0 < entered - number < minimum:
        return entered - minimum if parts else 0, entered
    return number, number


def _cells(left: Sequence[int]) -> Array:
    """Losses of each step, and last who stays."""
    return np.array([*(a - b for a, b in pairwise(left)), left[-1]], dtype=np.int64)
