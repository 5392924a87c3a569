"""One criterion → its events: person_id, event_id, start_date, end_date, visit_id, sort_date (and what is counted).

The order of the meaning is the order here: rows with a concept of the code set, `First` among them by the raw start,
dates adjusted, then every other attribute, then the nested criteria (`groups`). Rows of a code set come from a table
that all definitions of a run share (`shared`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, column, joined, name, sql
from atoll.cohort.comparisons import date_range, days, in_concepts, number_range, text_filter
from atoll.cohort.concepts import DefinitionSets
from atoll.cohort.domains import BY_CRITERION, Domain
from atoll.cohort.periods import merged
from atoll.cohort.shared import SharedEvents, base_columns
from atoll.errors import DataError, StudyError
from atoll.study.circe.criteria import Criterion, CustomEra
from atoll.study.circe.node import read_day
from atoll.study.circe.parts import ConceptSetSelection, DateRange, NumericRange, Period, TextFilter

if TYPE_CHECKING:
    from atoll.cohort.groups import GroupCompiler

C = sql("c")
START, END = sql("c.start_date"), sql("c.end_date")
OUTSIDE = (
    "codeset_id", "first", "correlated_criteria", "date_adjustment", "user_defined_period", "criteria_list",
)  # fmt: skip
JOINS = {
    "person": sql("JOIN person p ON p.person_id = c.person_id"),
    "visit": sql("JOIN visit_occurrence v ON v.visit_occurrence_id = c.visit_id AND v.person_id = c.person_id"),
    "provider": sql("LEFT JOIN provider pr ON pr.provider_id = c.provider_id"),
    "care_site": sql("JOIN care_site s ON s.care_site_id = c.care_site_id"),
}
TABLES = {"person": "person", "visit": "visit_occurrence", "provider": "provider", "care_site": "care_site"}
ABNORMAL = (
    4155142,
    4155143,
)  # value-as-concept "abnormally high" and "low": semantics of circe-be, Measurement.Abnormal


@dataclass
class _Row:
    """What the rows of a criterion must bring along, found while its conditions are written."""

    domain: Domain
    columns: dict[str, None] = field(default_factory=dict)
    joins: dict[str, None] = field(default_factory=dict)
    conditions: list[Sql] = field(default_factory=list)

    def column(self, text: str) -> Sql:
        self.columns[text] = None
        return column(C, text)

    def joined(self, join: str, text: Sql) -> Sql:
        self.joins[join] = None
        if join in ("provider", "care_site"):
            self.columns[f"{join}_id"] = None
        return text


class CriteriaCompiler:
    """Criteria of one definition as queries."""

    def __init__(self, workspace: Workspace, sets: DefinitionSets, shared: SharedEvents):
        self.workspace, self.dialect, self.sets, self.shared = workspace, workspace.dialect, sets, shared
        self.groups: GroupCompiler | None = None  # set by its own maker: criteria hold groups, and groups criteria

    def events(self, criterion: Criterion, counted: str | None = None, depth: int = 0) -> Sql:
        """The query of a criterion's events. `counted` names the column that a distinct count needs.

        Raises
        ------
        StudyError
            When the criterion cannot be meant as written.
        DataError
            When the CDM lacks a table or column that it needs.
        """
        kind = type(criterion).__name__
        if kind not in BY_CRITERION:
            raise StudyError(
                f"{kind} needs the history of locations (location_history) of CDM 6, which was never in use.",
                "Leave the criterion out.",
            )
        row = _Row(BY_CRITERION[kind])
        row.conditions += self._conditions(criterion, row)
        target = [sql("{t} AS counted", t=self._counted(criterion, counted, row))] if counted else []
        source = self._rows(criterion, row, depth)
        start, end = _period(criterion)
        query = sql(
            "SELECT c.person_id, c.event_id, {s} AS start_date, {e} AS end_date, c.visit_id, "
            "c.start_date AS sort_date{t} FROM {rows} c{j}{w}",
            s=start, e=end, rows=source, t=joined("", (sql(", {t}", t=t) for t in target)),
            j=joined("", (sql(" {j}", j=JOINS[join]) for join in row.joins)),
            w=_where(row.conditions),
        )  # fmt: skip
        group = criterion.correlated_criteria
        if group is not None and not group.is_empty:
            assert self.groups is not None
            return self.groups.filtered(query, group, depth, counted=bool(counted))
        return query

    # -- rows

    def _rows(self, criterion: Criterion, row: _Row, depth: int) -> Sql:
        """The rows with a concept of the code sets, `First` and adjusted dates applied, as a table expression."""
        self._check_tables(row)
        domain, codeset = row.domain, getattr(criterion, "codeset_id", None)
        source = next((value for field_, value in criterion.attributes() if _is_source(field_, domain)), None)
        if isinstance(criterion, CustomEra):
            rows = self._eras(criterion, depth)
        elif codeset is not None and source is None:
            key = self.sets.key(codeset)
            rows = self.shared.rows(domain, key, row.columns)
            if getattr(criterion, "first", None) or criterion.date_adjustment is not None:
                rows = sql("(SELECT * FROM {t} WHERE set_key = {k})", t=rows, k=key)
            else:
                row.conditions.insert(0, sql("c.set_key = {k}", k=key))
        else:
            rows = self._own_rows(domain, codeset, source, row)
        if getattr(criterion, "first", None):
            rows = sql(
                "(SELECT * FROM (SELECT f.*, ROW_NUMBER() OVER (PARTITION BY f.person_id "
                "ORDER BY f.start_date, f.event_id) AS ordinal FROM {r} f) o WHERE o.ordinal = 1)", r=rows
            )  # fmt: skip
        if criterion.date_adjustment is not None:
            rows = self._adjusted(criterion, rows, row)
        return rows

    def _own_rows(self, domain: Domain, codeset: int | None, source: int | None, row: _Row) -> Sql:
        """Rows straight from the domain's table."""
        codes = self.shared.codes(domain)
        joins = [
            sql(" JOIN {codes} {a} ON {a}.set_key = {k} AND {a}.concept_id = {c}",
                codes=codes, a=name(alias), k=self.sets.key(number), c=column(sql("t"), wanted))
            for alias, number, wanted in (("k", codeset, domain.concept), ("n", source, domain.source))
            if number is not None
        ]  # fmt: skip
        return sql(
            "(SELECT {columns} FROM {t} t{j})",
            columns=base_columns(self.workspace, domain, row.columns), t=name(domain.table), j=joined("", joins),
        )  # fmt: skip

    def _eras(self, criterion: CustomEra, depth: int) -> Sql:
        """Periods of the events of several criteria that have an end, merged when no further apart than the gap."""
        shift, gap = self.dialect.shift, days(criterion.gap_days)
        events = joined(
            " UNION ALL ",
            (sql("SELECT person_id, start_date, {e} AS end_date FROM ({q}) q WHERE end_date IS NOT NULL",
                 e=shift(sql("end_date"), gap), q=self.events(one, depth=depth))
             for one in criterion.criteria_list or ()),
        )  # fmt: skip
        return sql(
            "(SELECT person_id, ROW_NUMBER() OVER (ORDER BY person_id, start_date, end_date) AS event_id, start_date, "
            "{e} AS end_date, CAST(NULL AS BIGINT) AS visit_id FROM ({m}) m)",
            e=shift(sql("end_date"), -gap), m=merged(events, sql("person_id")),
        )  # fmt: skip

    def _adjusted(self, criterion: Criterion, rows: Sql, row: _Row) -> Sql:
        """Rows whose start and end are moved; those whose end then lies before the start are gone."""
        given = criterion.date_adjustment
        assert given is not None
        moved = [
            sql("{d} AS {n}", n=name(target), d=self.dialect.shift(
                name("end_date" if (with_ or default) == "END_DATE" else "start_date"), days(offset)))
            for target, with_, default, offset in (
                ("start_date", given.start_with, "START_DATE", given.start_offset),
                ("end_date", given.end_with, "END_DATE", given.end_offset),
            )
        ]  # fmt: skip
        row.conditions.append(sql("c.end_date >= c.start_date"))
        kept = [sql("person_id"), sql("event_id"), sql("visit_id"), *map(name, row.columns)]
        return sql("(SELECT {k}, {m} FROM {r} a)", k=joined(", ", kept), m=joined(", ", moved), r=rows)

    def _check_tables(self, row: _Row) -> None:
        if not row.domain.table:
            return
        for table in (row.domain.table, *(TABLES[join] for join in row.joins)):
            if self.workspace.columns(table) is None:
                raise DataError(f"The CDM has no table {table!r}, which a criterion needs.", "Load it, if only empty.")
        missing = [text for text in row.columns if text not in (self.workspace.columns(row.domain.table) or ())]
        if missing:
            raise DataError(
                f"The table {row.domain.table!r} has no column {missing[0]!r}, which a criterion needs.",
                "Load it, or leave the attribute out.",
            )

    # -- conditions

    def _conditions(self, criterion: Criterion, row: _Row) -> Iterator[Sql]:
        for attribute, value in criterion.attributes():
            if attribute in OUTSIDE or attribute.endswith("_exclude") or _is_source(attribute, row.domain):
                continue
            if isinstance(criterion, CustomEra) and attribute == "gap_days":
                continue
            yield from self._condition(criterion, attribute, value, row)
        yield from _within(getattr(criterion, "user_defined_period", None))

    def _condition(self, criterion: Criterion, attribute: str, value: Any, row: _Row) -> Iterator[Sql]:
        if isinstance(value, DateRange):
            yield date_range(END if attribute.endswith("end_date") else START, value)
        elif isinstance(value, NumericRange):
            yield self._number(attribute, value, row)
        elif isinstance(value, TextFilter):
            yield text_filter(self.dialect, row.column(row.domain.attributes[attribute][1]), value)
        elif isinstance(value, ConceptSetSelection):
            yield self.selected(self._concept_column(attribute.removesuffix("_cs"), row), value)
        elif isinstance(value, tuple):
            if value:
                excluded = bool(getattr(criterion, f"{attribute}_exclude", None))
                yield in_concepts(self._concept_column(attribute, row), value, exclude=excluded)
        elif attribute == "abnormal":
            if value:
                yield sql(
                    "({v} < {low} OR {v} > {high} OR {c} IN ({a}, {b}))",
                    v=row.column("value_as_number"), low=row.column("range_low"), high=row.column("range_high"),
                    c=row.column("value_as_concept_id"), a=ABNORMAL[0], b=ABNORMAL[1],
                )  # fmt: skip
        elif attribute in row.domain.attributes:
            wanted = row.column(row.domain.attributes[attribute][1])
            yield self.selected(wanted, ConceptSetSelection.read({"CodesetId": value}))
        else:
            raise StudyError(f"{attribute!r} cannot be used: it needs tables of CDM 6.", "Leave it out.")

    def _number(self, attribute: str, value: NumericRange, row: _Row) -> Sql:
        if attribute in ("age", "age_at_start", "age_at_end"):
            day = END if attribute == "age_at_end" else START
            years = sql("EXTRACT(YEAR FROM {d}) - p.year_of_birth", d=day)
            return number_range(row.joined("person", years), value, integer=True)
        if attribute.endswith("_length") or attribute == "duration":
            return number_range(self.dialect.days(START, END), value, integer=True)
        if attribute.endswith("_ratio"):
            bound = row.column(attribute.removesuffix("_ratio"))
            ratio = sql("({v} / NULLIF({b}, 0))", v=row.column("value_as_number"), b=bound)
            return number_range(ratio, value, integer=False)
        kind, text = row.domain.attributes[attribute]
        return number_range(row.column(text), value, integer=kind == "integer")

    def _concept_column(self, attribute: str, row: _Row) -> Sql:
        if attribute == "gender":
            return row.joined("person", sql("p.gender_concept_id"))
        if attribute == "provider_specialty":
            return row.joined("provider", sql("pr.specialty_concept_id"))
        if attribute == "place_of_service":
            return row.joined("care_site", sql("s.place_of_service_concept_id"))
        if attribute == "visit_type" and row.domain.table != "visit_occurrence":
            return row.joined("visit", sql("v.visit_concept_id"))
        return row.column(row.domain.attributes[attribute][1])

    def selected(self, wanted: Sql, given: ConceptSetSelection) -> Sql:
        """`wanted` is in a concept set, or not in it; without a set: is there, or is not."""
        excluded = bool(given.is_exclusion)
        if given.codeset_id is None:
            return sql("{c} IS NULL", c=wanted) if excluded else sql("{c} IS NOT NULL", c=wanted)
        members = sql(
            "(SELECT concept_id FROM {t} WHERE set_key = {k})",
            t=self.shared.sets.codes, k=self.sets.key(given.codeset_id),
        )  # fmt: skip
        return sql("{c} NOT IN {m}", c=wanted, m=members) if excluded else sql("{c} IN {m}", c=wanted, m=members)

    def _counted(self, criterion: Criterion, counted: str, row: _Row) -> Sql:
        """The column that a distinct count counts."""
        start, end = _period(criterion)
        known = {"START_DATE": start, "END_DATE": end, "VISIT_ID": sql("c.visit_id")}
        domain = row.domain
        if counted in known:
            return known[counted]
        if counted == "DURATION":
            return sql("1") if domain.end == "next day" else self.dialect.days(start, end)
        if counted == "VISIT_DETAIL_ID" and domain.table == "visit_detail":
            return sql("c.event_id")
        if counted == "DOMAIN_CONCEPT":
            concept = row.column(domain.concept)
            return sql("COALESCE({c}, 0)", c=concept) if domain.table == "death" else concept
        if counted == "DOMAIN_SOURCE_CONCEPT" and domain.source:
            return row.column(domain.source)
        if counted in domain.counts:
            return row.column(domain.counts[counted])
        raise StudyError(
            f"{type(criterion).__name__} has no {counted} that could be counted.", "Choose another CountColumn."
        )


def _is_source(attribute: str, domain: Domain) -> bool:
    return attribute.endswith("_source_concept") and attribute not in domain.attributes


def _period(criterion: Criterion) -> tuple[Sql, Sql]:
    """Start and end of the event: of the row, or those that a user-defined period gives."""
    period = getattr(criterion, "user_defined_period", None) or Period.read({})
    start, end = (
        sql("{d}", d=read_day(text, "UserDefinedPeriod")) if text else default
        for text, default in ((period.start_date, START), (period.end_date, END))
    )
    return start, end


def _within(period: Period | None) -> Iterator[Sql]:
    """The row's period contains each date of a user-defined one."""
    for text in (period.start_date, period.end_date) if period else ():
        if text:
            yield sql("(c.start_date <= {d} AND c.end_date >= {d})", d=read_day(text, "UserDefinedPeriod"))


def _where(conditions: list[Sql]) -> Sql:
    return sql(" WHERE {c}", c=joined(" AND ", conditions)) if conditions else Sql("")
