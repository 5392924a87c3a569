"""A hospital's own checks as columns of a dataset, so that hospitals compare them through the gate.

One row a person, one flag for each table and family of checks about rows, such as `measurement_unit_given`: 1 where one
of the person's records is at fault, 0 where none is, nothing where no record of theirs is looked at. And one number for
each laboratory test of `references.csv`, such as `test_hba1c_4548_4`: the person's last value as it stands, in whatever
unit the record says or does not say, so that a hospital whose values are in another unit is told by their middle.

Registered as any other dataset, it is compared by `comparability`, under the rules that hold for every column: what
leaves are numbers of persons. Every hospital has the same columns, also of tables that it does not hold.
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
from atoll.quality.references import references
from atoll.quality.run import People, all_checks, joins
from atoll.quality.words import WORDS
from atoll.study.dictionary import Column

if TYPE_CHECKING:
    import pyarrow as pa

PERSON = "person_id"
_READ = ("person_id", "measurement_concept_id", "measurement_date", "value_as_number")


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
    found = {column: (concept, references()[concept][0]) for column, concept in tests().items()}
    values = {
        column: Column("number", unit=one.unit, label=f"{one.analyte or 'test'}, LOINC {one.loinc}: the last value")
        for column, (_, one) in found.items()
    }
    return {PERSON: Column("person"), **flags, **values}


def tests() -> dict[str, int]:
    """The column of each test, and its concept."""
    named = {concept: ("test", found[0].analyte, found[0].loinc) for concept, found in references().items()}
    return {"_".join(filter(None, parts)).replace("-", "_"): concept for concept, parts in named.items()}


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
    if set(_READ) <= set(workspace.columns("measurement") or ()):
        schema = pa.schema([(PERSON, pa.int64()), *((column, pa.float64()) for column in tests())])
        made = made.join(workspace.fetch(_last_values()).cast(schema), PERSON, join_type="left outer")
    kinds = {"flag": pa.int8(), "number": pa.float64(), "person": pa.int64()}
    listed = {
        column: made[column] if column in made.column_names else pa.nulls(made.num_rows, kinds[what.type])
        for column, what in dictionary().items()
    }
    return pa.table(listed).sort_by(PERSON)


def _last_values() -> Sql:
    """One row for each person with a value: of each test the one of the last day, the largest of several."""
    of = sql("measurement_concept_id IN ({c}) AND value_as_number IS NOT NULL",
             c=joined(", ", [sql("{c}", c=concept) for concept in tests().values()]))  # fmt: skip
    last = sql(
        "SELECT person_id, measurement_concept_id AS concept, MAX(measurement_date) AS last_day FROM measurement "
        "WHERE {o} GROUP BY person_id, measurement_concept_id", o=of,
    )  # fmt: skip
    cells = (
        sql(
            "MAX(CASE WHEN m.measurement_concept_id = {v} THEN m.value_as_number END) AS {c}", v=concept, c=name(column)
        )
        for column, concept in tests().items()
    )
    return sql(
        "SELECT m.person_id, {c} FROM measurement m JOIN ({l}) d ON d.person_id = m.person_id "
        "AND d.concept = m.measurement_concept_id AND d.last_day = m.measurement_date GROUP BY m.person_id",
        c=joined(", ", cells), l=last,
    )  # fmt: skip


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
