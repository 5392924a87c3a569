"""What a study can be at a hospital, what a run can be at the hub, and which way each may go.

A site's store asks `STUDY` before each change, the hub's store `RUN`: an impossible step is refused there.
docs/states.md draws both, and a test holds that every state is reached and described.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

from atoll.errors import NotPermitted

StudyState = Literal["proposed", "approved", "paused", "refused", "stopped", "withdrawn", "expired"]
RunState = Literal["waiting", "running", "finished", "failed", "stopped"]
RunAct = Literal["start", "finish", "fail", "stop"]
State = TypeVar("State", bound=str)
Machine = Mapping[State, Mapping[str, State]]  # state -> {act: next state}; the first state is where all begins

STUDY: Machine[StudyState] = {
    "proposed": {"approve": "approved", "refuse": "refused", "withdraw": "withdrawn", "expire": "expired"},
    "approved": {"pause": "paused", "stop": "stopped", "expire": "expired"},
    "paused": {"resume": "approved", "stop": "stopped", "expire": "expired"},
    "refused": {"approve": "approved", "expire": "expired"},
    "stopped": {},
    "withdrawn": {},
    "expired": {},
}
RUN: Machine[RunState] = {
    "waiting": {"start": "running", "fail": "failed", "stop": "stopped"},
    "running": {"finish": "finished", "fail": "failed", "stop": "stopped"},
    "finished": {},
    "failed": {},
    "stopped": {},
}
ENDED: frozenset[str] = frozenset(state for state, acts in RUN.items() if not acts)  # of runs
MEANING: Mapping[str, str] = {
    "proposed": "received; the steward has not decided",
    "approved": "the site answers its questions",
    "refused": "the steward said no; nothing is answered",
    "paused": "nothing is answered until the steward resumes",
    "stopped": "ended by a person, for good",
    "withdrawn": "taken back by its investigator before the steward decided, for good",
    "expired": "past its last day, for good",
    "waiting": "an approval, the first day or an earlier run of the study is still to come",
    "running": "a question is with the sites",
    "finished": "the result is there",
    "failed": "ended by an error, which it names",
}

_NO_ANSWER: Mapping[StudyState, tuple[str, str, str]] = {
    "proposed": ("NOT_APPROVED", "The study is not approved at this site.", "The steward reads and approves it."),
    "refused": (
        "NOT_APPROVED",
        "The study was refused at this site.",
        "Ask the steward why, or leave this site out of the sites that the study names.",
    ),
    "paused": ("PAUSED", "The study is paused at this site.", "It goes on when the steward resumes it."),
    "stopped": ("STOPPED", "The study was stopped at this site.", "Sign and send a new study."),
    "withdrawn": ("STOPPED", "The study was withdrawn by its investigator.", "Sign and send a new study."),
    "expired": ("STUDY_EXPIRED", "The study's last day has passed.", "Sign and send a study with later dates."),
}


def step(machine: Machine[State], state: State, act: str) -> State:
    """The state after an act, for instance `pause`.

    Raises
    ------
    NotPermitted
        With what is possible instead.
    """
    if act not in machine[state]:
        noun = "study" if "proposed" in machine else "run"
        acts = ", ".join(machine[state])
        raise NotPermitted(
            f"This {noun} is {state} ({MEANING[state]}); {act} is not possible.",
            f"Possible now: {acts}." if acts else f"Send a new {noun}.",
        )
    return machine[state][act]


def can_answer(state: StudyState) -> bool:
    """Whether a site answers the questions of a study in this state."""
    return state not in _NO_ANSWER


def check_answer(state: StudyState) -> None:
    """Return when a site answers the questions of a study in this state.

    Raises
    ------
    NotPermitted
        With the code of `errors.CATALOGUE` that the hub may learn.
    """
    if not can_answer(state):
        code, what, remedy = _NO_ANSWER[state]
        raise NotPermitted(what, remedy, code=code, subject="study")


def mermaid(machine: Machine[State]) -> str:
    """The machine as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(machine))}"]
    lines += [f"    {state} --> {after}: {act}" for state, acts in machine.items() for act, after in acts.items()]
    lines += [f"    {state} --> [*]" for state, acts in machine.items() if not acts]
    return "\n".join(lines)
