"""Which column of an export's tables is the patient's, the visit's and the row's own number, whatever it is called."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from atoll.ingest.scan import ALMOST, meaning_of

CODES = ("test", "drug", "diagnosis", "procedure")  # meanings that a number of the hospital's own may stand for
_NAMED = ("name", "title", "description", "label", "名称")
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
    patients = [t for t in made if {"sex"} <= set(by_meaning(t)) and {"birth", "birth_year"} & set(by_meaning(t))]
    patients.sort(key=lambda table: "visit_kind" in by_meaning(table) or "start" in by_meaning(table))
    if patients and not any("person" in by_meaning(table) for table in patients):
        _call(made, _number_of(patients[0], made, ()), "person", always=True)
    visits = [
        table for table in made
        if {"person", "start"} <= set(by_meaning(table)) and {"end", "visit_kind"} & set(by_meaning(table))
    ]  # fmt: skip
    if visits and not any("visit" in by_meaning(table) for table in made):
        _call(made, _number_of(visits[0], made, ("person",)), "visit", always=False)
    return made


def about_visits(found: Sequence[tuple[Table, Columns]], messages: bool) -> list[tuple[Table, Columns]]:
    """Of tables with their columns by meaning those whose rows are visits, not what refers to the visits of another.

    A second rule for the same visits would contradict the first. In messages a visit says of which kind it is; among
    tables the one whose numbers are another's keys refers to it, where that one tells at least as much of visits.
    """
    if messages:
        return [(table, columns) for table, columns in found if "visit_kind" in columns]
    told = {str(table["name"]): len({"visit_kind", "start", "end"} & set(columns)) for table, columns in found}
    order = sorted(told, key=lambda name: -told[name])
    return [
        (table, columns) for table, columns in found
        if not any(
            link["table"] in told and order.index(link["table"]) < order.index(table["name"])
            for link in table["links"] if "visit" in columns and link["column"] == columns["visit"][0]["name"]
        )
    ]  # fmt: skip


def widened(table: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A table of a normalised schema with what its keys lead to, and `join`: other table → (own column, its key).

    A column comes along when it means something that the table does not say; a code in the place of the number that
    leads to it. Tables that say nothing new are not joined.
    """
    columns = [dict(column) for column in table["columns"]]
    said = {column["meaning"] for column in columns} - {""}
    join: dict[str, tuple[str, str]] = {}
    for link in table["links"]:
        number = next(column for column in columns if column["name"] == link["column"])
        if link.get("almost"):
            continue  # a row for each of the doubled ones would be one too many
        meant = number["meaning"] or meaning_of(re.sub(r"_?id$", "", number["name"], flags=re.IGNORECASE))
        theirs = _explained(next(one for one in tables if one["name"] == link["table"]), meant, link["key"])
        behind = number["meaning"] in CODES and any(c["meaning"] == number["meaning"] for c in theirs)
        there = {column["name"] for column in columns}
        new = [
            c for c in theirs
            if c["meaning"] and c["name"] not in there
            and (c["meaning"] not in said or (behind and c["meaning"] == number["meaning"]))
        ]  # fmt: skip
        if new and number["meaning"] not in ("person", "visit") and link["table"] not in join:
            number["meaning"] = "" if behind else number["meaning"]
            columns += new
            said |= {column["meaning"] for column in new}
            join[link["table"]] = (link["column"], link["key"])
    return {**table, "columns": columns, "join": join}


def _explained(table: Mapping[str, Any], meaning: str, key: str) -> list[dict[str, Any]]:
    """The columns of a table that explains a number, its key: its `code` is what the number means, `name` its name."""
    columns = [dict(column) for column in table["columns"] if column["name"] != key]
    if meaning in CODES and not any(column["meaning"] == "person" for column in columns):
        said = {column["meaning"] for column in columns}
        for column in columns:
            name, of = column["name"].casefold(), f"{meaning}_name"
            if name == "code" and meaning not in said:
                column["meaning"] = meaning
            elif name in _NAMED and of not in said and column["meaning"] in ("", "name"):
                column["meaning"] = of
                said.add(of)
    if meaning == "visit_kind" and "visit_kind" not in {column["meaning"] for column in columns}:
        for column in columns:
            if column["name"].casefold() in _NAMED:
                column["meaning"] = "visit_kind"
                break
    return columns


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
    """Meaning → the table's columns that have it."""
    columns: dict[str, list[dict[str, Any]]] = {}
    for column in table["columns"]:
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


def behind(wide: Mapping[str, Any], table: Mapping[str, Any]) -> bool:
    """Whether a code takes the place of the number that stands for it."""
    own = {column["name"]: column["meaning"] for column in table["columns"]}
    return any(own.get(c["name"], c["meaning"]) != c["meaning"] for c in wide["columns"])
