"""The report of a load: where it goes, and what it says when nothing has changed."""

from __future__ import annotations

import json

import pytest

from atoll.errors import OperatorError
from tests.ingest.exports import MAPPING, mapping, write


def typed(tmp_path, report):
    """`atoll load` of the small export, as it is typed."""
    from atoll.cli.main import atoll

    export = write(tmp_path / "export")
    mapping(tmp_path / "m")
    (tmp_path / "m" / "small.yaml").write_text(MAPPING, "utf-8")
    atoll(["load", str(tmp_path / "m" / "small.yaml"), "--from", str(export), "--cdm", f"duckdb:///{tmp_path}/cdm.duckdb",
           "--report", str(report), "--today", "2026-01-01"], standalone_mode=False)  # fmt: skip


def test_a_report_that_cannot_be_written_stops_the_load_before_it_begins(tmp_path):
    with pytest.raises(OperatorError, match=r"there is no folder .*reports\. Make the folder"):
        typed(tmp_path, tmp_path / "reports" / "load.json")
    assert not (tmp_path / "cdm.duckdb").exists()


def test_a_load_that_changes_nothing_reports_the_release_in_force(tmp_path):
    for name in ("first.json", "second.json"):
        typed(tmp_path, tmp_path / name)
    first, second = (json.loads((tmp_path / name).read_text("utf-8")) for name in ("first.json", "second.json"))
    assert (first["changed"], second["changed"]) == (True, False)
    assert second["tables"] == first["tables"] and second["unmapped"] == first["unmapped"] != []
    assert (tmp_path / "second-unmapped.csv").read_text("utf-8") == (tmp_path / "first-unmapped.csv").read_text("utf-8")
