"""What tells a table's rows apart where no column does alone: an order's number and the line in it, a patient's number
and the how-manieth visit it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from atoll.cdm.workbench import Workbench, quoted
from atoll.ingest.drafts.drafting import named
from atoll.ingest.drafts.roles import by_meaning, own_values
from atoll.ingest.scan import ALMOST

_LINE = re.compile(r"(line|seq|row|item_?no|serial_?no|_no|序号|行号|xh)$", re.IGNORECASE)
_NUMBER = re.compile(r"(id|no|nbr|nr|num|number|key|号)$", re.IGNORECASE)
MOST = 4  # columns of either kind that are tried
FEW = 10  # rows below which two columns tell them apart by chance


def pair(first: str, second: str) -> str:
    """Two numbers as one key, as an expression."""
    return f'concat({named(first)}, " ", {named(second)})'


def counted_for_each(bench: Workbench, tables: Sequence[Mapping[str, Any]]) -> bool:
    """Whether visits are counted for each patient by itself, so that a visit's number is none without the patient's."""
    for table in tables:
        columns = by_meaning(table)
        if not {"person", "visit", "start"} <= set(columns) or own_values(table, columns["visit"][0]["name"]):
            continue
        person, visit = (columns[one][0]["name"] for one in ("person", "visit"))
        pairs, visits = _distinct(bench, table, person, visit), _distinct(bench, table, visit)
        if pairs >= ALMOST * table["rows"] and table["rows"] >= FEW and pairs > 2 * visits:
            return True
    return False


def pair_of(bench: Workbench, table: Mapping[str, Any], without: Sequence[str | None]) -> str | None:
    """Two columns that tell a table's rows apart, the number of something and a line of it; or none."""
    free = [c for c in table["columns"] if c["meaning"] in ("", "person", "visit") and not c["missing"] and
            c["type"] in ("text", "integer")]  # fmt: skip
    lines = [c["name"] for c in free if _LINE.search(c["name"]) and c["name"] not in without and not c["meaning"]]
    numbers = [c["name"] for c in free if _NUMBER.search(c["name"])]
    for first in numbers[:MOST] if table["rows"] >= FEW else ():
        for second in lines[:MOST]:
            if first != second and _distinct(bench, table, first, second) == table["rows"]:
                return pair(first, second)
    return None


def _distinct(bench: Workbench, table: Mapping[str, Any], *columns: str) -> int:
    view = quoted(f"source:{table['name']}")
    return int(bench.value(f"SELECT count(*) FROM (SELECT DISTINCT {', '.join(map(quoted, columns))} FROM {view})"))
