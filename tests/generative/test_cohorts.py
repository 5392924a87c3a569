"""Random definitions on random data: every engine gives what the plain-Python evaluator gives."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from atoll.cohort.run import CohortRun
from atoll.study.circe import read, written
from tests.cdm import Engine, spark_or_skip
from tests.generative.evaluator import Evaluator
from tests.generative.invention import data, definition

TOGETHER = 25  # definitions on one data set


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    made: dict[str, Engine] = {}

    def engine(name: str, database: str = "") -> Engine:
        return made.setdefault(name, Engine(name, tmp_path_factory.mktemp(name) / "cdm", database))

    yield engine
    for one in made.values():
        one.close()


def differences(engine: Engine, rows, documents) -> list[str]:
    """A sentence for each definition whose rows on the engine are not those of the evaluator."""
    evaluator = Evaluator(rows)
    wanted = {name: evaluator.cohort(document) for name, document in documents.items()}
    with engine.workspace(rows) as workspace:
        outcome = CohortRun(workspace).run({name: read(json.dumps(doc)) for name, doc in documents.items()})
    found = {name: [] for name in documents}
    for name, *row in zip(*(column.to_pylist() for column in outcome.rows.columns), strict=True):
        found[name].append(tuple(row))
    return [
        f"{name}: {outcome.failed.get(name, '')} found {sorted(found[name])}, wanted {wanted[name]}\n"
        f"{json.dumps(documents[name])}"
        for name in documents
        if sorted(found[name]) != wanted[name] or name in outcome.failed
    ]


def case(seed: int, together: int = TOGETHER):
    r = random.Random(seed)
    return data(r), {str(number): definition(r) for number in range(together)}


@pytest.mark.parametrize("part", range(8))
def test_5000_definitions_on_duckdb(engines, part):
    found = []
    for seed in range(part * 25, part * 25 + 25):
        found += [f"seed {seed}, {difference}" for difference in differences(engines("duckdb"), *case(seed))]
    assert not found, f"{len(found)} of {25 * TOGETHER} differ; the first: {found[0]}"


@given(st.randoms(use_true_random=False))
@settings(max_examples=40, phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))
def test_hypothesis_finds_no_definition_that_differs(engines, r):
    rows = data(r)
    assert not differences(engines("duckdb"), rows, {"0": definition(r)})


def test_300_definitions_on_postgresql(engines, database):
    found = []
    for seed in range(1000, 1012):
        found += differences(engines("postgresql", database), *case(seed))
    assert not found, f"{len(found)} of 300 differ; the first: {found[0]}"


def test_60_definitions_on_spark(engines):
    spark_or_skip()
    found = differences(engines("spark"), *case(2000, 60))
    assert not found, f"{len(found)} of 60 differ; the first: {found[0]}"


def test_random_definitions_are_written_as_they_were_read():
    for seed in range(200):
        text = json.dumps(definition(random.Random(seed)))
        assert json.loads(written(read(text))) == json.loads(text)


@pytest.mark.soak
def test_soak_duckdb(engines):
    for seed in range(10_000, 30_000):
        found = differences(engines("duckdb"), *case(seed))
        assert not found, f"seed {seed}: {found[0]}"


@pytest.mark.soak
def test_soak_postgresql(engines, database):
    for seed in range(30_000, 31_000):
        found = differences(engines("postgresql", database), *case(seed))
        assert not found, f"seed {seed}: {found[0]}"
