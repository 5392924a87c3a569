"""What has not changed since the release in force is taken from it instead of made again, table by table.

A table is the same when everything that it was made from is: its rules and code lists, the source's files and how the
mapping has them read, the vocabulary, the program, and the rows that it refers to (persons with their births, deaths
and merges; visits and others by their ids and persons, visits also by their days where events are linked to them). And
today: a row that lay in the future may have come. Rows kept aside and codes without a concept come along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from collections.abc import Mapping as Entries
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from atoll.cdm.tables import tables
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.ingest.expressions import written
from atoll.ingest.mapping import Mapping, Rule
from atoll.ingest.sources import Source

PROGRAM = ("cdm", "ingest", "study")  # packages whose code and data make rows
IDS = 2  # how ids are made of keys: a release with others is made anew as a whole, so that no row stands there twice
ALWAYS = ("person",)  # who is who is settled anew each time: every other table stands on it


@cache
def program(package: Path = Path(__file__).parents[1]) -> str:
    """A hash of the program that makes rows: of its code, and of the words, units and patterns that come with it. Two
    programs of one version may differ, as where a site's own row was added to a list."""
    found = hashlib.sha256()
    for folder in PROGRAM:
        for path in sorted((package / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(f"{path.relative_to(package).as_posix()}\0".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def fingerprint(
    mapping: Mapping,
    rules: Sequence[Rule],
    source: Source,
    plan: Entries[str, Any],
    bench: Workbench,
    filled: Sequence[str],
) -> str:
    """A hash of all that a table is made from; `filled` are the tables that are made already."""
    read = sorted({name for rule in rules for name in (rule.source, *rule.join)})
    parts: dict[str, Any] = {
        "rules": [_said(rule) for rule in rules],
        "lists": {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in sorted(mapping.lists.items())},
        "files": {name: [file.sha256 for file in source.tables[name].files] for name in read},
        "tables": {name: _read_as(mapping, name) for name in read},
        "units": mapping.infer_units,
        "missing": [list(mapping.missing), mapping.encoding, mapping.source, mapping.link_visits],
        "made by": [IDS, plan["vocabulary"], plan["concepts"], plan["program"], bench.value("SELECT version()")],
        "rows": {name: _rows(bench, name) for name in filled if name != "person"},
    }
    if "person" in filled:
        parts["persons"] = bench.rows(
            "SELECT count(*), bit_xor(hash(key_id, person_id, birth, death, status)) FROM ingest.person_key"
        )
    if mapping.link_visits and "visit_occurrence" in filled:
        parts["days of visits"] = bench.rows(
            "SELECT bit_xor(hash(visit_occurrence_id, person_id, visit_start_date, visit_end_date))"
            " FROM main.visit_occurrence"
        )
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode("utf-8")).hexdigest()


def _said(rule: Rule) -> list[Any]:
    """A rule's own words; lists of pairs, since the order counts: a key may be the columns in their order."""
    expressions = [(name, written(one.tree)) for name, one in rule.expressions().items()]
    each = [rule.each.groups, rule.each.values, rule.each.name] if rule.each else None
    return [rule.position, rule.to, rule.source, expressions, each, list(rule.join.items()), rule.distinct]


def _read_as(mapping: Mapping, name: str) -> dict[str, Any] | None:
    """All that the mapping says of how a table of the source is read, but for where it says it."""
    declared = mapping.tables.get(name)
    return {key: value for key, value in asdict(declared).items() if key != "place"} if declared else None


def _rows(bench: Workbench, name: str) -> Any:
    """The rows that others may refer to, as a number that does not depend on their order."""
    key = tables()[name].key
    whose = ", person_id" if "person_id" in tables()[name].columns else ""
    return bench.rows(f"SELECT count(*), bit_xor(hash({quoted(key)}{whose})) FROM main.{quoted(name)}") if key else None


def take(bench: Workbench, target: Path, name: str, mark: str, files: Entries[str, str], today: str) -> bool:
    """Take a table over from the release in `target` when it has the same mark; says whether it did.

    files   those that the table is read from: hash → name
    today   the last day that is not in the future
    """
    if not target.exists() or name in ALWAYS:
        return False
    with attached(bench, target) as there:
        if "part" not in there or not bench.rows(
            f"SELECT 1 FROM atoll_in_force.ingest.part WHERE name = {literal(name)} AND mark = {literal(mark)}"
        ):
            return False
        if not _still_today(bench, there, today, [name]):
            return False
        listed = ", ".join(map(quoted, tables()[name].columns))
        bench.run(f"INSERT INTO main.{quoted(name)} ({listed}) SELECT {listed} FROM atoll_in_force.main.{quoted(name)}")
        for kept in ("rejected", "unmapped", "unit_inferred", "unit_converted", "coming"):
            bench.run(
                f"INSERT INTO ingest.{kept} BY NAME SELECT * FROM atoll_in_force.ingest.{kept}"
                f' WHERE "table" = {literal(name)}'
            )
        _take_lines(bench, files)
    return True


def unchanged(bench: Workbench, target: Path, today: str) -> bool:
    """Whether all tables of the release in `target` would be the same if they were made from the same today."""
    with attached(bench, target) as there:
        return _still_today(bench, there, today, list(tables()))


def _still_today(bench: Workbench, there: Collection[str], today: str, names: Sequence[str]) -> bool:
    """Whether tables of the release in force, which is attached and has the tables `there`, stand as on their day."""
    made = _manifest(bench).get("today", "")
    if made >= today or "coming" not in there:
        return bool(made == today)  # on an earlier day more lies in the future
    return not bench.rows(
        f'SELECT 1 FROM atoll_in_force.ingest.coming WHERE list_contains({literal(list(names))}, "table")'
        f" AND day <= {literal(today)}::DATE"
    )


def _manifest(bench: Workbench) -> dict[str, Any]:
    """The manifest of the release in force, which is attached."""
    found: dict[str, Any] = json.loads(
        bench.value("SELECT manifest FROM atoll_in_force.ingest.release ORDER BY number DESC LIMIT 1")
    )
    return found


def _take_lines(bench: Workbench, files: Entries[str, str]) -> None:
    """Broken lines of files that are not read again; a file may have been renamed since."""
    for file in _manifest(bench)["files"]:
        if now := files.get(file["sha256"]):
            bench.run(
                f'INSERT INTO ingest.rejected SELECT "table", {literal(now)}, what, reason, key, row FROM'
                f" atoll_in_force.ingest.rejected WHERE what = 'line' AND source = {literal(file['name'])} AND key"
                f" NOT IN (SELECT key FROM ingest.rejected WHERE what = 'line' AND source = {literal(now)})"
            )


class attached:
    """The release in force beside the one that is made, as `atoll_in_force`; gives the names of its own tables."""

    def __init__(self, bench: Workbench, target: Path):
        self.bench, self.target = bench, target

    def __enter__(self) -> set[str]:
        if not self.bench.rows("SELECT 1 FROM duckdb_databases() WHERE database_name = 'atoll_in_force'"):
            self.bench.run(f"ATTACH {literal(str(self.target))} AS atoll_in_force (READ_ONLY)")
        rows = self.bench.rows(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'atoll_in_force' AND schema_name = 'ingest'"
        )
        return {name for (name,) in rows}

    def __exit__(self, *_: object) -> None:
        """It stays attached: a transaction that read it may still be open."""
