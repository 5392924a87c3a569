"""A hospital that does not answer: people are told for whom and since when a run waits, and it ends at its time."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from atoll.hub import schema, store, waiting
from atoll.hub.waiting import Awaited
from tests.network.puppet import Puppet
from tests.network.world import ROOT, World, undisturbed, wait_until

DAY = 86400.0


def hub_command(world, *words):
    command = [sys.executable, "-m", "atoll", "hub", *words, "--home", str(world.hub_home.folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": ROOT}, timeout=60)


def set_hours(world, hours):
    opened = world.hub_home.store()
    with opened.writing() as connection:
        store.set_fact(connection, waiting.DEADLINE, repr(hours))
    opened.close()


def an_hour_ago(world):
    """What was asked and decided, was an hour earlier: the command is another process, which tells what is old."""
    opened = world.hub_home.store()
    with opened.writing() as connection:
        connection.execute(sa.update(schema.rounds).values(asked=schema.rounds.c.asked - 3600))
        connection.execute(sa.update(schema.study_sites).values(decided=schema.study_sites.c.decided - 3600))
    opened.close()


@pytest.fixture
def world(tmp_path, nursery):
    """A hub that looks at its deadlines ten times a second, and says at once for whom it waits."""
    made = World(nursery, tmp_path, sites=("north", "river"), roles=("hasty", "site"))
    yield made
    made.close()


def asked(world, analyses=None):
    """A study whose first question is with both sites; their puppets, the study, its runs."""
    puppets = Puppet(world, "north"), Puppet(world, "river")
    study, runs = world.submit(world.signed(analyses or {"toy": {"rounds": 3}}))
    for puppet in puppets:
        puppet.decide(study, "approve")
    return puppets, study, runs


def test_before_the_deadline_page_status_and_command_say_for_whom_and_since_when(world):
    (north, river), study, (run, *_) = asked(world)
    north.answer()
    wait_until(lambda: world.study(study)["awaited"] != [] and world.study(study)["awaited"][0]["sites"] == ["river"])
    (owed,) = world.study(study)["awaited"]
    assert (owed["run"], owed["analysis"], owed["round"]) == (run, "toy", 1)
    assert owed == world.run(run)["awaited"]
    an_hour_ago(world)
    said = world.study(study)["waits_for"]
    assert said.startswith("Waits for the answer of river to round 1 of “toy” since 20") and " UTC; without it" in said
    assert said in hub_command(world, "runs").stdout
    assert hub_command(world, "deadline").stdout.startswith("24 hours; a run whose question is not answered")
    river.answer()
    north.answer()
    assert world.run(run)["state"] == "running"
    for puppet in (north, river):
        puppet.close()


def test_a_run_ends_when_an_answer_is_owed_too_long_and_the_next_one_starts(world):
    hub_command(world, "deadline", "0.001")
    (north, river), _, (first, second) = asked(world, {"a": {"rounds": 2}, "b": {"rounds": 1}})
    north.answer()
    ended = world.wait_for(first, "failed", "finished")
    assert (ended["state"], ended["code"], ended["site"]) == ("failed", "NO_ANSWER", "river")
    assert (ended["round"], ended["exit_code"]) == (1, 0)
    assert ended["sentence"] == (
        "river did not answer round 1 of “a” within 0.001 hours. Ask the operator there whether the node runs; then "
        "sign the study again, or without this hospital."
    )
    assert world.wait_for(second, "running", "failed")["state"] in ("running", "failed")
    for puppet in (north, river):
        puppet.close()


def test_a_killed_hub_keeps_the_deadline(world):
    set_hours(world, 4 / 3600)
    (north, river), study, (run,) = asked(world)
    north.answer()
    wait_until(lambda: world.study(study)["awaited"] != [])
    until = world.study(study)["awaited"][0]["until"]
    world.hub.kill()
    world.hub.start()
    assert world.study(study)["awaited"][0]["until"] == until
    assert world.wait_for(run, "failed", "finished")["code"] == "NO_ANSWER"
    opened = world.hub_home.store()
    with opened.reading() as connection:
        row, (asked_,) = store.run(connection, run), store.rounds_of(connection, run)
    opened.close()
    assert row["ended"] >= asked_["asked"] + 4
    for puppet in (north, river):
        puppet.close()


def test_a_site_that_paused_is_not_late_and_its_time_begins_anew(world):
    set_hours(world, 2 / 3600)
    (north, river), study, (run,) = asked(world)
    north.answer()
    river.decide(study, "pause")
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() > begun + 3)  # longer than the deadline
    assert world.run(run)["state"] == "running" and world.study(study)["waits_for"] == "Paused at river."
    river.decide(study, "approve")
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() > begun + 0.5)  # several looks
    assert world.run(run)["state"] == "running"
    river.answer()
    assert world.run(run)["state"] == "running" and len(world.run(run)["rounds"]) == 2
    for puppet in (north, river):
        puppet.close()


def test_a_slow_site_that_answers_in_time_changes_nothing(world):
    set_hours(world, 60 / 3600)
    world.start_sites()
    study, (run,) = world.submit(world.signed({"slow": {"rounds": 5, "pause": 0.3}}))
    world.approve_all(study)
    assert world.wait_for(run, "finished", "failed")["state"] == "finished"
    assert world.result(run)["hex"] == undisturbed(world, 5)


@given(
    st.dictionaries(st.sampled_from(["coral", "lagoon", "reef"]), st.floats(0, 30 * DAY), min_size=1),
    st.floats(0.001, 1000),
    st.floats(0, 60 * DAY),
)
def test_late_is_who_owes_an_answer_for_longer_than_allowed(since, hours, now):
    owed = Awaited("r", "a", 1, since, hours)
    assert set(owed.late(now)) == {site for site, began in since.items() if now - began >= hours * 3600} or any(
        abs(now - began - hours * 3600) < 1e-3 for began in since.values()
    )
    assert bool(owed.late(owed.until + 1e-3)) and owed.first <= now + 30 * DAY
