"""A hub and two hospitals with the commands that people type, and a real algorithm over real tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from click.testing import CliRunner

from atoll import Network
from atoll.cli.main import atoll
from atoll.governance import signatures
from atoll.network.http import Connection
from atoll.study.protocol import read
from tests.network.world import ROOT, wait_until

STUDY = """\
atoll: 1
title: Risk of diabetes
purpose: A test.
investigator: {{name: Wang Fang, organisation: City Hospital}}
sites: {{north: {{key: '{north}'}}, river: {{key: '{river}'}}}}
datasets:
  checkup:
    columns:
      age: {{type: number, unit: a}}
      sex: {{type: category, levels: [female, male]}}
      diabetes: {{type: flag}}
analyses:
  risk: {{algorithm: glm, dataset: checkup, formula: diabetes ~ age + C(sex), family: binomial}}
  people: {{algorithm: describe, dataset: checkup, columns: [age, sex]}}
privacy: {{public: true}}
valid: {{from: {first}, until: {last}}}
"""


class Shell:
    """Runs `atoll …` in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": ROOT, "ATOLL_HOME": str(folder), "ATOLL_LANGUAGE": "en"}
        self.running: list[subprocess.Popen[str]] = []

    def __call__(self, *words):
        """In this process: a command's own start is not what is tested."""
        if words[0] == "hub":
            words = (*words, "--home", str(self.folder / "hub"))
        done = CliRunner().invoke(atoll, [*words, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def serve(self, *words):
        process = subprocess.Popen(
            [sys.executable, "-m", "atoll", *words], stdout=subprocess.PIPE, text=True, env=self.environment
        )
        self.running.append(process)
        return process.stdout.readline().split()[-1]


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path)
    yield shell
    for process in shell.running:
        process.kill()
        process.wait()
        process.stdout.close()


def table(seed: int, size: int) -> dict[str, list]:
    rng = np.random.default_rng(seed)
    age, male = rng.uniform(30, 80, size).round(1), rng.random(size) < 0.5
    risk = 1 / (1 + np.exp(-(-5 + 0.06 * age + 0.4 * male)))
    return {
        "age": age.tolist(),
        "sex": ["male" if m else "female" for m in male],
        "diabetes": (rng.random(size) < risk).astype(int).tolist(),
    }


def write_csv(path, columns):
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")


def test_from_nothing_to_an_answer_with_the_commands(shell, tmp_path):
    shell("hub", "init", "--url", "https://127.0.0.1:0")
    url = shell.serve("hub", "serve")
    tables = {"north": table(1, 900), "river": table(2, 700)}
    keys = {}
    for site, columns in tables.items():
        home = ("--home", str(tmp_path / site))
        write_csv(tmp_path / f"{site}.csv", columns)
        keys[site] = shell("site", "init", *home)["key"]
        welcome = shell("site", "join", shell("hub", "invite", site)["code"], *home)
        assert welcome["site"] == site and welcome["url"] == url
        added = shell(
            "site", "dataset", "add", "checkup", "--from", str(tmp_path / f"{site}.csv"), "--public", "made up", *home
        )
        assert added["rows"] == len(columns["age"])
        shell.serve("site", "serve", *home)
    assert {entry["name"]: entry["key"] for entry in shell("hub", "sites")} == keys

    today = datetime.now(UTC).date()
    text = STUDY.format(**keys, first=today, last=today + timedelta(days=9))
    signed = signatures.sign_study(read(text), signatures.new_key())
    token = shell("hub", "token", "wang")["token"]
    line = Connection(url, authority=(tmp_path / "hub" / "ca.pem").read_bytes())
    header = {"authorization": f"Bearer {token}"}
    submitted = json.loads(line.request("POST", "/api/studies", content=signed.to_bytes(), headers=header).body)
    for site in tables:
        home = ("--home", str(tmp_path / site))
        wait_until(lambda home=home: bool(shell("site", "studies", *home)))
        assert site in shell("site", "explain", signed.hash[:8], *home)["text"]
        assert shell("site", "approve", signed.hash[:8], *home)["state"] == "approved"
    wait_until(lambda: [run["state"] for run in shell("hub", "runs")] == ["finished"] * 2)

    result = json.loads(line.request("GET", f"/api/runs/{submitted['runs']['risk']}/result", headers=header).body)
    line.close()
    same = Network(tables, policy="public").run("glm", formula="diabetes ~ age + C(sex)", family="binomial")
    assert result["params"] == same.params.tolist(), "the network and the process give the same bits"
    ledger = shell("site", "ledger", "--verify", "--home", str(tmp_path / "north"))
    assert ledger["whole"] and ledger["entries"] > 4
