"""Ranges, texts and concepts of a definition as conditions on a column. NULL is neither in nor out of anything."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from atoll.cdm.engines import Dialect
from atoll.cdm.sql import Part, Sql, joined, sql
from atoll.errors import StudyError
from atoll.study.circe.node import read_day
from atoll.study.circe.parts import Concept, DateRange, NumericRange, TextFilter

_SIGNS = {"lt": sql("<"), "lte": sql("<="), "eq": sql("="), "!eq": sql("<>"), "gt": sql(">"), "gte": sql(">=")}
FAR = 4_000_000  # days or years that no date can be away


def whole(value: float | None) -> int:
    """The number of an integer attribute: what stands behind the point is cut off."""
    return int(value or 0)


def decimal(value: float | None) -> Decimal:
    """The number of a decimal attribute, to four decimals, halves away from zero."""
    return Decimal(repr(value or 0)).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def days(value: int | None) -> int:
    """A number of days of the document; so many as no calendar has are cut to the end of time."""
    return max(-FAR, min(FAR, value or 0))


def number_range(column: Sql, given: NumericRange, *, integer: bool) -> Sql:
    """`column` within a range of numbers."""
    return _range(column, given, whole if integer else decimal)


def date_range(column: Sql, given: DateRange) -> Sql:
    """`column` within a range of dates."""
    return _range(column, given, lambda value: read_day(str(value), "A range"))


def _range(column: Sql, given: NumericRange | DateRange, convert: Callable[[Any], Part]) -> Sql:
    operator = given.op or ""
    if operator.endswith("bt"):
        if given.extent is None:
            raise StudyError("A range 'between' (bt) has no Extent.", "Give its upper bound as Extent.")
        inside = sql("({c} >= {a} AND {c} <= {b})", c=column, a=convert(given.value), b=convert(given.extent))
        return sql("NOT {i}", i=inside) if operator.startswith("!") else inside
    return sql("{c} {s} {a}", c=column, s=_SIGNS[operator], a=convert(given.value))


def text_filter(dialect: Dialect, column: Sql, given: TextFilter) -> Sql:
    """`column` contains, starts or ends with a text, in which % and _ stand for anything, as in Circe."""
    operator, text = (given.op or "").lstrip("!"), given.text or ""
    pattern = {"contains": f"%{text}%", "startsWith": f"{text}%", "endsWith": f"%{text}"}[operator]
    found = dialect.like(column, pattern)
    return sql("NOT ({f})", f=found) if (given.op or "").startswith("!") else found


def in_concepts(column: Sql, concepts: tuple[Concept, ...], *, exclude: bool = False) -> Sql:
    """`column` is one of (or none of) a list of concepts."""
    ids = joined(", ", (sql("{n}", n=concept.concept_id or 0) for concept in concepts))
    return sql("{c} NOT IN ({l})", c=column, l=ids) if exclude else sql("{c} IN ({l})", c=column, l=ids)
