"""Two hundred features of 100,000 simulated persons against the time in which DuckDB reads the touched tables.

The floor is one pass over every column that the features read (a sum over each), by the same engine with the same
threads, on the same file, in the same run.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PERSONS = 100_000
THREADS = 2
TOUCHED = {
    "person": ("person_id", "year_of_birth", "gender_concept_id"),
    "observation_period": ("person_id", "observation_period_start_date", "observation_period_end_date"),
    "condition_occurrence": ("person_id", "condition_concept_id", "condition_start_date"),
    "drug_exposure": ("person_id", "drug_concept_id", "drug_exposure_start_date"),
    "measurement": ("person_id", "measurement_concept_id", "measurement_date", "value_as_number", "unit_concept_id",
                    "measurement_id", "range_low", "range_high"),
    "visit_occurrence": ("person_id", "visit_concept_id", "visit_start_date"),
    "concept": ("concept_id", "invalid_reason"),
    "concept_ancestor": ("ancestor_concept_id", "descendant_concept_id"),
}  # fmt: skip


def rows(persons: int = PERSONS, repeats: int = 3) -> list[dict[str, object]]:
    """One row of the table: medians over alternating runs."""
    import duckdb
    import pyarrow as pa

    from atoll.cdm.workspace import workspace_at
    from atoll.features.extract import extract

    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        file = _database(Path(folder), persons)
        with duckdb.connect(str(file), read_only=True, config={"threads": THREADS}) as connection:
            found = connection.execute(
                "SELECT person_id AS subject_id, min(visit_start_date) + 700 AS cohort_start_date "
                "FROM visit_occurrence GROUP BY 1 ORDER BY 1"
            ).to_arrow_table()
            document, count = _features(connection)
        cohort = pa.table({c: found.column(c) for c in ("subject_id", "cohort_start_date")})
        ours, floor = [], []
        for _ in range(repeats):
            with duckdb.connect(str(file), read_only=True, config={"threads": THREADS}) as connection:
                floor.append(_timed(lambda c=connection: _scan(c)))
            with workspace_at(f"duckdb:///{file}", threads=THREADS) as workspace:
                ours.append(_timed(lambda w=workspace: extract(w, cohort, document)))
    mine, theirs = statistics.median(ours), statistics.median(floor)
    return [
        {
            "what": f"{count} features of {cohort.num_rows:,} persons",
            "against": "DuckDB reading the touched columns",
            "ours": f"{mine:.2f} s",
            "theirs": f"{theirs:.2f} s",
            "ratio": mine / theirs,
            "target": 10,
            "note": "",
        }
    ]


def _database(folder: Path, persons: int) -> Path:
    """Simulated persons in one DuckDB file with a vocabulary of its own concepts."""
    import duckdb

    world = folder / "world"
    command = [sys.executable, "-m", "atoll", "simulate", "--hospitals", "1", "--persons", str(persons), "--shapes",
               "none", str(world)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    file = folder / "cdm.duckdb"
    with duckdb.connect(str(file)) as connection:
        for table in sorted(next(world.glob("*/omop")).glob("*.parquet")):
            connection.execute(f"CREATE TABLE {table.stem} AS SELECT * FROM read_parquet('{table}')")
        used = " UNION ".join(
            f"SELECT {column} AS concept_id FROM {table}"
            for table, column in (
                ("condition_occurrence", "condition_concept_id"),
                ("drug_exposure", "drug_concept_id"),
                ("measurement", "measurement_concept_id"),
                ("visit_occurrence", "visit_concept_id"),
            )
        )
        connection.execute(
            f"CREATE TABLE concept AS SELECT concept_id, CAST(NULL AS VARCHAR) AS invalid_reason, "
            f"CAST(NULL AS VARCHAR) AS vocabulary_id, CAST(NULL AS VARCHAR) AS concept_code FROM ({used})"
        )
        connection.execute(
            "CREATE TABLE concept_ancestor AS SELECT concept_id AS ancestor_concept_id, "
            "concept_id AS descendant_concept_id FROM concept"
        )
        connection.execute(
            "CREATE TABLE concept_relationship AS SELECT concept_id AS concept_id_1, concept_id AS concept_id_2, "
            "'Is a' AS relationship_id, CAST(NULL AS VARCHAR) AS invalid_reason FROM concept LIMIT 0"
        )
    return file


def _features(connection: object) -> tuple[object, int]:
    """200 features: four windows and several sayings of every commonest concept."""
    from atoll.study.features import read

    lines, sets = ["  age: {from: person, as: age}", "  sex: {from: person, as: sex}"], []
    asked = [
        ("condition", "condition_occurrence", "condition_concept_id", ("any", "count"), 20),
        ("drug", "drug_exposure", "drug_concept_id", ("any", "since"), 15),
        ("measurement", "measurement", "measurement_concept_id", ("last", "mean", "count"), 25),
    ]
    windows = ("[-365, 0]", "[null, 0]")
    for domain, table, column, says, most in asked:
        query = f"SELECT {column} FROM {table} GROUP BY 1 ORDER BY count(*) DESC LIMIT {most}"
        for (concept,) in connection.execute(query).fetchall():  # type: ignore[attr-defined]
            sets.append(f"  {domain}{concept}: {{include: [{concept}]}}")
            for word in says:
                for window in windows:
                    place = len(lines)
                    lines.append(f"  f{place}: {{from: {domain}, of: {domain}{concept}, as: {word}, window: {window}}}")
    chosen = lines[:200]
    return read("concepts:\n" + "\n".join(sets) + "\nfeatures:\n" + "\n".join(chosen) + "\n"), len(chosen)


def _scan(connection: object) -> None:
    for table, columns in TOUCHED.items():
        present = {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}  # type: ignore[attr-defined]
        read = ", ".join(f"max({column})" for column in columns if column in present)
        connection.execute(f"SELECT {read} FROM {table}").fetchall()  # type: ignore[attr-defined]


def _timed(act: object) -> float:
    start = time.perf_counter()
    act()  # type: ignore[operator]
    return time.perf_counter() - start


if __name__ == "__main__":
    print(rows(int(sys.argv[1]) if len(sys.argv) > 1 else PERSONS))
