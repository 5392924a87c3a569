"""What Atoll weighs and how quickly it starts: installed size, import, help, and an idle site's memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PEERS = {"NVFLARE": 241, "Flower": 302, "Fed-BioMed": 7900}  # MB, measured once by the authors of the issue


def rows() -> list[dict[str, object]]:
    """Rows of the benchmark table."""
    return [*starts(), idle_site(), *installed()]


def starts() -> list[dict[str, object]]:
    """`import atoll` and `atoll --help`, each minus nothing: a whole process, median of nine."""
    floor = _seconds("-c", "pass")
    found = []
    for what, words, target in (
        ("import atoll", ("-c", "import atoll"), 0.3),
        ("atoll --help", ("-m", "atoll", "--help"), 0.5),
    ):
        took = _seconds(*words)
        verdict = f"target {target} s: {'met' if took < target else '**missed**'}"
        sides = {"ours": f"{took:.2f} s", "theirs": f"{floor:.2f} s", "ratio": took / floor}
        found.append({"what": what, "against": "python -c pass", **sides, "target": None, "note": verdict})
    return found


def _seconds(*words: str) -> float:
    times = []
    for _ in range(9):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True, cwd=ROOT)
        times.append(time.perf_counter() - start)
    return median(times)


def idle_site() -> dict[str, object]:
    """Resident memory of a site that has joined and waits."""
    from atoll.demo import network
    from atoll.hub import home as hub

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs = network.Programs(folder)
        try:
            centre = network.make_hub(folder, network.free_port())
            programs.start("hub", "serve", "--home", str(centre.folder))
            home = network.make_site(folder / "north", hub.invite(centre, "north"))
            programs.start("site", "serve", "--home", str(home.folder))
            time.sleep(3)
            status = Path(f"/proc/{programs.processes[-1].pid}/status").read_text()
        finally:
            programs.stop()
    resident = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
    return {"what": "idle site process", "against": "120 MB", "ours": f"{resident:.0f} MB", "theirs": "120 MB",
            "ratio": resident / 120, "target": 1.0, "note": ""}  # fmt: skip


def installed() -> list[dict[str, object]]:
    """Size of a fresh virtual environment's packages with the core alone."""
    with tempfile.TemporaryDirectory() as name:
        venv.create(name, with_pip=True)
        python = str(Path(name) / "bin" / "python")
        install = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), str(ROOT)]
        subprocess.run(install, check=True, capture_output=True, env=os.environ)
        packages = next(Path(name).glob("lib/python*/site-packages"))
        sizes = {
            path.name: _size(path) for path in packages.iterdir() if not path.name.startswith(("pip", "setuptools"))
        }
    total = sum(sizes.values())
    heaviest = sorted(sizes.items(), key=lambda item: -item[1])[:10]
    note = "ten heaviest: " + ", ".join(f"{name.partition('.cpython')[0]} {size:.0f}" for name, size in heaviest)
    rows_ = [{"what": "installed core", "against": "500 MB", "ours": f"{total:.0f} MB", "theirs": "500 MB",
              "ratio": total / 500, "target": 1.0, "note": note}]  # fmt: skip
    for peer, size in PEERS.items():
        rows_.append({"what": "installed core", "against": peer, "ours": f"{total:.0f} MB", "theirs": f"{size} MB",
                      "ratio": total / size, "target": None, "note": "peer measured once, elsewhere"})  # fmt: skip
    return rows_


def _size(path: Path) -> float:
    """Megabytes of a file or folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6
