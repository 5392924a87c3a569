"""A cohort and sets of sparse features → one row for each person's column that is not nought, where the data are.

Each domain's records are read once a set, up to the index date and not a day later, and counted by index date and
concept (or group) on the engine. Columns that fewer persons have than are wanted are left out there; what comes out are
the cells of the others. A list of columns in the place of that minimum gives the same columns at every hospital.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, column, name, sql
from atoll.cdm.tables import LOCAL
from atoll.cohort.domains import BY_WORD, Domain
from atoll.errors import DataError
from atoll.features.looks import Look, seen
from atoll.study.sparse import ATC, Sparse, SparseSet

if TYPE_CHECKING:
    import pyarrow as pa

T = sql("t")


@dataclass(frozen=True)
class SparseTable:
    """What was found.

    cells     row (place in the cohort), person, feature, value; sorted by row and feature
    columns   feature, set, key (concept id or code), name, persons: of this hospital, which leave it through no file
    rows      index dates, with or without a cell
    """

    cells: pa.Table
    columns: pa.Table
    rows: int

    def matrix(self) -> Any:
        """The cells as a `scipy.sparse.csr_array` (rows, columns), columns in the order of `columns`."""
        import numpy as np
        from scipy.sparse import csr_array

        features = self.columns.column("feature").to_numpy()
        order = np.argsort(features)
        place = order[np.searchsorted(features, self.cells.column("feature").to_numpy(), sorter=order)]
        cells = (self.cells.column("value").to_numpy(), (self.cells.column("row").to_numpy(), place))
        return csr_array(cells, shape=(self.rows, len(features)))


def extract(workspace: Workspace, cohort: pa.Table, sparse: Sparse, only: Collection[int] | None = None) -> SparseTable:
    """The sparse features of a cohort's index dates.

    cohort   subject_id, cohort_start_date (the index date)
    only     ids of the columns that are wanted, whatever number of persons has them; else those of enough persons

    Raises
    ------
    DataError
        When the CDM lacks a table, a column or the vocabulary that a set needs.
    """
    import pyarrow as pa

    with workspace.passing():
        index = _place(workspace, cohort)
        parts = [_of_set(workspace, index, one, sparse.least, only) for one in sparse.sets]
    cells = pa.concat_tables([part for part, _ in parts]).sort_by([("row", "ascending"), ("feature", "ascending")])
    columns = pa.concat_tables([part for _, part in parts])
    return SparseTable(cells, columns, cohort.num_rows)


def _place(workspace: Workspace, cohort: pa.Table) -> Sql:
    """The index dates as a scratch table."""
    import pyarrow as pa

    index = workspace.table("index_date")
    rows = {
        "row_id": pa.array(range(cohort.num_rows), pa.int64()),
        "person_id": cohort.column("subject_id").cast(pa.int64()),
        "index_date": cohort.column("cohort_start_date").cast(pa.date32()),
    }
    workspace.upload(index, pa.table(rows))
    workspace.settle(index, by=("person_id",))
    return index


def _of_set(
    workspace: Workspace, index: Sql, one: SparseSet, least: int, only: Collection[int] | None
) -> tuple[pa.Table, pa.Table]:
    """Cells and columns of one set."""
    import pyarrow as pa

    domain = BY_WORD[one.domain]
    keys, counted, kept = (workspace.table(text) for text in ("keys", "counted", "kept"))
    workspace.create(keys, _keys(workspace, domain, one))
    workspace.settle(keys, by=("concept_id",))
    workspace.create(counted, _counted(workspace, index, keys, domain, one))
    found = _held(workspace, counted, keys)
    wanted = [row for row in found if (row["persons"] >= least if only is None else one.id_of(row["code"]) in only)]
    codes, ids = [row["code"] for row in wanted], [one.id_of(row["code"]) for row in wanted]
    places = {"code": pa.array(codes, pa.string()), "place": pa.array(range(len(codes)), pa.int64())}
    workspace.upload(kept, pa.table(places))
    rows = workspace.fetch(
        sql(
            "SELECT c.row_id, c.person_id, k.place, c.value FROM {c} c JOIN {k} k ON k.code = c.code", c=counted, k=kept
        )
    )
    workspace.drop(keys, counted, kept)
    place = rows.column("place").cast(pa.int64()).combine_chunks()
    cells = pa.table(
        {
            "row": rows.column("row_id").cast(pa.int64()),
            "person": rows.column("person_id").cast(pa.int64()),
            "feature": pa.array(ids, pa.int64()).take(place),
            "value": rows.column("value").cast(pa.float64()),
        }
    )
    columns: dict[str, Any] = {
        "feature": pa.array(ids, pa.int64()),
        "set": pa.array([one.name] * len(ids), pa.string()),
    }
    columns |= {"key": places["code"], "name": pa.array([row["called"] for row in wanted], pa.string())}
    return cells, pa.table(columns | {"persons": pa.array([row["persons"] for row in wanted], pa.int64())})


def _held(workspace: Workspace, counted: Sql, keys: Sql) -> list[dict[str, Any]]:
    """Each code that somebody has, with its name and its persons, in a fixed order."""
    found: list[dict[str, Any]] = workspace.fetch(
        sql("SELECT c.code, MIN(k.called) AS called, COUNT(DISTINCT c.person_id) AS persons FROM {c} c "
            "JOIN (SELECT code, MIN(called) AS called FROM {k} GROUP BY code) k ON k.code = c.code GROUP BY c.code",
            c=counted, k=keys)
    ).to_pylist()  # fmt: skip
    return sorted(found, key=lambda row: (len(row["code"]), row["code"]))


def _keys(workspace: Workspace, domain: Domain, one: SparseSet) -> Sql:
    """Which column each concept belongs to: concept_id, code and what the column is called."""
    there = set(workspace.columns("concept") or ())
    called = sql("c.concept_name") if "concept_name" in there else sql("CONCAT('', c.concept_id)")
    _need(workspace, "concept", ("concept_id",))
    concept = domain.source if one.each == "icd3" else domain.concept
    _need(workspace, domain.table, ("person_id", domain.start, concept))
    if one.each == "concept":
        return sql(
            "SELECT c.concept_id, CONCAT('', c.concept_id) AS code, {called} AS called FROM concept c "
            "WHERE c.concept_id > 0 AND c.concept_id < {local} AND c.concept_id IN (SELECT {concept} FROM {t} t)",
            called=called, local=LOCAL, concept=column(T, concept), t=name(domain.table),
        )  # fmt: skip
    _need(workspace, "concept", ("vocabulary_id", "concept_code"))
    if one.each == "icd3":
        of_group = sql(
            "SELECT c.concept_code, MIN({called}) AS called FROM concept c WHERE c.vocabulary_id LIKE 'ICD10%' "
            "AND LENGTH(c.concept_code) = 3 GROUP BY c.concept_code", called=called,
        )  # fmt: skip
        return sql(
            "SELECT c.concept_id, SUBSTR(c.concept_code, 1, 3) AS code, "
            "COALESCE(g.called, SUBSTR(c.concept_code, 1, 3)) AS called FROM concept c LEFT JOIN ({g}) g "
            "ON g.concept_code = SUBSTR(c.concept_code, 1, 3) "
            "WHERE c.vocabulary_id LIKE 'ICD10%' AND c.concept_id < {local}", g=of_group, local=LOCAL,
        )  # fmt: skip
    _need(workspace, "concept_ancestor", ("ancestor_concept_id", "descendant_concept_id"))
    return sql(
        "SELECT DISTINCT a.descendant_concept_id AS concept_id, c.concept_code AS code, {called} AS called "
        "FROM concept c JOIN concept_ancestor a ON a.ancestor_concept_id = c.concept_id "
        "WHERE c.vocabulary_id = 'ATC' AND LENGTH(c.concept_code) = {n}", called=called, n=ATC[one.each],
    )  # fmt: skip


def _counted(workspace: Workspace, index: Sql, keys: Sql, domain: Domain, one: SparseSet) -> Sql:
    """What is said of each column at each index date: row_id, person_id, code, value."""
    dialect, (first, last) = workspace.dialect, one.window
    start = sql("CAST({s} AS DATE)", s=column(T, domain.start))
    within = sql("{s} <= {d}", s=start, d=dialect.shift(sql("x.index_date"), last))
    if first is not None:
        within = sql("{w} AND {s} >= {d}", w=within, s=start, d=dialect.shift(sql("x.index_date"), first))
    records = sql(
        "SELECT x.row_id, x.person_id, k.code, {day} AS day FROM {x} x JOIN {t} t ON t.person_id = x.person_id "
        "JOIN {k} k ON k.concept_id = {concept} WHERE {w}",
        day=dialect.days(sql("x.index_date"), start), x=index, t=name(domain.table), k=keys, w=within,
        concept=column(T, domain.source if one.each == "icd3" else domain.concept),
    )  # fmt: skip
    return sql(
        "SELECT row_id, person_id, code, {v} AS value FROM ({r}) r GROUP BY row_id, person_id, code",
        v=seen(Look(first, last, one.says), dialect), r=records,
    )  # fmt: skip


def _need(workspace: Workspace, table: str, columns: tuple[str, ...]) -> None:
    there = workspace.columns(table)
    if there is None:
        raise DataError(f"The CDM has no table {table!r}.", "Load it, or leave out what reads it.")
    missing = [column_ for column_ in columns if column_ not in there]
    if missing:
        raise DataError(f"The table {table!r} has no column {missing[0]!r}.", "Load it, or leave out what reads it.")
