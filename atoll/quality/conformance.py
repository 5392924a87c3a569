"""Do the data keep to the model: tables, columns, required values, keys, references, concepts."""

from __future__ import annotations

from collections.abc import Iterator

from atoll.cdm.sql import Sql, name, sql
from atoll.cdm.tables import LOCAL, RESULTS, VOCABULARY, Column, Table, tables
from atoll.quality.check import Check

OPTIONAL_TABLES = ("episode", "episode_event", "fact_relationship", "metadata", "note_nlp", "cost", "payer_plan_period")


def clinical() -> Iterator[Table]:
    """The tables that hold a hospital's data: neither vocabulary nor results."""
    for table in tables().values():
        if table.name not in VOCABULARY and table.name not in RESULTS:
            yield table


def _column(column: Column) -> Sql:
    return sql("t.{c}", c=name(column.name))


def table_there() -> Iterator[Check]:
    """Every table of the model is in the database, even when it is empty."""
    for table in tables().values():
        if table.name not in RESULTS and table.name not in OPTIONAL_TABLES:
            yield Check("table_there", "conformance", "table", table.name)


def column_there() -> Iterator[Check]:
    """Every column of the model is in its table."""
    for table in tables().values():
        if table.name not in RESULTS:
            for column in table.columns.values():
                yield Check("column_there", "conformance", "table", table.name, column.name)


def column_type() -> Iterator[Check]:
    """Every column holds what the model says: whole numbers, numbers, text, days, times."""
    for table in tables().values():
        if table.name not in RESULTS:
            for column in table.columns.values():
                yield Check("column_type", "conformance", "type", table.name, column.name, subject=column.kind)


def required() -> Iterator[Check]:
    """What the model never leaves empty is not empty."""
    for table in clinical():
        for column in table.columns.values():
            if column.required:
                fault = sql("{c} IS NULL", c=_column(column))
                yield Check("required", "conformance", "rows", table.name, column.name, fault=fault)


def unique_key() -> Iterator[Check]:
    """No two rows have one key."""
    for table in tables().values():
        if table.key and table.name not in RESULTS:
            yield Check("unique_key", "conformance", "key", table.name, table.key)


def reference_known() -> Iterator[Check]:
    """Whom or what a row refers to is there."""
    for table in clinical():
        for column in table.columns.values():
            if column.references and not column.concept and column.references.partition(".")[0] not in VOCABULARY:
                subject = column.references.partition(".")[0]
                of = sql("{c} IS NOT NULL", c=_column(column))
                yield Check("reference_known", "conformance", "links", table.name, column.name, subject=subject, of=of)


def concept_known() -> Iterator[Check]:
    """Every concept is in the vocabulary; 0 stands for none."""
    yield from _of_codes("concept_known", sql("value <> 0"), sql("c.concept_id IS NULL"))


def concept_domain() -> Iterator[Check]:
    """A concept belongs to the domain of its column."""
    for table, column in _concept_columns():
        if column.domain and "source" not in column.name:
            words = [Sql("'" + word.strip() + "'") for word in column.domain.split(",")]
            fault = sql("c.domain_id NOT IN ({d})", d=Sql(", ".join(words)))
            of = sql("value <> 0 AND value < {l} AND c.concept_id IS NOT NULL", l=LOCAL)
            yield Check("concept_domain", "conformance", "codes", table.name, column.name, of=of, fault=fault)


def concept_standard() -> Iterator[Check]:
    """Analyses read standard concepts; a hospital's own (from `LOCAL` on) stand for codes without one."""
    for table, column in _concept_columns():
        # UCUM's units carry no flag in many extracts of the vocabulary
        if "source" not in column.name and not column.name.endswith("type_concept_id") and column.domain != "Unit":
            # and neither do results in words (positive, 1+): there no flag says nothing
            of = sql(
                "value <> 0 AND value < {l} AND c.concept_id IS NOT NULL"
                " AND NOT (c.domain_id = 'Meas Value' AND c.standard_concept IS NULL)",
                l=LOCAL,
            )
            fault = sql("COALESCE(c.standard_concept, '') <> 'S'")
            yield Check("concept_standard", "conformance", "codes", table.name, column.name, of=of, fault=fault)


def concept_valid() -> Iterator[Check]:
    """No concept was withdrawn."""
    of, fault = sql("value <> 0 AND c.concept_id IS NOT NULL"), sql("c.invalid_reason IS NOT NULL")
    for table, column in _concept_columns():
        if "source" not in column.name:
            yield Check("concept_valid", "conformance", "codes", table.name, column.name, of=of, fault=fault)


def date_matches_time() -> Iterator[Check]:
    """A date and the date of its time are one day."""
    for table in clinical():
        for column in table.columns.values():
            twin = table.columns.get(column.name + "time")
            if column.kind == "date" and twin is not None:
                day, time = _column(column), _column(twin)
                of = sql("{d} IS NOT NULL AND {t} IS NOT NULL", d=day, t=time)
                fault = sql("{d} <> CAST({t} AS DATE)", d=day, t=time)
                yield Check("date_matches_time", "conformance", "rows", table.name, column.name, of=of, fault=fault)


def text_fits() -> Iterator[Check]:
    """No text is longer than the model allows."""
    for table in clinical():
        for column in table.columns.values():
            if column.kind == "text" and column.length:
                fault = sql("LENGTH({c}) > {n}", c=_column(column), n=column.length)
                of = sql("{c} IS NOT NULL", c=_column(column))
                yield Check("text_fits", "conformance", "rows", table.name, column.name, of=of, fault=fault)


def one_row_a_person() -> Iterator[Check]:
    """A person dies once."""
    yield Check("one_row_a_person", "conformance", "key", "death", "person_id")


def _concept_columns() -> Iterator[tuple[Table, Column]]:
    for table in clinical():
        for column in table.columns.values():
            if column.concept:
                yield table, column


def _of_codes(family: str, of: Sql, fault: Sql) -> Iterator[Check]:
    for table, column in _concept_columns():
        yield Check(family, "conformance", "codes", table.name, column.name, of=of, fault=fault)


FAMILIES = (
    table_there, column_there, column_type, required, unique_key, reference_known, concept_known, concept_domain,
    concept_standard, concept_valid, date_matches_time, text_fits, one_row_a_person,
)  # fmt: skip
