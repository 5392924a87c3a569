"""What the hub counts, what it refuses, and what it says."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from atoll.errors import NotPermitted, OperatorError
from atoll.hub import desk
from atoll.hub import store as hub_store
from atoll.network import messages
from atoll.network.codec import encode
from atoll.network.http import MEDIA_TYPE
from atoll.network.messages import Failure, Handover, Poll, PollAnswer, Renewal, Renewed
from tests.network import toy
from tests.network.puppet import Puppet
from tests.network.world import World


@pytest.fixture
def pair(tmp_path, nursery):
    """A hub and two sites that the test speaks for, with a study that both approved."""
    world = World(nursery, tmp_path, sites=("north", "river"))
    north, river = Puppet(world, "north"), Puppet(world, "river")
    study, (run,) = world.submit(world.signed({"toy": {"rounds": 3}}))
    north.decide(study, "approve")
    river.decide(study, "approve")
    world.current = (study, run)
    yield world, north, river
    north.close()
    river.close()
    world.close()


def reports(world):
    opened = world.hub_home.store()
    with opened.reading() as connection:
        found = hub_store.reports(connection)
    opened.close()
    return found


def test_the_same_share_again_has_the_same_receipt(pair):
    world, north, _ = pair
    task = north.task()
    share = north.share(task)
    first, second = north.hand_over(task.lease, share), north.hand_over(task.lease, share)
    assert first == second and first.state == "counted"
    assert world.run(world.current[1])["sites"]["north"]["shares"] == 1


def test_other_bytes_for_the_same_place_are_refused_and_reported(pair):
    world, north, river = pair
    task = north.task()
    north.hand_over(task.lease, north.share(task))
    assert north.hand_over(task.lease, north.share(task)).state == "conflict"
    assert "north sent other bytes for round 1 than were counted" in reports(world)[0]["what"]
    river.answer()
    assert north.hand_over(task.lease, north.share(task)).state == "conflict", "also when its round is over"
    assert [entry["code"] for entry in reports(world)] == ["CONFLICT", "CONFLICT"]


def test_a_share_comes_along_with_a_poll(pair):
    _, north, river = pair
    river.answer()
    task = north.task()
    answer = north.poll(wait=5, shares=(Handover(task.lease, north.share(task)),))
    assert answer.receipts[0].state == "counted"
    assert answer.tasks[0].place.round == 1


def test_a_lease_that_was_given_anew_fences_the_older_one(pair):
    _, north, _ = pair
    old = north.task()
    north.instance = 2  # the site was restarted
    new = north.task()
    assert new.lease > old.lease and new.place == old.place
    share = north.share(new)
    assert north.hand_over(old.lease, share).state == "fenced"
    assert north.hand_over(new.lease, share).state == "counted"


def test_an_answer_that_was_lost_on_its_way_is_given_again_and_a_held_one_is_not(pair):
    _, north, _ = pair
    task = north.task()
    again = north.poll().tasks
    assert again[0].place == task.place and again[0].lease > task.lease
    assert north.poll(holding=(again[0].lease,)).tasks == ()


def test_an_older_process_of_a_site_is_not_heard_any_more(pair):
    _, north, _ = pair
    north.instance = 7
    north.poll()
    north.instance = 6
    with pytest.raises(NotPermitted, match=r"A newer process of 'north' is running\. Stop one of the two"):
        north.poll()


def test_a_number_of_a_process_that_has_ended_keeps_no_restored_folder_away(monkeypatch):
    """A site's folder from a backup counts its starts from there; the one with the higher number was killed."""
    now = [1000.0]
    monkeypatch.setattr(desk, "time", SimpleNamespace(monotonic=lambda: now[0]))
    counter = desk.Desk(1)
    original, restored = Poll(6, 0, (), (), 25.0), Poll(2, 0, (), (), 25.0)
    counter.enter("north", original)
    for seconds in (0.0, 25.0, desk.SILENT - 0.1):  # a process that lives is heard at every long poll
        now[0] = 1000.0 + seconds
        with pytest.raises(NotPermitted, match="A newer process of 'north' is running") as told:
            counter.enter("north", restored)
    assert told.value.remedy.endswith("has ended already, start this one: it is heard within a minute.")
    now[0] = 1000.0 + desk.SILENT
    counter.enter("north", restored)
    assert counter.current("north", restored)
    counter.enter("north", original)  # it was only cut off, and both run: the older one steps down
    with pytest.raises(NotPermitted, match="Stop one of the two"):
        counter.enter("north", restored)


