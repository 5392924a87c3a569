"""States: every one is listed, described, drawn and reached; guard and question agree."""

import itertools
from typing import get_args

import pytest

from atoll.errors import CATALOGUE, NotPermitted
from atoll.governance import states
from atoll.governance.states import MEANING, RUN, STUDY, RunState, StudyState, can_answer, can_transition, check_answer

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
def test_guard_and_question_agree_on_every_step(machine, words):
    for before, after in itertools.product(machine, machine):
        if can_transition(machine, before, after):
            states.check_transition(machine, before, after)
        else:
            with pytest.raises(
                NotPermitted, match=f"is {before} .*; becoming {after} is not possible. (Possible now:|Send a new)"
            ):
                states.check_transition(machine, before, after)


def test_what_a_steward_ends_stays_ended():
    for after in STUDY:
        assert not can_transition(STUDY, "stopped", after)
    with pytest.raises(
        NotPermitted,
        match=r"^This study is stopped \(ended by a person, for good\); becoming approved is not possible\. "
        r"Send a new study\.$",
    ):
        states.check_transition(STUDY, "stopped", "approved")
    with pytest.raises(NotPermitted, match=r"^This run is waiting .*Possible now: start, fail, stop\.$"):
        states.check_transition(RUN, "waiting", "finished")


def test_an_act_leads_to_the_next_state_or_says_what_does():
    assert states.step(STUDY, "paused", "resume") == "approved"
    with pytest.raises(
        NotPermitted,
        match=r"^This study is proposed \(received; the steward has not decided\); pause is not possible\. "
        r"Possible now: approve, refuse, expire\.$",
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
