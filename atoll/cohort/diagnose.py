"""The tables that a phenotype is diagnosed by, in one CDM: `study.diagnosis` says what stands in each.

Rows of persons, for the hospital's own eyes and for the algorithms that count them: what leaves goes through the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, column, joined, name, sql
from atoll.cdm.tables import FEMALE, LOCAL, MALE
from atoll.cohort.concepts import ConceptSets
from atoll.cohort.domains import BY_CRITERION
from atoll.cohort.near import near_codes
from atoll.cohort.run import CohortRun
from atoll.errors import StudyError
from atoll.study.circe import CohortExpression
from atoll.study.diagnosis import SEXES, TABLES, with_ways

if TYPE_CHECKING:
    import pyarrow as pa

GENDERS = {FEMALE: SEXES[0], MALE: SEXES[1]}


def diagnose(
    workspace: Workspace,
    what: str,
    definition: CohortExpression,
    second: CohortExpression | None = None,
    *,
    own_names: bool = False,
) -> pa.Table:
    """One of the tables of `study.diagnosis`; `second` is the other cohort of an overlap.

    With `own_names` the hospital's own concepts have their names, too: for what stays there.

    Raises
    ------
    StudyError
        For a table that is none of them.
    AtollError
        What kept the definition from being run.
    """
    if what not in MADE:
        raise StudyError(f"A cohort is not diagnosed by {what!r}.", f"Give one of {', '.join(MADE)}.")
    made = MADE[what](workspace, definition, second)
    if what not in NAMED:
        return made
    named = Names(definition, own_names).given(workspace, made, NAMED[what])
    return _with_ways(named) if what == "codes" else named


def _rows(run: CohortRun, definitions: dict[str, CohortExpression]) -> pa.Table:
    found = run.run(definitions)
    for error in found.failed.values():
        raise error
    return found.rows


def _run(workspace: Workspace, definition: CohortExpression) -> tuple[ConceptSets, pa.Table]:
    """The concept sets of a definition that was run, and the first period of each person."""
    run = CohortRun(workspace)
    return run.sets, _first_periods(_rows(run, {"cohort": definition}))


def _first_periods(rows: pa.Table) -> pa.Table:
    """The first period of each person: subject_id, start, end."""
    rows = rows.sort_by([("subject_id", "ascending"), ("cohort_start_date", "ascending")])
    person = rows.column("subject_id").to_numpy()
    first = np.flatnonzero(np.concatenate([[True], person[1:] != person[:-1]])) if len(person) else np.array([], int)
    return rows.take(first).select(["subject_id", "cohort_start_date", "cohort_end_date"])


# ---- entries


def _entries(workspace: Workspace, definition: CohortExpression, _: object) -> pa.Table:
    import pyarrow as pa

    sets, first = _run(workspace, definition)
    index = workspace.table("index_dates")
    workspace.upload(index, first)
    query = sql(
        "SELECT i.subject_id, i.cohort_start_date, i.cohort_end_date, "
        "MIN(o.observation_period_start_date) AS seen_from, MAX(o.observation_period_end_date) AS seen_to "
        "FROM {i} i LEFT JOIN observation_period o ON o.person_id = i.subject_id "
        "AND o.observation_period_start_date <= i.cohort_start_date "
        "AND o.observation_period_end_date >= i.cohort_start_date "
        "GROUP BY i.subject_id, i.cohort_start_date, i.cohort_end_date ORDER BY i.subject_id", i=index,
    )  # fmt: skip
    rows = workspace.fetch(query)
    started = workspace.fetch(_started(workspace, sets, definition, index))
    workspace.drop(index)
    person = _whole(rows, "subject_id")
    dates = ("cohort_start_date", "cohort_end_date", "seen_from", "seen_to")
    start, end, since, until = (_days(rows, date) for date in dates)
    concept = dict(zip(*(started.column(c).to_pylist() for c in ("subject_id", "concept_id")), strict=True))
    made = pa.table({"person": person, "concept": pa.array([concept.get(p) for p in person.tolist()], pa.int64())})
    for name_, values in (("before", start - since), ("after", until - start), ("within", end - start)):
        made = made.append_column(name_, pa.array(np.maximum(values, 0.0), from_pandas=True))
    return made


def _started(workspace: Workspace, sets: ConceptSets, definition: CohortExpression, index: Sql) -> Sql:
    """The concept of the record that began each person's period: of several on that day, the one of the lowest id."""
    mine = sets.of(definition)
    parts = [sql("SELECT subject_id, 0 AS concept_id, 0 AS event_id, 0 AS source FROM {i} WHERE 1 = 0", i=index)]
    for number, criterion in enumerate(definition.primary_criteria.criteria_list):
        domain = BY_CRITERION.get(type(criterion).__name__)
        if domain is None or not domain.concept or domain.concept not in (workspace.columns(domain.table) or ()):
            continue
        concept, codeset = column(Sql("t"), domain.concept), getattr(criterion, "codeset_id", None)
        within = sql("") if codeset is None else sql(
            " JOIN {c} k ON k.set_key = {key} AND k.concept_id = {concept}",
            c=sets.codes, key=mine.key(codeset), concept=concept,
        )  # fmt: skip
        parts.append(
            sql("SELECT i.subject_id, {concept} AS concept_id, {id} AS event_id, {n} AS source FROM {i} i "
                "JOIN {t} t ON t.person_id = i.subject_id AND CAST({start} AS DATE) = i.cohort_start_date{within}",
                concept=concept, id=column(Sql("t"), domain.id), n=number, i=index, t=name(domain.table),
                start=column(Sql("t"), domain.start), within=within)
        )  # fmt: skip
    return sql(
        "SELECT subject_id, concept_id FROM (SELECT e.*, ROW_NUMBER() OVER (PARTITION BY e.subject_id "
        "ORDER BY e.event_id, e.source, e.concept_id) AS ordinal FROM ({e}) e) o WHERE o.ordinal = 1",
        e=joined(" UNION ALL ", parts),
    )


