"""Many definitions on one CDM: what they share is found once, one broken definition never stops the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from atoll.cdm.sql import sql
from atoll.cdm.workspace import Workspace
from atoll.cohort.build import DefinitionCompiler, Plan
from atoll.cohort.concepts import ConceptSets
from atoll.cohort.finish import Finisher
from atoll.cohort.shared import SharedEvents
from atoll.errors import AtollError, DataError, Unreachable
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


class CohortRun:
    """Finds the cohorts of definitions in the CDM of a workspace."""

    def __init__(self, workspace: Workspace, *, batch: int = 1000):
        self.workspace, self.batch = workspace, batch
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

        if self.workspace.columns("observation_period") is None:
            raise DataError(
                "The CDM has no table 'observation_period', without which nobody is in a cohort.", "Load it."
            )
        failed: dict[str, AtollError] = {}
        seconds: dict[str, float] = {}
        tables = []
        for names in _batches(list(definitions), self.batch):
            chosen = {name: definitions[name] for name in names}
            tables.append(self._run_batch(chosen, failed, seconds, progress))
        return Outcome(pa.concat_tables(tables), failed, seconds)

    def _run_batch(
        self,
        definitions: Mapping[str, CohortExpression],
        failed: dict[str, AtollError],
        seconds: dict[str, float],
        progress: Callable[[str], None],
    ) -> pa.Table:
        names = list(definitions)
        plans: dict[int, Plan] = {}
        compiler = DefinitionCompiler(self.workspace, self.shared, self.index)
        for number, name in enumerate(names):
            started, self.shared.user = time.perf_counter(), number
            try:
                plans[number] = compiler.plan(definitions[name], self.sets.of(definitions[name]))
            except AtollError as error:
                failed[name] = error
            seconds[name] = time.perf_counter() - started
        self.sets.resolve()
        for number, cause in self.shared.create().items():
            if plans.pop(number, None):
                failed[names[number]] = cause
        self.finisher.start()
        for number in list(plans):
            self._qualify(number, names[number], plans, failed, seconds)
            progress(names[number])
        self.finisher.include(plans)
        for number in [number for number, plan in plans.items() if plan.candidates]:
            with _timed(seconds, names[number]):
                try:
                    self.finisher.add_candidates(number, plans[number])
                except Unreachable:
                    raise
                except AtollError as error:
                    failed[names[number]] = error
                    del plans[number]
        self.finisher.collapse(plans)
        rows = self.workspace.fetch(sql("SELECT * FROM {r}", r=self.finisher.result))
        self.finisher.drop()
        self.shared.drop()
        return _named(rows, names, set(plans))

    def _qualify(
        self, number: int, name: str, plans: dict[int, Plan], failed: dict[str, AtollError], seconds: dict[str, float]
    ) -> None:
        plan = plans[number]
        with _timed(seconds, name):
            try:
                if plan.index is not None:
                    self.workspace.create(self.index, plan.index)
                    self.workspace.settle(self.index)
                columns = sql("{n} AS definition, q.*", n=number)
                self.workspace.append(
                    self.finisher.qualified, sql("SELECT {c} FROM ({q}) q", c=columns, q=plan.qualified)
                )
            except Unreachable:
                raise
            except AtollError as error:
                failed[name] = error
                del plans[number]


class _timed:
    """Adds the time of a block to a definition's seconds."""

    def __init__(self, seconds: dict[str, float], name: str):
        self.seconds, self.name = seconds, name

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds[self.name] = self.seconds.get(self.name, 0.0) + time.perf_counter() - self.started


def _batches(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, max(len(names), 1), size):
        yield names[start : start + size]


def _named(rows: pa.Table, names: list[str], kept: set[int]) -> pa.Table:
    """The rows with the names of their definitions, in types that do not depend on the engine."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = (pa.int32(), pa.int64(), pa.date32(), pa.date32())
    rows = pa.table({c: rows.column(c).cast(kind) for c, kind in zip(COLUMNS, kinds, strict=True)})
    if len(kept) < len(names):
        rows = rows.filter(pc.is_in(rows.column("definition"), pa.array(sorted(kept), pa.int32())))
    named = pa.array(names or [""], pa.string()).take(rows.column("definition").combine_chunks())
    return rows.set_column(0, "definition", named)
