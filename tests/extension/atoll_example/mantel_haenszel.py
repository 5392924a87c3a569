"""The common odds ratio of two-by-two tables, one a hospital.

    OR = Σ aₛdₛ/nₛ / Σ bₛcₛ/nₛ          sums over hospitals s

Of its nₛ persons a and b are exposed, c and d are not; a and c have the event. A hospital is a stratum, so the answer
belongs to the split: the pooled table has another one.

Mantel & Haenszel (1959).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atoll.algorithms.core import Data, Program, at_site_whole
from atoll.algorithms.options import ColumnName
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, count, total, witness
from atoll.study.view import Setting

BY_SITE = True
EXAMPLES = ({"exposure": "smoker", "outcome": "y"},)


class Products(Statistics):
    persons: int = count(empty=False)
    concordant: float = total(per="persons")
    discordant: float = total(per="persons")
    cells: dict[str, Array] = witness(empty=False)


@dataclass(frozen=True)
class CommonRatio:
    odds_ratio: float


@at_site_whole
def products(data: Data, exposure: str) -> Products:
    """ad/n and bc/n of this hospital's own table."""
    exposed, happened = data.column(exposure) == 1, data.y == 1
    codes = 2 * (~exposed).astype(np.int64) + ~happened
    a, b, c, d = data.persons_per(codes, 4).astype(float)
    n = data.persons()
    return Products(
        persons=n, concordant=a * d / n, discordant=b * c / n, cells={"outcome": data.persons_per(codes, 4)}
    )


def mantel_haenszel(setting: Setting, *, exposure: ColumnName, outcome: ColumnName) -> Program:
    """The odds ratio that all hospitals share.

    exposure   a flag
    outcome    a flag: 1 when the event happened
    """
    t = yield products(exposure=exposure)
    if t.discordant == 0:
        raise StudyError("The odds ratio has no bound: nobody stands against it.", "Choose other columns.")
    return CommonRatio(float(t.concordant / t.discordant))
