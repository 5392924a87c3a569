"""Where persons are lost: how many are there at first, keep each step alone, and keep all steps up to each.

    left₀ = N,   leftᵢ = |K₁ ∩ … ∩ Kᵢ|,   aloneᵢ = |Kᵢ|          Kᵢ: persons who keep step i

A row is a person, or one of a person's events: then somebody keeps a step by some event, and all steps up to i by one
event that keeps them all, as a cohort asks.

The numbers are nested, so what they hide is their differences. With K the site's minimum:

    left    is told as `nested` has it: when K persons or more were lost since the last number that was told
    alone   is told when leftᵢ₋₁ and leftᵢ are, and when K persons or more keep only this step of the two, and K or
            more neither. Else it lies between leftᵢ and N

Bounds add up over sites and still hold the truth between them. The differences go to the gate as a witness. Two runs
with other columns are two releases: what they hide from each other is hidden by rounding alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.core import Data, Program, at_site_whole
from atoll.algorithms.nested import differences, told_steps
from atoll.algorithms.options import ColumnName
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, count, table, witness
from atoll.study.view import Setting

EXAMPLES = ({"columns": ["smoker", "e", "y"]}, {"columns": ["y", "smoker"], "by_site": False})


class Left(Statistics):
    """One number a step. Persons lie between `low` and `high`, and where nothing is held back the two are equal."""

    entered: int = count()
    low: Array = table()
    high: Array = table()
    alone_low: Array = table()
    alone_high: Array = table()
    behind: dict[str, Array] = witness()


class Own(Statistics):
    """The same of one hospital, to the nearest multiple of its minimum."""

    entered: int = count()
    low: Array = table()
    high: Array = table()
    own_entered: int = count(apart=True)
    own_low: Array = table(apart=True)
    own_high: Array = table(apart=True)
    behind: dict[str, Array] = witness()


@dataclass(frozen=True)
class Attrition:
    """`steps` holds for each step its column, label, and bounds of who is left and who keeps it alone.

    sites_apart   for each hospital `entered`, and lists `low` and `high`, one entry a step
    """

    entered: int
    steps: list[dict[str, Any]]
    sites_apart: dict[str, dict[str, Any]]
    notes: list[str]


@dataclass(frozen=True)
class Bounds:
    """What one site tells, and the differences that it must stand for."""

    entered: int
    low: list[int]
    high: list[int]
    alone: list[tuple[int, int]]
    cells: list[int]  # of the steps that are told alone: who keeps only that one, and who neither it nor all before

    @property
    def behind(self) -> dict[str, Array]:
        """The persons between neighbours of what is told, and those whom a step alone sets apart."""
        lost = differences(self.entered, self.low, self.high)
        return {"steps": np.array([*lost, *self.cells], dtype=np.int64)}


@at_site_whole
def left(data: Data, columns: tuple[str, ...]) -> Left:
    """Persons left after each step, and who keep it alone."""
    told = bounds(data, columns)
    low, high, alone_low, alone_high = (
        np.array(values, dtype=np.int64)
        for values in (told.low, told.high, [a for a, _ in told.alone], [b for _, b in told.alone])
    )
    return Left(told.entered, low, high, alone_low, alone_high, told.behind)


@at_site_whole
def own(data: Data, columns: tuple[str, ...]) -> Own:
    """Persons left after each step, apart for this hospital."""
    told = bounds(data, columns)
    low, high = (np.array(values, dtype=np.int64) for values in (told.low, told.high))
    return Own(told.entered, low, high, told.entered, low, high, told.behind)


def bounds(data: Data, columns: Sequence[str]) -> Bounds:
    """What may be told of a site's rows; `minimum` persons or nobody behind every difference."""
    entered = data.persons()
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
            between.append((steps[i + 1][0], entered))
    return Bounds(entered, [low for low, _ in steps[1:]], [high for _, high in steps[1:]], between, cells)


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
        {"step": name, "label": setting.columns[name].label, "low": int(total.low[i]), "high": int(total.high[i])}
        | {"alone_low": int(total.alone_low[i]), "alone_high": int(total.alone_high[i])}
        for i, name in enumerate(columns)
    ]
    notes = [] if setting.public else ["rounded"]
    if any(step[f"{of}low"] < step[f"{of}high"] for step in steps for of in ("", "alone_")):
        notes.append("held_back")
    return Attrition(int(total.entered), steps, _apart(apart, setting.sites), notes)


def _apart(figures: Any, sites: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Entered and bounds of each site."""
    if figures is None:
        return {}
    return {
        site: {"entered": int(figures.own_entered[i])}
        | {"low": [int(v) for v in figures.own_low[i]], "high": [int(v) for v in figures.own_high[i]]}
        for i, site in enumerate(sites)
    }
