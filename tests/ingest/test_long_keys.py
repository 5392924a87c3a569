"""Keys of more digits than a 64-bit number has, as a hash makes them: texts, each of its own, and never in a log."""

from __future__ import annotations

import duckdb
import pytest

from atoll.cdm.workbench import Workbench
from atoll.ingest.load import load
from atoll.ingest.sources import open_source
from tests.ingest.exports import TODAY, mapping, rows

LONG = 2**63
RULES = """\
mapping: 1
name: long
rules:
  - to: person
    from: patients
    key: id
    columns: {person_source_value: text(id), year_of_birth: year(born)}
  - to: condition_occurrence
    from: diagnoses
    key: "no"
    columns: {person_id: patient, condition_concept_id: 201826, condition_start_date: day}
"""


def exported(tmp_path, kind, first):
    """Two patients whose numbers differ in the last digit, in columns of a type, as Parquet and as DuckDB."""
    (tmp_path / "x").mkdir()
    with duckdb.connect(str(tmp_path / "x.duckdb")) as made:
        made.execute(f"CREATE TABLE ids AS SELECT i, ({first}::HUGEINT + i)::{kind} AS id FROM range(2) r(i)")
        made.execute("CREATE TABLE patients AS SELECT id, DATE '1950-02-03' AS born FROM ids")
        made.execute("CREATE TABLE diagnoses AS SELECT id AS patient, i AS no, DATE '2020-01-10' AS day FROM ids")
        for name in ("patients", "diagnoses"):
            made.execute(f"COPY {name} TO '{tmp_path / 'x' / name}.parquet' (FORMAT parquet)")
    return tmp_path / "x", tmp_path / "x.duckdb"


@pytest.mark.parametrize(
    ("kind", "parquet"),  # of 128 bits Parquet has none, and they are written as floating-point numbers
    [("UBIGINT", True), ("UBIGINT", False), ("DECIMAL(20,0)", True), ("UHUGEINT", False)],
)
def test_a_key_made_by_a_hash_is_a_key(tmp_path, kind, parquet):
    folder, file = exported(tmp_path, kind, LONG)
    report = load(mapping(tmp_path, RULES), str(folder if parquet else file), tmp_path / "cdm.duckdb", today=TODAY)
    assert (report.rejected, report.tables["condition_occurrence"]) == ([], 2)
    found = rows(tmp_path, "SELECT person_source_value FROM person ORDER BY 1")
    assert found == [(str(LONG),), (str(LONG + 1),)]


@pytest.mark.parametrize(("kind", "first"), [("UBIGINT", 7), ("DECIMAL(18,0)", 10**17), ("HUGEINT", -(2**63))])
def test_a_number_that_64_bits_hold_stays_one(tmp_path, kind, first):
    folder, file = exported(tmp_path, kind, first)
    with Workbench() as bench:
        source = open_source(str(file if kind == "HUGEINT" else folder), bench, tmp_path / "w")
        assert source.tables["patients"].columns["id"] == "int64"
        assert sorted(bench.ibis.to_pyarrow(source.table("patients"))["id"].to_pylist()) == [first, first + 1]
