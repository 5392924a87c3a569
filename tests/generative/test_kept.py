"""Random definitions on random data of which one table changes: what is kept is what a fresh run finds."""

from __future__ import annotations

import json
import random

import pytest

from atoll.cohort.folder import Reading, run_what_changed
from atoll.cohort.kept import State, read_state
from atoll.cohort.run import CohortRun
from atoll.study.circe import read
from tests.generative.invention import data, definition

TOGETHER = 25


def told(rows):
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def run(engine, rows, reading, before):
    with engine.workspace(rows) as workspace:
        return run_what_changed(CohortRun(workspace), reading, None, before)


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 400), marks=pytest.mark.soak)], ids=["some", "many"])
def test_what_is_kept_is_what_a_fresh_run_finds(duckdb_engine, tmp_path, seeds):
    import pyarrow.parquet as pq

    kept_at_all = 0
    for seed in seeds:
        r = random.Random(seed)
        rows, other = data(r), data(r)
        reading = Reading({str(n): read(json.dumps(definition(r))) for n in range(TOGETHER)})
        outcome, _, state = run(duckdb_engine, rows, reading, State())
        pq.write_table(state.written(outcome.rows), tmp_path / "before.parquet")
        table = r.choice(sorted(rows))
        changed = rows | {table: other[table]}
        fresh, _, _ = run(duckdb_engine, changed, reading, State())
        again, kept, _ = run(duckdb_engine, changed, reading, read_state(tmp_path / "before.parquet"))
        assert told(again.rows) == told(fresh.rows), (seed, table)
        assert again.failed.keys() == fresh.failed.keys() and again.notes == fresh.notes, (seed, table)
        kept_at_all += len(kept)
    assert kept_at_all > 5 * len(seeds), "or the test shows nothing"
