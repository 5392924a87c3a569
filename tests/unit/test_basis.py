"""B-splines against SciPy, inside and outside their ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline

from atoll.study.basis import splines

CASES = [(degree, knots) for degree in range(1, 6) for knots in ((), (3.0,), (2.0, 5.0, 5.5), (1.0, 1.5, 8.0))]


def columns(x, degree, knots, low=0.0, high=10.0):
    return splines(x, degree, knots, low, high).T


@pytest.mark.parametrize(("degree", "knots"), CASES)
def test_inside_it_is_the_basis_of_scipy(degree, knots):
    x = np.linspace(0, 10, 101)
    t = np.array([0.0] * (degree + 1) + list(knots) + [10.0] * (degree + 1))
    wanted = np.stack(
        [BSpline(t, np.eye(len(t) - degree - 1)[i], degree)(x) for i in range(len(t) - degree - 1)], axis=1
    )
    np.testing.assert_allclose(columns(x, degree, knots), wanted, atol=1e-12)


@pytest.mark.parametrize(("degree", "knots"), CASES)
def test_outside_the_polynomials_go_on(degree, knots):
    x = np.array([-3.0, -0.5, 10.5, 14.0])
    t = np.array([0.0] * (degree + 1) + list(knots) + [10.0] * (degree + 1))
    wanted = np.stack(
        [BSpline(t, np.eye(len(t) - degree - 1)[i], degree, extrapolate=True)(x) for i in range(len(t) - degree - 1)],
        axis=1,
    )
    np.testing.assert_allclose(columns(x, degree, knots), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("degree", "knots"), CASES)
def test_the_functions_add_up_to_one(degree, knots):
    x = np.concatenate([np.linspace(-2, 12, 57), [0.0, 10.0, *knots]])
    np.testing.assert_allclose(columns(x, degree, knots).sum(axis=1), 1.0, rtol=1e-9)
