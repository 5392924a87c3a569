"""Whether a term is finite for every value that the data dictionary allows.

Under a policy that protects persons this is decided by the dictionary alone. Were it decided by the data, a
refusal would tell whether somebody has a value for which the term is not finite: `log(age − x)` would find the
youngest person by trying.
"""

from __future__ import annotations

import math

from atoll.errors import REMEDIES, DataError
from atoll.study.design import Design, Expression, Number, columns_of
from atoll.study.dictionary import Dictionary

LARGE = 1e100  # stands for a column without an allowed range
Interval = tuple[float, float]


def refuse_unbounded(design: Design, columns: Dictionary) -> None:
    """Nothing when every term is finite over the allowed ranges.

    Raises
    ------
    DataError
        TERM_UNBOUNDED, with the term's first column as subject.
    """
    for term, factors in zip(design.terms, design.columns, strict=True):
        for factor in factors:
            if isinstance(factor, Number) and values_of(factor.expression, columns) is None:
                raise DataError(
                    f"The term {term!r} is not finite for every value that the dictionary allows.",
                    REMEDIES["TERM_UNBOUNDED"],
                    code="TERM_UNBOUNDED",
                    subject=next(iter(columns_of(factor)), ""),
                )


def values_of(expression: Expression, columns: Dictionary) -> Interval | None:
    """Bounds of an expression's values, or None when it may be infinite or undefined."""
    if not isinstance(expression, tuple):
        return expression, expression
    head, *parts = expression
    if head == "column":
        return _range(parts[0], columns)
    inside = [values_of(part, columns) for part in parts]
    known = [interval for interval in inside if interval is not None]
    if len(known) < len(inside):
        return None
    found = _unary(head, known[0]) if len(known) == 1 else _binary(head, known[0], known[1])
    return found if found is not None and all(map(math.isfinite, found)) else None


def _range(name: str, columns: Dictionary) -> Interval:
    column = columns.get(name)
    if column is None:
        return -LARGE, LARGE
    if column.type == "flag":
        return 0.0, 1.0
    return (-LARGE if column.low is None else column.low), (LARGE if column.high is None else column.high)


def _unary(head: str, x: Interval) -> Interval | None:
    low, high = x
    if head == "negative":
        return -high, -low
    if head == "abs":
        return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
    if head == "exp":
        return (math.exp(max(low, -700.0)), math.exp(high)) if high < 700 else None
    if head == "sqrt":
        return (math.sqrt(low), math.sqrt(high)) if low >= 0 else None
    logarithm = {"log": math.log, "log2": math.log2, "log10": math.log10}[head]
    return (logarithm(low), logarithm(high)) if low > 0 else None


def _binary(head: str, x: Interval, y: Interval) -> Interval | None:
    if head == "+":
        return x[0] + y[0], x[1] + y[1]
    if head == "-":
        return x[0] - y[1], x[1] - y[0]
    if head == "/":
        return _corners(x, (1 / y[1], 1 / y[0])) if y[0] > 0 or y[1] < 0 else None
    if head == "*":
        return _corners(x, y)
    return _power(x, y)


def _corners(x: Interval, y: Interval) -> Interval:
    products = [a * b for a in x for b in y]
    return min(products), max(products)


def _power(x: Interval, y: Interval) -> Interval | None:
    """A fixed exponent; negative or broken ones need a positive base."""
    exponent = y[0]
    if y[0] != y[1] or not (x[0] > 0 or (exponent >= 0 and float(exponent).is_integer())):
        return None
    try:
        ends = [x[0] ** exponent, x[1] ** exponent]
    except OverflowError:
        return None
    return (min(0.0, *ends) if x[0] < 0 < x[1] else min(ends)), max(ends)
