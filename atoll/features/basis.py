"""B-spline basis functions, by the recursion of Cox and de Boor.

    B_{i,0}(x) = 1 on [t_i, t_{i+1})
    B_{i,k}(x) = (x − t_i)/(t_{i+k} − t_i) B_{i,k−1}(x) + (t_{i+k+1} − x)/(t_{i+k+1} − t_{i+1}) B_{i+1,k−1}(x)

The end knots are repeated `degree` times more. Outside the ends the outermost polynomials go on, as in R.

de Boor (1978) A Practical Guide to Splines, chapter IX.
"""

from __future__ import annotations

import numpy as np

from atoll.privacy.statistics import Array
from atoll.study.design import Spline


def spline(x: Array, s: Spline) -> Array:
    """Basis function `s.index` at x, as an array of the shape of x."""
    t = np.array([s.low] * (s.degree + 1) + list(s.knots) + [s.high] * (s.degree + 1))
    return _basis(x, t, s.index, s.degree, s.degree)


def _basis(x: Array, t: Array, i: int, k: int, degree: int) -> Array:
    if k == 0:
        left = -np.inf if i == degree else t[i]
        right = np.inf if i == len(t) - degree - 2 else t[i + 1]
        return ((x >= left) & (x < right)).astype(float)
    result = np.zeros_like(x)
    if t[i + k] > t[i]:
        result += (x - t[i]) / (t[i + k] - t[i]) * _basis(x, t, i, k - 1, degree)
    if t[i + k + 1] > t[i + 1]:
        result += (t[i + k + 1] - x) / (t[i + k + 1] - t[i + 1]) * _basis(x, t, i + 1, k - 1, degree)
    return result
