"""What the pages tell about studies and runs: the documents of `hub/views.py`, with their sentences in words.

The views speak English and codes; here every code becomes a sentence in the visitor's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from atoll.errors import CATALOGUE
from atoll.governance.signatures import SignedStudy
from atoll.governance.states import ENDED
from atoll.hub import store, views
from atoll.hub.desk import Desk
from atoll.hub.sentences import waits, why
from atoll.study import protocol
from atoll.ui.vocabulary import ALGORITHMS, DECISIONS, RUN_STATES, SITE_STATES
from atoll.ui.words import Say

Story = dict[str, Any]


def ended(state: str) -> bool:
    """Whether a run, or a study by its runs, has come to its end."""
    return state in ENDED


def studies(connection: Connection, desk: Desk, investigator: str, say: Say) -> list[Story]:
    """An investigator's studies, newest first, each with its runs."""
    hashes = dict.fromkeys(row["study"] for row in store.all_runs(connection, investigator))
    return [found for name in hashes if (found := study(connection, desk, name, say)) is not None]


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
        "purpose": asked.purpose,
        "by": asked.investigator,
    }


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
