"""The hub's pages: login, studies, one run live, results, sites. Server-rendered; live parts come by long poll.

A page shows what the API would answer the same investigator (`hub/views.py`), in words: own studies only,
never a share. Nothing changes by GET; every form is checked to be our own.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from atoll.errors import AtollError, NotPermitted
from atoll.hub import members, store, stories
from atoll.hub.api import address_of, hash_token, retry_after, status_of
from atoll.hub.desk import LONGEST_WAIT
from atoll.hub.service import Service
from atoll.settings import Language
from atoll.ui import guard, layout, report
from atoll.ui.results import Result
from atoll.ui.words import Say, choose
from atoll.version import VERSION

log = logging.getLogger("atoll.hub")
TEMPLATES = Path(__file__).parent / "templates"
PLACES = {"/": "Studies", "/sites": "Hospitals"}
BREATH = 0.1  # seconds in which news gather before a page is told: a fast run would tell it a hundred times a second
YEAR = 365 * 86400
LARGEST = 16_384  # bytes of a form
NEXT = re.compile(r"/(sites|(runs|studies)/[0-9A-Za-z-]{1,96})?")


@dataclass(frozen=True)
class Visit:
    """A request with what is known of who asks."""

    request: Request
    cookie: str
    language: Language
    who: store.Row | None

    @property
    def name(self) -> str:
        """The investigator's name; empty before login."""
        return str(self.who["name"]) if self.who else ""

    @property
    def say(self) -> Say:
        """Into the visitor's language."""
        return Say(self.language)


Act = Callable[[Visit], Awaitable[Response]]


def routes(service: Service) -> list[BaseRoute]:
    """The pages, to be served beside the interfaces; the last route answers whatever else is asked."""
    return Pages(service).routes()


