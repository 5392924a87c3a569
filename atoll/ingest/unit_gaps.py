"""Values without a unit: in which one they are, told from how the values of the same test with a unit are distributed.

Nothing is filled in silently. Every such value stands in `ingest.unit_inferred` with its likeliest unit and the
probability (`study.units.infer`); the measurement itself gets the unit only where the mapping says from which
probability on (`units: {infer: 0.99}`), and is marked there as filled. Where the mapping converts a test's values,
their distribution is that of the numbers as they were written, before the conversion (`ingest.unit_converted` holds
how each unit was converted), and a value that is filled in is converted like the others. Values that were filled are
no evidence for others, so a table that was taken from an earlier release gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from atoll.cdm.workbench import Workbench, literal
from atoll.ingest.kinds import SEPARATOR
from atoll.ingest.lookups import unit_finder
from atoll.study.units import UnitError, conversion, infer

FEWEST = 20  # values in a unit before they say how it looks
SAMPLE = 20_000  # of them, in the order of their ids, which is none of theirs
UNKNOWN = 0.01  # least prior share of a unit in which none of a test's other values is
BATCH = 500_000
_OWN = "SELECT id FROM ingest.unit_inferred WHERE filled"
_EMPTY = "coalesce(unit_concept_id, 0) = 0 AND value_as_number IS NOT NULL AND measurement_concept_id <> 0"
Finder = Callable[[str], int]  # unit as written → its concept
Conversions = Mapping[str, tuple[int, float, float]]  # unit as written → concept that it became, factor, offset


def look(bench: Workbench, least: float | None) -> None:
    """Fill `ingest.unit_inferred`, and the units of measurements that are at least so probable (None: of none)."""
    bench.run("DELETE FROM ingest.unit_inferred WHERE NOT filled")
    concept_of = unit_finder(bench)
    for (concept,) in bench.rows(f"SELECT DISTINCT measurement_concept_id FROM main.measurement WHERE {_EMPTY}"):
        made = _conversions(bench, int(concept), concept_of)
        known, unknown = _known(bench, int(concept), made, concept_of)
        if known:
            _infer(bench, int(concept), known, unknown, least)
            _fill(bench, int(concept), {concept_of(unit): into for unit, into in made.items()})


def _conversions(bench: Workbench, concept: int, concept_of: Finder) -> Conversions:
    """How a test's units were converted; of two ways the one that more values went."""
    made: dict[str, tuple[int, float, float]] = {}
    for into, asked in bench.rows(
        f"SELECT unit_concept_id, asked FROM ingest.unit_converted WHERE concept_id = {concept} ORDER BY rows, asked"
    ):
        unit, wanted, *analyte = asked.split(SEPARATOR)
        try:
            slope, offset = (1.0, 0.0) if unit == wanted else conversion(unit, wanted, *analyte)
        except UnitError:
            continue
        if target := into or concept_of(wanted):
            made[unit] = (int(target), slope, offset)
    return made


def _known(bench: Workbench, concept: int, made: Conversions, concept_of: Finder) -> tuple[dict[str, Any], float]:
    """Numbers as they were written, by the concept of the unit that they had, for units with enough of them.

    And the share of those in other units, which are no evidence: a value without a unit may be in one of them.
    """
    wanted = (
        f"FROM main.measurement WHERE measurement_concept_id = {concept} AND value_as_number > 0"
        f" AND unit_concept_id <> 0 AND measurement_id NOT IN ({_OWN})"
    )
    found, rows = dict[str, list[Any]](), dict[str, int]()
    for into, written, n in bench.rows(
        f"SELECT unit_concept_id, unit_source_value, count(*) {wanted} GROUP BY 1, 2 ORDER BY 1, 2"
    ):
        if made and made.get(written, (0,))[0] != into:
            rows[""] = rows.get("", 0) + n  # it cannot be told what it was before
            continue
        source = "unit_source_value IS NULL" if written is None else f"unit_source_value = {literal(written)}"
        values = bench.duckdb.execute(
            f"SELECT value_as_number AS v {wanted} AND unit_concept_id = {into} AND {source} ORDER BY measurement_id"
            f" LIMIT {SAMPLE}"
        ).fetchnumpy()["v"]
        _, slope, offset = made.get(written, (0, 1.0, 0.0))
        unit = concept_of(written) if written in made else int(into)
        rows[str(unit)] = rows.get(str(unit), 0) + n
        if unit:
            found.setdefault(str(unit), []).append((values - offset) / slope)
    joined = {unit: np.concatenate(parts)[:SAMPLE] for unit, parts in found.items()}
    enough = {unit: values for unit, values in joined.items() if len(values) >= FEWEST}
    share = sum(rows[unit] for unit in enough) / max(sum(rows.values()), 1)
    return enough, min(max(UNKNOWN, 1 - share), 0.5)


def _infer(bench: Workbench, concept: int, known: dict[str, Any], unknown: float, least: float | None) -> None:
    import pyarrow as pa

    reader = bench.duckdb.execute(
        f"SELECT measurement_id, value_as_number FROM main.measurement WHERE {_EMPTY}"
        " AND measurement_concept_id = ? ORDER BY measurement_id", [concept]
    ).to_arrow_table()  # fmt: skip
    for batch in reader.to_batches(BATCH):
        units, weight = infer(batch.column(1).to_numpy(zero_copy_only=False), known, unknown)
        best, rows = weight.argmax(axis=1), np.arange(len(weight))
        found = pa.table(
            {
                "id": batch.column(0),
                "unit": pa.array(np.array([int(unit) for unit in units])[best]),
                "probability": pa.array(weight[rows, best].round(6)),
            }
        )
        bench.duckdb.register("found_units", found)
        filled = "false" if least is None else f"probability >= {float(least)}"
        bench.run(
            f"INSERT INTO ingest.unit_inferred SELECT 'measurement', id, {concept}, unit, probability, {filled}"
            " FROM found_units ORDER BY id"
        )
        bench.duckdb.unregister("found_units")


def _fill(bench: Workbench, concept: int, made: Mapping[int, tuple[int, float, float]]) -> None:
    """Write the units that are probable enough, and convert the numbers as those with a unit were."""
    filled = f"FROM ingest.unit_inferred WHERE filled AND concept_id = {concept}"
    for (unit,) in bench.rows(f"SELECT DISTINCT unit_concept_id {filled}"):
        into, slope, offset = made.get(int(unit), (int(unit), 1.0, 0.0))
        bench.run(
            f"UPDATE main.measurement SET unit_concept_id = {into}, value_as_number = value_as_number * {slope!r}"
            f" + {offset!r} WHERE {_EMPTY} AND measurement_id IN (SELECT id {filled} AND unit_concept_id = {unit})"
        )
