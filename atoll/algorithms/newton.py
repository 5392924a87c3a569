"""Newton's method by rounds, for every model that is fitted by its score and information.

    step      δ = I(β)⁻¹ U(β)
    update    β ← β + δ, with δ halved while the objective rises
    stop      when max_j |δ_j| / se_j is below the tolerance; β then moves by that last δ

One round evaluates U, I and the objective together, so a halving costs a round and convergence none. I is
then taken one step δ before the end, which changes it by about |δ| / (se √n): with n persons a step that
is √n times larger is as harmless, and where Newton's own convergence is quadratic it need not be smaller.
What cannot be estimated is named by its terms: an empty or constant column, a column that others
give, a coefficient that grows without bound.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from atoll.algorithms.core import Question
from atoll.errors import StudyError
from atoll.privacy.statistics import Array

COLLINEAR = 1e-11  # share of a column's (weighted) square sum that the earlier columns leave unexplained
ONE_ERROR = 2 * np.log(2)  # the least deviance of a patient whose outcome is not the likelier one
FLAT = 1e-7  # information left in a direction, relative to the best determined one, before it counts as lost
HALVINGS = 12
TOLERANCE = 1e-9  # of the last step, in standard errors
SETTLED = 3e-9  # relative change of I over the last step, where convergence is quadratic
LARGEST_ROOT = 1e4
ZERO = "zero for every patient"


@dataclass(frozen=True)
class Optimum:
    """The estimate, with the last answer (evaluated within the tolerance of it) and the first."""

    beta: Array
    covariance: Array
    answer: Any
    first: Any


def newton(
    ask: Callable[[Array | None], Question],
    objective: Callable[[Any], float],
    terms: Sequence[str],
    quadratic: bool,
    *,
    from_zero: bool = False,
    opening: Callable[[Any, Array], Array] | None = None,
    perfect: float = -np.inf,
    empty: str = ZERO,
    max_rounds: int = 25,
) -> Generator[Question, Any, Optimum]:
    """Minimise `objective`. `ask(None)` opens: its answer's score and information give the first β itself.

    quadratic   the information is the exact second derivative, so that steps shrink quadratically
    opening     a better first β, given the first answer and the β that its score and information give
    from_zero   the opening is an evaluation at β = 0, so that the first step may not raise the objective either
    perfect     an objective below this proves that the outcome is fitted without error
    empty       what a term without information is, in this kind of model

    Raises
    ------
    StudyError
        When columns are collinear, a coefficient has no finite optimum, or `max_rounds` do not suffice.
    """
    beta = np.zeros(len(terms))
    first = answer = yield ask(None)
    reached, asked = objective(first) if from_zero else np.inf, 1
    while True:
        step = solve(answer.information, answer.score, terms, empty)
        if opening and asked == 1:
            step = opening(first, step)
        error = np.sqrt(np.diag(inverse(answer.information)))
        tolerance = SETTLED * min(np.sqrt(answer.persons), LARGEST_ROOT) if quadratic else TOLERANCE
        if np.isfinite(reached) and np.max(np.abs(step) / error) < tolerance:
            return Optimum(beta + step, inverse(answer.information), answer, first)
        if asked >= max_rounds:
            _refuse_unsettled(terms[int(np.argmax(np.abs(step) / error))], max_rounds)
        halvings = min(HALVINGS, max_rounds - asked)
        beta, answer, used = yield from _descend(ask, objective, beta, step, reached, halvings)
        reached, asked = objective(answer), asked + used
        if reached < perfect:
            _refuse_separated(first.information, beta, terms)
        _refuse_unbounded(first.information, answer.information, terms)


def _refuse_unsettled(term: str, max_rounds: int) -> NoReturn:
    raise StudyError(
        f"The fit did not settle within {max_rounds} rounds; {term!r} moved last.",
        "Look at this term: is it on an extreme scale, nearly given by others, or does it predict the outcome?",
        code="NOT_SETTLED",
        subject=term,
    )


def _descend(
    ask: Callable[[Array | None], Question],
    objective: Callable[[Any], float],
    beta: Array,
    step: Array,
    reached: float,
    halvings: int,
) -> Generator[Question, Any, tuple[Array, Any, int]]:
    """Take the step; halve it while the objective rises. Also returns the rounds that this took."""
    for halving in range(halvings):
        candidate = beta + step / 2**halving
        answer = yield ask(candidate)
        if objective(answer) <= reached + 1e-9 * (abs(reached) + 0.1):
            break
    return candidate, answer, halving + 1


def scaled(information: Array) -> tuple[Array, Array]:
    """The information with a unit diagonal, and the scale that was taken out."""
    scale = np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    return information / np.outer(scale, scale), scale


def inverse(information: Array) -> Array:
    """I⁻¹, symmetric, through the unit-diagonal scaling."""
    unit, scale = scaled(information)
    result: Array = np.linalg.inv(unit) / np.outer(scale, scale)
    return (result + result.T) / 2


def solve(information: Array, score: Array, terms: Sequence[str], empty: str = ZERO) -> Array:
    """I⁻¹ U, or a `StudyError` that names the columns that cannot be told apart."""
    _refuse_collinear(information, terms, empty)
    unit, scale = scaled(information)
    result: Array = np.linalg.solve(unit, score / scale) / scale
    return result


def _refuse_collinear(information: Array, terms: Sequence[str], empty: str) -> None:
    """Cholesky column by column: the first column that the earlier ones give is named with them."""
    without = [term for term, value in zip(terms, np.diag(information), strict=True) if value <= 0]
    if without:
        raise StudyError(
            f"{_listed(without)} does not vary: it is {empty}.",
            "Leave it out, or merge the level with another.",
            code="TERM_CONSTANT",
            subject=", ".join(without),
        )
    unit, _ = scaled(information)
    factor = np.zeros_like(unit)
    for j in range(len(unit)):
        row = np.linalg.solve(factor[:j, :j], unit[:j, j]) if j else np.zeros(0)
        left = unit[j, j] - row @ row
        if left < COLLINEAR:
            weights = np.linalg.solve(unit[:j, :j], unit[:j, j])
            others = [terms[int(i)] for i in np.flatnonzero(np.abs(weights) > 1e-4)]
            _raise_collinear(terms[j], others)
        factor[j, :j], factor[j, j] = row, np.sqrt(left)


def _raise_collinear(term: str, others: list[str]) -> None:
    if others == ["Intercept"]:
        what = f"{term!r} is constant: it has the same value for every patient."
        raise StudyError(what, "Leave it out.", code="TERM_CONSTANT", subject=term)
    raise StudyError(
        f"{term!r} is given by {_listed(others)}: their effects cannot be told apart.",
        f"Leave {term!r} or one of the others out.",
        code="TERMS_ALIKE",
        subject=", ".join([term, *others]),
    )


def _refuse_unbounded(start: Array, now: Array, terms: Sequence[str]) -> None:
    """A direction in which nearly all information is gone: separation.

    The start's information weighs every patient alike, so the ratio tells how much weight the patients
    who inform a direction still have.
    """
    _, scale = scaled(start)
    root = np.linalg.cholesky(start / np.outer(scale, scale) + 1e-14 * np.eye(len(start)))
    half = np.linalg.solve(root, now / np.outer(scale, scale))
    ratios, directions = np.linalg.eigh(np.linalg.solve(root, half.T))
    if ratios[0] <= FLAT * max(ratios[-1], 1e-4):
        _refuse_separated(start, np.linalg.solve(root.T, directions[:, 0]) / scale, terms)


def _refuse_separated(start: Array, direction: Array, terms: Sequence[str]) -> NoReturn:
    """Name the terms along which β goes to infinity, measured in the standard errors of the start."""
    moved = np.abs(direction) / np.sqrt(np.diag(inverse(start)))
    slopes = [j for j, term in enumerate(terms) if term != "Intercept"]
    if not slopes or moved[slopes].max() < 1e-3 * moved.max():
        raise StudyError(
            "All patients have the same outcome.",
            "A model needs patients with and without it.",
            code="ONE_OUTCOME",
            subject="outcome",
        )
    largest = moved[slopes].max()
    named = [terms[j] for j in sorted(slopes, key=lambda j: -moved[j]) if moved[j] > 0.3 * largest][:3]
    verb, its = ("predicts", "its coefficient has") if len(named) == 1 else ("predict", "their coefficients have")
    raise StudyError(
        f"Perfect separation: {_listed(named)} {verb} the outcome without error, so {its} no finite value.",
        "Merge the level with another, leave the term out, or study more patients.",
        code="SEPARATED",
        subject=", ".join(named),
    )


def _listed(terms: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(map(repr, terms[:-1])), repr(terms[-1])]))
