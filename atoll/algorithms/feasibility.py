"""Who could be studied: how many persons there are, of whom each planned column is known, and who have the event.

    left₀ = N        leftᵢ = persons with a row in which columns 1 … i are all known        at last those with the event

Asked before a study is signed, of one hospital at a time, under a standing permission of its steward. The numbers are
nested: `nested` says which of them are told, and between which bounds the others lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.algorithms.core import Data, Program, at_site_whole
from atoll.algorithms.nested import differences, told_steps
from atoll.algorithms.options import ColumnName
from atoll.errors import StudyError
from atoll.privacy.statistics import Array, Statistics, count, table, witness
from atoll.study.view import Setting

PRECISION = None  # it counts persons: there is nothing to plan
EXAMPLES = ({"columns": ["age", "bmi", "sex"], "happened": "y"}, {"columns": ["bmi"]})


class Known(Statistics):
    """One number a step: persons lie between `low` and `high`."""

    entered: int = count()
    low: Array = table()
    high: Array = table()
    behind: dict[str, Array] = witness()


@dataclass(frozen=True)
class Feasibility:
    """`steps` holds for each column, and at the end for the event, bounds of the persons who are left."""

    entered: int
    steps: list[dict[str, Any]]
    sites_apart: dict[str, dict[str, Any]]
    notes: list[str]


@at_site_whole
def known(data: Data, columns: tuple[str, ...], happened: str | None) -> Known:
    """Persons of whom the columns are known, one after the other, and those of them with the event."""
    entered = data.persons()
    left, so_far = [entered], np.ones(data.n, dtype=bool)
    for name in columns:
        so_far = so_far & _is_known(data.column(name))
        left.append(data.persons(so_far))
    if happened is not None:
        left.append(data.persons(so_far & (data.column(happened) == 1)))
    low, high = (
        np.array(ends, dtype=np.int64) for ends in zip(*told_steps(left, data.minimum, data.rounding)[1:], strict=True)
    )
    lost = np.array(differences([entered, *low], [entered, *high]), dtype=np.int64)
    return Known(entered, low, high, {"steps": lost})


def _is_known(values: Array) -> Array:
    if values.dtype.kind == "f":
        return ~np.isnan(values)
    return np.array([value is not None for value in values], dtype=bool)


def feasibility(setting: Setting, *, columns: tuple[ColumnName, ...], happened: ColumnName | None = None) -> Program:
    """Persons of whom each column is known, in this order, and those of them with the event.

    columns    what the planned analysis needs
    happened   the flag that says who has the event; it must be known too
    """
    if not columns:
        raise StudyError(
            "columns: there is none.", "Name at least one column.", code="OPTION_INVALID", subject="columns"
        )
    if happened is not None and setting.columns[happened].type != "flag":
        what = f"happened: {happened!r} is a {setting.columns[happened].type}, and only a flag has an event."
        raise StudyError(what, "Name a flag, or leave it out.", code="COLUMN_UNFIT", subject=happened)
    if happened is not None and happened not in columns:
        columns = (*columns, happened)
    found = yield known(columns=columns, happened=happened)
    names = [*columns, *([f"{happened} = 1"] if happened is not None else [])]
    steps: list[dict[str, Any]] = [
        {"step": name, "label": setting.columns[name].label if name in setting.columns else ""}
        | {"low": int(found.low[i]), "high": int(found.high[i])}
        for i, name in enumerate(names)
    ]
    notes = [] if setting.public else ["rounded"]
    if any(step["low"] < step["high"] for step in steps):
        notes.append("held_back")
    return Feasibility(int(found.entered), steps, {}, notes)
