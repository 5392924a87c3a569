"""Simulate hospitals into a folder, block by block, so that memory does not grow with the number of persons.

    OUT/manifest.json               what was made, with row counts
    OUT/HOSPITAL/omop/*.parquet     the hospital as OMOP tables (and *.csv)
    OUT/HOSPITAL/export/            the same in the hospital's own shape, with planted faults
    OUT/truth/persons.parquet       one row for every person and hospital: who is who
    OUT/truth/onsets.parquet        when chronic diseases truly began, seen or not
    OUT/truth/faults.csv            every planted fault: file, row, what was done

A block's random numbers come from a counter-based generator keyed by seed and block: the same seed gives the same
world, whatever else is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from atoll.errors import OperatorError
from atoll.simulate.facts import CHRONIC
from atoll.simulate.hospitals import Hospital, choose, exporting
from atoll.simulate.life import NEVER, Persons, persons
from atoll.simulate.omop import Writer
from atoll.simulate.records import Counters, Records, patient_numbers, split
from atoll.simulate.values import values
from atoll.simulate.visits import visits

BLOCK = 10_000  # persons


def simulate(
    out: Path,
    count: int,
    hospitals: int = 5,
    seed: int = 1,
    shapes: Sequence[str] = (),
    *,
    as_csv: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Write `count` persons at `hospitals` hospitals into the folder `out`, and return the manifest.

    shapes   export shapes to write (names of `hospitals.SHAPES`); who gets which: `hospitals.exporting`

    Raises
    ------
    OperatorError
        When `out` exists and is not empty, or the shapes cannot be had.
    """
    if out.exists() and any(out.iterdir()):
        raise OperatorError(f"{out} is not empty.", "Name a new folder.")
    chosen = choose(hospitals)
    placed = exporting(chosen, shapes)
    writers = [Writer(out / h.name / "omop", h.title, as_csv=as_csv) for h in chosen]
    truth = Truth(out / "truth")
    exports = _exports(out, placed, truth, seed)
    counters = [Counters() for _ in chosen]
    try:
        for at, first in enumerate(range(0, count, BLOCK)):
            size = min(BLOCK, count - first)
            block, parts = make(chosen, seed, at, first, size, counters)
            for writer, export, records in zip(writers, exports, parts, strict=True):
                writer.write(records)
                if export is not None:
                    export.write(records)
            truth.write(block, parts)
            progress(first + size)
    finally:
        for open_ in (*writers, *filter(None, exports), truth):
            open_.close()
    manifest = {
        "persons": count,
        "seed": seed,
        "hospitals": [
            {"name": h.name, "title": h.title, "shape": h.shape, "rows": writer.rows}
            for h, writer in zip(placed, writers, strict=True)
        ],
        "faults": truth.faults,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return manifest


def make(
    hospitals: Sequence[Hospital], seed: int, at: int, first: int, size: int, counters: Sequence[Counters]
) -> tuple[Persons, list[Records]]:
    """Block number `at` in memory: persons `first` … and what each hospital wrote down."""
    rng = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, at]))
    block = persons(rng, first, size, hospitals)
    seen = visits(rng, block, hospitals)
    return block, split(block, seen, values(rng, block, seen), hospitals, counters)


def _exports(out: Path, hospitals: Sequence[Hospital], truth: Truth, seed: int) -> list[Any]:
    from atoll.simulate.shapes import open_export

    return [open_export(h, out / h.name / "export", truth, seed) if h.shape else None for h in hospitals]


class Truth:
    """What no hospital knows: who is who, when diseases began, which faults were planted."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.persons = parquet.ParquetWriter(folder / "persons.parquet", PERSONS, compression="zstd")
        self.onsets = parquet.ParquetWriter(folder / "onsets.parquet", ONSETS, compression="zstd")
        self.file = (folder / "faults.csv").open("w", encoding="utf-8", newline="")
        self.file.write("hospital,shape,kind,file,row,person_id,table,id,note\n")
        self.faults: dict[str, int] = {}

    def write(self, block: Persons, parts: Sequence[Records]) -> None:
        """One row a person and hospital; onsets once a person."""
        for r in parts:
            columns = (
                r.number, pa.array([r.hospital.name] * len(r.number)), r.person_id, patient_numbers(r).astype(object),
                days(r.birth), r.male, days(np.where(r.death == NEVER, -1, r.death), r.death < NEVER),
            )  # fmt: skip
            self.persons.write_table(pa.table([pa.array(c) for c in columns], schema=PERSONS))
        row, disease = np.nonzero(block.onset < NEVER)
        onset = days(block.onset[row, disease])
        names = pa.array(CHRONIC).take(pa.array(disease))
        self.onsets.write_table(pa.table([pa.array(block.number[row]), names, onset], schema=ONSETS))

    def fault(self, kind: str, rows: Sequence[Sequence[Any]]) -> None:
        """Record planted faults: hospital, shape, kind, file, row, person_id, table, id, note."""
        import csv

        csv.writer(self.file, lineterminator="\n").writerows(rows)
        self.faults[kind] = self.faults.get(kind, 0) + len(rows)

    def close(self) -> None:
        """Finish all files."""
        self.persons.close()
        self.onsets.close()
        self.file.close()


PERSONS = pa.schema([("number", pa.int64()), ("hospital", pa.string()), ("person_id", pa.int64()),
                     ("patient", pa.string()), ("birth", pa.date32()), ("male", pa.bool_()),
                     ("death", pa.date32())])  # fmt: skip
ONSETS = pa.schema([("number", pa.int64()), ("disease", pa.string()), ("onset", pa.date32())])


def days(values_: Any, valid: Any = None) -> pa.Array:
    """Days since 1970 as dates; null where not valid."""
    return pa.array(values_.astype("int32"), mask=None if valid is None else ~valid).cast(pa.date32())
