"""Which table of the model a table of an export can fill, by what its columns mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atoll.ingest.drafts.drafting import START
from atoll.ingest.drafts.joining import behind
from atoll.ingest.drafts.roles import DAYS, EVENTS, by_meaning, own_values

NEEDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # table → meanings that a source must have; one of
    "person": (("person",), ("sex", "birth", "birth_year", "race")),
    "death": (("person", "death"), ()),
    "visit_occurrence": (("person", "start"), ("visit", "visit_kind")),
    "condition_occurrence": (("person",), ("diagnosis", "diagnosis_name")),
    "drug_exposure": (("person",), ("drug", "drug_name")),
    "measurement": (("person", "value"), ("test", "test_name")),
    "procedure_occurrence": (("person", "procedure"), ()),
}
EVENT_TABLES = ("condition_occurrence", "drug_exposure", "measurement", "procedure_occurrence")
JOINING = (*EVENT_TABLES, "visit_occurrence")
_OF_STAYS = {"diagnosis", "diagnosis_name", "procedure"}  # what a table of stays may hold of each


def fits(to: str, table: Mapping[str, Any]) -> bool:
    """Whether a table tells what a table of the model needs."""
    columns, (needed, one_of) = by_meaning(table), NEEDS[to]
    if any(meaning not in columns for meaning in needed) or (one_of and not any(m in columns for m in one_of)):
        return False
    events = EVENTS & set(columns)  # rows with codes or values are events of visits, not visits
    whole = events <= _OF_STAYS and {"end", "visit"} <= set(columns) and own_values(table, columns["visit"][0]["name"])
    return to != "visit_occurrence" or not events - {"diagnosis_name"} or "visit_kind" in columns or whole


def says_more(to: str, wide: Mapping[str, Any], table: Mapping[str, Any]) -> bool:
    """Whether what a table's keys lead to is needed for a table of the model."""
    if to == "visit_occurrence":
        return fits(to, table) and "visit_kind" in set(by_meaning(wide)) - set(by_meaning(table))
    dated = to in START and not set(DAYS) & set(by_meaning(table)) and bool(set(DAYS) & set(by_meaning(wide)))
    return fits(to, wide) > fits(to, table) or (dated and fits(to, wide)) or behind(wide, table)
