"""The splines of a fitted model: which terms are their basis functions, and the curve that these draw together.

With f(x) = Σ βⱼ Bⱼ(x) the effect at x against the reference r is f(x) − f(r); with d = B(x) − B(r) its variance is
dᵀ V d, where V is the covariance of these coefficients. One basis function alone means nothing: no two patients
differ in it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from atoll.study.basis import Array, splines
from atoll.study.design import Design, Spline, columns_of

Z = 1.959963984540054  # 97.5 % quantile of the normal distribution
POINTS = 121  # of a curve


@dataclass(frozen=True)
class Curve:
    """The effect of a column over its range, against `reference`, with its 95 % band, on the coefficients' scale."""

    column: str
    terms: tuple[str, ...]
    reference: float
    x: Array
    middle: Array
    lower: Array
    upper: Array


def basis_terms(document: Mapping[str, Any]) -> frozenset[str]:
    """Terms that are a basis function of a spline, or one times something else."""
    design = _design(document)
    pairs = zip(design.terms, design.columns, strict=True) if design else ()
    return frozenset(term for term, factors in pairs if any(isinstance(one, Spline) for one in factors))


def curves(document: Mapping[str, Any]) -> list[Curve]:
    """The curve of each spline whose column stands in no other term: only then these terms are its whole effect."""
    design = _design(document)
    if design is None or "cov" not in document:
        return []
    found: dict[Spline, dict[int, int]] = {}
    readers: dict[str, int] = {}
    for place, factors in enumerate(design.columns):
        for name in {name for factor in factors for name in columns_of(factor)}:
            readers[name] = readers.get(name, 0) + 1
        if len(factors) == 1 and isinstance(factors[0], Spline):
            found.setdefault(replace(factors[0], index=0), {})[place] = factors[0].index
    return [_curve(document, one, places) for one, places in found.items() if readers[one.column] == len(places)]


def _curve(document: Mapping[str, Any], spline: Spline, places: Mapping[int, int]) -> Curve:
    """Against the middle knot, where the patients are; without knots, against the middle of the range.

    `places` says where the terms stand in the model, and which basis function each is.
    """
    inner = spline.knots or (spline.low, spline.high)
    reference = _round((inner[(len(inner) - 1) // 2] + inner[len(inner) // 2]) / 2, spline)
    x = np.union1d(np.linspace(spline.low, spline.high, POINTS), [reference])
    basis = splines(x, spline.degree, spline.knots, spline.low, spline.high)[list(places.values())]
    apart = basis - basis[:, [int(np.searchsorted(x, reference))]]
    rows = list(places)
    cov = np.asarray(document["cov"], float)[np.ix_(rows, rows)]
    middle = np.asarray(document["params"], float)[rows] @ apart
    error = np.sqrt(np.maximum(np.einsum("ix,ij,jx->x", apart, cov, apart), 0.0))
    terms = tuple(document["terms"][row] for row in rows)
    return Curve(spline.column, terms, reference, x, middle, middle - Z * error, middle + Z * error)


def _round(value: float, spline: Spline) -> float:
    """The value with few digits, but inside the range."""
    short = (float(f"{value:.{digits}g}") for digits in (3, 6))
    return next((one for one in short if spline.low < one < spline.high), value)


def _design(document: Mapping[str, Any]) -> Design | None:
    """The design of the model; None where the result has none, or one of other terms."""
    try:
        design = Design.from_document(document["model"]["design"])
    except (KeyError, TypeError, ValueError):
        return None
    return design if list(design.terms) == list(document["terms"]) else None
