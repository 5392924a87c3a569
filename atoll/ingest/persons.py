"""Who is who: from the keys of the source to persons, with their birth and death, merges, and contradictions.

Of two births of one person the earlier is kept, since it contradicts no event, and the other row is named. When sex
differs too, the rows are two persons under one id: they and their events are put aside.

`ingest.person_key` has one row for each key of the source: the id made from the key, the person that it belongs to
(another one after a merge), the first day on which that person can have lived, the day of death, and why the person is
rejected when the rows of one key contradict each other.
"""

from __future__ import annotations

from typing import Any

from atoll.cdm.workbench import Workbench
from atoll.ingest.compiler import compiled
from atoll.ingest.kinds import SEPARATOR
from atoll.ingest.lookups import Lookups
from atoll.ingest.mapping import Mapping
from atoll.ingest.rule_source import RuleScope, sourced
from atoll.ingest.rules import REPEATED
from atoll.ingest.sources import Source

TWO_PERSONS = "two persons share one id"
TWO_BIRTHS = "one person with two births"


def settle(bench: Workbench, mapping: Mapping, source: Source, lookups: Lookups) -> None:
    """Build `ingest.person_key` from the rows of `person`, which still carry the columns of the loader; repeated rows
    and merged persons are taken out of `person`."""
    born = "(year_of_birth * 10000 + coalesce(month_of_birth, 0) * 100 + coalesce(day_of_birth, 0))"
    bench.run(
        "CREATE OR REPLACE TABLE ingest.person_key AS WITH each AS (SELECT _key AS key, gender_concept_id AS sex,"
        f" {born} AS born,"
        " make_date(year_of_birth, coalesce(month_of_birth, 1), coalesce(day_of_birth, 1)) AS birth"
        " FROM main.person WHERE _reason IS NULL)"
        " SELECT key, stable_id(key) AS key_id, stable_id('person' || chr(31) || key) AS person_id, min(birth) AS"
        " birth,"
        " NULL::DATE AS death, CASE WHEN count(DISTINCT born) > 1 AND count(DISTINCT sex) > 1 THEN "
        f"'{TWO_PERSONS}' END AS status, min(born) AS born FROM each GROUP BY key"
    )
    bench.run(
        "UPDATE main.person SET _reason = k.status FROM ingest.person_key k"
        " WHERE k.key = _key AND k.status IS NOT NULL AND _reason IS NULL"
    )
    bench.run(
        f"UPDATE main.person SET _reason = '{TWO_BIRTHS}' FROM ingest.person_key k"
        f" WHERE k.key = _key AND _reason IS NULL AND {born} <> k.born"
    )
    bench.run("ALTER TABLE ingest.person_key DROP COLUMN born")
    bench.run(
        f"UPDATE main.person SET _reason = '{REPEATED}' WHERE _reason IS NULL AND rowid NOT IN"
        " (SELECT min(rowid) FROM main.person WHERE _reason IS NULL GROUP BY person_id)"
    )
    _merge(bench, _same(mapping, source, lookups) + _matches(bench, mapping, source, lookups))


def _same(mapping: Mapping, source: Source, lookups: Lookups) -> list[tuple[str, str]]:
    """Pairs of keys (old, surviving) that a table of the source says are one person."""
    if mapping.same is None:
        return []
    scope = RuleScope(sourced(source.table(mapping.same.table)), lookups)
    old, kept = (compiled(one.tree, scope).ibis.cast("string") for one in (mapping.same.key, mapping.same.other))
    pairs = scope.table.select(old=old, kept=kept).distinct()
    rows = source.bench.rows(source.bench.sql(pairs.filter((pairs.old != pairs.kept).fill_null(False))))
    return sorted(rows)


