"""The complete rows of a chunk: every column of a view as an array, without the rows that miss one of them."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from atoll.errors import REMEDIES, DataError
from atoll.features.columns import Words, as_coded, complete_rows, numbers_as_words, refuse_infinite, with_gaps
from atoll.features.table import Batch
from atoll.privacy.statistics import Array
from atoll.study.dictionary import Dictionary
from atoll.study.view import View


class Complete:
    """Columns are read when the first of them is asked for, all at once.

    Raises, when its columns are read
    ---------------------------------
    DataError
        WRONG_TYPE, NOT_FINITE or UNKNOWN_LEVEL, with the column as subject.
    """

    def __init__(self, batch: Batch, view: View, columns: Dictionary, person: str | None):
        self._batch, self._view, self._columns, self._person = batch, view, columns, person
        self._coded: dict[str, tuple[Array, tuple[str, ...]]] = {}

    @cached_property
    def read(self) -> dict[str, Array | Words]:
        """Every column of the view over the complete rows."""
        read: dict[str, Array | Words] = {}
        missing: dict[str, Array] = {}
        for name in self._view.named():
            read[name], absent = self._column(name)
            if absent is not None:
                missing[name] = absent
        if self._person and self._person not in read:
            read[self._person] = as_coded(self._batch.column(self._person))
        if self._view.complete:
            read = complete_rows(read, missing)
            return complete_rows(read, self._not_numbers(read))
        return {name: with_gaps(values, missing.get(name)) for name, values in read.items()}

    def _column(self, name: str) -> tuple[Array | Words, Array | None]:
        """A column by its type in the dictionary, and where it is missing."""
        if self._columns[name].type in ("category", "person", "date"):
            words = as_coded(self._batch.column(name))
            absent = words.codes < 0
            return words, absent if absent.any() else None
        return self._batch.numbers_and_gaps(name)

    def _not_numbers(self, read: dict[str, Array | Words]) -> dict[str, Array]:
        """Where numbers are NaN although nothing says that they are missing; infinite ones are an error."""
        with np.errstate(invalid="ignore", over="ignore"):
            found = {
                name: refuse_infinite(values, name)
                for name, values in read.items()
                if not isinstance(values, Words) and not self._batch.is_whole(name)
            }
        return {name: absent for name, absent in found.items() if absent is not None}

    @cached_property
    def n(self) -> int:
        """Complete rows of the chunk."""
        for values in self.read.values():
            return len(values.codes) if isinstance(values, Words) else len(values)
        return int(self._batch.num_rows)

    def number(self, name: str) -> Array:
        """A column of numbers."""
        values = self.read[name]
        if isinstance(values, Words):
            raise DataError(
                f"Column {name!r} holds words where numbers are needed.",
                REMEDIES["WRONG_TYPE"],
                code="WRONG_TYPE",
                subject=name,
            )
        return values

    def codes(self, name: str, levels: tuple[str, ...] | None) -> tuple[Array, tuple[str, ...]]:
        """Position of each row's word among the levels (those that occur, when None); others are an error."""
        if name not in self._coded:
            values = self.read[name]
            words = values if isinstance(values, Words) else numbers_as_words(values)
            known = words.words if levels is None else levels
            codes = words.among(known, name)
            self._coded[name] = codes.astype(np.int8) if len(known) < 128 else codes, known
        return self._coded[name]
