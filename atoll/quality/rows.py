"""From a failed check to its rows: their keys, by which `ingest.trace` finds the rows of the export.

These are rows of patients. They are shown on the terminal of who asks at the hospital; nothing here is written to a
file, a report or a log, and nothing that leaves a hospital imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, joined, name, sql
from atoll.cdm.tables import tables
from atoll.errors import DataError
from atoll.quality import tests
from atoll.quality.check import Check
from atoll.quality.run import UNKNOWN, People, absent, all_checks, joins, with_parent


class Row(NamedTuple):
    """A row at fault: its person, its own key, and what stands in the column that is checked; None without such."""

    person: Any
    row: Any
    value: Any


def check_called(identity: str) -> Check:
    """The check of an id, as reports have it.

    Raises
    ------
    DataError
        When there is none; names one that is near.
    """
    known = {check.id: check for check in all_checks()}
    family, _, concept = identity.partition(f":{tests.PLACE}:")
    if family in tests.FAMILIES and concept.isdecimal():
        return tests.check_of(family, int(concept))
    if identity not in known:
        from difflib import get_close_matches

        near = get_close_matches(identity, known, 1)
        remedy = f"Did you mean {near[0]}?" if near else "`atoll quality run` lists those that failed."
        raise DataError(f"There is no check {identity!r}.", remedy)
    return known[identity]


def faulty_rows(workspace: Workspace, check: Check, limit: int) -> list[Row]:
    """The first `limit` rows at fault, in the order of persons and keys.

    Raises
    ------
    DataError
        When the database has not what the check reads, or the check is not about single rows.
    """
    if not check.of_rows:
        what = {"table": "whether a table or column is there", "type": "what a column holds"}.get(check.shape)
        raise DataError(
            f"{check.id} is not about single rows, but {what or 'numbers of months or medians of groups'}.",
            "The page of `atoll quality run --page` says what to do about it.",
        )
    there = workspace.columns("person") is not None and absent(workspace, check) is None
    if not there or (check.shape == "links" and workspace.columns(check.subject) is None):
        raise DataError(f"The database has not what {check.id} reads.", "`atoll cdm validate` says what it lacks.")
    with People(workspace):
        return list(_fetched(workspace, check, *_found(workspace, check.by_row(), check), limit))


def table_of(check: Check) -> str:
    """The table whose rows are listed for a check."""
    return "person" if check.shape == "persons" else check.table


def _found(workspace: Workspace, check: Check, made: Check) -> tuple[Sql, Sql]:
    """Where the rows `t` stand, and which of them are at fault; `made` is the check before it was one about rows."""
    rows, column = sql("{t} t", t=name(check.table)), sql("t.{c}", c=name(check.column or "person_id"))
    if check.shape == "rows":
        return sql("{r}{j}", r=rows, j=joins(workspace, [made])), sql("({o}) AND ({f})", o=check.of, f=check.fault)
    if check.shape == "links":
        return with_parent(check), sql("({o}) AND ({f})", o=check.of, f=check.fault)
    if check.shape == "key":
        again = sql("SELECT {k} FROM {t} GROUP BY {k} HAVING COUNT(*) > 1", k=name(check.column), t=name(check.table))
        return rows, sql("{c} IN ({a})", c=column, a=again)
    if check.shape == "persons":
        records = sql("SELECT DISTINCT person_id AS known FROM {t}", t=name(check.table))
        return sql("person t LEFT JOIN ({r}) r ON r.known = t.person_id", r=records), UNKNOWN
    among = joined(", ", [sql("{a}", a=concept) for concept in check.among])
    if check.shape == "units":
        return rows, sql(
            "t.measurement_concept_id = {w} AND {c} <> 0 AND t.value_as_number IS NOT NULL AND {c} NOT IN ({a})",
            w=check.concept, c=column, a=among,
        )  # fmt: skip
    if check.shape == "sexes":
        with_person = sql("{r} JOIN person p ON p.person_id = t.person_id", r=rows)
        return with_person, sql("{c} = {w} AND p.gender_concept_id IN ({a})", c=column, w=check.concept, a=among)
    return rows, tests.at_fault(workspace, check, "operator_concept_id" in (workspace.columns("measurement") or ()))


def _fetched(workspace: Workspace, check: Check, source: Sql, fault: Sql, limit: int) -> Iterator[Row]:
    table = table_of(check)
    has, nothing = workspace.columns(table) or (), sql("CAST(NULL AS INTEGER)")
    key = tables()[table].key
    columns = ("person_id", key, None if check.shape == "persons" else check.column)
    person, row, value = (sql("t.{c}", c=name(c)) if c and c in has else nothing for c in columns)
    query = sql(
        "SELECT {p} AS person, {r} AS row_key, {v} AS value_found FROM {s} WHERE {f} ORDER BY 1, 2, 3 LIMIT {l}",
        p=person, r=row, v=value, s=source, f=fault, l=limit,
    )  # fmt: skip
    for found in workspace.fetch(query).to_pylist():
        yield Row(found["person"], found["row_key"], found["value_found"])
