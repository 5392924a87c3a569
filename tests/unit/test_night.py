"""Hours of work: when a window is open, and a run that pauses outside, goes on, and loses nothing when it is killed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import pyarrow.parquet as pq
import pytest

from atoll.cohort.cost import cost
from atoll.cohort.folder import read_definitions, run_definitions
from atoll.cohort.kept import State, read_state
from atoll.cohort.night import Window, paused_file, read_window, run_at_night
from atoll.errors import OperatorError
from tests.spec.definitions import condition, definition, drug, drugs
from tests.unit.test_cohort_command import PEOPLE, ROWS, a_cdm, command

DAY = datetime(2026, 3, 1)


@dataclass
class Clock:
    """A clock that is moved by sleeping, and by looking at it when it `ticks` minutes a look."""

    at: datetime
    ticks: float = 0.0
    slept: float = 0.0

    def now(self):
        self.at += timedelta(minutes=self.ticks)
        return self.at

    def sleep(self, seconds):
        self.at += timedelta(seconds=seconds)
        self.slept += seconds


def window(text, clock):
    read = read_window(text)
    return Window(read.start, read.end, clock.now, clock.sleep)


@pytest.mark.parametrize(
    ("hours", "at", "is_open", "opens"),
    [
        ("20:00-06:00", "23:59", True, "1 23:59"),
        ("20:00-06:00", "05:59", True, "1 05:59"),
        ("20:00-06:00", "06:00", False, "1 20:00"),
        ("20:00 – 6:00", "19:59", False, "1 20:00"),
        ("01:30-04:00", "01:30", True, "1 01:30"),
        ("01:30-04:00", "04:00", False, "2 01:30"),
    ],
)
def test_a_window_may_go_over_midnight(hours, at, is_open, opens):
    one = window(hours, Clock(datetime.strptime(f"2026-03-01 {at}", "%Y-%m-%d %H:%M")))
    assert one.open() == is_open
    assert f"{one.opens().day} {one.opens():%H:%M}" == opens


@pytest.mark.parametrize("text", ["", "20:00", "24:00-06:00", "20:60-06:00", "night", "20:00-06:00-07:00"])
def test_what_names_no_hours_is_said(text):
    with pytest.raises(OperatorError, match=r"names no hours\. Write them as 20:00-06:00"):
        read_window(text)
    with pytest.raises(OperatorError, match="begins when it ends"):
        read_window("20:00-20:00")


def test_waiting_ends_when_it_opens():
    clock = Clock(DAY.replace(hour=19, minute=58))
    window("20:00-06:00", clock).wait()
    assert DAY.replace(hour=20) <= clock.at < DAY.replace(hour=20, minute=1)


@pytest.fixture
def files(tmp_path):
    path = tmp_path / "some"
    path.mkdir()
    for number in range(6):
        (path / f"{number}.json").write_text(json.dumps(definition(condition(1), prior=number)))
    (path / "drugs.json").write_text(json.dumps(definition(drug(2))))
    return path


def test_a_run_pauses_between_definitions_and_ends_as_one_that_did_not(files, tmp_path):
    """Each look at the clock takes a quarter of an hour: a night has room for some definitions."""
    reading, cdm, out = read_definitions(files), a_cdm(tmp_path / "a.duckdb", ROWS | PEOPLE), tmp_path / "out.parquet"
    clock, said = Clock(DAY.replace(hour=12), ticks=15), []
    done = run_at_night(partial(run_definitions, reading, cdm), out, window("22:00-23:00", clock), said.append, State())
    assert done.outcome.rows == run_definitions(reading, cdm).outcome.rows
    assert said[0] == "Outside of these hours nothing runs. It begins at 2026-03-01 22:00."
    assert all("definitions are done. It goes on at 2026-03-0" in line for line in said[1:]) and len(said) > 2
    assert not paused_file(out).exists()
    entries = done.report()["definitions"]
    assert len(entries) == 7 and all("attrition" in entry for entry in entries.values())


def test_a_run_that_was_killed_in_its_pause_goes_on_from_there(files, tmp_path):
    reading, cdm, out = read_definitions(files), a_cdm(tmp_path / "a.duckdb", ROWS | PEOPLE), tmp_path / "out.parquet"

    class Killed(Exception):
        pass

    def say(line):
        if line.startswith("Paused"):
            raise Killed

    clock = Clock(DAY.replace(hour=22), ticks=15)
    with pytest.raises(Killed):
        run_at_night(partial(run_definitions, reading, cdm), out, window("22:00-23:00", clock), say, State())
    half = set(read_state(paused_file(out)).definitions)
    assert 0 < len(half) < 7 and not out.exists()
    done = run_at_night(
        partial(run_definitions, reading, cdm), out, window("00:00-23:59", Clock(DAY)), said_nothing, State()
    )
    assert done.kept == half
    assert done.outcome.rows == run_definitions(reading, cdm).outcome.rows


def test_a_load_during_the_pause_leaves_rows_of_the_new_release_alone(files, tmp_path):
    path, out = tmp_path / "a.duckdb", tmp_path / "out.parquet"
    reading, cdm = read_definitions(files), a_cdm(path, ROWS | PEOPLE)
    more = ROWS | PEOPLE | {"condition_occurrence": [*ROWS["condition_occurrence"][:1]]}
    more |= {"drug_exposure": drugs((1, 2, "2020-03-01"))}

    def say(line):
        if line.startswith("Paused"):
            a_cdm(path, more)

    clock = Clock(DAY.replace(hour=22), ticks=15)
    done = run_at_night(partial(run_definitions, reading, cdm), out, window("22:00-23:30", clock), say, State())
    assert done.outcome.rows == run_definitions(reading, cdm).outcome.rows


def said_nothing(line):
    raise AssertionError(line)


def test_the_cost_is_told_from_statistics_and_nothing_is_run(files, tmp_path, monkeypatch):
    cdm = a_cdm(tmp_path / "a.duckdb", ROWS | PEOPLE)
    monkeypatch.setattr("atoll.cohort.run.CohortRun.run", lambda *_: pytest.fail("it was run"))
    found = cost(read_definitions(files), cdm)
    assert found.tables["0"] == ("condition_occurrence", "observation_period")
    assert found.rows == {"condition_occurrence": 3, "drug_exposure": 0, "observation_period": 6}
    assert (found.of(found.tables["0"]), found.together, found.unknown) == (9, 9, [])
    code, stdout, _ = command("run", files, "--cdm", cdm, "--explain", "--json")
    told = json.loads(stdout)
    assert code == 0 and told["definitions"]["drugs"] == {
        "rows": 6, "tables": {"drug_exposure": 0, "observation_period": 6}
    }  # fmt: skip
    code, stdout, _ = command("run", files, "--cdm", cdm, "--explain")
    assert "Together 9 rows: a table is read once for the folder. Nothing was run." in stdout
    code, _, stderr = command("run", files, "--cdm", cdm)
    assert code == 2 and "Missing option '--out'" in stderr


def test_the_command_runs_within_its_hours(files, tmp_path):
    out = tmp_path / "out.parquet"
    cdm = a_cdm(tmp_path / "a.duckdb", ROWS | PEOPLE)
    hours = "03:00-21:00" if 6 <= datetime.now().hour < 18 else "15:00-09:00"  # open, and not about to close
    code, stdout, stderr = command("run", files, "--cdm", cdm, "--out", out, "--between", hours)
    assert code == 0 and "7 cohorts" in stdout, stderr
    assert pq.read_table(out).num_rows > 0
    code, _, stderr = command("run", files, "--cdm", cdm, "--out", out, "--between", "late")
    assert code == OperatorError.exit_code and "names no hours" in stderr
