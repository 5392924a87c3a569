"""A first data dictionary for a table, and whether a table keeps to a dictionary.

What is proposed is edited by the steward. A level held by fewer persons than the minimum is not proposed
as a word that may leave, and no smallest or largest value is: ranges are round numbers around them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.errors import DataError
from atoll.features.table import Table, as_numbers, as_words
from atoll.study.dictionary import Column, Dictionary, person_column

LEVELS = 50  # a column with more different words is text, and cannot be analysed
BATCH = 262_144
PERSON_WORDS = """
    id pid mrn nhs person patient subject person_id patient_id subject_id personid patientid subjectid person_no
    patient_no 编号 患者 病人 病人id 患者id 患者编号 病人编号 病案号 病历号 住院号 门诊号 就诊卡号 身份证号 登记号
"""
PERSON_NAMES = frozenset(PERSON_WORDS.split())
IDENTIFIERS = 12  # so many different words that nearly all hold a digit look like persons, not like a category


@dataclass(frozen=True)
class Proposal:
    """A dictionary, and what the steward should know about columns that are not in it or not whole."""

    columns: Dictionary
    notes: tuple[str, ...]


def propose(table: Table, minimum: int) -> Proposal:
    """Types, levels and ranges as the table suggests them."""
    columns: dict[str, Column] = {}
    notes: list[str] = []
    for name in table.columns:
        column, note = _column(table, name, minimum)
        if column:
            columns[name] = column
        if note:
            notes.append(note)
    if person_column(columns) is None:
        notes.append("No column identifies persons: every row counts as one person.")
    return Proposal(columns, tuple(notes))


def _column(table: Table, name: str, minimum: int) -> tuple[Column | None, str]:
    import pyarrow as pa

    kind = next(iter(table.batches([name], 1))).column(name).type
    if name.lower() in PERSON_NAMES and not pa.types.is_floating(kind):
        return Column("person"), ""
    if pa.types.is_temporal(kind):
        return Column("date"), ""
    if pa.types.is_boolean(kind):
        return Column("flag"), ""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return _number(table, name), ""
    return _category(table, name, minimum)


def _number(table: Table, name: str) -> Column:
    low, high, flag, any_ = math.inf, -math.inf, True, False
    for batch in table.batches([name], BATCH):
        values = as_numbers(batch.column(name), name)
        values = values[np.isfinite(values)]
        if len(values):
            any_ = True
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            flag = flag and low >= 0 and high <= 1 and bool(((values == 0) | (values == 1)).all())
    if not any_:
        return Column("number")
    return Column("flag") if flag else Column("number", low=_rounded_down(low), high=_rounded_up(high))


def _rounded_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten, well beyond the value."""
    if value <= 0:
        return -_rounded_inward(-value)
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 5, 10, 20) if m * power >= value * 1.05)


def _rounded_inward(value: float) -> float:
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((m * power for m in (5, 2, 1) if m * power <= value * 0.95), 0.5 * power)


def _rounded_down(value: float) -> float:
    return _rounded_inward(value) if value >= 0 else -_rounded_up(-value)


def _category(table: Table, name: str, minimum: int) -> tuple[Column | None, str]:
    counts: dict[str, int] = {}
    for batch in table.batches([name], BATCH):
        words = as_words(batch.column(name), name)
        found, held = np.unique(words[words != None].astype(str), return_counts=True)  # noqa: E711 (elementwise)
        for word, n in zip(found.tolist(), held.tolist(), strict=True):
            counts[word] = counts.get(word, 0) + n
        if len(counts) > LEVELS:
            return None, (
                f"{name}: more than {LEVELS} different words; left out, since text cannot be analysed. "
                "If it identifies persons, give it `type: person`."
            )
    if len(counts) > IDENTIFIERS and sum(any(map(str.isdigit, word)) for word in counts) > 0.9 * len(counts):
        return None, f"{name}: looks like identifiers; left out. If it identifies persons, give it `type: person`."
    levels = tuple(sorted(word for word, n in counts.items() if n >= minimum))
    rare = len(counts) - len(levels)
    note = (
        f"{name}: {rare} level(s) held by fewer than {minimum} rows are not listed; merge or correct them."
        if rare
        else ""
    )
    return Column("category", levels), note


def check(table: Table, columns: Dictionary) -> None:
    """Whether every value of the table keeps to the dictionary.

    Raises
    ------
    DataError
        With the first column that does not, and in how many rows; never with a value.
    """
    for name, column in columns.items():
        if name not in table.columns:
            raise DataError(
                f"The data have no column {name!r}.",
                "Take it out of the dictionary.",
                code="MISSING_COLUMN",
                subject=name,
            )
        outside = sum(_outside(batch.column(name), name, column) for batch in table.batches([name], BATCH))
        if outside:
            what = "a word that is not among its levels" if column.type == "category" else "a value outside its range"
            raise DataError(
                f"Column {name!r} holds {what} in {outside:,} rows.",
                "Correct the data, or the dictionary.",
                code="UNKNOWN_LEVEL" if column.type == "category" else "DATA_INVALID",
                subject=name,
            )


def _outside(values: Any, name: str, column: Column) -> int:
    if column.type == "category":
        words = as_words(values, name)
        return int(sum(word is not None and word not in column.levels for word in words)) if column.levels else 0
    if column.type in ("number", "flag"):
        numbers = as_numbers(values, name)
        if np.isinf(numbers).any():
            raise DataError(f"Column {name!r} holds an infinite value.", "Correct it.", code="NOT_FINITE", subject=name)
        if column.type == "flag":
            return int((~np.isnan(numbers) & (numbers != 0) & (numbers != 1)).sum())
        low = -math.inf if column.low is None else column.low
        high = math.inf if column.high is None else column.high
        return int(((numbers < low) | (numbers > high)).sum())
    return 0
