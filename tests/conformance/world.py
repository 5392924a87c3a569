"""The teaching table that every algorithm's `EXAMPLES` speak of, and ways to split it into sites."""

from __future__ import annotations

from typing import Any

import numpy as np

from atoll.study.dictionary import Column

COLUMNS = {
    "age": Column("number", unit="a", low=18, high=100),
    "bmi": Column("number", unit="kg/m2", low=12, high=60),
    "sex": Column("category", levels=("female", "male")),
    "arm": Column("category", levels=("a", "b", "c")),
    "smoker": Column("flag"),
    "y": Column("flag"),
    "visits": Column("number", low=0, high=100),
    "cost": Column("number", low=0, high=1e6),
    "t": Column("number", unit="d", low=0, high=2000),
    "e": Column("flag"),
    "log_t": Column("number", low=-10, high=10),
}


def world(seed: int, n: int = 400) -> dict[str, np.ndarray]:
    """A table of n persons whose outcomes depend on their columns."""
    r = np.random.default_rng(seed)
    age, bmi = r.normal(60, 10, n).clip(18, 100), r.normal(27, 4, n).clip(12, 60)
    sex, arm = r.choice(["female", "male"], n), r.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    smoker = (r.random(n) < 0.3).astype(float)
    eta = 0.04 * (age - 60) + 0.5 * (sex == "male") + 0.4 * smoker - 0.3 * (arm == "b")
    time = np.ceil(r.exponential(600 * np.exp(-eta)))
    censored = np.ceil(r.uniform(100, 1500, n))
    return {
        "age": np.round(age, 1),
        "bmi": np.round(bmi, 1),
        "sex": sex,
        "arm": arm,
        "smoker": smoker,
        "y": (r.random(n) < 1 / (1 + np.exp(-eta))).astype(float),
        "visits": r.poisson(np.exp(0.3 + 0.5 * eta)).astype(float),
        "cost": np.round(r.gamma(2.0, np.exp(5 + 0.3 * eta)), 2) + 0.01,
        "t": np.minimum(time, censored),
        "e": (time <= censored).astype(float),
        "log_t": np.round(np.log(np.minimum(time, censored)), 6),
    }


def split(table: dict[str, np.ndarray], where: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """One table a site, by each row's site number; sites without rows are left out."""
    return {f"s{k}": {name: values[where == k] for name, values in table.items()} for k in np.unique(where)}


def leaves(document: Any, path: str = "") -> dict[str, float]:
    """Every number of a result, by its path; what belongs to single sites is left out."""
    if isinstance(document, dict):
        skip = {"sites", "sites_apart", "rounds", "model", "notes"}
        entries = [(k, v) for k, v in document.items() if k not in skip]
    elif isinstance(document, list | tuple | np.ndarray):
        entries = list(enumerate(document))
    elif isinstance(document, bool | str) or document is None:
        return {}
    else:
        return {path: float(document)}
    found: dict[str, float] = {}
    for name, value in entries:
        found |= leaves(value, f"{path}/{name}")
    return found
