"""A load on a schedule: when it is due, that it loads, says how it ended, and ends with the site."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from click.testing import CliRunner

from atoll.cli.main import atoll
from atoll.site import nightly
from atoll.site.home import Home
from atoll.site.nightly import Nights, Schedule, last_load, read_schedule, run_load, write_schedule
from tests.ingest.exports import MAPPING, SEX, write

NOW = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "at", "due"),
    [("night", "02:00", (3, 2, 0)), ("night", "01:30", (4, 1, 30)), ("hour", "00:10", (3, 2, 10)),
     ("week", "01:00", (10, 1, 0))],
)  # fmt: skip
def test_when_it_is_due(every, at, due):
    assert Schedule("m", "s", "c", every, at).next_after(NOW) == datetime(2026, 3, *due, tzinfo=UTC)


@pytest.fixture
def place(tmp_path):
    """A folder with an export and its mapping."""
    write(tmp_path / "export")
    (tmp_path / "river.yaml").write_text(MAPPING)
    (tmp_path / "sex.csv").write_text(SEX)
    return tmp_path


def schedule(place, mapping="river.yaml", **more):
    cdm = f"duckdb:///{place / 'cdm.duckdb'}"
    return Schedule(str(place / mapping), str(place / "export"), cdm, **more)


def test_it_loads_in_a_program_of_its_own(place):
    found = run_load(schedule(place), threading.Event(), NOW)
    assert (found["code"], found["release"], found["when"]) == (0, 1, "2026-03-03T01:30+00:00")
    with duckdb.connect(str(place / "cdm.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM person").fetchone() == (3,)
    assert run_load(schedule(place), threading.Event(), NOW)["changed"] is False


def test_a_load_that_fails_says_what_to_do_and_leaves_the_release(place):
    run_load(schedule(place), threading.Event(), NOW)
    (place / "broken.yaml").write_text("mapping: 1\nname: x\n")
    found = run_load(schedule(place, "broken.yaml"), threading.Event(), NOW)
    assert found["code"] == 10
    assert "rules" in found["said"]
    assert (place / "cdm.duckdb").exists()


def test_it_ends_with_the_site(place, monkeypatch):
    monkeypatch.setattr(nightly, "sys", type("sys", (), {"executable": "/bin/sleep"}))  # a load that takes for ever
    monkeypatch.setattr(nightly.subprocess, "Popen", _sleeping(nightly.subprocess.Popen))
    ending, began = threading.Event(), time.monotonic()
    ending.set()
    found = run_load(schedule(place), ending, NOW)
    assert found["code"]
    assert time.monotonic() - began < 20


def _sleeping(popen):
    return lambda words, **options: popen(["/bin/sleep", "60"], **options)


def test_the_running_site_loads_when_the_hour_has_come(place, monkeypatch):
    store = _store(place)
    monkeypatch.setattr(nightly, "LOOK", 0.05)
    monkeypatch.setattr(Schedule, "next_after", lambda self, moment: moment + timedelta(seconds=0.2))
    write_schedule(store, schedule(place))
    ending = threading.Event()
    thread = threading.Thread(target=Nights(store, ending).run)
    thread.start()
    try:
        until = time.monotonic() + 60
        while not last_load(store) and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        ending.set()
        thread.join(30)
    assert last_load(store)["release"] == 1


def _store(place):
    return Home.init(place / "site").store()


def command(place, *words):
    done = CliRunner().invoke(atoll, ["site", "load", *words, "--home", str(place / "site"), "--json"])
    return done.exit_code, json.loads(done.output) if done.exit_code == 0 else done.output


def test_the_command_plans_shows_and_ends_it(place):
    store = _store(place)
    assert command(place)[1]["schedule"] is None
    code, told = command(
        place, str(place / "river.yaml"), "--from", str(place / "export"), "--cdm", "duckdb:////x/cdm.duckdb"
    )
    assert (code, told["schedule"]["every"], told["schedule"]["at"]) == (0, "night", "02:00")
    assert read_schedule(store) == Schedule(
        str(place / "river.yaml"), str(place / "export"), "duckdb:////x/cdm.duckdb", "night", "02:00"
    )
    assert command(place, "--every", "never")[1]["schedule"] is None
    assert read_schedule(store) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [(["MAPPING"], "--from is missing"), (["MAPPING", "--from", "x"], "--cdm is missing"),
     (["MAPPING", "--from", "x", "--cdm", "duckdb:////x", "--at", "25:00"], "'25:00' is no time of day"),
     (["nothing.yaml", "--from", "x", "--cdm", "duckdb:////x"], "is not there")],
)  # fmt: skip
def test_what_cannot_be_planned_is_a_sentence(place, words, said):
    _store(place)
    code, output = command(place, *[str(place / "river.yaml") if word == "MAPPING" else word for word in words])
    assert code in (10, 11, 14)
    assert said in output


def test_a_password_is_not_shown(place):
    _store(place)
    url = "postgresql://me:secret@localhost/db?schema=cdm"
    _, told = command(place, str(place / "river.yaml"), "--from", str(place / "export"), "--cdm", url)
    assert "secret" not in json.dumps(told)
