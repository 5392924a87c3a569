"""The rules for one share on its way out of a hospital. Pure functions: no storage, no network.

Deny by default: a field whose kind has no rule, a value that is not a finite number or a listed word,
does not pass. A refusal names the rule, never a value, and never how many cells failed it.

The numbers are those of statistical disclosure control for research output: threshold and rounding,
residual degrees of freedom, at most two moments of a cell (three would give back single values by
Newton's identities), no survival table finer than a month.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from atoll.errors import DisclosureRefused
from atoll.privacy.statistics import Array, Kind, S, kinds_of

FLOOR = 5  # persons; a site may go below its default of 10 by a signed exception, never below this
DAYS = {"d": 1.0, "wk": 7.0, "mo": 30.4375, "a": 365.25}  # UCUM units of time, in days


@dataclass(frozen=True)
class Policy:
    """A site's own limits. Defaults are the strict ones.

    minimum_persons        distinct persons behind every count, level, cell, event and non-event
    rounding               counts and tables leave rounded to a multiple of this
    persons_per_parameter  persons a model needs for each of its parameters
    residual_dof           persons a model needs beyond its parameters
    moments                highest power of a column that may be summed
    grid_days              shortest interval of a survival table
    bins                   most cells of a histogram
    max_rounds             questions of one analysis
    max_bytes              size of one share
    exact_values           values of single persons (event times) may leave: public data only
    per_site               sums may be shown apart for this site
    """

    minimum_persons: int = 10
    rounding: int = 5
    persons_per_parameter: int = 10
    residual_dof: int = 10
    moments: int = 2
    grid_days: float = 30.0
    bins: int = 20
    max_rounds: int = 25
    max_bytes: int = 1_048_576
    exact_values: bool = False
    per_site: bool = True

    def stricter(self, other: Policy) -> Policy:
        """The stricter of two policies, limit by limit."""
        lower = {"moments", "bins", "max_rounds", "max_bytes", "exact_values", "per_site"}
        pick = {f.name: (min if f.name in lower else max) for f in fields(self)}
        return Policy(**{name: choose(getattr(self, name), getattr(other, name)) for name, choose in pick.items()})

    def tightened(self, limits: Mapping[str, Any]) -> Policy:
        """This policy, with a study's own limits where they are stricter."""
        return self.stricter(replace(self, **limits))


STRICT = Policy()
PUBLIC = Policy(
    minimum_persons=1,
    rounding=1,
    persons_per_parameter=0,
    residual_dof=0,
    moments=4,
    grid_days=0.0,
    bins=100_000,
    max_rounds=1_000,
    max_bytes=256 * 1_048_576,
    exact_values=True,
)


def check(share: S, arguments: Mapping[str, Any], policy: Policy, words: frozenset[str], time_unit: str = "d") -> S:
    """The share as it may leave: counts rounded, witnesses dropped. Otherwise a refusal.

    `arguments` are those of the question; `words` the levels of the data dictionary, the only words
    that may leave; `time_unit` the unit of the time column.

    Raises
    ------
    DisclosureRefused
        With `code` from `errors.CATALOGUE` and the field as `subject`.
    """
    _check_question(arguments, policy, time_unit)
    values = {}
    for name, kind in kinds_of(type(share)).items():
        value = getattr(share, name)
        _RULES[kind.name](share, name, kind, value, policy, words)
        values[name] = _released(kind, value, policy)
    return type(share)(**values)


def _refuse(code: str, name: str, what: str, remedy: str) -> DisclosureRefused:
    return DisclosureRefused(what, remedy, code=code, subject=name)


def _check_question(arguments: Mapping[str, Any], policy: Policy, time_unit: str) -> None:
    """What the question itself asks for: the time grid and the bins of a histogram."""
    grid = arguments.get("grid")
    if grid is not None and policy.grid_days > 0:
        if time_unit not in DAYS:
            raise _refuse(
                "GRID_TOO_FINE",
                "grid",
                f"The time column's unit {time_unit!r} is not one of d, wk, mo, a.",
                "Give the unit in the data dictionary.",
            )
        steps = np.diff(np.concatenate([[0.0], np.asarray(grid, float)])) * DAYS[time_unit]
        if steps.size and steps.min() < policy.grid_days - 1e-9:
            raise _refuse(
                "GRID_TOO_FINE",
                "grid",
                f"The time grid is finer than {policy.grid_days:g} days.",
                "Ask for times that lie further apart.",
            )
    edges = arguments.get("edges")
    if edges is not None and np.shape(edges)[-1] + 1 > policy.bins:
        raise _refuse(
            "TOO_MANY_BINS", "edges", f"The histogram has more than {policy.bins} cells.", "Ask for fewer bins."
        )


