"""What a site remembers: one SQLite file (WAL, synchronous FULL), the only SQL at a site.

A share, its ledger entry and its place in the outbox are one transaction; so are a decision, its ledger
entry and the word to the hub. What was recorded is on disk when the call returns.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from atoll.errors import NotPermitted, OperatorError
from atoll.governance import ledger
from atoll.governance.ledger import Entry
from atoll.governance.signatures import SignedStudy
from atoll.governance.states import MEANING, STUDY

VERSION = 1
CHECKPOINT_EVERY = 500  # commits

SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE studies (
    hash TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, title TEXT NOT NULL, signed BLOB NOT NULL,
    state TEXT NOT NULL, received TEXT NOT NULL, decided TEXT
) STRICT;
CREATE TABLE ledger (number INTEGER PRIMARY KEY, entry TEXT NOT NULL) STRICT;
CREATE TABLE shares (
    id INTEGER PRIMARY KEY, study TEXT NOT NULL, analysis TEXT NOT NULL, run TEXT NOT NULL, round INTEGER NOT NULL,
    attempt INTEGER NOT NULL, content BLOB NOT NULL, receipt TEXT, UNIQUE (run, round, attempt)
) STRICT;
CREATE INDEX runs ON shares (study, analysis, run);
CREATE INDEX unsent ON shares (id) WHERE receipt IS NULL;
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY, study TEXT NOT NULL, action TEXT NOT NULL, head TEXT NOT NULL,
    receipt TEXT
) STRICT;
CREATE TABLE datasets (name TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
"""

_WORDS = {"approve": "approved", "resume": "resumed", "refuse": "refused", "pause": "paused", "stop": "stopped"}


