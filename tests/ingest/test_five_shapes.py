"""The planted truth of five hospitals, each loaded from its own shape of export by the mapping in `examples/exports`.

What must arrive: at least 99.5 % of the events, no wrong person, right values and units, every planted fault named,
observation periods from the first to the last event, and the eras that follow from the truth.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from atoll.cdm.workbench import Workbench
from atoll.ingest.load import load
from atoll.ingest.mapping import read_mapping
from atoll.simulate.hospitals import HOSPITALS, SHAPES
from atoll.simulate.score import score
from atoll.simulate.world import simulate

EXAMPLES = Path(__file__).parents[2] / "examples" / "exports"
TODAY = date(2026, 1, 1)
GAP = timedelta(30)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    out = tmp_path_factory.mktemp("five") / "world"
    simulate(out, 250, seed=3, shapes=SHAPES)
    return out


@pytest.mark.parametrize("hospital", HOSPITALS, ids=lambda hospital: hospital.shape)
def test_the_truth_arrives(world, tmp_path, hospital):
    target, export = tmp_path / "cdm.duckdb", world / hospital.name / "export"
    address = f"duckdb://{export / 'hospital.duckdb'}" if hospital.shape == "sql" else str(export)
    load(read_mapping(EXAMPLES / hospital.shape / "mapping.yaml"), address, target, today=TODAY)
    found = score(world, hospital.name, f"duckdb://{target}")
    assert found.share >= 0.995
    assert {name: part.false for name, part in found.tables.items() if part.false} == {}
    persons = found.persons
    assert (persons["unknown"], persons["different"], persons["doubled"]) == (0, 0, 0)
    assert persons["found"] == persons["true"]
    assert {kind: one for kind, one in found.faults.items() if one["named"] != one["planted"]} == {}
    assert found.values["right"] == found.values["unit_right"] == found.values["compared"] > 0
    assert found.periods["right"] == found.periods["true"] > 0
    omop = world / hospital.name / "omop"
    assert eras(target, "condition") == expected(omop, "condition_occurrence", "condition_start_date", "0")
    assert eras(target, "drug") == expected(omop, "drug_exposure", "drug_exposure_start_date", "days_supply - 1")


def eras(target, of):
    """Person, concept, first and last day of all eras that were made."""
    query = (
        f"SELECT person_source_value, {of}_concept_id, {of}_era_start_date, {of}_era_end_date FROM {of}_era"
        " JOIN person USING (person_id)"
    )
    with Workbench(target, read_only=True) as bench:
        return set(bench.rows(query))


def expected(omop, table, start, days):
    """The same from the truth, event by event: another within 30 days of the last one's end prolongs the era."""
    concept = table.partition("_")[0] + "_concept_id"
    events = duckdb.sql(
        f"SELECT person_source_value, {concept}, {start}, {start} + ({days})::INTEGER FROM '{omop / table}.parquet'"
        f" JOIN '{omop}/person.parquet' USING (person_id) ORDER BY ALL"
    ).fetchall()
    made, open_ = set(), None
    for person, what, first, last in events:
        if open_ and open_[:2] == (person, what) and first <= open_[3] + GAP:
            open_ = (*open_[:3], max(open_[3], last))
            continue
        made |= {open_} if open_ else set()
        open_ = (person, what, first, last)
    return made | {open_}
