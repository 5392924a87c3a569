"""Can the data be true: dates against birth and death, values against their concept, records against the sex."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator
from importlib.resources import files

from atoll.cdm.sql import name, sql
from atoll.cdm.tables import FEMALE, MALE, SUPPLY, Column, Table
from atoll.quality.check import Check
from atoll.quality.completeness import EVENT_TABLES
from atoll.quality.conformance import clinical
from atoll.quality.references import of_one_sex

OLDEST = 120  # years
STRANGE_UNITS = 0.05
OTHER_SEX = 0.02
DOUBLED = 0.1  # share of records that have such a twin: a pressure taken twice in a minute may be the same
SUPPLIES = ("drug_exposure_end_date", "drug_era_end_date")  # what a patient has in hand lasts on
NOT_EVENTS = ("valid_start_date", "valid_end_date", "cdm_release_date", "source_release_date")


@functools.cache
def units_of_tests() -> dict[int, tuple[int, ...]]:
    """The units in which a measurement may be, by its concept."""
    return {int(row["concept_id"]): tuple(map(int, row["units"].split())) for row in _rows("units.csv")}


@functools.cache
def sexes() -> tuple[tuple[int, str, str], ...]:
    """(concept, table, sex) of what befalls one sex only."""
    return tuple((int(row["concept_id"]), row["table"], row["sex"]) for row in _rows("sexes.csv"))


def _rows(file: str) -> Iterator[dict[str, str]]:
    text = files("atoll.quality").joinpath(file).read_text("utf-8")
    return csv.DictReader(text.splitlines())


def _dates() -> Iterator[tuple[Table, Column]]:
    for table in clinical():
        for column in table.columns.values():
            if column.kind == "date" and table.of_persons and column.name not in NOT_EVENTS:
                yield table, column


def after_birth() -> Iterator[Check]:
    """Nothing happens to a person who is not born."""
    for table, column in _dates():
        day = sql("t.{c}", c=name(column.name))
        of = sql("{d} IS NOT NULL AND p.year_of_birth IS NOT NULL", d=day)
        fault = sql(
            "EXTRACT(YEAR FROM {d}) < p.year_of_birth OR (EXTRACT(YEAR FROM {d}) = p.year_of_birth AND"
            " (EXTRACT(MONTH FROM {d}) < p.month_of_birth OR (EXTRACT(MONTH FROM {d}) = p.month_of_birth AND"
            " EXTRACT(DAY FROM {d}) < p.day_of_birth)))",
            d=day,
        )
        yield Check("after_birth", "plausibility", "rows", table.name, column.name, of=of, fault=fault)


def before_death() -> Iterator[Check]:
    """Little happens to a person who has died."""
    for table, column in _dates():
        if table.name not in ("death", "observation_period") and not table.name.endswith("_era"):
            day = sql("t.{c}", c=name(column.name))
            of = sql("{d} IS NOT NULL AND d.last_date IS NOT NULL", d=day)
            last = "d.last_supply" if column.name in SUPPLIES else "d.last_date"
            fault = sql("{d} > {last}", d=day, last=sql(last))
            yield Check("before_death", "plausibility", "rows", table.name, column.name, of=of, fault=fault)


def not_future() -> Iterator[Check]:
    """Nothing was recorded that has not happened yet, in any of the world's time zones."""
    for table, column in _dates():
        day = sql("t.{c}", c=name(column.name))
        days = 1 + (SUPPLY if column.name in SUPPLIES else 0)
        fault = sql(f"{{d}} > CURRENT_DATE + INTERVAL '{days}' DAY", d=day)
        of = sql("{d} IS NOT NULL", d=day)
        yield Check("not_future", "plausibility", "rows", table.name, column.name, of=of, fault=fault)


def not_ancient() -> Iterator[Check]:
    """No date lies before 1900: such dates stand for unknown ones."""
    for table, column in _dates():
        day = sql("t.{c}", c=name(column.name))
        fault = sql("EXTRACT(YEAR FROM {d}) < 1900", d=day)
        of = sql("{d} IS NOT NULL", d=day)
        yield Check("not_ancient", "plausibility", "rows", table.name, column.name, of=of, fault=fault)


