"""What a table's keys lead to, in a normalised schema: the order that has the patient, the dictionary behind a number.

A table that names a visit and no patient, or no day, gets them from the visits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from atoll.ingest.drafts.roles import CODES, DAYS, EVENTS
from atoll.ingest.meanings import meaning_of

_NAMED = ("name", "title", "description", "label", "名称")
_KEY = re.compile(r"[_ ]?(id|key|no|nr|num|code)$", re.IGNORECASE)


def widened(table: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A table of a normalised schema with what its keys lead to.

    A column comes along when it means something that the table does not say; a code in the place of the number that
    leads to it. Tables that say nothing new are not joined.

    Returns the table with `join`: other table → (own column, its key), in their order, and `days_of`: the columns that
    are the visit's, where the table itself has no day.
    """
    made = {**table, "columns": [dict(column) for column in table["columns"]], "join": {}, "days_of": []}
    for link in table["links"]:
        _follow(made, link, tables)
    links = [*table["links"], *(link for name in made["join"] for link in _named(tables, name)["links"])]
    for link in sorted(links, key=lambda link: _no_visits(_named(tables, link["table"]))):
        _to_visit(made, link, tables)
    return made


def _named(tables: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next(one for one in tables if one["name"] == name)


def _said(table: Mapping[str, Any]) -> set[str]:
    return {column["meaning"] for column in table["columns"]} - {""}


def _no_visits(table: Mapping[str, Any]) -> tuple[int, int]:
    """How little a table looks like one of visits: it holds results or drugs, and no kinds or ends of visits."""
    said = _said(table)
    return len(EVENTS & said), -len({"visit_kind", "start", "end"} & said)


def _follow(made: dict[str, Any], link: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> None:
    columns, said = made["columns"], _said(made)
    number = next(column for column in columns if column["name"] == link["column"])
    if link.get("almost"):
        return  # a row for each of the doubled ones would be one too many
    meant = number["meaning"] or meaning_of(_KEY.sub("", number["name"]))
    theirs = _explained(_named(tables, link["table"]), meant.removesuffix("_name"), link["key"])
    behind = number["meaning"] in CODES and any(c["meaning"] == number["meaning"] for c in theirs)
    there = {column["name"] for column in columns}
    new = [
        c for c in theirs
        if c["meaning"] and c["name"] not in there
        and (c["meaning"] not in said or (behind and c["meaning"] == number["meaning"]))
    ]  # fmt: skip
    if new and number["meaning"] not in ("person", "visit") and link["table"] not in made["join"]:
        number["meaning"] = "" if behind else number["meaning"]
        columns += new
        made["join"][link["table"]] = (link["column"], link["key"])


def _to_visit(made: dict[str, Any], link: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> None:
    """Bring the patient, and the day where there is none, from the visit whose number a table has."""
    said, there = _said(made), {column["name"]: column for column in made["columns"]}
    number = there.get(link["column"])
    wanted = {"person"} - said | (set() if said & set(DAYS) else {"start"})
    if not wanted or number is None or number["meaning"] != "visit" or link.get("almost"):
        return
    visits = _named(tables, link["table"])
    new = [c for c in visits["columns"] if c["meaning"] in wanted and c["name"] not in there]
    new = [next(c for c in new if c["meaning"] == meaning) for meaning in sorted({c["meaning"] for c in new})]
    if {"person", "start"} <= _said(visits) and new and link["table"] not in made["join"]:
        made["columns"] += [dict(column) for column in new]
        made["days_of"] = [column["name"] for column in new if column["meaning"] == "start"]
        made["join"][link["table"]] = (link["column"], link["key"])


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


def behind(wide: Mapping[str, Any], table: Mapping[str, Any]) -> bool:
    """Whether a code takes the place of the number that stands for it."""
    own = {column["name"]: column["meaning"] for column in table["columns"]}
    return any(own.get(c["name"], c["meaning"]) != c["meaning"] for c in wide["columns"])
