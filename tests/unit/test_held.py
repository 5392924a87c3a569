"""Folders that belong to a living process: what an engine spills is private, and is gone with whoever spilled it."""

from __future__ import annotations

import gc
import os
import signal
import stat
import subprocess
import sys
import tempfile

import pytest

from atoll.cdm.database import connection_to
from atoll.cdm.workspace import workspace_at
from atoll.held import Held, own_temporary, sweep
from tests.network.world import ROOT, wait_until


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A temporary folder of this test alone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def spilled(folder):
    return sorted(path for parent in folder.glob("atoll-spill-*") for path in parent.iterdir())


def a_database(folder):
    import duckdb

    duckdb.connect(str(folder / "cdm.duckdb")).close()
    return f"duckdb:///{folder / 'cdm.duckdb'}"


def test_a_connection_that_is_closed_or_forgotten_leaves_no_rows_on_disk(temporary):
    url = a_database(temporary)
    _, connection = connection_to(url)
    (folder,) = spilled(temporary)
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    (folder / "duckdb_temp_storage-0.tmp").write_bytes(b"rows")
    del connection
    gc.collect()
    assert spilled(temporary) == []
    with workspace_at(url) as workspace:
        assert spilled(temporary) != []
    assert spilled(temporary) == [], "also while the closed workspace is still there"
    assert workspace.owned


def test_a_database_that_cannot_be_opened_leaves_no_folder(temporary):
    (temporary / "no.duckdb").write_bytes(b"nothing" * 100)
    with pytest.raises(Exception, match="cannot be opened"):
        connection_to(f"duckdb:///{temporary / 'no.duckdb'}")
    assert spilled(temporary) == []


def test_what_a_killed_process_spilled_is_removed_by_the_next_and_a_living_ones_is_not(temporary):
    url = a_database(temporary)
    code = (
        "import sys, time; from atoll.cdm.database import connection_to; kept = connection_to(sys.argv[1]);"
        "print('ready', flush=True); time.sleep(600)"
    )
    command, environment = [sys.executable, "-c", code, url], {**os.environ, "PYTHONPATH": ROOT}
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    wait_until(lambda: len(spilled(temporary)) == 2)
    for folder in spilled(temporary):
        (folder / "rows.tmp").write_bytes(b"rows of patients")
    processes[0].send_signal(signal.SIGKILL)
    processes[0].wait()
    kept = connection_to(url)
    left = [folder for folder in spilled(temporary) if (folder / "rows.tmp").exists()]
    assert len(left) == 1 and len(spilled(temporary)) == 2 and kept
    processes[1].terminate()
    processes[1].wait()
    for process in processes:
        process.stdout.close()


def test_a_strangers_folder_is_not_taken_for_ones_own(temporary):
    own = own_temporary("rows")
    assert own_temporary("rows") == own
    own.chmod(0o755)
    other = own_temporary("rows")
    assert other != own and stat.S_IMODE(other.stat().st_mode) == 0o700


def test_a_folder_is_released_once(tmp_path):
    first = Held(tmp_path / "parent", "x-")
    assert sweep(tmp_path / "parent", "x-") == 0 and first.path.exists()
    first.release()
    first.release()
    assert not first.path.exists() and sweep(tmp_path / "elsewhere", "x-") == 0
