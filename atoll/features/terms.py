"""The terms of a design over the rows at hand: products of numbers, indicators of levels, and splines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from atoll.errors import REMEDIES, DataError
from atoll.features.complete import Complete
from atoll.features.witness import first_column
from atoll.privacy.statistics import Array
from atoll.study.basis import splines
from atoll.study.design import Design, Expression, Factor, Level, Number

Product = tuple[Factor, ...]
_BINARY = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power}
_UNARY = {
    "negative": np.negative,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
}


class Terms:
    """What computes terms. `levels` are the words of each category, in the order of its codes."""

    def __init__(self, rows: Complete, levels: Mapping[str, tuple[str, ...]], site: str):
        self._rows, self._levels, self._site = rows, levels, site
        self._bases: dict[Any, Array] = {}

    def matrix(self, design: Design) -> Array:
        """X (n, terms) of a design, in Fortran order.

        Raises
        ------
        DataError
            NOT_FINITE, when a term is not finite for somebody.
        """
        X = self.products(design.columns)
        computed = any(_computed(factor) for factors in design.columns for factor in factors)
        with np.errstate(over="ignore", invalid="ignore"):
            finite = not computed or np.isfinite(X.sum())
        if not finite:
            _refuse_infinite(design, X)
        return X

    def products(self, products: Sequence[Product]) -> Array:
        """Each product as a column."""
        columns = np.empty((self._rows.n, len(products)), order="F")
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for j, factors in enumerate(products):
                columns[:, j] = self._factor(factors[0]) if factors else 1.0
                for factor in factors[1:]:
                    columns[:, j] *= self._factor(factor)
        self._bases.clear()
        return columns

    def _factor(self, factor: Factor) -> Any:
        if isinstance(factor, Number):
            return self._evaluate(factor.expression)
        if isinstance(factor, Level):
            return self._level(factor.column, factor.level)
        low, high = factor.low, factor.high
        shape = (factor.column, factor.degree, factor.knots, low, high, factor.clipped)
        if shape not in self._bases:
            x = self._rows.number(factor.column)
            x = np.clip(x, low, high) if factor.clipped else x
            self._bases[shape] = splines(x, factor.degree, factor.knots, low, high)
        return self._bases[shape][factor.index]

    def _evaluate(self, expression: Expression) -> Any:
        if not isinstance(expression, tuple):
            return expression
        head, *parts = expression
        if head == "column":
            return self._rows.number(parts[0])
        operator: Any = _BINARY[head] if len(parts) == 2 else _UNARY[head]
        return operator(*[self._evaluate(part) for part in parts])

    def _level(self, name: str, level: str) -> Any:
        """Rows in which the column holds the word."""
        if name == "site":
            return level == self._site
        codes, levels = self._rows.codes(name, self._levels.get(name))
        return codes == levels.index(level) if level in levels else np.zeros(self._rows.n, dtype=bool)


def _refuse_infinite(design: Design, X: Array) -> None:
    for term, factors, column in zip(design.terms, design.columns, X.T, strict=True):
        if not np.isfinite(column).all():
            raise DataError(
                f"The term {term!r} is not finite for some patients.",
                REMEDIES["NOT_FINITE"],
                code="NOT_FINITE",
                subject=first_column(factors),
            )


def _computed(factor: Factor) -> bool:
    """Whether a factor may be infinite although its columns are not."""
    return not isinstance(factor, Level) and not (
        isinstance(factor, Number) and isinstance(factor.expression, tuple) and factor.expression[0] == "column"
    )
