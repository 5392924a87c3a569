"""Definitions of the phenotype library judged by what the simulator knows and no hospital does.

One hospital is simulated and written as an OMOP folder. A chronic disease is true of whoever had its onset before
observation ended, seen or not; an acute illness of whoever came with it. Where the definition wants new cases, only
those count that began a year or more after observation did, for the definition cannot tell earlier ones.

The simulator itself writes no false diagnosis. So that a predictive value means something, each diagnosis is also
written down once, wrongly, for `SUSPECTED` of the persons without it, at one of their visits: an assumption, no
measurement of any hospital.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from atoll.knowledge.library import Figure, Phenotype, Truth, concepts
from atoll.simulate.facts import ACUTE, CHRONIC, CONDITION_AT, CONDITIONS, DRUGS, MEASUREMENTS
from atoll.simulate.hospitals import choose
from atoll.simulate.life import NEVER, Persons
from atoll.simulate.omop import Writer
from atoll.simulate.records import Counters, Records
from atoll.simulate.world import BLOCK, make

WASH_OUT = 365  # days of observation before a case is new
SUSPECTED = 0.02  # of those without a disease, for whom it is written down once


def judge(phenotypes: Iterable[Phenotype], persons: int = 30_000, seed: int = 1) -> list[Figure]:
    """Figures of those definitions that the simulator has a truth for, on one hospital with `persons` patients."""
    known = [one for one in phenotypes if one.truth is not None]
    true: dict[str, set[int]] = {one.name: set() for one in known}
    counters = [Counters()]
    hospitals = choose(1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        writer = Writer(folder, hospitals[0].title, as_csv=False)
        for at, first in enumerate(range(0, persons, BLOCK)):
            block, (records,) = make(hospitals, seed, at, first, min(BLOCK, persons - first), counters)
            onsets = _onsets(block, records)
            for one in known:
                true[one.name] |= _true(one.truth, onsets, records) if one.truth else set()
            writer.write(_suspected(np.random.default_rng([seed, at]), onsets, records, counters[0]))
        writer.close()
        write_vocabulary(folder)
        found = found_in(known, f"duckdb:///{folder}")
    return [
        Figure(name, seed, persons, len(true[name]), len(found[name]), len(true[name] & found[name])) for name in true
    ]


def found_in(phenotypes: Iterable[Phenotype], cdm: str) -> dict[str, set[int]]:
    """The persons that each definition finds in the CDM that a URL names.

    Raises
    ------
    AtollError
        When a definition cannot be run there: the CDM lacks a table that it needs.
    """
    from atoll.cdm.workspace import workspace_at
    from atoll.cohort.run import CohortRun

    definitions = {one.name: one.definition() for one in phenotypes}
    with workspace_at(cdm) as workspace:
        outcome = CohortRun(workspace).run(definitions)
    for error in outcome.failed.values():
        raise error
    persons: dict[str, set[int]] = {name: set() for name in definitions}
    columns = (outcome.rows.column(name).to_pylist() for name in ("definition", "subject_id"))
    for name, person in zip(*columns, strict=True):
        persons[name].add(person)
    return persons


def write_vocabulary(folder: Path) -> None:
    """What the simulator leaves out and cohorts need: a vocabulary of the concepts named here, and a table of no rows.

    Concepts have no hierarchy: each is its own and only descendant.
    """
    named = {int(row["concept_id"]) for row in (*CONDITIONS, *DRUGS, *MEASUREMENTS)}
    ids = pa.array(sorted(named | set(concepts())), pa.int64())
    made = {
        "concept": pa.table({"concept_id": ids, "invalid_reason": pa.nulls(len(ids), pa.string())}),
        "concept_ancestor": pa.table({"ancestor_concept_id": ids, "descendant_concept_id": ids}),
        "concept_relationship": _empty("concept_relationship"),
        "procedure_occurrence": _empty("procedure_occurrence"),
    }
    for name, rows in made.items():
        parquet.write_table(rows, folder / f"{name}.parquet")


def _empty(name: str) -> pa.Table:
    from atoll.cdm.tables import table

    kinds = {"int32": pa.int32(), "int64": pa.int64(), "float64": pa.float64(), "string": pa.string(),
             "date": pa.date32(), "timestamp": pa.timestamp("us")}  # fmt: skip
    return pa.table({column: pa.array([], kinds[of.dtype]) for column, of in table(name).columns.items()})


def _onsets(block: Persons, records: Records) -> Any:
    """The day on which each condition began, persons × `CONDITIONS`; `NEVER` where it did not."""
    onsets = np.full((len(records.person_id), len(CONDITIONS)), NEVER)
    onsets[:, [CONDITION_AT[key] for key in CHRONIC]] = block.onset[records.number - block.number[0]]
    acute = np.isin(records.condition, [CONDITION_AT[key] for key in ACUTE])
    visit = records.condition_visit[acute]
    np.minimum.at(onsets, (records.visit_person[visit], records.condition[acute]), records.visit_day[visit])
    return onsets


def _true(truth: Truth, onsets: Any, records: Records) -> set[int]:
    """Who has one of the diseases."""
    onset = onsets[:, [CONDITION_AT[disease] for disease in truth.diseases]].min(1)
    has = onset <= records.stop
    if truth.new:
        has &= onset >= records.start + WASH_OUT
    return set(records.person_id[has].tolist())


def _suspected(rng: np.random.Generator, onsets: Any, records: Records, counter: Counters) -> Records:
    """The records with false diagnoses, each once, at a visit of a person who never had the disease."""
    at_visit = rng.random((len(records.visit_id), len(CONDITIONS)))
    chosen = np.full(onsets.shape, 2.0)
    np.minimum.at(chosen, records.visit_person, at_visit)
    persons = (rng.random(onsets.shape) < SUSPECTED) & (onsets > records.stop[:, None])
    visit, what = np.nonzero(persons[records.visit_person] & (at_visit == chosen[records.visit_person]))
    first, counter.condition = counter.condition, counter.condition + len(visit)
    return replace(
        records,
        condition_id=np.concatenate([records.condition_id, np.arange(first, first + len(visit))]),
        condition_visit=np.concatenate([records.condition_visit, visit]),
        condition=np.concatenate([records.condition, what]),
    )
