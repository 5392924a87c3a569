"""A released model, used inside one hospital: each person's risk, and the three strongest reasons for it.

A reason is a term's contribution to the linear predictor compared with the hospital's average patient,
βⱼ (xᵢⱼ − x̄ⱼ): on the scale of the link the contributions add up to the difference from the average.
The list stays in the hospital.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.families import LINKS
from atoll.errors import StudyError
from atoll.features.design import chunks
from atoll.features.table import Table
from atoll.privacy.statistics import Array
from atoll.study.dictionary import Dictionary, person_column
from atoll.study.view import Model, View

REASONS = 3
CHUNK = 65_536


@dataclass(frozen=True)
class Scored:
    """One person: who, the risk (0 … 1), and (term, contribution) of the strongest reasons, largest first."""

    person: str
    risk: float
    reasons: tuple[tuple[str, float], ...]


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
    contributions = (X[chosen] - average) * beta
    strongest = np.argsort(-contributions, axis=1)[:, :REASONS]
    for i, row in enumerate(chosen):
        reasons = [(model.design.terms[j], float(contributions[i, j])) for j in strongest[i] if contributions[i, j] > 0]
        yield Scored(str(names[i]), float(risk[row]), tuple(reasons))


def in_words(reasons: Sequence[tuple[str, float]], columns: Dictionary) -> str:
    """The reasons by the labels of the data dictionary, as `fasting plasma glucose; age`."""
    return "; ".join(_label(term, columns) for term, _ in reasons)


def _label(term: str, columns: Dictionary) -> str:
    base = term.partition("[")[0].removeprefix("C(").removesuffix(")")
    level = term.partition("[T.")[2].removesuffix("]")
    label = (columns[base].label or base) if base in columns else term
    return f"{label}: {level}" if level else label
