"""Groups of criteria around an index event → one condition on that event.

Every correlated criterion becomes a count of matches per index event; the counts of all criteria are found in one
aggregate over the union of their matches, and the group, with its sub-groups, is a condition over the counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from atoll.cdm.sql import Sql, joined, name, sql
from atoll.cohort.comparisons import date_range, days, in_concepts, number_range
from atoll.cohort.criteria import CriteriaCompiler
from atoll.errors import DataError, StudyError
from atoll.study.circe.criteria import CorrelatedCriteria, CriteriaGroup, DemographicCriteria
from atoll.study.circe.parts import Endpoint, Occurrence, Window

TRUE = sql("TRUE")
_COMPARE = {
    Occurrence.EXACTLY: sql("="),
    Occurrence.AT_MOST: sql("<="),
    Occurrence.AT_LEAST: sql(">="),
}


@dataclass
class Index:
    """Index events (a table with person_id, event_id, start_date, end_date, op_start, op_end, visit_id) and the
    counts that conditions on them need."""

    table: Sql
    depth: int = 0
    matches: dict[Sql, int] = field(default_factory=dict)
    person: bool = False

    def count(self, match: Sql) -> Sql:
        """The number of matches in a table expression `i`, as a column."""
        number = self.matches.setdefault(match, len(self.matches))
        return sql("COALESCE(h.{c}, 0)", c=name(f"c{number}"))

    def joins(self) -> Sql:
        """What `FROM … i` must be joined to, so that the conditions can be asked."""
        parts = []
        if self.matches:
            union = joined(
                " UNION ALL ",
                (sql("SELECT {k} AS k, i.person_id, i.event_id FROM {m}", k=k, m=m) for m, k in self.matches.items()),
            )
            counts = joined(
                ", ",
                (sql("SUM(CASE WHEN k = {k} THEN 1 ELSE 0 END) AS {c}", k=k, c=name(f"c{k}"))
                 for k in self.matches.values()),
            )  # fmt: skip
            parts.append(
                sql(
                    " LEFT JOIN (SELECT person_id, event_id, {counts} FROM ({union}) u GROUP BY person_id, event_id) h"
                    " ON h.person_id = i.person_id AND h.event_id = i.event_id",
                    counts=counts,
                    union=union,
                )
            )
        if self.person:
            parts.append(sql(" LEFT JOIN person p ON p.person_id = i.person_id"))
        return joined("", parts)


class GroupCompiler:
    """Groups of one definition as conditions."""

    def __init__(self, criteria: CriteriaCompiler):
        self.criteria, self.dialect = criteria, criteria.dialect
        criteria.groups = self

    def condition(self, group: CriteriaGroup, index: Index) -> Sql:
        """The group as a condition on an index event `i`, never NULL.

        Raises
        ------
        StudyError
            When it cannot be meant as written.
        """
        if group.is_empty:
            return TRUE
        members = [
            *(self._correlated(member, index) for member in group.criteria_list),
            *(self._demographic(member, index) for member in group.demographic_criteria_list),
            *(self.condition(member, index) for member in group.groups),
        ]
        if group.type == "ALL":
            return sql("({m})", m=joined(" AND ", members))
        if group.type == "ANY":
            return sql("({m})", m=joined(" OR ", members))
        if group.type is None or group.count is None:
            raise StudyError(
                f"A group has no {'Count' if group.type else 'Type'}.",
                "Give ALL, ANY, or AT_LEAST or AT_MOST with Count.",
            )
        true = joined(" + ", (sql("CASE WHEN {m} THEN 1 ELSE 0 END", m=member) for member in members))
        if group.type == "AT_LEAST":
            return sql("({t} >= {n})", t=true, n=group.count)
        return sql("({t} <= {n})", t=true, n=group.count)

    def filtered(self, query: Sql, group: CriteriaGroup, depth: int, *, counted: bool) -> Sql:
        """The rows of a criterion for which its nested group holds, each row being the index.

        A row is joined to the observation period that holds its start, so a row outside all of them is gone. Rows with
        one id stand or fall together.
        """
        event, around = name(f"e{depth}"), name(f"x{depth}")
        index = Index(around, depth + 1)
        condition = self.condition(group, index)
        return sql(
            "SELECT e.* FROM (WITH {event} AS ({query}), {around} AS (SELECT q.person_id, q.event_id, q.start_date, "
            "q.end_date, q.visit_id, op.observation_period_start_date AS op_start, "
            "op.observation_period_end_date AS op_end FROM {event} q JOIN observation_period op "
            "ON op.person_id = q.person_id AND q.start_date >= op.observation_period_start_date "
            "AND q.start_date <= op.observation_period_end_date) "
            "SELECT q.* FROM {event} q JOIN (SELECT DISTINCT i.person_id, i.event_id FROM {around} i{joins} "
            "WHERE {condition}) g ON g.person_id = q.person_id AND g.event_id = q.event_id) e",
            event=event, query=query, around=around, joins=index.joins(), condition=condition,
        )  # fmt: skip

    def _correlated(self, member: CorrelatedCriteria, index: Index) -> Sql:
        often = member.occurrence
        if often.type not in _COMPARE:
            raise StudyError(
                f"An occurrence has the type {often.type!r}.", "Give 0 (exactly), 1 (at most) or 2 (at least)."
            )
        counted = (often.count_column or "DOMAIN_CONCEPT") if often.is_distinct else None
        events = self.criteria.events(member.criteria, counted, index.depth)
        where = joined(" AND ", [sql("a.person_id = i.person_id"), *self._around(member)])
        if counted:
            match = sql(
                "(SELECT DISTINCT i.person_id, i.event_id, a.counted FROM {t} i JOIN ({e}) a ON {w} "
                "WHERE a.counted IS NOT NULL) i", t=index.table, e=events, w=where,
            )  # fmt: skip
        else:
            match = sql("{t} i JOIN ({e}) a ON {w}", t=index.table, e=events, w=where)
        return sql("{c} {s} {n}", c=index.count(match), s=_COMPARE[often.type], n=often.count or 0)

    def _around(self, member: CorrelatedCriteria) -> Iterator[Sql]:
        within = not member.ignore_observation_period
        if within:
            yield sql("a.start_date >= i.op_start AND a.start_date <= i.op_end")
        yield from self._window(member.start_window, event_end=False, within=within)
        if member.end_window is not None:
            yield from self._window(member.end_window, event_end=True, within=within)
        if member.restrict_visit:
            yield sql("a.visit_id = i.visit_id")

    def _window(self, window: Window, *, event_end: bool, within: bool) -> Iterator[Sql]:
        """A start window looks at the event's start unless it says otherwise, an end window at its end."""
        at_end = event_end if window.use_event_end is None else window.use_event_end
        event = sql("a.end_date") if at_end else sql("a.start_date")
        index = sql("i.end_date") if window.use_index_end else sql("i.start_date")
        for bound, sign in ((window.start, sql(">=")), (window.end, sql("<="))):
            if (limit := self._bound(bound, index, within)) is not None:
                yield sql("{e} {s} {l}", e=event, s=sign, l=limit)

    def _bound(self, bound: Endpoint, index: Sql, within: bool) -> Sql | None:
        if bound.days is not None:
            return self.dialect.shift(index, days(bound.days * (bound.coeff or 0)))
        if not within:
            return None
        return sql("i.op_start") if bound.coeff == -1 else sql("i.op_end")

    def _demographic(self, member: DemographicCriteria, index: Index) -> Sql:
        if self.criteria.workspace.columns("person") is None:
            raise DataError("The CDM has no table 'person'.", "Load it.")
        index.person = True
        conditions = [sql("p.person_id IS NOT NULL"), *self._demographics(member)]
        return sql("CASE WHEN {c} THEN TRUE ELSE FALSE END", c=joined(" AND ", conditions))

    def _demographics(self, member: DemographicCriteria) -> Iterator[Sql]:
        if member.age is not None:
            age = sql("EXTRACT(YEAR FROM i.start_date) - p.year_of_birth")
            yield number_range(age, member.age, integer=True)
        for concepts, selection, wanted in (
            (member.gender, member.gender_cs, sql("p.gender_concept_id")),
            (member.race, member.race_cs, sql("p.race_concept_id")),
            (member.ethnicity, member.ethnicity_cs, sql("p.ethnicity_concept_id")),
        ):
            if concepts:
                yield in_concepts(wanted, concepts)
            if selection is not None:
                yield self.criteria.selected(wanted, selection)
        if member.occurrence_start_date is not None:
            yield date_range(sql("i.start_date"), member.occurrence_start_date)
        if member.occurrence_end_date is not None:
            yield date_range(sql("i.end_date"), member.occurrence_end_date)
