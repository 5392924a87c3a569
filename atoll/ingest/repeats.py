"""Rows of one table with one key: which of them stays, whatever the order of the file.

Rows that say the same are one row: one stays, the others are named as repeated. What one leaves out and another says
is no contradiction; the row that says most stays. Rows that contradict each other (5 and 900 under one key) are all
put aside, since nothing tells which is right: `first:` in the rule says which counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from atoll.cdm.tables import tables
from atoll.cdm.workbench import Workbench, literal, quoted

REPEATED, CONTRADICTION = "repeated row", "contradiction"
REPEATS = f"({literal(REPEATED)}, {literal(CONTRADICTION)})"  # as SQL lists them
REPLACED = ("visit_end_date", "visit_detail_end_date", "drug_exposure_end_date")  # the start stands in for them


def repeated(bench: Workbench, name: str) -> bool:
    """Find the keys on more than one row that could stay, and mark those rows; whether there are any.

    The ids go to the temporary table `repeated`, with whether their rows contradict each other.
    """
    key = tables()[name].key
    if key is None:
        return False
    full, id_ = f"main.{quoted(name)}", quoted(key)
    bench.run(
        f"CREATE OR REPLACE TEMP TABLE repeating AS SELECT {id_} AS id FROM {full}"
        f" WHERE _reason IS NULL GROUP BY {id_} HAVING count(*) > 1"
    )
    if not bench.value("SELECT count(*) FROM repeating"):
        return False
    bench.run(
        f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT {id_} AS id, {differ(name)} AS contradiction FROM {full}"
        f" WHERE _reason IS NULL AND {id_} IN (SELECT id FROM repeating) GROUP BY {id_}"
    )
    bench.run(
        f"UPDATE {full} SET _reason = {_REASON} FROM (SELECT t.rowid AS row, contradiction, row_number() OVER"
        f" (PARTITION BY id ORDER BY {fullest(name)}, t.rowid) AS n FROM {full} t JOIN repeated ON id = {id_}"
        f" WHERE _reason IS NULL) r WHERE r.row = {full}.rowid AND (contradiction OR n > 1)"
    )
    return True


def name_repeated(bench: Workbench, name: str, rows: Sequence[str]) -> None:
    """Keep the rows that `repeated` marked with what stood in them.

    rows   queries of the rules once more: the table's columns, `_key`, `row`, `source`; the rows that could stay
    """
    bench.run(
        f"INSERT INTO ingest.rejected SELECT {literal(name)}, source, 'row', {_REASON}, _key, row FROM (SELECT *,"
        f" row_number() OVER (PARTITION BY id ORDER BY {fullest(name)}, row) AS n FROM ({' UNION ALL '.join(rows)})"
        f" JOIN repeated ON id = {quoted(str(tables()[name].key))}) WHERE contradiction OR n > 1"
    )


def differ(name: str) -> str:
    """SQL: whether the rows of a group say different things in some column."""
    return " OR ".join(f"coalesce(min({one}) <> max({one}), false)" for one in _said(name))


def fullest(name: str) -> str:
    """SQL: an order in which the row that says most is the first; of as many, the earlier columns decide."""
    missing = [f"({one} IS NULL)" for one in _said(name)]
    return ", ".join([" + ".join(f"{one}::INTEGER" for one in missing), *missing])


def _said(name: str) -> list[str]:
    """The table's columns but its key; an end that the start stands in for says nothing."""
    table = tables()[name]
    return [
        f"nullif({quoted(column)}, {quoted(table.start() or column)})" if column in REPLACED else quoted(column)
        for column in table.columns
        if column != table.key
    ]


_REASON = f"CASE WHEN contradiction THEN {literal(CONTRADICTION)} ELSE {literal(REPEATED)} END"
