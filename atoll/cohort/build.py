"""One definition → its plan: which events enter, which rules each keeps, how a period ends.

A plan holds two queries. `index` finds the primary events: the union of the primary criteria inside an observation
period with enough days before and after, numbered per person, cut by the primary limit. `qualified` asks additional
criteria and rules of them: a row an event, with the rules that hold as bits of `mask`. Everything after that is the
same for all definitions and is done for many of them at once (`finish`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, joined, sql
from atoll.cohort.comparisons import days
from atoll.cohort.concepts import DefinitionSets
from atoll.cohort.criteria import CriteriaCompiler
from atoll.cohort.groups import GroupCompiler, Index
from atoll.cohort.shared import SharedEvents
from atoll.errors import StudyError
from atoll.study.circe import CohortExpression, CustomEraStrategy, DateOffset, ObservationFilter, ResultLimit
from atoll.study.circe.faults import MAX_RULES
from atoll.study.circe.node import read_day

ASCENDING, DESCENDING = sql("ASC"), sql("DESC")


@dataclass(frozen=True)
class Era:
    """A custom era of drug exposures: which code set, what joins exposures, what is added to their end."""

    key: int
    gap: int
    offset: int
    override: int | None


@dataclass(frozen=True)
class Plan:
    """What to ask for one definition. `index` is empty when `qualified` asks the CDM itself."""

    index: Sql | None
    qualified: Sql
    rule_names: tuple[str, ...]
    limit: str  # ALL, FIRST or LAST, after the rules
    era: Era | None
    censoring: tuple[Sql, ...]
    end_field: str  # PERIOD (the end of observation), START or END of the event
    end_offset: int
    pad: int
    censor_start: date | None
    censor_end: date | None

    @property
    def rules(self) -> int:
        """How many inclusion rules there are."""
        return len(self.rule_names)

    @property
    def full(self) -> int:
        """The mask of an event that keeps every rule."""
        return (1 << self.rules) - 1

    @property
    def candidates(self) -> bool:
        """Whether a period may end in more than one way."""
        return bool(self.era or self.censoring)


def limit_of(limit: ResultLimit | None) -> str:
    """ALL, FIRST or LAST. A limit that is not given is FIRST, as in Circe."""
    kind = ((limit.type if limit else None) or "First").upper()
    return kind if kind in ("ALL", "LAST") else "FIRST"


class DefinitionCompiler:
    """Definitions of a run as plans."""

    def __init__(self, workspace: Workspace, shared: SharedEvents, index: Sql):
        self.workspace, self.shared, self.index = workspace, shared, index

    def plan(self, definition: CohortExpression, sets: DefinitionSets) -> Plan:
        """The plan of a definition.

        Raises
        ------
        StudyError, DataError
            When it cannot be meant as written, or the CDM lacks what it needs.
        """
        criteria = CriteriaCompiler(self.workspace, sets, self.shared)
        groups = GroupCompiler(criteria)
        end = definition.end_strategy
        single = limit_of(definition.primary_criteria.primary_limit) != "ALL"
        censoring = tuple(criteria.events(criterion) for criterion in definition.censoring_criteria)
        era = self._era(end, sets) if isinstance(end, CustomEraStrategy) else None
        limit = "ALL" if single else limit_of(definition.expression_limit)
        window = definition.censor_window
        asked = bool(definition.inclusion_rules) or definition.additional_criteria is not None
        numbered = asked or bool(censoring) or era is not None or limit != "ALL"
        primary = self._primary(definition, criteria, numbered=numbered)
        bounds = [
            read_day(text, "CensorWindow") if text else None
            for text in ((window.start_date, window.end_date) if window else (None, None))
        ]
        return Plan(
            index=primary if asked else None,
            qualified=self._qualified(definition, groups) if asked else _unasked(primary),
            rule_names=tuple(
                rule.name or f"rule {number}" for number, rule in enumerate(definition.inclusion_rules, 1)
            ),
            limit=limit,
            era=era,
            censoring=censoring,
            end_field=("END" if end.date_field == "EndDate" else "START") if isinstance(end, DateOffset) else "PERIOD",
            end_offset=days(end.offset) if isinstance(end, DateOffset) else 0,
            pad=days(definition.collapse_settings.era_pad) if definition.collapse_settings else 0,
            censor_start=bounds[0],
            censor_end=bounds[1],
        )

    def _primary(self, definition: CohortExpression, criteria: CriteriaCompiler, *, numbered: bool) -> Sql:
        primary = definition.primary_criteria
        if not primary.criteria_list:
            raise StudyError("The definition has no primary criterion, so nobody enters.", "Add an initial event.")
        limit = limit_of(primary.primary_limit)
        events = criteria.events(primary.criteria_list[0])
        several = len(primary.criteria_list) > 1
        if several:
            events = joined(
                " UNION ALL ",
                (sql("SELECT e.*, {n} AS source FROM ({e}) e", n=number, e=criteria.events(criterion))
                 for number, criterion in enumerate(primary.criteria_list)),
            )  # fmt: skip
        number = sql("e.event_id")
        if numbered or limit != "ALL":
            # Beyond the date and the id Circe leaves the order open; here it is the same on every engine.
            number = sql(
                "ROW_NUMBER() OVER (PARTITION BY e.person_id ORDER BY e.sort_date {d}, e.event_id{source}, "
                "e.start_date, e.end_date NULLS LAST, e.visit_id NULLS LAST, op.observation_period_start_date, "
                "op.observation_period_end_date)", d=DESCENDING if limit == "LAST" else ASCENDING,
                source=sql(", e.source") if several else sql(""),
            )  # fmt: skip
        query = sql(
            "SELECT e.person_id, {number} AS event_id, e.start_date, e.end_date, "
            "op.observation_period_start_date AS op_start, op.observation_period_end_date AS op_end, e.visit_id "
            "FROM ({events}) e JOIN observation_period op ON {enough}",
            number=number, events=events, enough=self._enough(primary.observation_window),
        )  # fmt: skip
        return query if limit == "ALL" else sql("SELECT * FROM ({q}) n WHERE n.event_id = 1", q=query)

    def _enough(self, window: ObservationFilter) -> Sql:
        """Whether an event lies in a period of observation, with so many days of it before and after."""
        shift = self.workspace.dialect.shift
        enough = [
            sql("op.person_id = e.person_id"),
            sql("e.start_date >= op.observation_period_start_date"),
            sql("e.start_date <= op.observation_period_end_date"),
        ]
        if window.prior_days:
            first = shift(sql("op.observation_period_start_date"), days(window.prior_days))
            enough.append(sql("{f} <= e.start_date", f=first))
        if window.post_days:
            last = shift(sql("e.start_date"), days(window.post_days))
            enough.append(sql("{l} <= op.observation_period_end_date", l=last))
        return joined(" AND ", enough)

    def _qualified(self, definition: CohortExpression, groups: GroupCompiler) -> Sql:
        if len(definition.inclusion_rules) > MAX_RULES:
            raise StudyError(
                f"The definition has {len(definition.inclusion_rules)} inclusion rules.",
                f"Join some into groups, so that there are at most {MAX_RULES}.",
            )
        index = Index(self.index)
        rules = [groups.condition(rule.expression, index) for rule in definition.inclusion_rules]
        bits = (sql("CASE WHEN {r} THEN {b} ELSE 0 END", r=rule, b=2**bit) for bit, rule in enumerate(rules))
        mask = sql("CAST({b} AS BIGINT)", b=joined(" + ", bits)) if rules else sql("CAST(0 AS BIGINT)")
        additional, cut = sql("TRUE"), "ALL"
        if definition.additional_criteria is not None:
            additional = groups.condition(definition.additional_criteria, index)
            cut = limit_of(definition.qualified_limit)
        order = sql(
            ", ROW_NUMBER() OVER (PARTITION BY i.person_id ORDER BY i.start_date {d}, i.event_id) AS ordinal",
            d=DESCENDING if cut == "LAST" else ASCENDING,
        )
        query = sql(
            "SELECT i.person_id, i.event_id, i.start_date, i.end_date, i.op_end, {mask} AS mask{order} "
            "FROM {table} i{joins} WHERE {additional}",
            mask=mask, order=order if cut != "ALL" else sql(""), table=self.index, joins=index.joins(),
            additional=additional,
        )  # fmt: skip
        if cut == "ALL":
            return query
        return sql(
            "SELECT person_id, event_id, start_date, end_date, op_end, mask FROM ({q}) n WHERE ordinal = 1", q=query
        )

    def _era(self, end: CustomEraStrategy, sets: DefinitionSets) -> Era:
        override = None if end.days_supply_override is None else days(end.days_supply_override)
        return Era(sets.key(end.drug_codeset_id or 0), days(end.gap_days), days(end.offset), override)


def _unasked(primary: Sql) -> Sql:
    return sql(
        "SELECT person_id, event_id, start_date, end_date, op_end, CAST(0 AS BIGINT) AS mask FROM ({p}) n", p=primary
    )
