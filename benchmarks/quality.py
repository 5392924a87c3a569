"""All checks of quality on 1,000,000 simulated persons: the whole command, its time and its memory.

Making the persons takes longer than judging them, so this part runs only when it is named: PARTS=quality.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import features

PERSONS = 1_000_000
MINUTES, GIGABYTES = 5, 4


def rows(persons: int = PERSONS) -> list[dict[str, object]]:
    """Rows of the table; the peak is that of the process, from the kernel."""
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        file = features._database(Path(folder), persons)
        size = file.stat().st_size / 1e9
        report = Path(folder) / "quality.json"
        words = [
            "quality",
            "run",
            "--cdm",
            f"duckdb:///{file}",
            "--report",
            str(report),
            "--threads",
            "2",
            "--memory",
            "2GB",
        ]
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "atoll", *words], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 3):
            raise SystemExit(f"quality failed with {process.returncode}")
        found = json.loads(report.read_text("utf-8"))
    peak = used.ru_maxrss * 1024 / 1e9
    note = f"{found['checks']:,} checks, {found['verdicts']['failed']:,} failed; a file of {size:.1f} GB"
    return [
        _row(f"all checks on {persons:,} persons, time", seconds, 60 * MINUTES, "s", note),
        _row("the same, peak memory", peak, GIGABYTES, "GB", ""),
    ]


def _row(what: str, ours: float, most: float, unit: str, note: str) -> dict[str, object]:
    sides = {"ours": f"{ours:.1f} {unit}", "theirs": f"{most} {unit}", "ratio": ours / most}
    return {"what": what, "against": "the most it may take", **sides, "target": 1.0, "note": note}


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else PERSONS):
        print(row)
