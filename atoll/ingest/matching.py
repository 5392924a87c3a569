"""Patients under several keys, told by values that they share: which keys the columns to match by make one person.

A match is believed where nothing speaks against it. A value that more than `CARDS` keys share is no identity but a
placeholder (未知, 0), and one whose keys differ in sex or birth belongs to different people: such values match nobody,
whatever the order of rows, and each of their rows is named. What is unknown (sex 0, a birth without its day) does not
differ from anything; so it is asked again of all keys that links together make one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atoll.cdm.workbench import Workbench, literal
from atoll.ingest.compiler import compiled
from atoll.ingest.kinds import SEPARATOR
from atoll.ingest.lookups import Lookups
from atoll.ingest.mapping import Mapping, Rule
from atoll.ingest.rule_source import chosen, key_of, source_rows, tables_of, with_lookups
from atoll.ingest.sources import Source

CARDS = 10  # numbers that one hospital may have given one patient, who came with a new card each time
PLACEHOLDER = f"match by a value of more than {CARDS} patients"
DIFFERENT = "match with another sex or birth"
Pairs = list[tuple[str, str]]


def matches(bench: Workbench, mapping: Mapping, source: Source, lookups: Lookups, same: Pairs) -> Pairs:
    """Pairs of keys (another, first) whose persons have the same values in the columns to match by.

    same   pairs that the source itself says are one person
    """
    rules = [rule for rule in mapping.rules if rule.to == "person" and mapping.match]
    if not rules:
        return []
    values = " UNION ".join(bench.sql(_values(rule, mapping, source, lookups)) for rule in rules)
    bench.run(
        "CREATE OR REPLACE TEMP TABLE match_value AS SELECT v.value, k.key, k.sex, k.born"
        f" FROM ({values}) v JOIN ingest.person_key k USING (key) WHERE k.status IS NULL"
    )
    bench.run(
        "CREATE OR REPLACE TEMP TABLE matched AS SELECT value, min(key) AS kept,"
        f" CASE WHEN count(*) > {CARDS} THEN {literal(PLACEHOLDER)}"
        f" WHEN {_differ('sex', 'born')} THEN {literal(DIFFERENT)} END AS reason"
        " FROM match_value GROUP BY value HAVING count(*) > 1"
    )
    pairs = bench.rows(
        "SELECT DISTINCT key, kept FROM match_value JOIN matched USING (value) WHERE reason IS NULL AND key <> kept"
        " ORDER BY ALL"
    )
    refused: dict[str, str] = dict(
        bench.rows(
            "SELECT key, max(reason) FROM match_value JOIN matched USING (value) WHERE reason NOT NULL GROUP BY key"
        )
    )
    torn = _torn(bench, [*same, *pairs]) if pairs else set()
    refused |= {key: DIFFERENT for pair in pairs for key in pair if key in torn}
    _name(bench, refused)
    return [pair for pair in pairs if pair[0] not in torn]


def _values(rule: Rule, mapping: Mapping, source: Source, lookups: Lookups) -> Any:
    """Key and value of the rows of which a rule makes persons."""
    rows, asked = chosen(rule, source_rows(rule, tables_of(rule, source)), lookups)
    scope, more = with_lookups(rows, [*mapping.match, *([rule.key] if rule.key else [])], lookups)
    lookups.complete_all([*asked, *more])
    parts = [compiled(one.tree, scope).ibis.cast("string") for one in mapping.match]
    value = parts[0]
    for part in parts[1:]:
        value = value + SEPARATOR + part
    rows = scope.table.select(value=value, key=key_of(rule, scope))
    return rows.filter(rows.value.notnull())


def _differ(sex: str, born: str) -> str:
    """SQL: whether known sexes, or known parts of births (as numbers such as 19500203), are not all the same."""
    parts = (sex, f"{born} // 10000", f"{born} // 100 % 100", f"{born} % 100")
    return "(" + " OR ".join(f"count(DISTINCT nullif({part}, 0)) > 1" for part in parts) + ")"


def _torn(bench: Workbench, pairs: Pairs) -> set[str]:
    """Keys that all links together make one person while their sexes or births differ."""
    import pyarrow as pa

    heads = linked(pairs)
    bench.duckdb.register("heads", pa.table({"key": list(heads), "head": list(heads.values())}))
    found = bench.rows(
        f"SELECT key FROM heads WHERE head IN (SELECT head FROM heads JOIN ingest.person_key USING (key)"
        f" GROUP BY head HAVING {_differ('sex', 'born')})"
    )
    bench.duckdb.unregister("heads")
    return {key for (key,) in found}


def _name(bench: Workbench, refused: dict[str, str]) -> None:
    """Keep each row of such a patient with the reason, beside the row that is loaded."""
    import pyarrow as pa

    if not refused:
        return
    bench.duckdb.register("refused", pa.table({"key": list(refused), "reason": list(refused.values())}))
    bench.run(
        "INSERT INTO ingest.rejected SELECT 'person', r.source, 'match', f.reason, _key, _row FROM main.person"
        " JOIN refused f ON f.key = _key JOIN ingest.rule r ON r.position = _rule WHERE _reason IS NULL"
    )
    bench.duckdb.unregister("refused")


def linked(pairs: Sequence[tuple[str, str]], both_ways: bool = False) -> dict[str, int]:
    """Each key of some pairs, in order, with the number of the group that the pairs make of it; `both_ways`: of those
    from which the pairs lead to each other and back."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keys = sorted({key for pair in pairs for key in pair})
    place = {key: position for position, key in enumerate(keys)}
    rows, columns = (np.array([place[pair[side]] for pair in pairs]) for side in (0, 1))
    graph = coo_array((np.ones(len(pairs), np.int8), (rows, columns)), shape=(len(keys), len(keys)))
    _, groups = connected_components(graph, directed=both_ways, connection="strong")
    return dict(zip(keys, groups.tolist(), strict=True))
