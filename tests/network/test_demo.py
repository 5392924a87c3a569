"""`atoll demo`, smaller: six processes from nothing to screening lists, under the strict policy."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import socket
import stat
import subprocess
import sys

from click.testing import CliRunner

from atoll.cli.main import atoll
from atoll.demo.network import PORT, free_port
from tests.network.world import ROOT


def test_the_demo_runs_from_nothing_to_screening_lists(tmp_path):
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-m", "atoll", "demo", "--once", "--scale", "0.3", "--folder", str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT, "CI": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "largest relative difference from pooled" in done.stdout
    assert "The page     https://localhost:" in done.stdout
    model = json.loads((folder / "risk.json").read_text())
    assert model["n"] > 45_000 and len(model["terms"]) == 9
    for hospital in ("coral", "harbour", "lagoon", "mangrove", "reef"):
        path = folder / hospital / "site" / "screening" / "heldback.csv"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows and all(float(row["risk"]) >= 0.15 and row["reason_1"] for row in rows)
        assert rows[0]["person"].startswith(hospital) and rows[0]["person"] not in done.stdout
    before = path.read_bytes()
    words = ["site", "score", str(folder / "risk.json"), "--dataset", "heldback", "--threshold", "0.15"]
    again = CliRunner().invoke(atoll, [*words, "--home", str(folder / hospital / "site")])
    assert again.exit_code == 0, again.output
    assert f"{len(rows):,} of " in again.output and path.read_bytes() == before


def test_the_demo_says_which_port_it_took_when_the_usual_one_is_in_use(tmp_path):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody else has it: as good
            taken.bind(("127.0.0.1", PORT))
            taken.listen()
        assert free_port() != PORT
