"""A whole command as its user types it: how long it takes, and its peak of memory, from the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
import time


def command(*words: str, ends: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """Seconds and GB of `atoll` with these words, which must end with one of these codes."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "atoll", *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ends:
        raise SystemExit(f"{words[0]} failed with {process.returncode}")
    return time.perf_counter() - start, used.ru_maxrss * 1024 / 1e9


def row(what: str, ours: float, most: float, unit: str, note: str) -> dict[str, object]:
    """A row of a table whose other side is a limit."""
    sides = {"ours": f"{ours:.1f} {unit}", "theirs": f"{most} {unit}", "ratio": ours / most}
    return {"what": what, "against": "the most it may take", **sides, "target": 1.0, "note": note}
