"""Are the data there: persons with records, codes with a concept, values with a unit, what the source said."""

from __future__ import annotations

from collections.abc import Iterator

from atoll.cdm.sql import name, sql
from atoll.cdm.tables import LOCAL, Table
from atoll.quality.check import Check
from atoll.quality.conformance import clinical

UNMAPPED = 0.05  # share of records whose code has no standard concept
WITHOUT_SOURCE = 0.01  # share of records of which nobody knows what they are
WITHOUT_RECORDS = 0.95  # share of persons without a record in a table: above it the table was hardly filled
EVENT_TABLES = (
    "visit_occurrence", "condition_occurrence", "drug_exposure", "procedure_occurrence", "device_exposure",
    "measurement", "observation",
)  # fmt: skip


def event_tables() -> Iterator[Table]:
    """Tables whose rows are something that happened to a person."""
    for table in clinical():
        if table.name in EVENT_TABLES:
            yield table


def person_observed() -> Iterator[Check]:
    """Every person has an observation period."""
    yield Check("person_observed", "completeness", "persons", "observation_period", allowed=0.0)


def person_has_records() -> Iterator[Check]:
    """A table that is filled at all is filled for more than a few persons."""
    for table in event_tables():
        yield Check("person_has_records", "completeness", "persons", table.name, allowed=WITHOUT_RECORDS)


def code_mapped() -> Iterator[Check]:
    """Records whose code has a standard concept."""
    for table in event_tables():
        column = table.concept()
        if column:
            fault = sql("value = 0 OR value >= {l}", l=LOCAL)
            yield Check("code_mapped", "completeness", "codes", table.name, column, fault=fault, allowed=UNMAPPED)


def unit_given() -> Iterator[Check]:
    """A number has a unit that is known."""
    of = sql("t.value_as_number IS NOT NULL AND COALESCE(t.value_as_concept_id, 0) = 0")  # the grade 1+ has no unit
    fault = sql("COALESCE(t.unit_concept_id, 0) = 0")
    yield Check("unit_given", "completeness", "rows", "measurement", "unit_concept_id", of=of, fault=fault, allowed=0.1)


def value_given() -> Iterator[Check]:
    """A measurement has a result: a number, a concept or a text."""
    fault = sql("t.value_as_number IS NULL AND t.value_as_concept_id IS NULL AND t.value_source_value IS NULL")
    yield Check("value_given", "completeness", "rows", "measurement", "value_as_number", fault=fault, allowed=0.1)


def source_kept() -> Iterator[Check]:
    """A record without a concept keeps what the source said; of a few the source said nothing."""
    for table in event_tables():
        for column in table.columns.values():
            twin = column.name.removesuffix("_concept_id") + "_source_value"
            if column.concept and "source" not in column.name and twin in table.columns and column.required:
                none = sql("(t.{c} = 0 OR t.{c} >= {l})", c=name(column.name), l=LOCAL)
                fault = sql("{n} AND t.{c} IS NULL", n=none, c=name(twin))
                yield Check(
                    "source_kept", "completeness", "rows", table.name, twin, fault=fault, allowed=WITHOUT_SOURCE
                )


def visit_linked() -> Iterator[Check]:
    """Records that say at which visit they were made."""
    for table in event_tables():
        if table.name not in ("visit_occurrence", "observation") and "visit_occurrence_id" in table.columns:
            fault = sql("t.visit_occurrence_id IS NULL")
            yield Check(
                "visit_linked", "completeness", "rows", table.name, "visit_occurrence_id", fault=fault, allowed=0.5
            )


def birth_given() -> Iterator[Check]:
    """Persons with a month of birth, and with a known sex."""
    yield Check("birth_given", "completeness", "rows", "person", "month_of_birth",
                fault=sql("t.month_of_birth IS NULL"), allowed=0.5)  # fmt: skip
    yield Check("birth_given", "completeness", "rows", "person", "gender_concept_id",
                fault=sql("COALESCE(t.gender_concept_id, 0) = 0"), allowed=0.01)  # fmt: skip


FAMILIES = (
    person_observed, person_has_records, code_mapped, unit_given, value_given, source_kept, visit_linked, birth_given,
)  # fmt: skip
