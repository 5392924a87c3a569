"""The running site: asks the hub for work, lets the runner answer, hands over what was recorded.

    poll      long-polls the hub: questions, new studies, leases to drop; takes along what was recorded meanwhile
    work      answers one question after another (site/worker.py)
    courier   hands over shares and decisions until each has a receipt
    wake      hears, through a pipe, that the steward decided something
    consider  looks whether a proposed study is covered by the steward's standing permission (site/standing.py)
    nights    loads the hospital's export when the hour has come (site/nightly.py)

Whatever was recorded survives `kill -9`; whatever was not is asked again. Nothing here waits in the path
of a round: a question that arrives is answered, a share that is recorded is sent.
"""

from __future__ import annotations

import logging
import os
import queue
import random
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable

from atoll.errors import AtollError, NotPermitted, Unreachable
from atoll.governance.signatures import SignedStudy
from atoll.network.http import SignedLine
from atoll.network.messages import (
    Decision,
    Handover,
    Poll,
    PollAnswer,
    Proposal,
    Receipt,
    Recorded,
    Renewal,
    Renewed,
    Task,
)
from atoll.site.home import Home
from atoll.site.in_hand import InHand
from atoll.site.nightly import Nights
from atoll.site.outbox import Key, Outbox, Stored, admissible, key_of, small_enough
from atoll.site.store import SiteStore
from atoll.site.worker import Answerer, Worker

log = logging.getLogger("atoll.site")
STANDING = "feasibility"  # the fact that holds the steward's standing permission, if there is one
WAIT = 25.0  # seconds of a long poll
RENEW = 15.0  # seconds between renewals of what is being worked on
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 15.0  # seconds between attempts to reach the hub
LOOK = 2.0  # seconds between looks whether there is space again, and whether a receipt is still to be written
QUIET = 60.0  # seconds between lines of the log about the same full disk
PATIENCE = 60.0  # seconds in which the hub finds out that a newer process has ended
QUICK = 0.05  # seconds in which an answer still goes along with the next poll


