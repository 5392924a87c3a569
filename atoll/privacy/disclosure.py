"""The rules for one share on its way out of a hospital. Pure functions: no storage, no network.

Deny by default: a field whose kind has no rule, a value that is not a finite number or a listed word,
does not pass. A refusal names the rule, never a value, and never how many cells failed it.
The limits are those of statistical disclosure control for research output; `docs/disclosure.md` explains each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from atoll.errors import REMEDIES, DisclosureRefused, StudyError
from atoll.privacy.leverage import Influence
from atoll.privacy.pairs import APART
from atoll.privacy.statistics import Array, Kind, S, kinds_of

FLOOR = 5  # persons; a site may go below its default of 10 by a signed exception, never below this
DAYS = {"d": 1.0, "wk": 7.0, "mo": 30.4375, "a": 365.25}  # UCUM units of time, in days


@dataclass(frozen=True)
class Policy:
    """A site's own limits. Defaults are the strict ones.

    minimum_persons        distinct persons behind every count, level, cell, event and non-event
    rounding               counts and tables leave rounded to a multiple of this
    persons_per_parameter  persons (Cox: persons with the event) for each parameter: each sum along an axis
    residual_dof           persons beyond the parameters
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

    def __post_init__(self) -> None:
        for f in fields(self):
            lowest = int(f.name in ("minimum_persons", "rounding", "bins", "max_rounds", "max_bytes"))
            if not lowest <= getattr(self, f.name) < float("inf"):  # refuses NaN too: it is above and below nothing
                raise StudyError(f"policy: {f.name} cannot be {getattr(self, f.name)!r}.", f"Give {lowest} or more.")

    def stricter(self, other: Policy) -> Policy:
        """The stricter of two policies, limit by limit."""
        lower = {"moments", "bins", "max_rounds", "max_bytes", "exact_values", "per_site"}
        pick = {f.name: (min if f.name in lower else max) for f in fields(self)}
        return Policy(**{name: choose(getattr(self, name), getattr(other, name)) for name, choose in pick.items()})

    def tightened(self, limits: Mapping[str, Any]) -> Policy:
        """This policy, with a study's limits where stricter: odd multiples of its bases, whose steps lie on its own."""
        bases = {name: getattr(self, name) for name in ("rounding", "minimum_persons") if name in limits}
        odd = {name: own * (-(-limits[name] // own) // 2 * 2 + 1) for name, own in bases.items()}
        return self.stricter(replace(replace(self, **limits), **odd))


STRICT = Policy()
PUBLIC = Policy(1, 1, 0, 0, 4, 0.0, 100_000, 1_000, 256 * 1_048_576, exact_values=True)


@dataclass(frozen=True)
class Conditions:
    """On what terms one share may leave: under the `policy` in force.

    words       levels of the data dictionary, the only words that may leave
    time_unit   unit of the time column, as UCUM writes it
    arguments   of the question
    kinds       what the arrays among them are (`algorithms.options`)
    """

    policy: Policy
    words: frozenset[str] = frozenset()
    time_unit: str = "d"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)


def check(share: S, conditions: Conditions) -> S:
    """The share as it may leave: counts rounded, witnesses dropped. Otherwise a refusal.

    Raises
    ------
    DisclosureRefused
        With `code` from `errors.CATALOGUE` and the field as `subject`.
    """
    check_question(conditions)
    values = {}
    for name, kind in sorted(kinds_of(type(share)).items(), key=lambda item: item[1].name in ("witness", "weights")):
        value = getattr(share, name)
        if kind.apart and not conditions.policy.per_site:
            raise _refuse("GATE_REFUSED", name, "This site shows no results of its own.")
        _RULES[kind.name](share, name, kind, value, conditions.policy, conditions.words)
        values[name] = _released(kind, value, conditions.policy)
    return type(share)(**values)


def _refuse(code: str, subject: str, what: str) -> DisclosureRefused:
    return DisclosureRefused(what, REMEDIES[code], code=code, subject=subject)


def check_question(conditions: Conditions) -> None:
    """What the question itself asks for: the time grid, the bins of a histogram, the size of a table.

    Numbers come as arrays of a kind that the algorithm has declared, or one by one: other lists could be cuts.
    """
    policy = conditions.policy
    for name, value in conditions.arguments.items():
        if type(value) is int and value > policy.max_bytes:
            raise _refuse("TOO_LARGE", "", "The question asks for more cells than an answer may have bytes.")
        words = isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)
        if name not in conditions.kinds and not (words or isinstance(value, str | int | float | None)):
            raise _refuse("NOT_PERMITTED", "", "The question carries numbers that the algorithm does not declare.")
        kind = conditions.kinds.get(name, "")
        if kind == "grid" and value is not None and policy.grid_days > 0:
            _check_grid(value, conditions.time_unit, policy)
        if kind == "edges" and value is not None and np.shape(value)[-1] + 1 > policy.bins:
            raise _refuse("TOO_MANY_BINS", "edges", f"The histogram has more than {policy.bins} cells.")


def _check_grid(grid: Any, unit: str, policy: Policy) -> None:
    if unit not in DAYS:
        raise _refuse("GRID_TOO_FINE", "grid", f"The time column's unit {unit!r} is not one of d, wk, mo, a.")
    times = np.concatenate([[0.0], np.ravel(np.asarray(grid, float))])
    if not (np.diff(times) * DAYS[unit] > policy.grid_days - 1e-9).all():  # NaN is not above it either
        raise _refuse("GRID_TOO_FINE", "grid", f"The time grid is finer than {policy.grid_days:g} days.")


def check_influence(influence: Influence, policy: Policy) -> None:
    """No person decides more than 1/K of a fitted value, or of what the outcome tells beyond X (see `leverage`); and no
    combination of the sums is nearly one person's own (see `pairs`), or that of a few (see `few`)."""
    for subject, largest in (("formula", influence.leverage), ("outcome", influence.outcome)):
        if policy.minimum_persons > 1 and not largest <= 1 / policy.minimum_persons + 1e-9:
            raise _refuse("ONE_PERSON", subject, "One person would weigh too much in the model.")
    if policy.minimum_persons > 1 and not influence.apart <= APART:
        raise _refuse("TOLD_APART", "formula", "Sums of the model would tell one person apart from all others.")
    _check_enough(np.asarray(influence.few), Kind("witness"), policy, influence.column)


def _check_cells(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    cells = np.asarray(value)
    if cells.dtype.kind not in "iu" or (cells < 0).any() or (kind.name == "count" and cells.ndim):
        raise _refuse("GATE_REFUSED", name, f"{_named(share, name)} is not a number of persons.")
    _check_enough(cells, kind, policy, name)


def _check_enough(cells: Array, kind: Kind, policy: Policy, subject: str, enough: float | None = None) -> None:
    empty = kind.empty or policy.minimum_persons == 1
    if not ((cells >= (enough or policy.minimum_persons)) | ((cells == 0) & empty)).all():  # NaN is not enough
        what = f"A number would describe fewer than {policy.minimum_persons} persons ({subject})."
        raise _refuse("TOO_FEW_PERSONS", subject, what)


def _check_witness(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    for column, cells in value.items():
        _check_cells(share, name, replace(kind, name="table"), cells, replace(policy, minimum_persons=1), words)
        _check_enough(np.asarray(cells), kind, policy, column)


def _check_weights(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    """(Σw)²/Σw² is the effective number of persons (Kish 1965); of a part half the minimum is enough, or nobody."""
    enough = policy.minimum_persons / 2 if kind.part else policy.minimum_persons
    for column, (total, squares) in value.items():
        if policy.minimum_persons > 1:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                persons = np.where(squares == 0, 0.0, (total / np.sqrt(squares)) ** 2)
            _check_enough(persons * (1 + 1e-9), kind, policy, column, enough)


def _check_total(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    numbers, persons = np.asarray(value), np.asarray(getattr(share, kind.per))
    if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        raise _refuse("NOT_FINITE", name, f"{_named(share, name)} is not finite.")
    if numbers.shape[: persons.ndim] != persons.shape or (numbers[persons == 0] != 0).any():
        raise _refuse("GATE_REFUSED", name, f"{_named(share, name)} sums over others than it says.")
    if kind.moment > policy.moments:
        what = f"{_named(share, name)} is moment {kind.moment} of a column; at most {policy.moments} may leave."
        raise _refuse("TOO_MANY_MOMENTS", name, what)
    if policy.persons_per_parameter or policy.residual_dof:
        _check_parameters(numbers, persons, policy, name)


def _check_parameters(numbers: Array, persons: Array, policy: Policy, name: str) -> None:
    """Along each axis beyond those of `per`, no more sums than parameters that these persons allow.

    Σ xxᵀ of a model passes where the model may be fitted; an array with a number for every person never does.
    """
    allowed = np.minimum(persons - policy.residual_dof, persons // max(policy.persons_per_parameter, 1))
    further = range(persons.ndim, numbers.ndim)
    for axis in further:
        used = (numbers != 0).any(axis=tuple(other for other in further if other != axis)).sum(axis=-1)
        if ((used > allowed) & (persons > 0)).any():
            what = f"{policy.persons_per_parameter} persons are needed for each term, and {policy.residual_dof} more."
            raise _refuse("TOO_MANY_PARAMETERS", name, what)


def _check_each(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    if np.asarray(value).dtype.kind in "iu":
        raise _refuse("GATE_REFUSED", name, f"{_named(share, name)} is a count: it is kept apart as one.")
    _check_total(share, name, kind, value, policy, words)


def _check_tally(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    for word, persons in value.items():
        column = word.partition("=")[0]
        if not policy.exact_values and word not in words:
            raise _refuse("WORD_NOT_LISTED", column, f"A word of {column!r} that the data dictionary does not list.")
        _check_witness(share, name, kind, {column: persons}, policy, words)


def _check_points(share: Any, name: str, kind: Kind, value: Any, policy: Policy, words: frozenset[str]) -> None:
    if not policy.exact_values:
        raise _refuse("EXACT_VALUES", name, f"{_named(share, name)} would be values of single persons.")
    if not np.isfinite(np.asarray(value, float)).all():
        raise _refuse("NOT_FINITE", name, f"{_named(share, name)} is not finite.")


_RULES = {
    "count": _check_cells,
    "table": _check_cells,
    "witness": _check_witness,
    "weights": _check_weights,
    "total": _check_total,
    "each": _check_each,
    "tally": _check_tally,
    "points": _check_points,
}


def _named(share: Any, name: str) -> str:
    return f"{type(share).__name__}.{name}"


def _released(kind: Kind, value: Any, policy: Policy) -> Any:
    if kind.name in ("witness", "weights"):
        return {}
    if kind.name == "tally":
        return {word: int(rounded(np.asarray(n), policy.rounding)) for word, n in value.items()}
    if kind.name not in ("count", "table"):
        return value
    cells = rounded(np.asarray(value), policy.rounding)
    cells = rounded(cells, policy.minimum_persons) if kind.apart else cells  # no more than a total over sites tells
    return int(cells) if kind.name == "count" else cells


def rounded(cells: Array, base: int) -> Array:
    """Non-negative counts to the nearest multiple of `base` (halves up), so that no unit digit leaves."""
    return (cells + base // 2) // base * base
