"""Newton's method by rounds: what it finds, and how it names what cannot be found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from atoll.algorithms.core import Question
from atoll.algorithms.newton import ONE_ERROR, inverse, newton, solve
from atoll.errors import StudyError


@dataclass
class Answer:
    information: Any
    score: Any
    deviance: float
    persons: int = 200


def logistic(X, y):
    """A site that answers logistic regression's question."""

    def answer(beta):
        if beta is None:
            beta = np.zeros(X.shape[1])
        p = expit(np.clip(X @ beta, -30, 30))
        w = np.maximum(p * (1 - p), 1e-16)
        deviance = -2 * float(np.log(np.where(y == 1, p, 1 - p)).sum())
        return Answer((X * w[:, None]).T @ X, X.T @ (y - p), deviance)

    return answer


def run(answer, terms, **more):
    asked = []

    def ask(beta):
        asked.append(beta)
        return Question("x", {"beta": beta})

    rounds = newton(ask, lambda a: a.deviance, terms, quadratic=True, **more)
    next(rounds)
    try:
        while True:
            rounds.send(answer(asked[-1]))
    except StopIteration as finished:
        return finished.value, asked


@given(st.integers(0, 10**6), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_the_score_is_zero_at_the_estimate(seed, p):
    r = np.random.default_rng(seed)
    X = np.column_stack([np.ones(300), r.normal(size=(300, p))])
    y = (r.random(300) < expit(X @ r.normal(0, 0.5, p + 1))).astype(float)
    answer = logistic(X, y)
    best, asked = run(answer, [str(i) for i in range(p + 1)])
    at = answer(best.beta)
    assert np.abs(at.score / np.sqrt(np.diag(at.information))).max() < 1e-8
    np.testing.assert_allclose(best.covariance, np.linalg.inv(at.information), rtol=1e-5, atol=1e-8)
    assert len(asked) <= 12


def test_a_step_that_goes_too_far_is_halved():
    """f(b) = log cosh b from b = 2: the full step overshoots to −11.6."""

    def answer(beta):
        b = 2.0 + (0.0 if beta is None else beta[0])
        return Answer(np.array([[1 / np.cosh(b) ** 2]]), np.array([-np.tanh(b)]), float(np.log(np.cosh(b))))

    best, asked = run(answer, ["b"], from_zero=True)
    assert best.beta[0] + 2 == pytest.approx(0.0, abs=1e-8)
    assert len(asked) > 6, "some rounds were halvings"


def refusal(X, y, terms, code, subject):
    with pytest.raises(StudyError) as caught:
        run(logistic(X, y), terms, perfect=ONE_ERROR)
    assert (caught.value.code, caught.value.subject) == (code, subject)
    return str(caught.value)


R = np.random.default_rng(0)
X = R.normal(size=(200, 3))
ONE = np.ones(200)
Y = (R.random(200) < 0.5).astype(float)


def test_a_zero_column_is_named():
    terms = ["Intercept", "a", "b", "c", "sex[T.x]"]
    text = refusal(np.column_stack([ONE, X, 0 * ONE]), Y, terms, "TERM_CONSTANT", "sex[T.x]")
    assert text.startswith("'sex[T.x]' does not vary: it is zero for every patient. Leave it out")


def test_a_constant_column_is_named():
    terms = ["Intercept", "a", "b", "c", "year"]
    text = refusal(np.column_stack([ONE, X, 7 * ONE]), Y, terms, "TERM_CONSTANT", "year")
    assert text == "'year' is constant: it has the same value for every patient. Leave it out."


def test_collinear_columns_are_named_with_what_gives_them():
    columns = np.column_stack([ONE, X, X[:, 0] - 2 * X[:, 2]])
    text = refusal(columns, Y, ["Intercept", "age", "bmi", "year", "birth"], "TERMS_ALIKE", "birth, age, year")
    assert text.startswith("'birth' is given by 'age' and 'year': their effects cannot be told apart.")


def test_columns_on_different_scales_are_not_taken_for_collinear():
    best, _ = run(logistic(np.column_stack([ONE, X[:, 0] * 1e-9, X[:, 1] * 1e9 + 1e9]), Y), ["i", "a", "b"])
    assert np.isfinite(best.beta).all()


@pytest.mark.parametrize("quasi", [False, True])
def test_separation_is_named_by_its_term(quasi):
    x = np.repeat([0.0, 1.0], 100)
    y = x.copy()
    if quasi:
        y[:50] = 1.0  # without x both outcomes, with x only one
    terms = ["Intercept", "a", "b", "c", "treated"]
    text = refusal(np.column_stack([ONE, X, x]), y, terms, "SEPARATED", "treated")
    assert text.startswith("Perfect separation: 'treated'"), text
    assert "predicts the outcome without error" in text


def test_one_outcome_alone_is_said():
    with pytest.raises(
        StudyError, match=r"All patients have the same outcome\. A model needs patients with and without"
    ):
        run(logistic(np.column_stack([ONE, X]), ONE), ["Intercept", "a", "b", "c"], perfect=ONE_ERROR)


def test_a_rare_outcome_is_no_separation():
    y = (np.arange(200) < 3) * 1.0
    best, _ = run(logistic(np.column_stack([ONE, X]), y), ["Intercept", "a", "b", "c"], perfect=ONE_ERROR)
    assert np.isfinite(best.beta).all()


def test_more_terms_than_patients_are_collinear():
    wide = np.column_stack([np.ones(5), R.normal(size=(5, 6))])
    text = refusal(wide, Y[:5], ["Intercept", *"abcdef"], "TERMS_ALIKE", "e, Intercept, a, b, c, d")
    assert "cannot be told apart" in text


def test_a_fit_that_does_not_settle_says_which_term_moved():
    def answer(beta):
        b = 0.0 if beta is None else beta[0]
        return Answer(np.eye(1), np.array([1.0]), -b)  # downhill for ever

    with pytest.raises(StudyError, match=r"did not settle within 7 rounds; 'x' moved last"):
        run(answer, ["x"], max_rounds=7)


def test_halvings_count_as_rounds():
    asked = []

    def ask(beta):
        asked.append(beta)
        return Question("x")

    rounds = newton(ask, lambda a: a.deviance, ["x"], quadratic=True, max_rounds=10)
    next(rounds)
    with pytest.raises(StudyError):
        for i in range(100):
            rounds.send(Answer(np.eye(1), np.array([1.0]), float(i)))  # never goes down
    assert len(asked) <= 10


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(deadline=None)
def test_inverse_and_solution_are_those_of_linear_algebra_at_any_scale(seed, p):
    r = np.random.default_rng(seed)
    A = r.normal(size=(p + 4, p)) * 10.0 ** r.integers(-6, 6, p)
    information, score = A.T @ A, r.normal(size=p)
    x = solve(information, score, [str(i) for i in range(p)])
    scale = np.sqrt(np.diag(information))
    np.testing.assert_allclose(
        (information @ x) / scale, score / scale, rtol=1e-6, atol=1e-9 * np.abs(score / scale).max()
    )
    got = inverse(information)
    np.testing.assert_allclose(got, got.T, rtol=0, atol=0)