class Pages:
    """All pages of one hub."""

    def __init__(self, service: Service):
        self._service = service
        self._sessions = guard.Sessions()

    def routes(self) -> list[BaseRoute]:
        """Addresses of the pages."""
        gets: dict[str, Act] = {
            "/": self._home,
            "/sites": self._sites,
            "/studies/{study}": self._study,
            "/runs/{run}": self._run,
            "/runs/{run}/result.json": self._json,
            "/runs/{run}/result.csv": self._csv,
            "/runs/{run}/chart.svg": self._svg,
        }
        live: dict[str, Act] = {
            "/live": self._home_live,
            "/studies/{study}/live": self._study_live,
            "/runs/{run}/live": self._run_live,
        }
        posts: dict[str, Act] = {"/logout": self._logout, "/studies/{study}/stop": self._stop}
        return [
            Route("/static/{name}", self._asset, methods=["GET"]),
            Route("/login", self._endpoint(self._login_page, private=False), methods=["GET"]),
            Route("/login", self._endpoint(self._login, private=False, form=True), methods=["POST"]),
            Route("/language", self._endpoint(self._choose, private=False, form=True), methods=["POST"]),
            *(Route(path, self._endpoint(act), methods=["GET"]) for path, act in gets.items()),
            *(Route(path, self._endpoint(act, active=False), methods=["GET"]) for path, act in live.items()),
            *(Route(path, self._endpoint(act, form=True), methods=["POST"]) for path, act in posts.items()),
            Route("/{path:path}", self._endpoint(self._nothing, private=False), methods=["GET", "POST"]),
        ]

    # ---- every request

    def _endpoint(
        self, act: Act, *, private: bool = True, active: bool = True, form: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            given = request.cookies.get(guard.COOKIE)
            visit = Visit(request, given or self._sessions.visit(), _language(request), await self._who(given, active))
            try:
                limits = self._service.limits
                limits.take("page", visit.name) if visit.who else limits.take("stranger", address_of(request))
                if form:
                    _small(request)
                    token = str((await request.form()).get("token", ""))
                    self._sessions.check_form(request.headers, given, token)
                response = self._to_login(request) if private and visit.who is None else await act(visit)
            except HTTPException:
                raise
            except asyncio.CancelledError:  # the hub stops while a page waits for news
                return Response(status_code=503)
            except AtollError as error:
                response = await self._refused(visit, error)
            except Exception:
                log.exception("a page failed: %s", request.url.path)
                response = await self._refused(visit, AtollError("The hub failed.", "Its log says more."), 500)
            if given is None and guard.COOKIE not in response.headers.get("set-cookie", ""):
                response.headers.append("set-cookie", guard.cookie(guard.COOKIE, visit.cookie))
            response.headers.update(guard.PRIVATE)
            return response

        return endpoint

    async def _who(self, cookie: str | None, active: bool) -> store.Row | None:
        """Who is logged in; a session ends when the token that began it was replaced."""
        session = self._sessions.find(cookie, active=active)
        if session is None:
            return None
        proof = session.proof
        found: store.Row | None = await self._service.read(lambda c: members.investigator_of(c, proof))
        if found is None or found["name"] != session.who:
            self._sessions.end(cookie)
            return None
        return found

    def _to_login(self, request: Request) -> Response:
        if "hx-request" in request.headers:
            return Response(headers={"hx-redirect": "/login"})
        back = request.url.path if NEXT.fullmatch(request.url.path) else "/"
        return RedirectResponse("/login" + (f"?next={quote(back)}" if back != "/" else ""), 303)

    async def _page(self, visit: Visit, name: str, status: int = 200, **values: Any) -> Response:
        token = self._sessions.token(visit.cookie)
        hidden = Markup('<input type="hidden" name="token" value="{}">').format(token)
        path = visit.request.url.path
        common = {
            "who": visit.name,
            "hub": self._service.identity.name,
            "version": VERSION,
            "places": PLACES,
            "here": path,
            "path": path if NEXT.fullmatch(path) or path == "/login" else "/",
            "token": lambda: hidden,
        }
        text = await asyncio.to_thread(layout.render, TEMPLATES, name, visit.language, **common, **values)
        return HTMLResponse(text, status)

    async def _refused(self, visit: Visit, error: AtollError, status: int | None = None) -> Response:
        status = status or status_of(error)
        page = await self._page(visit, "error.html", status, what=error.what, remedy=error.remedy, number=status)
        page.headers.update(retry_after(error))
        return page

    async def _nothing(self, visit: Visit) -> Response:
        if visit.request.url.path.startswith(("/api/", "/site/")):
            raise HTTPException(404)
        raise NotPermitted("There is no page at this address.", "Go to the studies.", code="UNKNOWN")

    async def _asset(self, request: Request) -> Response:
        content = layout.assets().get(request.path_params["name"])
        if content is None:
            raise HTTPException(404)
        kind = layout.TYPES[Path(request.path_params["name"]).suffix]
        headers = {**guard.HEADERS, "cache-control": "public, max-age=31536000, immutable", "content-type": kind}
        return Response(content, headers=headers)

    # ---- coming and going

    async def _login_page(self, visit: Visit) -> Response:
        wanted = visit.request.query_params.get("next", "/")
        if visit.who is not None:
            return RedirectResponse(wanted if NEXT.fullmatch(wanted) else "/", 303)
        return await self._page(visit, "login.html", next=wanted, wrong="")

    async def _login(self, visit: Visit) -> Response:
        form, address, failures = await visit.request.form(), address_of(visit.request), self._service.limits.failures
        failures.check(address)
        proof, wanted = hash_token(str(form.get("access", "")).strip()), str(form.get("next", "/"))
        found = await self._service.read(lambda c: members.investigator_of(c, proof))
        if found is None:
            failures.add(address)
            log.warning("a login failed from %s", address)
            return await self._page(
                visit,
                "login.html",
                401,
                next=wanted,
                wrong=visit.say(
                    "The hub does not know this token. Its operator makes a new one with `atoll hub token NAME`."
                ),
            )
        self._sessions.end(visit.cookie)
        response = RedirectResponse(wanted if NEXT.fullmatch(wanted) else "/", 303)
        content = self._sessions.begin(str(found["name"]), proof)
        response.headers.append("set-cookie", guard.cookie(guard.COOKIE, content))
        return response

    async def _logout(self, visit: Visit) -> Response:
        self._sessions.end(visit.cookie)
        response = RedirectResponse("/login", 303)
        response.headers.append("set-cookie", guard.cookie(guard.COOKIE, "", 0))
        response.headers["clear-site-data"] = '"cache"'
        return response

    async def _choose(self, visit: Visit) -> Response:
        form = await visit.request.form()
        back = str(form.get("back", "/"))
        response = RedirectResponse(back if NEXT.fullmatch(back) or back == "/login" else "/", 303)
        chosen = choose(str(form.get("language", "")), "")
        response.headers.append("set-cookie", guard.cookie(guard.CHOICE, chosen, YEAR))
        return response

    # ---- studies and runs

    async def _home(self, visit: Visit) -> Response:
        return await self._page(visit, "home.html", **await self._list(visit))

    async def _list(self, visit: Visit) -> dict[str, Any]:
        version = self._service.desk.version_of(None)
        found = await self._service.read(lambda c: stories.studies(c, self._service.desk, visit.name, visit.say))
        return {"studies": found, "seen": version, "live": any(not stories.ended(s["state"]) for s in found)}

    async def _study(self, visit: Visit) -> Response:
        shown, name = await self._one_study(visit), visit.request.path_params["study"]
        definitions = await self._service.read(lambda c: stories.definitions(c, name, visit.say))
        return await self._page(visit, "study.html", definitions=definitions, **shown)

    async def _one_study(self, visit: Visit) -> dict[str, Any]:
        name = visit.request.path_params["study"]
        version = self._service.desk.version_of(name)
        found = await self._service.read(lambda c: stories.study(c, self._service.desk, name, visit.say))
        _own(found, visit)
        return {"study": found, "seen": version, "live": not stories.ended(found["state"])}

    async def _run(self, visit: Visit) -> Response:
        return await self._page(visit, "run.html", **await self._one_run(visit))

    async def _one_run(self, visit: Visit) -> dict[str, Any]:
        desk, name = self._service.desk, visit.request.path_params["run"]
        version = desk.version_of(await self._service.read(lambda c: store.study_of(c, name)))
        found = await self._service.read(lambda c: stories.run(c, desk, name, visit.say))
        _own(found, visit)
        shown = None
        if found["result"] is not None:
            shown = await asyncio.to_thread(report.report, found["result"], found["columns"], visit.say)
        return {"run": found, "shown": shown, "seen": version, "live": not stories.ended(found["state"])}

    async def _stop(self, visit: Visit) -> Response:
        study = visit.request.path_params["study"]
        assert visit.who is not None
        await self._service.stop(visit.who, study)
        return RedirectResponse(f"/studies/{quote(study)}", 303)

    async def _sites(self, visit: Visit) -> Response:
        found = await self._service.read(lambda c: stories.sites(c, self._service.desk))
        return await self._page(visit, "sites.html", sites=found, key=self._service.identity.fingerprint)

    # ---- live parts

    async def _home_live(self, visit: Visit) -> Response:
        await self._hold(visit, None)
        return await self._part(visit, "live_home.html", await self._list(visit))

    async def _study_live(self, visit: Visit) -> Response:
        await self._one_study(visit)
        await self._hold(visit, visit.request.path_params["study"])
        return await self._part(visit, "live_study.html", await self._one_study(visit))

    async def _run_live(self, visit: Visit) -> Response:
        name = visit.request.path_params["run"]
        found = await self._service.read(lambda c: store.run(c, name))
        _own(found, visit)
        await self._hold(visit, found["study"])
        return await self._part(visit, "live_run.html", await self._one_run(visit))

    async def _part(self, visit: Visit, name: str, values: Mapping[str, Any]) -> Response:
        """The part as it is now; at the end of what it shows, the whole page again, with its result."""
        if not values["live"] and name != "live_home.html":
            return Response(headers={"hx-refresh": "true"})
        return await self._page(visit, name, part=True, **values)

    async def _hold(self, visit: Visit, study: str | None) -> None:
        seen = visit.request.query_params.get("version", "")
        if not seen.isdigit():
            return
        if await self._service.desk.watch(study, int(seen), LONGEST_WAIT) != int(seen):
            await asyncio.sleep(BREATH)

    # ---- files

    async def _result(self, visit: Visit) -> tuple[str, dict[str, Any]]:
        found = (await self._one_run(visit))["run"]
        if found["result"] is None:
            raise NotPermitted("This run has no result.", "Its page says why.", code="UNKNOWN")
        name = re.sub(r"[^0-9A-Za-z_-]+", "-", f"{found['run']}-{found['analysis']}").strip("-")
        return name, found["result"]

    async def _json(self, visit: Visit) -> Response:
        name, document = await self._result(visit)
        return _file(Result(document).to_json(), "application/json", f"{name}.json")

    async def _csv(self, visit: Visit) -> Response:
        name, document = await self._result(visit)
        return _file(report.to_csv(document), "text/csv; charset=utf-8", f"{name}.csv")

    async def _svg(self, visit: Visit) -> Response:
        name, document = await self._result(visit)
        drawn = report.chart_of(document, visit.say)
        if drawn is None:
            raise NotPermitted("This result has no chart.", "Its table can be downloaded.", code="UNKNOWN")
        return _file(drawn.standalone(), "image/svg+xml", f"{name}.svg")


def _own(found: Mapping[str, Any] | None, visit: Visit) -> None:
    """The same sentence for what does not exist and what belongs to somebody else."""
    if found is None or found["investigator"] != visit.name:
        raise NotPermitted("You have no study or run at this address.", "Go to the studies.", code="UNKNOWN")


def _small(request: Request) -> None:
    """Our forms are short; a body without its length or with a large one is not read."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > LARGEST:
        raise NotPermitted("This form is too large.", "Open the page again and repeat what you did.")


def _language(request: Request) -> Language:
    return choose(request.cookies.get(guard.CHOICE), request.headers.get("accept-language", ""))


def _file(content: str, kind: str, name: str) -> Response:
    headers = {"content-type": kind, "content-disposition": f'attachment; filename="{name}"'}
    return Response(content.encode(), headers=headers)
