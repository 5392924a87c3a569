"""A hub in a process of its own whose store holds what pages can meet; the results in it are real ones."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from starlette.routing import BaseRoute

import atoll
from atoll.governance import signatures
from atoll.governance.states import RunAct
from atoll.hub import members, pages, store
from atoll.hub.home import init, new_token
from atoll.hub.sentences import Reason
from atoll.hub.serve import serve
from atoll.hub.service import Service
from atoll.knowledge import library
from atoll.network.messages import Poll
from atoll.simulate.checkup import COLUMNS, FORMULA, HOSPITALS, check_ups
from atoll.study import circe
from atoll.study.dataset import Recipe
from atoll.study.dictionary import Column
from atoll.study.protocol import read

TOP = Path(__file__).parents[2]
SITES = tuple(hospital.name for hospital in HOSPITALS)
STUDY = {
    "atoll": 1,
    "title": "Early screening for type 2 diabetes",
    "purpose": "Find people at high risk of diabetes within three years of a check-up, in all five hospitals.",
    "investigator": {"name": "Wang Fang", "organisation": "Coral University Hospital"},
}
DICTIONARY = {
    **COLUMNS,
    "days": Column("number", unit="d", low=0, high=2000, label="follow-up"),
    "event": Column("flag", label="died during follow-up"),
    "kept": Column("flag", label="seen again within three years"),
    "weight": Column("category", levels=("normal", "overweight", "obese"), label="weight class"),
}
ANALYSES: dict[str, dict[str, Any]] = {
    "patients": {"algorithm": "describe", "columns": ["age", "bmi", "sbp", "glucose", "sex", "smoker", "weight"]},
    "risk": {"algorithm": "glm", "label": "Risk of diabetes", "formula": FORMULA, "family": "binomial"},
    "bent": {
        "algorithm": "glm",
        "label": "Risk of diabetes, in curves",
        "formula": "diabetes ~ bs(age, df=4) + bs(glucose, df=4) + sex + smoker",
        "family": "binomial",
    },
    "judged": {
        "algorithm": "performance",
        "label": "How well the risk model predicts",
        "model": "risk",
        "outcome": "diabetes",
    },
    "survival": {"algorithm": "kaplan_meier", "time": "days", "event": "event", "by": "weight"},
    "at-years": {"algorithm": "kaplan_meier", "time": "days", "event": "event", "by": "sex", "times": [365, 730, 1095]},
    "lost": {"algorithm": "attrition", "columns": ["kept", "family_history", "smoker"]},
    "hazard": {"algorithm": "cox", "formula": "age + sex + smoker", "time": "days", "event": "event"},
}


def tables(persons: int = 1500) -> dict[str, dict[str, Any]]:
    """Check-ups with a made-up follow-up."""
    found = {}
    for hospital in HOSPITALS:
        table = check_ups(hospital, 1, persons)
        r = np.random.default_rng(len(hospital.name))
        rate = np.exp(0.03 * (table["age"] - 55) + 0.4 * table["smoker"] + 0.04 * (table["bmi"] - 27)) / 2500
        time_, censored = np.ceil(r.exponential(1 / rate)), np.ceil(r.uniform(300, 1800, persons))
        table |= {"days": np.minimum(time_, censored), "event": (time_ <= censored).astype(int)}
        table["kept"] = (np.arange(persons) >= 4).astype(int)  # fewer than the minimum are lost, and that is held back
        table["weight"] = np.where(table["bmi"] < 25, "normal", np.where(table["bmi"] < 30, "overweight", "obese"))
        found[hospital.name] = table
    return found


def results() -> dict[str, dict[str, Any]]:
    """The result of every analysis, by name, as the hub stores it."""
    network = atoll.Network(tables(), policy="public", columns=DICTIONARY)
    strict = atoll.Network(tables(), columns=DICTIONARY)
    found: dict[str, dict[str, Any]] = {}
    for name, options in ANALYSES.items():
        options = {k: v for k, v in options.items() if k not in ("algorithm", "label")}
        if "model" in options:
            options["model"] = found["risk"]["model"]
        asked = strict if ANALYSES[name]["algorithm"] == "attrition" else network
        found[name] = json.loads(asked.run(ANALYSES[name]["algorithm"], **options).to_json())
    return found


def attrition(cohort: str) -> dict[str, Any]:
    """Where a definition with one rule loses persons, as the hub stores it."""
    r = np.random.default_rng(1)
    recipe = Recipe(cohort, None)
    made = {
        site: {"person": np.arange(400), "rule_1": kept, "stays": kept}
        for site, kept in ((site, (r.random(400) < 0.8) * 1.0) for site in SITES)
    }
    result = atoll.Network(made, columns=recipe.dictionary()).run("attrition", columns=["rule_1", "stays"])
    return dict(json.loads(result.to_json()))


class Hub:
    """A hub's folder, with five sites and two investigators; no site is a real program."""

    def __init__(self, folder: Path):
        self.home = init(folder / "hub", "https://127.0.0.1:0", name="Lagoon study centre")
        self.token = new_token(self.home, "wang-fang")
        self.stranger = new_token(self.home, "li-na")
        self.key, self.keys = signatures.new_key(), {name: signatures.new_key() for name in SITES}
        self.store = self.home.store()

    def join(self) -> None:
        """All five sites have joined."""
        with self.store.writing() as c:
            for name, key in self.keys.items():
                public = signatures.public_bytes(key)
                members.add_site(c, name, signatures.fingerprint(public), public, "0.1.0", "")

    def study(self, names: tuple[str, ...], title: str = STUDY["title"], **changes: Any) -> tuple[str, list[str]]:
        """A submitted study of these analyses; its hash and its runs."""
        today = datetime.now(UTC).date()
        document = STUDY | {
            "title": title,
            "sites": {
                name: {"key": signatures.fingerprint(signatures.public_bytes(key))} for name, key in self.keys.items()
            },
            "datasets": {"checkup": {"columns": {n: c.to_document() for n, c in DICTIONARY.items()}}},
            "analyses": {name: {"dataset": "checkup", **ANALYSES[name]} for name in names},
            "valid": {"from": str(today - timedelta(days=1)), "until": str(today + timedelta(days=30))},
            **changes,
        }
        signed = signatures.sign_study(read(json.dumps(document)), self.key)
        with self.store.writing() as c:
            arguments = (signed.hash, title, "wang-fang", signed.to_bytes(), sorted(document["sites"]), list(names))
            _, runs = store.add_study(c, *arguments)
        return signed.hash, runs

    def questions(self, title: str) -> list[tuple[str, list[str]]]:
        """One question of feasibility to each hospital: hashes and runs."""
        asked = {"risk": {"dataset": "checkup", "algorithm": "feasibility", "columns": ["age", "diabetes"]}}
        key = {name: {"key": signatures.fingerprint(signatures.public_bytes(one))} for name, one in self.keys.items()}
        return [self.study(("risk",), title, sites={name: key[name]}, analyses=asked) for name in SITES]

    def decide(self, study: str, **actions: str) -> None:
        """Decisions of stewards."""
        with self.store.writing() as c:
            for number, (site, action) in enumerate(actions.items(), 1):
                store.add_decision(c, study, site, action, number, "9f" * 32, b"")

    def rounds(self, run: str, number: int, *, last: tuple[str, ...] = SITES) -> None:
        """So many rounds were asked, and answered by every site, the last by `last` only."""
        with self.store.writing() as c:
            store.change_run(c, run, "start")
            for n in range(number):
                store.open_round(c, run, n, 0, b"q", f"{n:064x}")
                sites = SITES if n < number - 1 else last
                store.add_shares(c, [self._share(run, n, i, site) for i, site in enumerate(sites)])
                if n < number - 1 or last == SITES:
                    store.close_round(c, run, n, b"a", stored=False)

    def _share(self, run: str, n: int, i: int, site: str) -> dict[str, Any]:
        return {
            "run": run,
            "round": n,
            "site": site,
            "attempt": 0,
            "share_hash": "0" * 64,
            "outcome": "share",
            "code": "",
            "bytes": 812 + 37 * i,
            "elapsed": 40 + 31 * i,
            "ledger_number": 12 + n + 3 * i,
            "ledger_head": (f"{i + 3:x}{n + 1:x}c0ffee5a17" * 6)[:64],
            "received": time.time(),
            "payload": None,
        }

    def finish(self, run: str, document: dict[str, Any]) -> None:
        """The run has a result."""
        self.rounds(run, document["rounds"])
        with self.store.writing() as c:
            store.change_run(c, run, "finish", result=json.dumps(document))

    def end(self, run: str, reason: Reason, act: RunAct = "fail") -> None:
        """The run ended for a reason."""
        with self.store.writing() as c:
            store.change_run(c, run, act, reason=reason)

    def fail(self, run: str, code: str, site: str, subject: str = "") -> None:
        """The run ended with a refusal."""
        with self.store.writing() as c:
            share = self._share(run, 0, 2, site) | {"outcome": "refused", "code": code, "bytes": 0}
            store.change_run(c, run, "start")
            store.open_round(c, run, 0, 0, b"q", "0" * 64)
            store.add_shares(c, [share])
            analysis = (store.run(c, run) or {})["analysis"]
        self.end(run, Reason(code, (site,), analysis, 1, subject))


