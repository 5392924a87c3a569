"""Why a run ended and whom it waits for, in a person's language: the one place where the hub makes these sentences.

The store keeps the facts of a reason; the English sentence beside them is made here too, when the run ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from atoll.errors import REMEDIES, AtollError, actor_of
from atoll.governance.states import ENDED
from atoll.ui.vocabulary import ASK, WAITS, sentence
from atoll.ui.words import Say

ENGLISH = Say("en")


@dataclass(frozen=True)
class Reason:
    """Why a run ended without a result.

    sites      who caused it; nobody when it happened at the hub
    round      from 1; 0 when no round is meant
    subject    a word of the study that it concerns: a column, a level, a day, a person's name
    hours      how long an answer was waited for
    words      the sentence in English, once it was made: an error at the hub brings its own
    """

    code: str
    sites: tuple[str, ...] = ()
    analysis: str = ""
    round: int = 0
    subject: str = ""
    hours: float = 0.0
    exit_code: int = 0
    words: str = ""

    @classmethod
    def of(cls, error: AtollError, analysis: str, sites: Sequence[str] = ()) -> Reason:
        """An error at the hub; `sites` are those of the run, one of which it may concern."""
        named = (error.subject,) if error.code == "SHARE_UNUSABLE" and error.subject in sites else ()
        subject = "" if named else error.subject
        return cls(error.code, named, analysis, subject=subject, exit_code=error.exit_code, words=str(error))


def why(reason: Reason, say: Say) -> str:
    """Why a run ended, and what to do next."""
    if say.language == "en" and reason.words:
        return reason.words
    if reason.code == "STOPPED" and not reason.round:
        return _stopped(reason, say)
    if reason.code == "NO_ANSWER":
        return _late(reason, say)
    if reason.code == "STUDY_EXPIRED" and not reason.sites:
        return say("The study ended on {day}.", day=reason.subject)
    if reason.code == "SHARE_UNUSABLE" and reason.sites:
        return say(
            "{site} sent a share that cannot be used. Compare the versions of Atoll at hub and {site}.",
            site=reason.sites[0],
        )
    if reason.sites:
        return _refused(reason, say)
    return _joined([say(sentence(reason.code)) + _about(reason, say), _remedy(reason, say)], say)


def _stopped(reason: Reason, say: Say) -> str:
    if reason.sites:
        return say("{site} stopped the study. Ask its steward for the reason.", site=reason.sites[0])
    return say("{name} stopped the study.", name=reason.subject or say("The investigator"))


def _late(reason: Reason, say: Say) -> str:
    late = say(
        "{sites} did not answer round {round} of “{analysis}” within {hours} hours.",
        sites=listed(reason.sites, say),
        round=reason.round,
        analysis=reason.analysis,
        hours=f"{reason.hours:g}",
    )
    remedy = say("Ask the operator there whether the node runs; then sign the study again, or without this hospital.")
    return _joined([late, remedy], say)


def _refused(reason: Reason, say: Say) -> str:
    site = reason.sites[0]
    said = say(sentence(reason.code))
    if reason.round:
        places = {"site": site, "round": reason.round, "analysis": reason.analysis, "sentence": said}
        if actor_of(reason.code) == "operator":  # it would have answered
            said = say("{site} could not answer round {round} of “{analysis}”: {sentence}", **places)
        else:
            said = say("{site} refused round {round} of “{analysis}”: {sentence}", **places)
    else:
        said = say("{site}: {sentence}", site=site, sentence=said)
    ask = say(ASK[actor_of(reason.code)], site=site)
    return _joined([said + _about(reason, say), _remedy(reason, say), ask], say)


def _remedy(reason: Reason, say: Say) -> str:
    """What to do next, by the code: the same words as in one process."""
    return say(REMEDIES.get(reason.code, ""))


def _about(reason: Reason, say: Say) -> str:
    if not reason.subject:
        return ""
    return ("" if say.language == "zh" else " ") + say("It is about “{subject}”.", subject=reason.subject)


def waits(found: Mapping[str, Any], say: Say) -> str:
    """Whom or what an unfinished study waits for, from its view; empty when it waits for nobody."""
    if found["state"] in ENDED:
        return ""
    decided: dict[str, list[str]] = {}
    for name, site in found["sites"].items():
        decided.setdefault(site["decision"], []).append(name)
    for decision, said in WAITS.items():
        if decided.get(decision):
            return say(said, sites=listed(decided[decision], say))
    if datetime.now(UTC).date().isoformat() < found["valid"]["from"]:
        return say("Starts on {day}.", day=found["valid"]["from"])
    if found["awaited"]:
        return _joined([awaited(one, say) for one in found["awaited"]], say)
    silent = [name for name, site in found["sites"].items() if site["online"] is False]
    return say("Not heard just now: {sites}.", sites=listed(silent, say)) if silent else ""


def awaited(one: Mapping[str, Any], say: Say) -> str:
    """Whose answer a run waits for, since when, and when it is given up."""
    return say(
        "Waits for the answer of {sites} to round {round} of “{analysis}” since {since}; without it the run ends at"
        " {until}.",
        sites=listed(one["sites"], say),
        round=one["round"],
        analysis=one["analysis"],
        since=_moment(one["since"]),
        until=_moment(one["until"]),
    )


def listed(names: Sequence[str], say: Say) -> str:
    """Names in a row."""
    return ("、" if say.language == "zh" else ", ").join(names)


def _joined(sentences: Sequence[str], say: Say) -> str:
    return ("" if say.language == "zh" else " ").join(filter(None, sentences))


def _moment(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"