class Agent:
    """A site at work. `answerer` is made at the first question: it loads what an idle site does not need."""

    def __init__(
        self, home: Home, store: SiteStore, line: SignedLine, outbox: Outbox, answerer: Callable[[], Answerer]
    ):
        self._home, self._store, self._line, self._outbox = home, store, line, outbox
        self._worker = Worker(store, line, outbox, answerer)
        self._held: dict[Key, InHand] = {}
        self._change = threading.Condition()
        self._delivering = threading.Lock()
        self._polling = False  # False while the next poll may still take a share along
        self._along: tuple[Stored, ...] = ()
        self._newest = store.newest_study()
        self._more_to_deliver = threading.Event()
        self._proposed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._failed: AtollError | None = None
        self._asked: AtollError | None = None  # why the last delivery failed: the hub may have asked for a pause
        self._quiet_until = 0.0
        self._known, self._began = False, time.monotonic()  # whether the hub has taken this process for the site's
        self._instance = (store.next_instance() << 32) + random.getrandbits(32)

    # ---- life

    def run(self) -> None:
        """Work until `stop` is called.

        Raises
        ------
        NotPermitted
            When the hub does not know this site, or a newer process of it is running.
        """
        acts = (self._work, self._courier, self._wake, self._consider, self._nights)
        threads = [
            threading.Thread(target=self._always, args=[act], name=act.__name__.strip("_"), daemon=True) for act in acts
        ]
        for thread in threads:
            thread.start()
        try:
            self._always(self._poll)
        finally:
            self.stop()
            for thread in threads[:2]:
                thread.join(timeout=2.0)
        if self._failed is not None:
            raise self._failed

    def _always(self, act: Callable[[], None]) -> None:
        """One of the acts until the end. A fault of ours is told and survived: a site that seems to work is worse."""
        while not self._ending.is_set():
            try:
                act()
                return
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]  # never its words: they may hold a value
                log.error("%s in %s, line %d; it is tried again", type(error).__name__, where.name, where.lineno)
                self._along = ()
                self._more_to_deliver.set()
                self._ending.wait(LOOK)

    def stop(self) -> None:
        """End soon; what is recorded stays recorded."""
        self._ending.set()
        self._more_to_deliver.set()
        with self._change:
            self._change.notify_all()

    def _nights(self) -> None:
        Nights(self._store, self._ending).run()

    # ---- poll

    def _poll(self) -> None:
        pause = FIRST_PAUSE
        while not self._ending.is_set():
            try:
                self._heard(self._line.ask("/site/poll", self._question(), PollAnswer, wait=WAIT))
                if pause > FIRST_PAUSE:
                    log.warning("the hub is back")
                    self._more_to_deliver.set()
                pause = FIRST_PAUSE
            except AtollError as error:
                self._along = ()
                if error.code == "UNKNOWN_SITE" or (error.code == "REPLACED" and not self._patient()):
                    self._failed = error
                    return
                if pause == FIRST_PAUSE or not (isinstance(error, Unreachable) or error.code == "REPLACED"):
                    log.warning("%s", error)
                pause = self._rest(pause, error)
            except sqlite3.Error as error:
                self._cannot_write(error)
                pause = self._rest(max(pause, LOOK))

    def _patient(self) -> bool:
        """Whether a newer process may be one that has ended: the hub needs a while to tell, after a restored backup."""
        return not self._known and time.monotonic() - self._began < PATIENCE

    def _rest(self, pause: float, error: AtollError | None = None) -> float:
        """Wait before the next attempt, for as long as the hub asked; it is away, so nobody waits for us."""
        asked = error.wait if isinstance(error, Unreachable) else 0.0
        self._ending.wait(asked + pause * random.uniform(0.5, 1.0))  # noqa: S311
        return min(2 * pause, LONGEST_PAUSE)

    def _question(self) -> Poll:
        """The next poll. Quick answers go along: it waits for them a moment, and only while one is computed."""
        with self._change:
            self._change.wait_for(lambda: not any(h.state in ("queued", "working") for h in self._held.values()), QUICK)
            self._polling = True
            waiting = self._outbox.waiting()
            self._along = small_enough(waiting)
            if len(self._along) < len(waiting):
                self._more_to_deliver.set()
            along = {stored.key for stored in self._along}
            holding = tuple(held.task.lease for key, held in self._held.items() if key not in along)
            shares = tuple(Handover(self._lease(stored.key), stored.content) for stored in self._along)
        return Poll(self._instance, self._newest, holding, shares, WAIT)

    def _lease(self, key: Key) -> int:
        held = self._held.get(key)
        return held.task.lease if held else 0

    def _heard(self, answer: PollAnswer) -> None:
        self._known = True
        for stored, receipt in zip(self._along, answer.receipts, strict=True):
            self._received(stored, receipt)
        self._along = ()
        for proposal in answer.proposals:
            self._newest = max(self._newest, proposal.number)
            try:
                self._propose(proposal)
            except AtollError as error:  # one bad proposal keeps nothing else from this site
                log.warning("a proposed study was ignored: %s", error)
        self._store.withdraw(answer.withdrawn)
        with self._change:
            self._polling = False
            try:
                for task in answer.tasks:
                    self._take(task)
                for key in [key for key, held in self._held.items() if held.task.lease in answer.stopped]:
                    del self._held[key]
            finally:  # a full disk keeps no one from what was taken before
                self._change.notify_all()

    def _propose(self, proposal: Proposal) -> None:
        """Keep a proposed study whose signature holds and that names this very site."""
        signed = SignedStudy.from_bytes(proposal.study)
        study = signed.study()
        name = self._store.fact("site") or ""
        if name not in study.sites or study.sites[name].key != self._home.fingerprint():
            raise NotPermitted("It does not name this site with its key.", "Its investigator corrects and signs it.")
        self._store.receive_study(proposal.number, signed, study.title)
        log.warning("proposed: %s (%s)", study.title, signed.hash[:12])
        self._proposed.put(signed.hash)

    def _take(self, task: Task) -> None:
        """A question under a new lease. One that is being answered goes on; one that was answered is sent again."""
        if not admissible(task.place):
            log.warning("a question was ignored: its run, analysis or numbers are none that the ledger can hold")
            return
        known = self._held.get(key_of(task.place))
        if known is not None:
            known.task = task
            if known.state == "kept":
                known.state = "queued"
            return
        for key in [key for key in self._held if key[0] == task.place.run]:
            del self._held[key]  # an earlier round of the same run
        held = self._held[key_of(task.place)] = InHand(task)
        self._outbox.arrived(task.place)
        if self._outbox.again(task.place):
            held.state = "recorded"  # it goes along with the next poll

    # ---- consider

    def _propose_again(self) -> None:
        """Let what is proposed be considered once more: it was there before this process, or the permission is new."""
        for row in self._store.studies():
            if row["state"] == "proposed":
                self._proposed.put(row["hash"])

    def _consider(self) -> None:
        self._propose_again()
        while not self._ending.is_set():
            try:
                proposed = self._proposed.get(timeout=LOOK)
            except queue.Empty:
                continue
            if self._store.fact(STANDING) is None:
                continue
            from atoll.site.standing import decide  # loads what computes; a site without a permission does not need it

            try:
                if decide(self._home, self._store, proposed):
                    log.warning("approved under the standing permission: %s", proposed[:12])
                    self._more_to_deliver.set()
            except AtollError as error:
                log.warning("%s is left to the steward: %s", proposed[:12], error)

    # ---- work

    def _work(self) -> None:
        if self._store.fact(STANDING) is not None:
            self._worker.warm()
        while not self._ending.is_set():
            with self._change:
                held = next((held for held in self._held.values() if held.state == "queued"), None)
                if held is None:
                    self._change.wait()
                    continue
                held.state = "working"
            recorded = False
            try:
                recorded = self._worker.answer(held)
            finally:
                with self._change:
                    if recorded:
                        held.state = "recorded"
                    else:
                        held.keep()
                    polling = self._polling
                    self._change.notify_all()
            if recorded and polling:
                self._deliver()

    # ---- courier

    def _courier(self) -> None:
        pause, renewed = FIRST_PAUSE, time.monotonic()
        while not self._ending.is_set():
            self._more_to_deliver.wait(timeout=LOOK)
            self._more_to_deliver.clear()
            if not self._deliver():  # also after a time-out: who woke it between that and `clear` woke nobody
                pause = self._rest(pause, self._asked)
                self._more_to_deliver.set()
                continue
            pause = FIRST_PAUSE
            try:
                self._retry_kept()
                self._outbox.flush()
                self._store.tidy()
            except sqlite3.Error as error:
                self._cannot_write(error)
            if time.monotonic() - renewed > RENEW:
                self._renew()
                renewed = time.monotonic()

    def _deliver(self) -> bool:
        """Hand over everything that has no receipt. False when something has to be tried again."""
        with self._delivering:
            self._asked = None
            try:
                along = {stored.id for stored in self._along}
                handed = [self._hand_over(stored) for stored in self._outbox.waiting() if stored.id not in along]
                told = [self._tell(decision) for decision in self._store.unsent_decisions()]
                return all(handed) and all(told)
            except AtollError as error:
                self._asked = error
                log.warning("%s", error)
            except sqlite3.Error as error:
                self._cannot_write(error)
            self._more_to_deliver.set()
            return False

    def _tell(self, decision: sqlite3.Row) -> bool:
        message = Decision(decision["study"], decision["action"], decision["number"], decision["head"])
        try:
            self._line.ask("/site/decision", message, Recorded)
        except NotPermitted as error:  # about this one message; the others go on
            log.warning("%s", error)
            return False
        self._store.decision_sent(decision["number"])
        return True

    def _hand_over(self, stored: Stored) -> bool:
        with self._change:
            lease = self._lease(stored.key)
        try:
            receipt = self._line.ask("/site/share", Handover(lease, stored.content), Receipt)
        except NotPermitted as error:  # about this one message; the others go on
            log.warning("%s", error)
            return False
        self._received(stored, receipt)
        return True

    def _received(self, stored: Stored, receipt: Receipt) -> None:
        """Note a receipt. After `fenced`, the next poll brings the newer lease and the share goes out under it."""
        if receipt.state == "conflict":
            log.error("%s: the hub had counted other bytes for this round; ours were refused", stored.key[0])
        if receipt.state != "fenced":
            self._outbox.receipt(stored, receipt.state)
        with self._change:
            self._held.pop(stored.key, None)

    def _retry_kept(self) -> None:
        """Questions that were kept back are tried again: there may be space, or the study was resumed."""
        with self._change:
            kept = [held for held in self._held.values() if held.state == "kept" and held.again <= time.monotonic()]
        if not kept:
            return
        self._store.set_facts(probe=str(time.time()))  # fails while the disk is full
        states = {row["hash"]: row["state"] for row in self._store.studies()}
        with self._change:
            for held in kept:
                if states.get(held.task.place.study) == "approved" and held.state == "kept":
                    held.state = "queued"
                else:
                    held.keep()
            self._change.notify_all()

    def _renew(self) -> None:
        with self._change:
            leases = tuple(held.task.lease for held in self._held.values())
        if not leases:
            return
        try:
            lost = self._line.ask("/site/renew", Renewal(leases), Renewed).lost
        except AtollError as error:
            log.warning("%s", error)
            return
        with self._change:
            for key in [key for key, held in self._held.items() if held.task.lease in lost]:
                del self._held[key]

    def _cannot_write(self, error: sqlite3.Error) -> None:
        """Say so, but not at every attempt: the log may be on the same disk."""
        if time.monotonic() > self._quiet_until:
            log.error("the site cannot write its file: %s", error)
            self._quiet_until = time.monotonic() + QUIET

    # ---- wake

    def _wake(self) -> None:
        handle = self._home.open_wake()
        self._more_to_deliver.set()  # what was decided before anyone listened
        while not self._ending.is_set():
            os.read(handle, 64)
            self._propose_again()
            with self._change:
                for held in self._held.values():
                    held.again = 0.0
            self._more_to_deliver.set()
