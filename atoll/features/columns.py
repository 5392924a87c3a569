"""One column of a batch as arrays: numbers with NaN, or codes into the words that occur.

Words are coded by Arrow; nothing here runs once a row in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.errors import REMEDIES, DataError
from atoll.privacy.statistics import Array
from atoll.study.dictionary import code_name


@dataclass(frozen=True)
class Words:
    """A column of words: `codes` into `words`, −1 where missing. `numeric` when the words were numbers or codes."""

    codes: Array
    words: tuple[str, ...]
    numeric: bool = False

    def take(self, rows: Array) -> Words:
        """The rows of these numbers."""
        return Words(self.codes.take(rows), self.words, self.numeric)

    def as_array(self) -> Array:
        """(n,) words, None where missing."""
        lookup = np.array([*self.words, None], dtype=object)
        return lookup[self.codes]

    def among(self, levels: Sequence[str], name: str) -> Array:
        """Position of each row's word among the levels, −1 where missing.

        Raises
        ------
        DataError
            UNKNOWN_LEVEL, when a word is not one of them.
        """
        known = {level: position for position, level in enumerate(levels)}
        if self.numeric:
            known |= {word: known[level] for word in self.words for level in levels if same_number(word, level)}
        lookup = np.array([known.get(word, -2) for word in self.words] + [-1], dtype=np.int32)
        codes = lookup[self.codes]
        if codes.size and codes.min() == -2:
            raise DataError(
                f"Column {name!r} holds a level that the study does not list.",
                REMEDIES["UNKNOWN_LEVEL"],
                code="UNKNOWN_LEVEL",
                subject=name,
            )
        return codes


def same_number(word: str, level: str) -> bool:
    """Whether two words are the same number: 2 and 2.0."""
    try:
        return float(word) == float(level)
    except ValueError:
        return False


def _whole(column: Any) -> Any:
    import pyarrow as pa

    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def as_numbers(column: Any, name: str) -> Array:
    """A column as floats, NaN where missing; without a copy where it has none missing.

    Raises
    ------
    DataError
        WRONG_TYPE, when the column holds words or dates.
    """
    values, missing = numbers(column, name)
    return values if missing is None else np.where(missing, np.nan, values)


def numbers(column: Any, name: str) -> tuple[Array, Array | None]:
    """A column as floats, and where it is missing (None: nowhere); a missing place holds 0, or NaN if it held one.

    Raises
    ------
    DataError
        WRONG_TYPE, when the column holds words or dates.
    """
    import pyarrow as pa

    array = _whole(column)
    kind = array.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        array = _cast_to_numbers(array, name)
    if array.null_count == 0:
        values: Array = array.to_numpy(zero_copy_only=False)
        return values.astype(np.float64, copy=False), None
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    return values.astype(np.float64, copy=False), array.is_null().to_numpy(zero_copy_only=False)


def _cast_to_numbers(array: Any, name: str) -> Any:
    import pyarrow as pa

    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_null(kind) or pa.types.is_decimal(kind):
        return array.cast(pa.float64())
    held = "dates" if pa.types.is_temporal(kind) else "words"
    raise DataError(
        f"Column {name!r} holds {held} where numbers are needed.",
        REMEDIES["WRONG_TYPE"],
        code="WRONG_TYPE",
        subject=name,
    )


def refuse_infinite(values: Array, name: str) -> Array | None:
    """Where numbers are NaN (None: nowhere); one pass settles the usual case.

    Raises
    ------
    DataError
        NOT_FINITE, when one is infinite.
    """
    if np.isfinite(values.sum()):
        return None
    if np.isinf(values).any():
        raise DataError(
            f"Column {name!r} holds an infinite value.", REMEDIES["NOT_FINITE"], code="NOT_FINITE", subject=name
        )
    missing: Array = np.isnan(values)
    return missing if missing.any() else None


def as_coded(column: Any) -> Words:
    """A column as coded words; whole numbers as digits, flags as 0 and 1, dates as ISO 8601."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = _whole(column)
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    kind = array.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if pa.types.is_floating(kind):
        array = pc.if_else(pc.is_nan(array), None, array)
    elif pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif not numeric and not pa.types.is_string(kind):
        array = array.cast(pa.string())
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    found = encoded.dictionary.to_pylist()
    return Words(codes, tuple(code_name(value) if numeric else value for value in found), numeric)


def complete_rows(read: dict[str, Array | Words], missing: dict[str, Array]) -> dict[str, Array | Words]:
    """The rows that miss none of the columns."""
    if not missing:
        return read
    rows = np.flatnonzero(~np.logical_or.reduce(list(missing.values())))
    return {name: values.take(rows) for name, values in read.items()}


def with_gaps(values: Array | Words, missing: Array | None) -> Array | Words:
    return values if missing is None or isinstance(values, Words) else np.where(missing, np.nan, values)


def numbers_as_words(values: Array) -> Words:
    """Numbers coded as words, for a column of numbers that is used as a category."""
    import pyarrow as pa

    return as_coded(pa.array(values, from_pandas=True))
