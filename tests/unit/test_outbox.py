"""The shares that wait for a receipt: sent again only while the steward's approval stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from atoll.errors import NotPermitted
from atoll.governance import signatures
from atoll.network.messages import Place
from atoll.site.home import Home
from atoll.site.outbox import Outbox, Withheld
from atoll.study.protocol import read
from tests.network.world import STUDY


@pytest.fixture
def site(tmp_path):
    """A site with one approved study, and one share of it that the hub has not receipted."""
    home = Home.init(tmp_path / "north")
    store = home.store()
    today = datetime.now(UTC).date()
    text = STUDY.format(
        title="Waiting",
        sites=f"  north: {{key: '{home.fingerprint()}'}}",
        analyses="  first: {algorithm: describe, dataset: checkup, columns: [age]}",
        first=today - timedelta(days=1),
        last=today + timedelta(days=1),
    )
    signed = signatures.sign_study(read(text), signatures.new_key())
    store.receive_study(1, signed, "Waiting")
    store.decide(signed.hash, "approve")
    outbox = Outbox(store)
    append(outbox, signed.hash)
    yield store, outbox, signed.hash
    store.close()


def append(outbox: Outbox, study: str, round: int = 0) -> None:
    place = Place(study, "run-1", "first", round, 0, "0" * 64, ("north",))
    outbox.append(place, decision="left", rule="", subject="", payload=b"answer", policy="")


@pytest.mark.parametrize("act", ["pause", "stop", "expire"])
def test_a_share_of_a_study_that_is_approved_no_more_is_not_sent_again(site, act):
    store, outbox, study = site
    assert len(outbox.waiting()) == 1
    store.expire(study) if act == "expire" else store.decide(study, act)
    assert outbox.waiting() == ()
    with pytest.raises(Withheld):
        append(outbox, study, round=1)


def test_a_share_waits_again_when_the_steward_resumes(site):
    store, outbox, study = site
    before = outbox.waiting()
    store.decide(study, "pause")
    store.decide(study, "approve")
    assert outbox.waiting() == before


def test_what_its_investigator_stopped_is_withdrawn_unless_it_was_decided(site):
    store, _, study = site
    before = len(store.entries())
    store.withdraw([study, "f" * 64])
    assert store.study(study)["state"] == "approved" and len(store.entries()) == before
    with store.writing() as connection:
        connection.execute("UPDATE studies SET state = 'proposed'")
    with pytest.raises(NotPermitted, match=r"one cannot withdraw it\. Possible now: approve, refuse\."):
        store.decide(study, "withdraw")
    store.withdraw([study])
    store.withdraw([study])
    assert store.study(study)["state"] == "withdrawn"
    assert [entry.decision for entry in store.entries()[before:]] == ["withdrawn"]
    with pytest.raises(NotPermitted, match=r"taken back by its investigator.*Possible now: nothing"):
        store.decide(study, "approve")


def test_what_a_steward_stopped_does_not_become_expired(site):
    store, _, study = site
    store.decide(study, "stop")
    entries = len(store.entries())
    store.expire(study)
    assert store.study(study)["state"] == "stopped" and len(store.entries()) == entries
    with pytest.raises(NotPermitted, match="The study is stopped"):
        store.decide(study, "approve")
