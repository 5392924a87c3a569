"""Runs that have not ended: counting shares, closing rounds, starting what comes next.

Belongs to the writer's thread. What is held here is a copy of the store, rebuilt by replay when the hub
starts or a transaction was undone; it never runs ahead of the transaction that it is written with.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from atoll.algorithms.program import Asked, with_models
from atoll.errors import CATALOGUE, AtollError, NotPermitted, StudyError
from atoll.governance.signatures import SignedStudy
from atoll.governance.states import ENDED, RunAct
from atoll.hub import store
from atoll.hub.desk import Desk, Open
from atoll.hub.rounds import Methods, Rounds
from atoll.hub.sentences import Reason
from atoll.hub.waiting import awaited
from atoll.hub.writer import Transaction
from atoll.network.messages import Place, Receipt, Share, digest
from atoll.study import protocol

log = logging.getLogger("atoll.hub")
GRACE = 0.01  # of an answer's time: after the hub has started, an answer that was on its way may still come
ATTEMPT = 0  # a later issue gives a round a second attempt when a site dropped out


@dataclass
class Run:
    """A running analysis: its replayed algorithm, and the shares of its open round by site."""

    study: str
    name: str
    analysis: str
    sites: tuple[str, ...]
    rounds: Rounds
    words: bytes  # the study's bytes: a site's refusal may only name what stands in them
    hashes: dict[str, str] = field(default_factory=dict)
    payloads: dict[str, bytes] = field(default_factory=dict)
    fresh: list[dict[str, Any]] = field(default_factory=list)  # rows to write with this transaction
    paused: frozenset[str] = frozenset()
    refused: Share | None = None
    refused_by: str = ""

    @property
    def place(self) -> Place:
        """Where the open question belongs."""
        return Place(
            self.study,
            self.name,
            self.analysis,
            self.rounds.number,
            ATTEMPT,
            self.rounds.question_hash,
            self.sites,
        )

    def missing(self) -> frozenset[str]:
        """Sites whose share of the open round has not come."""
        return frozenset(self.sites) - set(self.hashes)


class ActiveRuns:
    """All running runs. Every method is part of one transaction."""

    def __init__(self, methods: Methods, desk: Desk):
        self._methods, self._desk = methods, desk
        self._runs: dict[str, Run] | None = None
        self._touched: dict[str, Run] = {}
        self._began = time.time()

    def forget(self) -> None:
        """A transaction was undone: rebuild from the store at the next one."""
        self._runs, self._touched = None, {}

    def load(self, tx: Transaction) -> dict[str, Run]:
        """The running runs, rebuilt from the store when needed."""
        if self._runs is None:
            self._runs = {}
            for study in store.open_studies(tx.connection):
                for row in store.runs_of(tx.connection, study):
                    if row["state"] == "running":
                        self._attempt(tx, study, row, replay=True)
                self.start_next(tx, study)
        return self._runs

    # ---- shares

    def count(self, tx: Transaction, site: str, share: Share, content: bytes) -> Receipt:
        """Count a share once: the same bytes again have the same receipt, other bytes are refused and reported."""
        share_hash = digest(content)
        run = self.load(tx).get(share.place.run)
        current = run is not None and run.place == share.place
        known = run.hashes.get(site) if run is not None and current else self._recorded(tx.connection, site, share)
        if known is not None:
            if known != share_hash:
                what = (
                    f"{site} sent other bytes for round {share.place.round + 1} than were counted; they were refused."
                )
                store.add_report(tx.connection, site, share.place.run, "CONFLICT", what)
            return Receipt(share.place, share_hash, "counted" if known == share_hash else "conflict")
        if run is None or not current or site not in run.sites:
            return Receipt(share.place, share_hash, "ended")
        if share.outcome == "share" and self._usable(run, share):
            run.payloads[site] = share.payload
        elif run.refused is None:
            run.refused, run.refused_by = share, site
        run.hashes[site] = share_hash
        run.fresh.append(_row(site, share, share_hash, len(content)))
        self._touched[run.name] = run
        return Receipt(share.place, share_hash, "counted")

    def _usable(self, run: Run, share: Share) -> bool:
        try:
            run.rounds.read(share.payload)
        except AtollError as error:
            log.warning("%s round %d: %s", run.name, share.place.round + 1, error)
            return False
        return True

    def _recorded(self, connection: Connection, site: str, share: Share) -> str | None:
        for row in store.shares_of(connection, share.place.run):
            if (row["round"], row["site"], row["attempt"]) == (share.place.round, site, share.place.attempt):
                return str(row["share_hash"])
        return None

    def settle(self, tx: Transaction) -> None:
        """Complete the batch: write its shares, close full rounds, ask the next questions."""
        touched, self._touched = self._touched, {}
        for run in touched.values():
            complete = not run.missing() and run.refused is None
            stored = len(run.payloads) > len(run.fresh)  # some of the round's shares came with an earlier commit
            for row in run.fresh:
                row["payload"] = None if complete else run.payloads.get(row["site"])
            store.add_shares(tx.connection, run.fresh)
            run.fresh = []
            if run.refused is not None:
                self._end(tx, run, "fail", reason=_refusal(run.refused_by, run.refused, run.words))
            elif complete:
                self._close_round(tx, run, stored)
            else:
                self._publish(tx, run)

    def _close_round(self, tx: Transaction, run: Run, stored: bool) -> None:
        try:
            answer = run.rounds.combine(run.payloads)
            store.close_round(tx.connection, run.name, run.rounds.number, answer, stored=stored)
            run.rounds.accept(answer)
        except AtollError as error:
            self._fail(tx, run, error)
            return
        run.hashes, run.payloads = {}, {}
        self._ask(tx, run)

    def _ask(self, tx: Transaction, run: Run) -> None:
        """Ask the open question, or end with the result; both in the transaction of the last share."""
        if run.rounds.result is not None:
            self._end(tx, run, "finish", result=run.rounds.result)
            return
        rounds = run.rounds
        store.open_round(tx.connection, run.name, rounds.number, ATTEMPT, rounds.question, rounds.question_hash)
        self._publish(tx, run)

    # ---- beginning and end

    def start_next(self, tx: Transaction, study: str) -> None:
        """Start the study's next run when every site approved, its dates allow, and none is running."""
        runs = store.runs_of(tx.connection, study)
        if any(row["state"] == "running" for row in runs):
            return
        actions = store.actions(tx.connection, study)
        waiting = [row for row in runs if row["state"] == "waiting"]
        if not waiting or any(entry["action"] != "approve" for entry in actions.values()):
            return
        document = self._study(tx.connection, study)
        today = datetime.now(UTC).date()
        if today > document.valid_until:
            expired = Reason("STUDY_EXPIRED", subject=document.valid_until.isoformat(), exit_code=StudyError.exit_code)
            self.end_study(tx, study, "fail", expired)
        elif today >= document.valid_from:
            self._attempt(tx, study, waiting[0], replay=False)

    def _attempt(self, tx: Transaction, study: str, row: store.Row, *, replay: bool) -> None:
        """Bring a run to life: from its beginning, or from its recorded answers."""
        signed = self._signed(tx.connection, study)
        document = protocol.from_canonical(signed)
        analysis = document.analyses[row["analysis"]]
        sites = tuple(sorted(document.sites))
        columns = document.datasets[analysis.dataset]
        if not replay:
            store.change_run(tx.connection, row["id"], "start")
        try:
            options = with_models(analysis.options, self._results(tx.connection, study))
            rounds = Rounds.begin(
                self._methods,
                Asked(analysis.algorithm, options, columns, sites, document.privacy.public),
            )
            run = Run(study, row["id"], row["analysis"], sites, rounds, signed)
            run.paused = self._paused(tx.connection, study)
            if replay:
                self._restore(tx, run)
        except AtollError as error:
            store.change_run(tx.connection, row["id"], "fail", reason=Reason.of(error, row["analysis"]))
            self._changed(tx, study)
            self.start_next(tx, study)
            return
        self.load(tx)[run.name] = run
        if replay:
            self._publish(tx, run)
        else:
            self._ask(tx, run)

    def _results(self, connection: Connection, study: str) -> dict[str, Any]:
        """Results of the study's finished runs, by analysis: their models may be judged by later ones."""
        finished = [row for row in store.runs_of(connection, study) if row["state"] == "finished"]
        results = {row["analysis"]: (store.run(connection, row["id"]) or {}).get("result") for row in finished}
        return {analysis: json.loads(result) for analysis, result in results.items() if result}

    def _restore(self, tx: Transaction, run: Run) -> None:
        recorded = store.rounds_of(tx.connection, run.name)
        run.rounds.replay([(row["question_hash"], row["answer"]) for row in recorded])
        for row in store.shares_of(tx.connection, run.name, run.rounds.number):
            run.hashes[row["site"]] = row["share_hash"]
            run.payloads[row["site"]] = row["payload"]

    def _fail(self, tx: Transaction, run: Run, error: AtollError) -> None:
        self._end(tx, run, "fail", reason=Reason.of(error, run.analysis, run.sites))

    def _end(self, tx: Transaction, run: Run, act: RunAct, **outcome: Any) -> None:
        store.change_run(tx.connection, run.name, act, **outcome)
        self.load(tx).pop(run.name, None)
        tx.after.append(lambda: self._desk.publish(run.name, None))
        self._changed(tx, run.study)
        self.start_next(tx, run.study)

    def give_up(self, tx: Transaction, now: float) -> None:
        """End the runs whose answer has been owed for too long; after a start, answers that lay ready come first."""
        for run in list(self.load(tx).values()):
            entry = store.run(tx.connection, run.name)
            owed = entry and awaited(tx.connection, entry, store.actions(tx.connection, run.study))
            if not owed or run.name in self._touched or now - self._began < owed.hours * 3600 * GRACE:
                continue
            if late := tuple(site for site in owed.late(now) if site in run.missing()):
                reason = Reason("NO_ANSWER", late, run.analysis, owed.round, hours=owed.hours)
                self._end(tx, run, "fail", reason=reason)

    def end_study(self, tx: Transaction, study: str, act: RunAct, reason: Reason) -> None:
        """End all of a study's runs that have not ended."""
        for row in store.runs_of(tx.connection, study):
            if row["state"] not in ENDED:
                store.change_run(tx.connection, row["id"], act, reason=reason)
                self.load(tx).pop(row["id"], None)
                self._touched.pop(row["id"], None)
                tx.after.append(self._closing(row["id"]))
        self._changed(tx, study)

    def _closing(self, run: str) -> Callable[[], None]:
        return lambda: self._desk.publish(run, None)

    def republish(self, tx: Transaction, study: str) -> None:
        """Sites that paused or resumed see, or no longer see, the open question."""
        for run in self.load(tx).values():
            if run.study == study:
                run.paused = self._paused(tx.connection, study)
                self._publish(tx, run)
        self._changed(tx, study)

    def _publish(self, tx: Transaction, run: Run) -> None:
        state = Open(run.place, run.rounds.question, run.missing(), run.paused)
        tx.after.append(lambda: self._desk.publish(run.name, state))
        self._changed(tx, run.study)

    def _paused(self, connection: Connection, study: str) -> frozenset[str]:
        actions = store.actions(connection, study)
        return frozenset(site for site, entry in actions.items() if entry["action"] != "approve")

    def _changed(self, tx: Transaction, study: str) -> None:
        tx.after.append(lambda: self._desk.changed(study))

    # ---- reading studies

    def _signed(self, connection: Connection, study: str) -> bytes:
        row = store.study(connection, study)
        if row is None:
            raise KeyError(study)
        return SignedStudy.from_bytes(row["signed"]).body

    def _study(self, connection: Connection, study: str) -> Any:
        return protocol.from_canonical(self._signed(connection, study))


def _refusal(site: str, share: Share, words: bytes) -> Reason:
    """A site's refusal, from the fixed catalogue; what it refers to only if the study names it."""
    if share.outcome == "share":
        return Reason("SHARE_UNUSABLE", (site,), share.place.analysis, exit_code=NotPermitted.exit_code)
    code = share.code if share.code in CATALOGUE else "SITE_FAILED"
    subject = share.subject if share.subject and share.subject.encode() in words else ""
    return Reason(code, (site,), share.place.analysis, share.place.round + 1, subject)


def _row(site: str, share: Share, share_hash: str, size: int) -> dict[str, Any]:
    return {
        "run": share.place.run,
        "round": share.place.round,
        "site": site,
        "attempt": share.place.attempt,
        "share_hash": share_hash,
        "outcome": share.outcome,
        "code": share.code if share.code in CATALOGUE or not share.code else "SITE_FAILED",
        "bytes": size,
        "elapsed": share.elapsed,
        "ledger_number": share.ledger_number,
        "ledger_head": share.ledger_head,
        "received": time.time(),
    }
