"""A package of a third party, found through its entry point alone, passes the same suite as our own files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TOP / "tests" / "extension"), str(TOP)])}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=TOP, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300
    )


def suite(name: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "pytest", "-vv", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", name,
                  "tests/conformance/test_algorithms.py")  # fmt: skip


def test_it_passes_the_conformance_suite() -> None:
    done = suite("geometric_mean")
    assert done.returncode == 0, done.stdout[-3000:]
    assert " skipped" not in done.stdout and "test_the_split_into_sites_does_not_matter" in done.stdout


def test_one_whose_model_is_by_site_says_so_and_passes_it_too() -> None:
    """`BY_SITE`: the split into hospitals is part of what it estimates; all else holds of it as of the others."""
    done = suite("mantel_haenszel")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "test_the_split_into_sites_does_not_matter" not in done.stdout
    assert "test_the_order_of_sites_does_not_matter" in done.stdout
    assert "test_small_groups_are_refused" in done.stdout


def test_it_is_offered_beside_ours_and_cannot_replace_one() -> None:
    done = python("-c", "from atoll.algorithms import registry; print(*registry.names())")
    assert "geometric_mean" in done.stdout.split()
    assert {"glm", "cox", "kaplan_meier", "describe", "performance"} < set(done.stdout.split())
    code = (
        "from importlib.metadata import EntryPoint; import importlib.metadata as m\n"
        "m.entry_points = lambda group: [EntryPoint('glm', 'atoll_example.geometric_mean', group)]\n"
        "from atoll.algorithms import registry; print(registry.module('glm').__name__)"
    )
    assert python("-c", code).stdout.strip() == "atoll.algorithms.glm"
