"""The demo's six programs: a hub and five sites, each a process with a folder of its own, over TLS on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from atoll.errors import OperatorError
from atoll.hub import home as hub
from atoll.site.datasets import Registry
from atoll.site.home import Home, join
from atoll.study.dictionary import Dictionary

PORT = 8443
PATIENCE = 30.0  # seconds for a program to start, or a study to arrive


@dataclass
class Programs:
    """The running processes, ended in the order in which they were started."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *words: str) -> str:
        """Start `atoll …` and return the first line that it prints."""
        with (self.folder / "log.txt").open("a", encoding="utf-8") as log:
            process = subprocess.Popen(  # noqa: S603 (our own interpreter and words)
                [sys.executable, "-m", "atoll", *words],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            raise OperatorError(f"`atoll {' '.join(words)}` did not start.", f"Its log is {self.folder / 'log.txt'}.")
        return line

    def stop(self) -> None:
        """End all of them, gently first."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def make_hub(folder: Path, port: int) -> hub.Home:
    """A hub that listens on loopback."""
    return hub.init(
        folder / "hub", f"https://localhost:{port}", name="Atoll demo", hosts=("127.0.0.1",), host="127.0.0.1"
    )


def free_port() -> int:
    """The usual port when it is free, else any."""
    for wanted in (PORT, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    raise OperatorError("No port of this machine is free.", "Stop some programs.")


def make_site(folder: Path, code: str) -> Home:
    """A site that has joined the hub."""
    home = Home.init(folder / "site")
    join(home, code)
    return home


def register(home: Home, files: Mapping[str, Path], columns: Dictionary, public: str = "") -> int:
    """Register a hospital's files (by dataset name) under a dictionary; returns the number of rows."""
    store = home.store()
    try:
        registry = Registry(home, store)
        return sum(registry.add(n, str(path), columns=columns, public=public).rows for n, path in files.items())
    finally:
        store.close()


def approve(homes: Sequence[Home], study: str) -> None:
    """Every steward approves, as soon as the study has arrived at the hospital.

    Raises
    ------
    OperatorError
        When it does not arrive.
    """
    for home in homes:
        store = home.store()
        try:
            ends = time.monotonic() + PATIENCE
            while not any(row["hash"] == study for row in store.studies()):
                if time.monotonic() > ends:
                    raise OperatorError(f"The study did not arrive at {home.folder}.", "See log.txt beside it.")
                time.sleep(0.02)
            store.decide(study, "approve")
        finally:
            store.close()
        home.wake()
