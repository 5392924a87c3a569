"""Ctrl-C while the engine works: the command says that it was interrupted, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ENDLESS = "SELECT md5(a.range::VARCHAR || b.range) AS {} FROM range(10000000) a, range(10000000) b"


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A database whose deaths, and measurements of which somebody asks, have no end."""
    path = tmp_path / "cdm.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("CREATE TABLE person (person_id BIGINT, gender_concept_id BIGINT, year_of_birth BIGINT)")
        db.execute("CREATE TABLE observation_period (person_id BIGINT, observation_period_start_date DATE,"
                   " observation_period_end_date DATE)")  # fmt: skip
        db.execute(f"CREATE VIEW care_site AS {ENDLESS.format('care_site_name')}")
    return path


@pytest.mark.parametrize(
    ("words", "begun"),
    [
        (["quality", "run", "--cdm", "URL", "--report", "q.json"], "quality: care_site"),
        (["source", "scan", "URL", "--page", "scan.html"], "scan: columns of care_site"),
    ],
)
def test_ctrl_c_is_no_fault_and_leaves_nothing(endless: Path, words: list[str], begun: str) -> None:
    folder, temporary = endless.parent, endless.parent / "tmp"
    temporary.mkdir()
    typed = [f"duckdb://{endless}" if word == "URL" else word for word in words]
    program = subprocess.Popen(
        [sys.executable, "-m", "atoll", *typed], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, env=os.environ | {"TMPDIR": str(temporary), "ATOLL_HOME": str(folder / "home")},
    )  # fmt: skip
    assert program.stderr is not None
    for line in program.stderr:
        if line.strip() == begun:
            break
    try:
        for _ in range(20):  # the signal may come between two statements
            program.send_signal(signal.SIGINT)
            try:
                program.wait(1)
                break
            except subprocess.TimeoutExpired:
                continue
    finally:
        program.kill()
    assert program.stderr.read().splitlines()[-1:] == ["Interrupted. Nothing was written."]
    assert program.returncode == 130
    assert sorted(path.name for path in folder.iterdir() if path.name != "home") == ["cdm.duckdb", "tmp"]
    assert [path for path in temporary.rglob("*") if path.is_file() or "rows-" in path.name] == []
    assert not (folder / "home" / "faults").exists()
