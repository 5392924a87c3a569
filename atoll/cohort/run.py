"""Many definitions on one CDM: what they share is found once, one broken definition never stops the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import sql
from atoll.cohort.attrition import Attrition, attrition, events
from atoll.cohort.build import DefinitionCompiler, Plan
from atoll.cohort.concepts import ConceptSets, DefinitionSets
from atoll.cohort.finish import Finisher
from atoll.cohort.shared import SharedEvents
from atoll.errors import AtollError, DataError, OperatorError, Unreachable
from atoll.study.circe import CohortExpression

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("definition", "subject_id", "cohort_start_date", "cohort_end_date")


@dataclass
class Outcome:
    """What a run gave: the rows, and for each definition that could not be run, why."""

    rows: pa.Table
    failed: dict[str, AtollError] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    attrition: dict[str, Attrition] = field(default_factory=dict)
    events: dict[str, pa.Table] = field(default_factory=dict)
    postponed: list[str] = field(default_factory=list)

    def fail(self, name: str, error: AtollError) -> None:
        """Remember why a definition could not be run. A database that is gone stops the run."""
        if isinstance(error, Unreachable):
            raise error
        self.failed[name] = error


class CohortRun:
    """Finds the cohorts of definitions in the CDM of a workspace.

    batch     definitions that share one pass over the CDM
    minutes   when they are over, the query that runs is stopped, and definitions that still wait are not run
    with_events   the outcome also holds how each person kept the rules
    go_on     asked before each definition: once it says no, those that wait are postponed
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        batch: int = 1000,
        minutes: float | None = None,
        with_events: bool = False,
        go_on: Callable[[], bool] = lambda: True,
    ):
        self.workspace, self.batch, self.with_events, self.go_on = workspace, batch, with_events, go_on
        self.deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self.sets = ConceptSets(workspace)
        self.shared = SharedEvents(workspace, self.sets)
        self.finisher = Finisher(workspace)
        self.index = workspace.table("index")

    def run(
        self, definitions: Mapping[str, CohortExpression], progress: Callable[[str], None] = lambda name: None
    ) -> Outcome:
        """The cohorts of all definitions: definition, subject_id, cohort_start_date, cohort_end_date.

        Raises
        ------
        DataError
            When the CDM has no vocabulary or no observation periods: then no definition can run.
        Unreachable
            When the database went away.
        """
        import pyarrow as pa

        if not definitions:
            return Outcome(_named(None, [], set()))
        if self.workspace.columns("observation_period") is None:
            raise DataError(
                "The CDM has no table 'observation_period', without which nobody is in a cohort.", "Load it."
            )
        outcome = Outcome(pa.table({}))
        tables = []
        for names in _batches(list(definitions), self.batch):
            tables.append(self._run_batch({name: definitions[name] for name in names}, outcome, progress))
        outcome.rows = pa.concat_tables(tables)
        return outcome

    def plans(self, definitions: Mapping[str, CohortExpression]) -> dict[str, tuple[Plan, DefinitionSets]]:
        """The plan of each definition that has one, and the keys of its sets, which are resolved; nothing is run.

        Raises
        ------
        DataError
            When the CDM has no vocabulary.
        """
        sets = {name: self.sets.of(definition) for name, definition in definitions.items()}
        found = self._plans(definitions, sets, Outcome(_named(None, [], set())))
        self.sets.resolve()
        self.shared.drop()  # what was asked for while these were compiled is asked for again by a run
        names = list(definitions)
        return {names[number]: (plan, sets[names[number]]) for number, plan in found.items()}

    def _run_batch(
        self, definitions: Mapping[str, CohortExpression], outcome: Outcome, progress: Callable[[str], None]
    ) -> pa.Table:
        names = list(definitions)
        sets = {name: self.sets.of(definition) for name, definition in definitions.items()}
        plans = self._plans(definitions, sets, outcome)
        self.sets.resolve()
        self._note_empty_sets(definitions, sets, outcome)
        for number, cause in self.shared.create().items():
            if plans.pop(number, None):
                outcome.fail(names[number], cause)
        self.finisher.start()
        for number in list(plans):
            if outcome.postponed or not self.go_on():
                outcome.postponed.append(names[number])
                del plans[number]
                continue
            self._step(self._qualify, number, names, plans, outcome)
            progress(names[number])
        if not plans:
            self._drop()
            return _named(None, names, set())
        self.finisher.include(plans)
        for number in [number for number, plan in plans.items() if plan.candidates]:
            self._step(self.finisher.add_candidates, number, names, plans, outcome)
        self.finisher.collapse(plans)
        rows = self.workspace.fetch(
            sql("SELECT * FROM {r} ORDER BY definition, subject_id, cohort_start_date", r=self.finisher.result)
        )
        tables = attrition(self.workspace, self.finisher.qualified, self.finisher.result, plans)
        outcome.attrition |= {names[number]: table for number, table in tables.items()}
        if self.with_events:
            qualified, result = self.finisher.qualified, self.finisher.result
            for number, plan in plans.items():
                outcome.events[names[number]] = events(self.workspace, qualified, result, number, plan.rules)
        self._drop()
        return _named(rows, names, set(plans))

    def _plans(
        self, definitions: Mapping[str, CohortExpression], sets: Mapping[str, DefinitionSets], outcome: Outcome
    ) -> dict[int, Plan]:
        plans: dict[int, Plan] = {}
        compiler = DefinitionCompiler(self.workspace, self.shared, self.index)
        for number, (name, definition) in enumerate(definitions.items()):
            self.shared.user = number
            with _timed(outcome.seconds, name):
                try:
                    plans[number] = compiler.plan(definition, sets[name])
                except AtollError as error:
                    outcome.fail(name, error)
        return plans

    def _drop(self) -> None:
        self.finisher.drop()
        self.shared.drop()
        self.workspace.drop(self.index)

    def _step(
        self,
        step: Callable[[int, Plan], None],
        number: int,
        names: list[str],
        plans: dict[int, Plan],
        outcome: Outcome,
    ) -> None:
        """A step of one definition: timed, within the deadline; a failure is its own and no other's."""
        name = names[number]
        try:
            if self.deadline is not None and time.monotonic() > self.deadline:
                raise OperatorError(
                    "The time limit was over before its turn came.", "Give more minutes, or fewer definitions."
                )
            with _timed(outcome.seconds, name), self._watched():
                step(number, plans[number])
        except AtollError as error:
            del plans[number]
            outcome.fail(name, error)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Stop a query that runs beyond the deadline."""
        if self.deadline is None:
            yield
            return
        passed = threading.Event()

        def stop() -> None:
            passed.set()
            self.workspace.interrupt()

        timer = threading.Timer(max(0.0, self.deadline - time.monotonic()), stop)
        timer.start()
        try:
            yield
        except KeyboardInterrupt:
            if not passed.is_set():
                raise
            raise OperatorError(
                "The time limit passed while its query ran.", "Give more minutes, or simplify the definition."
            ) from None
        finally:
            timer.cancel()

    def _qualify(self, number: int, plan: Plan) -> None:
        if plan.index is not None:
            self.workspace.create(self.index, plan.index)
            self.workspace.settle(self.index)
        query = sql("SELECT {n} AS definition, q.* FROM ({q}) q", n=number, q=plan.qualified)
        self.workspace.append(self.finisher.qualified, query)

    def _note_empty_sets(
        self, definitions: Mapping[str, CohortExpression], sets: Mapping[str, DefinitionSets], outcome: Outcome
    ) -> None:
        """Name the concept sets that a definition uses and that have no member in this vocabulary."""
        found = self.workspace.fetch(sql("SELECT DISTINCT set_key FROM {c}", c=self.sets.codes))
        there = {-1, *found.column(0).to_pylist()}
        for name, definition in definitions.items():
            empty = [
                entry.name or str(entry.id)
                for entry in definition.concept_sets
                if entry.expression.items and sets[name].asked.get(entry.id, -1) not in there
            ]
            if empty:
                outcome.notes[name] = [f"No concept of this vocabulary is in {', '.join(map(repr, empty))}."]


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the time of a block to a definition's seconds."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started


def _batches(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, max(len(names), 1), size):
        yield names[start : start + size]


def _named(rows: pa.Table | None, names: list[str], kept: set[int]) -> pa.Table:
    """The rows with the names of their definitions, in types that do not depend on the engine."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = (pa.int32(), pa.int64(), pa.date32(), pa.date32())
    if rows is None:
        rows = pa.table({column: pa.array([], kind) for column, kind in zip(COLUMNS, kinds, strict=True)})
    rows = pa.table({column: rows.column(column).cast(kind) for column, kind in zip(COLUMNS, kinds, strict=True)})
    if len(kept) < len(names):
        rows = rows.filter(pc.is_in(rows.column("definition"), pa.array(sorted(kept), pa.int32())))
    named = pa.array(names or [""], pa.string()).take(rows.column("definition").combine_chunks())
    return rows.set_column(0, "definition", named)