def _matches(bench: Workbench, mapping: Mapping, source: Source, lookups: Lookups) -> list[tuple[str, str]]:
    """Pairs of keys whose persons have the same values in the columns to match by."""
    pairs: list[tuple[str, str]] = []
    for rule in (rule for rule in mapping.rules if rule.to == "person" and mapping.match and rule.key):
        scope = RuleScope(sourced(source.table(rule.source)), lookups)
        parts = [compiled(one.tree, scope).ibis.cast("string") for one in mapping.match]
        value = parts[0]
        for part in parts[1:]:
            value = value + SEPARATOR + part
        assert rule.key is not None
        rows = scope.table.select(value=value, key=compiled(rule.key.tree, scope).ibis.cast("string"))
        rows = rows.filter(rows.value.notnull() & rows.key.notnull()).distinct()
        first = rows.group_by("value").agg(kept=rows.key.min(), keys=rows.key.nunique())
        linked = rows.join(first.filter(first["keys"] > 1), "value")
        linked = linked.filter(linked.key != linked.kept).select("key", "kept")
        pairs += bench.rows(bench.sql(linked))
    return sorted(pairs)


def _merge(bench: Workbench, pairs: list[tuple[str, str]]) -> None:
    """Give all keys of one person the id of the key that survives: one that nothing replaced, else the first."""
    if not pairs:
        return
    import numpy as np
    import pyarrow as pa
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keys = sorted({key for pair in pairs for key in pair})
    place = {key: position for position, key in enumerate(keys)}
    rows, columns = (np.array([place[pair[side]] for pair in pairs]) for side in (0, 1))
    graph = coo_array((np.ones(len(pairs), np.int8), (rows, columns)), shape=(len(keys), len(keys)))
    _, groups = connected_components(graph, directed=False)
    replaced = {pair[0] for pair in pairs}
    known = {key for (key,) in bench.rows("SELECT key FROM ingest.person_key WHERE status IS NULL")} & set(keys)
    heads: dict[int, str] = {}
    for key in sorted(keys, key=lambda key: (key not in known, key in replaced, key)):
        heads.setdefault(int(groups[place[key]]), key)
    kept = [heads[int(group)] for group in groups]
    bench.duckdb.register("merging", pa.table({"key": keys, "kept": kept}))
    bench.run("CREATE OR REPLACE TABLE ingest.merged AS SELECT key, kept FROM merging WHERE key <> kept ORDER BY key")
    bench.duckdb.unregister("merging")
    bench.run(
        "UPDATE ingest.person_key SET person_id = k.person_id, birth = least(ingest.person_key.birth, k.birth)"
        " FROM ingest.merged m JOIN ingest.person_key k ON k.key = m.kept WHERE ingest.person_key.key = m.key"
    )
    # a key that has no row of its own still leads to its person
    bench.run(
        "INSERT INTO ingest.person_key SELECT m.key, stable_id(m.key), k.person_id, k.birth, NULL, k.status FROM"
        " ingest.merged m"
        " JOIN ingest.person_key k ON k.key = m.kept WHERE m.key NOT IN (SELECT key FROM ingest.person_key)"
    )
    bench.run(
        "DELETE FROM main.person WHERE _reason IS NULL AND _key IN (SELECT m.key FROM ingest.merged m"
        " JOIN ingest.person_key k ON k.key = m.kept)"
    )


def deaths(bench: Workbench) -> None:
    """Take the days of death over, so that later rows can be held against them. Of several days the first counts."""
    bench.run(
        f"UPDATE main.death SET _reason = '{REPEATED}' WHERE _reason IS NULL AND rowid NOT IN"
        " (SELECT arg_min(rowid, (death_date, rowid)) FROM main.death WHERE _reason IS NULL GROUP BY person_id)"
    )
    bench.run(
        "UPDATE ingest.person_key SET death = d.death_date FROM main.death d"
        " WHERE d.person_id = ingest.person_key.person_id AND d._reason IS NULL"
    )


def persons(bench: Workbench) -> Any:
    """The Ibis table of all keys."""
    return bench.ibis.table("person_key", database="ingest")
