"""How far two cohorts overlap: persons in the first alone, in both, in the second alone.

    U = |A ∪ B| = |A \\ B| + |A ∩ B| + |B \\ A|

A row is a person of U. U, A and A ∩ B are nested, and what they hide is their differences, the three parts: `nested`
says which are told and between which bounds the others lie. So a part of fewer than K persons, or of nobody, is never
told, nor can it be had from the others by subtraction; where fewer than K are in either cohort only that is told.
What is not nested, |B| and the parts, follows from the bounds, as they leave. Bounds add up over sites.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.cells import few
from atoll.algorithms.core import Data, Program, at_site_or_nobody
from atoll.algorithms.nested import differences, nearest, told_steps
from atoll.algorithms.options import ColumnName
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, table, witness
from atoll.study.view import Setting

TELLS_OF_FEW = True
PRECISION = None  # it counts persons: there is nothing to plan
EXAMPLES = ({"first": "smoker", "second": "y"}, {"first": "y", "second": "e", "by_site": False})
PARTS = ("either", "first", "second", "both", "only_first", "only_second")


class Parts(Statistics):
    """Bounds of the six numbers of `PARTS`."""

    low: Array = table()
    high: Array = table()
    behind: dict[str, Array] = witness()


class Own(Statistics):
    """The same, apart for this hospital, to the nearest multiple of its minimum."""

    low: Array = table(apart=True)
    high: Array = table(apart=True)
    behind: dict[str, Array] = witness()


@dataclass(frozen=True)
class Overlap:
    """`parts` holds bounds of each of `PARTS`: {"both": {"low": …, "high": …}, …}.

    labels        what the two cohorts are called
    sites_apart   for each hospital the same `parts`
    """

    parts: dict[str, dict[str, int]]
    labels: dict[str, str]
    sites_apart: dict[str, dict[str, Any]]
    notes: list[str]


@at_site_or_nobody
def parts(data: Data, first: str, second: str) -> Parts:
    """Persons of each part."""
    return Parts(*_bounds(data, first, second, data.rounding))


@at_site_or_nobody
def own(data: Data, first: str, second: str) -> Own:
    """The same, apart for this hospital."""
    return Own(*_bounds(data, first, second, max(data.minimum, data.rounding)))


def _bounds(data: Data, first: str, second: str, base: int) -> tuple[Array, Array, dict[str, Array]]:
    in_first, in_second = data.column(first) == 1, data.column(second) == 1
    kept = [data.persons(where) if data.n else 0 for where in (in_first | in_second, in_first, in_first & in_second)]
    steps = told_steps(kept, data.minimum, base)
    low, high = ([end for end, _ in steps], [end for _, end in steps])
    either, one, both = ((nearest(a, base), nearest(b, base)) for a, b in steps)
    least = few(data.minimum, base)
    only_first, only_second = _between(one, both, least), _between(either, one, least)
    there = either[0] == either[1]
    second_ = (either[0] - only_first[1], either[1] - only_first[0]) if there else either
    ends = [either, one, (max(second_[0], 0), max(second_[1], least)), both, only_first, only_second]
    behind = {"parts": np.array(differences(low, high), dtype=np.int64)} if data.minimum > 1 else {}
    below, above = np.array([(a if a >= data.minimum else 0, b) for a, b in ends], dtype=np.int64).T
    return below, above, behind


def _between(larger: tuple[int, int], smaller: tuple[int, int], least: int) -> tuple[int, int]:
    """Bounds of what is in the larger and not in the smaller."""
    return max(larger[0] - smaller[1], 0), max(larger[1] - smaller[0], least)


def overlap(setting: Setting, *, first: ColumnName, second: ColumnName, by_site: bool = True) -> Program:
    """Persons in the first cohort alone, in both, and in the second alone.

    first, second   flags: 1 where the person is in the cohort
    by_site         also each hospital apart, where its policy allows
    """
    for option, name in (("first", first), ("second", second)):
        if setting.columns[name].type != "flag":
            what = f"{option}: {name!r} is a {setting.columns[name].type}, and a cohort is a flag."
            raise StudyError(what, "Name a flag: 1 where the person is in it.", code="COLUMN_UNFIT", subject=name)
    together = yield parts(first=first, second=second)
    apart: Any = (yield own(first=first, second=second)) if by_site else None
    found = _named(together.low, together.high)
    sites = {
        site: {"parts": _named(apart.low[i], apart.high[i])}
        for i, site in enumerate(setting.sites if apart is not None else ())
    }
    notes = [] if setting.public else ["rounded"]
    if any(part["low"] < part["high"] for part in found.values()):
        notes.append("held_parts")
    labels = {"first": setting.columns[first].label or first, "second": setting.columns[second].label or second}
    return Overlap(found, labels, sites, notes)


def _named(low: Array, high: Array) -> dict[str, dict[str, int]]:
    return {part: {"low": int(a), "high": int(b)} for part, a, b in zip(PARTS, low, high, strict=True)}
