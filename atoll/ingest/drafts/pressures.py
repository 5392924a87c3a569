"""Blood pressure in one cell, systolic and diastolic: `120/80`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atoll.cdm.workbench import Workbench, quoted
from atoll.ingest.drafts.code_lists import VITALS, told_unit
from atoll.ingest.drafts.drafting import named
from atoll.ingest.drafts.wide import meaning_of_heading

MOST = 0.9  # share of values that must be two numbers
_PAIR = r"^\s*\d{1,3}(\.\d+)?\s*/\s*\d{1,3}(\.\d+)?\s*$"
_SIGNS = ("systolic", "diastolic")


def pressures(bench: Workbench, table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The columns of a table whose values are two pressures each, with their unit: that of the heading, else told from
    the middle values, or empty."""
    found = []
    for column in table["columns"]:
        meaning, unit = meaning_of_heading(column["name"])
        if column["type"] == "text" and meaning == "blood_pressure" and _two(bench, table["name"], column["name"]):
            halves = [f"split_part({quoted(column['name'])}, '/', {n})" for n in (1, 2)]
            told = {told_unit(bench, table["name"], half, sign) for half, sign in zip(halves, _SIGNS, strict=True)}
            found.append((column["name"], unit or (told.pop() if len(told) == 1 else "")))
    return found


def _two(bench: Workbench, table: str, column: str) -> bool:
    share = bench.value(
        f"SELECT avg(regexp_matches({quoted(column)}, '{_PAIR}')::INTEGER) FROM {quoted(f'source:{table}')}"
        f" WHERE {quoted(column)} IS NOT NULL"
    )
    return share is not None and float(share) >= MOST


def two_pressures(column: str, unit: str) -> list[list[str]]:
    """For either pressure the lines of a measurement's columns, its concept the first."""
    made = []
    for part, sign in enumerate(_SIGNS, 1):
        half = f'split({named(column)}, "/", {part})'
        said = [f'unit_concept_id: unit("{unit}")'] if unit else ["# TODO unit_concept_id: the values do not tell it"]
        made.append([
            f"measurement_concept_id: {VITALS[sign]}   # {sign}", f"value_as_number: number({half})", *said,
            f"value_source_value: {half}",
        ])  # fmt: skip
    return made
