"""Comparing an engine with the evaluator on random definitions and data."""

from __future__ import annotations

import json
import random

from atoll.cohort.run import CohortRun
from atoll.study.circe import read
from tests.cdm import Engine
from tests.generative.evaluator import Evaluator
from tests.generative.invention import data, definition

TOGETHER = 25  # definitions on one data set


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


def seeds_that_differ(engine: Engine, seeds: range) -> list[str]:
    """All differences of the cases of some seeds."""
    return [f"seed {seed}, {found}" for seed in seeds for found in differences(engine, *case(seed))]
