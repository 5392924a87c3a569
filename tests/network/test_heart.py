"""The example on four real hospitals: it runs as its README says, and says the same figures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.network.world import ROOT

FOLDER = Path(ROOT).parent / "shared" / "data" / "raw" / "heart_disease"
EXAMPLE = Path(ROOT) / "examples" / "heart"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the published heart-disease files are not beside the project")
def test_four_hospitals_and_the_figures_of_the_readme():
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py"), str(FOLDER)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^\| (\w+) \| (.*) \|$", done.stdout, re.MULTILINE))
    names = {"cleveland": "Cleveland", "hungarian": "Hungary", "switzerland": "Switzerland", "va": "Long Beach VA"}
    readme = (EXAMPLE / "README.md").read_text("utf-8")
    for site, name in names.items():
        said = re.search(rf"^\| {name} \|(.*)$", readme, re.MULTILINE)
        assert said
        wanted = re.findall(r"\d\.\d{3}", said[1])
        assert wanted == re.findall(r"\d\.\d{3}", found[site]), site