def utc_now() -> str:
    """The time as the ledger writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class SiteStore:
    """The site's file. Safe to share between threads; several processes may open it."""

    def __init__(self, path: Path, *, create: bool = False):
        if not create and not path.exists():
            raise OperatorError(
                f"There is no site in {path.parent}.",
                "Make one with `atoll site init`, or give its folder with --home.",
            )
        self.path = path
        self._lock = threading.RLock()
        self._connection = self._connect()
        self._commits = 0
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            self._connection.executescript(f"BEGIN IMMEDIATE;{SCHEMA}PRAGMA user_version={VERSION};COMMIT;")
        elif found != VERSION:
            raise OperatorError(
                f"The site's store has version {found}; this Atoll knows version {VERSION}.",
                "Run the version of Atoll that wrote it, or a newer one.",
            )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30.0, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: on disk at the end, or nothing of it."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._commits += 1

    def tidy(self) -> None:
        """Copy SQLite's log into the file, now and then; called away from the path of a round."""
        if self._commits >= CHECKPOINT_EVERY:
            self._commits = 0
            connection = self._connect()
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            connection.close()

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Rows of a query."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    # ---- facts

    def fact(self, name: str) -> str | None:
        """A named fact: who the site is, where its hub is, its policy."""
        found = self.rows("SELECT value FROM facts WHERE name = ?", name)
        return found[0]["value"] if found else None

    def set_facts(self, **facts: str) -> None:
        """Remember named facts."""
        with self.writing() as connection:
            _set_facts(connection, facts)

    def next_instance(self) -> int:
        """A number that rises with every start of the site."""
        with self.writing() as connection:
            found = connection.execute("SELECT value FROM facts WHERE name = 'instance'").fetchone()
            instance = int(found["value"]) + 1 if found else 1
            _set_facts(connection, {"instance": str(instance)})
        return instance

    # ---- ledger

    def head(self) -> Entry | None:
        """The newest ledger entry."""
        found = self.rows("SELECT entry FROM ledger ORDER BY number DESC LIMIT 1")
        return Entry(**json.loads(found[0]["entry"])) if found else None

    def entries(self) -> list[Entry]:
        """The whole ledger, oldest first."""
        return [Entry(**json.loads(row["entry"])) for row in self.rows("SELECT entry FROM ledger ORDER BY number")]

    def entries_of(self, subject: str) -> list[Entry]:
        """The entries about one subject, oldest first."""
        query = "SELECT entry FROM ledger WHERE json_extract(entry, '$.subject') = ? ORDER BY number"
        return [Entry(**json.loads(row["entry"])) for row in self.rows(query, subject)]

    def write_entry(self, connection: sqlite3.Connection, **facts: Any) -> Entry:
        """Seal a ledger entry within a transaction."""
        entry = ledger.seal(self.head(), when=utc_now(), **facts)
        connection.execute("INSERT INTO ledger VALUES (?, ?)", (entry.number, json.dumps(vars(entry))))
        return entry

    # ---- studies and decisions

    def receive_study(self, number: int, signed: SignedStudy, title: str) -> None:
        """A study was proposed; the hash is computed here, from the bytes. The same study again changes nothing."""
        with self.writing() as connection:
            known = connection.execute("SELECT 1 FROM studies WHERE hash = ?", (signed.hash,)).fetchone()
            if known is None:
                values = (signed.hash, number, title, signed.to_bytes(), "proposed", utc_now(), None)
                connection.execute("INSERT INTO studies VALUES (?, ?, ?, ?, ?, ?, ?)", values)
                self.write_entry(connection, kind="study", decision="proposed", study=signed.hash)

    def newest_study(self) -> int:
        """The highest study number that is stored here."""
        return int(self.rows("SELECT coalesce(max(number), 0) AS number FROM studies")[0]["number"])

    def studies(self) -> list[sqlite3.Row]:
        """All studies, newest first."""
        return self.rows("SELECT * FROM studies ORDER BY number DESC")

    def study(self, prefix: str) -> sqlite3.Row:
        """The study whose hash begins so.

        Raises
        ------
        NotPermitted
            When there is none, or more than one.
        """
        found = self.rows("SELECT * FROM studies WHERE hash >= ? AND hash < ? || 'g'", prefix, prefix)
        if len(found) != 1 or not prefix:
            raise NotPermitted(
                f"{'No study' if not found else 'More than one study'} begins with {prefix!r}.",
                "See `atoll site studies`; give more digits of the hash.",
                code="NOT_PERMITTED",
            )
        return found[0]

    def decide(self, study: str, action: str, subject: str = "") -> str:
        """The steward's decision: the study's new state, the ledger entry and the word to the hub, in one transaction.

        `subject` names what decided in the steward's place, if anything did.

        Raises
        ------
        NotPermitted
            When the study's state does not allow it.
        """
        with self.writing() as connection:
            state = connection.execute("SELECT state FROM studies WHERE hash = ?", (study,)).fetchone()["state"]
            if action == "approve" and state == "paused":
                action = "resume"
            if action not in STUDY[state] or action not in _WORDS:
                raise NotPermitted(
                    f"The study is {state} ({MEANING[state]}); one cannot {action} it.",
                    f"Possible now: {', '.join(act for act in STUDY[state] if act in _WORDS) or 'nothing'}.",
                )
            becomes = self._become(connection, study, STUDY[state][action])
            entry = self.write_entry(connection, kind="study", decision=_WORDS[action], study=study, subject=subject)
            told = "approve" if action == "resume" else action
            values = (entry.number, study, told, entry.hash)
            connection.execute("INSERT INTO decisions (number, study, action, head) VALUES (?, ?, ?, ?)", values)
        return becomes

    def expire(self, study: str) -> None:
        """The study's last day has passed; one that its steward has just stopped stays stopped."""
        self._end(study, "expire")

    def withdraw(self, studies: Sequence[str]) -> None:
        """Their investigator stopped them; one that was decided, or that is not known here, stays as it is."""
        for study in studies:
            self._end(study, "withdraw")

    def _end(self, study: str, act: str) -> None:
        """What nobody at the site decides: the new state and its ledger entry, where the state allows it."""
        with self.writing() as connection:
            row = connection.execute("SELECT state FROM studies WHERE hash = ?", (study,)).fetchone()
            if row is not None and act in STUDY[row["state"]]:
                becomes = self._become(connection, study, STUDY[row["state"]][act])
                self.write_entry(connection, kind="study", decision=becomes, study=study)

    def _become(self, connection: sqlite3.Connection, study: str, state: str) -> str:
        connection.execute("UPDATE studies SET state = ?, decided = ? WHERE hash = ?", (state, utc_now(), study))
        return state

    def unsent_decisions(self) -> list[sqlite3.Row]:
        """Decisions that the hub has not acknowledged, oldest first."""
        return self.rows("SELECT * FROM decisions WHERE receipt IS NULL ORDER BY number")

    def decision_sent(self, number: int) -> None:
        """The hub has recorded a decision."""
        with self.writing() as connection:
            connection.execute("UPDATE decisions SET receipt = ? WHERE number = ?", (utc_now(), number))

    # ---- datasets: name → document; what it means is `site.datasets`'

    def datasets(self) -> dict[str, dict[str, Any]]:
        """All registered datasets."""
        return {row["name"]: json.loads(row["document"]) for row in self.rows("SELECT * FROM datasets ORDER BY name")}

    def set_dataset(self, name: str, document: dict[str, Any]) -> None:
        """Register a dataset, or change one, with its ledger entry."""
        with self.writing() as connection:
            known = connection.execute("SELECT 1 FROM datasets WHERE name = ?", (name,)).fetchone()
            text = json.dumps(document, ensure_ascii=False)
            connection.execute("INSERT OR REPLACE INTO datasets VALUES (?, ?)", (name, text))
            self.write_entry(connection, kind="dataset", decision="changed" if known else "registered", subject=name)

    def remove_dataset(self, name: str) -> None:
        """Forget a dataset, with its ledger entry."""
        with self.writing() as connection:
            if connection.execute("DELETE FROM datasets WHERE name = ?", (name,)).rowcount:
                self.write_entry(connection, kind="dataset", decision="removed", subject=name)

    def set_standing(self, fact: str, document: str, subject: str) -> None:
        """Put a standing permission in force, or take it back, with its ledger entry."""
        with self.writing() as connection:
            _set_facts(connection, {fact: document})
            self.write_entry(connection, kind="policy", decision="changed", subject=subject)

    def set_policy(self, document: str, policy_hash: str) -> None:
        """Put a policy in force, with its ledger entry."""
        with self.writing() as connection:
            _set_facts(connection, {"policy": document})
            self.write_entry(connection, kind="policy", decision="changed", policy=policy_hash)


def _set_facts(connection: sqlite3.Connection, facts: dict[str, str]) -> None:
    for name, value in facts.items():
        connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
