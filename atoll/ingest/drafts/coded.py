"""Which of the vocabularies in hand a column's codes are of: editions of one classification look alike.

The scan tells the classification from the codes' form; here the codes themselves are looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.ingest.lookups import as_code

MOST = 0.5  # share of a column's codes that an edition holds from which on it is taken; ours
_FILE = "atoll_vocabulary"


def name_vocabularies(bench: Workbench, tables: Sequence[dict[str, Any]], file: Path | None) -> None:
    """Give every column of codes the vocabulary in hand that holds most of them; none where there is no such one.

    tables   of the scan, whose views the workbench has; their columns' `vocabulary` is a classification, and becomes a
             vocabulary of `file`, or of the starter set, or empty
    """
    from atoll.cdm.vocabulary import starter_vocabularies

    marked = [(t["name"], column) for t in tables for column in t["columns"] if column.get("vocabulary")]
    if file is None or not marked:
        known = starter_vocabularies() if marked else []
        for _, column in marked:
            column["vocabulary"] = column["vocabulary"] if column["vocabulary"] in known else ""
        return
    bench.run(f"ATTACH {literal(str(file))} AS {_FILE} (READ_ONLY)")
    try:
        known = [name for (name,) in bench.rows(f"SELECT vocabulary_id FROM {_FILE}.main.vocabulary ORDER BY 1")]
        for table, column in marked:
            column["vocabulary"] = _best(bench, table, column["name"], column["vocabulary"], known)
    finally:
        bench.run(f"DETACH {_FILE}")


def _best(bench: Workbench, table: str, column: str, classification: str, known: Sequence[str]) -> str:
    """The edition of a classification that holds most of a column's codes, the classification's own name first."""
    shares = {name: _share(bench, table, column, name) for name in known if name.startswith(classification)}
    best = max(shares, key=lambda name: (shares[name], name == classification), default="")
    if best and shares[best] >= MOST:
        return best
    return classification if classification in known else ""


def _share(bench: Workbench, table: str, column: str, vocabulary: str) -> float:
    written = as_code(vocabulary, f"{quoted(column)}::VARCHAR")
    asked = f"SELECT DISTINCT {written} AS code FROM {quoted(f'source:{table}')}"
    held = (
        f"SELECT {as_code(vocabulary, 'concept_code')} AS code FROM {_FILE}.main.concept"
        f" WHERE vocabulary_id = {literal(vocabulary)}"
    )
    found = bench.value(f"SELECT avg((code IN ({held}))::INTEGER) FROM ({asked}) WHERE code IS NOT NULL")
    return float(found or 0)
