"""A disk that becomes full during a load: which one, and what to do, is said; the old release stays, the load goes on.

The disk is a real one, small and in memory, which only root can mount; elsewhere these tests skip.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from atoll import settings
from atoll.cdm.parquet import published
from atoll.cdm.workbench import Workbench
from atoll.errors import OperatorError
from atoll.ingest.load import load, load_url
from tests.ingest.exports import RESULTS, TODAY, loaded, mapping, rows, write
from tests.ingest.test_loading import content

MORE = RESULTS + "d,1,v1,2020-01-11,2345-7,1,mg/dL\nx,1,,2020-01-01,2345-7\n"  # one row more, and one broken line


@pytest.fixture
def disk():
    """The folder of a disk of 24 MB, which a server of another user may enter."""
    if shutil.which("mount") is None:
        pytest.skip("a small disk cannot be mounted here: there is no `mount`")
    folder = Path(tempfile.mkdtemp(prefix="atoll-disk-"))
    folder.chmod(0o755)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        folder.rmdir()
        pytest.skip("a small disk cannot be mounted here: that takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


def fill(disk):
    """Take all the room that is left; gives the file that holds it."""
    with (disk / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert os.statvfs(disk).f_bavail == 0
    return disk / "ballast"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same two loads with room enough."""
    folder = tmp_path_factory.mktemp("whole")
    loaded(folder)
    loaded(folder, results=MORE)
    return folder


STEPS = ["reading the files", "visit_occurrence", "measurement from", "drug eras"]


@pytest.mark.parametrize("step", STEPS)
def test_a_load_goes_on_when_there_is_room_again(disk, whole, step):
    loaded(disk)
    before = content(disk / "cdm.duckdb")
    write(disk / "export", results=MORE)

    def until(text):
        if text.startswith(step):
            fill(disk)

    def again(**more):
        return load(mapping(disk / "mapping"), str(disk / "export"), disk / "cdm.duckdb", today=TODAY, **more)

    with pytest.raises(OperatorError) as stopped:
        again(progress=until)
    assert str(stopped.value) == (
        f"The disk that holds {disk} is full. Free some space there and type the command again: it goes on where it"
        " stopped. The release in force was not touched."
    )
    assert content(disk / "cdm.duckdb") == before
    with pytest.raises(OperatorError, match="is full"):  # nothing was freed: nothing is lost by trying
        again()
    (disk / "ballast").unlink()
    report = again()
    assert (report.release, report.resumed) == (2, step != "reading the files")
    assert content(disk / "cdm.duckdb") == content(whole / "cdm.duckdb")
    kept = 'SELECT "table", reason, key, row FROM ingest.rejected ORDER BY ALL'
    assert rows(disk, kept) == rows(whole, kept) != []
    assert {path.name for path in disk.glob("cdm*")} == {"cdm.duckdb", "cdm.duckdb.lock"}


def test_no_room_for_what_memory_cannot_hold(disk):
    with Workbench(disk / "a.duckdb", scratch=disk / "spill", memory="60MB", threads=2) as bench:
        (disk / "ballast").write_bytes(bytes(20_000_000))
        with pytest.raises(OperatorError, match=f"The disk that holds {disk} is full"):
            bench.run("CREATE TEMP TABLE t AS SELECT md5(range::VARCHAR) AS x FROM range(3000000) ORDER BY 1")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A site's folder of its own."""
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "home"))
    settings.settings.cache_clear()
    yield
    settings.settings.cache_clear()


def test_the_disk_of_a_folder_for_spark(tmp_path, disk, home):
    folder = disk / "parquet"

    def again(**more):
        url = f"spark:local?folder={folder}"
        return load_url(mapping(tmp_path / "m"), str(tmp_path / "export"), url, today=TODAY, **more)

    def until(text):
        if text == "measurement":  # so the copying says its tables
            fill(disk)

    write(tmp_path / "export")
    before = again().manifest
    write(tmp_path / "export", results=MORE)
    with pytest.raises(OperatorError) as stopped:
        again(progress=until)
    assert str(stopped.value) == (
        f"The disk that holds {folder} is full. Free some space there, and type the command again."
    )
    assert published(folder) == before
    assert len(list(folder.iterdir())) == 2
    (disk / "ballast").unlink()
    assert again().release == published(folder)["release"] == 2


def test_the_disk_of_a_server(tmp_path, disk, postgres, home):
    import psycopg

    (disk / "tables").mkdir()
    shutil.chown(disk / "tables", "nobody", "nogroup")
    server = f"{postgres}/postgres"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}/tables'")
        connection.execute("CREATE DATABASE small TABLESPACE small")

    def again(**more):
        export = str(tmp_path / "export")
        return load_url(mapping(tmp_path / "m"), export, f"{postgres}/small?schema=cdm", today=TODAY, **more)

    def until(text):
        if text == "measurement":  # so the copying says its tables
            fill(disk)

    def measurements():
        with psycopg.connect(f"{postgres}/small") as connection:
            return connection.execute("SELECT count(*) FROM cdm.measurement").fetchone()[0]

    try:
        write(tmp_path / "export")
        again()
        write(tmp_path / "export", results=MORE)
        with pytest.raises(OperatorError, match=r"The database's disk is full\. Free some space there, and type"):
            again(progress=until)
        assert measurements() == 3
        (disk / "ballast").unlink()
        assert again().release == 2
        assert measurements() == 4
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE small WITH (FORCE)")
            connection.execute("DROP TABLESPACE small")
