"""The long way: five hospitals, five kinds of export, to OMOP, to a cohort with features, to one model.

Nothing is a table beforehand: each hospital loads what its own system exports, looks at the quality of what it has, and
makes the study's table by the study's own recipe when its steward approves it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from atoll.client import Study
from atoll.demo.report import errors, newton
from atoll.demo.story import Say, Story, Table
from atoll.errors import OperatorError
from atoll.features.recipe import table_at
from atoll.governance.signatures import SignedStudy
from atoll.privacy.statistics import Array
from atoll.simulate.hospitals import HOSPITALS, SHAPES
from atoll.simulate.world import simulate
from atoll.site.datasets import made_name
from atoll.site.home import Home
from atoll.site.screening import keep_list
from atoll.study.protocol import Study as Signed
from atoll.study.view import Model

PERSONS = 20_000
MAPPINGS = Path(__file__).parents[2] / "examples" / "exports"
COHORT = Path(__file__).with_name("study-cohort.yaml")
FORMULA = "hypertension ~ age + sex + systolic + lipids"
THRESHOLD = 0.08  # three-year risk from which a person is put on the screening list
HOURS = 1.0  # at most, for a load


class ExportsDemo(Story):
    """One run, with `persons` in the whole simulated region, and its first `hospitals`."""

    command = "atoll demo --exports"

    def __init__(self, folder: Path, say: Say, table: Table, persons: int = PERSONS, hospitals: int = len(HOSPITALS)):
        super().__init__(folder, say, table)
        self.persons, self.hospitals = persons, HOSPITALS[:hospitals]

    def run(self) -> None:
        """All steps; the programs go on running afterwards until `stop`."""
        if not MAPPINGS.is_dir():
            raise OperatorError(
                "The mappings of the five exports are not here: they stand in examples/exports of the source.",
                "Run this from a clone of the project; `atoll demo` works anywhere.",
            )
        begin = time.perf_counter()
        self._anew()
        with self.step("A region lives ten years; five hospitals export what their systems hold"):
            self._simulate()
        with self.step("Each hospital brings its export to OMOP by its own mapping (two at once)"):
            self._load()
        with self.step("Each looks at the quality of what it has"):
            self._quality()
        with self.step("A hub and five sites start, six programs that speak TLS"):
            hub = self._start([h.name for h in self.hospitals], self._prepare)
        with self.step("An investigator signs a study: a cohort, features, and what is asked of them"):
            study = self._submit(hub, self._study())
        with self.step("Five stewards approve: each site makes the table by the study's recipe, and keeps it"):
            self._approve(study)
        with self.step("The hospitals answer: rounds of numbers, and no patient row"):
            study.wait(progress=self._progress(study))
        with self.step("Where persons were lost, all hospitals together"):
            self._attrition(study)
        with self.step("The answer, beside the pooled rows and each hospital alone"):
            self._compare(study)
        with self.step("What left each hospital"):
            self._departures(study)
        with self.step("Each hospital screens its own people with the released model"):
            self._screen(study)
        self._closing(time.perf_counter() - begin)

    def _simulate(self) -> None:
        shapes = tuple(h.shape for h in self.hospitals)
        world = simulate(self.folder / "world", self.persons, len(shapes), shapes=shapes)
        rows = [
            [h["name"], SHAPES[h["shape"]], *(f"{h['rows'].get(t, 0):,}" for t in ("person", "visit_occurrence"))]
            for h in world["hospitals"]
        ]
        self.table(["site", "export", "persons", "visits"], rows)
        self.say(f"   {sum(world['faults'].values()):,} faults were planted in them (world/truth/faults.csv)")

    def cdm(self, name: str) -> str:
        """Where a hospital's OMOP data are."""
        return f"duckdb:///{self.folder / name / 'omop.duckdb'}"

    def _load(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(self._load_one, self.hospitals))
        self.table(["site", "persons", "measurements", "rows kept aside", "seconds"], done)

    def _load_one(self, hospital: Any) -> list[str]:
        """In a process of its own, as `atoll load` is typed."""
        self.say(f"   {hospital.name:<9} loading its export …")
        export = self.folder / "world" / hospital.name / "export"
        files = sorted(export.glob("*.duckdb"))
        source = f"duckdb:///{files[0]}" if files else str(export)
        (self.folder / hospital.name).mkdir()
        mapping = MAPPINGS / hospital.shape / "mapping.yaml"
        words = ["load", str(mapping), "--from", source, "--cdm", self.cdm(hospital.name), "--json"]
        done = subprocess.run(  # noqa: S603 (our own interpreter and words)
            [sys.executable, "-m", "atoll", *words], capture_output=True, text=True, check=False, timeout=HOURS * 3600
        )
        (self.folder / hospital.name / "load.json").write_text(done.stdout, encoding="utf-8")
        if done.returncode:
            raise OperatorError(f"The export of {hospital.name} cannot be loaded: {done.stderr.strip()[-300:]}", "")
        told = json.loads(done.stdout)
        aside = sum(entry["rows"] for entry in told["rejected"] if entry["what"] in ("row", "line"))
        rows = (told["tables"]["person"], told["tables"]["measurement"], aside)
        self.say(f"   {hospital.name:<9} in force after {told['seconds']:.0f} s")
        return [hospital.name, *(f"{n:,}" for n in rows), f"{told['seconds']:.0f}"]

    def _quality(self) -> None:
        from atoll.cdm.workspace import workspace_at
        from atoll.quality.report import to_document
        from atoll.quality.run import run

        rows = []
        for hospital in self.hospitals:
            with workspace_at(self.cdm(hospital.name)) as workspace:
                found = to_document(run(workspace))
            (self.folder / hospital.name / "quality.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
            verdicts, worst = found["verdicts"], found["findings"][0]
            what = worst["id"] if worst["verdict"] == "failed" else "–"
            rows.append([hospital.name, f"{verdicts['passed']:,}", f"{verdicts['failed']:,}", what])
        self.table(["site", "checks passed", "failed", "the largest fault"], rows)

    def _prepare(self, name: str, home: Home) -> str:
        store = home.store()
        try:
            store.set_facts(cdm=self.cdm(name))
        finally:
            store.close()
        return "knows its OMOP data"

    def _study(self) -> str:
        (self.folder / "cohort.yaml").write_text(COHORT.read_text("utf-8"), encoding="utf-8")
        return study_text({name: home.fingerprint() for name, home in self.homes.items()}, date.today())

    def _approve(self, study: Study) -> None:
        """Each steward types `atoll site approve`, as soon as the study has arrived."""
        rows = []
        for name, home in self.homes.items():
            ends = time.monotonic() + 30
            while study.hash not in self._atoll("studies", home).stdout:
                if time.monotonic() > ends:
                    raise OperatorError(f"The study did not arrive at {home.folder}.", "See log.txt beside it.")
            done = self._atoll("approve", home, study.hash)
            if done.returncode:
                raise OperatorError(f"{name} cannot approve: {done.stderr.strip()[-300:]}", "")
            made = json.loads(done.stdout)["made"]
            rows.append([name, f"{made['screening']:,}", f"{made['losses']:,}"])
        self.table(["site", "persons in the cohort", "persons who entered"], rows)
        self._show_approval(study)

    def _atoll(self, action: str, home: Home, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "atoll", "site", action, *words, "--home", str(home.folder), "--json"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)  # noqa: S603

    def _attrition(self, study: Study) -> None:
        found = study.result("losses").document
        rows = [["entered", _between(found["entered"], found["entered_high"])]]
        rows += [[s["label"] or s["step"], _between(s["low"], s["high"])] for s in found["steps"]]
        self.table(["step", "persons left"], rows)

    def _compare(self, study: Study) -> None:
        joint = study.result("risk")
        apart = self._rows_apart(joint.terms)
        X, y = (np.concatenate(parts) for parts in zip(*apart.values(), strict=True))
        together, alone = newton(X, y), {name: newton(*rows) for name, rows in apart.items()}
        rows = []
        for j, term in enumerate(joint.terms):
            own = [f"{fit[j]:.3f}" for fit in alone.values()]
            rows.append([term, f"{joint.params[j]:.4f}", f"{joint.bse[j]:.4f}", f"{together[j]:.4f}", *own])
        self.table(["term (log odds)", "joint", "its SE", "pooled", *alone], rows)
        most = max(abs(joint.params - together) / abs(together))
        self.say(f"   {joint.n:,} people, {joint.rounds} rounds · largest relative difference from pooled: {most:.1e}")
        if most > 1e-9:
            raise AssertionError("the joint estimate is not the pooled one")
        gained = [
            [name, f"{len(y):,}", f"{np.median((errors(X, alone[name]) / joint.bse) ** 2):.1f} times as many"]
            for name, (X, y) in apart.items()
        ]
        self.table(["site", "its people in the model", "the joint answer is as sure as one from"], gained)

    def _rows_apart(self, terms: tuple[str, ...]) -> dict[str, tuple[Array, Array]]:
        """All hospitals' rows side by side: what a study never has."""
        recipe = self._signed().recipes["screening"]
        return {name: _design(table_at(self.cdm(name), recipe).to_pydict(), terms) for name in self.homes}

    def _signed(self) -> Signed:
        return SignedStudy.from_bytes((self.folder / "study.signed.json").read_bytes()).study()

    def _screen(self, study: Study) -> None:
        joint = study.result("risk")
        (self.folder / "risk.json").write_text(joint.to_json(), encoding="utf-8")
        model = Model.from_document(joint.document["model"])
        rows = []
        for name, home in self.homes.items():
            kept = keep_list(home, made_name(self._signed(), "screening"), model, THRESHOLD)
            share = f"{kept.listed / kept.scored:.1%}"
            rows.append([name, f"{kept.scored:,}", f"{kept.listed:,}", share, str(kept.path)])
        self.table(["site", "people scored", f"risk ≥ {THRESHOLD:.0%}", "share", "list (stays in the hospital)"], rows)


def _design(columns: Mapping[str, Any], terms: tuple[str, ...]) -> tuple[Array, Array]:
    """X and y of the persons who have every value, from one hospital's table."""
    y = np.asarray(columns["hypertension"], float)  # who was not followed for so long has none, as NaN
    made = {"Intercept": np.ones(len(y)), "sex[T.male]": np.asarray(columns["sex"]) == "male"}
    X = np.stack([np.asarray(made.get(term, columns.get(term)), float) for term in terms], axis=1)
    whole = np.isfinite(y) & np.isfinite(X).all(axis=1)
    return X[whole], y[whole]


def study_text(keys: Mapping[str, str], today: date) -> str:
    """The study as its investigator writes it (YAML), beside the file of its cohort."""
    sites = "\n".join(f'  {name}: {{key: "{key}"}}' for name, key in keys.items())
    return f"""\
atoll: 1
title: Who will develop high blood pressure within three years?
purpose: >
  To find, among adults without high blood pressure, those who will soon have it, so that they can be offered prevention
  in time. The hospitals learn one risk model together and each uses it for its own people.
investigator: {{name: Demo Investigator, organisation: Atoll}}
sites:
{sites}
datasets:
  screening:
    cohort: cohort.yaml
    features:
      concepts:
        hypertension: {{include: [320128]}}
        lipids: {{include: [432867]}}
        systolic: {{include: [3004249]}}
      features:
        age: {{from: person, as: age, label: age}}
        sex: {{from: person, as: sex, label: sex}}
        lipids: {{from: condition, of: lipids, window: [null, 0], label: raised blood lipids}}
        systolic: {{from: measurement, of: systolic, as: last, range: [60, 260], label: systolic blood pressure}}
      outcome:
        hypertension: {{from: condition, of: hypertension, window: [1, 1095], label: high blood pressure}}
  losses: {{cohort: cohort.yaml, attrition: true}}
analyses:
  losses:
    label: Where persons are lost
    algorithm: attrition
    dataset: losses
    columns: [rule_1, stays]
  risk:
    label: The risk model
    algorithm: glm
    dataset: screening
    formula: {FORMULA}
    family: binomial
privacy: {{minimum_persons: 10, rounding: 5}}
valid: {{from: {today}, until: {today + timedelta(days=365)}}}
"""


def _between(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} … {high:,} (a small loss is held back)"
