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

import pytest
from click.testing import CliRunner

from atoll.cli.main import atoll
from atoll.demo.network import PORT, free_port
from atoll.demo.story import MARK, Story
from atoll.errors import OperatorError
from tests.network.world import ROOT


def test_the_demo_runs_from_nothing_to_screening_lists(tmp_path):
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-m", "atoll", "demo", "--once", "--scale", "0.5", "--folder", str(folder)],
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


def test_the_long_way_begins_with_exports_and_ends_with_screening_lists(tmp_path):
    """Two hospitals: files of a HIS in GB18030, and a database; the rest is what `make demo` does."""
    from atoll.demo.exports import ExportsDemo

    said = []
    running = ExportsDemo(tmp_path / "run", said.append, lambda heads, rows: said.extend(map(str, rows)), 6_000, 2)
    try:
        running.run()
        assert running.page().startswith("https://localhost:")
    finally:
        running.programs.stop()
    text = "\n".join(said)
    assert "largest relative difference from pooled" in text and "faults were planted" in text
    assert "(a small loss is held back)" in text, "all who keep the rule stay: a loss of nobody is not told"
    model = json.loads((tmp_path / "run" / "risk.json").read_text())
    assert model["terms"] == ["Intercept", "age", "sex[T.male]", "systolic", "lipids"] and model["n"] > 1_000
    for hospital in ("coral", "harbour"):
        load = json.loads((tmp_path / "run" / hospital / "load.json").read_text())
        assert load["tables"]["person"] > 1_000 and load["rejected"]
        assert json.loads((tmp_path / "run" / hospital / "quality.json").read_text())["verdicts"]["passed"] > 1_000
        (listed,) = (tmp_path / "run" / hospital / "site" / "screening").iterdir()
        with listed.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows and all(float(row["risk"]) >= 0.08 for row in rows)


def test_the_demo_says_which_port_it_took_when_the_usual_one_is_in_use(tmp_path):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody else has it: as good
            taken.bind(("127.0.0.1", PORT))
            taken.listen()
        assert free_port() != PORT


def test_a_second_demo_does_not_empty_the_folder_of_a_running_one(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "of-yesterday.txt").touch()
    running = Story(folder, print, print)
    with pytest.raises(OperatorError, match=r"holds 'of-yesterday.txt', which no demo made; a demo empties its folder"):
        running._anew()
    assert (folder / "of-yesterday.txt").exists()
    running._holding.close()
    (folder / MARK).touch()
    running._anew()
    assert [entry.name for entry in folder.iterdir()] == [MARK], "it is made anew"
    (folder / "token.txt").write_text("atoll_t")
    second = CliRunner().invoke(atoll, ["demo", "--once", "--folder", str(folder), "--scale", "0.02"])
    assert second.exit_code == 14 and "Serving" not in second.output
    assert second.stderr.startswith(f"Another demo runs in {folder}. End that one with Ctrl-C, or give this one")
    assert (folder / "token.txt").read_text() == "atoll_t"
    exports = CliRunner().invoke(atoll, ["demo", "--exports", "--once", "--folder", str(folder)])
    assert "give this one a folder of its own: `atoll demo --exports --folder FOLDER`" in exports.stderr
    running._holding.close()
    Story(folder, print, print)._anew()
    assert [entry.name for entry in folder.iterdir()] == [MARK]
