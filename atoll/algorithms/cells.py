"""Neighbouring cells joined until enough persons stand in each group, and what may then be said of every cell.

A cell that is a group of its own is told. One of a joined group lies between nothing and the number of its group, so
the groups can be seen, and nothing below them. Bounds add up over sites whatever each site has joined.

Two partitions of the same persons, each of groups of K or more whose rest is K or more too, leave every cell of their
cross-table between bounds that lie K or more apart: Fréchet's bounds of n_ab are max(0, a + b − n) and min(a, b), and
their distance is min(a, b, n − a, n − b).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Group = tuple[int, int]  # the first and the last of its cells
Bounds = tuple[float, float]


def groups(size: int, enough: Callable[[int, int], bool]) -> list[Group]:
    """Groups of cells 0 … size − 1 from the left, each as small as can be; none where all together are not enough.

    `enough(first, last)` says whether the persons of these cells suffice.
    """
    if not enough(0, size - 1):
        return []
    starts = [0]
    for cell in range(size - 1):
        if enough(starts[-1], cell) and enough(cell + 1, size - 1):
            starts.append(cell + 1)
    return list(zip(starts, [*[start - 1 for start in starts[1:]], size - 1], strict=True))


def bounds_of(size: int, found: Sequence[Group], numbers: Sequence[float], held: float) -> list[Bounds]:
    """Bounds of every cell, from the number of each group; without a group between nothing and what is `held`."""
    bounds: list[Bounds] = [(0, held)] * size
    for (first, last), number in zip(found, numbers, strict=True):
        bounds[first : last + 1] = [(number if first == last else 0, number)] * (last - first + 1)
    return bounds


def few(minimum: int, rounding: int) -> int:
    """What stands for fewer than the minimum: the next multiple of `rounding`; nobody where nobody is protected."""
    return -(-minimum // rounding) * rounding if minimum > 1 else 0
