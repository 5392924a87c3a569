"""What a release would lose against the one in force: an export that was cut off looks like a release of its own.

A release that loses much is made and sealed, but not put in force (`load`): the one before it stays until somebody
looked, and says `--anyway`.
"""

from __future__ import annotations

from collections.abc import Mapping as Entries
from collections.abc import Sequence
from typing import Any

from atoll.cdm.tables import DERIVED, tables
from atoll.cdm.workbench import quoted
from atoll.errors import DataError
from atoll.ingest.formats import TABLES
from atoll.ingest.mapping import Mapping, SourceTable
from atoll.ingest.sources import Source

SHARE = 0.2  # of its rows that a table may lose from one release to the next; ours
SOME = 100  # rows from which on a table's loss counts: a smaller one moves by a fifth from day to day
NAMED = 5  # tables that the sentence names
_TOLD = ("cdm_source", *DERIVED)  # follow from the others


def rows_read(mapping: Mapping, source: Source) -> dict[str, int]:
    """Rows of the tables that the mapping reads; of a CSV file its lines. Of messages nothing: they come in parts."""
    if source.kind != TABLES:
        return {}
    found = {}
    for name in mapping.used():
        if (table := source.tables.get(name)) is None:
            continue
        if table.files and all(file.lines for file in table.files):
            heads = 0 if (mapping.tables.get(name) or SourceTable(name)).columns else len(table.files)
            found[name] = sum(file.lines for file in table.files) - heads
        else:
            found[name] = int(source.bench.value(f"SELECT count(*) FROM {quoted(f'source:{name}')}"))
    return found


def losses(before: Entries[str, Any], after: Entries[str, Any]) -> list[str]:
    """What a manifest holds much less of than the one before it, each as words: the table and both counts."""
    found = []
    read, was_read = after.get("read", {}), before.get("read", {})
    for name, was in was_read.items():
        if was and name in read and not read[name]:
            found.append(f"{name} of the export is empty (was {was:,})")
    held, had = after.get("tables", {}), before.get("tables", {})
    for name in tables():
        was, rows = had.get(name, 0), held.get(name, 0)
        if name not in _TOLD and was >= SOME and rows < (1 - SHARE) * was:
            found.append(f"{name} {was:,} → {rows:,}")
    return found


def refuse_losses(before: Entries[str, Any], after: Entries[str, Any], aside: Sequence[Entries[str, Any]]) -> None:
    """Refuse to put a release in force that loses much.

    aside   rows that were kept aside: counts by reason, the most first

    Raises
    ------
    DataError
        With the tables and both counts, and the commonest reason for which rows were kept aside.
    """
    found = losses(before, after)
    if not found:
        return
    more = f"; {len(found) - NAMED} more tables" if len(found) > NAMED else ""
    rows = next((one for one in aside if one["what"] == "row" and one["rows"] >= SOME), None)
    why = f" Most rows kept aside: {rows['rows']:,} of {rows['source']}, {rows['reason']}." if rows else ""
    raise DataError(
        f"This export would lose much of release {before['release']}, which stays in force:"
        f" {'; '.join(found[:NAMED])}{more}.{why}",
        "Is the export whole? If it is right so, `atoll load` by hand with --anyway puts it in force.",
    )
