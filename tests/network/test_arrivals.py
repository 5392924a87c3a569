"""Tables that a site imports or makes: private, on disk before they have their name, and nothing left by a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from atoll import durable
from atoll.errors import DataError, StudyError
from atoll.site.arrivals import arriving, clean
from atoll.site.datasets import Registry, made_name
from atoll.site.home import Home
from atoll.study.protocol import read
from tests.network.test_recipe import MODEL, RECIPE, hospital
from tests.network.world import DATASETS, ROOT, STUDY


@pytest.fixture
def site(tmp_path):
    home = Home.init(tmp_path / "north")
    store = home.store()
    yield home, store
    store.close()


def study(home, analyses=MODEL):
    text = STUDY.format(
        title="Made here",
        sites=f"  north: {{key: '{home.fingerprint()}'}}",
        analyses=analyses,
        first="2026-01-01",
        last="2099-01-01",
    )
    return read(text.replace(DATASETS, RECIPE))


@pytest.fixture
def synced(monkeypatch):
    """What was on disk (as a file or a folder), in order; the real call is made."""
    real, done = os.fsync, []

    def fsync(handle):
        real(handle)
        done.append(str(Path(f"/proc/self/fd/{handle}").readlink()))

    monkeypatch.setattr(os, "fsync", fsync)
    return done


def test_a_made_table_is_private_and_on_disk_before_it_has_its_name(site, tmp_path, synced):
    home, store = site
    hospital(tmp_path / "omop.duckdb", 1, n=60)
    wanted = study(home)
    Registry(home, store).make(wanted, "screening", f"duckdb:///{tmp_path / 'omop.duckdb'}", threads=1)
    path = Registry(home, store).path(made_name(wanted, "screening"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    written = [name for name in synced if ".arriving-" in name and ".parquet" in name]
    assert written, "the rows were on disk"
    assert str(home.datasets) in synced[synced.index(written[-1]) :], "and then the folder with the new name"
    assert [entry.name for entry in home.datasets.iterdir()] == [path.name]


def test_a_made_table_that_does_not_keep_to_the_study_is_not_registered(site, tmp_path):
    """The study's dictionary holds here too: nothing is registered, and nothing is left."""
    home, store = site
    hospital(tmp_path / "omop.duckdb", 1, n=60)
    wanted = study(home)
    age = wanted.datasets["screening"]["age"]
    wanted.datasets["screening"]["age"] = type(age)(age.type, age.levels, age.unit, 0.0, 1.0)
    registry = Registry(home, store)
    with pytest.raises(DataError, match=r"Column 'age' holds a value outside its range in \d+ rows"):
        registry.make(wanted, "screening", f"duckdb:///{tmp_path / 'omop.duckdb'}", threads=1)
    assert registry.names() == () and list(home.datasets.iterdir()) == []


def test_no_table_is_made_for_a_study_whose_formula_reads_what_comes_later(site, tmp_path):
    """The hub should have refused it; a hospital does not count on that, and does not even look at its patients."""
    home, store = site
    wanted = study(home, MODEL.replace("~ age", "~ diabetes_time + age"))
    said = "analyses.risk.formula: 'diabetes_time' is made from what comes after the index date, and a covariate"
    with pytest.raises(StudyError, match=said):
        Registry(home, store).make(wanted, "screening", f"duckdb:///{tmp_path / 'nowhere.duckdb'}")


def test_a_full_disk_leaves_what_was_registered_and_nothing_half(site, tmp_path):
    """The rows fit, their registration does not: the file must not take its place before."""
    home, store = site
    source = tmp_path / "a.csv"
    source.write_text("age\n" + "50\n60\n" * 20)
    registry = Registry(home, store)
    registry.add("a", str(source))
    source.write_text("age\n" + "50\n60\n" * 30)
    pages = store.rows("PRAGMA page_count")[0][0]
    store.rows(f"PRAGMA max_page_count={pages}")
    for name in ("a", "b"):
        with pytest.raises(sqlite3.OperationalError, match="database or disk is full"):
            registry.add(name, str(source), public="x" * 20_000, replace=True)
    assert [path.name for path in home.datasets.iterdir()] == ["a.parquet"]
    assert registry.names() == ("a",) and registry.open("a").table.num_rows == 40


ROWS = 2_000_000  # so many that an import can be stopped in the middle of it


def import_of(home, tmp_path):
    """`atoll site dataset add`, stopped in the middle: rows are on disk, and nothing is registered."""
    source = tmp_path / "large.csv"
    if not source.exists():
        source.write_text("age,weight\n" + "".join(f"{20 + k % 60},{k % 97}\n" for k in range(ROWS)))
    command = [sys.executable, "-m", "atoll", "site", "dataset", "add", "large", "--from", str(source)]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    process = subprocess.Popen(
        [*command, "--home", str(home.folder)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )

    def begun():
        return any(path.stat().st_size for path in home.datasets.glob(".arriving-*/.*"))

    deadline = time.monotonic() + 60
    while not begun():
        assert time.monotonic() < deadline and process.poll() is None, "it ended before anybody saw it begin"
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    assert len(list(home.datasets.glob(".arriving-*"))) == 1 and not list(home.datasets.glob("*.parquet"))
    return process


def end(process):
    process.wait(timeout=60)
    process.stderr.close()


def test_what_a_killed_import_left_is_gone_when_the_registry_is_opened_again(site, tmp_path):
    home, store = site
    process = import_of(home, tmp_path)
    process.kill()
    end(process)
    assert list(home.datasets.glob(".arriving-*/.*")), "rows of patients"
    registry = Registry(home, store)
    assert list(home.datasets.iterdir()) == [] and registry.names() == ()


def test_an_import_that_goes_on_is_left_alone(site, tmp_path):
    home, store = site
    process = import_of(home, tmp_path)
    Registry(home, store)
    assert len(list(home.datasets.glob(".arriving-*/.*"))) == 1
    process.send_signal(signal.SIGCONT)
    end(process)
    assert process.returncode == 0 and Registry(home, store).get("large").rows == ROWS
    assert [path.name for path in home.datasets.iterdir()] == ["large.parquet"]


def test_cleaners_and_imports_at_once_do_not_disturb_each_other(tmp_path):
    datasets, failed = tmp_path / "datasets", []

    def work(number: int) -> None:
        for k in range(30):
            with arriving(datasets, f"t{number}") as path:
                durable.write_private(path, b"rows")
                clean(datasets)
                if not path.exists():
                    failed.append((number, k))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and list(datasets.iterdir()) == []


def test_a_private_file_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "key.pem"
    durable.write_private(path, b"old")
    with pytest.raises(ValueError, match="in the middle"), durable.private_file(path) as file:
        file.write(b"new")
        raise ValueError("in the middle")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
