"""Numbers of persons of whom each is part of the one before: what may be told of them when differences hide nobody.

With K the site's minimum, a number is told when K persons or more were lost since the last number that was told, and K
or more are left. Else it lies within K of that number, or between nobody and K. So a step that loses nobody looks
like one that loses a few: who asks whether one person is there gets the same answer. Where fewer than K are there at
first, every number lies between nobody and K, whoever they are and whatever they keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from atoll.algorithms.cells import few


def told_steps(kept: Sequence[int], minimum: int, rounding: int = 1) -> list[tuple[int, int]]:
    """Bounds of nested numbers, which are equal where the number is told.

    What stands for fewer than the minimum is the next multiple of `rounding`, so that it holds after rounding. A lower
    bound is counted back from the number as it leaves, rounded, and by a multiple of `rounding`: two bounds
    that were rounded apart would show the unit digit.
    """
    too_few = (0, few(minimum, rounding))
    if kept[0] < minimum and minimum > 1:
        return [too_few] * len(kept)
    last = kept[0]
    back = -(-(minimum - 1) // rounding) * rounding
    steps = [(last, last)]
    for number in kept[1:]:
        if last - number >= minimum and number >= minimum:
            last = number
            steps.append((number, number))
        elif number < minimum <= last - number:
            steps.append(too_few)
        else:
            low = nearest(last, rounding) - back
            steps.append((low if low >= minimum else 0, last))
    return steps


def nearest(number: int, base: int) -> int:
    """The nearest multiple of `base`, halves up, as the gate rounds."""
    return (number + base // 2) // base * base


def differences(low: Sequence[int], high: Sequence[int]) -> list[int]:
    """Persons between neighbours of what is told, from who is there at first to nobody: what a gate looks at."""
    told = [*(a for a, b in zip(low, high, strict=True) if a == b), 0]
    return [a - b for a, b in pairwise(told)]
