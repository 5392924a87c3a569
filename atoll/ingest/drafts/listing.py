"""The code lists of a draft while it is written: each is made when first asked for, and has a name of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.cdm.workbench import Workbench
from atoll.ingest.drafts.code_lists import MOST, CodeList, Wanted, code_list
from atoll.ingest.drafts.drafting import Columns, first

NAMES = {"units": "test_name", **{code: f"{code}_name" for code in ("answer", "diagnosis", "drug", "test")}}


@dataclass
class Lists:
    """Lists by their files' names, and what is to be told of them.

    bench   has the views of the source
    """

    bench: Workbench
    made: dict[str, CodeList] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of(self, meaning: str, found: list[dict[str, Any]], table: Mapping[str, Any], columns: Columns) -> str:
        """The name of the list of some columns' codes; made when first asked for."""
        codes = tuple(column["name"] for column in found)
        names = tuple(column["name"] for column in columns.get(NAMES.get(meaning, ""), ()))
        names = names[:1] if len(codes) == 1 else names
        names = names if len(names) == len(codes) and names != codes else ()
        unit = first(columns, "unit") if meaning in ("test", "units") else None
        key = (table["name"], codes)
        for name, made in self.made.items():
            if made.of == key:
                return name.removesuffix(".csv")
        made = code_list(self.bench, Wanted(meaning, table.get("view", table["name"]), codes, names, unit or ""))
        made.of = key
        if made.cut:
            self.notes.append(
                f"{table['name']}: {codes[0]} has more than {MOST:,} values; the list holds the commonest."
            )
        return self.add(meaning, table["name"], made)

    def add(self, meaning: str, table: str, made: CodeList) -> str:
        """The name that a list of a table gets."""
        plain = re.sub(r"[^\w]+", "_", table)
        name = meaning if f"{meaning}.csv" not in self.made else f"{meaning}_{plain}"
        self.made[f"{name}.csv"] = made
        self.notes += [f"{name}.csv: {made.note}"] if made.note else []
        return name
