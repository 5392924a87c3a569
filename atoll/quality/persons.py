"""A hospital's own checks as columns of a dataset, so that hospitals compare them through the gate.

One row a person, one flag for each table and family of checks about rows, such as `measurement_unit_given`: 1 where one
of the person's records is at fault, 0 where none is, nothing where no record of theirs is looked at. Registered as any
other dataset, it is compared by `comparability` or counted by `describe`, under the rules that hold for every column:
what leaves are numbers of persons. Every hospital has the same columns, also of tables that it does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, joined, name, sql
from atoll.cdm.tables import tables
from atoll.errors import DataError
from atoll.quality.check import Check
from atoll.quality.completeness import EVENT_TABLES
from atoll.quality.run import People, all_checks, joins
from atoll.quality.words import WORDS
from atoll.study.dictionary import Column

if TYPE_CHECKING:
    import pyarrow as pa

PERSON = "person_id"


def columns() -> dict[str, list[Check]]:
    """The checks of each flag, in the order of the model's tables."""
    found: dict[str, list[Check]] = {}
    for check in sorted(all_checks(), key=lambda check: list(tables()).index(check.table)):
        if (
            check.kind != "conformance"
            and check.table in ("person", *EVENT_TABLES)
            and check.shape in ("rows", "codes")
        ):
            found.setdefault(f"{check.table}_{check.family}", []).append(check)
    return found


def dictionary() -> Mapping[str, Column]:
    """What the columns are: the same at every hospital."""
    flags = {
        column: Column("flag", label=f"{checks[0].table}, a record at fault: {WORDS[checks[0].family][0]}")
        for column, checks in columns().items()
    }
    return {PERSON: Column("person"), **flags}


def person_table(workspace: Workspace) -> pa.Table:
    """One row for each person of the database, with the columns of `dictionary`.

    Raises
    ------
    DataError
        When the database has no table of persons.
    """
    import pyarrow as pa

    if workspace.columns("person") is None:
        raise DataError("The database has no table of persons.", "Is it an OMOP database, and its schema named?")
    by_table: dict[str, dict[str, list[Check]]] = {}
    for column, checks in columns().items():
        runnable = [check for check in checks if _there(workspace, check)]
        if runnable:
            by_table.setdefault(checks[0].table, {})[column] = runnable
    everybody = workspace.fetch(sql("SELECT person_id FROM person GROUP BY person_id ORDER BY person_id"))
    made = everybody.cast(pa.schema([(PERSON, pa.int64())]))
    with People(workspace):
        for table, flags in by_table.items():
            found = workspace.fetch(_query(workspace, table, flags))
            schema = pa.schema([(PERSON, pa.int64()), *((column, pa.int8()) for column in flags)])
            made = made.join(found.cast(schema), PERSON, join_type="left outer")
    absent = pa.nulls(made.num_rows, pa.int8())
    listed = {column: made[column] if column in made.column_names else absent for column in dictionary()}
    return pa.table(listed).sort_by(PERSON)


def _there(workspace: Workspace, check: Check) -> bool:
    if check.column not in (workspace.columns(check.table) or ()):
        return False
    return all(column in (workspace.columns(table) or ()) for table, column in check.reads())


def _query(workspace: Workspace, table: str, flags: Mapping[str, list[Check]]) -> Sql:
    """One row for each person with records in a table."""
    every = [check for checks in flags.values() for check in checks]
    return sql(
        "SELECT t.person_id, {c} FROM {t} t{j} GROUP BY t.person_id",
        c=joined(", ", _cells(flags)), t=name(table), j=joins(workspace, every),
    )  # fmt: skip


def _cells(flags: Mapping[str, list[Check]]) -> Iterator[Sql]:
    for column, made in flags.items():
        checks = [check.by_row() for check in made]
        looked = joined(" OR ", [sql("({o})", o=check.of) for check in checks])
        fault = joined(" OR ", [sql("(({o}) AND ({f}))", o=check.of, f=check.fault) for check in checks])
        yield sql("MAX(CASE WHEN {f} THEN 1 WHEN {l} THEN 0 END) AS {c}", f=fault, l=looked, c=name(column))