def _check_cells(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    cells = np.atleast_1d(np.asarray(value))
    if cells.dtype.kind not in "iu" or (cells.size and cells.min() < 0):
        raise _refuse("GATE_REFUSED", name, f"{_named(share, name)} is not a number of persons.", "This is a fault.")
    if ((cells > 0) & (cells < policy.minimum_persons)).any():
        raise _refuse(
            "TOO_FEW_PERSONS",
            name,
            f"{_named(share, name)} would describe fewer than {policy.minimum_persons} persons.",
            "Use broader groups, merge rare levels, or a longer time grid.",
        )


def _check_total(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    numbers = np.atleast_1d(np.asarray(value))
    if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        raise _refuse(
            "NOT_FINITE", name, f"{_named(share, name)} is not finite.", "Look for infinite or extreme values."
        )
    if (numbers[~_occupied(getattr(share, kind.per), numbers)] != 0).any():
        raise _refuse("GATE_REFUSED", name, f"{_named(share, name)} sums over nobody.", "This is a fault.")
    if kind.moment > policy.moments:
        raise _refuse(
            "TOO_MANY_MOMENTS",
            name,
            f"{_named(share, name)} is moment {kind.moment} of a column; at most {policy.moments} may leave.",
            "Leave skewness out, or register the data as public if they are.",
        )
    if kind.parameters:
        _check_parameters(share, name, kind, numbers, policy)


def _occupied(persons: Any, numbers: Array) -> Array:
    """Where a total's entries have persons behind them, by the leading axes that `per` shares with it."""
    behind = np.atleast_1d(np.asarray(persons)) > 0
    if np.ndim(persons) == 0 or numbers.shape[: behind.ndim] != behind.shape:
        return np.full(numbers.shape, bool(behind.any()))
    return np.broadcast_to(behind.reshape(behind.shape + (1,) * (numbers.ndim - behind.ndim)), numbers.shape)


def _check_parameters(share: Any, name: str, kind: Kind, information: Array, policy: Policy) -> None:
    persons = int(np.sum(getattr(share, kind.per)))
    parameters = int(
        (np.diagonal(information, axis1=-2, axis2=-1) != 0).any(axis=tuple(range(information.ndim - 2))).sum()
    )
    allowed = persons - policy.residual_dof
    if policy.persons_per_parameter:
        allowed = min(allowed, persons // policy.persons_per_parameter)
    if parameters > allowed and policy.minimum_persons > 1:
        raise _refuse(
            "TOO_MANY_PARAMETERS",
            name,
            f"The model has {parameters} terms; a site needs {policy.persons_per_parameter} persons for each "
            f"and {policy.residual_dof} more.",
            "Leave terms out, or leave this site out of the model.",
        )


def _check_each(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    if not policy.per_site:
        raise _refuse(
            "GATE_REFUSED", name, "This site shows no results of its own.", "Ask for the results of all sites together."
        )
    _check_total(share, name, kind, value, policy, words)


def _check_tally(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    if not policy.exact_values and any(word not in words for word in value):
        raise _refuse(
            "WORD_NOT_LISTED",
            name,
            "A word would leave that the data dictionary does not list.",
            "The steward adds the level to the dictionary, or cleans the column.",
        )
    _check_cells(share, name, kind, np.array(list(value.values()), dtype=np.int64), policy, words)


def _check_points(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    if not policy.exact_values:
        raise _refuse(
            "EXACT_VALUES",
            name,
            f"{_named(share, name)} would be values of single persons.",
            "Give a time grid (`times` or `grid`) instead of exact times.",
        )
    if not np.isfinite(np.asarray(value, float)).all():
        raise _refuse("NOT_FINITE", name, f"{_named(share, name)} is not finite.", "Look for infinite values.")


_RULES = {
    "count": _check_cells,
    "table": _check_cells,
    "witness": _check_cells,
    "total": _check_total,
    "each": _check_each,
    "tally": _check_tally,
    "points": _check_points,
}


def _named(share: Any, name: str) -> str:
    return f"{type(share).__name__}.{name}"


def _released(kind: Kind, value: Any, policy: Policy) -> Any:
    if kind.name == "witness":
        return np.zeros(0, dtype=np.int64)
    if kind.name == "count":
        return int(rounded(np.asarray(value), policy.rounding))
    if kind.name == "table":
        return rounded(np.asarray(value), policy.rounding)
    if kind.name == "tally":
        return {word: int(rounded(np.asarray(n), policy.rounding)) for word, n in value.items()}
    return value


def rounded(cells: Array, base: int) -> Array:
    """Non-negative counts to the nearest multiple of `base` (halves up), so that no unit digit leaves."""
    return (cells + base // 2) // base * base
