"""Engines under test."""

from __future__ import annotations

import pytest

from tests.cdm import Engine


@pytest.fixture(scope="module")
def duckdb_engine(tmp_path_factory):
    engine = Engine("duckdb", tmp_path_factory.mktemp("cdm"))
    yield engine
    engine.close()
