"""Half of 5,000 random definitions: DuckDB gives what the plain-Python evaluator gives. (Two files: two workers.)"""

from __future__ import annotations

import pytest

from tests.generative.agreement import seeds_that_differ

SEEDS = range(100, 200)


@pytest.mark.parametrize("part", range(4))
def test_2500_definitions_on_duckdb(duckdb_engine, part):
    found = seeds_that_differ(duckdb_engine, SEEDS[part::4])
    assert not found, f"{len(found)} of 625 differ; the first: {found[0]}"
