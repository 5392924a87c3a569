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

DRIFT = 0.05  # change of a share of faults between two releases that is told


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
    """Checks whose verdict changed between two releases, or whose share of faults moved by more than `DRIFT`."""
    before = {entry["id"]: entry for entry in earlier["findings"]}
    found = []
    for entry in later["findings"]:
        old = before.get(entry["id"])
        if old is None or "empty" in (old["verdict"], entry["verdict"]):
            continue
        moved = entry["share"] - old["share"]
        if old["verdict"] != entry["verdict"] or abs(moved) > DRIFT:
            found.append({"id": entry["id"], "was": old["share"], "is": entry["share"],
                          "verdict_was": old["verdict"], "verdict_is": entry["verdict"]})  # fmt: skip
    return sorted(found, key=lambda change: -abs(change["is"] - change["was"]))
