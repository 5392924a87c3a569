"""Back from a row of the model to the rows of the export that it was made from, by the rules that made it.

No key is kept for a row: the rules of its table are run once more, and what they make is held against the id. So the
mapping, its code lists, the vocabulary and the export must be those of the load. For a steward's terminal: what is
found are rows of patients, and no program that sends anything can import this module (an import contract holds it).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from atoll.cdm.tables import DERIVED, tables
from atoll.cdm.workbench import quoted
from atoll.errors import DataError
from atoll.ingest.checking import compiled_rule, trial
from atoll.ingest.judged import Context
from atoll.ingest.mapping import Mapping
from atoll.ingest.rule_source import literal_row

LATE = "2100-01-01"  # nothing lies in the future: an id does not depend on it
FROM_RULES = "This lists rows of tables that rules fill, by the table's own key."


class Origin(NamedTuple):
    """A row of the export: the id of what was made of it, its table and that table's files, its key in the rule, and
    the columns that the rule reads as JSON text."""

    id: int
    table: str
    files: tuple[str, ...]
    key: str
    row: str


def origins(
    mapping: Mapping, address: str, table: str, ids: Collection[int], vocabulary: Path | None = None
) -> list[Origin]:
    """The rows of an export from which these rows of a table were made, in the order of ids; several rows can make one.

    Raises
    ------
    DataError, Problems
        When no rule makes the table's rows, or the export or mapping cannot be used.
    """
    key, rules = tables()[table].key, [rule for rule in mapping.rules if rule.to == table]
    if not rules and table in DERIVED:
        raise DataError(f"{table} is made from other tables, not from rows of the export.", FROM_RULES)
    if not rules or key is None:
        missing = "has no key of its own" if rules else f"is filled by no rule of {mapping.name}"
        raise DataError(f"{table} {missing}.", FROM_RULES)
    if not ids:
        return []
    wanted, found = ", ".join(str(int(one)) for one in sorted(set(ids))), list[Origin]()
    with trial(mapping, address, vocabulary) as (source, lookups):
        bench = source.bench
        for rule in rules:
            made = compiled_rule(rule, source, lookups, Context(None, {}, LATE))
            lookups.complete_all(made.asked)
            id_, kept = quoted(key), literal_row([name for name in made.query.columns if name.startswith("source:")])
            files = tuple(file.name for file in source.tables[rule.source].files)
            with bench.joined_as_written():
                rows = bench.rows(
                    f"SELECT {id_}, _key, {kept} FROM ({bench.sql(made.query)}) WHERE {id_} IN ({wanted})"
                )
            found += [Origin(int(number), rule.source, files, str(text), str(row)) for number, text, row in rows]
    return sorted(found)
