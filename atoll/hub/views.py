"""What people may see of studies and runs, as plain documents: for the researcher's client, the pages and the CLI.

Read from the store; only "is it computing", "is it heard" and what a site could not do just now come
from the desk. Nothing here is a site's share: combined answers and results only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from atoll.errors import CATALOGUE
from atoll.governance.signatures import SignedStudy
from atoll.hub import members, store, waiting
from atoll.hub.desk import SILENT, Desk
from atoll.hub.sentences import ENGLISH, waits
from atoll.hub.store import Row
from atoll.study import protocol

WORTH_A_WORD = 10.0  # seconds that an answer is owed before people are told so


def moment(seconds: float | None) -> str | None:
    """A time as 2026-11-24T21:31:00Z."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sites(connection: Connection, desk: Desk | None) -> list[dict[str, Any]]:
    """Every joined site: name, key, ledger head, and whether it is heard."""
    return [
        {
            "name": row["name"],
            "key": row["fingerprint"],
            "version": row["version"],
            "joined": moment(row["joined"]),
            "ledger_number": row["ledger_number"],
            "ledger_head": row["ledger_head"],
            "online": _online(desk, row["name"]),
        }
        for row in members.all_sites(connection)
    ]


def _online(desk: Desk | None, site: str) -> bool | None:
    """Whether a site is heard; None where nobody listens (the command line beside a running hub)."""
    if desk is None:
        return None
    silent = desk.silent_for(site)
    return silent is not None and silent < SILENT


def study(connection: Connection, desk: Desk | None, study_hash: str) -> dict[str, Any] | None:
    """A study: its approvals, its runs, and in a sentence what it waits for."""
    version = (
        desk.version_of(study_hash) if desk else 0
    )  # before reading: news in between are told once more, not missed
    row = store.study(connection, study_hash)
    if row is None:
        return None
    actions = store.actions(connection, study_hash)
    runs = store.runs_of(connection, study_hash)
    document = protocol.from_canonical(SignedStudy.from_bytes(row["signed"]).body)
    found = {
        "study": study_hash,
        "title": row["title"],
        "investigator": row["investigator"],
        "submitted": moment(row["submitted"]),
        "valid": {"from": document.valid_from.isoformat(), "until": document.valid_until.isoformat()},
        "sites": {
            name: {
                "decision": entry["action"] or "open",
                "decided": moment(entry["decided"]),
                "online": _online(desk, name),
            }
            for name, entry in actions.items()
        },
        "analyses": {name: {"algorithm": a.algorithm, "label": a.label} for name, a in document.analyses.items()},
        "runs": [_head(entry) for entry in runs],
        "state": study_state([entry["state"] for entry in runs]),
        "awaited": [one for entry in runs if (one := _awaited(connection, entry, actions))],
        "version": version,
    }
    return {**found, "waits_for": waits(found, ENGLISH)}


def _awaited(connection: Connection, run_row: Row, actions: Mapping[str, Row]) -> dict[str, Any] | None:
    """Whose answer a run waits for, once that is worth a word."""
    owed = waiting.awaited(connection, run_row, actions)
    if owed is None or time.time() - owed.first < WORTH_A_WORD:
        return None
    return {
        "run": owed.run,
        "analysis": owed.analysis,
        "round": owed.round,
        "sites": sorted(owed.since),
        "since": moment(owed.first),
        "until": moment(owed.until),
    }


def study_state(states: Sequence[str]) -> str:
    """One word for all runs of a study."""
    for word in ("running", "waiting", "failed", "stopped"):
        if word in states:
            return word
    return "finished"


def _head(row: Row) -> dict[str, Any]:
    return {
        "run": row["id"],
        "analysis": row["analysis"],
        "state": row["state"],
        "code": row["code"],
        "site": row["site"],
        "sentence": row["sentence"],
        "started": moment(row["started"]),
        "ended": moment(row["ended"]),
        "round": row["round"] or None,
        "subject": row["subject"] or "",
        "exit_code": row["exit_code"] or 0,
    }


def runs(connection: Connection, investigator: str | None = None) -> list[dict[str, Any]]:
    """All runs, newest study first; of one investigator when named."""
    return [
        {
            **_head(row),
            "study": row["study"],
            "title": row["title"],
            "investigator": row["investigator"],
            "submitted": moment(row["submitted"]),
            "awaited": _awaited(connection, row, store.actions(connection, row["study"])),
        }
        for row in store.all_runs(connection, investigator)
    ]


def run(connection: Connection, desk: Desk | None, name: str) -> dict[str, Any] | None:
    """One run live: its rounds, and per site what it is doing and what has left it."""
    row = store.run(connection, name)
    if row is None:
        return None
    version = desk.version_of(row["study"]) if desk else 0
    rounds, shares = store.rounds_of(connection, name), store.shares_of(connection, name)
    actions = store.actions(connection, row["study"])
    ended = row["ended"] if row["ended"] is not None else datetime.now(UTC).timestamp()
    return {
        **_head(row),
        "study": row["study"],
        "title": row["title"],
        "investigator": row["investigator"],
        "elapsed": round(ended - row["started"], 3) if row["started"] is not None else None,
        "rounds": [
            {
                "round": entry["number"] + 1,
                "asked": moment(entry["asked"]),
                "seconds": round(entry["answered"] - entry["asked"], 4) if entry["answered"] else None,
            }
            for entry in rounds
        ],
        "sites": {site: _site(desk, row, rounds, shares, site, actions[site]["action"]) for site in actions},
        "has_result": row["result"] is not None,
        "awaited": _awaited(connection, row, actions),
        "version": version,
    }


def _site(
    desk: Desk | None, run_row: Row, rounds: Sequence[Row], shares: Sequence[Row], site: str, action: str | None
) -> dict[str, Any]:
    own = [share for share in shares if share["site"] == site]
    newest = own[-1] if own else None
    note = desk.notes.get((run_row["id"], site), "") if desk else ""
    current = bool(newest and rounds and newest["round"] == rounds[-1]["number"])
    return {
        "state": _site_state(desk, run_row, site, action, newest if current else None),
        "code": (newest or {}).get("code") or note,
        "says": CATALOGUE[note][1] if note in CATALOGUE else "",
        "shares": sum(share["outcome"] == "share" for share in own),
        "bytes": sum(share["bytes"] for share in own),
        "seconds": round(sum(share["elapsed"] for share in own) / 1000, 3),
        "ledger_number": newest["ledger_number"] if newest else None,
        "ledger_head": newest["ledger_head"] if newest else None,
        "online": _online(desk, site),
    }


def _site_state(desk: Desk | None, run_row: Row, site: str, action: str | None, share: Row | None) -> str:
    """waiting, computing, sent, refused, undecided, paused, stopped, silent."""
    if share is not None:
        return "sent" if share["outcome"] == "share" else "refused"
    if action != "approve":
        return {"pause": "paused", "refuse": "refused", "stop": "stopped"}.get(action or "", "undecided")
    if run_row["state"] != "running" or desk is None:
        return "waiting"
    if desk.computing(run_row["id"], site):
        return "computing"
    return "waiting" if _online(desk, site) else "silent"


def result(connection: Connection, name: str) -> dict[str, Any] | None:
    """A finished run's result with its number of rounds, or None when there is none."""
    row = store.run(connection, name)
    if row is None or row["result"] is None:
        return None
    document: dict[str, Any] = json.loads(row["result"])
    return {**document, "rounds": len(store.rounds_of(connection, name))}
