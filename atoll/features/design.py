"""From a table and a view to the rows an algorithm sees: complete cases, as arrays, chunk by chunk.

A chunk reads its columns when it is first used (on the thread that uses it) and builds X column by
column in Fortran order, so that XᵀWX runs at the speed of BLAS and nothing of a chunk outlives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from atoll.errors import REMEDIES, DataError
from atoll.features.basis import spline
from atoll.features.intervals import refuse_unbounded
from atoll.features.table import Batch, Table, as_words
from atoll.features.witness import cells_behind
from atoll.privacy.statistics import Array
from atoll.study.design import Expression, Factor, Level, Number, columns_of
from atoll.study.dictionary import Dictionary, code_name, person_column
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


def chunks(table: Table, view: View, columns: Dictionary, site: str, minimum: int, size: int | None) -> Iterator[Rows]:
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
    for batch in table.batches(wanted, None if repeats else size):
        yield Rows(batch, view, columns, site, minimum, person if repeats else None)


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
        self, batch: Batch, view: View, columns: Dictionary, site: str, minimum: int, person: str | None = None
    ):
        self._batch, self._view, self._columns = batch, view, columns
        self._site, self._person = site, person
        self.minimum = minimum

    @cached_property
    def _read(self) -> dict[str, Array]:
        """Every column of the view over the complete rows: numbers, words, or the person's code."""
        names = self._view.named()
        read = {name: self._column(name) for name in names}
        if self._person and self._person not in read:
            read[self._person] = as_words(self._batch.column(self._person), self._person)
        if self._view.complete:
            keep = np.ones(self._batch.num_rows, dtype=bool)
            for values in [read[name] for name in names if not self._batch.is_whole(name)]:
                if values.dtype.kind != "f":
                    keep &= np.not_equal(values, np.array(None)).astype(bool)
                else:
                    keep &= ~np.isnan(values)
            if not keep.all():
                read = {name: values[keep] for name, values in read.items()}
        return read

    def _column(self, name: str) -> Array:
        column = self._columns[name]
        if column.type in ("category", "person", "date"):
            return as_words(self._batch.column(name), name)
        values = self._batch.numbers(name)
        if not self._batch.is_whole(name) and np.isinf(values).any():
            raise DataError(
                f"Column {name!r} holds an infinite value.", REMEDIES["NOT_FINITE"], code="NOT_FINITE", subject=name
            )
        return values

    @cached_property
    def n(self) -> int:
        """Complete rows of the chunk."""
        return len(next(iter(self._read.values()))) if self._read else int(self._batch.num_rows)

    def column(self, name: str) -> Array:
        """One column: floats with NaN, or words with None."""
        return self._read[name]

    @cached_property
    def X(self) -> Array:
        """The design matrix (n, terms)."""
        assert self._view.design is not None
        design = self._view.design
        X = np.empty((self.n, len(design.terms)), order="F")
        for j, factors in enumerate(design.columns):
            self._product(factors, X[:, j])
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(X.sum())
        if not finite:
            self._refuse_infinite(X)
        return X

    def _refuse_infinite(self, X: Array) -> None:
        assert self._view.design is not None
        for term, factors, column in zip(self._view.design.terms, self._view.design.columns, X.T, strict=True):
            if not np.isfinite(column).all():
                raise DataError(
                    f"The term {term!r} is not finite for some patients.",
                    REMEDIES["NOT_FINITE"],
                    code="NOT_FINITE",
                    subject=_label(factors),
                )

    def weighing(self, beta: Array | None) -> tuple[Array, Array | None]:
        """The columns whose leverage says how much one person weighs, and each row's person where persons repeat.

        Those of the design with an intercept, or of a given model's linear predictor with one.
        """
        X = self.X if beta is None else (self.X @ beta)[:, None]
        return np.column_stack([np.ones(self.n), X]), self._persons

    def _product(self, factors: tuple[Factor, ...], result: Array) -> Array:
        """One term, written into `result`."""
        result[:] = self._factor(factors[0]) if factors else 1.0
        for factor in factors[1:]:
            result *= self._factor(factor)
        return result

    def _factor(self, factor: Factor) -> Any:
        if isinstance(factor, Number):
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                return self._evaluate(factor.expression)
        if isinstance(factor, Level):
            return self._indicator(factor.column, factor.level)
        return spline(self._number(factor.column), factor)

    def _number(self, name: str) -> Array:
        values = self._read[name]
        if values.dtype.kind != "f":
            raise DataError(
                f"Column {name!r} holds words where numbers are needed.", "Write C(…).", code="WRONG_TYPE", subject=name
            )
        return values

    def _evaluate(self, expression: Expression) -> Any:
        if not isinstance(expression, tuple):
            return expression
        head, *parts = expression
        if head == "column":
            return self._number(parts[0])
        operator: Any = _BINARY[head] if len(parts) == 2 else _UNARY[head]
        return operator(*[self._evaluate(part) for part in parts])

    def _indicator(self, name: str, level: str) -> Any:
        if name == "site":
            return 1.0 if level == self._site else 0.0
        assert self._view.design is not None
        codes, levels = self._codes(name, self._view.design.levels.get(name))
        return codes == levels.index(level) if level in levels else 0.0

    def _codes(self, name: str, levels: tuple[str, ...] | None) -> tuple[Array, tuple[str, ...]]:
        """Position of each row's word among the levels; a word outside them is an error."""
        cache = self.__dict__.setdefault("_coded", {})
        if name not in cache:
            values = self._read[name]
            if values.dtype.kind == "f":
                found, inverse = np.unique(values, return_inverse=True)
                words = [code_name(value) for value in found]
            else:
                uniques, inverse = np.unique(values.astype(str), return_inverse=True)
                words = uniques.tolist()
            known = {word: code for code, word in enumerate(levels if levels is not None else words)}
            if any(word not in known for word in words):
                raise DataError(
                    f"Column {name!r} holds a level that the study does not list.",
                    "Add the level to the study, or correct the column.",
                    code="UNKNOWN_LEVEL",
                    subject=name,
                )
            codes = np.array([known[word] for word in words], dtype=np.int64)
            cache[name] = (codes[inverse] if len(words) else np.zeros(0, dtype=np.int64)), tuple(known)
        coded: tuple[Array, tuple[str, ...]] = cache[name]
        return coded

    def _role(self, name: str | None) -> Array:
        return self._number(name) if name else np.zeros(self.n)

    @property
    def y(self) -> Array:
        """The outcome."""
        return self._role(self._view.outcome)

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
        event = self._role(self._view.event)
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

    @cached_property
    def _persons(self) -> Array | None:
        """Code of each row's person, where persons repeat."""
        if self._person is None:
            return None
        return np.unique(self._read[self._person].astype(str), return_inverse=True)[1]

    def persons(self, where: Array | None = None) -> int:
        """Distinct persons where the mask holds."""
        if self._persons is None:
            return self.n if where is None else int(np.count_nonzero(where))
        seen = np.zeros(int(self._persons.max(initial=-1)) + 1, dtype=bool)
        seen[self._persons if where is None else self._persons[where]] = True
        return int(np.count_nonzero(seen))

    def persons_per(self, codes: Array, size: int) -> Array:
        """Distinct persons per code 0 … size − 1."""
        if self._persons is not None:
            codes = np.unique(np.stack([codes, self._persons]), axis=1)[0]
        return np.bincount(codes, minlength=size).astype(np.int64)

    @property
    def flag_outcome(self) -> bool:
        """Whether the outcome is a flag."""
        return self._view.outcome is not None and self._columns[self._view.outcome].type == "flag"

    def behind_columns(self, names: Sequence[str]) -> dict[str, Array]:
        """Persons with a value other than zero of each column; of a flag, also those with zero."""
        found = {}
        for name in names:
            x = self._number(name)
            cells = [self.persons(np.isfinite(x) & (x != 0))]
            if self._columns[name].type == "flag":
                cells.append(self.persons(x == 0))
            found[name] = np.array(cells, dtype=np.int64)
        return found

    def behind_design(self) -> dict[str, Array]:
        """Persons behind the entries of Σ xxᵀ, by the column that each term reads first.

        Of every term those for whom it is not zero, alone and together with every other term; of what is an
        indicator (levels, flags, their products, also inside another term) all cells of every two-way table.
        Nobody under a policy that protects no cell: then there is nothing to witness.
        """
        assert self._view.design is not None
        if self.minimum <= 1:
            return {}
        terms, inside = self._view.design.columns, self._indicators_inside()
        present = self.X != 0
        if inside:
            extra = [self._product(factors, np.empty(self.n)) != 0 for factors in inside]
            present = np.column_stack([present, *extra])
        every = (*terms, *inside)
        indicator = tuple(bool(factors) and all(map(self._is_indicator, factors)) for factors in every)
        return cells_behind(present, tuple(map(_label, every)), indicator, self.persons if self._person else None)

    def _indicators_inside(self) -> list[tuple[Factor, ...]]:
        """Indicators that enter the design only as part of a term: of `a:age` the a, of `I(d + e)` both."""
        assert self._view.design is not None
        found: dict[frozenset[Factor], tuple[Factor, ...]] = {}
        for factors in self._view.design.columns:
            parts = tuple(f for f in factors if self._is_indicator(f))
            found[frozenset(parts)] = parts
            for name in (name for f in factors if f not in parts for name in columns_of(f)):
                if self._columns[name].type == "flag":
                    flag = Number(("column", name))
                    found[frozenset((flag,))] = (flag,)
        own = {frozenset(f) for f in self._view.design.columns}
        return [parts for key, parts in found.items() if parts and key not in own]

    def _is_indicator(self, factor: Factor) -> bool:
        """Levels and flags; what belongs to the site alone tells nothing of a person."""
        if isinstance(factor, Level):
            return factor.column != "site"
        if isinstance(factor, Number) and isinstance(factor.expression, tuple) and factor.expression[0] == "column":
            return self._columns[factor.expression[1]].type == "flag"
        return False


def _label(factors: tuple[Factor, ...]) -> str:
    """The column that a term reads first; none for the intercept and for what is the site's alone."""
    return next((name for factor in factors for name in columns_of(factor)), "")
