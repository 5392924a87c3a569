"""What is said of the rows that a rule makes: the reasons for which one cannot stay, the notes of what it is kept
without, and the days on which what lies in the future will have come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atoll.cdm.tables import AFTER_DEATH, SUPPLY, Column
from atoll.ingest.kinds import later
from atoll.ingest.mapping import Rule
from atoll.ingest.repeats import REPLACED

EARLIEST = 1850  # year of birth; OHDSI DataQualityDashboard, plausibleValueLow of YEAR_OF_BIRTH


@dataclass(frozen=True)
class Context:
    """What rules see of the release that is being built.

    persons   Ibis table: key_id, person_id, birth, death, status; None while persons are made
    tables    tables of the model that have rows, as Ibis tables: references are looked for in them
    today     the last day that is not in the future
    """

    persons: Any
    tables: Mapping[str, Any]
    today: str


class Judged:
    """A rule's reasons and notes (Ibis conditions), as they are found; and all that its days say.

    layer   Ibis table: the rule's values, with birth and death of the person
    """

    layer: Any

    def __init__(self, rule: Rule, context: Context):
        import ibis

        self.ibis, self.rule, self.context = ibis, rule, context
        self.reasons: list[tuple[Any, str]] = []
        self.notes: list[str] = []
        self.bits: list[Any] = []
        self.days: list[Any] = []

    def _fault(self, column: Column, condition: Any, text: str) -> None:
        """A row without a value that it needs is rejected; one without another value is kept, with a note."""
        if column.required and column.name not in REPLACED:
            self.reasons.append((condition, text))
        else:
            self._note(condition, text)

    def _note(self, condition: Any, text: str) -> None:
        if text in self.notes:
            place = self.notes.index(text)
            self.bits[place] = self.bits[place].fill_null(False) | condition.fill_null(False)
        else:
            self.notes.append(text)
            self.bits.append(condition)

    def _comes(self, coming: Any, day: Any) -> None:
        """Keep the day on which what lies in the future will have come: a load of that day takes it."""
        self.days.append(coming.fill_null(False).ifelse(day, None).cast("date"))

    def _ends(self, columns: dict[str, Any]) -> None:
        """An end that cannot be (in the future, or long after death) is not believed: it is taken as not given."""
        rule, end = self.rule, self.rule.table.end()
        if end is None or end not in rule.columns or not rule.table.of_persons or rule.to == "payer_plan_period":
            return  # what is insured may well end later
        supply = SUPPLY if rule.to == "drug_exposure" else 0  # what a patient has in hand lasts on
        ahead = later(self.ibis.date(self.context.today), self.ibis.literal(supply, type="int64"))
        strange, last = columns[end] > ahead, self.ibis.date(self.context.today)
        self._note(strange, f"{end} in the future")
        self._comes(strange, later(columns[end], self.ibis.literal(-supply, type="int64")))
        if "death" in self.layer.columns:
            death = self.layer["death"]
            late = columns[end].delta(death, unit="day") > max(AFTER_DEATH, supply)
            self._note(late, f"{end} after death")
            strange, last = strange.fill_null(False) | late.fill_null(False), self.ibis.least(last, death)
        # a time of observation ends with what can be known of it
        instead = last if rule.to == "observation_period" else None
        columns[end] = strange.fill_null(False).ifelse(instead, columns[end])
        if f"{end}time" in columns:
            columns[f"{end}time"] = strange.fill_null(False).ifelse(None, columns[f"{end}time"])

    def _births(self, columns: dict[str, Any]) -> None:
        """A birth that cannot be: a person is not loaded on it, a month or day of it is left out."""
        if self.rule.to != "person":
            return
        year, month, day = (columns[f"{part}_of_birth"] for part in ("year", "month", "day"))
        wrong = (month < 1) | (month > 12)
        self._fault(self.rule.table.columns["month_of_birth"], wrong, "unreadable month_of_birth")
        month = columns["month_of_birth"] = wrong.fill_null(False).ifelse(None, month)
        text = year.cast("string") + "-" + month.cast("string") + "-" + day.cast("string")
        wrong = day.notnull() & (month.isnull() | text.try_cast("date").isnull())
        self._fault(self.rule.table.columns["day_of_birth"], wrong & month.notnull(), "unreadable day_of_birth")
        day = columns["day_of_birth"] = wrong.ifelse(None, day)
        born = year.cast("int64") * 10000 + month.fill_null(0) * 100 + day.fill_null(0)
        unborn = born > int(self.context.today.replace("-", ""))
        self.reasons.append((unborn, "birth in the future"))
        first = year.cast("string") + "-" + month.fill_null(1).cast("string") + "-" + day.fill_null(1).cast("string")
        self._comes(unborn, first.try_cast("date"))
        self.reasons.append((year < EARLIEST, f"birth before {EARLIEST}"))

    def _dates(self, columns: dict[str, Any]) -> None:
        """Dates against birth, death, today and each other."""
        rule, start = self.rule, self.rule.table.start()
        if start is None or not rule.table.of_persons or rule.to == "person":
            return
        begin, layer = columns[start], self.layer
        self.reasons.append((begin > self.ibis.date(self.context.today), f"{start} in the future"))
        self._comes(begin > self.ibis.date(self.context.today), begin)
        end = rule.table.end()
        if end is not None and end in rule.columns:
            self.reasons.append((columns[end] < begin, "ends before it starts"))
        if "birth" in layer.columns:
            self.reasons.append((begin < layer["birth"], f"{start} before birth"))
            if rule.to != "death":
                late = begin.delta(layer["death"], unit="day") > AFTER_DEATH
                self.reasons.append((late, f"{start} after death"))
