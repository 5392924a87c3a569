"""From nothing to an answer: simulate, start six programs, ask, approve, answer, compare, use.

Every step says what it does and how long it took. The screening lists at the end stay in the hospitals'
folders; the demo prints only how many people stand on each.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from atoll.client import Hub, Study
from atoll.demo import network, report
from atoll.demo.hospitals import People, people, study_text, write_files
from atoll.governance.signatures import read_or_make_key, sign_study
from atoll.hub import home as hub_home
from atoll.simulate.checkup import COLUMNS, TRUTH
from atoll.site.home import Home
from atoll.site.screening import keep_list
from atoll.study.protocol import read
from atoll.study.view import Model

THRESHOLD = 0.15  # three-year risk from which a person is put on the screening list
Say = Callable[[str], None]
Table = Callable[[list[str], list[list[str]]], None]


class Demo:
    """One run of the demo in a folder that it makes anew."""

    def __init__(self, folder: Path, say: Say, table: Table, scale: float = 1.0):
        self.folder, self.say, self.table, self.scale = folder, say, table, scale
        self.programs = network.Programs(folder)
        self.times: list[tuple[str, float]] = []
        self.homes: dict[str, Home] = {}

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say what happens, and remember how long it took."""
        self.say(f"\n{len(self.times) + 1}. {title}")
        start = time.perf_counter()
        yield
        self.times.append((title, time.perf_counter() - start))

    def run(self) -> None:
        """All steps; the programs go on running afterwards until `stop`."""
        begin = time.perf_counter()
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        with self.step("Five hospitals receive their patients (simulated, with a known truth)"):
            every = people(self.scale)
            write_files(every, self.folder)
            self._show_people(every)
        with self.step("A hub and five sites start, six programs that speak TLS"):
            hub = self._start(every)
        with self.step("An investigator signs a study and hands it in"):
            study = self._submit(hub)
        with self.step("Five stewards read what it would do, and approve"):
            network.approve(list(self.homes.values()), study.hash)
            self._show_approval(study)
        with self.step("The hospitals answer: rounds of numbers, and no patient row"):
            study.wait(progress=self._progress(study))
        with self.step("The answer, beside the truth, the pooled rows and each hospital alone"):
            alone = {one.hospital.name: report.alone(one) for one in every}
            self._compare(study, every, alone)
        with self.step("What joining gave each hospital, on its own people held back"):
            self._gains(study, alone)
        with self.step("What left each hospital"):
            self._departures(study)
        with self.step("The purpose: each hospital screens its own people with the released model"):
            self._screen(study, every)
        self._closing(time.perf_counter() - begin)

    def _show_people(self, every: list[People]) -> None:
        rows = []
        for one in every:
            ages, cases = one.checkup["age"], one.checkup["diabetes"]
            count = len(ages) + len(one.heldback["age"])
            rows.append(
                [one.hospital.name, one.hospital.title, f"{count:,}", f"{ages.mean():.0f}", f"{cases.mean():.1%}"]
            )
        self.table(["site", "hospital", "people", "mean age", "diabetes in 3 years"], rows)

    def _start(self, every: list[People]) -> Hub:
        """Hub first, then each hospital: make, join with a one-time code, register its files, serve."""
        centre = network.make_hub(self.folder, network.free_port())
        self.programs.start("hub", "serve", "--home", str(centre.folder))
        for one in every:
            name = one.hospital.name
            home = network.make_site(self.folder / name, hub_home.invite(centre, name))
            files = {dataset: self.folder / name / f"{dataset}.csv" for dataset in ("checkup", "heldback")}
            rows = network.register(home, files, COLUMNS)
            self.programs.start("site", "serve", "--home", str(home.folder))
            self.homes[name] = home
            self.say(f"   {name:<9} joined · {rows:,} rows registered · key {home.fingerprint()[:26]}…")
        token = hub_home.new_token(centre, "demo")
        authority = self.folder / "hub-authority.pem"
        authority.write_bytes(centre.authority() or b"")
        (self.folder / "token.txt").write_text(token, encoding="ascii")
        (self.folder / "token.txt").chmod(0o600)
        self.say(f"   hub       {centre.url} · key {centre.identity().fingerprint[:26]}…")
        return Hub(centre.url, token=token, authority=authority)

    def _submit(self, hub: Hub) -> Study:
        text = study_text({name: home.fingerprint() for name, home in self.homes.items()}, date.today())
        (self.folder / "study.yaml").write_text(text, encoding="utf-8")
        key, _ = read_or_make_key(self.folder / "investigator.pem")
        (self.folder / "study.signed.json").write_bytes(sign_study(read(text), key).to_bytes())
        study = hub.submit(self.folder / "study.signed.json")
        self.say(f"   study {study.hash[:16]}… · {self.folder / 'study.yaml'}")
        return study

    def _show_approval(self, study: Study) -> None:
        names = " ".join(self.homes)
        self.say(f"   approved by {names}: each for exactly the bytes with hash {study.hash[:16]}…")
        self.say(f"   what a steward reads: atoll site explain {study.hash[:6]} --home {self.homes['reef'].folder}")

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

    def _compare(self, study: Study, every: list[People], alone: dict[str, report.Alone]) -> None:
        joint = study.result("risk")
        together = report.pooled(every)
        rows = []
        for j, term in enumerate(joint.terms):
            own = [f"{a.fit.params[j]:.3f}" for a in alone.values()]
            rows.append(
                [
                    term,
                    f"{TRUTH[term]:.3f}",
                    f"{joint.params[j]:.4f}",
                    f"{joint.bse[j]:.4f}",
                    f"{together[j]:.4f}",
                    *own,
                ]
            )
        self.table(["term (log odds)", "truth", "joint", "its SE", "pooled", *alone], rows)
        apart = max(abs(joint.params - together) / abs(together))
        self.say(f"   {joint.n:,} people, {joint.rounds} rounds · largest relative difference from pooled: {apart:.1e}")
        if apart > 1e-9:
            raise AssertionError("the joint estimate is not the pooled one")

    def _gains(self, study: Study, alone: dict[str, report.Alone]) -> None:
        judged = study.result("judged").document
        rows = []
        for name, own in alone.items():
            joint = judged["sites_apart"][name]
            slopes = [f"{own.slope:.2f}", f"{joint['calibration_slope']:.2f}"]
            ratios = [f"{own.observed_expected:.2f}", f"{joint['observed_expected']:.2f}"]
            areas = [f"{own.auc:.4f}", f"{joint['auc']:.4f}", f"{joint['auc'] - own.auc:+.4f}"]
            rows.append([name, *areas, *slopes, *ratios])
        heads = ["site", "AUC own", "AUC joint", "gain", "slope own", "slope joint", "O/E own", "O/E joint"]
        self.table(heads, rows)
        low, high = judged["auc_lower"], judged["auc_upper"]
        self.say(
            f"   all held-back people together: AUC {judged['auc']:.3f}, certainly between {low:.3f} and {high:.3f}"
        )
        self.say("   (one hospital's gain is within chance where its own people already say enough; 1.00 is perfect)")

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

    def _screen(self, study: Study, every: list[People]) -> None:
        joint = study.result("risk")
        (self.folder / "risk.json").write_text(joint.to_json(), encoding="utf-8")
        model = Model.from_document(joint.document["model"])
        rows = []
        for one in every:
            name = one.hospital.name
            kept = keep_list(self.homes[name], "heldback", model, THRESHOLD)
            rows.append(
                [name, f"{kept.scored:,}", f"{kept.listed:,}", f"{kept.listed / kept.scored:.1%}", str(kept.path)]
            )
        self.table(["site", "people scored", f"risk ≥ {THRESHOLD:.0%}", "share", "list (stays in the hospital)"], rows)

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
