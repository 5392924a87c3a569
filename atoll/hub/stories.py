"""What the pages tell about studies and runs: the documents of `hub/views.py`, with their sentences in words.

The views speak English and codes; here every code becomes a sentence in the visitor's language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Connection

from atoll.errors import CATALOGUE
from atoll.governance.signatures import SignedStudy
from atoll.governance.states import ENDED
from atoll.hub import store, views
from atoll.hub.desk import Desk
from atoll.hub.sentences import waits, why
from atoll.study import protocol
from atoll.study.circe import read
from atoll.study.circe.text import explain
from atoll.ui.vocabulary import ALGORITHMS, DECISIONS, RUN_STATES, SITE_STATES
from atoll.ui.words import Say

Story = dict[str, Any]


def ended(state: str) -> bool:
    """Whether a run, or a study by its runs, has come to its end."""
    return state in ENDED


def studies(connection: Connection, desk: Desk, investigator: str, say: Say) -> list[Story]:
    """An investigator's studies, newest first, each with its runs; the same question to several hospitals is one."""
    hashes = dict.fromkeys(row["study"] for row in store.all_runs(connection, investigator))
    groups: dict[bytes, list[Story]] = {}
    for name in hashes:
        found = study(connection, desk, name, say)
        if found is not None:
            groups.setdefault(_question(connection, name) or name.encode(), []).append(found)
    return [_together(group, say) if _asks(group[0]) else group[0] for group in groups.values()]


def _asks(found: Story) -> bool:
    """Whether the study holds nothing but questions of feasibility."""
    return all(analysis["algorithm"] == "feasibility" for analysis in found["analyses"].values())


def _question(connection: Connection, name: str) -> bytes:
    """What a question of feasibility asks, without whom it asks; nothing for any other study."""
    asked = _protocol(connection, name)
    if any(analysis.algorithm != "feasibility" for analysis in asked.analyses.values()):
        return b""
    return replace(asked, sites={}).canonical()


def _together(group: Sequence[Story], say: Say) -> Story:
    """One question to each of several hospitals; `questions` are the studies that ask them, by hospital."""
    state = views.study_state([found["state"] for found in group])
    questions = sorted(group, key=lambda found: list(found["sites"]))
    return {
        **questions[0],
        "state": state,
        "says": say(RUN_STATES[state]),
        "sites": {site: entry for found in questions for site, entry in found["sites"].items()},
        "questions": questions,
        "answered": sum(found["state"] == "finished" for found in group),
    }


def study(connection: Connection, desk: Desk, name: str, say: Say) -> Story | None:
    """A study: what it asks, what it waits for, and its runs."""
    found = views.study(connection, desk, name)
    if found is None:
        return None
    asked = _protocol(connection, name)
    entries = {entry["id"]: entry for entry in store.runs_of(connection, name)}
    for run_ in found["runs"]:
        algorithm = asked.analyses[run_["analysis"]].algorithm
        run_ |= {
            "title": say(ALGORITHMS.get(algorithm, algorithm)),
            "label": asked.analyses[run_["analysis"]].label,
            "says": say(RUN_STATES[run_["state"]]),
            "why": _why(entries[run_["run"]], say),
        }
    for site in found["sites"].values():
        site["says"] = say(DECISIONS[site["decision"]])
    return {
        **found,
        "says": say(RUN_STATES[found["state"]]),
        "waits": waits(found, say),
        "questions": [],
        "purpose": asked.purpose,
        "by": asked.investigator,
    }


def definitions(connection: Connection, name: str, say: Say) -> dict[str, str]:
    """What the cohort definitions of a study say, by the cohort's title, else by the datasets that are made of it."""
    datasets: dict[str, list[str]] = {}
    for dataset, recipe in _protocol(connection, name).recipes.items():
        for text in filter(None, (recipe.cohort, recipe.second)):
            datasets.setdefault(text, []).append(dataset)
    found: dict[str, str] = {}
    for text, used in datasets.items():
        definition = read(text)
        title = " ".join((definition.title or "").split()) or ", ".join(used)
        number = sum(known == title or known.startswith(f"{title} (") for known in found) + 1
        said = explain(definition, say.language, check=False, every=False)
        found[title if number == 1 else f"{title} ({number})"] = said
    return found


def _why(entry: Mapping[str, Any] | None, say: Say) -> str:
    """Why a run ended without a result, in the visitor's language."""
    reason = store.reason_of(entry) if entry is not None else None
    return why(reason, say) if reason is not None else ""


def run(connection: Connection, desk: Desk, name: str, say: Say) -> Story | None:
    """One run: which site does what, what left it, and the result once it is there."""
    found = views.run(connection, desk, name)
    if found is None:
        return None
    whole = views.study(connection, desk, found["study"])
    assert whole is not None
    asked = _protocol(connection, found["study"])
    analysis = asked.analyses[found["analysis"]]
    over = ended(found["state"])
    for site in found["sites"].values():
        idle = over and site["state"] not in ("sent", "refused")
        site["says"] = "" if idle else say(SITE_STATES[site["state"]])
        site["why"] = say(CATALOGUE[site["code"]][1]) if site["code"] in CATALOGUE and not idle else ""
    behind = say("Another run of this study is before it.") if found["state"] == "waiting" else ""
    return {
        **found,
        "says": say(RUN_STATES[found["state"]]),
        "why": _why(store.run(connection, name), say),
        "waits": "" if over else waits(whole, say) or behind,
        "kind": say(ALGORITHMS.get(analysis.algorithm, analysis.algorithm)),
        "label": analysis.label,
        "options": _options(analysis.options),
        "columns": asked.datasets[analysis.dataset],
        "sent": sum(site["state"] == "sent" for site in found["sites"].values()),
        "left": sum(site["bytes"] for site in found["sites"].values()),
        "shares": sum(site["shares"] for site in found["sites"].values()),
        "result": views.result(connection, name),
    }


def sites(connection: Connection, desk: Desk) -> list[Story]:
    """Every hospital that has joined."""
    return views.sites(connection, desk)


def _protocol(connection: Connection, name: str) -> protocol.Study:
    row = store.study(connection, name)
    assert row is not None
    return protocol.from_canonical(SignedStudy.from_bytes(row["signed"]).body)


def _options(options: Mapping[str, Any]) -> dict[str, str]:
    """An analysis's options as they are read in a study; a model, which is long, only by its terms."""
    shown = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            value = ", ".join(map(str, value.get("terms", value)))
        shown[name] = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return shown