def end_after_start() -> Iterator[Check]:
    """What ends has begun."""
    for table in clinical():
        start, end = table.start(), table.end()
        if start and end and start != end:
            first, last = (sql("t.{c}", c=name(c)) for c in (start, end))
            of = sql("{a} IS NOT NULL AND {b} IS NOT NULL", a=first, b=last)
            fault = sql("{b} < {a}", a=first, b=last)
            yield Check("end_after_start", "plausibility", "rows", table.name, end, of=of, fault=fault)


def within_observation() -> Iterator[Check]:
    """Records lie in the time in which the person was observed."""
    for table in clinical():
        start = table.start()
        if table.name in EVENT_TABLES and start:
            day = sql("t.{c}", c=name(start))
            fault = sql(
                "o.first_date IS NULL OR {d} < o.first_date OR {d} > o.last_date OR g.last_date IS NOT NULL", d=day
            )
            yield Check("within_observation", "plausibility", "rows", table.name, start, fault=fault, allowed=0.05)


def age_possible() -> Iterator[Check]:
    """Nobody is born in the future or older than anyone ever was."""
    born = sql("t.year_of_birth")
    of = sql("{b} IS NOT NULL", b=born)
    year = sql("EXTRACT(YEAR FROM CURRENT_DATE)")
    yield Check("age_possible", "plausibility", "rows", "person", "year_of_birth", of=of,
                fault=sql("{b} > {y} OR {b} < {y} - {o}", b=born, y=year, o=OLDEST + 30))  # fmt: skip
    for column, last in (("month_of_birth", 12), ("day_of_birth", 31)):
        value = sql("t.{c}", c=name(column))
        yield Check("age_possible", "plausibility", "rows", "person", column, of=sql("{v} IS NOT NULL", v=value),
                    fault=sql("{v} < 1 OR {v} > {l}", v=value, l=last))  # fmt: skip


def number_possible() -> Iterator[Check]:
    """Quantities, refills and days of supply are not negative."""
    for table in clinical():
        for column in table.columns.values():
            if column.name in ("quantity", "refills", "days_supply", "total_paid", "condition_occurrence_count"):
                value = sql("t.{c}", c=name(column.name))
                of, fault = sql("{v} IS NOT NULL", v=value), sql("{v} < 0", v=value)
                yield Check("number_possible", "plausibility", "rows", table.name, column.name, of=of, fault=fault)


def unit_plausible() -> Iterator[Check]:
    """A measurement is in one of its units."""
    for concept, units in units_of_tests().items():
        yield Check("unit_plausible", "plausibility", "units", "measurement", "unit_concept_id", concept,
                    among=units, allowed=STRANGE_UNITS)  # fmt: skip


def sex_possible() -> Iterator[Check]:
    """What befalls one sex is recorded of no other."""
    for concept, table, sex in sexes():
        column = {"condition_occurrence": "condition_concept_id", "procedure_occurrence": "procedure_concept_id"}[table]
        other = MALE if sex == "female" else FEMALE
        yield Check("sex_possible", "plausibility", "sexes", table, column, concept, sex, among=(other,),
                    allowed=OTHER_SEX)  # fmt: skip
    for concept, sex in of_one_sex().items():
        yield Check("sex_possible", "plausibility", "sexes", "measurement", "measurement_concept_id", concept, sex,
                    among=(MALE if sex == "female" else FEMALE,), allowed=OTHER_SEX)  # fmt: skip


def no_gap() -> Iterator[Check]:
    """Between the first and the last month no month is as good as empty."""
    for table in EVENT_TABLES:
        yield Check("no_gap", "plausibility", "months", table, subject="gap")


def same_span() -> Iterator[Check]:
    """A table begins and ends when the others do."""
    for table in EVENT_TABLES:
        yield Check("same_span", "plausibility", "months", table, subject="span")


def no_jump() -> Iterator[Check]:
    """From one month to the next the number of records does not change tenfold."""
    for table in EVENT_TABLES:
        yield Check("no_jump", "plausibility", "months", table, subject="jump")


def not_doubled() -> Iterator[Check]:
    """Few records are the same as another one in everything but their own number."""
    for table in EVENT_TABLES:
        yield Check("not_doubled", "plausibility", "doubles", table, allowed=DOUBLED)


FAMILIES = (
    after_birth, before_death, not_future, not_ancient, end_after_start, within_observation, age_possible,
    number_possible, unit_plausible, sex_possible, no_gap, same_span, no_jump, not_doubled,
)  # fmt: skip
