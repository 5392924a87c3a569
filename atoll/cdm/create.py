"""An OMOP database made, looked at, and held against the definition, on any engine that `database.connect` opens."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from atoll.cdm.database import connect
from atoll.cdm.tables import VOCABULARY, Column, Table, Version, tables
from atoll.errors import DataError, OperatorError

_ALIKE = {"integer": ("int", "uint", "decimal"), "number": ("float", "decimal", "int"), "text": ("string",),
          "date": ("date", "timestamp"), "datetime": ("timestamp", "date")}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One difference from the definition. `severe` when analyses would go wrong or fail."""

    table: str
    column: str
    what: str
    rows: int = 0
    severe: bool = True

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"table": self.table, "column": self.column, "what": self.what, "rows": self.rows, "severe": self.severe}


@dataclass(frozen=True)
class Validation:
    """The version that a database is nearest to, and how it differs."""

    version: Version
    findings: tuple[Finding, ...]


def create(url: str) -> list[str]:
    """Make those tables of OMOP 5.4 that are missing; returns their names.

    Raises
    ------
    OperatorError
        When the database may not be written.
    """
    import ibis

    with _opened(url, read_only=False) as backend:
        there = set(backend.list_tables())
        missing = [table for name, table in tables().items() if name not in there]
        try:
            for table in missing:
                columns = {c.name: ibis.dtype(c.dtype, nullable=not c.required) for c in table.columns.values()}
                backend.create_table(table.name, schema=ibis.schema(columns))
        except Exception as error:
            raise OperatorError("The tables cannot be made in this database.", "May its user create tables?") from error
        return [table.name for table in missing]


@contextlib.contextmanager
def _opened(url: str, *, read_only: bool = True) -> Iterator[Any]:
    """A database for as long as it is needed. Ibis calls what DuckDB has announced to drop: no news for our users."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        backend: Any = connect(url, read_only=read_only)
        try:
            yield backend
        finally:
            backend.disconnect()


def describe(url: str) -> dict[str, Any]:
    """Tables of the model with their numbers of rows, and the manifest of the release when Atoll loaded it."""
    import json

    with _opened(url) as backend:
        there = set(backend.list_tables())
        counts = {name: int(backend.table(name).count().execute()) for name in tables() if name in there}
        release = {}
        with contextlib.suppress(Exception):  # not loaded by Atoll: there is no manifest
            own = (
                backend.table("atoll_release")
                if "atoll_release" in there
                else backend.table("release", database="ingest")
            )
            rows = own.to_pyarrow().to_pylist()
            release = json.loads(max(rows, key=lambda row: row["number"])["manifest"])
        return {"tables": {name: rows for name, rows in counts.items() if rows}, "release": release}


def validate(url: str) -> Validation:
    """Hold a database against the nearer of 5.4 and 5.3: missing tables and columns, types, empty required values,
    repeated keys, references and concepts that lead nowhere."""
    with _opened(url) as backend:
        there = {name: backend.table(name) for name in backend.list_tables()}
        version = _nearest(there)
        findings = [
            finding
            for name, table in tables(version).items()
            for finding in (_structure(name, table, there) if name in there else _absent(name))
        ]
        for name, table in tables(version).items():
            if name in there and name not in VOCABULARY:
                findings += _content(table, there)
        return Validation(version, tuple(findings))


def _nearest(there: dict[str, Any]) -> Version:
    if "person" not in there:
        raise DataError("This database has no table `person`.", "Give the schema that holds the model: …?schema=NAME.")
    columns = set(there["visit_occurrence"].columns) if "visit_occurrence" in there else set()
    return "5.3" if "admitting_source_concept_id" in columns else "5.4"


def _absent(name: str) -> Iterator[Finding]:
    needed = name in ("person", "observation_period", "concept", "concept_ancestor")
    yield Finding(name, "", "the table is missing", severe=needed)


def _structure(name: str, table: Table, there: dict[str, Any]) -> Iterator[Finding]:
    schema = {column.lower(): str(kind).lstrip("!") for column, kind in there[name].schema().items()}
    for column_name, column in table.columns.items():
        if column_name not in schema:
            yield Finding(name, column_name, "the column is missing", severe=column.required)
        elif not schema[column_name].startswith(_ALIKE[column.kind]):
            yield Finding(name, column_name, f"holds {schema[column_name]}, not {column.kind}")


def _content(table: Table, there: dict[str, Any]) -> Iterator[Finding]:
    """Counts of all checks of one table in one query, and its references."""
    import ibis

    rows = there[table.name]
    present = {name: column for name, column in table.columns.items() if name in rows.columns}
    counts: dict[str, Any] = {"n": rows.count()}
    for name, column in present.items():
        if column.required:
            counts[f"empty:{name}"] = rows[name].isnull().sum()
    key = next((name for name, column in present.items() if column.key), None)
    if key:
        counts["keys"] = rows[key].nunique()
    answer = {name: int(value or 0) for name, value in rows.aggregate(**counts).to_pyarrow().to_pylist()[0].items()}
    if not answer["n"]:
        return
    for name in present:
        if empty := answer.get(f"empty:{name}"):
            yield Finding(table.name, name, "empty, although required", empty)
    if key and answer["keys"] < answer["n"]:
        yield Finding(table.name, key, "repeated keys", answer["n"] - answer["keys"])
    for name, column in present.items():
        yield from _reference(table.name, name, column, rows, there, ibis)


def _reference(table: str, name: str, column: Column, rows: Any, there: dict[str, Any], ibis: Any) -> Iterator[Finding]:
    owner, _, target = column.references.partition(".")
    if owner not in there or column.key or target not in there[owner].columns:
        return
    other = there[owner]
    used = rows.filter(rows[name].notnull() & (rows[name] != 0 if column.concept else ibis.literal(True)))
    lost = int(used.anti_join(other, used[name] == other[target]).count().execute())
    if lost:
        yield Finding(table, name, f"leads to no row of {owner}", lost, severe=owner != "concept")
    if column.domain and column.concept and not lost:
        standard = used.join(other, used[name] == other[target])
        elsewhere = int(standard.filter(standard["domain_id"] != column.domain).count().execute())
        if elsewhere:
            yield Finding(table, name, f"concepts of another domain than {column.domain}", elsewhere, severe=False)
