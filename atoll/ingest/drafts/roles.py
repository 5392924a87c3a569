"""Which column of an export's tables is the patient's, the visit's and the row's own number, whatever it is called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from atoll.ingest.scan import ALMOST

CODES = ("test", "drug", "diagnosis", "procedure")  # meanings that a number of the hospital's own may stand for
DAYS = ("measured", "start", "diagnosed", "prescribed", "operated")  # meanings of columns that tell the day of a row
EVENTS = {"diagnosis", "diagnosis_name", "drug", "drug_name", "test", "test_name", "value", "procedure"}  # of visits
SOME = 100  # rows from which on values that are all different say that a column of another name is a key, too
_KEYS_ARE = re.compile(r"(id|no|nbr|nr|num|number|key|code|row|seq|serial|号|序|编号|编码)$", re.IGNORECASE)
Table = Mapping[str, Any]  # of the scan
Columns = dict[str, list[dict[str, Any]]]  # meaning → columns of a table


def roles(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tables, with the patient's and the visit's number found where no name says them.

    The table with sex and birth is that of patients; what is unique in it and stands in most other tables is the
    number, whatever it is called (`住院号` is a patient's number at some hospitals, a visit's at others). The same for
    visits.
    """
    made: list[dict[str, Any]] = [{**table, "columns": [dict(c) for c in table["columns"]]} for table in tables]
    for table in made:
        _said_better(table)
    for meaning in ("person", "visit"):
        _one_number(made, meaning)
    patients = [t for t in made if {"sex"} <= set(by_meaning(t)) and {"birth", "birth_year"} & set(by_meaning(t))]
    patients.sort(key=lambda table: "visit_kind" in by_meaning(table) or "start" in by_meaning(table))
    if patients and not any("person" in by_meaning(table) for table in patients):
        _call(made, _number_of(patients[0], made, ()), "person", always=True)
    visits = [
        table for table in made
        if {"person", "start"} <= set(by_meaning(table)) and {"end", "visit_kind"} & set(by_meaning(table))
        and not {"drug", "drug_name", "test", "test_name"} & set(by_meaning(table))
    ]  # fmt: skip
    if visits and not any("visit" in by_meaning(table) for table in made):
        _call(made, _number_of(visits[0], made, ("person",)), "visit", always=False)
    return made


def _said_better(table: dict[str, Any]) -> None:
    """What the other columns of a table tell of one: beside a coded diagnosis `diagnosis` is its name, and beside the
    day of an admission `dod` that of the discharge."""
    columns = by_meaning(table)
    diagnoses = columns.get("diagnosis", [])
    bare = [column for column in diagnoses if column["name"].casefold() in ("diagnosis", "diag", "dx")]
    if len(bare) < len(diagnoses):
        for column in bare:
            column["meaning"] = "diagnosis_name"
    for column in columns.get("death", []) if "start" in columns and "sex" not in columns else ():
        if column["name"].casefold() == "dod":
            column["meaning"] = "end"


def _one_number(tables: Sequence[Mapping[str, Any]], meaning: str) -> None:
    """Of several numbers of the patient (of the visit) in one table keep the one that most tables have."""
    named = Counter(column["name"] for table in tables for column in table["columns"] if column["meaning"] == meaning)
    for table in tables:
        found = by_meaning(table).get(meaning, [])
        kept = max(found, key=lambda column: named[column["name"]], default=None)
        for column in found:
            column["meaning"] = meaning if column is kept else ""


def about_visits(found: Sequence[tuple[Table, Columns]], messages: bool) -> list[tuple[Table, Columns]]:
    """Of tables with their columns by meaning those whose rows are visits, not what refers to the visits of another.

    A second rule for the same visits would contradict the first. In messages a visit says of which kind it is; among
    tables the one whose numbers are another's keys refers to it, where that one tells at least as much of visits.
    """
    if messages:
        return [(table, columns) for table, columns in found if "visit_kind" in columns]
    told = {str(table["name"]): len({"visit_kind", "start", "end"} & set(columns)) for table, columns in found}
    events = {str(table["name"]): bool(EVENTS & set(columns)) for table, columns in found}
    order = sorted(told, key=lambda name: (-told[name], events[name]))
    return [
        (table, columns) for table, columns in found
        if not any(
            link["table"] in told and order.index(link["table"]) < order.index(table["name"])
            for link in table["links"] if "visit" in columns and link["column"] == columns["visit"][0]["name"]
        )
    ]  # fmt: skip


def _number_of(table: Mapping[str, Any], tables: Sequence[Mapping[str, Any]], without: Collection[str]) -> str | None:
    """The column that tells a table's rows apart and that most other tables have."""
    found = [
        column["name"] for column in table["columns"]
        if column["meaning"] in ("", "visit") and column["meaning"] not in without
        and column["type"] in ("text", "integer") and own_values(table, column["name"])
    ]  # fmt: skip
    elsewhere = [[column["name"] for column in other["columns"]] for other in tables if other is not table]
    return max(found, key=lambda name: sum(name in names for names in elsewhere), default=None)


def _call(tables: Sequence[Mapping[str, Any]], name: str | None, meaning: str, *, always: bool) -> None:
    for table in tables:
        for column in table["columns"]:
            if column["name"] == name and (always or not column["meaning"]):
                column["meaning"] = meaning


def by_meaning(table: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Meaning → the table's columns that have it; those without any value last."""
    columns: dict[str, list[dict[str, Any]]] = {}
    for column in sorted(table["columns"], key=lambda column: column["type"] == "empty"):
        if column["meaning"]:
            columns.setdefault(column["meaning"], []).append(column)
    return columns


def row_key(table: Mapping[str, Any], without: Collection[str | None]) -> str | None:
    """The column that tells a table's rows apart, also where some rows are repeated; never a name or a day."""
    numbers = [
        c["name"] for c in table["columns"] if c["meaning"] in ("", "visit", "person", *CODES)
        and (_KEYS_ARE.search(c["name"]) or (table["rows"] >= SOME and c["type"] in ("text", "integer")))
    ]  # fmt: skip
    exact = next((name for name in table["keys"] if name in numbers and name not in without), None)
    return exact or next(
        (c["name"] for c in table["columns"] if c["name"] not in without and c["meaning"] in ("", "visit", "person")
         and _KEYS_ARE.search(c["name"]) and own_values(table, c["name"])),
        None,
    )  # fmt: skip


def own_values(table: Mapping[str, Any], name: str) -> bool:
    """Whether nearly every row has a value of its own in a column."""
    column = next(column for column in table["columns"] if column["name"] == name)
    return not column["missing"] and bool(table["rows"]) and column["distinct"] >= ALMOST * table["rows"]
