"""Sessions, forms and failed logins, by a clock that tests turn."""

import pytest

from atoll.errors import NotPermitted, TooMany
from atoll.ui import guard
from atoll.ui.guard import IDLE, LONGEST, Failures, Sessions


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_session_ends_half_an_hour_after_the_person_was_last_there(clock):
    sessions = Sessions(clock)
    cookie = sessions.begin("wang-fang", "proof")
    clock.now += IDLE - 1
    assert sessions.find(cookie).who == "wang-fang"
    clock.now += IDLE - 1
    assert sessions.find(cookie, active=False) is not None
    clock.now += 2
    assert sessions.find(cookie, active=False) is None


def test_a_session_ends_after_half_a_day_whatever_happens(clock):
    sessions = Sessions(clock)
    cookie = sessions.begin("wang-fang", "proof")
    for _ in range(int(LONGEST / 600) - 1):
        clock.now += 600
        assert sessions.find(cookie) is not None
    clock.now += 601
    assert sessions.find(cookie) is None


def test_a_cookie_is_long_is_kept_as_a_hash_and_ends_at_logout(clock):
    sessions = Sessions(clock)
    cookie, other = sessions.begin("a", "p"), sessions.begin("a", "p")
    assert cookie != other and len(cookie) >= 43
    assert cookie not in repr(sessions._sessions)
    sessions.end(cookie)
    assert sessions.find(cookie) is None and sessions.find(other) is not None
    assert sessions.find(None) is None and sessions.find("guess") is None


def test_a_cookie_goes_over_https_to_this_host_alone():
    said = guard.cookie(guard.COOKIE, "x")
    assert said == "__Host-atoll=x; Path=/; Secure; HttpOnly; SameSite=Strict"


OWN = {"sec-fetch-site": "same-origin", "origin": "https://hub:8443", "host": "hub:8443"}


@pytest.mark.parametrize(
    "headers",
    [
        OWN | {"sec-fetch-site": "cross-site"},
        OWN | {"sec-fetch-site": "same-site"},
        OWN | {"sec-fetch-site": "none"},
        OWN | {"origin": "https://evil.example"},
        OWN | {"origin": "null"},
        {"host": "hub:8443"},
    ],
)
def test_a_form_of_another_site_is_refused(headers):
    sessions = Sessions()
    with pytest.raises(NotPermitted, match=r"sent from another site\. Open Atoll's own page"):
        sessions.check_form(headers, "c", sessions.token("c"))


def test_a_form_needs_the_token_of_its_own_cookie():
    sessions = Sessions()
    sessions.check_form(OWN, "c", sessions.token("c"))
    sessions.check_form({"origin": "https://hub:8443", "host": "hub:8443"}, "c", sessions.token("c"))
    for cookie, token in (("c", sessions.token("d")), ("c", ""), (None, sessions.token("c"))):
        with pytest.raises(NotPermitted, match="This page is too old"):
            sessions.check_form(OWN, cookie, token)
    with pytest.raises(NotPermitted, match="too old"):
        Sessions().check_form(OWN, "c", sessions.token("c"))


def test_after_five_failures_an_address_waits_ten_minutes(clock):
    failures = Failures(clock)
    for _ in range(5):
        failures.check("10.0.0.1")
        failures.add("10.0.0.1")
    clock.now += 60
    with pytest.raises(TooMany, match=r"Too many attempts failed .* Wait ten minutes") as caught:
        failures.check("10.0.0.1")
    assert caught.value.wait == 540
    failures.check("10.0.0.2")
    clock.now += 541
    failures.check("10.0.0.1")


def test_memory_does_not_grow_with_strangers(clock, monkeypatch):
    monkeypatch.setattr(guard, "MOST", 10)
    failures, sessions = Failures(clock), Sessions(clock)
    for i in range(30):
        failures.add(str(i))
        sessions.begin("a", "p")
    assert len(failures._times) <= 10 and len(sessions._sessions) <= 10
