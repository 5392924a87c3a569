"""What a run found, as a document, and the difference between two releases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import joined, sql
from atoll.quality.check import Finding
from atoll.quality.tests import FAMILIES

DRIFT = 0.05  # change of a share of faults, or of a table's rows, between two releases that is told
LOOKED = ("passed", "failed")


def names_of(workspace: Workspace, findings: Iterable[Finding]) -> dict[int, str]:
    """Concepts that findings are about → the name in the database's vocabulary; empty where it has none."""
    wanted = sorted({finding.check.concept for finding in findings} - {0})
    if not wanted or not {"concept_id", "concept_name"} <= set(workspace.columns("concept") or ()):
        return dict.fromkeys(wanted, "")
    ids = joined(", ", (sql("{c}", c=concept) for concept in wanted))
    rows = workspace.fetch(sql("SELECT concept_id, concept_name FROM concept WHERE concept_id IN ({i})", i=ids))
    return dict.fromkeys(wanted, "") | {
        int(row["concept_id"]): str(row["concept_name"] or "") for row in rows.to_pylist()
    }


def to_document(
    findings: Iterable[Finding],
    *,
    seconds: float = 0.0,
    database: str = "",
    names: Mapping[int, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """A run as plain JSON types: numbers and names of the model and of concepts, nothing of a person.

    `looked_at` and `faults` count what `counted` says: rows, persons, columns, months, pairs, groups of values.

    Findings are in the order: failed with the largest share first, then by name.
    """
    every = sorted(findings, key=lambda finding: (finding.verdict != "failed", -finding.share, finding.check.id))
    counts = Counter(finding.verdict for finding in every)
    kinds = Counter(finding.check.kind for finding in every if finding.verdict == "failed")
    return {
        "atoll quality": 1,
        "database": database,
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(seconds, 1),
        "checks": len(every),
        "verdicts": {verdict: counts.get(verdict, 0) for verdict in ("passed", "failed", "empty", "missing")},
        "failed": {kind: kinds.get(kind, 0) for kind in ("conformance", "completeness", "plausibility")},
        "findings": [_entry(finding, names.get(finding.check.concept, "")) for finding in every],
    }


def _entry(finding: Finding, concept_name: str) -> dict[str, Any]:
    check = finding.check
    return {
        "id": check.id,
        "family": check.family,
        "kind": check.kind,
        "table": check.table,
        "column": check.column,
        "concept": check.concept or None,
        "concept_name": concept_name,
        "subject": check.subject,
        "looked_at": finding.total,
        "counted": check.counted,
        "faults": finding.faults,
        "share": round(finding.share, 6),
        "allowed": check.allowed,
        "verdict": finding.verdict,
        "of_rows": check.of_rows,
    }


def drift(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Checks that are told of between two releases: entries as in a report, with what `was` and `is`.

    Told are another verdict, a share of faults that moved by more than `DRIFT`, and a check that had something to look
    at and has nothing now, in a table that still has rows (of one that lost them all, `sizes` tells).
    """
    now = {entry["id"]: entry for entry in later["findings"]} | _gone(earlier, later)
    emptied = {table for table, rows in _rows(later).items() if not rows}
    found = []
    for old in earlier["findings"]:
        if (new := now.get(old["id"])) is None:
            continue
        was, verdict = old["verdict"], new["verdict"]
        if "empty" in (was, verdict):
            told = verdict == "empty" and was in LOOKED and old.get("of_rows") and old["table"] not in emptied
        else:
            told = was != verdict or abs(new["share"] - old["share"]) > DRIFT
        if told:
            found.append({**new, "was": old["share"], "is": new["share"], "verdict_was": was, "verdict_is": verdict,
                          "looked_at_was": _looked_at(old), "looked_at_is": _looked_at(new)})  # fmt: skip
    return sorted(found, key=lambda change: (change["verdict_is"] == "empty", -abs(change["is"] - change["was"])))


def _gone(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Laboratory tests that the later run, of the same checks, did not find any more: one check of each, as empty."""
    if {e["id"] for e in earlier["findings"] if e["family"] not in FAMILIES} != {
        e["id"] for e in later["findings"] if e["family"] not in FAMILIES
    }:
        return {}
    there = {entry["concept"] for entry in later["findings"] if entry["family"] in FAMILIES}
    tests = (e for e in earlier["findings"] if e["family"] in FAMILIES and e.get("of_rows"))
    lost = {entry["concept"]: entry for entry in tests if entry["concept"] not in there}
    return {e["id"]: {**e, "verdict": "empty", "share": 0.0, "looked_at": 0, "faults": 0} for e in lost.values()}


def sizes(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Tables whose number of rows moved by more than `DRIFT` between two releases; the largest loss first."""
    before, now = _rows(earlier), _rows(later)
    moved = [
        {"table": table, "was": was, "is": now[table]}
        for table, was in before.items()
        if table in now and abs(now[table] - was) > DRIFT * was
    ]
    return sorted(moved, key=lambda one: ((one["is"] - one["was"]) / max(one["was"], 1), one["table"]))


def _rows(document: Mapping[str, Any]) -> dict[str, int]:
    """Table → its rows, as the checks on values that every row must have found them."""
    every = (entry for entry in document["findings"] if entry["family"] == "required")
    return {entry["table"]: _looked_at(entry) for entry in every if entry["verdict"] != "missing"}


def _looked_at(entry: Mapping[str, Any]) -> int:
    """How many a check looked at; reports of earlier versions call it `rows`."""
    return int(entry["looked_at"] if "looked_at" in entry else entry["rows"])
