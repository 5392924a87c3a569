"""A small real network for tests: hub and sites as programs of their own, over TLS on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atoll.governance import signatures
from atoll.hub.home import Home as HubHome
from atoll.hub.home import init, invite, new_token
from atoll.network.http import Connection
from atoll.site.home import Home as SiteHome
from atoll.site.home import join
from atoll.study.protocol import read

TOY = str(Path(__file__).with_name("toy.py"))
ROOT = str(Path(__file__).parents[2])

STUDY = """\
atoll: 1
title: {title}
purpose: To see that nothing is lost.
investigator: {{name: Wang Fang, organisation: City Hospital}}
sites:
{sites}
datasets:
  checkup: {{columns: {{age: {{type: number, unit: a}}}}}}
analyses:
{analyses}
valid: {{from: {first}, until: {last}}}
"""


class Program:
    """A hub or a site in a process of its own, which can be killed and started again."""

    def __init__(self, role: str, folder: Path, **environment: str):
        self.role, self.folder, self.environment = role, folder, environment
        self.process: subprocess.Popen[str] | None = None
        self.log = folder / "log.txt"

    def start(self) -> str:
        """Start it; its first line of output, once it is ready."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, TOY, self.role, str(self.folder)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": ROOT, **self.environment},
            )
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        """`kill -9`."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, as an operator does."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        code = process.wait(timeout=20)
        if process.stdout:
            process.stdout.close()
        return code

    def errors(self) -> str:
        """What it wrote to its log."""
        return self.log.read_text() if self.log.exists() else ""


class World:
    """A hub, its sites and an investigator in one folder."""

    def __init__(self, folder: Path, sites: tuple[str, ...] = ("north", "river", "south"), store_url: str = ""):
        self.folder, self.sites = folder, sites
        self.hub_home = init(folder / "hub", "https://127.0.0.1:0", store_url=store_url)
        self.hub = Program("hub", folder / "hub")
        self.url = self.hub.start()
        self._pin_port()
        self.token = new_token(self.hub_home, "wang-fang")
        self.key = signatures.new_key()
        self.homes: dict[str, SiteHome] = {}
        self.programs: dict[str, Program] = {}
        for site in sites:
            self.add_site(site)

    def _pin_port(self) -> None:
        """Keep the port that was free, so that the hub comes back at the same address after a kill."""
        path = self.hub_home.folder / "hub.json"
        config = json.loads(path.read_text())
        config |= {"url": self.url, "port": int(self.url.rpartition(":")[2])}
        path.write_text(json.dumps(config))
        self.hub_home = HubHome.open(self.hub_home.folder)

    def add_site(self, site: str) -> None:
        home = self.homes[site] = SiteHome.init(self.folder / site)
        join(home, invite(self.hub_home, site))
        self.programs[site] = Program("site", home.folder)

    def start_sites(self) -> None:
        for program in self.programs.values():
            assert program.start() == "ready", program.errors()

    def close(self) -> None:
        for program in [*self.programs.values(), self.hub]:
            program.kill()

    # ---- the investigator

    def signed(self, analyses: dict[str, dict[str, Any]], title: str = "Toy", days: int = 30) -> signatures.SignedStudy:
        today = datetime.now(UTC).date()
        text = STUDY.format(
            title=title,
            sites="\n".join(f"  {name}: {{key: '{home.fingerprint()}'}}" for name, home in self.homes.items()),
            analyses="\n".join(
                f"  {name}: {json.dumps({'algorithm': 'toy', 'dataset': 'checkup', **options})}"
                for name, options in analyses.items()
            ),
            first=today - timedelta(days=1),
            last=today + timedelta(days=days),
        )
        return signatures.sign_study(read(text), self.key)

    def connection(self) -> Connection:
        return Connection(self.url, authority=self.hub_home.authority())

    def api(
        self, method: str, path: str, content: bytes = b"", *, token: str | None = None, wait: float = 0
    ) -> tuple[int, Any]:
        connection = self.connection()
        try:
            headers = {"authorization": f"Bearer {token or self.token}"}
            answer = connection.request(method, path, content=content, headers=headers, wait=wait)
        finally:
            connection.close()
        return answer.status, json.loads(answer.body)

    def submit(self, signed: signatures.SignedStudy) -> tuple[str, list[str]]:
        """The study's hash and its runs, in their order."""
        status, document = self.api("POST", "/api/studies", signed.to_bytes())
        assert status == 200, document
        return document["study"], list(document["runs"].values())

    def study(self, name: str) -> dict[str, Any]:
        status, document = self.api("GET", f"/api/studies/{name}")
        assert status == 200, document
        return document

    def run(self, name: str) -> dict[str, Any]:
        status, document = self.api("GET", f"/api/runs/{name}")
        assert status == 200, document
        return document

    def result(self, name: str) -> dict[str, Any]:
        status, document = self.api("GET", f"/api/runs/{name}/result")
        assert status == 200, document
        return document

    # ---- the steward

    def decide(self, site: str, study: str, action: str) -> None:
        """As `atoll site approve` does: in another process than the agent's, then a knock at its pipe."""
        store = self.homes[site].store()
        try:
            wait_until(lambda: any(row["hash"] == study for row in store.studies()))
            store.decide(study, action)
        finally:
            store.close()
        self.homes[site].wake()

    def approve_all(self, study: str) -> None:
        for site in self.homes:
            self.decide(site, study, "approve")

    def wait_for(self, run: str, *states: str, seconds: float = 60.0) -> dict[str, Any]:
        """The run once it is in one of these states, through any number of restarts."""
        document: dict[str, Any] = {}

        def there() -> bool:
            with contextlib.suppress(Exception):
                document.update(self.run(run))
            return document.get("state") in states

        wait_until(there, seconds)
        return document


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Look until it is so; a test that waits longer has failed."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
