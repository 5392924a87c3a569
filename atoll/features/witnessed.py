"""What stands behind the sums over a chunk of rows: counts of persons and weights, for the gate alone.

Every method answers what one kind of sum asks for (see `privacy.statistics`: `witness` and `weights`). Where the policy
protects nobody there is nothing to witness, and the answers are empty.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise, product
from typing import Any

import numpy as np

from atoll.errors import REMEDIES, DataError
from atoll.features.crossed import crossings, levels_of, read_by
from atoll.features.products import Product, cells_of, degrees_of, first_bases, is_indicator, products_of
from atoll.features.rows import Rows
from atoll.features.witness import Behind, cells_behind, first_column, weights_within
from atoll.privacy.few import fewest, planes
from atoll.privacy.leverage import Weighing, largest_influence, unexplained
from atoll.privacy.pairs import APART, largest_alone, largest_apart
from atoll.privacy.statistics import Array
from atoll.study.design import Level, Number
from atoll.study.view import View

LOOKED_AT, ENOUGH = 2_000, 1_000  # rows that are looked at first, and different values that settle it
CELLS = 4_096  # of levels that are counted together


def offset_of(view: View) -> list[Product]:
    """The offset as a product, where there is one."""
    return [(Number(("column", view.offset)),)] if view.offset else []


def strata_of(view: View) -> list[tuple[Level, ...]]:
    """Each stratum as an indicator. Within a site, `site` is none."""
    names = [name for name in view.strata if name != "site"]
    words = product(*(view.levels[name] for name in names))
    return [tuple(map(Level, names, combination)) for combination in words] if names else []


class Witnessed(Rows):
    """Rows that say who stands behind their sums. `behind` is what is counted for the design."""

    def __init__(self, *given: Any, behind: Behind | None = None, **more: Any):
        super().__init__(*given, **more)
        self._behind = behind

    @cached_property
    def _summed(self) -> tuple[Product, ...]:
        """What is multiplied and added up: the products of all terms, and the offset."""
        return (*self._products, *offset_of(self._view))

    @cached_property
    def _products(self) -> tuple[Product, ...]:
        assert self._view.design is not None
        return products_of(self._view.design, self._columns)

    @cached_property
    def _multiplied(self) -> tuple[Product, ...]:
        """What one person's weight is looked for in: the terms as they stand where they are their own products."""
        assert self._view.design is not None
        terms = tuple(self._view.design.columns)
        return terms if self._products == tuple(factors for factors in terms if factors) else self._products

    @cached_property
    def _weighed(self) -> Array:
        """Its columns, and the offset."""
        assert self._view.design is not None
        plain = self._multiplied == tuple(self._view.design.columns)
        columns = self.X if plain else self._terms.products(self._products)
        return np.column_stack([columns, self.offset]) if self._view.offset else columns

    @property
    def _names(self) -> list[str]:
        """What a refusal calls the columns of `_weighed`."""
        return list(map(first_column, (*self._multiplied, *offset_of(self._view))))

    def _crossed(self, codes: Array, size: int, pairs: bool = True, least: int = 3) -> dict[str, list[Array]]:
        """Persons in the cells that two terms tell apart together (see `crossed`), and of each value of a column of few
        (see `codes`), of each code 0 … size − 1."""
        assert self._behind is not None
        found = dict[str, list[Array]]()
        for crossing in crossings(self._summed, self._columns, pairs, least):
            own, many = self._cell(crossing.levels)
            where = np.ones(self.n, dtype=bool)
            for name, low, high in crossing.spans:
                x = self._complete.number(name)
                where &= (low < x) & (x < high)
            found.setdefault(crossing.label, []).append(self._per_cell(own, many, codes, size, where))
        for name, values in self._behind.values.items():
            held = np.searchsorted(values, self._complete.number(name))
            for levels in levels_of(self._summed, self._columns):
                own, many = self._cell(levels)
                counts = self._per_cell(own * len(values) + held, many * len(values), codes, size, own >= 0)
                found.setdefault(name, []).append(counts)
        return found

    def _per_cell(self, own: Array, many: int, codes: Array, size: int, where: Array) -> Array:
        """Persons of each cell 0 … many − 1 of each code 0 … size − 1, where the mask holds."""
        place = np.where(where & (codes < size), codes * many + own, size * many)
        return self.persons_per(place, size * many + 1)[:-1]

    def _cell(self, names: Sequence[str]) -> tuple[Array, int]:
        """The cell of flags and categories that each row lies in, and their number.

        Raises
        ------
        DataError
            TERM_INTRICATE, when they are too many to be counted.
        """
        cell, many = np.zeros(self.n, dtype=np.int64), 1
        for name in names:
            if self._columns[name].type == "category":
                own, words = self._complete.codes(name, self._known.get(name))
                size = len(words)
            else:
                own, size = self._complete.number(name) != 0, 2
            cell, many = cell * size + own, many * size
            if many > CELLS:
                what = f"Terms of the formula tell more than {CELLS} cells apart, beginning with {names[0]!r}."
                raise DataError(what, REMEDIES["TERM_INTRICATE"], code="TERM_INTRICATE", subject=names[0])
        return cell, many

    def weighing(self) -> Weighing:
        """What says how much one person weighs: the design with an intercept, and the outcome."""
        outcome = [self.y] if self._view.outcome else [self.event] if self._view.event else []
        strata = strata_of(self._view)  # what a stratum gives informs no term
        columns = np.column_stack([np.ones(self.n), self._terms.products(strata), self._weighed, *outcome])
        names = ["", *map(first_column, strata), *self._names]
        names += [self._view.outcome or self._view.event or ""] if outcome else []
        return Weighing(columns, bool(outcome), self._persons.codes, names=tuple(names))

    def weighing_at_risk(self) -> tuple[Weighing, Weighing]:
        """The same for sums over risk sets, U = Σ x (e − m) and I = Σ m xxᵀ − …, with m the hazard at β = 0: of those
        whom a risk set holds the columns with the event, which is summed as it stands; and of all the columns times √m.
        """
        found, there = self.weighing(), self.hazard > 0
        person = found.person[there] if found.person is not None else None
        x = found.columns[there, : -1 if found.outcome else None]
        exact = ((x == 0) | (x == 1)).all(axis=0) | (x == x[:1]).all(axis=0)
        weighted = Weighing(x * np.sqrt(self.hazard[there])[:, None], False, person, exact)
        return replace(found, columns=np.column_stack([x, self.event[there]]), person=person), weighted

    def spread(self, weight: Array) -> Array:
        """Σw and Σw² over persons: the rows of a person add up. Zero, as below, where the policy protects nobody."""
        return self._persons.spread(weight) if self.minimum > 1 else np.zeros(2)

    def spread_per(self, weight: Array, codes: Array, size: int) -> Array:
        """Σw and Σw² over the persons of each code 0 … size − 1, as (2, size)."""
        return self._persons.spread_per(weight, codes, size) if self.minimum > 1 else np.zeros((2, size))

    def behind_columns(self, names: Sequence[str]) -> dict[str, Array]:
        """Persons with a value of each column other than zero; a flag: with zero too, a number: than what most have,
        and than the two commonest values, of which Σ v² less a multiple of Σ v says nothing.

        Where fewer than half differ from one value it is the median, each person counted once.
        """
        found = {}
        for name in names:
            x = self._complete.number(name)
            there = np.isfinite(x)
            others = x == 0 if self._columns[name].type == "flag" else there & (x != self._persons.middle(x, there))
            counts = [self.persons(there & (x != 0)), self.persons(others)]
            if self._columns[name].type == "flag":
                _refuse_other_flags(x[there], name)
            else:
                counts.append(self._outside(x, 2, there))
            found[name] = np.array(counts, dtype=np.int64)
        return found

    def spread_columns(self, names: Sequence[str]) -> dict[str, Array]:
        """Σa and Σa² of a = (x − x̄)² of each column: who makes up its variance; and of a = (x − x̂)², with x̂ what
        the other columns say: two columns that are alike but for one person would show that person's value. Last, of
        all, what one person stands for among the columns, their squares and who has them (see `pairs`)."""
        found, filled = {}, np.zeros((self.n, len(names)), order="F")
        for j, name in enumerate(names):
            x = self._complete.number(name)
            there = np.isfinite(x)
            filled[there, j] = x[there] - (x[there].mean() if there.any() else 0.0)
        apart = unexplained(filled) if self.minimum > 1 else filled
        for j, name in enumerate(names):
            own = self.spread(filled[:, j] ** 2)
            found[name] = np.stack([own, self.spread(apart[:, j] ** 2)], axis=1) if len(names) > 1 else own
        apart_of = self._apart_of(names) if len(names) else {}
        return {name: np.column_stack([sums, apart_of[name]]) for name, sums in found.items()}

    def _apart_of(self, names: Sequence[str]) -> dict[str, Array]:
        """[1, h] of each column. At the first, h is the largest leverage of one person among all columns and their
        squares, as a part of what is allowed (see `leverage_per`); at one of which a plane misses a few (see
        `privacy.few`) it is 1. That one alone lacks a value is a number of persons: left out."""
        if self.minimum <= 1:
            return {name: np.zeros(2) for name in names}
        columns, called = [np.ones(self.n)], [""]
        for name in names:
            x = self._complete.number(name)
            there = np.isfinite(x)
            value = np.where(there, x, 0.0) / max(float(np.abs(x[there]).max(initial=0.0)), 1e-300)
            columns += [value, value**2] + ([there * 1.0] if self.persons(~there) > 1 else [])
            called += [name] * (len(columns) - len(called))
        table = Weighing(np.column_stack(columns), False, self._persons.codes, names=tuple(called))
        few = fewest(lambda: [table], self.minimum, pairs=False)
        found = {name: np.array([1.0, float(name == few.column)]) for name in names}
        found[names[0]][1] += 2 * largest_alone(table.columns, table.person) / (APART * self.minimum)
        return found

    @cached_property
    def _present(self) -> Array:
        """Where each term of the design, then each of what stands inside them, is not zero."""
        assert self._behind is not None
        inside = self._terms.products(self._behind.inside) != 0
        return np.concatenate([self.X != 0, inside], axis=1) if inside.size else self.X != 0

    def behind_design(self) -> dict[str, Array]:
        """Persons behind the entries of Σ xxᵀ, by the column that each term reads first, as `witness` counts them.

        Empty under a policy that protects no cell: then there is nothing to witness.
        """
        plan = self._behind
        if self.minimum <= 1 or plan is None:
            return {}
        cells = cells_behind(self._present, plan.labels, plan.indicator, self.persons if self._person else None)
        return _joined(
            {label: [counts] for label, counts in cells.items()}, self._crossed(np.zeros(self.n, np.int64), 1)
        )

    def _unusual(self) -> dict[str, list[Array]]:
        """Persons outside the few commonest values of each number: of 0, 1 and one 2 the sums of v and v² tell who has
        the 2, since v² − v is nought for everybody else; of a power of v, or its square, more values are so bound."""
        found, degrees = dict[str, list[Array]](), degrees_of(self._summed)
        for name, degree in degrees.items():
            if self._columns[name].type != "flag":
                x = self._complete.number(name)
                sets = levels_of([made for made in self._summed if name in read_by(made)], self._columns)
                for levels in sets:
                    cell, many = self._cell(levels)
                    counts = [self._outside(x, 2 * degree, cell == one) for one in range(many)]
                    found.setdefault(name, []).append(np.array(counts, dtype=np.int64))
        return found

    def _outside(self, x: Array, most: int, where: Array) -> int:
        """Persons outside the `most` commonest values, of those where the mask holds; at least so many, where a part of
        the rows shows enough."""
        own = x[where]
        part = np.unique(own[:LOOKED_AT])
        if len(part) >= most + ENOUGH and self._person is None:
            return len(part) - most
        values, held = np.unique(own, return_counts=True)
        common = values[np.argsort(-held, kind="stable")[:most]]
        return self.persons(where & ~np.isin(x, common))

    def behind_cells(self, codes: Array, size: int) -> dict[str, Array]:
        """As `behind_design`, for the rows of each code apart: one cell's sums are a table of their own."""
        plan, found = self._behind, dict[str, list[Array]]()
        if self.minimum <= 1 or plan is None:
            return {}
        for rows in self._cells(codes, size):
            persons = _counting(self._persons.codes[rows]) if self._persons.codes is not None else None
            for label, cells in cells_behind(self._present[rows], plan.labels, plan.indicator, persons).items():
                found.setdefault(label, []).append(cells)
        return _joined(found, self._crossed(codes, size))

    def behind_cases(self, *happened: Array, whole: bool = False) -> dict[str, Array]:
        """Persons with and without the outcome in every cell of indicators that stands with something else in a term.

        `x:age` adds up the ages of the cases who are in x: were there one, its age would be read. Both sides of x are
        counted, for `age` less `x:age` says the rest. `whole` where pairs of terms are summed: each level multiplies.
        """
        counted = self._in_cells([functools.partial(_whatever, where) for where in happened], whole)
        if self.minimum <= 1 or self._view.design is None:
            return counted
        parts = [self._crossed(np.where(where, 0, 1), 1, whole, 1) for where in happened]
        return _joined({label: [counts] for label, counts in counted.items()}, *parts)

    def behind_values(self, outcome: Array, squared: bool, whole: bool = False) -> dict[str, Array]:
        """Of an outcome that is a number: persons whose value is not zero, nor what most of the cell have, in every
        cell of indicators, since the outcome itself is what is summed there. Where its squares are summed too, persons
        outside the two commonest values; where pairs of terms are multiplied (`whole`), all cells of two terms."""

        def unusual(code: Array) -> Array:
            """Other than the middle of the own cell, where more than half of it have that; else everybody."""
            found = np.ones(len(code), dtype=bool)
            for rows in (code == one for one in range(int(code.max()) + 1)):
                usual = outcome == self._persons.middle(outcome, rows)
                if self.persons(rows & usual) > self.persons(rows & ~usual):
                    found &= ~(rows & usual)
            return found

        counted = self._in_cells([lambda code: outcome != 0, unusual], True)
        if self.minimum <= 1 or self._view.design is None:
            return counted
        everybody = np.ones(self.n, dtype=bool)
        many = dict.fromkeys((0.0, float(self._persons.middle(outcome, everybody))))
        parts = [self._crossed(np.where(outcome != value, 0, 1), 1, whole, 1) for value in many]
        if squared:
            parts.append({self._view.outcome or "": [np.array([self._outside(outcome, 2, everybody)])]})
        return _joined({label: [counts] for label, counts in counted.items()}, *parts)

    def _in_cells(self, masks: Sequence[Callable[[Array], Array]], whole: bool) -> dict[str, Array]:
        """Persons in each cell of indicators where a mask holds; a mask may depend on the cells."""
        design, found = self._view.design, dict[str, list[Array]]()
        if self.minimum <= 1 or design is None:
            return {}
        for indicators in cells_of(design, self._columns, whole):
            present = self._terms.products([(factor,) for factor in indicators]) != 0
            code, size = present @ (1 << np.arange(len(indicators))), 1 << len(indicators)
            counts = [self.persons_per(np.where(mask(code), code, size), size + 1)[:-1] for mask in masks]
            found.setdefault(first_column(indicators), []).extend(counts)
        return _joined(found, self._unusual())

    def spread_cases(self, *happened: Array) -> dict[str, Array]:
        """Σ|z| and Σz² over the persons of each mask, of every product z that is a number, by its first column: of a
        column that few cases have, Σ zy is their value."""
        found = dict[str, list[Array]]()
        if self.minimum <= 1 or self._view.design is None:
            return {}
        numbers = [one for one in self._summed if not all(is_indicator(f, self._columns) for f in one)]
        numbers += first_bases(numbers)
        for made, column in zip(numbers, self._terms.products(numbers).T, strict=True):
            sums = [self.spread(np.abs(column) * where) for where in happened]
            found.setdefault(first_column(made), []).extend(sums)
        return {label: np.stack(sums, axis=1) for label, sums in found.items() if label}

    def leverage_per(self, codes: Array, size: int) -> Array:
        """[1, h] in each code's rows, with h the largest leverage of one person on 1 and X: 1/h persons stand behind.
        Where it is more, h is that among pairs of columns, as a part of what is allowed, or 1 of the few whom a plane
        misses."""
        if self.minimum <= 1:
            return np.zeros((2, 0))
        largest, names = [], ("", *self._names)
        whole = Weighing(np.column_stack([np.ones(self.n), self._weighed]), False, self._persons.codes, names=names)
        known = planes(lambda: [whole], self.minimum)
        for rows in self._cells(codes, size):
            part = Weighing(whole.columns[rows], False, self._person_of(rows), names=names)
            read = functools.partial(iter, [part])
            apart = largest_apart(read) / (APART * self.minimum)  # so that one bound holds for all
            few = 1 / fewest(read, self.minimum, known=known).persons
            largest.append(max(largest_influence(read).leverage, apart, few))
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

    def spread_within_cells(self, weight: Array, codes: Array, size: int) -> dict[str, Array]:
        """As `spread_within`, for the rows of each code 0 … size − 1 apart."""
        plan, found = self._behind, dict[str, list[Array]]()
        if self.minimum <= 1 or plan is None:
            return {}
        for rows in self._cells(codes, size):
            held, person = weight[rows, None], self._person_of(rows)
            for label, sums in weights_within(self._present[rows], plan.labels, plan.indicator, held, person).items():
                found.setdefault(label, []).append(sums.reshape(2, -1))
        return {label: np.concatenate(sums, axis=1) for label, sums in found.items()}

    def _person_of(self, rows: Array) -> Array | None:
        """Each of these rows' person, 0 … most − 1; None where every row is one person."""
        codes = self._persons.codes
        return None if codes is None else np.unique(codes[rows], return_inverse=True)[1]


def _counting(codes: Array) -> Callable[[Array], int]:
    """Distinct persons where a mask over these rows holds."""
    return lambda where: len(np.unique(codes[where]))


def _refuse_other_flags(values: Array, name: str) -> None:
    if not ((values == 0) | (values == 1)).all():
        raise DataError(
            f"Column {name!r} is called a flag and holds other values than 0 and 1.",
            "Correct the column, or call it a number in the dictionary.",
            code="WRONG_TYPE",
            subject=name,
        )


def _joined(*found: dict[str, list[Array]]) -> dict[str, Array]:
    """The counts of each label, one after another."""
    labels = dict.fromkeys(label for part in found for label in part)
    return {label: np.concatenate([counts for part in found for counts in part.get(label, [])]) for label in labels}


def _whatever(where: Array, code: Array) -> Array:
    """A mask that does not depend on the cells."""
    return where