@dataclass(frozen=True)
class Names:
    """What concepts are called: as the vocabulary does, else as the definition does, else by their numbers alone."""

    definition: CohortExpression
    own: bool

    def given(self, workspace: Workspace, rows: pa.Table, of: str) -> pa.Table:
        """Concept ids as words: the id with its name, without one where the concept is the hospital's own."""
        import pyarrow as pa

        ids = rows.column(of).to_pylist()
        wanted = sorted({i for i in ids if i is not None})
        names = self.known() | (_in_vocabulary(workspace, wanted) if wanted else {})
        words = {i: self.word(i, names.get(i)) for i in wanted}
        return rows.set_column(rows.column_names.index(of), of, pa.array([words.get(i) for i in ids], pa.string()))

    def known(self) -> dict[int, str]:
        """The names that the definition gives."""
        concepts = [item.concept for one in self.definition.concept_sets for item in one.expression.items]
        return {one.concept_id: one.concept_name for one in concepts if one.concept_id and one.concept_name}

    def word(self, concept: int, name_: str | None) -> str:
        """The id and, where it may be told, the name."""
        plain = " ".join((name_ or "").split())
        return f"{concept} {plain}" if plain and (self.own or concept < LOCAL) else str(concept)


def _with_ways(near: pa.Table) -> pa.Table:
    """Near codes as words, each with why it is near."""
    import pyarrow as pa

    pairs = zip(near.column("code").to_pylist(), near.column("ways").to_pylist(), strict=True)
    words = pa.array([with_ways(word, ways) for word, ways in pairs], pa.string())
    return near.select(["person", "code"]).set_column(1, "code", words)


def _in_vocabulary(workspace: Workspace, wanted: list[int]) -> dict[int, str]:
    """Names that the vocabulary has; a loaded concept without one is called by its vocabulary and code there."""
    import pyarrow as pa

    there = set(workspace.columns("concept") or ())
    if "concept_name" not in there:
        return {}
    asked = workspace.table("asked")
    workspace.upload(asked, pa.table({"concept_id": pa.array(wanted, pa.int64())}))
    coded = sql(" AND c.concept_name <> CONCAT(c.vocabulary_id, ' ', c.concept_code)")
    found = workspace.fetch(
        sql("SELECT c.concept_id, c.concept_name FROM concept c JOIN {a} a ON a.concept_id = c.concept_id "
            "WHERE c.concept_name IS NOT NULL{coded}",
            a=asked, coded=coded if {"vocabulary_id", "concept_code"} <= there else sql(""))
    )  # fmt: skip
    workspace.drop(asked)
    return dict(zip(*(found.column(c).to_pylist() for c in ("concept_id", "concept_name")), strict=True))


