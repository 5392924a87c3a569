"""The calling side of HTTPS: sites and researchers call the hub, never the other way.

One private authority is trusted when it is given, a proxy is used when it is given, and whatever goes
wrong becomes a sentence that says who must do what.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from atoll.errors import AtollError, NotPermitted, OperatorError, TooMany, Unreachable
from atoll.governance.signatures import PrivateKey
from atoll.network import messages
from atoll.network.certificates import client_context
from atoll.network.messages import CLOCK_SKEW, M, Message, Refusal

MEDIA_TYPE = "application/vnd.atoll+msgpack"
CONNECT = 10.0  # seconds
SHORT = 5.0  # seconds that are waited at once when the hub asks for it
STALLED = 30.0  # seconds without a byte; a transfer that progresses never times out


@dataclass(frozen=True)
class Answer:
    """Status, media type, body and wish of a response."""

    status: int
    media_type: str
    body: bytes
    retry_after: float = 0.0  # seconds that the hub asks to wait, with status 429


class Connection:
    """A kept-alive HTTPS connection to one hub. Safe to share between threads."""

    def __init__(self, url: str, *, authority: bytes | None = None, proxy: str | None = None):
        if not url.startswith("https://"):
            raise OperatorError(f"The hub's address {url!r} does not begin with https://.", "Atoll speaks TLS only.")
        self.url, self.proxy = url.rstrip("/"), proxy
        self._urls: dict[str, httpx2.URL] = {}
        try:
            self._url("/")
            self._client = httpx2.Client(
                verify=client_context(authority),
                proxy=httpx2.Proxy(proxy) if proxy else None,
                trust_env=False,
                timeout=httpx2.Timeout(STALLED, connect=CONNECT, pool=None),
                limits=httpx2.Limits(keepalive_expiry=60.0),
            )
        except (ssl.SSLError, ValueError, httpx2.InvalidURL) as error:
            raise OperatorError(f"The hub's address, its authority or the proxy cannot be used: {error}.") from error

    def close(self) -> None:
        """Close all sockets."""
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
        wait: float = 0.0,
        **options: Any,
    ) -> Answer:
        """Send one request. `wait` is how many seconds the hub may hold it before it answers.

        When the hub wants to be asked less often, it is obeyed: a short while is waited here, a longer one is left to
        the caller, with status 429 and `retry_after`.

        Raises
        ------
        Unreachable
            When nobody answers; trying again later is safe.
        OperatorError
            When certificate, address or proxy are wrong; trying again does not help.
        """
        waited = 0.0
        while True:
            answer = self._send(method, path, content, headers, wait, options)
            if answer.status != 429 or waited + answer.retry_after > SHORT:
                return answer
            time.sleep(answer.retry_after)
            waited += answer.retry_after

    def _send(
        self,
        method: str,
        path: str,
        content: bytes,
        headers: dict[str, str] | None,
        wait: float,
        options: dict[str, Any],
    ) -> Answer:
        timeout = httpx2.Timeout(STALLED + wait, connect=CONNECT, pool=None)
        try:
            response = self._client.request(
                method, self._url(path), content=content or None, headers=headers, timeout=timeout, **options
            )
        except httpx2.HTTPError as error:
            raise self._sentence(error) from error
        asked = response.headers.get("retry-after", "")
        after = float(asked) if asked.isdigit() else 1.0  # a date, or nothing at all, from a proxy
        kind = response.headers.get("content-type", "")
        return Answer(response.status_code, kind, response.content, after if response.status_code == 429 else 0.0)

    def _url(self, path: str) -> httpx2.URL:
        """Parsed once: parsing an address costs as much as a signature."""
        if path not in self._urls:
            if len(self._urls) > 100:
                self._urls.clear()
            self._urls[path] = httpx2.URL(self.url + path)
        return self._urls[path]

    def _sentence(self, error: httpx2.HTTPError) -> AtollError:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLError):
                return self._tls_sentence(cause)
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx2.ProxyError):
            return Unreachable(
                f"The proxy {self._shown_proxy()} refused the way to {self.url}: {error}.",
                "Ask the network's operator to allow this address, or correct HTTPS_PROXY.",
                code="PROXY_REFUSED",
            )
        if isinstance(error, httpx2.TimeoutException):
            return Unreachable(f"The hub {self.url} does not answer.", "Nothing is lost; try again later.")
        return self._away()

    def _away(self) -> Unreachable:
        through = f" through the proxy {self._shown_proxy()}" if self.proxy else ""
        return Unreachable(
            f"The hub {self.url} cannot be reached{through}.",
            "Nothing is lost; try again later. If it stays so, check the address, the port and the firewall.",
        )

    def _shown_proxy(self) -> str:
        """The proxy without the password that its address may hold."""
        parts = urlsplit(self.proxy or "")
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def _tls_sentence(self, error: ssl.SSLError) -> AtollError:
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):  # it ended in the middle of a greeting
            return self._away()
        reason = getattr(error, "verify_message", "") or str(error.reason or error)
        if not isinstance(error, ssl.SSLCertVerificationError):
            return OperatorError(
                f"{self.url} does not speak TLS as Atoll does ({reason}).",
                "Check address and port: another program may answer there.",
                code="NOT_A_HUB",
            )
        if "not yet valid" in reason or "expired" in reason:
            return OperatorError(
                f"The certificate of {self.url} is not valid now ({reason}).",
                "Set this machine's clock; if it is right, the hub's operator renews the certificate.",
                code="CERTIFICATE",
            )
        if "match" in reason or "mismatch" in reason:
            return OperatorError(
                f"The certificate of {self.url} is for another name ({reason}).",
                "Use the name in the join code, or let the hub's operator add this one with `atoll hub init --host`.",
                code="CERTIFICATE",
            )
        return OperatorError(
            f"{self.url} shows a certificate of another authority than the one trusted here ({reason}).",
            "Do not go on. An investigator gives the hub's ca.pem with --authority; a site asks the hub's operator "
            "whether the authority changed.",
            code="WRONG_AUTHORITY",
        )


class SignedLine:
    """A site's line to its hub: every message signed, every answer's signature checked against the pinned key."""

    def __init__(self, connection: Connection, key: PrivateKey, fingerprint: str, hub_key: bytes):
        self.connection, self._key, self._fingerprint, self._hub_key = connection, key, fingerprint, hub_key

    def ask(self, path: str, message: Message, answer: type[M], *, wait: float = 0.0) -> M:
        """Send a message and return the hub's answer.

        Raises
        ------
        NotPermitted, OperatorError, Unreachable
            With the hub's own sentence when it refused.
        """
        content, nonce = messages.seal(message, self._key, self._fingerprint)
        response = self.connection.request(
            "POST", path, content=content, headers={"content-type": MEDIA_TYPE}, wait=wait
        )
        if response.media_type != MEDIA_TYPE:
            raise self._not_a_hub(response)
        envelope = messages.unwrap(response.body)
        if response.status != 200:
            refusal = messages.verify(envelope, Refusal, self._hub_key, reply=nonce)
            raise too_many(response, refusal.what, refusal.remedy) or refused(refusal)
        return messages.verify(envelope, answer, self._hub_key, reply=nonce)

    def _not_a_hub(self, response: Answer) -> AtollError:
        if response.status >= 500:
            return Unreachable(
                f"{self.connection.url} answers with status {response.status}.", "Nothing is lost; try again later."
            )
        return OperatorError(
            f"{self.connection.url} is no Atoll hub: it answers {response.media_type or 'nothing'} "
            f"with status {response.status}.",
            "Check address and port; a proxy's own page can also be the cause.",
            code="NOT_A_HUB",
        )


def too_many(answer: Answer, what: str, remedy: str) -> TooMany | None:
    """The hub's wish to be asked less often, when the answer is one."""
    return TooMany(what, remedy, wait=answer.retry_after) if answer.status == 429 else None


def refused(refusal: Refusal, *, now: float | None = None) -> AtollError:
    """The hub's refusal as an exception that says who must act."""
    if refusal.code == "CLOCK":
        return OperatorError(*clock_sentence((time.time() if now is None else now) - refusal.now), code="CLOCK")
    if refusal.code == "UNREACHABLE":
        return Unreachable(refusal.what, refusal.remedy)
    return NotPermitted(refusal.what, refusal.remedy, code=refusal.code)


def clock_sentence(ahead: float) -> tuple[str, str]:
    """What to say when this machine's clock is so many seconds ahead of the hub's."""
    minutes = max(1, round(abs(ahead) / 60))
    amount = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
    return (
        f"This machine's clock is {amount} {'ahead of' if ahead > 0 else 'behind'} the hub's; "
        f"at most {CLOCK_SKEW // 60} min are allowed.",
        "Set the clock (time synchronisation, NTP) on the machine that is wrong.",
    )
