"""What both demos share: steps with their times, six programs, a study that is handed in, what left each hospital."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from atoll.client import Hub, Study
from atoll.demo import network
from atoll.errors import OperatorError
from atoll.governance.signatures import read_or_make_key, sign_study
from atoll.held import held
from atoll.hub import home as hub_home
from atoll.site.home import Home
from atoll.study.dataset import files_beside
from atoll.study.protocol import read

Say = Callable[[str], None]
Table = Callable[[list[str], list[list[str]]], None]


MARK = "of-a-demo.txt"  # a folder that may be emptied


class Story:
    """One run of a demo in a folder that it makes anew."""

    command = "atoll demo"  # as it was typed

    def __init__(self, folder: Path, say: Say, table: Table):
        self.folder, self.say, self.table = folder, say, table
        self.programs = network.Programs(folder)
        self._holding = ExitStack()
        self.times: list[tuple[str, float]] = []
        self.homes: dict[str, Home] = {}

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say what happens, and remember how long it took."""
        self.say(f"\n{len(self.times) + 1}. {title}")
        start = time.perf_counter()
        yield
        self.times.append((title, time.perf_counter() - start))

    def _anew(self) -> None:
        """Empty the folder, and hold it as long as this story lives: another demo must not empty it under its programs.

        Raises
        ------
        OperatorError
            When another demo runs in it, or it holds what no demo made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._holding.enter_context(held(self.folder, wait=False))
        except BlockingIOError as error:
            raise OperatorError(
                f"Another demo runs in {self.folder}.",
                f"End that one with Ctrl-C, or give this one a folder of its own: `{self.command} --folder FOLDER`.",
            ) from error
        found = [entry.name for entry in self.folder.iterdir()]
        if found and MARK not in found and "token.txt" not in found:
            what = f"{self.folder} holds {found[0]!r}, which no demo made; a demo empties its folder."
            raise OperatorError(what, f"Name a new one: `{self.command} --folder FOLDER`.")
        for entry in self.folder.iterdir():  # the folder itself stays: it is what is held
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        (self.folder / MARK).write_text("What is in this folder is made anew by the next demo.\n", encoding="ascii")

    def _start(self, names: Sequence[str], prepare: Callable[[str, Home], str]) -> Hub:
        """Hub first, then each hospital: make, join with a one-time code, prepare its data, serve."""
        centre = network.make_hub(self.folder, network.free_port())
        self.programs.start("hub", "serve", "--home", str(centre.folder))
        for name in names:
            home = network.make_site(self.folder / name, hub_home.invite(centre, name))
            ready = prepare(name, home)
            self.programs.start("site", "serve", "--home", str(home.folder))
            self.homes[name] = home
            self.say(f"   {name:<9} joined · {ready} · key {home.fingerprint()[:26]}…")
        token = hub_home.new_token(centre, "demo")
        authority = self.folder / "hub-authority.pem"
        authority.write_bytes(centre.authority() or b"")
        (self.folder / "token.txt").write_text(token, encoding="ascii")
        (self.folder / "token.txt").chmod(0o600)
        self.say(f"   hub       {centre.url} · key {centre.identity().fingerprint[:26]}…")
        return Hub(centre.url, token=token, authority=authority)

    def _submit(self, hub: Hub, text: str) -> Study:
        file = self.folder / "study.yaml"
        file.write_text(text, encoding="utf-8")
        key, _ = read_or_make_key(self.folder / "investigator.pem")
        signed = sign_study(read(text, files=files_beside(file)), key)
        (self.folder / "study.signed.json").write_bytes(signed.to_bytes())
        study = hub.submit(self.folder / "study.signed.json")
        self.say(f"   study {study.hash[:16]}… · {file}")
        return study

    def _show_approval(self, study: Study) -> None:
        names = " ".join(self.homes)
        self.say(f"   approved by {names}: each for exactly the bytes with hash {study.hash[:16]}…")
        last = list(self.homes.values())[-1]
        self.say(f"   what a steward reads: atoll site explain {study.hash[:6]} --home {last.folder}")

    def _progress(self, study: Study) -> Callable[[dict[str, Any]], None]:
        """A line when a run starts, and one with its rounds when it ends."""
        seen: dict[str, str] = {}

        def changed(status: dict[str, Any]) -> None:
            for run in status["runs"]:
                name, state = run["analysis"], run["state"]
                if state != seen.get(name) and state != "waiting":
                    self.say(f"   {name:<7} {self._rounds(study.run(name)) if state == 'finished' else state}".rstrip())
                seen[name] = state

        return changed

    def _rounds(self, run: dict[str, Any]) -> str:
        """How many rounds a run took, how long each, and how much all hospitals sent."""
        each = " · ".join(f"{1000 * entry['seconds']:.0f}" for entry in run["rounds"] if entry["seconds"])
        sent = sum(site["bytes"] for site in run["sites"].values())
        return f"finished: {len(run['rounds'])} rounds of {each} ms, {sent:,} bytes from {len(run['sites'])} hospitals"

    def _departures(self, study: Study) -> None:
        totals: dict[str, list[Any]] = {}
        for run in study.status()["runs"]:
            for name, site in study.run(run["analysis"])["sites"].items():
                shares, size = totals.get(name, [0, 0])[:2]
                totals[name] = [
                    shares + site["shares"],
                    size + site["bytes"],
                    site["ledger_number"],
                    site["ledger_head"],
                ]
        rows = [[n, f"{s}", f"{b:,}", "0", f"{number}", f"{head[:16]}…"] for n, (s, b, number, head) in totals.items()]
        self.table(["site", "shares", "bytes", "patient rows", "ledger entry", "ledger head"], rows)

    def _closing(self, total: float) -> None:
        self.say("")
        self.table(["step", "seconds"], [[title, f"{seconds:.2f}"] for title, seconds in self.times])
        self.say(f"   {total:.1f} s in all")

    def page(self) -> str:
        """The hub's address for a browser."""
        return (self.folder / "hub" / "address").read_text("utf-8")

    def stay(self) -> None:
        """Until Ctrl-C."""
        try:
            signal.pause()
        except KeyboardInterrupt:
            self.say("\nStopping.")
