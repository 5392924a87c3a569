"""What the demo computes beside the network, to compare with: the truth, the pooled fit, each hospital alone.

The pooled fit is Newton's method on all rows together in a few lines of its own, so that the comparison
does not compare Atoll with itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.demo.hospitals import People
from atoll.local import Network
from atoll.privacy.statistics import Array
from atoll.simulate.checkup import COLUMNS, FORMULA, TRUTH
from atoll.ui.results import Result


def pooled(every: list[People]) -> Array:
    """Logistic regression over all people in one table, in the order of `TRUTH`."""
    X = np.concatenate([_design(one.checkup) for one in every])
    return newton(X, np.concatenate([one.checkup["diabetes"] for one in every]))


def newton(X: Array, y: Array) -> Array:
    """Logistic regression, columns scaled for a well-conditioned step; the first column is the intercept."""
    scale = X.std(axis=0)
    scale[0] = 1.0
    X = X / scale
    beta: Array = np.zeros(X.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-X @ beta))
        step = np.linalg.solve((X.T * (p * (1 - p))) @ X, X.T @ (y - p))
        beta = beta + step
        if np.abs(step).max() < 1e-13:
            break
    return np.asarray(beta / scale)


def errors(X: Array, beta: Array) -> Array:
    """Standard errors of a logistic regression: the root of the diagonal of its inverse information."""
    p = 1 / (1 + np.exp(-X @ beta))
    return np.asarray(np.sqrt(np.diag(np.linalg.inv((X.T * (p * (1 - p))) @ X))))


def _design(table: dict[str, Any]) -> Array:
    columns = [np.ones(len(table["age"]))]
    for term in TRUTH:
        if term != "Intercept":
            columns.append(table[term] if term in table else table["sex"] == "male")
    return np.stack(columns, axis=1).astype(float)


@dataclass(frozen=True)
class Alone:
    """One hospital without the others: its own model, and how well that does on its own held-back people."""

    fit: Result
    auc: float
    slope: float
    observed_expected: float


def alone(one: People) -> Alone:
    """The hospital's own fit, judged on its own held-back people; nothing of it leaves this process."""
    name = one.hospital.name
    fit = Network({name: one.checkup}, "public", COLUMNS).run("glm", formula=FORMULA, family="binomial")
    judged = Network({name: one.heldback}, "public", COLUMNS).run(
        "performance", model=fit.document["model"], outcome="diabetes"
    )
    own = judged.document["sites_apart"][name]
    return Alone(fit, own["auc"], own["calibration_slope"], own["observed_expected"])
