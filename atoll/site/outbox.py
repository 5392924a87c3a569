"""What leaves a site, written down before it leaves: ledger entry and stored share in one transaction.

A share stays until the hub has given a receipt, and is resent byte for byte. Receipts are written with
the next transaction: losing one only means that the same bytes are sent, and counted, once more as the same.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from atoll.errors import NotPermitted
from atoll.governance import ledger
from atoll.governance.ledger import Entry
from atoll.governance.states import StudyState, check_answer
from atoll.network import messages
from atoll.network.messages import Place, Share
from atoll.site.store import SiteStore

LARGEST_ALONG = 1_048_576  # bytes of shares that go along with a poll; larger ones have a way of their own
Key = tuple[str, int, int]  # run, round, attempt


class Withheld(NotPermitted):
    """The study is not approved, or not any more: nothing leaves."""


def check_approved(state: StudyState) -> None:
    """Return when a study in this state is answered. Raises Withheld with the code that the hub may learn."""
    try:
        check_answer(state)
    except NotPermitted as error:
        raise Withheld(error.what, error.remedy, code=error.code, subject=error.subject) from error


@dataclass(frozen=True)
class Stored:
    """A share that waits for its receipt."""

    id: int
    key: Key
    content: bytes


class Outbox:
    """The site's side of `gate.Ledger`, and the shares that wait for a receipt."""

    def __init__(self, store: SiteStore):
        self._store = store
        self._lock = threading.Lock()
        self._arrived: dict[Key, float] = {}
        self._receipts: dict[int, str] = {}

    def arrived(self, place: Place) -> None:
        """A question came: its answer's time counts from here."""
        self._arrived[key_of(place)] = time.monotonic()

    def append(self, place: Place, *, decision: str, rule: str, subject: str, payload: bytes, policy: str) -> None:
        """Write the ledger entry and the share durably, in one transaction; once for each place.

        Raises
        ------
        Withheld
            When the study is not approved any more.
        sqlite3.Error
            When it cannot be written: then nothing leaves.
        """
        left = decision == "left"
        with self._writing() as connection:
            self._check(connection, place)
            if connection.execute(
                "SELECT 1 FROM shares WHERE run=? AND round=? AND attempt=?", key_of(place)
            ).fetchone():
                return
            share_hash = messages.digest(payload) if left else ""
            facts = {**_facts(place), "decision": decision, "rule": rule, "subject": subject, "policy": policy}
            entry = self._store.write_entry(connection, kind="share", share=share_hash, bytes=len(payload), **facts)
            share = self._share(place, payload, rule, subject, entry)
            connection.execute(
                "INSERT INTO shares (study, analysis, run, round, attempt, content) VALUES (?, ?, ?, ?, ?, ?)",
                (place.study, place.analysis, *key_of(place), messages.encode(share)),
            )

    def _share(self, place: Place, payload: bytes, rule: str, subject: str, entry: Entry) -> Share:
        elapsed = time.monotonic() - self._arrived.pop(key_of(place), time.monotonic())
        return Share(
            place=place,
            outcome="refused" if rule else "share",
            payload=payload,
            code=rule,
            subject=subject,
            form="plain",
            ledger_number=entry.number,
            ledger_head=entry.hash,
            elapsed=round(elapsed * 1000),
        )

    def runs(self, study: str, analysis: str) -> list[str]:
        """Runs of an analysis that something was written down for, the earliest first."""
        query = "SELECT run FROM shares WHERE study = ? AND analysis = ? GROUP BY run ORDER BY min(id)"
        return [row["run"] for row in self._store.rows(query, study, analysis)]

    def _check(self, connection: sqlite3.Connection, place: Place) -> None:
        found = connection.execute("SELECT state FROM studies WHERE hash = ?", (place.study,)).fetchone()
        check_approved(found["state"] if found else "proposed")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes the waiting receipts too; they are forgotten only once it is on disk."""
        with self._store.writing() as connection:
            with self._lock:
                receipts = dict(self._receipts)
            rows = [(state, id) for id, state in receipts.items()]
            connection.executemany("UPDATE shares SET receipt = ? WHERE id = ?", rows)
            yield connection
        with self._lock:
            for id in receipts:
                self._receipts.pop(id, None)

    def waiting(self) -> tuple[Stored, ...]:
        """Shares without a receipt, of studies that are approved, oldest first."""
        rows = self._store.rows(
            "SELECT id, run, round, attempt, content FROM shares JOIN studies ON studies.hash = shares.study "
            "WHERE receipt IS NULL AND state = 'approved' ORDER BY id"
        )
        return tuple(
            Stored(row["id"], (row["run"], row["round"], row["attempt"]), row["content"])
            for row in rows
            if row["id"] not in self._receipts
        )

    def receipt(self, stored: Stored, state: str) -> None:
        """The hub has answered; written with the next transaction, or by `flush`."""
        with self._lock:
            self._receipts[stored.id] = state

    def flush(self) -> None:
        """Write receipts that have waited for another transaction."""
        if self._receipts:
            with self._writing():
                pass

    def again(self, place: Place) -> bool:
        """True when the share is stored already: it waits for a receipt once more, and is not computed again."""
        if not self._store.rows("SELECT 1 FROM shares WHERE run=? AND round=? AND attempt=?", *key_of(place)):
            return False
        with self._store.writing() as connection:
            found = connection.execute(
                "SELECT id, receipt FROM shares WHERE run=? AND round=? AND attempt=?", key_of(place)
            ).fetchone()
            with self._lock:
                self._receipts.pop(found["id"], None)
            if found["receipt"] is not None:
                connection.execute("UPDATE shares SET receipt = NULL WHERE id = ?", (found["id"],))
        return True


def admissible(place: Place) -> bool:
    """Whether the ledger can hold the names, hashes and numbers of a question's place."""
    return ledger.admits(**_facts(place))


def _facts(place: Place) -> dict[str, Any]:
    return {
        "study": place.study,
        "run": place.run,
        "analysis": place.analysis,
        "round": place.round,
        "attempt": place.attempt,
        "question": place.question_hash,
    }


def key_of(place: Place) -> Key:
    """What makes a share unique at a site."""
    return (place.run, place.round, place.attempt)


def small_enough(waiting: tuple[Stored, ...]) -> tuple[Stored, ...]:
    """Those that go along with a poll: the oldest, up to `LARGEST_ALONG` bytes together."""
    total = 0
    for number, stored in enumerate(waiting):
        total += len(stored.content)
        if total > LARGEST_ALONG:
            return waiting[:number]
    return waiting
