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
from atoll.features.columns import as_coded, as_numbers, same_number
from atoll.features.places import BATCH, FEW, infinite, nearly_numbers, without_number
from atoll.features.table import Table
from atoll.privacy.statistics import Array
from atoll.study.dictionary import Column, Dictionary, person_column

LEVELS = 50  # a column with more different words is text, and cannot be analysed
PERSON_WORDS = """
    id pid mrn nhs person patient subject person_id patient_id subject_id personid patientid subjectid person_no
    patient_no 编号 患者 病人 病人id 患者id 患者编号 病人编号 病案号 病历号 住院号 门诊号 就诊卡号 身份证号 登记号
"""
PERSON_NAMES = frozenset(PERSON_WORDS.split())
CORRECT = "Correct these rows in the source, or leave the value empty there, and add the table again with --replace."
IDENTIFIERS = 12  # so many different words that nearly all hold a digit look like persons, not like a category


@dataclass(frozen=True)
class Proposal:
    """A dictionary, and what the steward should know about columns that are not in it or not whole."""

    columns: Dictionary
    notes: tuple[str, ...]


def propose(table: Table, minimum: int, *, infinite_too: bool = False) -> Proposal:
    """Types, levels and ranges as the table suggests them.

    A column that holds an infinite value is left out, unless `infinite_too`: for those who tell it at the analysis.
    """
    columns: dict[str, Column] = {}
    notes: list[str] = []
    person = next((name for name in table.columns if _is_person(table, name)), None)
    repeated = person if person is not None and table.repeats(person) else None
    for name in table.columns:
        column, note = _column(table, name, minimum, repeated)
        if not infinite_too and _holds_floats(table, name) and (places := infinite(table, name)).rows:
            column, note = None, f"{name}: holds an infinite value {places}; left out. {CORRECT}"
        if column:
            columns[name] = column
        if note:
            notes.append(note)
    if person_column(columns) is None:
        notes.append("No column identifies persons: every row counts as one person.")
    return Proposal(columns, tuple(notes))


def _column(table: Table, name: str, minimum: int, person: str | None) -> tuple[Column | None, str]:
    """A column's entry and a note; `person` is given where persons have several rows."""
    import pyarrow as pa

    kind = _kind(table, name)
    if _is_person(table, name):
        return Column("person"), ""
    if pa.types.is_temporal(kind):
        return Column("date"), ""
    if pa.types.is_boolean(kind):
        return Column("flag"), ""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return _number(table, name), ""
    return _category(table, name, minimum, person)


def _kind(table: Table, name: str) -> Any:
    return next(iter(table.batches([name], 1))).column(name).type


def _holds_floats(table: Table, name: str) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(_kind(table, name)))


def _is_person(table: Table, name: str) -> bool:
    """Whether a column's name says that it identifies persons, and its type does not speak against it."""
    import pyarrow as pa

    return name.lower() in PERSON_NAMES and not pa.types.is_floating(_kind(table, name))


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


def _category(table: Table, name: str, minimum: int, person: str | None) -> tuple[Column | None, str]:
    counts = _persons_per_word(table, name, person)
    if len(counts) > FEW and nearly_numbers(places := without_number(table, name), len(counts)):
        return None, f"{name}: is nearly all numbers, but holds none {places}; left out. {CORRECT}"
    if len(counts) > LEVELS:
        return None, (
            f"{name}: more than {LEVELS} different words; left out, since text cannot be analysed. "
            "If it identifies persons, give it `type: person`."
        )
    if len(counts) > IDENTIFIERS and sum(any(map(str.isdigit, word)) for word in counts) > 0.9 * len(counts):
        return None, f"{name}: looks like identifiers; left out. If it identifies persons, give it `type: person`."
    levels = tuple(sorted(word for word, n in counts.items() if n >= minimum))
    rare = len(counts) - len(levels)
    counted = "persons" if person else "rows"
    note = f"{name}: {rare} level(s) held by fewer than {minimum} {counted} are not listed; merge or correct them."
    return Column("category", levels), note if rare else ""


def _persons_per_word(table: Table, name: str, person: str | None) -> dict[str, int]:
    """Rows, or distinct persons, per word; counting stops when there are too many words for a category."""
    counts: dict[str, int] = {}
    if person is None:
        for batch in table.batches([name], BATCH):
            words = as_coded(batch.column(name))
            held = np.bincount(words.codes + 1, minlength=len(words.words) + 1)[1:]
            for word, n in zip(words.words, held.tolist(), strict=True):
                counts[word] = counts.get(word, 0) + n
            if len(counts) > LEVELS:
                break
        return counts
    (batch,) = table.batches([name, person], None)
    words, persons = as_coded(batch.column(name)), as_coded(batch.column(person))
    there = words.codes >= 0
    most = len(persons.words) + 1
    pairs = np.unique(words.codes[there].astype(np.int64) * most + persons.codes[there] + 1)
    held = np.bincount(pairs // most, minlength=len(words.words))
    return dict(zip(words.words, held.tolist(), strict=True))


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
        if column.type in ("number", "flag"):
            _only_numbers(table, name)
        outside = sum(_outside(batch.column(name), name, column) for batch in table.batches([name], BATCH))
        if outside:
            what = "a word that is not among its levels" if column.type == "category" else "a value outside its range"
            raise DataError(
                f"Column {name!r} holds {what} in {outside:,} rows.",
                "Correct the data, or the dictionary.",
                code="UNKNOWN_LEVEL" if column.type == "category" else "DATA_INVALID",
                subject=name,
            )


def _only_numbers(table: Table, name: str) -> None:
    """Raises DataError when a column that should hold numbers holds words, or infinite values."""
    import pyarrow as pa

    kind = _kind(table, name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        places = without_number(table, name)
        if places.rows:
            raise DataError(
                f"Column {name!r} holds words where numbers are needed {places}.",
                "Correct them or leave them empty, or change its type in the dictionary.",
                code="WRONG_TYPE",
                subject=name,
            )
    elif _holds_floats(table, name) and (places := infinite(table, name)).rows:
        raise DataError(
            f"Column {name!r} holds an infinite value {places}.",
            "Correct it or leave it empty.",
            code="NOT_FINITE",
            subject=name,
        )


def _outside(values: Any, name: str, column: Column) -> int:
    if column.type in ("number", "flag"):
        return _outside_range(as_numbers(values, name), name, column)
    words = as_coded(values)
    if column.type == "category" and column.levels:
        missing = np.array([word not in column.levels for word in words.words] + [False])
        if words.numeric:
            missing[:-1] &= [not any(same_number(word, level) for level in column.levels) for word in words.words]
        return int(np.count_nonzero(missing[words.codes]))
    if column.type == "person" and (words.codes < 0).any():
        raise DataError(
            f"Column {name!r} does not say which person in {np.count_nonzero(words.codes < 0):,} rows.",
            "Fill it, or leave these rows out.",
            subject=name,
        )
    if column.type == "date" and not _holds_dates(values):
        raise DataError(
            f"Column {name!r} holds no dates.",
            "Write dates as 2024-01-31 in the source, or change its type in the dictionary.",
            code="WRONG_TYPE",
            subject=name,
        )
    return 0


def _holds_dates(values: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_temporal(values.type) or values.null_count == len(values))


def _outside_range(numbers: Array, name: str, column: Column) -> int:
    if column.type == "flag":
        return int((~np.isnan(numbers) & (numbers != 0) & (numbers != 1)).sum())
    low = -math.inf if column.low is None else column.low
    high = math.inf if column.high is None else column.high
    return int(((numbers < low) | (numbers > high)).sum())
