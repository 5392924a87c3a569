"""A chunk of complete rows as an algorithm sees it: the design matrix, columns by their roles, and persons.

A chunk reads its columns when it is first used (on the thread that uses it) and builds X column by column in Fortran
order: each column is written in one contiguous sweep, XᵀWX runs at the speed of BLAS syrk, and nothing of a chunk
outlives it.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from atoll.errors import DataError
from atoll.features.columns import Words
from atoll.features.complete import Complete
from atoll.features.persons import Persons
from atoll.features.table import Batch
from atoll.features.terms import Terms
from atoll.privacy.statistics import Array
from atoll.study.dictionary import Dictionary
from atoll.study.view import View


class Rows:
    """One chunk, as `algorithms.core.Data` describes it.

    Raises, when its columns are read
    ---------------------------------
    DataError
        WRONG_TYPE, NOT_FINITE or UNKNOWN_LEVEL, with the column as subject.
    """

    def __init__(
        self,
        batch: Batch,
        view: View,
        columns: Dictionary,
        site: str,
        minimum: int,
        person: str | None = None,
        rounding: int = 1,
    ):
        self._view, self._columns, self._person = view, columns, person
        self._complete = Complete(batch, view, columns, person)
        known = view.design.levels if view.design else {}
        self._known = {**view.levels, **{name: words for name, words in known.items() if words}}
        self._terms = Terms(self._complete, self._known, site)
        self.minimum, self.rounding = minimum, rounding

    @property
    def n(self) -> int:
        """Complete rows of the chunk."""
        return self._complete.n

    def column(self, name: str) -> Array:
        """One column: floats with NaN, or words with None."""
        values = self._complete.read[name]
        return values.as_array() if isinstance(values, Words) else values

    # ---- the design ------------------------------------------------------------------------------------

    @cached_property
    def X(self) -> Array:
        """The design matrix (n, terms)."""
        assert self._view.design is not None
        return self._terms.matrix(self._view.design)

    # ---- roles -----------------------------------------------------------------------------------------

    def _role(self, name: str | None) -> Array:
        return self._complete.number(name) if name else np.zeros(self.n)

    def _two_valued(self, name: str | None) -> Array:
        """A number, or a category of two levels as 0 and 1 (its first level is 0)."""
        if name is None or not isinstance(self._complete.read[name], Words):
            return self._role(name)
        levels = self._view.levels.get(name) or self._columns[name].levels
        if len(levels) != 2:
            raise DataError(
                f"Column {name!r} is a category with {len(levels)} levels where two are needed.",
                "Choose a flag or a category of two levels.",
                code="WRONG_TYPE",
                subject=name,
            )
        return self._complete.codes(name, levels)[0].astype(np.float64)

    @property
    def y(self) -> Array:
        """The outcome."""
        return self._two_valued(self._view.outcome)

    @property
    def time(self) -> Array:
        """Follow-up; negative times are an error."""
        time = self._role(self._view.time)
        if (time < 0).any():
            raise DataError(
                "A follow-up time is negative.", "Correct it.", code="DATA_INVALID", subject=self._view.time or ""
            )
        return time

    @property
    def event(self) -> Array:
        """1 or 0."""
        event = self._two_valued(self._view.event)
        if not ((event == 0) | (event == 1)).all():
            raise DataError(
                "An event must be 0 or 1.", "Correct the column.", code="WRONG_TYPE", subject=self._view.event or ""
            )
        return event

    @property
    def offset(self) -> Array:
        """The offset, zero where the analysis names none."""
        return self._role(self._view.offset)

    @cached_property
    def group(self) -> Array:
        """Code of each row's group."""
        return self._combined((self._view.group,) if self._view.group else ())

    @cached_property
    def strata(self) -> Array:
        """Code of each row's stratum; `site` does not count within a site."""
        return self._combined(tuple(name for name in self._view.strata if name != "site"))

    @cached_property
    def hazard(self) -> Array:
        """The Nelson–Aalen estimate at each row's time in its stratum, Σ d/n over event times; of all rows of a site.

        Zero for who left before the first event: no risk set holds them.
        """
        order = np.lexsort((self.time, self.strata))
        time, stratum = self.time[order], self.strata[order]
        first = np.flatnonzero((np.diff(time, prepend=-1) != 0) | (np.diff(stratum, prepend=-1) != 0))
        own = stratum[first]
        met = np.add.reduceat(self.event[order], first) / (np.searchsorted(stratum, own, side="right") - first)
        sums = np.append(0.0, np.cumsum(met))
        found = np.empty(self.n)
        found[order] = np.repeat(sums[1:] - sums[np.searchsorted(own, own)], np.diff(first, append=self.n))
        return found

    def _combined(self, names: tuple[str, ...]) -> Array:
        codes = np.zeros(self.n, dtype=np.int64)
        for name in names:
            own, levels = self._complete.codes(name, self._view.levels[name])
            codes = codes * len(levels) + own
        return codes

    @property
    def flag_outcome(self) -> bool:
        """Whether the outcome is a flag, or a category of two levels."""
        return self._view.outcome is not None and self._columns[self._view.outcome].type in ("flag", "category")

    # ---- persons ---------------------------------------------------------------------------------------

    @cached_property
    def _persons(self) -> Persons:
        """Whose rows these are. Unknown persons count as one."""
        if self._person is None:
            return Persons(self.n)
        words = self._complete.read[self._person]
        assert isinstance(words, Words)
        return Persons(self.n, words.codes + 1, len(words.words) + 1)

    def persons(self, where: Array | None = None) -> int:
        """Distinct persons where the mask holds."""
        return self._persons.count(where)

    def persons_per(self, codes: Array, size: int) -> Array:
        """Distinct persons per code 0 … size − 1."""
        return self._persons.per(codes, size)
