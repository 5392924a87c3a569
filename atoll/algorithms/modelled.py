"""Who stands behind the sums of a model: the same for every algorithm with a design and an outcome, for the gate alone.

behind      persons behind each pair of terms, and each cell that two terms tell apart
cases       persons with the outcome, and without, where a term says more of them than how many
outcomes    persons with it, and without, in all
spread      how each number is spread over either
within      how the weights of the sums are spread over those behind each term
weights     and over all
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from atoll.algorithms.core import Data
from atoll.privacy.statistics import Array, Statistics, weights, witness


class Modelled(Statistics):
    """A record that sums over the design: its own fields come after these."""

    behind: dict[str, Array] = witness()
    cases: dict[str, Array] = witness()
    outcomes: dict[str, Array] = witness(empty=False)
    spread: dict[str, Array] = weights(part=True)
    within: dict[str, Array] = weights(part=True)
    weights: dict[str, Array] = weights()


def modelled(data: Data, happened: Sequence[Array], masses: Sequence[Array], **instead: Any) -> dict[str, Any]:
    """The fields of `Modelled`.

    happened   masks (n,): who has the outcome, and who has not; of an outcome that is a number, who has any
    masses     weights (n,) of the record's sums, not negative
    instead    fields that are counted in another way
    """
    fields: dict[str, Callable[[], Any]] = {
        "behind": data.behind_design,
        "cases": lambda: data.behind_cases(*happened),
        "outcomes": lambda: {"outcome": np.array([data.persons(where) for where in happened], dtype=np.int64)},
        "spread": lambda: data.spread_cases(*happened),
        "within": lambda: data.spread_within(*masses),
        "weights": lambda: {"model": np.stack([data.spread(mass) for mass in masses], axis=1)},
    }
    return {name: instead[name] if name in instead else counted() for name, counted in fields.items()}
