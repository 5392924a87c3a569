"""Who may see a page, and what a browser may do with it: headers, sessions, tokens of forms, failed logins.

A session is known by 256 random bits in a cookie that only HTTPS sends, no script reads and no other site
can cause to be sent; the server keeps its hash, in memory. It ends 30 minutes after the person last asked
for a page (what a page asks for by itself does not count), 12 hours after login, at logout, and with the program.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from atoll.errors import NotPermitted, TooMany

COOKIE = "__Host-atoll"
CHOICE = "__Host-atoll-language"
IDLE, LONGEST = 30 * 60.0, 12 * 3600.0  # seconds
FAILURES, FORGOTTEN = 5, 10 * 60.0  # so many failures from one address within so many seconds
MOST = 10_000  # sessions and addresses that are remembered at once
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "strict-transport-security": "max-age=31536000",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
PRIVATE: Mapping[str, str] = {**HEADERS, "cache-control": "no-store"}


@dataclass
class Session:
    """Who logged in, with the hash of the token that proved it."""

    who: str
    proof: str
    began: float
    seen: float


@dataclass
class Sessions:
    """Sessions of one program, by the hash of their cookie."""

    clock: Callable[[], float] = time.monotonic
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _sessions: dict[bytes, Session] = field(default_factory=dict)

    def begin(self, who: str, proof: str) -> str:
        """A new session; returns the content of its cookie."""
        self._tidy()
        cookie, now = secrets.token_urlsafe(32), self.clock()
        self._sessions[_hash(cookie)] = Session(who, proof, now, now)
        return cookie

    def find(self, cookie: str | None, *, active: bool = True) -> Session | None:
        """The living session of a cookie; `active` when a person asked, not the page by itself."""
        if not cookie:
            return None
        session, now = self._sessions.get(_hash(cookie)), self.clock()
        if session is None or not self._lives(session, now):
            self.end(cookie)
            return None
        if active:
            session.seen = now
        return session

    def end(self, cookie: str | None) -> None:
        """Log out."""
        if cookie:
            self._sessions.pop(_hash(cookie), None)

    def _lives(self, session: Session, now: float) -> bool:
        return now - session.seen < IDLE and now - session.began < LONGEST

    def _tidy(self) -> None:
        now = self.clock()
        self._sessions = {key: s for key, s in self._sessions.items() if self._lives(s, now)}
        while len(self._sessions) >= MOST:
            self._sessions.pop(next(iter(self._sessions)))

    # ---- forms

    def visit(self) -> str:
        """A cookie for someone who has not logged in: forms need one."""
        return secrets.token_urlsafe(32)

    def token(self, cookie: str) -> str:
        """What a form on a page of this cookie carries."""
        return hmac.new(self._secret, b"atoll form " + cookie.encode(), hashlib.sha256).hexdigest()

    def check_form(self, headers: Mapping[str, str], cookie: str | None, token: str) -> None:
        """Return when a form comes from one of our own pages.

        Raises
        ------
        NotPermitted
            When another site sent it, or its page is too old.
        """
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        foreign = site not in (None, "same-origin") or (
            origin is not None and origin.split("://")[-1].lower() != headers.get("host", "").lower()
        )
        if foreign or (site is None and origin is None):
            raise NotPermitted("This form was sent from another site.", "Open Atoll's own page and try again.")
        if not cookie or not hmac.compare_digest(self.token(cookie), token):
            raise NotPermitted("This page is too old.", "Open it again and repeat what you did.")


@dataclass
class Failures:
    """What failed, by address: after five logins, join codes or tokens, none is looked at for ten minutes."""

    clock: Callable[[], float] = time.monotonic
    _times: dict[str, list[float]] = field(default_factory=dict)

    def add(self, address: str) -> None:
        """A login, a join code or a token was wrong."""
        if len(self._times) >= MOST and address not in self._times:
            self._times.pop(next(iter(self._times)))
        self._times[address] = [*self._recent(address), self.clock()][-FAILURES:]

    def check(self, address: str) -> None:
        """Return when this address may try.

        Raises
        ------
        TooMany
            After too many failures.
        """
        recent = self._recent(address)
        if len(recent) >= FAILURES:
            wait = recent[0] + FORGOTTEN - self.clock()
            raise TooMany("Too many attempts failed from this address.", "Wait ten minutes, then try again.", wait=wait)

    def _recent(self, address: str) -> list[float]:
        now = self.clock()
        return [when for when in self._times.get(address, []) if now - when < FORGOTTEN]


def cookie(name: str, value: str, seconds: int | None = None) -> str:
    """The header that sets a cookie; without `seconds` it ends with the browser."""
    age = f"; Max-Age={seconds}" if seconds is not None else ""
    return f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{age}"


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()
