"""The site's agent against a hub whose every answer the test writes."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from atoll.errors import NotPermitted, TooMany
from atoll.governance import signatures
from atoll.network import messages
from atoll.network.messages import (
    Decision,
    Failure,
    Handover,
    Place,
    Poll,
    PollAnswer,
    Proposal,
    Receipt,
    Renewed,
    Share,
    Task,
)
from atoll.site import agent, in_hand
from atoll.site.agent import Agent
from atoll.site.home import Home
from atoll.site.outbox import Outbox
from atoll.study.protocol import read
from tests.network.world import STUDY, wait_until


class Line:
    """A hub that hands out what `answers` holds and remembers what it was told."""

    def __init__(self):
        self.answers: list[PollAnswer] = []
        self.told: list[messages.Message] = []
        self.refuses_shares = False
        self.replaced = 0  # so many polls are refused, since a newer process was heard
        self.faults: list[str] = []  # paths whose next request fails as no request should

    def ask(self, path, message, answer, *, wait=0.0):
        if isinstance(message, Poll) and message.shares and "/site/share" in self.faults:
            path = "/site/share"  # a share may go along with a poll
        if path in self.faults:
            self.faults.remove(path)
            raise ValueError("Mrs Li, 54")
        if isinstance(message, Poll):
            if self.replaced:
                self.replaced -= 1
                raise NotPermitted("A newer process of 'north' is running.", "Stop one of the two.", code="REPLACED")
            return self.poll(message)
        self.told.append(message)
        if isinstance(message, Handover):
            return self.receipt(message)
        return Renewed(())

    def poll(self, poll: Poll) -> PollAnswer:
        self.told += poll.shares
        receipts = tuple(self.receipt(handover) for handover in poll.shares)
        if self.answers:
            answer = self.answers.pop(0)
            return PollAnswer(receipts, answer.tasks, answer.proposals, answer.stopped, 0.0)
        time.sleep(0.02)
        return PollAnswer(receipts, (), (), (), 0.0)

    def receipt(self, handover: Handover) -> Receipt:
        if self.refuses_shares:
            raise NotPermitted("Not now.", "Later.")
        place = messages.decode(handover.share, Share).place
        return Receipt(place, messages.digest(handover.share), "counted")

    def shares(self) -> list[bytes]:
        return [message.share for message in self.told if isinstance(message, Handover)]

    def codes(self) -> list[str]:
        return [message.code for message in self.told if isinstance(message, Failure)]


class Counting:
    """Records a fixed answer and counts how often it was asked."""

    def __init__(self, outbox):
        self.outbox, self.asked = outbox, 0

    def answer(self, study, place, question):
        self.asked += 1
        self.outbox.append(place, decision="left", rule="", subject="", payload=b"answer", policy="")


class Site:
    """An agent in this process."""

    def __init__(self, folder, replaced=0):
        self.home = Home.init(folder)
        self.store = self.home.store()
        self.store.set_facts(site="north")
        self.line, self.outbox = Line(), Outbox(self.store)
        self.line.replaced = replaced
        self.counting = Counting(self.outbox)
        self.key = signatures.new_key()
        self.agent = Agent(self.home, self.store, self.line, self.outbox, lambda: self.counting)
        self.failed: list[str] = []
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            self.agent.run()
        except NotPermitted as error:
            self.failed.append(error.code)

    def close(self):
        self.agent.stop()
        self.thread.join()
        self.store.close()

    def signed(self, *, key: str | None = None, title: str = "Toy") -> signatures.SignedStudy:
        today = datetime.now(UTC).date()
        text = STUDY.format(
            title=title,
            sites=f"  north: {{key: '{key or self.home.fingerprint()}'}}",
            analyses="  toy: {algorithm: toy, dataset: checkup}",
            first=today - timedelta(days=1),
            last=today + timedelta(days=1),
        )
        return signatures.sign_study(read(text), self.key)

    def says(self, *, tasks=(), proposals=(), stopped=()):
        self.line.answers.append(PollAnswer((), tuple(tasks), tuple(proposals), tuple(stopped), 0.0))


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path / "north")
    yield site
    site.close()


def task(study: str, *, lease: int = 1, round: int = 0, run: str = "run-1") -> Task:
    return Task(Place(study, run, "toy", round, 0, "0" * 64, ("north",)), lease, b"question")


def approved(site: Site) -> str:
    signed = site.signed()
    site.says(proposals=[Proposal(1, signed.to_bytes())])
    wait_until(lambda: site.store.newest_study() == 1)
    site.store.decide(signed.hash, "approve")
    return signed.hash


def test_a_question_of_an_approved_study_is_answered_once(site):
    study = approved(site)
    site.says(tasks=[task(study)])
    wait_until(lambda: len(site.line.shares()) >= 1)
    before = len(site.line.shares())
    site.says(tasks=[task(study, lease=2)])  # the hub did not hear of it, or was restored from a backup
    wait_until(lambda: len(site.line.shares()) > before)
    assert len(set(site.line.shares())) == 1, "byte for byte"
    assert site.counting.asked == 1


def test_a_study_that_is_not_approved_is_never_answered(site):
    signed = site.signed()
    site.says(proposals=[Proposal(1, signed.to_bytes())])
    site.says(tasks=[task(signed.hash)])
    wait_until(lambda: site.line.codes() == ["NOT_APPROVED"])
    assert site.counting.asked == 0 and site.line.shares() == []
    site.store.decide(signed.hash, "approve")
    site.home.wake()
    wait_until(lambda: len(site.line.shares()) == 1)


def test_a_study_that_was_never_received_is_never_answered(site):
    site.says(tasks=[task("f" * 64)])
    wait_until(lambda: site.line.codes() == ["NOT_PERMITTED"])
    assert site.counting.asked == 0


def test_a_proposal_for_another_key_is_ignored_and_the_next_one_is_not(site):
    stranger = signatures.fingerprint(signatures.public_bytes(signatures.new_key()))
    other, good = site.signed(key=stranger, title="Other"), site.signed()
    site.says(proposals=[Proposal(1, other.to_bytes()), Proposal(2, b"nonsense"), Proposal(3, good.to_bytes())])
    wait_until(lambda: [row["hash"] for row in site.store.studies()] == [good.hash])


def test_a_share_that_the_hub_does_not_take_is_kept(site):
    study = approved(site)
    site.line.refuses_shares = True
    site.says(tasks=[task(study)])
    wait_until(lambda: len(site.line.shares()) >= 2)
    site.line.refuses_shares = False
    wait_until(lambda: site.outbox.waiting() == ())
    assert len(set(site.line.shares())) == 1


def test_a_share_is_withheld_while_the_study_is_paused(site):
    study = approved(site)
    site.line.refuses_shares = True
    site.says(tasks=[task(study)])
    wait_until(lambda: len(site.line.shares()) >= 1)
    site.store.decide(study, "pause")
    assert site.outbox.waiting() == ()
    site.line.refuses_shares = False
    site.store.decide(study, "approve")
    site.home.wake()
    wait_until(lambda: len(site.outbox.waiting()) == 0 and site.store.head().decision == "resumed")


def test_an_expired_study_is_not_answered_and_becomes_expired(site, monkeypatch):
    study = approved(site)

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=9)

    monkeypatch.setattr("atoll.site.worker.datetime", Later)
    site.says(tasks=[task(study)])
    wait_until(lambda: site.line.codes() == ["STUDY_EXPIRED"])
    assert site.store.study(study)["state"] == "expired"
    assert site.store.head().decision == "expired" and site.counting.asked == 0


def test_a_fault_ends_the_run_with_a_code_and_the_site_goes_on(site):
    study = approved(site)
    answer = site.counting.answer

    def fail(*_):
        raise RuntimeError("Mrs Li, 54")

    site.counting.answer = fail
    site.says(tasks=[task(study)])
    wait_until(lambda: len(site.line.shares()) == 1)
    share = messages.decode(site.line.shares()[0], Share)
    assert (share.outcome, share.code, share.subject, share.payload) == ("refused", "SITE_FAILED", "", b"")
    site.counting.answer = answer
    site.says(tasks=[task(study, run="run-2", lease=2)])
    wait_until(lambda: len(site.line.shares()) == 2)


@pytest.mark.parametrize("path", ["/site/poll", "/site/failure", "/site/decision", "/site/share"])
def test_a_fault_of_the_line_is_told_without_its_words_and_the_site_goes_on(site, monkeypatch, caplog, path):
    """A thread that died in silence would leave a run that waits for ever."""
    monkeypatch.setattr(agent, "LOOK", 0.05)
    monkeypatch.setattr(in_hand, "FIRST", 0.05)
    site.line.faults = [path]
    study = approved(site)
    site.store.decide(study, "pause")
    site.says(tasks=[task(study)])
    time.sleep(0.2)
    site.home.wake()
    site.store.decide(study, "resume")
    site.home.wake()
    site.says(tasks=[task(study, lease=2)])  # the first may have been given back while the study was paused
    wait_until(lambda: not site.line.faults)
    wait_until(lambda: len(site.line.shares()) >= 1)
    assert "ValueError in ask" in caplog.text and "Li" not in caplog.text


@pytest.mark.parametrize(
    "changed",
    [{"run": "run 1; drop"}, {"analysis": "x" * 200}, {"round": -1}, {"question_hash": "no hash"}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_question_whose_place_the_ledger_cannot_hold_is_ignored_and_the_site_goes_on(site, changed):
    study = approved(site)
    odd = task(study)
    site.says(tasks=[Task(msgspec.structs.replace(odd.place, **changed), 1, b"question")])
    site.says(tasks=[task(study, run="run-2", lease=2)])
    wait_until(lambda: len(site.line.shares()) == 1)
    assert site.counting.asked == 1 and site.store.head().run == "run-2"


def test_a_study_whose_first_day_has_not_come_is_not_answered(site, monkeypatch):
    study = approved(site)

    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(days=9)

    monkeypatch.setattr("atoll.site.worker.datetime", Earlier)
    site.says(tasks=[task(study)])
    wait_until(lambda: len(site.line.shares()) == 1)
    share = messages.decode(site.line.shares()[0], Share)
    assert (share.outcome, share.code, share.payload) == ("refused", "STUDY_EXPIRED", b"")
    assert site.store.study(study)["state"] == "approved" and site.counting.asked == 0


def test_a_share_that_has_a_receipt_waits_for_one_again_when_it_is_asked_again(site):
    study = approved(site)
    site.says(tasks=[task(study)])
    wait_until(lambda: len(site.line.shares()) == 1)
    wait_until(lambda: site.outbox.waiting() == ())
    site.outbox.flush()
    place = task(study).place
    assert site.outbox.again(place) and [stored.content for stored in site.outbox.waiting()] == site.line.shares()
    assert not site.outbox.again(task(study, round=1).place), "what was never answered is not there"


def test_what_was_decided_while_nobody_listened_is_told_at_the_start(site):
    """A steward decides while the site is not running, or in the moment before it hears: nothing else happens then."""
    study = approved(site)
    site.agent.stop()
    site.thread.join()
    site.store.decide(study, "pause")
    site.line.told.clear()
    site.agent = Agent(site.home, site.store, site.line, site.outbox, lambda: site.counting)
    site.thread = threading.Thread(target=site.agent.run)
    site.thread.start()
    wait_until(lambda: any(isinstance(told, Decision) and told.action == "pause" for told in site.line.told), 10.0)


@pytest.mark.parametrize(
    ("error", "seconds"), [(TooMany("No.", wait=7.0), 7.0), (NotPermitted("No."), 0.0), (None, 0.0)]
)
def test_a_site_rests_for_as_long_as_the_hub_asks(site, monkeypatch, error, seconds):
    rested = []
    monkeypatch.setattr(site.agent._ending, "wait", rested.append)
    site.agent._rest(0.2, error)
    assert seconds < rested[-1] <= seconds + 0.2


def test_a_process_with_an_older_number_waits_until_the_hub_knows_that_the_newer_one_has_ended(tmp_path, monkeypatch):
    """A folder from a backup; and both run: once the hub has heard the process, the older of the two steps down."""
    monkeypatch.setattr(agent, "FIRST_PAUSE", 0.01)
    site = Site(tmp_path / "north", replaced=4)
    wait_until(lambda: site.line.replaced == 0 and site.agent._known)
    assert site.failed == []
    site.line.replaced = 1
    site.thread.join(10)
    assert site.failed == ["REPLACED"]
    site.close()


def test_a_process_with_an_older_number_steps_down_when_the_newer_one_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(agent, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(agent, "PATIENCE", 0.1)
    site = Site(tmp_path / "north", replaced=1000)
    site.thread.join(10)
    assert site.failed == ["REPLACED"]
    site.close()
