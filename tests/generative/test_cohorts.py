"""Random definitions on random data: every engine gives what the plain-Python evaluator gives."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from atoll.study.circe import read, written
from tests.cdm import Engine, spark_or_skip
from tests.generative.agreement import case, differences, seeds_that_differ
from tests.generative.evaluator import Evaluator
from tests.generative.invention import data, definition


@given(st.randoms(use_true_random=False))
@settings(max_examples=40, phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))
def test_hypothesis_finds_no_definition_that_differs(duckdb_engine, r):
    rows = data(r)
    assert not differences(duckdb_engine, rows, {"0": definition(r)})


def test_300_definitions_on_postgresql(database, tmp_path):
    found = seeds_that_differ(Engine("postgresql", tmp_path, database), range(1000, 1012))
    assert not found, f"{len(found)} of 300 differ; the first: {found[0]}"


def test_60_definitions_on_spark(tmp_path):
    spark_or_skip()
    found = differences(Engine("spark", tmp_path / "cdm"), *case(2000, 60))
    assert not found, f"{len(found)} of 60 differ; the first: {found[0]}"


def test_the_cases_are_no_empty_talk():
    """Most random definitions reach someone, by every kind of criterion; else agreement would mean little."""
    reached = total = 0
    for seed in range(30):
        rows, documents = case(seed)
        evaluator = Evaluator(rows)
        total += len(documents)
        reached += sum(bool(evaluator.cohort(document)) for document in documents.values())
    assert reached / total > 0.33


def test_random_definitions_are_written_as_they_were_read():
    for seed in range(200):
        text = json.dumps(definition(random.Random(seed)))
        assert json.loads(written(read(text))) == json.loads(text)


@pytest.mark.soak
def test_soak_duckdb(duckdb_engine):
    for seed in range(10_000, 30_000):
        assert not seeds_that_differ(duckdb_engine, range(seed, seed + 1))


@pytest.mark.soak
def test_soak_postgresql(database, tmp_path):
    engine = Engine("postgresql", tmp_path, database)
    for seed in range(30_000, 31_000):
        assert not seeds_that_differ(engine, range(seed, seed + 1))


@pytest.mark.soak
def test_soak_spark(tmp_path):
    spark_or_skip()
    engine = Engine("spark", tmp_path / "cdm")
    for seed in range(40_000, 40_020):
        assert not seeds_that_differ(engine, range(seed, seed + 1))
