"""From qualified events to cohort periods, for many definitions at once.

The events that keep every rule, cut by the last limit; one end each, the earliest candidate that is not before the
start; periods of a person that touch within the pad merged; cut to the censor window. What differs between definitions
stands in a small table, a row a definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, joined, name, sql
from atoll.cohort.build import Era, Plan
from atoll.cohort.periods import merged

if TYPE_CHECKING:
    import pyarrow as pa


class Finisher:
    """Steps of the last stage over scratch tables: qualified, defs, included, candidates, result."""

    def __init__(self, workspace: Workspace):
        self.workspace, self.dialect = workspace, workspace.dialect
        table = workspace.table
        self.qualified, self.defs = table("qualified"), table("defs")
        self.included, self.candidates = table("included"), table("candidates")
        self.result = table("result")
        self.eras: dict[Era, Sql] = {}

    def start(self) -> None:
        """Empty tables for qualified events and for results."""
        self.workspace.create(
            self.qualified,
            sql(
                "SELECT CAST(0 AS INTEGER) AS definition, CAST(0 AS BIGINT) AS person_id, "
                "CAST(0 AS BIGINT) AS event_id, {d} AS start_date, {d} AS end_date, {d} AS op_end, "
                "CAST(0 AS BIGINT) AS mask WHERE 1 = 0",
                d=date(2000, 1, 1),
            ),
        )

    def include(self, plans: Mapping[int, Plan]) -> None:
        """The events that keep every rule of their definition, cut by its limit."""
        self.workspace.upload(self.defs, _defs(plans))
        self.workspace.settle(self.qualified)
        limits = {plan.limit for plan in plans.values()}
        self.workspace.create(self.included, joined(" UNION ALL ", map(self._kept, sorted(limits))))
        self.workspace.settle(self.included)
        self.workspace.create(
            self.candidates,
            sql("SELECT definition, person_id, event_id, end_date FROM {q} WHERE 1 = 0", q=self.qualified),
        )

    def _kept(self, limit: str) -> Sql:
        columns = sql("q.definition, q.person_id, q.event_id, q.start_date, q.end_date, q.op_end")
        rows = sql(
            "FROM {q} q JOIN {d} d ON d.definition = q.definition WHERE q.mask = d.full_mask AND d.keep = {l}",
            q=self.qualified, d=self.defs, l=self.dialect.text(limit),
        )  # fmt: skip
        if limit == "ALL":
            return sql("SELECT {c} {r}", c=columns, r=rows)
        return sql(
            "SELECT {c} FROM (SELECT {c}, ROW_NUMBER() OVER (PARTITION BY q.definition, q.person_id "
            "ORDER BY q.start_date {o}, q.event_id) AS ordinal {r}) q WHERE q.ordinal = 1",
            c=columns, r=rows, o=sql("DESC") if limit == "LAST" else sql("ASC"),
        )  # fmt: skip

    def add_candidates(self, number: int, plan: Plan) -> None:
        """Ends by custom era and by censoring events of one definition."""
        if plan.era is not None:
            if plan.era not in self.eras:
                table = self.workspace.table(f"era_{len(self.eras)}")
                self.workspace.create(table, self._era(plan.era))
                self.eras[plan.era] = table
            self.workspace.append(
                self.candidates,
                sql("SELECT i.definition, i.person_id, i.event_id, e.era_end FROM {i} i JOIN {e} e "
                    "ON e.person_id = i.person_id AND i.start_date >= e.era_start AND i.start_date <= e.era_end "
                    "WHERE i.definition = {n}", i=self.included, e=self.eras[plan.era], n=number),
            )  # fmt: skip
        for events in plan.censoring:
            self.workspace.append(
                self.candidates,
                sql("SELECT i.definition, i.person_id, i.event_id, MIN(c.start_date) FROM {i} i JOIN ({e}) c "
                    "ON c.person_id = i.person_id AND c.start_date >= i.start_date AND c.start_date <= i.op_end "
                    "WHERE i.definition = {n} GROUP BY i.definition, i.person_id, i.event_id",
                    i=self.included, e=events, n=number),
            )  # fmt: skip

    def _era(self, era: Era) -> Sql:
        """Merged exposures of each person: person_id, era_start, era_end."""
        shift, codes = self.dialect.shift, self.workspace.table("codes")
        start = sql("CAST(t.drug_exposure_start_date AS DATE)")
        end = sql(
            "COALESCE(CAST(t.drug_exposure_end_date AS DATE), {s}, {n})",
            s=shift(start, sql("t.days_supply")), n=shift(start, 1),
        )  # fmt: skip
        if era.override is not None:
            end = shift(start, era.override)
        exposures = joined(
            " UNION ALL ",
            (sql("SELECT 0 AS part, t.person_id, {s} AS start_date, {e} AS end_date FROM drug_exposure t "
                 "JOIN {codes} k ON k.concept_id = {c} WHERE k.set_key = {key}",
                 s=start, e=shift(end, era.gap + era.offset), codes=codes, c=concept, key=era.key)
             for concept in (sql("t.drug_concept_id"), sql("t.drug_source_concept_id"))),
        )  # fmt: skip
        spells = merged(exposures, sql("person_id"))
        return sql(
            "SELECT person_id, start_date AS era_start, {e} AS era_end FROM ({m}) m",
            e=shift(sql("end_date"), -era.gap), m=spells,
        )  # fmt: skip

    def collapse(self, plans: Mapping[int, Plan]) -> None:
        """The periods of all definitions, into `result`: definition, subject_id, cohort_start_date, cohort_end_date."""
        shift = self.dialect.shift
        pads = any(plan.pad for plan in plans.values())
        periods = sql(
            "SELECT p.definition, p.person_id, p.start_date, {e} AS end_date FROM ({p}) p{j}",
            e=shift(sql("p.end_date"), sql("d.pad")) if pads else sql("p.end_date"),
            p=self._periods(plans), j=self._joined_defs("p") if pads else sql(""),
        )  # fmt: skip
        end = shift(sql("m.end_date"), sql("- d.pad")) if pads else sql("m.end_date")
        cut = sql(
            "SELECT m.definition, m.person_id, "
            "CASE WHEN d.censor_start > m.start_date THEN d.censor_start ELSE m.start_date END AS start_date, "
            "CASE WHEN d.censor_end < {e} THEN d.censor_end ELSE {e} END AS end_date, "
            "CASE WHEN d.censor_start IS NULL AND d.censor_end IS NULL THEN 0 ELSE 1 END AS cut "
            "FROM ({m}) m{j}", e=end, m=merged(periods, sql("definition, person_id")), j=self._joined_defs("m"),
        )  # fmt: skip
        self.workspace.create(
            self.result,
            sql("SELECT definition, person_id AS subject_id, start_date AS cohort_start_date, "
                "end_date AS cohort_end_date FROM ({m}) r WHERE cut = 0 OR start_date <= end_date", m=cut),
        )  # fmt: skip

    def _joined_defs(self, alias: str) -> Sql:
        return sql(" JOIN {d} d ON d.definition = {a}.definition", d=self.defs, a=name(alias))

    def _periods(self, plans: Mapping[int, Plan]) -> Sql:
        """Start and end of each included event; one without an end that is not before its start is gone."""
        shift, far = self.dialect.shift, sql("i.op_end")
        base = joined(" ", [
            sql("CASE d.end_field"),
            *(sql("WHEN {f} THEN CASE WHEN {e} > i.op_end THEN i.op_end ELSE {e} END",
                  f=self.dialect.text(field), e=shift(column, sql("d.end_offset")))
              for field, column in (("START", sql("i.start_date")), ("END", sql("i.end_date")))),
            sql("ELSE {f} END", f=far),
        ])  # fmt: skip
        ended = sql(
            "SELECT i.definition, i.person_id, i.event_id, i.start_date, {b} AS end_date FROM {i} i{j}",
            b=base, i=self.included, j=self._joined_defs("i"),
        )  # fmt: skip
        one = sql(
            "SELECT definition, person_id, start_date, end_date FROM ({e}) e WHERE end_date >= start_date", e=ended
        )
        several = [number for number, plan in plans.items() if plan.candidates]
        if not several:
            return one
        numbers = joined(", ", (sql("{n}", n=number) for number in several))
        return sql(
            "{one} AND definition NOT IN ({n}) UNION ALL "
            "SELECT definition, person_id, start_date, MIN(end_date) AS end_date FROM ("
            "SELECT * FROM ({ended}) e WHERE definition IN ({n}) UNION ALL "
            "SELECT i.definition, i.person_id, i.event_id, i.start_date, c.end_date FROM {i} i JOIN {c} c "
            "ON c.definition = i.definition AND c.person_id = i.person_id AND c.event_id = i.event_id"
            ") a WHERE end_date >= start_date GROUP BY definition, person_id, event_id, start_date",
            one=one, n=numbers, ended=ended, i=self.included, c=self.candidates,
        )  # fmt: skip

    def drop(self) -> None:
        """Give the space back."""
        tables = (self.qualified, self.defs, self.included, self.candidates, self.result, *self.eras.values())
        self.workspace.drop(*tables)
        self.eras.clear()


def _defs(plans: Mapping[int, Plan]) -> pa.Table:
    import pyarrow as pa

    def column(kind: pa.DataType, values: list[object]) -> pa.Array:
        return pa.array(values, kind)

    every = list(plans.values())
    return pa.table(
        {
            "definition": column(pa.int32(), list(plans)),
            "full_mask": column(pa.int64(), [plan.full for plan in every]),
            "keep": column(pa.string(), [plan.limit for plan in every]),
            "end_field": column(pa.string(), [plan.end_field for plan in every]),
            "end_offset": column(pa.int32(), [plan.end_offset for plan in every]),
            "pad": column(pa.int32(), [plan.pad for plan in every]),
            "censor_start": column(pa.date32(), [plan.censor_start for plan in every]),
            "censor_end": column(pa.date32(), [plan.censor_end for plan in every]),
        }
    )
