"""What the hub answers over HTTPS: signed messages for sites, JSON with a token for investigators.

A site is known by its signature, an investigator by a bearer token that the hub keeps only as a hash.
Every refusal is a sentence; a refusal to a site is signed like any other answer and tells the hub's time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.engine import Connection
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from atoll.errors import AtollError, NotPermitted, StudyError, TooMany, Unreachable
from atoll.governance import signatures
from atoll.governance.states import ENDED
from atoll.hub import members, store, views
from atoll.hub.desk import LONGEST_WAIT
from atoll.hub.limits import network_of
from atoll.hub.service import Service, SiteKey
from atoll.network import messages
from atoll.network.http import MEDIA_TYPE
from atoll.network.messages import (
    CLOCK_SKEW,
    Decision,
    Envelope,
    Failure,
    Handover,
    Join,
    Message,
    Poll,
    Refusal,
    Renewal,
)
from atoll.version import VERSION

log = logging.getLogger("atoll.hub")
LARGEST_SHARE = 64 * 1_048_576  # bytes; a site's own policy is far stricter unless its data are public
LARGEST = 4 * 1_048_576
TICK = 60.0  # seconds between looks at the studies' dates

Endpoint = Callable[[Request], Awaitable[Response]]


class Fresh:
    """Nonces of the last minutes: a signed message is heard once."""

    def __init__(self) -> None:
        self._now: set[bytes] = set()
        self._before: set[bytes] = set()
        self._turned = time.monotonic()

    def check(self, envelope: Envelope) -> None:
        """Refuse a message that is too old, from the future, or was heard before."""
        if not abs(time.time() - envelope.when) <= CLOCK_SKEW:
            raise NotPermitted(
                "The clocks of hub and site differ too much.", "Set the clock that is wrong.", code="CLOCK"
            )
        if time.monotonic() - self._turned > 2 * CLOCK_SKEW:
            self._before, self._now, self._turned = self._now, set(), time.monotonic()
        if envelope.nonce in self._now or envelope.nonce in self._before:
            raise NotPermitted("This message was heard before.", "Nothing was done twice.", code="REPLAYED")
        self._now.add(envelope.nonce)


async def body_of(request: Request, largest: int) -> bytes:
    """The request's body, refused as soon as it is longer than allowed."""
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > largest:
                raise NotPermitted(f"A message has more than {largest:,} bytes.", "It was refused.", code="TOO_LARGE")
            parts.append(part)
    except ClientDisconnect as error:
        raise Unreachable("The other side left in the middle of a message.", "Nothing was done.") from error
    return b"".join(parts)


class SiteApi:
    """The sites' endpoints: verify, do, sign."""

    def __init__(self, service: Service):
        self._service, self._fresh = service, Fresh()

    def routes(self) -> list[BaseRoute]:
        """One path per kind of message."""
        s = self._service
        acts: dict[str, tuple[type[Message], Callable[..., Awaitable[Message]]]] = {
            "poll": (Poll, lambda site, message, _: s.poll(site, message)),
            "share": (Handover, lambda site, message, _: s.share(site, message)),
            "renew": (Renewal, lambda site, message, _: s.renew(site, message)),
            "failure": (Failure, lambda site, message, _: s.failure(site, message)),
            "decision": (Decision, s.decide),
        }
        paths = [
            Route(f"/site/{name}", self._endpoint(kind, act), methods=["POST"]) for name, (kind, act) in acts.items()
        ]
        return [*paths, Route("/site/join", self._join, methods=["POST"])]

    def _endpoint(self, kind: type[Message], act: Callable[[SiteKey, Any, bytes], Awaitable[Message]]) -> Endpoint:
        largest = LARGEST_SHARE if kind in (Handover, Poll) else LARGEST

        async def endpoint(request: Request) -> Response:
            reply = b""
            try:
                content = await body_of(request, largest)
                envelope = messages.unwrap(content)
                reply = envelope.nonce
                site = self._service.site_of(envelope.key)
                message = messages.verify(envelope, kind, site.public_key)
                self._service.limits.take("site", site.name)
                self._fresh.check(envelope)
                return self._answer(await act(site, message, content), reply)
            except AtollError as error:
                return self._refuse(error, reply)

        return endpoint

    async def _join(self, request: Request) -> Response:
        reply, address = b"", address_of(request)
        try:
            envelope = messages.unwrap(await body_of(request, LARGEST))
            reply = envelope.nonce
            self._service.limits.take("stranger", address)
            self._service.limits.failures.check(address)
            join = messages.decode(envelope.body, Join)
            if envelope.key != signatures.fingerprint(join.public_key):
                raise NotPermitted("The message is signed with another key than it shows.", "Join again.")
            messages.verify(envelope, Join, join.public_key)
            self._fresh.check(envelope)
            return self._answer(await self._service.join(join), reply)
        except AtollError as error:
            if error.code in ("CODE_UNKNOWN", "CODE_USED", "CODE_EXPIRED"):
                self._service.limits.failures.add(address)
                log.warning("a join failed from %s: %s", address, error.code)
            return self._refuse(error, reply)

    def _answer(self, message: Message, reply: bytes, status: int = 200) -> Response:
        identity = self._service.identity
        content, _ = messages.seal(message, identity.key, identity.fingerprint, reply=reply)
        return Response(content, status, media_type=MEDIA_TYPE)

    def _refuse(self, error: AtollError, reply: bytes) -> Response:
        answer = self._answer(Refusal(error.code, error.what, error.remedy, time.time()), reply, status_of(error))
        answer.headers.update(retry_after(error))
        return answer


