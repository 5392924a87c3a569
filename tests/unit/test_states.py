"""States: every one is listed, described, drawn and reached; guard and question agree."""

import itertools
from pathlib import Path
from typing import get_args

import pytest

from atoll.errors import CATALOGUE, NotPermitted
from atoll.governance import states
from atoll.governance.states import MEANING, RUN, STUDY, RunState, StudyState, can_answer, check_answer
from atoll.hub import store
from atoll.hub.sentences import Reason
from tests.browser.world import Hub

MACHINES = [(STUDY, StudyState), (RUN, RunState)]


@pytest.mark.parametrize(("machine", "words"), MACHINES)
def test_every_state_is_listed_described_and_reached(machine, words):
    assert tuple(machine) == get_args(words)
    assert set(machine) <= set(MEANING)
    reached = {next(iter(machine))} | {after for acts in machine.values() for after in acts.values()}
    assert reached == set(machine)


def test_no_word_is_described_that_is_no_state():
    assert set(MEANING) == {*STUDY, *RUN}


@pytest.mark.parametrize(("machine", "words"), MACHINES)
def test_every_act_is_a_step_of_the_machine_or_is_refused_with_what_is_possible(machine, words):
    acts = {act for possible in machine.values() for act in possible}
    for before, act in itertools.product(machine, acts):
        if act in machine[before]:
            assert states.step(machine, before, act) == machine[before][act]
        else:
            with pytest.raises(
                NotPermitted, match=f"is {before} .*; {act} is not possible. (Possible now:|Send a new)"
            ):
                states.step(machine, before, act)


def test_what_a_steward_ends_stays_ended():
    assert not STUDY["stopped"]
    with pytest.raises(
        NotPermitted,
        match=r"^This study is stopped \(ended by a person, for good\); approve is not possible\. "
        r"Send a new study\.$",
    ):
        states.step(STUDY, "stopped", "approve")
    with pytest.raises(NotPermitted, match=r"^This run is waiting .*Possible now: start, fail, stop\.$"):
        states.step(RUN, "waiting", "finish")


def test_an_act_leads_to_the_next_state_or_says_what_does():
    assert states.step(STUDY, "paused", "resume") == "approved"
    with pytest.raises(
        NotPermitted,
        match=r"^This study is proposed \(received; the steward has not decided\); pause is not possible\. "
        r"Possible now: approve, refuse, withdraw, expire\.$",
    ):
        states.step(STUDY, "proposed", "pause")


@pytest.mark.parametrize("state", list(STUDY))
def test_only_an_approved_study_is_answered(state):
    assert can_answer(state) == (state == "approved")
    if state == "approved":
        return check_answer(state)
    with pytest.raises(NotPermitted, match="The study") as caught:
        check_answer(state)
    assert caught.value.code in CATALOGUE


@pytest.mark.parametrize(("machine", "words"), MACHINES)
def test_the_picture_shows_every_state_and_step(machine, words):
    picture = states.mermaid(machine)
    assert picture.startswith(f"stateDiagram-v2\n    [*] --> {next(iter(machine))}\n")
    for state, acts in machine.items():
        for act, after in acts.items():
            assert f"    {state} --> {after}: {act}" in picture
        assert (f"    {state} --> [*]" in picture) == (not acts)


RESULT = '{"n": 1}'


@pytest.mark.parametrize("act", ["start", "finish", "fail", "stop"])
@pytest.mark.parametrize("state", list(RUN))
def test_the_hubs_store_takes_the_steps_of_the_picture_and_no_other(tmp_path, state, act):
    hub = Hub(tmp_path)
    hub.join()
    _, (run,) = hub.study(("risk",))
    before = {"waiting": (), "running": ("start",), "finished": ("start", "finish")}
    with hub.store.writing() as c:
        for step in before.get(state, ("start", {"failed": "fail", "stopped": "stop"}.get(state))):
            store.change_run(c, run, step)
        assert store.run(c, run)["state"] == state
    if act in RUN[state]:
        with hub.store.writing() as c:
            store.change_run(c, run, act, result=RESULT if act == "finish" else None)
            changed = store.run(c, run)
        assert changed["state"] == RUN[state][act]
        assert (changed["ended"] is not None) == (changed["state"] in states.ENDED)
    else:
        with pytest.raises(NotPermitted, match=f"This run is {state} .*; {act} is not possible"):
            hub.end(run, Reason("STOPPED"), act)
        with hub.store.reading() as c:
            assert store.run(c, run)["state"] == state
    hub.store.close()


def test_nothing_else_in_the_hub_writes_a_runs_state():
    """Every change is made by `change_run`: no other statement updates the table of runs."""
    writes = [
        (path.name, number)
        for path in (Path(states.__file__).parents[1] / "hub").glob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if "t.runs.update()" in line
    ]
    assert [name for name, _ in writes] == ["store.py"]