# ---- time at risk


def _risk(workspace: Workspace, definition: CohortExpression, _: object) -> pa.Table:
    """Everybody's observation after the days that entry asks for, up to the first entry, in disjoint pieces."""
    import pyarrow as pa

    first = _run(workspace, definition)[1]
    prior = definition.primary_criteria.observation_window.prior_days or 0
    rows = workspace.fetch(
        sql("SELECT o.person_id, p.year_of_birth, p.gender_concept_id, o.observation_period_start_date AS seen_from, "
            "o.observation_period_end_date AS seen_to FROM observation_period o JOIN person p "
            "ON p.person_id = o.person_id ORDER BY o.person_id, seen_from, seen_to")
    )  # fmt: skip
    person = _whole(rows, "person_id")
    since, until = _days(rows, "seen_from"), _days(rows, "seen_to")
    since = np.maximum(since + prior, _seen_before(person, until) + 1)
    entry = _looked_up(person, _whole(first, "subject_id"), _days(first, "cohort_start_date"))
    there = (since <= until) & ~(entry < since)
    event = there & (entry <= until)
    genders = [GENDERS.get(g) for g in rows.column("gender_concept_id").to_pylist()]
    born = rows.column("year_of_birth").to_numpy(zero_copy_only=False).astype(float)
    made = pa.table(
        {
            "person": person,
            "sex": pa.array(genders, pa.string()),
            "born": pa.array(born, from_pandas=True),
            "enters": since,
            "leaves": np.where(event, entry, until),
            "event": event.astype(float),
        }
    )
    return made.filter(pa.array(there)).select(list(TABLES["risk"]))


def _seen_before(person: Any, until: Any) -> Any:
    """The last day that an earlier row of the same person reaches; before all days for the first."""
    if not len(person):
        return until
    new = np.concatenate([[True], person[1:] != person[:-1]])
    rank, far = np.cumsum(new) * 1e7, np.nan_to_num(until, nan=-1e6)  # days are far below ten million
    reached = np.maximum.accumulate(rank + far) - rank
    return np.where(new, -np.inf, np.concatenate([[0.0], reached[:-1]]))


def _looked_up(person: Any, known: Any, values: Any) -> Any:
    """The value of each person, NaN where there is none; `known` is sorted."""
    if not len(known):
        return np.full(len(person), np.nan)
    place = np.minimum(np.searchsorted(known, person), len(known) - 1)
    return np.where(known[place] == person, values[place], np.nan)


# ---- overlap


def _overlap(workspace: Workspace, first: CohortExpression, second: CohortExpression | None) -> pa.Table:
    import pyarrow as pa

    if second is None:
        raise StudyError("An overlap is of two cohorts.", "Name the second one.")
    rows = _rows(CohortRun(workspace), {"first": first, "second": second})
    names, persons = np.array(rows.column("definition").to_pylist(), dtype=str), _whole(rows, "subject_id")
    both = {which: np.unique(persons[names == which]) for which in ("first", "second")}
    everybody = np.union1d(both["first"], both["second"])
    flags = {which: np.isin(everybody, there).astype(float) for which, there in both.items()}
    return pa.table({"person": everybody.astype(np.int64), **flags})


def _whole(rows: pa.Table, column_: str) -> Any:
    return rows.column(column_).to_numpy(zero_copy_only=False).astype(np.int64)


def _days(rows: pa.Table, column_: str) -> Any:
    """A column of dates as days since 1970, NaN where there is none."""
    import pyarrow as pa

    days = rows.column(column_).cast(pa.date32()).cast(pa.int32())
    return days.to_numpy(zero_copy_only=False).astype(float)


def _codes(workspace: Workspace, definition: CohortExpression, _: object) -> pa.Table:
    return near_codes(workspace, definition)


MADE: Mapping[str, Callable[[Workspace, CohortExpression, CohortExpression | None], pa.Table]] = {
    "entries": _entries,
    "risk": _risk,
    "codes": _codes,
    "overlap": _overlap,
}
NAMED = {"entries": "concept", "codes": "code"}  # the column of concepts that become words
