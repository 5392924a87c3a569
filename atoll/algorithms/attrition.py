"""Where persons are lost: how many are there at first, keep each step alone, and keep all steps up to each.

    left₀ = N,   leftᵢ = |K₁ ∩ … ∩ Kᵢ|,   aloneᵢ = |Kᵢ|          Kᵢ: persons who keep step i

A row is a person, or one of a person's events: then somebody keeps a step by some event, and all steps up to i by one
event that keeps them all, as a cohort asks.

The numbers are nested, so what they hide is their differences. With K the site's minimum:

    N       is told when it is K or more. Else nothing is: every number lies between nobody and K, whether few or none
            entered, so that one small hospital neither shows its patients nor keeps the others from being counted
    left    is told as `nested` has it: when K persons or more were lost since the last number that was told
    alone   is told when leftᵢ₋₁ and leftᵢ are, and when K persons or more keep only this step of the two, and K or
            more neither. Else it lies between leftᵢ and N

Bounds add up over sites and still hold the truth between them. Only bounds are ever added, so the sum less what the
other sites show is the bounds of the one that is left, and not its number: nothing else need be held back for its sake.
The differences go to the gate as a witness. Two runs
with other columns are two releases: what they hide from each other is hidden by rounding alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.core import Data, Program, at_site_or_nobody
from atoll.algorithms.nested import differences, told_steps
from atoll.algorithms.options import ColumnName
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, table, witness
from atoll.study.view import Setting

TELLS_OF_FEW = True  # what a site of too few answers is the same as for nobody
PRECISION = None  # it counts persons: there is nothing to plan
EXAMPLES = ({"columns": ["smoker", "e", "y"]}, {"columns": ["y", "smoker"], "by_site": False})


class Left(Statistics):
    """Who entered, and one number a step. Persons lie between `low` and `high`, which are equal where it is told."""

    low: Array = table()
    high: Array = table()
    alone_low: Array = table()
    alone_high: Array = table()
    behind: dict[str, Array] = witness()


class Own(Statistics):
    """The same of one hospital, to the nearest multiple of its minimum."""

    low: Array = table()
    high: Array = table()
    own_low: Array = table(apart=True)
    own_high: Array = table(apart=True)
    behind: dict[str, Array] = witness()


@dataclass(frozen=True)
class Attrition:
    """`steps` holds for each step its column, label, and bounds of who is left and who keeps it alone.

    entered, entered_high   bounds of who entered; equal unless a hospital had too few to tell
    sites_apart             for each hospital the same, and lists `low` and `high`, one entry a step
    """

    entered: int
    entered_high: int
    steps: list[dict[str, Any]]
    sites_apart: dict[str, dict[str, Any]]
    notes: list[str]


@dataclass(frozen=True)
class Bounds:
    """What one site tells, who entered first, and the differences that it must stand for."""

    low: list[int]
    high: list[int]
    alone: list[tuple[int, int]]
    cells: list[int]  # of the steps that are told alone: who keeps only that one, and who neither it nor all before

    @property
    def behind(self) -> dict[str, Array]:
        """The persons between neighbours of what is told, and those whom a step alone sets apart."""
        lost = differences(self.low, self.high)
        return {"steps": np.array([*lost, *self.cells], dtype=np.int64)}


@at_site_or_nobody
def left(data: Data, columns: tuple[str, ...]) -> Left:
    """Persons left after each step, and who keep it alone."""
    told = bounds(data, columns)
    low, high, alone_low, alone_high = (
        np.array(values, dtype=np.int64)
        for values in (told.low, told.high, [a for a, _ in told.alone], [b for _, b in told.alone])
    )
    return Left(low, high, alone_low, alone_high, told.behind)


@at_site_or_nobody
def own(data: Data, columns: tuple[str, ...]) -> Own:
    """Persons left after each step, apart for this hospital."""
    told = bounds(data, columns)
    low, high = (np.array(values, dtype=np.int64) for values in (told.low, told.high))
    return Own(low, high, low, high, told.behind)


def bounds(data: Data, columns: Sequence[str]) -> Bounds:
    """What may be told of a site's rows; `minimum` persons or nobody behind every difference."""
    entered = data.persons() if data.n else 0
    kept, so_far = [entered], np.ones(data.n, dtype=bool)
    alone = []
    for name in columns:
        keeps = data.column(name) == 1
        alone.append(data.persons(keeps))
        so_far = so_far & keeps
        kept.append(data.persons(so_far))
    steps = told_steps(kept, data.minimum, data.rounding)
    cells: list[int] = []
    between: list[tuple[int, int]] = []
    for i, number in enumerate(alone):
        told = steps[i][0] == steps[i][1] and steps[i + 1][0] == steps[i + 1][1]
        only = number - kept[i + 1]
        parts = [only, entered - kept[i] - only] if i else []
        if data.minimum <= 1 or (told and all(part >= data.minimum for part in parts)):
            between.append((number, number))
            cells += parts if data.minimum > 1 else []
        else:
            between.append((steps[i + 1][0], steps[0][1]))
    return Bounds([low for low, _ in steps], [high for _, high in steps], between, cells)


def attrition(setting: Setting, *, columns: tuple[ColumnName, ...], by_site: bool = True) -> Program:
    """Persons at first, who keep each step alone, and who keep all steps up to each.

    columns   flags, one a step, in the order in which they are asked: 1 where the row keeps it
    by_site   also each hospital apart, where its policy allows
    """
    for name in columns:
        if setting.columns[name].type != "flag":
            what = f"columns: {name!r} is a {setting.columns[name].type}, and a step is a flag."
            raise StudyError(what, "Name flags: 1 where the step is kept.", code="COLUMN_UNFIT", subject=name)
    if not columns:
        raise StudyError(
            "columns: there is no step.", "Name at least one flag.", code="OPTION_INVALID", subject="columns"
        )
    total = yield left(columns=columns)
    apart = (yield own(columns=columns)) if by_site else None
    steps: list[dict[str, Any]] = [
        {
            "step": name,
            "label": setting.columns[name].label,
            "low": int(total.low[i + 1]),
            "high": int(total.high[i + 1]),
        }
        | {"alone_low": int(total.alone_low[i]), "alone_high": int(total.alone_high[i])}
        for i, name in enumerate(columns)
    ]
    notes = [] if setting.public else ["rounded"]
    if any(step[f"{of}low"] < step[f"{of}high"] for step in steps for of in ("", "alone_")):
        notes.append("held_back")
    entered, entered_high = int(total.low[0]), int(total.high[0])
    if entered < entered_high:
        notes.append("few_entered")
    return Attrition(entered, entered_high, steps, _apart(apart, setting.sites), notes)


def _apart(figures: Any, sites: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Bounds of each site: of who entered, and step by step."""
    if figures is None:
        return {}
    found = {}
    for i, site in enumerate(sites):
        low, high = ([int(v) for v in ends[i]] for ends in (figures.own_low, figures.own_high))
        found[site] = {"entered": low[0], "entered_high": high[0], "low": low[1:], "high": high[1:]}
    return found
