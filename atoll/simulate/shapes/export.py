"""What the five shapes share: a block is made neutral, faults are planted, files are written, faults are recorded."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atoll.simulate.facts import CONDITIONS, DRUGS, MEASUREMENTS
from atoll.simulate.faults import EXPECTED, plant
from atoll.simulate.neutral import Tables, neutral
from atoll.simulate.records import Records

if TYPE_CHECKING:
    from atoll.simulate.hospitals import Hospital
    from atoll.simulate.world import Truth


class Export:
    """One hospital's export, written block by block. A shape says how; see `put`."""

    chinese_units: ClassVar[float] = 0.0
    spellings: ClassVar[Mapping[str, Sequence[str]]] = {}
    impossible: ClassVar[Sequence[str]] = ()  # faults that the shape cannot hold
    unknown: ClassVar[Sequence[tuple[str, str, str]]] = ()  # export's table, OMOP's, planted code that no list has

    def __init__(self, hospital: Hospital, folder: Path, truth: Truth, seed: int):
        self.hospital, self.folder, self.truth, self.seed = hospital, folder, truth, seed
        self.blocks = 0
        self.rows: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        """Before the first block."""

    def put(self, tables: Tables) -> None:
        """Write a block."""
        raise NotImplementedError

    def write(self, records: Records) -> None:
        """Write a block of records with faults among them."""
        mark = int.from_bytes(hashlib.sha256(self.hospital.name.encode()).digest()[:4], "big")
        rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, mark, self.blocks]))
        tables = neutral(records, chinese_units=self.chinese_units, spellings=self.spellings)
        self.put(plant(rng, tables, self.impossible))
        self.blocks += 1

    def close(self) -> None:
        """Finish all files."""

    def record(self, file: str, table: pa.Table, source: str, id_column: str, *, header: int = 1) -> None:
        """Write down the faults of a table that is now written to `file`, whose rows went on from earlier blocks."""
        begin = self.rows.get(file, 0)
        self.rows[file] = begin + table.num_rows
        at = pc.indices_nonzero(pc.is_valid(table["fault"])).to_numpy()
        marked = table.take(pa.array(at))
        rows = [
            (self.hospital.name, self.hospital.shape, kind, file, int(line) + begin + 1 + header, patient, source, key,
             EXPECTED[kind])
            for line, kind, patient, key in zip(
                at, marked["fault"].to_pylist(), marked["patient"].to_pylist(), marked[id_column].to_pylist(),
                strict=True,
            )
        ]  # fmt: skip
        for kind in dict.fromkeys(row[2] for row in rows):
            self.truth.fault(kind, [row for row in rows if row[2] == kind])


class Lines:
    """A text file of delimited columns, written from Arrow in the encoding asked."""

    def __init__(self, path: Path, headings: Sequence[str], encoding: str = "utf-8", end: str = "\n"):
        self.file: IO[bytes] = path.open("wb")
        self.encoding, self.end = encoding, end
        self.file.write((",".join(headings) + end).encode(encoding))

    def write(self, columns: Sequence[Any]) -> None:
        """Append rows; the texts of the simulation hold no comma and no quote."""
        if not len(columns[0]):
            return
        lines = pc.binary_join_element_wise(*columns, ",", null_handling="replace", null_replacement="")
        if isinstance(lines, pa.ChunkedArray):
            lines = lines.combine_chunks()
        text = self.end.join(lines.to_pylist()) + self.end
        self.file.write(text.encode(self.encoding))

    def close(self) -> None:
        """Finish the file."""
        self.file.close()


def write_codes(path: Path, codes: Mapping[str, Sequence[str]]) -> None:
    """The true meaning of a hospital's own codes: kind, code, name, concept_id, unit; those of faults are not in it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("kind", "code", "name", "concept_id", "unit"))
        for kind, rows in (("condition", CONDITIONS), ("drug", DRUGS), ("measurement", MEASUREMENTS)):
            for code, row in zip(codes[kind], rows, strict=True):
                writer.writerow((kind, code, row["zh"], row["concept_id"], row.get("unit", "")))