def address_of(request: Request) -> str:
    """Where a request comes from, as it is counted."""
    return network_of(request.client.host) if request.client else ""


def retry_after(error: AtollError) -> dict[str, str]:
    """The header that tells in how many whole seconds the hub listens again."""
    return {"retry-after": str(max(1, math.ceil(error.wait)))} if isinstance(error, TooMany) else {}


def status_of(error: AtollError) -> int:
    """The HTTP status of a refusal."""
    if isinstance(error, TooMany):
        return 429
    if isinstance(error, Unreachable):
        return 503
    if error.code in ("UNKNOWN", "UNAUTHORISED"):
        return 404 if error.code == "UNKNOWN" else 401
    return 403 if isinstance(error, NotPermitted) else 422


def hash_token(token: str) -> str:
    """What the hub stores of an investigator's token, which is 256 random bits: a plain hash is enough."""
    return hashlib.sha256(b"atoll/1 token" + token.encode()).hexdigest()


class InvestigatorApi:
    """The investigators' endpoints: own studies and runs only."""

    def __init__(self, service: Service):
        self._service = service

    def routes(self) -> list[BaseRoute]:
        """Paths under /api."""
        gets: dict[str, Callable[[Request, store.Row], Awaitable[Any]]] = {
            "/api/sites": self._sites,
            "/api/runs": self._runs,
            "/api/studies/{study}": self._study,
            "/api/runs/{run}": self._run,
            "/api/runs/{run}/result": self._result,
        }
        return [
            Route("/api/hub", self._hub, methods=["GET"]),
            *(Route(path, self._json(act), methods=["GET"]) for path, act in gets.items()),
            Route("/api/studies", self._json(self._submit), methods=["POST"]),
            Route("/api/studies/{study}/stop", self._json(self._stop), methods=["POST"]),
            Route("/api/studies/{study}/events", self._events, methods=["GET"]),
        ]

    def _json(self, act: Callable[[Request, store.Row], Awaitable[Any]]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            try:
                return JSONResponse(await act(request, await self._who(request)), headers={"cache-control": "no-store"})
            except AtollError as error:
                return refused(error)

        return endpoint

    async def _who(self, request: Request) -> store.Row:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        found: store.Row | None = None
        if scheme.lower() == "bearer" and token:
            found = await self._service.read(lambda c: members.investigator_of(c, hash_token(token.strip())))
        if found is None:
            address, limits = address_of(request), self._service.limits
            limits.failures.check(address)  # what is right is never refused for what somebody else did
            limits.failures.add(address)
            raise NotPermitted(
                "The hub does not know this token.",
                "Ask the hub's operator for one (`atoll hub token NAME`).",
                code="UNAUTHORISED",
            )
        self._service.limits.take("investigator", found["name"])
        return found

    async def _hub(self, request: Request) -> Response:
        try:
            self._service.limits.take("stranger", address_of(request))
        except TooMany as error:
            return refused(error)
        identity = self._service.identity
        document = {"atoll": VERSION, "name": identity.name, "key": identity.fingerprint, "now": time.time()}
        return JSONResponse(document)

    async def _sites(self, request: Request, who: store.Row) -> Any:
        return await self._service.read(lambda c: views.sites(c, self._service.desk))

    async def _runs(self, request: Request, who: store.Row) -> Any:
        return await self._service.read(lambda c: views.runs(c, who["name"]))

    async def _submit(self, request: Request, who: store.Row) -> Any:
        return await self._service.submit(who, await body_of(request, LARGEST))

    async def _stop(self, request: Request, who: store.Row) -> Any:
        await self._service.stop(who, request.path_params["study"])
        return {"stopped": request.path_params["study"]}

    async def _study(self, request: Request, who: store.Row) -> Any:
        """A study; with `?version=N&wait=S` only once it differs from that version, or after S seconds."""
        name = request.path_params["study"]
        document = await self._own(lambda c: views.study(c, self._service.desk, name), who, f"study {name[:12]}")
        await self._hold(request, name)
        return (
            await self._service.read(lambda c: views.study(c, self._service.desk, name)) if _asks(request) else document
        )

    async def _run(self, request: Request, who: store.Row) -> Any:
        """A run; `version` and `wait` as for a study."""
        name = request.path_params["run"]
        document = await self._own(lambda c: views.run(c, self._service.desk, name), who, f"run {name}")
        await self._hold(request, document["study"])
        return (
            await self._service.read(lambda c: views.run(c, self._service.desk, name)) if _asks(request) else document
        )

    async def _result(self, request: Request, who: store.Row) -> Any:
        name = request.path_params["run"]
        await self._own(lambda c: store.run(c, name), who, f"run {name}")
        result = await self._service.read(lambda c: views.result(c, name))
        if result is None:
            raise StudyError(f"Run {name} has no result.", "See its state with `atoll study status`.", code="UNKNOWN")
        return result

    async def _own(self, query: Callable[[Connection], Any], who: store.Row, what: str) -> Any:
        found = await self._service.read(query)
        if found is None or found["investigator"] != who["name"]:
            raise NotPermitted(f"There is no {what} of yours.", "See `atoll study status`.", code="UNKNOWN")
        return found

    async def _hold(self, request: Request, study: str) -> None:
        if _asks(request):
            version, wait = int(request.query_params["version"]), request.query_params.get("wait", "")
            await self._service.desk.watch(study, version, float(wait) if wait.isdigit() else LONGEST_WAIT)

    async def _events(self, request: Request) -> Response:
        """A study's state as server-sent events, from now on until it has ended."""
        name = request.path_params["study"]
        try:
            who = await self._who(request)
            await self._own(lambda c: views.study(c, self._service.desk, name), who, f"study {name[:12]}")
        except AtollError as error:
            return refused(error)

        async def stream() -> AsyncIterator[bytes]:
            while True:
                document = await self._service.read(lambda c: views.study(c, self._service.desk, name))
                yield f"id: {document['version']}\ndata: {json.dumps(document)}\n\n".encode()
                if document["state"] in ENDED or self._service.desk.closing:
                    return
                await self._service.desk.watch(name, document["version"], LONGEST_WAIT)

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})