def fill(hub: Hub) -> dict[str, str]:
    """Every kind of page: address by what it shows."""
    hub.join()
    done, runs = hub.study(tuple(ANALYSES))
    hub.decide(done, **dict.fromkeys(SITES, "approve"))
    found = results()
    for name, run in zip(ANALYSES, runs, strict=True):
        hub.finish(run, found[name])
    refused, (bad,) = hub.study(("survival",), "Survival by weight class")
    hub.decide(refused, **dict.fromkeys(SITES, "approve"))
    hub.fail(bad, "TOO_FEW_PERSONS", "lagoon", "weight")
    waiting, (open_, *_) = hub.study(("patients", "risk"), "Kidney function after ten years of diabetes")
    hub.decide(waiting, coral="approve", reef="approve")
    cohort = circe.written(library.phenotype("gout").definition("zh"), indent=None)
    losses: dict[str, Any] = {"algorithm": "attrition", "columns": ["rule_1", "stays"]}
    recipe = {"losses": {"cohort": cohort, "attrition": True}}
    rules, (lost,) = hub.study(("lost",), "痛风", datasets=recipe, analyses={"lost": {"dataset": "losses", **losses}})
    hub.finish(lost, attrition(cohort))
    hub.questions("Early screening · 2026-11-29")
    pages_ = {f"run-{name}": f"/runs/{run}" for name, run in zip(ANALYSES, runs, strict=True)}
    return {
        "home": "/",
        "study": f"/studies/{done}",
        **pages_,
        "study-cohort": f"/studies/{rules}",
        "run-cohort": f"/runs/{lost}",
        "run-refused": f"/runs/{bad}",
        "run-waiting": f"/runs/{open_}",
        "study-waiting": f"/studies/{waiting}",
        "sites": "/sites",
        "nothing": "/nowhere",
    }


def main(folder: Path) -> None:
    """Fill a hub and serve it; the first line of output tells address, tokens and pages."""
    hub = Hub(folder)
    told = {"token": hub.token, "stranger": hub.stranger, "pages": fill(hub)}
    hub.store.close()

    def routes(service: Service) -> Sequence[BaseRoute]:
        for site in ("coral", "harbour", "lagoon", "reef"):
            service.desk.enter(site, Poll(1, 0, (), (), 20.0))
        return pages.routes(service)

    serve(hub.home, routes=routes, ready=lambda url: print(json.dumps({"url": url, **told}), flush=True))


class Served:
    """That program, running."""

    def __init__(self, folder: Path):
        command = [sys.executable, "-m", "tests.browser.world", str(folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TOP)
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.url, self.token, self.stranger, self.pages = (told[k] for k in ("url", "token", "stranger", "pages"))

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
