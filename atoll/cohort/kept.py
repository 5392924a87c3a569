"""What an earlier run found and need not be looked for again: where words, concepts and tables are the same.

The state of a run stands in its own Parquet file, so that rows and state cannot come apart. A definition is kept when
its signature is that of the earlier run:

    signature   the program's version, the definition as written, the members of each concept set that it uses, and the
                mark of each table that its queries name
    release     when the whole database is the same as then, its tables' marks need not be taken again

What the queries name is read from their text, so a table that they might read cannot be forgotten.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.cdm.marks import mark
from atoll.cdm.scratch import PREFIX, Workspace
from atoll.cdm.sql import sql
from atoll.cdm.tables import tables
from atoll.cohort.build import Plan
from atoll.cohort.concepts import ConceptSets, DefinitionSets
from atoll.study.circe import CohortExpression, written
from atoll.version import VERSION

if TYPE_CHECKING:
    import pyarrow as pa

KEY = b"atoll cohorts"  # of the Parquet file's own notes
_WORD = re.compile(r"[a-z0-9_]+")


def tables_read(plan: Plan) -> set[str]:
    """The tables of the CDM that a plan's queries name; a superset of those that they read."""
    texts = [plan.qualified, *plan.censoring, *([plan.index] if plan.index is not None else [])]
    words = {word.removeprefix(f"{PREFIX}of_") for text in texts for word in _WORD.findall(text)}
    return (words & set(tables())) | ({"drug_exposure"} if plan.era is not None else set()) | {"observation_period"}


class Marks:
    """The marks of a database's tables, each taken once; those that are known come from an earlier run."""

    def __init__(self, workspace: Workspace, known: Mapping[str, str] | None = None):
        self.workspace, self.known = workspace, dict(known or {})

    def __getitem__(self, table: str) -> str:
        if table not in self.known:
            self.known[table] = mark(self.workspace, table)
        return self.known[table]


def members(workspace: Workspace, sets: ConceptSets) -> dict[int, str]:
    """What stands for the members of each resolved concept set, by key."""
    hashed = workspace.dialect.hashed(sql("concept_id"))
    query = sql("SELECT set_key, COUNT(*) AS n, SUM({h}) AS h FROM {c} GROUP BY set_key", h=hashed, c=sets.codes)
    return {row["set_key"]: f"{row['n']} {row['h']}" for row in workspace.fetch(query).to_pylist()}


def signature(
    definition: CohortExpression, plan: Plan, sets: DefinitionSets, held: Mapping[int, str], marks: Marks
) -> str:
    """What the rows of a definition depend on, as one hash."""
    said = [
        VERSION,
        written(definition, indent=None),
        sorted((number, held.get(key, "")) for number, key in sets.asked.items()),
        sorted((table, marks[table]) for table in tables_read(plan)),
    ]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode("utf-8")).hexdigest()


@dataclass
class State:
    """What a run leaves for the next one.

    release       of the database, or None where nothing stands for it
    marks         of the tables that were looked at
    definitions   by name: `signature`, `notes`, `attrition`
    """

    release: str | None = None
    marks: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: pa.Table | None = None

    def written(self, rows: pa.Table) -> pa.Table:
        """The rows of a run with this state in the file's own notes."""
        state = {"release": self.release, "marks": self.marks, "definitions": self.definitions}
        text = json.dumps(state, ensure_ascii=False, sort_keys=True).encode("utf-8")
        return rows.replace_schema_metadata({**(rows.schema.metadata or {}), KEY: text})

    def rows_of(self, names: Iterable[str]) -> pa.Table | None:
        """The rows of these definitions."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.rows is None:
            return None
        return self.rows.filter(pc.is_in(self.rows.column("definition"), pa.array(list(names), pa.string())))


def read_state(path: Path) -> State:
    """The state that a file of an earlier run holds; an empty one where there is none, or it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        state = json.loads((table.schema.metadata or {})[KEY])
        return State(state["release"], state["marks"], state["definitions"], table.replace_schema_metadata(None))
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException):
        return State()


def in_order(parts: Iterable[pa.Table], names: list[str]) -> pa.Table:
    """Rows of several runs in the order of the definitions, then of persons and days, as one run writes them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pa.concat_tables(parts)
    place = pc.index_in(rows.column("definition"), pa.array(names, pa.string()))
    order = [("place", "ascending"), ("subject_id", "ascending"), ("cohort_start_date", "ascending")]
    return rows.append_column("place", place).sort_by(order).drop_columns(["place"])
