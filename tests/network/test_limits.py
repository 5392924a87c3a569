"""One client cannot keep the hub busy alone: 429 with Retry-After, which sites and researchers obey."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

import atoll
from atoll.errors import NotPermitted, TooMany
from atoll.hub import limits
from atoll.hub.home import invite, new_token
from atoll.hub.limits import Limits, network_of
from atoll.network import http
from atoll.network.invitation import Invitation, from_code, to_code
from atoll.site.home import Home, join
from tests.network.puppet import Puppet
from tests.network.world import World, check_books, undisturbed


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=200))
def test_no_client_gets_more_than_its_burst_and_its_rate(pauses):
    """At every moment: counted ≤ burst + rate × elapsed; and who waits for as long as is told is let in."""
    clock, counted = Clock(), 0
    bucket = Limits(clock)
    rate = limits.RATES["page"]
    for pause in pauses * 5:
        clock.now += pause / 50
        try:
            bucket.take("page", "li-na")
            counted += 1
        except TooMany as error:
            assert 0.0 < error.wait <= 1.0 / rate.per_second + 1e-9
            clock.now += error.wait + 1e-6
            bucket.take("page", "li-na")
            counted += 1
        assert counted <= rate.burst + rate.per_second * clock.now + 1e-6
    bucket.take("page", "wang-fang")  # another client is not disturbed


def test_memory_does_not_grow_with_strangers(monkeypatch):
    monkeypatch.setattr(limits, "MOST", 10)
    bucket = Limits(Clock())
    for number in range(30):
        bucket.take("stranger", str(number))
    assert len(bucket._buckets) <= 10


def test_a_network_of_ipv6_counts_as_one_address():
    assert network_of("2001:db8:1:2:aaaa::1") == network_of("2001:db8:1:2:bbbb::9") != network_of("2001:db8:1:3::1")
    assert (network_of("10.0.0.1"), network_of("somebody")) == ("10.0.0.1", "somebody")


@pytest.fixture
def world(tmp_path, nursery):
    """A hub that lets a client ask ten times at once and five times a second."""
    made = World(nursery, tmp_path, sites=("north", "river"), roles=("narrow", "site"))
    yield made
    made.close()


def asked(world, times, path="/api/runs", token=None, **options):
    """Statuses of so many requests one after another, by a client that does not obey."""
    with closing(world.connection()) as connection:
        headers = {"authorization": f"Bearer {token or world.token}"}
        return [connection._send("GET", path, b"", headers, 0.0, options) for _ in range(times)]


def test_a_client_that_asks_too_often_is_told_when_to_come_back(world):
    answers = asked(world, 40)
    refused = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} == {200, 429}
    assert all(answer.retry_after == 1.0 for answer in refused), "whole seconds, at least one"
    assert b"Ask less often; nothing was done." in refused[0].body and b"TOO_MANY" in refused[0].body
    other = new_token(world.hub_home, "li-na")
    assert asked(world, 1, token=other)[0].status == 200, "another investigator is not disturbed"


def test_an_unknown_caller_is_counted_by_address(world):
    assert {answer.status for answer in asked(world, 40, "/api/hub", token="none")} == {200, 429}
    assert asked(world, 1)[0].status == 200, "whoever has proved who they are, is not"


def test_the_researchers_client_obeys(world):
    hub = atoll.Hub(world.url, token=world.token, authority=world.hub_home.files.authority)
    assert [hub.runs() for _ in range(25)] == [[]] * 25
    hub._connection.close()


def test_a_long_wait_is_told_to_the_researcher(world, monkeypatch):
    monkeypatch.setattr(http, "SHORT", 0.0)
    hub = atoll.Hub(world.url, token=world.token, authority=world.hub_home.files.authority)
    with pytest.raises(TooMany, match=r"requests a second came from here\. Ask less often") as caught:
        for _ in range(40):
            hub.runs()
    assert (caught.value.wait, caught.value.exit_code) == (1.0, 15)
    hub._connection.close()


def test_a_site_obeys_and_nothing_is_lost_or_counted_twice(world, monkeypatch):
    """Sites whose every round is quick run into the limit; the result is the undisturbed one."""
    puppet = Puppet(world, "north")
    with monkeypatch.context() as patch, pytest.raises(TooMany, match="Ask less often"):
        patch.setattr(http, "SHORT", 0.0)
        for _ in range(40):
            puppet.poll()
    puppet.close()
    world.start_sites()
    study, (run,) = world.submit(world.signed({"quick": {"rounds": 25}}))
    world.approve_all(study)
    assert world.wait_for(run, "finished", "failed")["state"] == "finished"
    assert world.result(run)["hex"] == undisturbed(world, 25)
    check_books(world, run, 25)
    assert not any("Traceback" in program.log() for program in world.programs.values())


def test_wrong_join_codes_are_limited_harder_and_then_not_even_a_right_one_is_looked_at(world, tmp_path):
    code = invite(world.hub_home, "south")
    invitation = from_code(code)
    homes = [Home.init(tmp_path / f"try-{number}") for number in range(6)]
    for number, home in enumerate(homes[:5]):
        wrong = Invitation(invitation.url, invitation.authority, invitation.hub_key, bytes([number] * 16))
        with pytest.raises(NotPermitted, match="The hub does not know this join code"):
            join(home, to_code(wrong))
    with pytest.raises(TooMany, match=r"Too many attempts failed from this address\. Wait ten minutes") as caught:
        join(homes[5], code)
    assert 500 < caught.value.wait <= 600
    assert "a join failed from 127.0.0.1: CODE_UNKNOWN" in world.hub.log()
    assert asked(world, 1)[0].status == 200, "who has joined, or has a token, goes on"


def test_wrong_tokens_are_limited_and_a_right_one_is_still_heard(world):
    answers = asked(world, 8, token="guess")
    assert [answer.status for answer in answers] == [401] * 5 + [429] * 3
    assert answers[-1].retry_after > 500
    assert asked(world, 1)[0].status == 200


def test_many_clients_at_once_are_all_served_in_the_end(world):
    tokens = [new_token(world.hub_home, f"person-{number}") for number in range(4)]
    found = []

    def work(token):
        hub = atoll.Hub(world.url, token=token, authority=world.hub_home.files.authority)
        found.append([hub.runs() for _ in range(15)])
        hub._connection.close()

    threads = [threading.Thread(target=work, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[[]] * 15] * 4
