"""The official definitions on two data sets give the rows that OHDSI's circe-be gives, on DuckDB and PostgreSQL.

Compared as multisets of rows. Where circe leaves an order open (tie_sensitive.csv), the number of persons must agree.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict

import pyarrow.parquet as pq
import pytest

from atoll.cdm.workspace import workspace_at
from atoll.cohort.folder import read_definitions
from atoll.cohort.run import CohortRun
from tests.cdm import load_postgresql
from tests.reference.shared import SHARED

CIRCE, OMOP = SHARED / "circe", SHARED / "omop"
pytestmark = pytest.mark.skipif(
    not CIRCE.exists(), reason="official definitions are not here: circe/ of the shared data"
)


@pytest.fixture(scope="module")
def reading():
    found = read_definitions(CIRCE / "phenotypes")
    assert not found.failed
    assert len(found.definitions) == 500
    return found


def rows_of(table):
    rows = defaultdict(Counter)
    for name, *row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        rows[str(name)][tuple(row)] += 1
    return rows


def expected(data):
    with (CIRCE / "tie_sensitive.csv").open() as file:
        ties = {row["definition"] for row in csv.DictReader(file) if row["data"] == data}
    return rows_of(pq.read_table(CIRCE / f"expected_{data}.parquet")), ties


def differing(data, outcome, names):
    wanted, ties = expected(data)
    given = rows_of(outcome.rows)
    assert not outcome.failed
    return [
        name
        for name in names
        if (len({row[0] for row in given[name]}) != len({row[0] for row in wanted[name]}) if name in ties
            else given[name] != wanted[name])
    ]  # fmt: skip


@pytest.mark.parametrize("data", ["gibleed", "synthpl"])
def test_all_500_definitions_give_the_rows_of_circe(data, reading):
    with workspace_at(f"duckdb:///{OMOP / data}", threads=2) as workspace:
        outcome = CohortRun(workspace).run(reading.definitions)
    assert differing(data, outcome, reading.definitions) == []
    assert outcome.rows.num_rows == {"gibleed": 112_303, "synthpl": 69_837}[data]


def test_the_batches_of_a_run_do_not_matter(reading):
    chosen = dict(list(reading.definitions.items())[::10])
    with workspace_at(f"duckdb:///{OMOP / 'synthpl'}", threads=2) as workspace:
        outcome = CohortRun(workspace, batch=7).run(chosen)
    assert differing("synthpl", outcome, chosen) == []


def test_postgresql_gives_the_same_rows(reading, database):
    chosen = dict(list(reading.definitions.items())[::4])
    load_postgresql(database, {file.stem: pq.read_table(file) for file in (OMOP / "synthpl").glob("*.parquet")})
    with workspace_at(database) as workspace:
        outcome = CohortRun(workspace).run(chosen)
    assert differing("synthpl", outcome, chosen) == []


def test_the_other_600_definitions_run():
    reading = read_definitions(CIRCE / "phenotypes_other")
    assert (len(reading.definitions), reading.failed) == (600, {})
    with workspace_at(f"duckdb:///{OMOP / 'synthpl'}", threads=2) as workspace:
        outcome = CohortRun(workspace).run(reading.definitions)
    assert not outcome.failed
    found = set(outcome.rows.column("definition").to_pylist())
    assert len(found) >= 590, "the data were made so that nearly every definition finds someone"
    for name, table in outcome.attrition.items():
        steps = [table.entered, *(rule.in_order for rule in table.rules), table.final]
        assert steps == sorted(steps, reverse=True), name