def test_a_share_of_a_run_that_has_ended_is_not_counted(pair):
    world, north, river = pair
    task = north.task()
    river.decide(world.current[0], "stop")
    assert north.hand_over(task.lease, north.share(task)).state == "ended"
    assert world.run(world.current[1])["sentence"] == "river stopped the study. Ask its steward for the reason."


def test_leases_that_nobody_waits_for_are_named_on_renewal_and_poll(pair):
    world, north, river = pair
    task = north.task()
    assert north.line.ask("/site/renew", Renewal((task.lease,)), Renewed).lost == ()
    river.decide(world.current[0], "stop")
    assert north.line.ask("/site/renew", Renewal((task.lease,)), Renewed).lost == (task.lease,)
    assert north.poll(wait=5, holding=(task.lease,)).stopped == (task.lease,)


def test_a_failure_is_shown_until_the_share_comes(pair):
    world, north, _ = pair
    task = north.task()
    north.line.ask("/site/failure", Failure(task.place, task.lease, "DISK_FULL"), Renewed)
    shown = world.run(world.current[1])["sites"]["north"]
    assert shown["code"] == "DISK_FULL" and "cannot write its ledger" in shown["says"]
    north.hand_over(task.lease, north.share(task))
    assert world.run(world.current[1])["sites"]["north"]["code"] == ""


def test_a_refusal_ends_the_run_with_site_code_and_remedy(pair):
    world, north, _ = pair
    task = north.task()
    share = north.share(task, outcome="refused", payload=b"", code="TOO_FEW_PERSONS", subject="age")
    assert north.hand_over(task.lease, share).state == "counted"
    run = world.run(world.current[1])
    assert (run["state"], run["code"], run["site"]) == ("failed", "TOO_FEW_PERSONS", "north")
    assert run["sentence"] == (
        "north refused round 1 of “toy”: A number would describe too few persons. It is about “age”. "
        "Merge rare levels, use broader groups or a longer time grid, take one column in the place of two that "
        "say nearly the same, or leave this site out of the sites that the study names."
    )


def test_a_word_that_the_study_does_not_hold_is_not_shown(pair):
    world, north, _ = pair
    task = north.task()
    north.hand_over(task.lease, north.share(task, outcome="refused", payload=b"", code="EMPTY", subject="Mrs Li, 54"))
    assert "Li" not in world.run(world.current[1])["sentence"]


@pytest.mark.parametrize(
    "payload",
    [
        b"\xc1",
        encode(toy.Step(n=-5, value=np.zeros(5), behind={})),
        encode(toy.Step(n=10, value=np.full(5, np.nan), behind={})),
    ],
)
def test_a_share_that_cannot_be_used_ends_the_run_and_names_the_site(pair, payload):
    world, north, _ = pair
    task = north.task()
    north.hand_over(task.lease, north.share(task, payload=payload))
    run = world.run(world.current[1])
    assert run["state"] == "failed" and run["sentence"].startswith("north sent a share that cannot be used.")


def test_a_share_of_another_shape_is_named_when_the_round_closes(pair):
    world, north, river = pair
    north.answer()
    river.answer(payload=encode(toy.Step(n=10, value=np.zeros(4), behind={})))
    run = world.run(world.current[1])
    assert run["state"] == "failed" and run["site"] in ("north", "river")
    assert "has another shape than the other sites' shares" in run["sentence"]


