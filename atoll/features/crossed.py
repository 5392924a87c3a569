"""Which cells two terms of a design tell apart together, although neither names them.

Σ xxᵀ of `male * statin + smoker * age` holds the ages of those who are all three, and by subtraction those of each of
the eight cells of the three columns. So the cells of all columns whose levels stand in two terms hold enough persons,
or nobody.

A spline of degree d can go from one constant to another between d + 1 neighbouring knots (its slope is then a B-spline
of degree d − 1, and none is shorter: de Boor 1978, chapter IX), so it could be a step for all but those who lie there.
Of each level that stands in a term, enough do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement, pairwise

from atoll.features.products import Product, is_indicator
from atoll.study.design import Spline, columns_of
from atoll.study.dictionary import Dictionary


@dataclass(frozen=True)
class Crossing:
    """The cells of `levels` (flags and categories); if a column is named, of those with low < column ≤ high."""

    levels: tuple[str, ...]
    column: str = ""
    low: float = 0.0
    high: float = 0.0

    @property
    def label(self) -> str:
        """What a refusal names."""
        return self.column or self.levels[0]


def crossings(products: Sequence[Product], columns: Dictionary) -> list[Crossing]:
    """The cells of three columns and more in two products, and those between knots."""
    sets = list(dict.fromkeys(_levels(made, columns) for made in products))
    unions = {tuple(dict.fromkeys([*a, *b])) for a, b in combinations_with_replacement(sets, 2)}
    found = {frozenset(union): Crossing(union) for union in sorted(unions) if len(union) > 2}
    within = [Crossing(levels, *window) for levels in {(): None} | dict.fromkeys(sets) for window in _windows(products)]
    return [*found.values(), *within]


def _levels(made: Product, columns: Dictionary) -> tuple[str, ...]:
    """The columns of a product's flags and levels."""
    return tuple(sorted({name for f in made if is_indicator(f, columns) for name in columns_of(f)}))


def _windows(products: Sequence[Product]) -> list[tuple[str, float, float]]:
    """The spans in which a spline can go from one constant to another, or rise from nought to no end."""
    bent = dict.fromkeys(replace(f, index=0) for made in products for f in made if isinstance(f, Spline))
    return list(dict.fromkeys((spline.column, *span) for spline in bent for span in _spans(spline)))


def _spans(spline: Spline) -> list[tuple[float, float]]:
    """The supports of the shortest slopes."""
    d, inner, endless = spline.degree, list(spline.knots), float("inf")
    if spline.clipped:  # the slope may begin and end at once where the spline is clipped
        knots = [spline.low] * d + inner + [spline.high] * d
        return [(a, b) for a, b in zip(knots, knots[d:], strict=False) if a < b]
    ends = [-endless, *inner, endless]
    outer = [*pairwise(ends)]
    return [outer[0], *zip(inner, inner[d:], strict=False), outer[-1]]
