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

from atoll.algorithms.program import Asked
from atoll.governance import ledger, signatures
from atoll.hub import store as hub_store
from atoll.hub.home import Home as HubHome
from atoll.hub.home import init, invite, new_token
from atoll.network.http import Connection
from atoll.privacy.statistics import combine
from atoll.site.home import Home as SiteHome
from atoll.site.home import join
from atoll.study.protocol import read
from tests.network import toy

TOY = str(Path(__file__).with_name("toy.py"))
ROOT = str(Path(__file__).parents[2])

DATASETS = """\
datasets:
  checkup: {columns: {age: {type: number, unit: a}}}
"""
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


class Nursery:
    """A process that has imported everything and forks hubs and sites."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, TOY, "nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ROOT},
        )

    def fork(self, role: str, folder: Path, shift: float) -> int:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{role} {folder} {shift}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


class Program:
    """A hub or a site in a process of its own, which can be killed and started again. `shift` moves its clock."""

    def __init__(self, nursery: Nursery, role: str, folder: Path):
        self.nursery, self.role, self.folder, self.shift = nursery, role, folder, 0.0
        self.pid = 0

    def start(self) -> str:
        """Start it; its line of output, once it is ready. Empty when it ended instead."""
        output = self.folder / "out.txt"
        output.unlink(missing_ok=True)
        self.pid = self.nursery.fork(self.role, self.folder, self.shift)
        wait_until(lambda: (output.exists() and output.read_text().endswith("\n")) or not self.alive())
        return output.read_text().strip() if output.exists() else ""

    def alive(self) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return True
        return False

    def kill(self) -> None:
        """`kill -9`."""
        self.signal(signal.SIGKILL)
        wait_until(lambda: not self.pid or not self.alive())

    def signal(self, number: int) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def log(self) -> str:
        """What it wrote to its log."""
        path = self.folder / "log.txt"
        return path.read_text() if path.exists() else ""


class World:
    """A hub, its sites and an investigator in one folder."""

    def __init__(
        self,
        nursery: Nursery,
        folder: Path,
        sites: tuple[str, ...] = ("north", "river", "south"),
        store_url: str = "",
        roles: tuple[str, str] = ("hub", "site"),
    ):
        self.folder, self.sites, self.nursery = folder, sites, nursery
        self.hub_home = init(folder / "hub", "https://127.0.0.1:0", store_url=store_url)
        self.hub, self.role = Program(nursery, roles[0], folder / "hub"), roles[1]
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
        self.programs[site] = Program(self.nursery, self.role, home.folder)

    def start_sites(self) -> None:
        for program in self.programs.values():
            assert program.start() == "ready", program.log()

    def close(self) -> None:
        for program in [*self.programs.values(), self.hub]:
            program.kill()

    # ---- the investigator

    def signed(self, analyses: dict[str, dict[str, Any]], title: str = "Toy", days: int = 30) -> signatures.SignedStudy:
        lines = "\n".join(
            f"  {name}: {json.dumps({'algorithm': 'toy', 'dataset': 'checkup', **options})}"
            for name, options in analyses.items()
        )
        return self.study_of(DATASETS, lines, title, days)

    def study_of(self, datasets: str, analyses: str, title: str = "Models", days: int = 30) -> signatures.SignedStudy:
        """A signed study of all sites, with the text of its datasets and analyses."""
        today = datetime.now(UTC).date()
        text = STUDY.format(
            title=title,
            sites="\n".join(f"  {name}: {{key: '{home.fingerprint()}'}}" for name, home in self.homes.items()),
            analyses=analyses,
            first=today - timedelta(days=1),
            last=today + timedelta(days=days),
        ).replace(DATASETS, datasets)
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

        try:
            wait_until(there, seconds)
        except AssertionError as error:
            raise AssertionError(f"{run} is {document}; {self.condition()}") from error
        return document

    def condition(self) -> str:
        """Who is alive, and the last lines of everybody's log: a rare failure is seen once."""
        programs = {"hub": self.hub, **self.programs}
        return "\n".join(
            f"--- {name} is {'alive' if program.alive() else 'dead'}\n{program.log()[-3000:]}"
            for name, program in programs.items()
        )


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Look until it is so; a test that waits longer has failed."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def undisturbed(world: World, rounds: int) -> str:
    """The toy's result over all sites of a world, computed here: the bits that every run must have."""
    answer = None
    program = toy.toy(Asked("toy", {"rounds": rounds}, {}, tuple(sorted(world.homes)), False))
    while True:
        try:
            question = program.send(answer)
        except StopIteration as finished:
            return str(finished.value["hex"])
        seeds = {site: float(sum(site.encode())) for site in world.homes}
        answer = combine({site: toy.step.on(seed, **question.arguments) for site, seed in seeds.items()})


def check_books(world: World, run: str, rounds: int) -> None:
    """Every share was counted once and is the one the site wrote down; every ledger is whole."""
    hub = world.hub_home.store()
    with hub.reading() as connection:
        shares = hub_store.shares_of(connection, run)
    hub.close()
    assert sorted((s["round"], s["site"]) for s in shares) == sorted(
        (round, site) for round in range(rounds) for site in world.homes
    )
    for site, home in world.homes.items():
        store = home.store()
        entries = store.entries()
        store.close()
        assert ledger.verify(entries) is None
        left = {(e.run, e.round, e.attempt): e for e in entries if e.kind == "share"}
        assert len(left) == len([e for e in entries if e.kind == "share"]), "a share was written down twice"
        for share in (s for s in shares if s["site"] == site):
            entry = left[(run, share["round"], share["attempt"])]
            assert (entry.number, entry.hash) == (share["ledger_number"], share["ledger_head"])
