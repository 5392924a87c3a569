"""B-spline basis functions, by the recursion of Cox and de Boor.

    B_{i,0}(x) = 1 on [t_i, t_{i+1})
    B_{i,k}(x) = (x − t_i)/(t_{i+k} − t_i) B_{i,k−1}(x) + (t_{i+k+1} − x)/(t_{i+k+1} − t_{i+1}) B_{i+1,k−1}(x)

The end knots are repeated `degree` times more. Outside the ends the outermost polynomials go on, as in R.
Sites compute the columns of a design with it, pages the curve of a fitted spline.

de Boor (1978) A Practical Guide to Splines, chapter IX.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def splines(x: Array, degree: int, knots: tuple[float, ...], low: float, high: float) -> Array:
    """All basis functions at x (n,), as (functions, n); functions = len(knots) + degree + 1."""
    t = np.array([low] * (degree + 1) + list(knots) + [high] * (degree + 1))
    intervals = len(knots) + 1
    inside = np.searchsorted(np.asarray(knots), x, side="right")  # the interval that each x lies in
    B = np.zeros((intervals + 2 * degree, len(x)))
    B[degree + inside, np.arange(len(x))] = 1.0
    for k in range(1, degree + 1):
        for i in range(len(t) - 1 - k):  # B[i] is replaced; B[i + 1] is still that of k − 1
            rising, falling = t[i + k] - t[i], t[i + k + 1] - t[i + 1]
            if rising > 0:
                B[i] *= (x - t[i]) / rising
            if falling > 0:
                B[i] += (t[i + k + 1] - x) / falling * B[i + 1]
    return B[: intervals + degree]
