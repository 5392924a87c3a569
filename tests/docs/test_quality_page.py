"""docs/quality.md names every family of checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from atoll.quality.run import all_checks
from atoll.quality.words import WORDS

TEXT = (Path(__file__).parents[2] / "docs" / "quality.md").read_text("utf-8")


@pytest.mark.parametrize("family", WORDS)
def test_every_family_is_described(family):
    assert f"`{family}`" in TEXT


def test_the_number_of_checks_is_true():
    assert abs(len(all_checks()) - 2_300) < 200
