"""Cohorts: a folder of official definitions against duckcdm, one by one, in one process, with the same threads.

Needs the definitions and data of the shared data folder and the package duckcdm (extra `bench`); without them the
rows say so. `python benchmarks/cohorts.py` prints them.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
BESIDE = [above / "shared" / "data" for above in ROOT.parents]  # beside the clone, or above a worktree of it
SHARED = next((folder for folder in BESIDE if folder.is_dir()), BESIDE[0])
DATA = ("gibleed", "synthpl")
TARGET, MEDIAN = 0.3, 0.040  # of duckcdm's total; seconds a definition, on both data sets together


def rows() -> list[dict[str, object]]:
    """Rows of the table of benchmarks."""
    folder = SHARED / "circe" / "phenotypes"
    if not folder.exists():
        return [_row("cohorts", 0.0, 0.0, None, "not measured: no ../shared/data with the definitions")]
    ours, theirs = {}, {}
    for data in DATA:  # in turns, so that a busy neighbour meets both sides
        ours[data], theirs[data] = _ours(folder, data), _theirs(folder, data)
    total, peer = sum(run[0] for run in ours.values()), sum(sum(run.values()) for run in theirs.values())
    names = list(theirs[DATA[0]])
    median = statistics.median(sum(ours[data][1][name] for data in DATA) for name in names)
    peers = statistics.median(sum(theirs[data][name] for data in DATA) for name in names)
    return [
        _row(
            f"{len(names)} cohort definitions on two data sets",
            total,
            peer,
            TARGET,
            "whole command, files read and written",
        ),
        _row("median a definition, both data sets", median, peers, None, f"target {MEDIAN * 1e3:.0f} ms"),
    ]


def _row(what: str, ours: float, theirs: float, target: float | None, note: str) -> dict[str, object]:
    digits = 1 if theirs > 1 else 4
    sides = {
        "ours": f"{ours:.{digits}f} s",
        "theirs": f"{theirs:.{digits}f} s",
        "ratio": ours / theirs if theirs else 0.0,
    }
    return {"what": what, "against": "duckcdm", **sides, "target": target, "note": note}


def _ours(folder: Path, data: str) -> tuple[float, dict[str, float]]:
    """Seconds of the whole, and of each definition alone (what is shared divided among all)."""
    import tempfile

    from atoll.cohort.folder import read_definitions, run_definitions

    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        run = run_definitions(read_definitions(folder), f"duckdb:///{SHARED / 'omop' / data}", threads=1)
        run.write(Path(out) / "cohorts.parquet", Path(out) / "report.json")
        total = time.perf_counter() - started
    assert not run.failed
    shared = (total - sum(run.outcome.seconds.values())) / len(run.outcome.seconds)
    return total, {name: seconds + shared for name, seconds in run.outcome.seconds.items()}


def _theirs(folder: Path, data: str) -> dict[str, float]:
    """Seconds of each definition: Circe to SQL, SQL to DuckDB's dialect, all statements."""
    import duckdb
    from duckcdm import sqlrender
    from duckcdm.circe import build_cohort_query

    connection: Any = duckdb.connect(":memory:", config={"threads": 1})
    for file in (SHARED / "omop" / data).glob("*.parquet"):
        connection.execute(f"CREATE TABLE {file.stem} AS SELECT * FROM read_parquet('{file}')")
    connection.execute(
        "CREATE TABLE cohort (cohort_definition_id BIGINT, subject_id BIGINT, cohort_start_date DATE, "
        "cohort_end_date DATE)"
    )
    out = {}
    for number, file in enumerate(sorted(folder.glob("*.json"))):
        started = time.perf_counter()
        text = build_cohort_query(
            file.read_text("utf-8"), cohort_id=number, cdm_schema="main", target_table="cohort", result_schema="main",
            vocabulary_schema="main", generate_stats=False,
        )  # fmt: skip
        for statement in sqlrender.split_sql(sqlrender.translate(sqlrender.render(text), "duckdb")):
            if statement.strip() and not statement.lstrip().upper().startswith("ANALYZE"):
                connection.execute(statement)
        out[file.stem] = time.perf_counter() - started
    connection.close()
    return out


if __name__ == "__main__":
    for line in rows():
        print(line)
