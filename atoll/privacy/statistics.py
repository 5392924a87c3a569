"""What may leave a hospital, and how shares are combined.

A `Statistics` is a frozen record whose every field names its kind. The kind settles two things at
once: how values combine, and what the gate checks before a value leaves.

    count()          number of persons               Σ         at least the minimum, rounded
    table()          persons per cell, disjoint      Σ         every cell zero or at least the minimum, rounded
    total(per=…)     sum over persons                Σ         `per` names the count or table that says over how many
    each(per=…)      as total, one value per site    Σ chunks, kept apart between sites
    tally()          persons per word                Σ by word words of the data dictionary only, cells as in a table
    points()         distinct exact values           ∪         only from a public dataset
    witness()        persons behind other fields     Σ chunks  cells as in a table; checked, then dropped: never leaves

Sums must run over disjoint groups. A running sum hides its groups: the difference of two neighbours
can be one person's row, and no count would show it.

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
    parameters: bool = False


def _kind(kind: Kind) -> Any:
    return field(metadata={"kind": kind})


def count() -> Any:
    """A number of distinct persons."""
    return _kind(Kind("count"))


def table() -> Any:
    """Distinct persons per cell; the cells are disjoint."""
    return _kind(Kind("table"))


def total(*, per: str, moment: int = 0, parameters: bool = False) -> Any:
    """A sum over the persons of `per`.

    `moment` is the power of a column that is summed (the gate limits it); `parameters` marks an
    information matrix, whose non-empty diagonal entries are the fitted parameters.
    """
    return _kind(Kind("total", per, moment, parameters))


def each(*, per: str) -> Any:
    """A sum over the persons of `per` that is kept apart for every site."""
    return _kind(Kind("each", per))


def tally() -> Any:
    """Distinct persons per word, as `{word: persons}`; words come from the data dictionary."""
    return _kind(Kind("tally"))


def points() -> Any:
    """Distinct exact values, sorted. They describe single persons: public datasets only."""
    return _kind(Kind("points"))


def witness() -> Any:
    """Persons behind what other fields sum. The gate checks the cells and drops them."""
    return _kind(Kind("witness"))


@dataclass_transform(frozen_default=True, field_specifiers=(count, table, total, each, tally, points, witness))
class Statistics:
    """Base of every record a site may return; subclasses become frozen dataclasses.

    Raises
    ------
    TypeError
        At import, when a field has no kind or a total names no count or table.
    """

    def __init_subclass__(cls) -> None:
        for name in inspect.get_annotations(cls):
            if "kind" not in getattr(cls.__dict__.get(name), "metadata", {}):
                raise TypeError(
                    f"{cls.__name__}.{name} has no kind; give it one: "
                    f"count(), table(), total(per=…), each(per=…), tally(), points() or witness()"
                )
        dataclass(frozen=True, eq=False)(cls)
        kinds = kinds_of(cls)
        for name, kind in kinds.items():
            if kind.name in ("total", "each") and kinds.get(kind.per, Kind("")).name not in ("count", "table"):
                raise TypeError(
                    f"{cls.__name__}.{name} is a {kind.name} per {kind.per!r}, "
                    f"which is no count() or table() of {cls.__name__}"
                )


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
        if kind.name == "tally":
            values[name] = _add_words(column)
        elif kind.name == "points":
            values[name] = np.unique(np.concatenate(column))
        elif kind.name == "each" and apart:
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


def _add_words(tallies: list[Mapping[str, int]]) -> dict[str, int]:
    words = sorted({word for tally in tallies for word in tally})
    return {word: sum(tally.get(word, 0) for tally in tallies) for word in words}
