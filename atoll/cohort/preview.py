"""What the concept sets of a definition come to in one CDM: their concepts by name, and who has them.

Exact numbers of one hospital, for its own eyes: they leave it only through the gate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, column, joined, name, sql
from atoll.cdm.workspace import workspace_at
from atoll.cohort.concepts import ConceptSets
from atoll.cohort.domains import BY_CRITERION
from atoll.study.circe import CohortExpression


@dataclass(frozen=True)
class Member:
    """One concept of a set; persons and records that have it in any table of events."""

    concept: int
    name: str
    domain: str
    vocabulary: str
    standard: bool
    persons: int
    records: int


@dataclass(frozen=True)
class SetPreview:
    """One concept set: the most frequent of its concepts first."""

    name: str
    members: tuple[Member, ...]

    @property
    def used(self) -> int:
        """How many of its concepts the CDM has records of."""
        return sum(member.records > 0 for member in self.members)


def preview(definition: CohortExpression, url: str, *, threads: int | None = None) -> list[SetPreview]:
    """Every concept set of a definition, resolved in the CDM that a URL names.

    Raises
    ------
    DataError, OperatorError
        When the CDM cannot be read, or has no vocabulary.
    """
    with workspace_at(url, threads=threads) as workspace:
        return preview_in(workspace, definition)


def preview_in(workspace: Workspace, definition: CohortExpression) -> list[SetPreview]:
    """The same in a workspace that is open."""
    sets = ConceptSets(workspace)
    mine = sets.of(definition)
    keys = {one.id: mine.key(one.id) for one in definition.concept_sets}
    if not keys:
        return []
    sets.resolve()
    members: dict[int, list[Member]] = {}
    for row in workspace.fetch(_members(workspace, sets.codes)).to_pylist():
        member = Member(
            row["concept_id"], row["concept_name"] or "", row["domain_id"] or "", row["vocabulary_id"] or "",
            row["standard_concept"] == "S", row["persons"], row["records"],
        )  # fmt: skip
        members.setdefault(row["set_key"], []).append(member)
    return [
        SetPreview(one.name or f"set {one.id}", tuple(members.get(keys[one.id], ()))) for one in definition.concept_sets
    ]


def _members(workspace: Workspace, codes: Sql) -> Sql:
    events = joined(" UNION ALL ", _events(workspace, codes))
    return sql(
        "WITH events AS ({e}), seen AS (SELECT concept_id, COUNT(*) AS records, COUNT(DISTINCT person_id) AS persons "
        "FROM events GROUP BY concept_id) SELECT s.set_key, c.concept_id, c.concept_name, c.domain_id, "
        "c.vocabulary_id, c.standard_concept, COALESCE(e.records, 0) AS records, COALESCE(e.persons, 0) AS persons "
        "FROM {s} s JOIN concept c ON c.concept_id = s.concept_id LEFT JOIN seen e ON e.concept_id = s.concept_id "
        "ORDER BY s.set_key, records DESC, c.concept_id",
        e=events,
        s=codes,
    )


def _events(workspace: Workspace, codes: Sql) -> Iterator[Sql]:
    """Person and concept of every record with one of the codes, table by table."""
    yield sql("SELECT 0 AS concept_id, 0 AS person_id FROM {s} WHERE 1 = 0", s=codes)
    tables = {
        (domain.table, domain.concept) for domain in BY_CRITERION.values() if domain.concept and _is_event(domain.id)
    }
    for table, concept in sorted(tables):
        if concept in (workspace.columns(table) or ()):
            yield sql(
                "SELECT {c} AS concept_id, t.person_id FROM {t} t WHERE {c} IN (SELECT concept_id FROM {s})",
                c=column(Sql("t"), concept),
                t=name(table),
                s=codes,
            )


def _is_event(key: str) -> bool:
    """Whether a table holds records as they were written, and no eras made from them."""
    return not key.endswith("_era_id")
