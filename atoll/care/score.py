"""A released model, used inside one hospital: each person's risk, and the three strongest reasons for it.

A reason is what a column contributes to the linear predictor compared with the hospital's average patient,
Σⱼ βⱼ (xᵢⱼ − x̄ⱼ) over the terms j that are made of it (the pieces of a spline, the levels of a category); an
interaction of columns is a reason of its own. On the scale of the link they add up to the difference from the
average. The list stays in the hospital.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.families import LINKS
from atoll.errors import StudyError
from atoll.features.chunks import chunks
from atoll.features.table import Table
from atoll.privacy.statistics import Array
from atoll.study.design import Design, Level, columns_of
from atoll.study.dictionary import Dictionary, person_column
from atoll.study.view import Model, View

REASONS = 3
CHUNK = 65_536


@dataclass(frozen=True)
class Reason:
    """A column, or columns that act together; the level that the person has, of a category; its contribution."""

    columns: tuple[str, ...]
    level: str
    contribution: float


@dataclass(frozen=True)
class Scored:
    """One person: who, the risk (0 … 1), and the strongest reasons, largest first."""

    person: str
    risk: float
    reasons: tuple[Reason, ...]


def screening_list(
    model: Model,
    table: Table,
    columns: Dictionary,
    site: str,
    threshold: float,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Scored]:
    """Persons at or above the threshold, in the table's order; persons with missing values cannot be scored.

    Raises
    ------
    StudyError
        When the model's link does not give a risk, or the dataset has no column that identifies persons.
    """
    person = person_column(columns)
    if person is None:
        raise StudyError(
            "The dataset has no column that identifies persons, so a list would name nobody.",
            "Give a column the type `person` in the dataset's dictionary.",
            subject="dataset",
        )
    if model.link not in LINKS:
        raise StudyError(
            f"A model with link {model.link!r} does not give a risk.", "Use a released glm.", subject="model"
        )
    view = View(columns=(person,), design=model.design)
    beta = np.array(model.coefficients)
    average = _average(chunks(table, view, columns, site, 1, CHUNK), len(beta))
    for rows in chunks(table, view, columns, site, 1, CHUNK):
        yield from _above(rows, beta, average, model, person, threshold)
        if progress:
            progress(rows.n)


def _average(rows: Iterable[Any], terms: int) -> Array:
    n, total = 0, np.zeros(terms)
    for chunk in rows:
        n, total = n + chunk.n, total + chunk.X.sum(axis=0)
    return total / max(n, 1)


def _above(rows: Any, beta: Array, average: Array, model: Model, person: str, threshold: float) -> Iterator[Scored]:
    X = rows.X
    risk = LINKS[model.link].mean(X @ beta)  # type: ignore[index]
    chosen = np.flatnonzero(risk >= threshold)
    names = rows.column(person)[chosen]
    groups = _terms_by_columns(model.design)
    terms = (X[chosen] - average) * beta
    sums = np.column_stack([terms[:, of].sum(axis=1) for of in groups.values()] or [np.zeros((len(chosen), 0))])
    strongest = np.argsort(-sums, axis=1, kind="stable")[:, :REASONS]
    for i, row in enumerate(chosen):
        reasons = tuple(
            Reason(columns, _level(model.design, columns, groups[columns], X[row]), float(sums[i, j]))
            for j, columns in ((j, list(groups)[j]) for j in strongest[i])
            if sums[i, j] > 0
        )
        yield Scored(str(names[i]), float(risk[row]), reasons)


def _terms_by_columns(design: Design) -> dict[tuple[str, ...], list[int]]:
    """Terms that are made of the same columns; the intercept and a hospital's own are the same for everybody here."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for j, factors in enumerate(design.columns):
        columns = tuple(dict.fromkeys(name for factor in factors for name in columns_of(factor) if name != "site"))
        if columns:
            groups.setdefault(columns, []).append(j)
    return groups


def _level(design: Design, columns: tuple[str, ...], terms: Sequence[int], values: Array) -> str:
    """Which level of a category a person has; nothing for other columns."""
    if len(columns) != 1 or not all(isinstance(factor, Level) for j in terms for factor in design.columns[j]):
        return ""
    levels = (factor.level for j in terms for factor in design.columns[j] if isinstance(factor, Level) and values[j])
    reference = next(iter(design.levels.get(columns[0], ())), "")
    return next(levels, reference)
