"""`make bench`: every figure of the first issue, measured in one run, as ratios; the table goes to docs/benchmarks.md."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).parent))

import empty_round
import footprint
import models

HEAD = """\
# Benchmarks

Written by `make bench`. A ratio compares two sides that were measured in the same run, on the same data, with the
same number of threads; absolute times depend on the machine and its neighbours. A target that is missed says so.

"""


def main() -> None:
    """Measure, print, and write."""
    table: list[dict[str, object]] = []
    for title, measure in (
        ("rounds over the network", empty_round.rows),
        ("logistic regression", lambda: models.compare("logistic", ("statsmodels", "R", "glum"))),
        ("Cox regression", lambda: models.compare("cox", ("R", "lifelines"))),
        ("footprint", footprint.rows),
    ):
        print(f"bench: {title} …", file=sys.stderr, flush=True)
        found = measure()
        table += found
        for row in found:
            print("  " + _line(row), flush=True)
    (ROOT / "docs" / "benchmarks.md").write_text(HEAD + machine() + "\n" + markdown(table), encoding="utf-8")


def machine() -> str:
    """Machine and versions, as a paragraph."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "",
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1_048_576
    names = ("numpy", "scipy", "pyarrow", "statsmodels", "glum", "lifelines")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    today = datetime.now(UTC).date()
    return f"{today} · {os.cpu_count()} cores ({cpu}), {memory} GB · Python {platform.python_version()}, {versions}\n"


def markdown(table: list[dict[str, object]]) -> str:
    """The rows as a table."""
    lines = ["| what | ours | against | its figure | ratio | target | |", "|---|---|---|---|---|---|---|"]
    for row in table:
        lines.append(
            f"| {row['what']} | {row['ours']} | {row['against']} | {row['theirs']} | {row['ratio']:.2f} | {_target(row)} | {row['note']} |"
        )
    return "\n".join(lines) + "\n"


def _target(row: dict[str, object]) -> str:
    if row["target"] is None:
        return ""
    return f"≤ {row['target']} {'met' if row['ratio'] <= row['target'] else '**missed**'}"  # type: ignore[operator]


def _line(row: dict[str, object]) -> str:
    return f"{row['what']}: {row['ours']} against {row['against']} {row['theirs']} = {row['ratio']:.2f} {_target(row)} {row['note']}"


if __name__ == "__main__":
    main()
