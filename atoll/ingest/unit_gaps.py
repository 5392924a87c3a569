"""Values without a unit: in which one they are, told from how the values of the same test with a unit are distributed.

Nothing is filled in silently. Every such value stands in `ingest.unit_inferred` with its likeliest unit and the
probability (`study.units.infer`); the measurement itself gets the unit only where the mapping says from which
probability on (`units: {infer: 0.99}`), and is marked there as filled. Values that were filled are no evidence for
others, so a table that was taken from an earlier release gives the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from atoll.cdm.workbench import Workbench
from atoll.study.units import infer

FEWEST = 20  # values in a unit before they say how it looks
SAMPLE = 20_000  # of them, in the order of their ids, which is none of theirs
BATCH = 500_000
_OWN = "SELECT id FROM ingest.unit_inferred WHERE filled"
_EMPTY = "coalesce(unit_concept_id, 0) = 0 AND value_as_number IS NOT NULL AND measurement_concept_id <> 0"


def look(bench: Workbench, least: float | None) -> None:
    """Fill `ingest.unit_inferred`, and the units of measurements that are at least so probable (None: of none)."""
    bench.run("DELETE FROM ingest.unit_inferred WHERE NOT filled")
    for (concept,) in bench.rows(f"SELECT DISTINCT measurement_concept_id FROM main.measurement WHERE {_EMPTY}"):
        known = _known(bench, int(concept))
        if known:
            _infer(bench, int(concept), known, least)
    bench.run(
        "UPDATE main.measurement SET unit_concept_id = i.unit_concept_id FROM ingest.unit_inferred i"
        " WHERE i.filled AND i.id = measurement.measurement_id AND coalesce(measurement.unit_concept_id, 0) = 0"
    )


def _known(bench: Workbench, concept: int) -> dict[str, Any]:
    """Values by unit, for units that have enough of them."""
    units = bench.rows(
        "SELECT unit_concept_id, count(*) FROM main.measurement WHERE value_as_number > 0 AND unit_concept_id <> 0"
        f" AND measurement_concept_id = {concept} AND measurement_id NOT IN ({_OWN}) GROUP BY 1 ORDER BY 1"
    )
    return {
        str(unit): bench.duckdb.execute(
            "SELECT value_as_number FROM main.measurement WHERE value_as_number > 0 AND unit_concept_id = ?"
            f" AND measurement_concept_id = ? AND measurement_id NOT IN ({_OWN}) ORDER BY measurement_id"
            f" LIMIT {SAMPLE}",
            [unit, concept],
        ).fetchnumpy()["value_as_number"]
        for unit, n in units
        if n >= FEWEST
    }


def _infer(bench: Workbench, concept: int, known: dict[str, Any], least: float | None) -> None:
    import pyarrow as pa

    reader = bench.duckdb.execute(
        f"SELECT measurement_id, value_as_number FROM main.measurement WHERE {_EMPTY}"
        " AND measurement_concept_id = ? ORDER BY measurement_id", [concept]
    ).to_arrow_table()  # fmt: skip
    for batch in reader.to_batches(BATCH):
        units, weight = infer(batch.column(1).to_numpy(zero_copy_only=False), known)
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
