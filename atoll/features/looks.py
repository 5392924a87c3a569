"""How features look at the records of a set: a window and what is said of those in it, as an aggregate of SQL.

Features of different sets share a look; each look is one column of the sums that come out of the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from atoll.cdm.engines import Dialect
from atoll.cdm.sql import Sql, joined, sql
from atoll.study.features import VALUES, Feature


@dataclass(frozen=True)
class Look:
    """One way to look at the records of a set; features of different sets share it."""

    first: int | None
    last: int
    says: str
    unit: str = ""
    low: float | None = None
    high: float | None = None


def look_of(feature: Feature) -> Look:
    """How a feature looks at records."""
    return Look(*feature.window, feature.says, feature.unit, feature.low, feature.high)


def looks_of(features: Iterable[Feature]) -> list[Look]:
    """The different ways in which these features look at records."""
    return list(dict.fromkeys(map(look_of, features)))


def seen(look: Look, dialect: Dialect) -> Sql:
    """What is said of the records in a window, as an aggregate."""
    where = [sql("day <= {l}", l=look.last)]
    if look.first is not None:
        where.append(sql("day >= {f}", f=look.first))
    if look.says in VALUES:
        where += _usable(look, dialect)
    said = joined(" AND ", where)
    return _SAID[look.says](dialect.engine, sql("FILTER (WHERE {w})", w=said))


def _usable(look: Look, dialect: Dialect) -> list[Sql]:
    where = [sql("value IS NOT NULL")]
    if look.unit:
        code = dialect.text(look.unit)
        where.append(
            sql(
                "unit IN (SELECT concept_id FROM concept WHERE vocabulary_id = 'UCUM' AND concept_code = {u})",
                u=code,
            )
        )
    if look.low is not None:
        where.append(sql("value >= {v}", v=_number(look.low)))
    if look.high is not None:
        where.append(sql("value <= {v}", v=_number(look.high)))
    if look.says in ("high", "low"):
        where.append(sql("value > range_high") if look.says == "high" else sql("value < range_low"))
    return where


def _flag(engine: str, where: Sql) -> Sql:
    return sql("CASE WHEN COUNT(*) {w} > 0 THEN 1 ELSE 0 END", w=where)


def _edge(largest: bool) -> Callable[[str, Sql], Sql]:
    """The value of the last or first day; of several on one day, that of the largest or smallest id."""

    def edge(engine: str, where: Sql) -> Sql:
        if engine == "postgresql":
            order = sql("DESC") if largest else sql("ASC")
            return sql("(ARRAY_AGG(value ORDER BY day {o}, id {o}) {w})[1]", o=order, w=where)
        by = sql("max_by") if largest else sql("min_by")
        place = sql("STRUCT(day, id)") if engine == "spark" else sql("CAST(day AS HUGEINT) * {b} + id", b=2**64)
        return sql("{by}(value, {p}) {w}", by=by, p=place, w=where)

    return edge


_SAID: dict[str, Callable[[str, Sql], Sql]] = {
    "any": _flag,
    "high": _flag,
    "low": _flag,
    "count": lambda engine, where: sql("COUNT(*) {w}", w=where),
    "days": lambda engine, where: sql("COUNT(DISTINCT day) {w}", w=where),
    "since": lambda engine, where: sql("-MAX(day) {w}", w=where),
    "last": _edge(True),
    "first": _edge(False),
    "mean": lambda engine, where: sql("AVG(value) {w}", w=where),
    "min": lambda engine, where: sql("MIN(value) {w}", w=where),
    "max": lambda engine, where: sql("MAX(value) {w}", w=where),
    "slope": lambda engine, where: sql("REGR_SLOPE(value, day) {w}", w=where),
}


def _number(value: float) -> Sql:
    """A number that every engine takes for a double, or compares with one as such."""
    return Sql(f"({float(value):.17e})")