def _asks(request: Request) -> bool:
    """True when the request wants to wait for news."""
    return request.query_params.get("version", "").isdigit()


def refused(error: AtollError) -> Response:
    """A refusal as JSON."""
    names = ("code", "what", "remedy", "subject", "exit_code")
    document = {name: getattr(error, name) for name in names}
    return JSONResponse({"error": document, "now": time.time()}, status_of(error), retry_after(error))


async def _unknown(request: Request, error: Exception) -> Response:
    return refused(NotPermitted("There is nothing at this address.", "See /api/hub.", code="UNKNOWN"))


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse(
        {"error": {"code": "HUB_FAILED", "what": "The hub failed.", "remedy": "Its log says more."}}, 500
    )


def application(service: Service, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The hub as an ASGI application; `routes` are the pages, served beside the interfaces."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await service.start()
        ticking = asyncio.create_task(_ticks(service))
        yield
        ticking.cancel()
        await service.close()

    return Starlette(
        routes=[*SiteApi(service).routes(), *InvestigatorApi(service).routes(), *routes],
        exception_handlers={HTTPException: _unknown, Exception: _failed},
        lifespan=lifespan,
    )


async def _ticks(service: Service) -> None:
    while True:
        await asyncio.sleep(TICK)
        try:
            await service.tick()
        except AtollError as error:  # a store that is away for a minute: deadlines are looked at again
            log.error("%s", error)
