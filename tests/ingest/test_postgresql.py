"""A hospital's PostgreSQL as a source: days that nobody else takes for days, and views that fail."""

from __future__ import annotations

import datetime

import psycopg
import pytest

from atoll.cdm.database import record_batches
from atoll.errors import DataError
from atoll.ingest.drafts.proposal import propose
from atoll.ingest.load import load
from atoll.ingest.scan import scan
from tests.ingest.exports import TODAY, mapping, rows

BIRTHS = """\
mapping: 1
name: odd
source: {missing: ["1900-01-01"]}
rules:
  - {to: person, from: patient, key: id, columns: {person_source_value: id, year_of_birth: year(born),
     gender_concept_id: 8507}}
"""
NOTE = "dates that are none (as infinity, or a year before 1 or after 9999) are missing"


@pytest.fixture
def his(database):
    """The URL of a database with odd days and a view that fails."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE patient (id INT, born DATE, seen TIMESTAMP, sent TIMESTAMPTZ);"
            " INSERT INTO patient VALUES (1, 'infinity', '-infinity', 'infinity'),"
            " (2, '0044-03-15 BC', '0044-03-15 BC', '2024-05-06 07:08+00'), (3, '12000-01-01', '12000-01-01', NULL),"
            " (4, '1950-02-03', '2024-05-06 07:08', '0044-03-15 BC'), (5, NULL, NULL, NULL),"
            " (6, '1900-01-01', NULL, NULL);"
            " CREATE VIEW broken AS SELECT id / 0 AS x FROM patient;"
            " CREATE TABLE zone AS SELECT 1 AS one"
        )
    return database


def test_days_that_are_none_are_missing_and_counted_by_column(his):
    notes: list[str] = []
    (batch,) = record_batches(f"{his}?table=patient", notes)
    found = batch.to_pydict()
    assert found["born"] == [None] * 3 + [datetime.date(1950, 2, 3), None, datetime.date(1900, 1, 1)]
    assert found["seen"] == [None] * 3 + [datetime.datetime(2024, 5, 6, 7, 8), None, None]
    assert [moment is None for moment in found["sent"]] == [True, False, True, True, True, True]
    assert notes == [f"patient.born: 3 {NOTE}", f"patient.seen: 3 {NOTE}", f"patient.sent: 2 {NOTE}"]


def test_a_view_that_fails_is_left_out_of_scan_and_draft_and_named(his, tmp_path):
    said = "broken: left out. The table 'broken' cannot be read from the database."
    found = scan(his, folder=tmp_path / "work")
    assert [table["name"] for table in found["tables"]] == ["patient", "zone"]
    assert said in found["notes"]
    assert said in propose(his, tmp_path / "m" / "a.yaml", "a").notes
    with pytest.raises(DataError, match="'broken' cannot be read"):
        scan(f"{his}?table=broken", folder=tmp_path / "work")


def test_a_load_reads_what_it_can_and_refuses_a_view_that_it_needs(his, tmp_path):
    report = load(mapping(tmp_path / "m", BIRTHS), his, tmp_path / "cdm.duckdb", today=TODAY)
    assert rows(tmp_path, "SELECT person_source_value, year_of_birth FROM person") == [("4", 1950)]
    assert f"patient.born: 3 {NOTE}" in report.manifest["notes"]
    with pytest.raises(DataError, match="'broken' cannot be read"):
        load(mapping(tmp_path / "m", BIRTHS.replace("from: patient", "from: broken")), his, tmp_path / "b.duckdb")
