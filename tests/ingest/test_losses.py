"""A release that would lose much of the one in force waits for a word; the one in force stays, also at night."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import duckdb
import pytest
from click.testing import CliRunner

from atoll.cli.main import atoll
from atoll.errors import DataError
from atoll.ingest import losses
from atoll.site.nightly import Schedule, run_load
from tests.ingest.exports import MAPPING, RESULTS, SEX, VISITS, loaded, reasons, rows, write

MANY = RESULTS + "".join(f"m{n},1,v1,2020-01-11,2345-7,{n},mg/dL\n" for n in range(300))
HALF = "".join(MANY.splitlines(keepends=True)[:150])


def test_a_release_that_loses_much_is_not_put_in_force(tmp_path):
    loaded(tmp_path, results=MANY)
    held = rows(tmp_path, "SELECT count(*) FROM measurement")
    for _ in range(2):  # typed again, it is refused again
        with pytest.raises(DataError) as refused:
            loaded(tmp_path, results=HALF, visits=VISITS.splitlines()[0] + "\n")
        assert "visits of the export is empty (was 3); measurement 303 → 149" in refused.value.what
        assert "--anyway" in refused.value.remedy
        assert rows(tmp_path, "SELECT count(*) FROM measurement") == held
    made = loaded(tmp_path, results=HALF, visits=VISITS.splitlines()[0] + "\n", anyway=True)
    assert (made.release, made.resumed) == (2, True)  # it had been made whole, and waited
    assert rows(tmp_path, "SELECT max(number) FROM ingest.release") == [(2,)]


@pytest.mark.parametrize(
    ("tables", "read", "said"),
    [
        ({"person": 3, "measurement": 400}, {"labs": 400}, []),
        ({"person": 3, "measurement": 330}, {"labs": 330}, []),  # less than a fifth: it moves so from day to day
        ({"person": 1, "measurement": 400}, {"labs": 400}, []),  # few
        ({"person": 3, "measurement": 300}, {"labs": 300}, ["measurement 400 → 300"]),
        ({"person": 3}, {"labs": 0}, ["labs of the export is empty (was 400)", "measurement 400 → 0"]),
        ({"person": 3, "measurement": 400}, {}, []),  # the mapping does not read that table any more
    ],
)
def test_what_a_loss_is(tables, read, said):
    before = {"tables": {"person": 3, "measurement": 400, "condition_era": 400}, "read": {"labs": 400}}
    assert losses.losses(before, {"tables": tables, "read": read}) == said  # eras follow from the others


def test_why_rows_were_kept_aside_is_said():
    aside = [{"what": "row", "source": "labs", "reason": "unknown person", "rows": 300}]
    before = {"release": 4, "tables": {"measurement": 400}}
    with pytest.raises(DataError, match="Most rows kept aside: 300 of labs, unknown person"):
        losses.refuse_losses(before, {"tables": {"measurement": 100}}, aside)


@pytest.fixture
def place(tmp_path):
    write(tmp_path / "export", results=MANY)
    (tmp_path / "river.yaml").write_text(MAPPING)
    (tmp_path / "sex.csv").write_text(SEX)
    return tmp_path


def test_a_load_of_the_night_leaves_the_release_and_says_why(place):
    schedule = Schedule(str(place / "river.yaml"), str(place / "export"), f"duckdb:///{place / 'c.db'}")
    now = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
    assert run_load(schedule, threading.Event(), now)["code"] == 0
    write(place / "export", results=HALF)
    found = run_load(schedule, threading.Event(), now)
    assert found["code"] == DataError.exit_code
    assert "measurement 303 → 149" in found["said"] and "--anyway" in found["said"]
    by_hand = ["load", schedule.mapping, "--from", schedule.source, "--cdm", schedule.cdm, "--anyway", "--json"]
    with duckdb.connect(str(place / "c.db"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM measurement").fetchone() == (303,)
    assert json.loads(CliRunner().invoke(atoll, by_hand).stdout)["release"] == 2


def test_references_that_lead_nowhere_are_counted(tmp_path):
    visits = MAPPING[MAPPING.index("  - to: visit_occurrence") : MAPPING.index("  - to: measurement")]
    report = loaded(tmp_path, MAPPING.replace(visits, ""))
    assert reasons(report) == {"unknown visit_occurrence": 3}
    assert report.tables["measurement"] == 3
