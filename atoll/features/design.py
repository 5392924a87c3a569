"""From a table and a view to the rows an algorithm sees: complete cases, as arrays, chunk by chunk.

A chunk reads its columns when it is first used (on the thread that uses it) and builds X column by
column in Fortran order: each column is written in one contiguous sweep, XᵀWX runs at the speed of BLAS
syrk, and nothing of a chunk outlives it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise, product
from typing import Any

import numpy as np

from atoll.errors import REMEDIES, DataError
from atoll.features.basis import splines
from atoll.features.columns import Words, as_coded, complete_rows, numbers_as_words, refuse_infinite, with_gaps
from atoll.features.intervals import refuse_unbounded
from atoll.features.persons import Persons
from atoll.features.table import Batch, Table
from atoll.features.witness import Behind, behind, cells_behind, first_column, weights_within
from atoll.privacy.leverage import Weighing, largest_influence
from atoll.privacy.statistics import Array
from atoll.study.design import Expression, Factor, Level, Number
from atoll.study.dictionary import Dictionary, person_column
from atoll.study.view import View

_BINARY = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power}
_UNARY = {
    "negative": np.negative,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
}


def chunks(
    table: Table, view: View, columns: Dictionary, site: str, minimum: int, size: int | None, rounding: int = 1
) -> Iterator[Rows]:
    """The table's complete rows in chunks of at most `size`, or all at once when `size` is None.

    Where a person has several rows, all come at once too: distinct persons cannot be counted piecewise.

    Raises
    ------
    DataError
        MISSING_COLUMN, when a column of the view is not in the table.
    """
    named, person = view.named(), person_column(columns)
    for name in [*named, person] if person else named:
        if name not in table.columns or name not in columns:
            raise DataError(
                f"The dataset has no column {name!r}.", REMEDIES["MISSING_COLUMN"], code="MISSING_COLUMN", subject=name
            )
    if not named:
        raise DataError("The question reads no column.", REMEDIES["DATA_INVALID"], code="DATA_INVALID")
    if view.design is not None and minimum > 1:
        refuse_unbounded(view.design, columns)
    repeats = person is not None and table.repeats(person)
    wanted = tuple(dict.fromkeys([*named, person])) if repeats and person else named
    counted = behind(view.design, columns, _strata(view)) if view.design else None
    for batch in table.batches(wanted, None if repeats else size):
        yield Rows(batch, view, columns, site, minimum, counted, person if repeats else None, rounding)


def _strata(view: View) -> list[tuple[Level, ...]]:
    """Each stratum as an indicator. Within a site, `site` is none."""
    names = [name for name in view.strata if name != "site"]
    words = product(*(view.levels[name] for name in names))
    return [tuple(map(Level, names, combination)) for combination in words] if names else []


def empty_column(table: Table, view: View, columns: Dictionary) -> str:
    """The first column of the view that is missing in every row, or nothing."""
    for name in view.named():
        read = (Rows(batch, View((name,)), columns, "", 1).n for batch in table.batches([name], 65_536))
        if not any(read):
            return name
    return ""


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
        behind: Behind | None = None,
        person: str | None = None,
        rounding: int = 1,
    ):
        self._batch, self._view, self._columns = batch, view, columns
        self._site, self._behind, self._person = site, behind, person
        self._coded: dict[str, tuple[Array, tuple[str, ...]]] = {}
        self._bases: dict[Any, Array] = {}
        self.minimum, self.rounding = minimum, rounding

    # ---- columns ---------------------------------------------------------------------------------------

    @cached_property
    def _read(self) -> dict[str, Array | Words]:
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
        for values in self._read.values():
            return len(values.codes) if isinstance(values, Words) else len(values)
        return int(self._batch.num_rows)

    def column(self, name: str) -> Array:
        """One column: floats with NaN, or words with None."""
        values = self._read[name]
        return values.as_array() if isinstance(values, Words) else values

    def _number(self, name: str) -> Array:
        values = self._read[name]
        if isinstance(values, Words):
            raise DataError(
                f"Column {name!r} holds words where numbers are needed.",
                REMEDIES["WRONG_TYPE"],
                code="WRONG_TYPE",
                subject=name,
            )
        return values

    def _codes(self, name: str, levels: tuple[str, ...] | None) -> tuple[Array, tuple[str, ...]]:
        """Position of each row's word among the levels (those that occur, when None); others are an error."""
        if name not in self._coded:
            values = self._read[name]
            words = values if isinstance(values, Words) else numbers_as_words(values)
            known = words.words if levels is None else levels
            codes = words.among(known, name)
            self._coded[name] = codes.astype(np.int8) if len(known) < 128 else codes, known
        return self._coded[name]

    # ---- the design ------------------------------------------------------------------------------------

    @cached_property
    def X(self) -> Array:
        """The design matrix (n, terms)."""
        assert self._view.design is not None
        design = self._view.design
        X = np.empty((self.n, len(design.terms)), order="F")
        computed = any(_computed(factor) for factors in design.columns for factor in factors)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for j, factors in enumerate(design.columns):
                self._product(factors, X[:, j])
            finite = not computed or np.isfinite(X.sum())
        if not finite:
            self._refuse_infinite(X)
        self._bases.clear()
        return X

    def _refuse_infinite(self, X: Array) -> None:
        assert self._view.design is not None
        for term, factors, column in zip(self._view.design.terms, self._view.design.columns, X.T, strict=True):
            if not np.isfinite(column).all():
                raise DataError(
                    f"The term {term!r} is not finite for some patients.",
                    REMEDIES["NOT_FINITE"],
                    code="NOT_FINITE",
                    subject=first_column(factors),
                )

    def weighing(self, beta: Array | None) -> Weighing:
        """What says how much one person weighs: design or a given model's predictor, with intercept, and outcome."""
        X = self.X if beta is None else (self.X @ beta)[:, None]
        outcome = [self.y] if self._view.outcome else [self.event] if self._view.event else []
        strata = [self._product(factors, np.empty(self.n)) for factors in _strata(self._view)]
        columns = np.column_stack([np.ones(self.n), *strata, X, *outcome])  # what a stratum gives informs no term
        return Weighing(columns, bool(outcome), self._persons.codes)

    def _product(self, factors: tuple[Factor, ...], result: Array) -> Array:
        """One term, written into `result`."""
        result[:] = self._factor(factors[0]) if factors else 1.0
        for factor in factors[1:]:
            result *= self._factor(factor)
        return result

    def _factor(self, factor: Factor) -> Any:
        if isinstance(factor, Number):
            return self._evaluate(factor.expression)
        if isinstance(factor, Level):
            return self._level(factor.column, factor.level)
        low, high = factor.low, factor.high
        shape = (factor.column, factor.degree, factor.knots, low, high, factor.clipped)
        if shape not in self._bases:
            x = self._number(factor.column)
            x = np.clip(x, low, high) if factor.clipped else x
            self._bases[shape] = splines(x, factor.degree, factor.knots, low, high)
        return self._bases[shape][factor.index]

    def _evaluate(self, expression: Expression) -> Any:
        if not isinstance(expression, tuple):
            return expression
        head, *parts = expression
        if head == "column":
            return self._number(parts[0])
        operator: Any = _BINARY[head] if len(parts) == 2 else _UNARY[head]
        return operator(*[self._evaluate(part) for part in parts])

    def _level(self, name: str, level: str) -> Any:
        """Rows in which the column holds the word."""
        if name == "site":
            return level == self._site
        assert self._view.design is not None
        codes, levels = self._codes(name, self._view.design.levels.get(name) or self._view.levels.get(name))
        return codes == levels.index(level) if level in levels else np.zeros(self.n, dtype=bool)

    # ---- roles -----------------------------------------------------------------------------------------

    def _role(self, name: str | None) -> Array:
        return self._number(name) if name else np.zeros(self.n)

    def _two_valued(self, name: str | None) -> Array:
        """A number, or a category of two levels as 0 and 1 (its first level is 0)."""
        if name is None or not isinstance(self._read[name], Words):
            return self._role(name)
        levels = self._view.levels.get(name) or self._columns[name].levels
        if len(levels) != 2:
            raise DataError(
                f"Column {name!r} is a category with {len(levels)} levels where two are needed.",
                "Choose a flag or a category of two levels.",
                code="WRONG_TYPE",
                subject=name,
            )
        return self._codes(name, levels)[0].astype(np.float64)

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

    def _combined(self, names: tuple[str, ...]) -> Array:
        codes = np.zeros(self.n, dtype=np.int64)
        for name in names:
            own, levels = self._codes(name, self._view.levels[name])
            codes = codes * len(levels) + own
        return codes

    # ---- persons ---------------------------------------------------------------------------------------

    @cached_property
    def _persons(self) -> Persons:
        """Whose rows these are. Unknown persons count as one."""
        if self._person is None:
            return Persons(self.n)
        words = self._read[self._person]
        assert isinstance(words, Words)
        return Persons(self.n, words.codes + 1, len(words.words) + 1)

    def persons(self, where: Array | None = None) -> int:
        """Distinct persons where the mask holds."""
        return self._persons.count(where)

    def persons_per(self, codes: Array, size: int) -> Array:
        """Distinct persons per code 0 … size − 1."""
        return self._persons.per(codes, size)

    def spread(self, weight: Array) -> Array:
        """Σw and Σw² over persons: the rows of a person add up. Zero, as below, where the policy protects nobody."""
        return self._persons.spread(weight) if self.minimum > 1 else np.zeros(2)

    def spread_per(self, weight: Array, codes: Array, size: int) -> Array:
        """Σw and Σw² over the persons of each code 0 … size − 1, as (2, size)."""
        return self._persons.spread_per(weight, codes, size) if self.minimum > 1 else np.zeros((2, size))

    # ---- witnesses -------------------------------------------------------------------------------------

    @property
    def flag_outcome(self) -> bool:
        """Whether the outcome is a flag, or a category of two levels."""
        return self._view.outcome is not None and self._columns[self._view.outcome].type in ("flag", "category")

    def behind_columns(self, names: Sequence[str]) -> dict[str, Array]:
        """Persons with a value of each column other than zero; a flag: with zero too, a number: than what most have.

        Where fewer than half differ from one value it is the median, each person counted once.
        """
        found = {}
        for name in names:
            x = self._number(name)
            there = np.isfinite(x)
            others = x == 0 if self._columns[name].type == "flag" else there & (x != self._persons.middle(x, there))
            found[name] = np.array([self.persons(there & (x != 0)), self.persons(others)], dtype=np.int64)
        return found

    def spread_columns(self, names: Sequence[str]) -> dict[str, Array]:
        """Σa and Σa² of a = (x − x̄)² of each column: who makes up its variance."""
        found = {}
        for name in names:
            x = self._number(name)
            there = np.isfinite(x)
            centre = x[there].mean() if there.any() else 0.0
            found[name] = self.spread(np.where(there, x - centre, 0.0) ** 2)
        return found

    @cached_property
    def _present(self) -> Array:
        """Where each term of the design, then each of what stands inside them, is not zero."""
        assert self._behind is not None
        extra = [self._product(factors, np.empty(self.n)) != 0 for factors in self._behind.inside]
        return np.concatenate([self.X != 0, np.stack(extra, axis=1)], axis=1) if extra else self.X != 0

    def behind_design(self) -> dict[str, Array]:
        """Persons behind the entries of Σ xxᵀ, by the column that each term reads first, as `witness` counts them.

        Empty under a policy that protects no cell: then there is nothing to witness.
        """
        plan = self._behind
        if self.minimum <= 1 or plan is None:
            return {}
        return cells_behind(self._present, plan.labels, plan.indicator, self.persons if self._person else None)

    def behind_cells(self, codes: Array, size: int) -> dict[str, Array]:
        """As `behind_design`, for the rows of each code apart: one cell's sums are a table of their own."""
        plan, found = self._behind, dict[str, list[Array]]()
        if self.minimum <= 1 or plan is None:
            return {}
        for rows in self._cells(codes, size):
            persons = _counting(self._persons.codes[rows]) if self._persons.codes is not None else None
            for label, cells in cells_behind(self._present[rows], plan.labels, plan.indicator, persons).items():
                found.setdefault(label, []).append(cells)
        return {label: np.concatenate(cells) for label, cells in found.items()}

    def leverage_per(self, codes: Array, size: int) -> Array:
        """[1, the largest leverage of one person on 1 and X] in each code's rows: it stands for so many persons."""
        if self.minimum <= 1:
            return np.zeros((2, 0))
        largest = []
        for rows in self._cells(codes, size):
            person = (
                None if self._persons.codes is None else np.unique(self._persons.codes[rows], return_inverse=True)[1]
            )
            part = Weighing(np.column_stack([np.ones(len(rows)), self.X[rows]]), False, person)
            largest.append(largest_influence(functools.partial(iter, [part])).leverage)
        return np.array([np.ones(len(largest)), largest])

    def _cells(self, codes: Array, size: int) -> Iterator[Array]:
        """The rows of each code 0 … size − 1 that has any."""
        order = np.argsort(codes, kind="stable")
        ends = np.searchsorted(codes[order], np.arange(size + 1))
        for start, end in pairwise(ends):
            if end > start:
                yield order[start:end]

    def spread_within(self, *weights: Array) -> dict[str, Array]:
        """Σw and Σw² over the persons behind each term, by the column that it reads first; empty as `behind_design`."""
        plan = self._behind
        if self.minimum <= 1 or plan is None:
            return {}
        held = np.stack(weights, axis=1)
        return weights_within(self._present, plan.labels, plan.indicator, held, self._persons.codes)


def _counting(codes: Array) -> Callable[[Array], int]:
    """Distinct persons where a mask over these rows holds."""
    return lambda where: len(np.unique(codes[where]))


def _computed(factor: Factor) -> bool:
    """Whether a factor may be infinite although its columns are not."""
    return not isinstance(factor, Level) and not (
        isinstance(factor, Number) and isinstance(factor.expression, tuple) and factor.expression[0] == "column"
    )
