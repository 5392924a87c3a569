"""From nothing to an answer: simulate, start six programs, ask, approve, answer, compare, use.

Every step says what it does and how long it took. The screening lists at the end stay in the hospitals'
folders; the demo prints only how many people stand on each.
"""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

from atoll.client import Study
from atoll.demo import network, report
from atoll.demo.hospitals import People, people, study_text, write_files
from atoll.demo.story import Say, Story, Table
from atoll.simulate.checkup import COLUMNS, TRUTH
from atoll.site.home import Home
from atoll.site.screening import keep_list
from atoll.study.view import Model

THRESHOLD = 0.15  # three-year risk from which a person is put on the screening list


class Demo(Story):
    """One run of the demo in a folder that it makes anew."""

    def __init__(self, folder: Path, say: Say, table: Table, scale: float = 1.0):
        super().__init__(folder, say, table)
        self.scale = scale

    def run(self) -> None:
        """All steps; the programs go on running afterwards until `stop`."""
        begin = time.perf_counter()
        self._anew()
        with self.step("Five hospitals receive their patients (simulated, with a known truth)"):
            every = people(self.scale)
            write_files(every, self.folder)
            self._show_people(every)
        with self.step("A hub and five sites start, six programs that speak TLS"):
            hub = self._start([one.hospital.name for one in every], self._prepare)
        with self.step("An investigator signs a study and hands it in"):
            study = self._submit(hub, self._study())
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

    def _prepare(self, name: str, home: Home) -> str:
        files = {dataset: self.folder / name / f"{dataset}.csv" for dataset in ("checkup", "heldback")}
        return f"{network.register(home, files, COLUMNS):,} rows registered"

    def _study(self) -> str:
        return study_text({name: home.fingerprint() for name, home in self.homes.items()}, date.today())

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
