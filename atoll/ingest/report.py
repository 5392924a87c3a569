"""What a load did, for people and for `--report`: reasons and numbers of rows, no row of a person.

The codes without a concept, with the hospital's names for them, go to a file of their own, which stays at the hospital.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atoll.cdm.workbench import Workbench
from atoll.durable import write_private
from atoll.ingest.lookups import read_list

BROKEN = "broken line: "
_COUNTED = {
    "rejected": ("table", "source", "what", "reason", "rows"),
    "unmapped": ("vocabulary", "codes", "rows"),
    "units": ("concept_id", "unit_concept_id", "rows", "filled", "probability"),
}
_QUERIES = {
    "rejected": 'SELECT "table", source, what, reason, count(*) FROM ingest.rejected'
    " GROUP BY ALL ORDER BY 5 DESC, 1, 2, 3, 4",
    "unmapped": "SELECT vocabulary, count(DISTINCT concept_code), sum(rows)::BIGINT FROM ingest.unmapped"
    " GROUP BY 1 ORDER BY 3 DESC",
    "units": "SELECT concept_id, unit_concept_id, count(*), count(*) FILTER (WHERE filled), round(avg(probability), 4)"
    " FROM ingest.unit_inferred GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
}


@dataclass
class Report:
    """What a load did.

    units   of values without a unit: the likeliest one, how many rows, how many were filled in, mean probability
    codes   without a standard concept: vocabulary or list, code, rows; not in the document
    left    of earlier releases in the database, and why, in sentences
    """

    release: int
    changed: bool
    tables: dict[str, int] = field(default_factory=dict)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    unmapped: list[dict[str, Any]] = field(default_factory=list)
    units: list[dict[str, Any]] = field(default_factory=list)
    broken_lines: list[dict[str, Any]] = field(default_factory=list)
    merged: int = 0
    resumed: bool = False
    seconds: float = 0.0
    manifest: dict[str, Any] = field(default_factory=dict)
    codes: list[tuple[str, str, int]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types. Holds reasons and counts, no row of a person."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "codes"}


def write_unmapped(path: Path, report: Report, lists: Mapping[str, Path]) -> int:
    """The codes without a standard concept as CSV: list, code, name, rows; the commonest first. Returns their number.

    name   what the code list says beside the code, where it has a column `name`
    """
    names: dict[str, dict[str, str]] = {}
    for name, file in lists.items():
        columns, rows = read_list(name, file)
        at = columns.index("name") if "name" in columns else 0
        names[f"list {name}"] = {row[0]: row[at] for row in rows if row[at] != row[0]}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("list", "code", "name", "rows"))
    for owner, code, n in report.codes:
        writer.writerow((owner.removeprefix("list "), code, names.get(owner, {}).get(code, ""), n))
    write_private(path, out.getvalue().encode("utf-8"))
    return len(report.codes)


def report_of(bench: Workbench, manifest: dict[str, Any], resumed: bool) -> Report:
    """The report of a release that is complete but for its being put in force."""
    counted: dict[str, Any] = {
        name: [dict(zip(columns, row, strict=True)) for row in bench.rows(_QUERIES[name])]
        for name, columns in _COUNTED.items()
    }
    broken = bench.rows(
        f"SELECT source, CAST(key AS BIGINT), replace(reason, '{BROKEN}', '') FROM ingest.rejected WHERE what = 'line'"
        " ORDER BY 1, 2 LIMIT 1000"
    )
    return Report(
        int(manifest["release"]),
        True,
        manifest["tables"],
        **counted,
        broken_lines=[{"file": file, "line": line, "what": what} for file, line, what in broken],
        merged=bench.value("SELECT count(*) FROM ingest.merged"),
        resumed=resumed,
        manifest=manifest,
        codes=bench.rows(
            "SELECT vocabulary, concept_code, sum(rows)::BIGINT FROM ingest.unmapped GROUP BY 1, 2"
            " ORDER BY 3 DESC, 1, 2"
        ),
    )
