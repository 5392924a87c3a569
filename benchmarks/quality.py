"""All checks of quality on 1,000,000 simulated persons: the whole command, its time, its memory, and false alarms.

The database is a whole one: every table of the model, the vocabulary of the package, eras; the data are clean, so what
fails is a false alarm. Making the persons takes longer than judging them, so this part runs only when it is named:
PARTS=quality.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from whole import command, row

PERSONS = 1_000_000
MINUTES, GIGABYTES = 5, 4
FALSE = 0.005  # share of the checks that looked at something


def rows(persons: int = PERSONS) -> list[dict[str, object]]:
    """Rows of the table; the peak is that of the process, from the kernel."""
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        file = whole(Path(folder), persons)
        size = file.stat().st_size / 1e9
        report = Path(folder) / "quality.json"
        words = ["quality", "run", "--cdm", f"duckdb:///{file}", "--report", str(report), "--threads", "2",
                 "--memory", "2GB"]  # fmt: skip
        seconds, peak = command(*words, ends=(0, 3))
        found = json.loads(report.read_text("utf-8"))
    said = found["verdicts"]
    looked = said["passed"] + said["failed"]
    note = (
        f"{found['checks']:,} checks, {looked:,} of them with something to look at, {said['missing']:,} not there;"
        f" a file of {size:.1f} GB"
    )
    failed = ", ".join(sorted(entry["id"] for entry in found["findings"] if entry["verdict"] == "failed"))
    return [
        row(f"all checks on {persons:,} persons, time", seconds, 60 * MINUTES, "s", note),
        row("the same, peak memory", peak, GIGABYTES, "GB", ""),
        row("false alarms of the checks that looked at something", 100 * said["failed"] / looked, 100 * FALSE, "%",
             failed or "none"),
    ]  # fmt: skip


def whole(folder: Path, persons: int) -> Path:
    """Simulated persons in one DuckDB file with every table of the model, the starter vocabulary and eras."""
    from atoll.cdm.create import create
    from atoll.cdm.vocabulary import starter
    from atoll.cdm.workbench import Workbench
    from atoll.ingest.derive import condition_eras, drug_eras

    world = folder / "world"
    command = [sys.executable, "-m", "atoll", "simulate", "--hospitals", "1", "--persons", str(persons), "--shapes",
               "none", str(world)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    file = folder / "cdm.duckdb"
    create(f"duckdb:///{file}")
    with Workbench(file, scratch=folder / "spill") as bench:
        for table in bench.tables("main"):  # without the constraints, which only slow the filling
            bench.run(f"CREATE TABLE plain AS FROM main.{table} LIMIT 0")
            bench.run(f"DROP TABLE main.{table} CASCADE")
            bench.run(f"ALTER TABLE plain RENAME TO {table}")
        starter(bench)
        for table in sorted(next(world.glob("*/omop")).glob("*.parquet")):
            bench.run(f"INSERT INTO main.{table.stem} BY NAME SELECT * FROM read_parquet('{table}')")
        condition_eras(bench)
        drug_eras(bench)
    return file


if __name__ == "__main__":
    for line in rows(int(sys.argv[1]) if len(sys.argv) > 1 else PERSONS):
        print(line)
