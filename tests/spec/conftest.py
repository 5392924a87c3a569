"""Every specification runs on every engine: a table literal, a definition, the rows that it must give.

Spark takes seconds a test, so its runs are for `make soak`; 60 random definitions on it are in every run.
"""

from __future__ import annotations

import json
import secrets

import pytest

from atoll.cohort.run import CohortRun
from atoll.study.circe import read
from tests.cdm import Engine, spark_or_skip

VOCABULARY = {
    "concept": [{"concept_id": n} for n in range(1, 10)],
    "concept_ancestor": [{"ancestor_concept_id": 1, "descendant_concept_id": n} for n in (1, 2, 3)]
    + [{"ancestor_concept_id": n, "descendant_concept_id": n} for n in range(2, 10)],
}


@pytest.fixture(scope="session", params=["duckdb", "postgresql", pytest.param("spark", marks=pytest.mark.soak)])
def engine(request, tmp_path_factory):
    """An engine with an empty CDM; Spark only where it is installed, PostgreSQL likewise."""
    name = request.param
    database = ""
    if name == "spark":
        spark_or_skip()
    if name == "postgresql":
        import psycopg

        own = f"spec_{secrets.token_hex(6)}"  # the fixture may be made again when another engine came between
        database = f"{request.getfixturevalue('postgres')}/{own}"
        with psycopg.connect(request.getfixturevalue("postgres") + "/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {own}")
    one = Engine(name, tmp_path_factory.mktemp("spec") / "cdm", database)
    yield one
    one.close()


@pytest.fixture
def cohorts(engine):
    """`cohorts(rows, *documents)`: for each definition its sorted rows, as (person, start, end) with days as texts."""

    def run(rows, *documents):
        definitions = {str(number): read(json.dumps(document)) for number, document in enumerate(documents)}
        with engine.workspace(VOCABULARY | rows) as workspace:
            outcome = CohortRun(workspace).run(definitions)
        assert not outcome.failed, outcome.failed
        found = {name: [] for name in definitions}
        for name, person, start, end in zip(*(c.to_pylist() for c in outcome.rows.columns), strict=True):
            found[name].append((person, start.isoformat(), end.isoformat()))
        return [sorted(found[name]) for name in definitions]

    return run


@pytest.fixture
def persons(cohorts):
    """As `cohorts`, but only who is in each."""

    def run(rows, *documents):
        return [sorted({row[0] for row in found}) for found in cohorts(rows, *documents)]

    return run
