"""Fifty official definitions on 1,000,000 simulated persons against duckcdm: time, memory, and ten times as many.

The persons are those of the shared data set `synthpl` (simulated by Synthea), written down again and again with
numbers of their own and their days moved, in one DuckDB file. Each side has two threads and reads that file; every
definition must give as many rows on both sides. Needs the shared data and the package duckcdm.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).parent))

import cohorts

PERSONS = 1_000_000
DEFINITIONS, THREADS, MEMORY = 50, 2, "4GB"
TARGET, GIGABYTES, TEN_TIMES = 0.5, 6, 11
VOCABULARY = ("concept", "concept_ancestor", "concept_relationship", "cdm_source", "care_site", "location", "provider")


def rows(persons: int = PERSONS) -> list[dict[str, object]]:
    """Rows of the table of benchmarks."""
    if not (cohorts.SHARED / "circe").exists():
        return [_row("definitions", 0.0, "duckcdm", 0.0, "s", None, "not measured: no ../shared/data")]
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        chosen = _chosen(Path(folder) / "definitions")
        small, few = _database(Path(folder) / "small.duckdb", persons // 10)
        large, many = _database(Path(folder) / "large.duckdb", persons)
        tenth, _ = _ours(chosen, small, Path(folder) / "small.parquet")
        mine, peak = _ours(chosen, large, Path(folder) / "large.parquet")
        started = time.perf_counter()
        counts = _theirs(chosen, large)
        theirs = time.perf_counter() - started
        _same(Path(folder) / "large.parquet", counts)
    what = f"{DEFINITIONS} definitions, {many:,} persons"
    return [
        _row(what, mine, "duckcdm", theirs, "s", TARGET, f"{sum(counts.values()):,} rows, the same on both sides"),
        _row("the same, peak memory", peak, "the most it may take", GIGABYTES, "GB", 1.0, ""),
        _row(what, mine, f"{few:,} persons", tenth, "s", TEN_TIMES, ""),
    ]


def _row(
    what: str, ours: float, against: str, theirs: float, unit: str, target: float | None, note: str
) -> dict[str, object]:
    sides = {"ours": f"{ours:.1f} {unit}", "theirs": f"{theirs:.1f} {unit}", "ratio": ours / theirs if theirs else 0.0}
    return {"what": what, "against": against, **sides, "target": target, "note": note}


def _chosen(folder: Path) -> Path:
    """The definitions that have most rows, but those that depend on how ties are broken."""
    source = cohorts.SHARED / "circe"
    with (source / "tie_sensitive.csv").open() as file:
        ties = {line["definition"] for line in csv.DictReader(file)}
    with (source / "counts.csv").open() as file:
        counts = {line["definition"]: int(line["n_synthpl"]) for line in csv.DictReader(file)}
    folder.mkdir()
    for name in sorted(counts.keys() - ties, key=lambda name: (-counts[name], name))[:DEFINITIONS]:
        (folder / f"{name}.json").write_bytes((source / "phenotypes" / f"{name}.json").read_bytes())
    return folder


def _database(file: Path, persons: int) -> tuple[Path, int]:
    """The file with so many persons at least, and how many."""
    import duckdb

    with duckdb.connect(str(file), config={"memory_limit": MEMORY}) as connection:
        tables = {one.stem: f"read_parquet('{one}')" for one in (cohorts.SHARED / "omop" / "synthpl").glob("*.parquet")}
        held = connection.execute(f"SELECT count(*) FROM {tables['person']}").fetchone()
        assert held is not None
        copies = -(-persons // held[0])
        for name, source in sorted(tables.items()):
            kinds = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
            if name in VOCABULARY:
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {source}")
                continue
            columns = ", ".join(_again(column, kind, name) for column, kind, *_ in kinds)
            connection.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM range({copies}) AS c(copy), {source}")
    return file, copies * held[0]


def _again(column: str, kind: str, table: str) -> str:
    """A column of the copy: ids of its own, days moved by one for each copy."""
    own = column == f"{table}_id" or column in ("person_id", "visit_occurrence_id", "visit_detail_id", "subject_id")
    if own and "INT" in kind:
        return f"{column} + copy * 10000000 AS {column}"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"CAST({column} + to_days(CAST(copy AS INTEGER)) AS {kind}) AS {column}"
    return column


def _ours(definitions: Path, file: Path, out: Path) -> tuple[float, float]:
    """Seconds of the whole command, and the peak of its memory in GB, from the kernel."""
    words = [sys.executable, "-m", "atoll", "cohort", "run", str(definitions), "--cdm", f"duckdb:///{file}", "--out",
             str(out), "--threads", str(THREADS), "--memory", MEMORY]  # fmt: skip
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"atoll cohort run ended with {process.returncode}")
    return time.perf_counter() - started, used.ru_maxrss * 1024 / 1e9


def _theirs(definitions: Path, file: Path) -> dict[str, int]:
    """The rows of each definition, as duckcdm's SQL finds them."""
    import duckdb
    from duckcdm import sqlrender
    from duckcdm.circe import build_cohort_query

    limits = {"threads": THREADS, "memory_limit": MEMORY}
    connection: Any = duckdb.connect(":memory:", config=limits)
    connection.execute(f"ATTACH '{file}' AS cdm (READ_ONLY)")
    connection.execute("CREATE TABLE cohort (cohort_definition_id BIGINT, subject_id BIGINT, "
                       "cohort_start_date DATE, cohort_end_date DATE)")  # fmt: skip
    names = {number: one.stem for number, one in enumerate(sorted(definitions.glob("*.json")))}
    for number, name in names.items():
        text = build_cohort_query(
            (definitions / f"{name}.json").read_text("utf-8"), cohort_id=number, cdm_schema="cdm.main",
            target_table="cohort", result_schema="main", vocabulary_schema="cdm.main", generate_stats=False,
        )  # fmt: skip
        for statement in sqlrender.split_sql(sqlrender.translate(sqlrender.render(text), "duckdb")):
            if statement.strip() and not statement.lstrip().upper().startswith("ANALYZE"):
                connection.execute(statement)
    found = connection.execute("SELECT cohort_definition_id, count(*) FROM cohort GROUP BY 1").fetchall()
    connection.close()
    return {names[number]: count for number, count in found}


def _same(out: Path, counts: dict[str, int]) -> None:
    import duckdb

    ours = dict(duckdb.sql(f"SELECT definition, count(*) FROM read_parquet('{out}') GROUP BY 1").fetchall())
    other = {name for name in ours.keys() | counts.keys() if ours.get(name) != counts.get(name)}
    if other:
        raise SystemExit(f"other rows than duckcdm: {sorted(other)}")


if __name__ == "__main__":
    for line in rows(int(sys.argv[1]) if len(sys.argv) > 1 else PERSONS):
        print(line)
