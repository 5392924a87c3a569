"""What may leave a hospital, and how shares are combined.

A `Statistics` is a frozen record whose every field names its kind. The kind settles two things at
once: how values combine, and what the gate checks before a value leaves.

    count()          number of persons               Σ         zero or at least the minimum, rounded
    table()          persons per cell, disjoint      Σ         every cell zero or at least the minimum, rounded
    total(per=…)     sum over persons                Σ         `per` names the count or table that says over how many
    each(per=…)      as total, one value per site    Σ chunks, kept apart between sites; no number of persons
    tally()          persons per word                Σ by word words of the data dictionary only, cells as in a table
    points()         distinct exact values           ∪         only from a public dataset
    witness()        persons behind other fields     Σ chunks  cells as in a table; checked, then dropped: never leaves
    weights()        Σw and Σw² of other fields      Σ chunks  (Σw)²/Σw² at least the minimum; checked, then dropped

Sums must run over disjoint groups. A running sum hides its groups: the difference of two neighbours
can be one person's row, and no count would show it. And they must say what else they tell apart: Σ xxᵀ
of a design with indicators holds a table, so its cells go into a `witness`; a sum whose weights the
question chooses can be made one person's value, so its weights go into `weights`.

One algebra from a chunk to a continent: `merge` adds the chunks of one hospital, `combine` the shares
of all hospitals; they differ only where a value belongs to one site.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
S = TypeVar("S", bound="Statistics")


@dataclass(frozen=True)
class Kind:
    """How one field combines and what the gate must know of it."""

    name: str
    per: str = ""
    moment: int = 0
    empty: bool = True
    part: bool = False
    apart: bool = False


def _kind(kind: Kind) -> Any:
    return field(metadata={"kind": kind})


def count(*, empty: bool = True, apart: bool = False) -> Any:
    """A number of distinct persons. Where it may not be `empty`, zero does not pass either.

    `apart` is kept apart for every site, and leaves as a multiple of the site's minimum.
    """
    return _kind(Kind("count", empty=empty, apart=apart))


def table(*, apart: bool = False) -> Any:
    """Distinct persons per cell; the cells are disjoint. `apart` as in `count`."""
    return _kind(Kind("table", apart=apart))


def total(*, per: str, moment: int = 0) -> Any:
    """A sum over the persons of `per`: one number, or an array whose first axes are those of `per`.

    `moment` is the power of a column that is summed (the gate limits it). Along its further axes an array
    may hold as many sums as a model of these persons may have parameters.
    """
    return _kind(Kind("total", per, moment))


def each(*, per: str) -> Any:
    """A sum over the persons of `per` that is kept apart for every site: never whole numbers, which are counts."""
    return _kind(Kind("each", per, apart=True))


def tally() -> Any:
    """Distinct persons per word, as `{word: persons}`; words come from the data dictionary."""
    return _kind(Kind("tally"))


def points() -> Any:
    """Distinct exact values, sorted. They describe single persons: public datasets only."""
    return _kind(Kind("points"))


def witness(*, empty: bool = True) -> Any:
    """Persons behind what other fields sum, as `{column: cells}`. The gate checks the cells and drops them.

    Where cells may not be `empty`, zero does not pass: without a person who had the event, each had none.
    """
    return _kind(Kind("witness", empty=empty))


def weights(*, part: bool = False) -> Any:
    """`{what: [Σw, Σw²]}` over persons, of the weights of other fields' sums. The gate checks them and drops them.

    Of a `part` of the persons (those of one level) each may be an array; the weight may be nobody's, and must be
    spread over half the minimum of persons at least.
    """
    return _kind(Kind("weights", empty=part, part=part))


@dataclass_transform(frozen_default=True, field_specifiers=(count, table, total, each, tally, points, witness, weights))
class Statistics:
    """Base of every record a site may return; subclasses become frozen dataclasses.

    Raises
    ------
    TypeError
        At import, when a field has no kind, a total names no count or table, or nobody stands as a witness for one.
    """

    def __init_subclass__(cls) -> None:
        for name in inspect.get_annotations(cls):
            if "kind" not in getattr(cls.__dict__.get(name), "metadata", {}):
                raise TypeError(
                    f"{cls.__name__}.{name} has no kind; give it one: "
                    f"count(), table(), total(per=…), each(per=…), tally(), points(), witness() or weights()"
                )
        dataclass(frozen=True, eq=False)(cls)
        kinds = kinds_of(cls)
        for name, kind in kinds.items():
            if kind.name in ("total", "each") and kinds.get(kind.per, Kind("")).name not in ("count", "table"):
                raise TypeError(
                    f"{cls.__name__}.{name} is a {kind.name} per {kind.per!r}, "
                    f"which is no count() or table() of {cls.__name__}"
                )
            if kind.name in ("total", "each") and not any(other.name == "witness" for other in kinds.values()):
                raise TypeError(f"{cls.__name__}.{name} is a {kind.name}: say who stands behind it, in a witness()")


def kinds_of(cls: type) -> dict[str, Kind]:
    """Field names of a `Statistics` and their kinds, in order of definition."""
    return {f.name: f.metadata["kind"] for f in fields(cls)}


def merge(chunks: Sequence[S]) -> S:
    """Σ over disjoint chunks of one hospital's rows, in the order given."""
    return _fold(chunks, apart=False)


def combine(shares: Mapping[str, S]) -> S:
    """Σ over hospitals, in the order of their names; `each` keeps one entry per hospital."""
    return _fold([shares[site] for site in sorted(shares)], apart=True)


def _fold(parts: Sequence[S], *, apart: bool) -> S:
    cls = type(parts[0])
    values: dict[str, Any] = {}
    for name, kind in kinds_of(cls).items():
        column = [getattr(part, name) for part in parts]
        if kind.name in ("tally", "witness", "weights"):
            values[name] = _add_words(column)
        elif kind.name == "points":
            values[name] = np.unique(np.concatenate(column))
        elif kind.apart and apart:
            values[name] = np.stack([np.asarray(value) for value in column])
        else:
            values[name] = _add(column)
    return cls(**values)


def _add(values: list[Any]) -> Any:
    """Σ from left to right: the order is part of the result's bits."""
    result = values[0]
    for value in values[1:]:
        result = result + value
    return result


def _add_words(tallies: list[Mapping[str, Any]]) -> dict[str, Any]:
    words = sorted({word for tally in tallies for word in tally})
    return {word: _add([tally[word] for tally in tallies if word in tally]) for word in words}
