"""Periods that share a day, made one."""

from __future__ import annotations

from atoll.cdm.sql import Sql, sql


def merged(periods: Sql, keys: Sql) -> Sql:
    """Periods of one key that share a day as one: keys, start_date, end_date."""
    before = sql(
        "MAX(end_date) OVER (PARTITION BY {k} ORDER BY start_date, end_date "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)",
        k=keys,
    )
    marked = sql(
        "SELECT {k}, start_date, end_date, CASE WHEN {before} >= start_date THEN 0 ELSE 1 END AS is_new FROM ({p}) a",
        k=keys,
        before=before,
        p=periods,
    )
    island = sql(
        "SUM(is_new) OVER (PARTITION BY {k} ORDER BY start_date, is_new DESC, end_date ROWS UNBOUNDED PRECEDING)",
        k=keys,
    )
    return sql(
        "SELECT {k}, MIN(start_date) AS start_date, MAX(end_date) AS end_date FROM ("
        "SELECT {k}, start_date, end_date, {island} AS island FROM ({marked}) b) c GROUP BY {k}, island",
        k=keys,
        island=island,
        marked=marked,
    )
