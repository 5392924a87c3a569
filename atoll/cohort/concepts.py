"""Concept sets as one table of codes, resolved once for a whole folder of definitions.

A set is (its concepts ∪ their descendants ∪ what maps to them) − (the same of the excluded items). A concept is a
member if the vocabulary has a row of it; a descendant also must not be invalid; "mapped" are the concepts with a valid
"Maps to" link into the set. Equal sets of different definitions share one key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, sql
from atoll.errors import DataError, StudyError
from atoll.study.circe import CohortExpression
from atoll.study.circe.parts import ConceptSet

if TYPE_CHECKING:
    import pyarrow as pa

Item = tuple[int, bool, bool, bool]  # concept, excluded, with descendants, with mapped
Members = tuple[Item, ...]
Coded = tuple[tuple[str, ...], tuple[str, ...]]  # vocabularies, beginnings of codes without dots


class ConceptSets:
    """The concept sets of all definitions of a run; `resolve` fills the table `codes` (set_key, concept_id)."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self.codes = workspace.table("codes")
        self.keys: dict[tuple[Members, ...], int] = {}
        self.coded: dict[Coded, int] = {}
        self.resolved = 0

    def of(self, definition: CohortExpression) -> DefinitionSets:
        """The sets of one definition by their ids."""
        sets: dict[int, list[Members]] = {}
        for entry in definition.concept_sets:
            sets.setdefault(entry.id, []).append(_members(entry))
        return DefinitionSets(self, {number: tuple(parts) for number, parts in sets.items()})

    def key(self, parts: tuple[Members, ...]) -> int:
        """The key of a set, or of several with one id: their members one after the other, also when twice."""
        return self.keys.setdefault(parts, len(self.keys) + len(self.coded))

    def key_of_codes(self, vocabularies: tuple[str, ...], codes: tuple[str, ...]) -> int:
        """The key of the standard concepts that these codes, and those that begin with them, map to. Without dots."""
        return self.coded.setdefault((vocabularies, codes), len(self.keys) + len(self.coded))

    def resolve(self) -> None:
        """Look the members of new sets up in the vocabulary.

        Raises
        ------
        DataError
            When the CDM has no vocabulary.
        """
        for table in ("concept", "concept_ancestor", "concept_relationship"):
            if self.workspace.columns(table) is None:
                raise DataError(
                    f"The CDM has no vocabulary: the table {table!r} is not there.",
                    "Load it from Athena, or name its schema in the address: ?schema=cdm,vocab.",
                )
        number = len(self.keys) + len(self.coded)
        if self.resolved == number and self.resolved:
            return
        items, prefixes = self.workspace.table("items"), self.workspace.table("prefixes")
        for table, rows in ((items, _rows(self.keys)), (prefixes, _prefixes(self.coded))):
            self.workspace.upload(table, rows)
            self.workspace.settle(table)
        found = _resolved(items)
        if self.coded:  # only then must the CDM's concepts have codes
            found = sql("SELECT * FROM ({a}) a UNION ALL SELECT * FROM ({b}) b", a=found, b=_coded(prefixes))
        self.workspace.create(self.codes, sql("SELECT * FROM ({f}) f ORDER BY set_key, concept_id", f=found))
        self.workspace.settle(self.codes)
        self.workspace.drop(items, prefixes)
        self.resolved = number


class DefinitionSets:
    """The concept sets of one definition."""

    def __init__(self, all_sets: ConceptSets, sets: dict[int, tuple[Members, ...]]):
        self._all, self._sets = all_sets, sets
        self.asked: dict[int, int] = {}  # id → key of the sets that criteria asked for

    def key(self, number: int) -> int:
        """The key in the table of codes of the set with this id.

        Raises
        ------
        StudyError
            When the definition holds no such set.
        """
        if number not in self._sets:
            raise StudyError(
                f"A criterion uses concept set {number}, which the definition does not hold.",
                "Add the set, or correct CodesetId.",
            )
        self.asked[number] = self._all.key(self._sets[number])
        return self.asked[number]


def members_of(include: Iterable[int], exclude: Iterable[int], descendants: bool) -> Members:
    """A set that was written as concept ids, with the descendants of all of them or of none."""
    items = [*((c, False) for c in include), *((c, True) for c in exclude)]
    return tuple(sorted((c, excluded, descendants, False) for c, excluded in items))


def _members(entry: ConceptSet) -> Members:
    return tuple(
        sorted(
            {
                (
                    item.concept.concept_id or 0,
                    bool(item.is_excluded),
                    bool(item.include_descendants),
                    bool(item.include_mapped),
                )
                for item in entry.expression.items
            }
        )
    )


def _rows(keys: dict[tuple[Members, ...], int]) -> pa.Table:
    """One row an item. Sets with one id have a part each, so that a concept in both stands twice."""
    import pyarrow as pa

    rows = [(key, part, *item) for parts, key in keys.items() for part, members in enumerate(parts) for item in members]
    names = ("set_key", "part", "concept_id", "excluded", "descendants", "mapped")
    kinds = (pa.int64(), pa.int64(), pa.int64(), pa.bool_(), pa.bool_(), pa.bool_())
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table({name: pa.array(column, kind) for name, column, kind in zip(names, columns, kinds, strict=True)})


def _prefixes(keys: dict[Coded, int]) -> pa.Table:
    """One row for each vocabulary and beginning of a code; its first three characters apart, to be found by."""
    import pyarrow as pa

    rows = [(key, name, code[:3], code) for (names, codes), key in keys.items() for name in names for code in codes]
    kinds = {"set_key": pa.int64(), "vocabulary_id": pa.string(), "first_three": pa.string(), "prefix": pa.string()}
    columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
    return pa.table({name: pa.array(column, kinds[name]) for name, column in zip(kinds, columns, strict=True)})


def _resolved(items: Sql) -> Sql:
    return sql(
        """
WITH direct AS (
  SELECT i.set_key, i.part, i.excluded, i.mapped, c.concept_id
  FROM {items} i JOIN concept c ON c.concept_id = i.concept_id
  UNION
  SELECT i.set_key, i.part, i.excluded, i.mapped, c.concept_id
  FROM {items} i JOIN concept_ancestor a ON a.ancestor_concept_id = i.concept_id
  JOIN concept c ON c.concept_id = a.descendant_concept_id
  WHERE i.descendants AND c.invalid_reason IS NULL
), members AS (
  SELECT set_key, part, excluded, concept_id FROM direct
  UNION
  SELECT d.set_key, d.part, d.excluded, r.concept_id_1
  FROM direct d JOIN concept_relationship r ON r.concept_id_2 = d.concept_id
  WHERE d.mapped AND r.relationship_id = 'Maps to' AND r.invalid_reason IS NULL
), kept AS (
  SELECT set_key, part, concept_id FROM members WHERE NOT excluded
  EXCEPT
  SELECT set_key, part, concept_id FROM members WHERE excluded
)
SELECT set_key, concept_id FROM kept""",
        items=items,
    )


def _coded(prefixes: Sql) -> Sql:
    return sql(
        """
SELECT DISTINCT p.set_key, r.concept_id_2 AS concept_id
FROM {prefixes} p JOIN concept c ON c.vocabulary_id = p.vocabulary_id
AND SUBSTR(c.concept_code, 1, 3) = p.first_three AND REPLACE(c.concept_code, '.', '') LIKE CONCAT(p.prefix, '%')
JOIN concept_relationship r ON r.concept_id_1 = c.concept_id
WHERE r.relationship_id = 'Maps to' AND r.invalid_reason IS NULL""",
        prefixes=prefixes,
    )
