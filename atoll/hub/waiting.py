"""Whose answer a running run waits for, since when, and until when: from the store alone, so a restart changes nothing.

A site that paused the study is not waited for; when it resumes, its time begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from atoll.hub import store
from atoll.hub.store import Row

HOURS = 24.0  # for the answer to a question, unless the operator set another time
DEADLINE = "answer_hours"


@dataclass(frozen=True)
class Awaited:
    """The open round of a run (from 1), and for each site that owes an answer the time since when (since 1970)."""

    run: str
    analysis: str
    round: int
    since: Mapping[str, float]
    hours: float

    @property
    def first(self) -> float:
        """When the earliest of them began to owe it."""
        return min(self.since.values())

    @property
    def until(self) -> float:
        """When the run is given up."""
        return self.first + self.hours * 3600

    def late(self, now: float) -> tuple[str, ...]:
        """Sites whose time is over."""
        return tuple(sorted(site for site, since in self.since.items() if since + self.hours * 3600 <= now))


def hours(connection: Connection) -> float:
    """How long a hospital may take for its answer to one question."""
    return float(store.fact(connection, DEADLINE) or HOURS)


def awaited(connection: Connection, run: Row, actions: Mapping[str, Row]) -> Awaited | None:
    """What a run waits for, or None when no site owes it an answer."""
    if run["state"] != "running" or (asked := store.open_question(connection, run["id"])) is None:
        return None
    since = {
        site: max(asked["asked"], entry["decided"] or 0.0)
        for site, entry in actions.items()
        if entry["action"] == "approve" and site not in asked["answered"]
    }
    if not since:
        return None
    return Awaited(run["id"], run["analysis"], asked["number"] + 1, since, hours(connection))
