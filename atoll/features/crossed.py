"""Which cells two terms of a design tell apart together, although neither names them.

Σ xxᵀ of `male * statin + smoker * age` holds the ages of those who are all three, and by subtraction those of each of
the eight cells of the three columns. So the cells of all columns whose levels stand in two terms hold enough persons,
or nobody.

A spline of degree d can go from one constant to another between d + 1 neighbouring knots (its slope is then a B-spline
of degree d − 1, and none is shorter: de Boor 1978, chapter IX), so it could be a step for all but those who lie there;
|x − a| rises from nought on either side of a. Of each cell of levels that stand in two terms, enough lie in such a
span, and where two spans cross. Of the cases, and of the others, enough lie in the spans of each term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise

from atoll.features.products import Product, is_indicator
from atoll.study.design import Expression, Factor, Number, Spline, columns_of
from atoll.study.dictionary import Dictionary

ENDLESS = float("inf")
Span = tuple[str, float, float]  # those with low < column < high: at its ends a step is where it goes to


@dataclass(frozen=True)
class Crossing:
    """The cells of `levels` (flags, categories), of those who lie in all `spans`."""

    levels: tuple[str, ...]
    spans: tuple[Span, ...] = ()

    @property
    def label(self) -> str:
        """What a refusal names."""
        return next(iter((*(span[0] for span in self.spans), *self.levels)))


def crossings(products: Sequence[Product], columns: Dictionary, pairs: bool = True, least: int = 3) -> list[Crossing]:
    """The cells of `least` columns and more, and of spans, of two products; of each alone without `pairs`."""
    kinds = list(dict.fromkeys((_levels(made, columns), _spans_of(made)) for made in [(), *products]))
    found: dict[Crossing, None] = {}
    for (a, over), (b, other) in combinations_with_replacement(kinds, 2) if pairs else zip(kinds, kinds, strict=True):
        levels = tuple(sorted({*a, *b}))
        crossed = [(one, another) for one in over for another in other if one[0] != another[0]]
        for spans in [*((one,) for one in (*over, *other)), *map(sorted, crossed)]:
            found[Crossing(levels, tuple(spans))] = None
        if len(levels) >= least and pairs:
            found[Crossing(levels)] = None
    return list(found)


def read_by(made: Product) -> list[str]:
    """The columns that a product reads."""
    return [name for factor in made for name in columns_of(factor)]


def levels_of(products: Sequence[Product], columns: Dictionary) -> list[tuple[str, ...]]:
    """The columns of flags and levels of each product; first none."""
    return list(dict.fromkeys([(), *(_levels(made, columns) for made in products)]))


def _levels(made: Product, columns: Dictionary) -> tuple[str, ...]:
    """The columns of a product's flags and levels."""
    return tuple(sorted({name for f in made if is_indicator(f, columns) for name in columns_of(f)}))


def _spans_of(made: Product) -> tuple[Span, ...]:
    """Where a factor could be a step for all but those who lie there, or rises from nought."""
    return tuple(dict.fromkeys((name, *span) for f in made for name in columns_of(f) for span in _spans(f)))


def _spans(factor: Factor) -> list[tuple[float, float]]:
    """Of a spline the supports of the shortest slopes; of |x − a| both sides of a."""
    if isinstance(factor, Spline):
        d, inner = factor.degree, list(factor.knots)
        if factor.clipped:  # the slope may begin and end at once where the spline is clipped
            knots = [factor.low] * d + inner + [factor.high] * d
            return [(a, b) for a, b in zip(knots, knots[d:], strict=False) if a < b]
        outer = [*pairwise([-ENDLESS, *inner, ENDLESS])]
        return [outer[0], *zip(inner, inner[d:], strict=False), outer[-1]]
    if isinstance(factor, Number) and isinstance(factor.expression, tuple) and factor.expression[0] == "abs":
        start, slope = _at(factor.expression[1], 0.0), _at(factor.expression[1], 1.0) - _at(factor.expression[1], 0.0)
        return [(-ENDLESS, -start / slope), (-start / slope, ENDLESS)] if slope else []
    return []


def _at(expression: Expression, x: float) -> float:
    """The value of what is linear in one column (see `products`)."""
    if not isinstance(expression, tuple):
        return float(expression)
    head, *parts = expression
    if head == "column":
        return x
    values = [_at(part, x) for part in parts]
    if head == "negative":
        return -values[0]
    a, b = values
    return {"+": a + b, "-": a - b, "*": a * b}.get(head, a / b if b else ENDLESS)
