"""Orphan codes: concepts in use that are near a definition's concept sets of entry, and outside them.

    relatives   the parents of what a set names, and the other children of those parents
    codes       concepts of an ICD whose code begins with the same three characters as one that maps into a set
    names       concepts whose name holds the name of something that a set names

A record counts when its standard concept is in none of the sets: by its source concept where that is near, else by its
standard concept. So a person's record stands under one code, and no code is a part of another by the mapping alone.
CohortDiagnostics (OHDSI) looks by names; vocabularies in other languages than the set's are found by the other two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, column, joined, name, sql
from atoll.cohort.concepts import ConceptSets
from atoll.cohort.domains import BY_CRITERION
from atoll.study.circe import CohortExpression
from atoll.study.diagnosis import WAYS

if TYPE_CHECKING:
    import pyarrow as pa

SHORTEST = 5  # letters of a name that is looked for in others
COLUMNS = ("person", "code", "ways")
RELATIVE, CODE, NAME = WAYS


def near_codes(workspace: Workspace, definition: CohortExpression) -> pa.Table:
    """Persons and the near codes that they have: person, code (a concept id), and the sum of the `WAYS` that it is near
    by; a row for each pair.

    Raises
    ------
    DataError
        When the CDM has no vocabulary.
    """
    import pyarrow as pa

    sets = ConceptSets(workspace)
    mine = sets.of(definition)
    of_entry = {getattr(criterion, "codeset_id", None) for criterion in definition.primary_criteria.criteria_list}
    keys = {mine.key(one.id) for one in definition.concept_sets if one.id in of_entry}
    named = sorted(
        {
            item.concept.concept_id or 0
            for one in definition.concept_sets if one.id in of_entry
            for item in one.expression.items if not item.is_excluded
        }
    )  # fmt: skip
    if not keys or not named:
        return pa.table({which: pa.array([], pa.int64()) for which in COLUMNS})
    sets.resolve()
    members, roots, near = (workspace.table(text) for text in ("members", "roots", "near"))
    workspace.create(
        members,
        sql("SELECT DISTINCT concept_id FROM {c} WHERE set_key IN ({k})",
            c=sets.codes, k=joined(", ", (sql("{k}", k=key) for key in sorted(keys)))),
    )  # fmt: skip
    workspace.upload(roots, pa.table({"concept_id": pa.array(named, pa.int64())}))
    workspace.create(near, _near(workspace, members, roots))
    rows = workspace.fetch(
        sql("SELECT DISTINCT person_id AS person, code, ways FROM ({u}) u ORDER BY person, code",
            u=joined(" UNION ALL ", _in_use(workspace, members, near)))
    )  # fmt: skip
    workspace.drop(members, roots, near)
    return pa.table({which: rows.column(which).cast(pa.int64()) for which in COLUMNS})


def _near(workspace: Workspace, members: Sql, roots: Sql) -> Sql:
    """Concepts that are near, with the sum of the ways, without those of the sets."""
    there = workspace.columns("concept") or ()
    ways = [(0, sql("SELECT concept_id FROM {r} WHERE 1 = 0", r=roots))]
    if "min_levels_of_separation" in (workspace.columns("concept_ancestor") or ()):
        parents = sql(
            "SELECT a.ancestor_concept_id FROM concept_ancestor a JOIN {r} r ON r.concept_id = a.descendant_concept_id "
            "WHERE a.min_levels_of_separation = 1", r=roots,
        )  # fmt: skip
        ways.append((RELATIVE, parents))
        children = (
            sql("SELECT b.descendant_concept_id FROM concept_ancestor b JOIN ({p}) p "
                "ON p.ancestor_concept_id = b.ancestor_concept_id WHERE b.min_levels_of_separation = 1", p=parents)
        )  # fmt: skip
        ways.append((RELATIVE, children))
    if {"vocabulary_id", "concept_code"} <= set(there):
        ways.append((CODE, _alike(members)))
    if "concept_name" in there:
        called = (
            sql("SELECT c.concept_id FROM concept c JOIN (SELECT LOWER(n.concept_name) AS part FROM {r} r "
                "JOIN concept n ON n.concept_id = r.concept_id WHERE LENGTH(n.concept_name) >= {s}) w "
                "ON LOWER(c.concept_name) LIKE CONCAT('%', w.part, '%')", r=roots, s=SHORTEST)
        )  # fmt: skip
        ways.append((NAME, called))
    every = (sql("SELECT o.*, {n} AS way FROM ({w}) o", w=way, n=number) for number, way in ways)
    return sql(
        "SELECT w.concept_id, CAST(SUM(DISTINCT w.way) AS INTEGER) AS ways FROM ({w}) w LEFT JOIN {m} m "
        "ON m.concept_id = w.concept_id WHERE m.concept_id IS NULL AND w.concept_id <> 0 GROUP BY w.concept_id",
        w=joined(" UNION ALL ", every), m=members,
    )  # fmt: skip


def _alike(members: Sql) -> Sql:
    """Codes of the same vocabulary and beginning as those that map into a set, and that do not map into one."""
    maps = sql(
        "SELECT DISTINCT r.concept_id_1 AS concept_id FROM concept_relationship r JOIN {m} m "
        "ON m.concept_id = r.concept_id_2 WHERE r.relationship_id = 'Maps to' AND r.invalid_reason IS NULL "
        "AND r.concept_id_1 <> r.concept_id_2", m=members,
    )  # fmt: skip
    return sql(
        "SELECT c.concept_id FROM concept c JOIN (SELECT DISTINCT s.vocabulary_id, SUBSTR(s.concept_code, 1, 3) AS "
        "three FROM ({maps}) x JOIN concept s ON s.concept_id = x.concept_id WHERE s.vocabulary_id LIKE 'ICD%') f "
        "ON f.vocabulary_id = c.vocabulary_id AND f.three = SUBSTR(c.concept_code, 1, 3) "
        "LEFT JOIN ({maps}) y ON y.concept_id = c.concept_id WHERE y.concept_id IS NULL", maps=maps,
    )  # fmt: skip


def _in_use(workspace: Workspace, members: Sql, near: Sql) -> Iterator[Sql]:
    """Person, near code and ways of every record outside the sets, table by table."""
    yield sql("SELECT 0 AS person_id, concept_id AS code, ways FROM {n} WHERE 1 = 0", n=near)
    tables = {
        (d.table, d.concept, d.source) for d in BY_CRITERION.values() if d.source and not d.id.endswith("_era_id")
    }
    for table, concept, source in sorted(tables):
        there = workspace.columns(table) or ()
        if concept not in there:
            continue
        own = column(Sql("t"), concept)
        by_source = column(Sql("t"), source) if source in there else sql("CAST(NULL AS BIGINT)")
        yield sql(
            "SELECT t.person_id, COALESCE(s.concept_id, c.concept_id) AS code, COALESCE(s.ways, c.ways) AS ways "
            "FROM {t} t "
            "LEFT JOIN {n} s ON s.concept_id = {source} LEFT JOIN {n} c ON c.concept_id = {own} "
            "LEFT JOIN {m} m ON m.concept_id = {own} "
            "WHERE m.concept_id IS NULL AND (s.concept_id IS NOT NULL OR c.concept_id IS NOT NULL)",
            t=name(table), n=near, m=members, own=own, source=by_source,
        )  # fmt: skip
