"""`make bench`: every figure, measured in one run, as ratios; the table goes to docs/benchmarks.md."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).parent))

import cohorts
import feasibility
import features
import footprint
import loading
import million
import models
import quality
import terms
import vocabulary

HEAD = """\
# Benchmarks

Written by `make bench`. A ratio compares two sides that were measured in the same run, on the same data, with the
same number of threads; absolute times depend on the machine and its neighbours. A target that is missed says so.
`make bench PARTS="rounds cohorts"` measures some parts; the others keep their last table, with its date.
"""
PAGE = ROOT / "docs" / "benchmarks.md"
PARTS = {
    "rounds": ("Rounds over the network", lambda: rounds()),
    "logistic": ("Logistic regression", lambda: models.compare("logistic", ("statsmodels", "R", "glum"))),
    "cox": ("Cox regression", lambda: models.compare("cox", ("R", "lifelines"))),
    "cohorts": ("Cohorts", lambda: cohorts.rows()),
    "million": ("Cohorts of a million persons", lambda: million.rows()),
    "features": ("Features", lambda: features.rows()),
    "feasibility": ("Feasibility", lambda: feasibility.rows()),
    "loading": ("Loading", lambda: loading.rows()),
    "quality": ("Quality", lambda: quality.rows()),
    "terms": ("Terms", lambda: terms.rows()),
    "vocabulary": ("Vocabulary", lambda: vocabulary.rows()),
    "footprint": ("Footprint", footprint.rows),
}
LONG = ("loading", "million", "quality", "vocabulary")  # only when named


def main(wanted: list[str]) -> None:
    """Measure the wanted parts (none named: all but the long), print, and write; others keep their last table."""
    sections = _sections()
    for part in wanted or [part for part in PARTS if part not in LONG]:
        title, measure = PARTS[part]
        print(f"bench: {title} …", file=sys.stderr, flush=True)
        table = measure()
        for row in table:
            print("  " + _line(row), flush=True)
        sections[title] = machine() + "\n" + markdown(table)
        for other, (name, _) in PARTS.items():
            sections.setdefault(name, f'Not measured yet: `make bench PARTS="{other}"`.\n')
        text = HEAD + "".join(f"\n## {name}\n\n{sections[name]}" for name, _ in PARTS.values())
        PAGE.write_text(text, encoding="utf-8")


def _sections() -> dict[str, str]:
    """The tables that are on the page, by title."""
    parts = PAGE.read_text("utf-8").split("\n## ")[1:] if PAGE.exists() else []
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() + "\n" for part in parts}


def rounds() -> list[dict[str, object]]:
    """Rows of the table from `empty_round.py`, which runs in a process of its own."""
    command = [sys.executable, str(Path(__file__).parent / "empty_round.py"), "--json"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    one, four, fsync = found["exchange of one"], found["exchange among four"], found["fsync"]
    memory, disk = found["in memory"], found["on disk"]
    chain, most = (disk[f"fsyncs one after another, {name}"] for name in ("mean", "most"))
    started = disk["submit to first share recorded, four approvals included"]

    def row(
        what: str, ours: float, against: str, theirs: float, target: float | None, note: str = ""
    ) -> dict[str, object]:
        sides = {"ours": f"{ours * 1e3:.2f} ms", "theirs": f"{theirs * 1e3:.2f} ms", "ratio": ours / theirs}
        return {"what": what, "against": against, **sides, "target": target, "note": note}

    return [
        row("empty round, state in memory", memory["round"], "bare exchange, one post to one poll", one, 6),
        row("empty round, state in memory", memory["round"], "bare exchange among four processes", four, 6),
        row("empty round on disk, beyond memory", disk["round"] - memory["round"], "one fsync", fsync, 8),
        row("empty round on disk", disk["round"], "six bare exchanges and eight fsyncs", 6 * one + 8 * fsync, 1,
            "the target, read so that `that` is six exchanges"),
        {"what": "fsyncs one after another", "against": "3", "ours": f"{chain:.2f} mean, {most} most", "theirs": "3",
         "ratio": chain / 3, "target": 1.0, "note": "counted on the way of each round's last share"},
        row("submit to first share, with approvals", started, "300 ms", 0.3, 1.0, "with the answer itself"),
    ]  # fmt: skip


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
    names = ("numpy", "scipy", "pyarrow", "duckdb", "statsmodels", "glum", "lifelines")
    installed = {each.name for each in importlib.metadata.distributions()}  # a part needs no other part's packages
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names if name in installed)
    today = datetime.now(UTC).date()
    return f"{today} · {os.cpu_count()} cores ({cpu}), {memory} GB · Python {platform.python_version()}, {versions}\n"


def markdown(table: list[dict[str, object]]) -> str:
    """The rows as a table."""
    lines = ["| what | ours | against | its figure | ratio | target | |", "|---|---|---|---|---|---|---|"]
    for row in table:
        cells = (
            row["what"],
            row["ours"],
            row["against"],
            row["theirs"],
            f"{row['ratio']:.2f}",
            _target(row),
            row["note"],
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _target(row: dict[str, object]) -> str:
    if row["target"] is None:
        return ""
    return f"≤ {row['target']} {'met' if row['ratio'] <= row['target'] else '**missed**'}"  # type: ignore[operator]


def _line(row: dict[str, object]) -> str:
    sides = f"{row['ours']} against {row['against']} {row['theirs']}"
    return f"{row['what']}: {sides} = {row['ratio']:.2f} {_target(row)} {row['note']}"


if __name__ == "__main__":
    main(sys.argv[1:])
