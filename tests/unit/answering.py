"""A runner over a table in memory, with a ledger that remembers, for the tests of gate, runner and attacks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from atoll.algorithms import registry
from atoll.algorithms.core import Question
from atoll.algorithms.program import Asked, program
from atoll.errors import DataError
from atoll.features.table import memory_table
from atoll.network.codec import decode, encode_question
from atoll.network.messages import Place, digest
from atoll.privacy.disclosure import STRICT, Policy
from atoll.site.runner import Dataset, Outcome, Permit, Runner
from atoll.study.dictionary import Dictionary
from atoll.study.view import View


@dataclass
class Remembering:
    """A ledger in memory. `events` holds what happened, in order; `fail` is raised instead of writing."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    fail: BaseException | None = None

    def append(self, place: Place, **facts: Any) -> None:
        if self.fail is not None:
            raise self.fail
        self.entries.append({"place": place, **facts})


@dataclass(frozen=True)
class Held:
    """Datasets of a site: one, called `table`."""

    dataset: Dataset

    def open(self, name: str) -> Dataset:
        if name != "table":
            raise DataError("There is no such dataset.", code="UNKNOWN_DATASET", subject=name)
        return self.dataset


@dataclass
class Site:
    """One hospital under a policy."""

    table: Any
    columns: Dictionary
    policy: Policy = STRICT
    public: bool = False
    ledger: Remembering = field(default_factory=Remembering)

    def permit(self, algorithm: str, **more: Any) -> Permit:
        return replace(Permit(algorithm, "table", self.columns, ("north",)), **more)

    def ask(self, question: Question, permit: Permit, **place: Any) -> Outcome:
        """The outcome of a question, as the hub would get it."""
        data = encode_question(question)
        usual = Place("0" * 64, "run", "analysis", 0, 0, digest(data), permit.participants)
        where = Place(**{f: place.get(f, getattr(usual, f)) for f in usual.__struct_fields__})
        dataset = Dataset(memory_table(self.table), self.columns, self.public)
        return Runner("north", Held(dataset), self.ledger, self.policy, 1).answer(permit, where, data)

    def first(self, algorithm: str, permit: dict[str, Any] | None = None, **options: Any) -> Outcome:
        """The outcome of the first question of an analysis, asked of this site alone."""
        public = bool((permit or {}).get("public"))
        question = next(program(Asked(algorithm, options, self.columns, ("north",), public)))
        return self.ask(question, self.permit(algorithm, **(permit or {})))

    def share(self, question: Question, outcome: Outcome) -> Any:
        """The record that left."""
        assert not outcome.code, outcome
        return decode(outcome.payload, registry.site_function(question.name).answers)


def view(*columns: str, **more: Any) -> View:
    """A view of columns, not reduced to complete cases."""
    return View(columns=columns, complete=more.pop("complete", False), **more)


def numbers(seed: int, n: int, *names: str) -> dict[str, np.ndarray]:
    """Columns of normal numbers."""
    r = np.random.default_rng(seed)
    return {name: r.normal(50, 10, n).round(3) for name in names}
