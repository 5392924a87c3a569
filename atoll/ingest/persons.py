"""Who is who: from the keys of the source to persons, with their birth and death, merges, and contradictions.

Of two births of one person the earlier is kept, since it contradicts no event, and the other row is named. Of two
sexes neither is: the person stays without one, and the rows are named. When births and sexes differ, the rows are two
persons under one id: they and their events are put aside. Rows that differ in something else are a contradiction: the
row that says most stays, of as many the first in the order of what stands in them.

`ingest.person_key` has one row for each key of the source: the id made from the key, the person that it belongs to
(another one after a merge), the first day on which that person can have lived, the day of death, and why the person is
rejected when the rows of one key contradict each other.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from atoll.cdm.workbench import Workbench, literal
from atoll.ingest.compiler import compiled
from atoll.ingest.lookups import Lookups
from atoll.ingest.mapping import Mapping
from atoll.ingest.matching import linked, matches
from atoll.ingest.repeats import CONTRADICTION, REPEATED, differ, fullest
from atoll.ingest.rule_source import row_id_of, sourced, with_lookups
from atoll.ingest.sources import Source

TWO_PERSONS = "two persons share one id"
TWO_BIRTHS = "one person with two births"
TWO_SEXES = "one person with two sexes"
CIRCLE = "one of {} numbers that replace each other in a circle"


def settle(bench: Workbench, mapping: Mapping, source: Source, lookups: Lookups) -> None:
    """Build `ingest.person_key` from the rows of `person`, which still carry the columns of the loader; repeated rows
    and merged persons are taken out of `person`."""
    born = "(year_of_birth * 10000 + coalesce(month_of_birth, 0) * 100 + coalesce(day_of_birth, 0))"
    bench.run(
        "CREATE OR REPLACE TABLE ingest.person_key AS WITH each AS (SELECT _key AS key,"
        f" nullif(gender_concept_id, 0) AS sex, {born} AS born,"
        " make_date(year_of_birth, coalesce(month_of_birth, 1), coalesce(day_of_birth, 1)) AS birth"
        " FROM main.person WHERE _reason IS NULL)"
        f" SELECT key, stable_id(key) AS key_id, {row_id_of('person', 'key')} AS person_id,"
        " min(birth) AS birth, NULL::DATE AS death, CASE WHEN count(DISTINCT born) > 1 AND count(DISTINCT sex) > 1 THEN"
        f" '{TWO_PERSONS}' END AS status, min(born) AS born, CASE count(DISTINCT sex) WHEN 1 THEN max(sex) ELSE 0 END"
        " AS sex, count(DISTINCT sex) AS sexes FROM each GROUP BY key"
    )
    for reason, condition in ((None, "k.status IS NOT NULL"), (TWO_BIRTHS, f"{born} <> k.born")):
        bench.run(
            f"UPDATE main.person SET _reason = {literal(reason) if reason else 'k.status'} FROM ingest.person_key k"
            f" WHERE k.key = _key AND _reason IS NULL AND {condition}"
        )
    _repeated(bench)
    same = _same(mapping, source, lookups)
    if mapping.same is not None:
        _name_circles(bench, mapping.same.table, same)
    pairs = same + matches(bench, mapping, source, lookups, same)
    for column in ("born", "sex", "sexes"):
        bench.run(f"ALTER TABLE ingest.person_key DROP COLUMN {column}")
    _merge(bench, pairs)


def _repeated(bench: Workbench) -> None:
    """Leave one row of each person, without a sex where the rows disagree on it."""
    two = "(SELECT key FROM ingest.person_key WHERE sexes > 1)"
    bench.run(
        "INSERT INTO ingest.rejected SELECT 'person', r.source, 'value',"
        f" {literal(TWO_SEXES)}, _key, _row FROM main.person JOIN ingest.rule r ON r.position = _rule"
        f" WHERE _reason IS NULL AND _key IN {two}"
    )
    bench.run(
        "UPDATE main.person SET gender_concept_id = 0, gender_source_value = NULL, gender_source_concept_id = NULL"
        f" WHERE _reason IS NULL AND _key IN {two}"
    )
    bench.run(
        f"UPDATE main.person SET _reason = CASE WHEN contradiction THEN {literal(CONTRADICTION)}"
        f" ELSE {literal(REPEATED)} END FROM (SELECT t.rowid AS row, contradiction, row_number() OVER (PARTITION BY"
        f" person_id ORDER BY {fullest('person')}, _row) AS n FROM main.person t JOIN (SELECT person_id,"
        f" {differ('person')} AS contradiction FROM main.person WHERE _reason IS NULL GROUP BY person_id"
        " HAVING count(*) > 1) USING (person_id) WHERE _reason IS NULL) r WHERE r.row = main.person.rowid AND n > 1"
    )


def _same(mapping: Mapping, source: Source, lookups: Lookups) -> list[tuple[str, str]]:
    """Pairs of keys (old, surviving) that a table of the source says are one person."""
    if mapping.same is None:
        return []
    keys = (mapping.same.key, mapping.same.other)
    scope, asked = with_lookups(sourced(source.table(mapping.same.table)), keys, lookups)
    lookups.complete_all(asked)
    old, kept = (compiled(one.tree, scope).ibis.cast("string") for one in keys)
    pairs = scope.table.select(old=old, kept=kept).distinct()
    rows = source.bench.rows(source.bench.sql(pairs.filter((pairs.old != pairs.kept).fill_null(False))))
    return sorted(rows)


def _name_circles(bench: Workbench, table: str, pairs: list[tuple[str, str]]) -> None:
    """Name the rows of keys that replace each other in a circle: the source does not say which of them is right."""
    import pyarrow as pa

    circles = linked(pairs, both_ways=True) if pairs else {}
    size = Counter(circles.values())
    found = {key: CIRCLE.format(size[group]) for key, group in circles.items() if size[group] > 1}
    if not found:
        return
    bench.duckdb.register("circle", pa.table({"key": list(found), "reason": list(found.values())}))
    bench.run(
        f"INSERT INTO ingest.rejected SELECT 'person', {literal(table)}, 'same', reason, key, _row FROM circle"
        " LEFT JOIN main.person ON _key = key AND _reason IS NULL ORDER BY key"
    )
    bench.duckdb.unregister("circle")


def _merge(bench: Workbench, pairs: list[tuple[str, str]]) -> None:
    """Give all keys of one person the id of the key that survives: one that nothing replaced, else the first."""
    if not pairs:
        return
    import pyarrow as pa

    groups = linked(pairs)
    keys = list(groups)
    replaced = {pair[0] for pair in pairs}
    known = {key for (key,) in bench.rows("SELECT key FROM ingest.person_key WHERE status IS NULL")} & set(keys)
    heads: dict[int, str] = {}
    for key in sorted(keys, key=lambda key: (key not in known, key in replaced, key)):
        heads.setdefault(groups[key], key)
    kept = [heads[group] for group in groups.values()]
    bench.duckdb.register("merging", pa.table({"key": keys, "kept": kept}))
    bench.run("CREATE OR REPLACE TABLE ingest.merged AS SELECT key, kept FROM merging WHERE key <> kept ORDER BY key")
    bench.duckdb.unregister("merging")
    bench.run(
        "UPDATE ingest.person_key SET person_id = k.person_id"
        " FROM ingest.merged m JOIN ingest.person_key k ON k.key = m.kept WHERE ingest.person_key.key = m.key"
    )
    _agree(bench)
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


def _agree(bench: Workbench) -> None:
    """Of merged patients' births take the earliest, and no sex where theirs differ, as of rows under one key."""
    bench.run(
        "UPDATE ingest.person_key SET birth = b.birth FROM (SELECT person_id, min(birth) AS birth FROM"
        " ingest.person_key WHERE status IS NULL GROUP BY person_id) b WHERE b.person_id = ingest.person_key.person_id"
    )
    born = "struct_pack(y := year_of_birth, m := coalesce(month_of_birth, 0), d := coalesce(day_of_birth, 0))"
    bench.run(
        f"CREATE OR REPLACE TEMP TABLE merging AS SELECT k.person_id, min({born}) AS born, max({born}) AS last,"
        " count(DISTINCT nullif(gender_concept_id, 0)) > 1 AS sexes"
        " FROM main.person p JOIN ingest.person_key k ON k.key = _key WHERE _reason IS NULL AND k.person_id IN"
        " (SELECT k.person_id FROM ingest.merged m JOIN ingest.person_key k USING (key)) GROUP BY k.person_id"
        " HAVING count(*) > 1"
    )
    for reason, condition in ((TWO_BIRTHS, f"{born} <> born"), (TWO_SEXES, "sexes")):
        bench.run(
            f"INSERT INTO ingest.rejected SELECT 'person', r.source, 'value', {literal(reason)}, _key, _row"
            " FROM main.person p JOIN ingest.person_key k ON k.key = _key JOIN merging m ON m.person_id = k.person_id"
            f" JOIN ingest.rule r ON r.position = _rule WHERE _reason IS NULL AND {condition}"
        )
    bench.run(
        "UPDATE main.person SET year_of_birth = born.y, month_of_birth = nullif(born.m, 0), day_of_birth ="
        " nullif(born.d, 0), birth_datetime = NULL FROM merging m WHERE m.person_id = main.person.person_id"
        " AND _reason IS NULL AND born <> last"
    )
    bench.run(
        "UPDATE main.person SET gender_concept_id = 0, gender_source_value = NULL, gender_source_concept_id = NULL"
        " FROM merging m WHERE m.person_id = main.person.person_id AND _reason IS NULL AND sexes"
    )
    bench.run("DROP TABLE merging")


def deaths(bench: Workbench) -> None:
    """Take the days of death over, so that later rows can be held against them. Of several days the first counts."""
    bench.run(
        f"UPDATE main.death SET _reason = CASE WHEN death_date = first THEN {literal(REPEATED)}"
        f" ELSE {literal(CONTRADICTION)} END FROM (SELECT person_id, min(death_date) AS first,"
        " arg_min(rowid, (death_date, _row)) AS kept FROM main.death WHERE _reason IS NULL GROUP BY person_id"
        " HAVING count(*) > 1) d WHERE d.person_id = main.death.person_id AND _reason IS NULL AND kept <> rowid"
    )
    bench.run(
        "UPDATE ingest.person_key SET death = d.death_date FROM main.death d"
        " WHERE d.person_id = ingest.person_key.person_id AND d._reason IS NULL"
    )


def persons(bench: Workbench) -> Any:
    """The Ibis table of all keys."""
    return bench.ibis.table("person_key", database="ingest")