def test_a_share_for_another_question_is_not_counted(pair):
    world, north, _ = pair
    task = north.task()
    other = msgspec.structs.replace(task.place, question_hash="f" * 64)
    assert north.hand_over(task.lease, north.share(task, place=other)).state == "ended"
    assert world.run(world.current[1])["sites"]["north"]["shares"] == 0


def raw(puppet, path: str, content: bytes):
    return puppet.line.connection.request("POST", path, content=content, headers={"content-type": MEDIA_TYPE})


def refusal_of(answer) -> messages.Refusal:
    return messages.decode(messages.unwrap(answer.body).body, messages.Refusal)


def test_a_message_is_heard_once(pair):
    _, north, _ = pair
    content, _ = messages.seal(Renewal(()), north.home.key(), north.home.fingerprint())
    assert raw(north, "/site/renew", content).status == 200
    assert refusal_of(raw(north, "/site/renew", content)).what == "This message was heard before."


def test_a_message_signed_for_another_purpose_or_changed_is_refused(pair):
    _, north, _ = pair
    content, _ = messages.seal(Renewal(()), north.home.key(), north.home.fingerprint())
    assert "is not that of the key" in refusal_of(raw(north, "/site/failure", content)).what
    changed = content.replace(messages.unwrap(content).nonce, b"\0" * 16)
    assert "is not that of the key" in refusal_of(raw(north, "/site/renew", changed)).what


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x96" * 100_000, b"\xdf\xff\xff\xff\xff"])
def test_bytes_that_are_no_message_are_refused(pair, content):
    _, north, _ = pair
    answer = raw(north, "/site/poll", content)
    assert answer.status == 403 and "is no signed message" in refusal_of(answer).what


def test_a_message_that_is_too_long_is_refused(pair):
    _, north, _ = pair
    assert "more than 4,194,304 bytes" in refusal_of(raw(north, "/site/renew", bytes(5_000_000))).what


def test_a_clock_that_is_an_hour_off_is_told_by_how_much(pair, monkeypatch):
    _, north, _ = pair
    real = messages.time.time
    monkeypatch.setattr(messages.time, "time", lambda: real() + 3601)
    with pytest.raises(OperatorError, match=r"clock is 1 h 0 min ahead of the hub's; at most 5 min.*Set the clock"):
        north.poll()
    monkeypatch.setattr(messages.time, "time", lambda: real() - 400)
    with pytest.raises(OperatorError, match=r"clock is 7 min behind the hub's"):
        north.poll()


def test_a_site_that_has_not_joined_is_told_so(pair):
    _, north, _ = pair
    from atoll.governance import signatures

    stranger = signatures.new_key()
    print_ = signatures.fingerprint(signatures.public_bytes(stranger))
    content, _ = messages.seal(Poll(1, 0, (), (), 0.0), stranger, print_)
    assert refusal_of(raw(north, "/site/poll", content)).what == f"No site with the key {print_} has joined this hub."


def test_a_decision_about_a_study_that_does_not_name_the_site(pair):
    _, north, _ = pair
    with pytest.raises(NotPermitted, match=r"No study 000000000000 of this hub names 'north'"):
        north.decide("0" * 64, "approve")


def test_an_older_decision_does_not_replace_a_newer_one(pair):
    world, north, _ = pair
    study = world.current[0]
    north.decide(study, "pause")
    north.number -= 2
    north.decide(study, "approve")  # a late repetition of the first
    assert world.study(study)["waits_for"] == "Paused at north."
    north.number += 5
    north.decide(study, "approve")
    assert world.study(study)["waits_for"] == "Not heard just now: north, river."


def test_the_hub_s_answer_is_bound_to_the_question(pair):
    _, north, _ = pair
    content, nonce = messages.seal(Poll(1, 0, (), (), 0.0), north.home.key(), north.home.fingerprint())
    envelope = messages.unwrap(raw(north, "/site/poll", content).body)
    assert messages.verify(envelope, PollAnswer, north.line._hub_key, reply=nonce)
    with pytest.raises(NotPermitted, match="answers another request"):
        messages.verify(envelope, PollAnswer, north.line._hub_key, reply=b"x" * 16)
