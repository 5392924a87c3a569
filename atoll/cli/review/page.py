"""Review on a page of this machine: the same journal, driven by the same keys.

The server listens on the loopback only; its address holds a random word, and requests for another host are refused, so
that neither other machines nor other pages of the browser can read or decide. It ends with Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from atoll.errors import AtollError
from atoll.ingest.terms.review import Item, Review
from atoll.settings import settings
from atoll.ui.guard import PRIVATE
from atoll.ui.layout import assets

HERE = Path(__file__).parent
KINDS = {
    "review.html": "text/html", "review.css": "text/css", "words.js": "text/javascript", "review.js": "text/javascript",
    "atoll.css": "text/css", "logo.svg": "image/svg+xml",
}  # fmt: skip
LARGEST = 10_000  # bytes of a decision


def application(review: Review, who: str, word: str, port: int) -> Starlette:
    """The page for one reviewer; `word` is the secret part of its address."""
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    def allowed(request: Request) -> bool:
        given = request.path_params.get("word", "")
        return request.headers.get("host") in hosts and secrets.compare_digest(given, word)

    async def file(request: Request) -> Response:
        name = request.path_params.get("name", "review.html")
        if not allowed(request) or name not in KINDS:
            return Response("Not found.", 404, PRIVATE)
        content = assets().get(name) or (HERE / name).read_bytes()
        return Response(content, 200, PRIVATE, f"{KINDS[name]}; charset=utf-8")

    async def state(request: Request) -> Response:
        undone = ""
        if not allowed(request):
            return Response("Not found.", 404, PRIVATE)
        if request.method == "POST":
            body = await request.body()
            if len(body) > LARGEST or request.headers.get("content-type") != "application/json":
                return Response("Not accepted.", 415, PRIVATE)
            try:
                undone = _act(review, who, json.loads(body))
            except (AtollError, ValueError, KeyError, TypeError) as error:
                said = str(error) if isinstance(error, AtollError) else "That is not a decision."
                return JSONResponse({"error": said}, 400, PRIVATE)
        review.refresh()
        asked = request.query_params.get("later", "")
        return JSONResponse(_state(review, who, undone, int(asked) if asked.isdecimal() else 0), 200, PRIVATE)

    return Starlette(
        routes=[
            Route("/{word}/", file),
            Route("/{word}/state", state, methods=["GET", "POST"]),
            Route("/{word}/{name}", file),
        ]
    )


def _act(review: Review, who: str, asked: dict[str, Any]) -> str:
    """Do what was asked; returns the key of a name whose decision was taken back."""
    if asked["do"] == "undo":
        undone = review.undo(who)
        return undone.key if undone else ""
    concept = int(asked["concept_id"])
    if concept < 0:
        raise ValueError("a concept id is not negative")
    review.decide(who, str(asked["item"]), concept)
    return ""


def _state(review: Review, who: str, undone: str, later: int) -> dict[str, Any]:
    """The next names and the one that was just undone; `later` of them wait."""
    waiting, most = review.open_for(who), 20 + min(later, 10_000)
    shown = [_shown(item) for at, item in enumerate(waiting) if at < most or item.key == undone]
    chosen = settings().language if settings().language_chosen else ""  # else the browser's
    return {"who": who, "language": chosen, **review.status(who), "undone": undone, "items": shown}


def _shown(item: Item) -> dict[str, Any]:
    return {
        "key": item.key,
        "name": item.name,
        "context": {key: value for key, value in item.context.items() if value},
        "candidates": [
            {"id": c.concept_id, "name": c.concept_name, "probability": c.probability, "reason": c.reason}
            for c in item.candidates[:9]
        ],
    }


def bound(port: int) -> socket.socket:
    """A loopback socket that listens, so that nobody who is told the address is turned away; port 0 is a free one."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    found.listen()
    return found


def serve(review: Review, who: str, port: int, say: Any) -> None:
    """Serve the page until Ctrl-C; `say` is told its address."""
    import uvicorn

    listener = bound(port)
    actual = listener.getsockname()[1]
    word = secrets.token_urlsafe(16)
    say(f"http://127.0.0.1:{actual}/{word}/")
    config = uvicorn.Config(
        application(review, who, word, actual), log_level="warning", timeout_graceful_shutdown=1, access_log=False
    )
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn hands on the Ctrl-C that ended it; the result is said next
        uvicorn.Server(config).run(sockets=[listener])
