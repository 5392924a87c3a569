"""What an analysis sees of a dataset, and what the hub's half of an algorithm knows beforehand.

`View` goes to every site with the question, so that all sites build the same design. `Setting` is
known at the hub before the first round. `Model` is a fitted model that can be judged or used elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.study.design import Design
from atoll.study.dictionary import Dictionary


@dataclass(frozen=True)
class View:
    """Columns of a dataset by their role in the analysis; complete cases over all of them unless `complete` is False.

    levels   words of a category that the study uses, by column: codes of `group` and `strata` follow this order
    """

    columns: tuple[str, ...] = ()
    design: Design | None = None
    outcome: str | None = None
    time: str | None = None
    event: str | None = None
    offset: str | None = None
    group: str | None = None
    strata: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    complete: bool = True

    def named(self) -> tuple[str, ...]:
        """Every raw column that the view needs, once, without the implicit `site`."""
        roles = [self.outcome, self.time, self.event, self.offset, self.group, *self.strata, *self.columns]
        of_design = self.design.raw_columns if self.design else ()
        names = [name for name in (*of_design, *roles) if name and name != "site"]
        return tuple(dict.fromkeys(names))

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types, for the question and its hash."""
        return {
            "columns": list(self.columns),
            "design": self.design.to_document() if self.design else None,
            "outcome": self.outcome,
            "time": self.time,
            "event": self.event,
            "offset": self.offset,
            "group": self.group,
            "strata": list(self.strata),
            "levels": {name: list(words) for name, words in self.levels.items()},
            "complete": self.complete,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> View:
        """The inverse of `to_document`."""
        return cls(
            columns=tuple(document["columns"]),
            design=Design.from_document(document["design"]) if document["design"] else None,
            outcome=document["outcome"],
            time=document["time"],
            event=document["event"],
            offset=document["offset"],
            group=document["group"],
            strata=tuple(document["strata"]),
            levels={name: tuple(words) for name, words in document["levels"].items()},
            complete=document["complete"],
        )


@dataclass(frozen=True)
class Setting:
    """What the hub's half of an algorithm knows before its first round.

    sites     participating hospitals, sorted
    public    the study says that all its datasets are public: exact times and fine grids may be asked
    columns   the study's data dictionary of the analysis's dataset
    design    the resolved design (None for analyses without a formula)
    levels    words of the categories that are not part of the design, by column
    """

    sites: tuple[str, ...]
    public: bool
    columns: Dictionary
    design: Design | None = None
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def units(self) -> dict[str, str]:
        """Units of the columns of the design, where they have one."""
        read = self.design.raw_columns if self.design is not None else ()
        return {name: self.columns[name].unit for name in read if self.columns[name].unit}


@dataclass(frozen=True)
class Model:
    """A linear predictor with its link: what is released, judged at other hospitals, and used at the bedside.

    design         how each term is computed from a patient's columns
    coefficients   one per term, on the scale of the link
    link           logit, log, identity, …
    """

    design: Design
    coefficients: tuple[float, ...]
    link: str

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "terms": list(self.design.terms),
            "coefficients": list(self.coefficients),
            "link": self.link,
            "design": self.design.to_document(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Model:
        """The inverse of `to_document`."""
        return cls(
            design=Design.from_document(document["design"]),
            coefficients=tuple(float(value) for value in document["coefficients"]),
            link=document["link"],
        )
