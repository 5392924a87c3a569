"""A design: how every term of a model is computed from a patient's columns, the same at every site.

A design column is a product of factors; a factor is a number computed from columns, the indicator of a
level, or one basis function of a spline. Everything that depends on data (levels, knots, centres) stands
in the design as a number or a word, so that two hospitals cannot compute different columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Expression = tuple[Any, ...] | float  # ("column", name), (operator, expression, …), or a number


@dataclass(frozen=True)
class Facts:
    """What a design takes from the data of all sites.

    levels      words of a category, by column; the first is the reference
    quantiles   value at each probability, by column
    ranges      ends of a spline, by column
    moments     mean and standard deviation, by column
    """

    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quantiles: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    moments: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Number:
    """A number computed from columns, as an expression tree."""

    expression: Expression


@dataclass(frozen=True)
class Level:
    """1 where the column holds this word, else 0; the column `site` holds the hospital's name."""

    column: str
    level: str


@dataclass(frozen=True)
class Spline:
    """The B-spline basis function number `index` (from 0).

    Outside low … high its polynomials go on, or, when clipped, it keeps the value that it has at the end.
    """

    column: str
    degree: int
    knots: tuple[float, ...]
    low: float
    high: float
    index: int
    clipped: bool = False


Factor = Number | Level | Spline


@dataclass(frozen=True)
class Design:
    """Terms by name, and for each the factors whose product it is (none: the intercept).

    levels   every word that a category of the design may hold; another word at a site is an error
    """

    terms: tuple[str, ...]
    columns: tuple[tuple[Factor, ...], ...]
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Columns of the dataset that the design reads, once each."""
        return tuple(
            dict.fromkeys(name for factors in self.columns for factor in factors for name in columns_of(factor))
        )

    def without(self, term: str) -> Design:
        """The design without one term."""
        kept = [i for i, name in enumerate(self.terms) if name != term]
        return Design(tuple(self.terms[i] for i in kept), tuple(self.columns[i] for i in kept), self.levels)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "terms": list(self.terms),
            "columns": [[_factor_document(factor) for factor in factors] for factors in self.columns],
            "levels": {name: list(words) for name, words in self.levels.items()},
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Design:
        """The inverse of `to_document`.

        Raises
        ------
        KeyError, TypeError, ValueError
            When the document is not one of a design.
        """
        columns = tuple(tuple(_factor(entry) for entry in factors) for factors in document["columns"])
        if len(columns) != len(document["terms"]):
            raise ValueError("a design has as many columns as terms")
        levels = {str(name): tuple(map(str, words)) for name, words in document["levels"].items()}
        return cls(tuple(map(str, document["terms"])), columns, levels)


def columns_of(factor: Factor) -> Iterator[str]:
    """Columns of the dataset that a factor reads."""
    if isinstance(factor, Number):
        yield from _named(factor.expression)
    elif factor.column != "site":
        yield factor.column


def _named(expression: Expression) -> Iterator[str]:
    if isinstance(expression, tuple):
        if expression[0] == "column":
            yield expression[1]
        else:
            for part in expression[1:]:
                yield from _named(part)


def _factor_document(factor: Factor) -> dict[str, Any]:
    if isinstance(factor, Number):
        return {"number": _listed(factor.expression)}
    if isinstance(factor, Level):
        return {"column": factor.column, "level": factor.level}
    return {
        "spline": factor.column,
        "degree": factor.degree,
        "knots": list(factor.knots),
        "ends": [factor.low, factor.high],
        "index": factor.index,
        **({"clipped": True} if factor.clipped else {}),
    }


def _factor(document: Mapping[str, Any]) -> Factor:
    if "number" in document:
        return Number(_tree(document["number"]))
    if "level" in document:
        return Level(str(document["column"]), str(document["level"]))
    low, high = map(float, document["ends"])
    knots = tuple(map(float, document["knots"]))
    degree, index, clipped = int(document["degree"]), int(document["index"]), document.get("clipped") is True
    return Spline(str(document["spline"]), degree, knots, low, high, index, clipped)


def _listed(expression: Expression) -> Any:
    return [_listed(part) for part in expression] if isinstance(expression, tuple) else expression


OPERATORS = frozenset({"+", "-", "*", "/", "**", "negative", "log", "log2", "log10", "exp", "sqrt", "abs"})


def _tree(document: Any) -> Expression:
    """The expression in plain lists; anything but known operators over columns and numbers is refused."""
    if isinstance(document, int | float) and not isinstance(document, bool):
        return float(document)
    head, *parts = document
    if head == "column" and len(parts) == 1 and isinstance(parts[0], str):
        return ("column", parts[0])
    if head not in OPERATORS or len(parts) not in (1, 2):
        raise ValueError("an expression holds an unknown operator")
    return (head, *[_tree(part) for part in parts])
