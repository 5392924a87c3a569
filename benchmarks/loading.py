"""Loading an export: Synthea-like CSV against DuckDB reading and writing the same bytes, FHIR against pyarrow's reader;
and a scan of the CSV against DuckDB's summary of it.

Every side is a whole process with the same threads and, where it can be told, the same memory; times and peaks are the
kernel's. Making the exports takes long, so this part runs only when it is named: PARTS=loading.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

PERSONS, FEWER, FHIR = 100_000, 10_000, 20_000
THREADS, MEMORY, GIGABYTES = 2, "1200MB", 2
MAPPINGS = Path(__file__).parents[1] / "examples" / "exports"
COPY = """\
import sys
from pathlib import Path
import duckdb
Path(sys.argv[2]).unlink(missing_ok=True)
config = {"threads": int(sys.argv[3]), "memory_limit": sys.argv[4], "temp_directory": sys.argv[2] + ".spill"}
with duckdb.connect(sys.argv[2], config=config) as connection:
    for file in sorted(Path(sys.argv[1]).glob("*.csv")):
        connection.execute(f"CREATE TABLE {file.stem} AS SELECT * FROM read_csv('{file}', all_varchar = true)")
"""
LOOK = """\
import sys
from pathlib import Path
import duckdb
config = {"threads": int(sys.argv[3]), "memory_limit": sys.argv[4], "temp_directory": sys.argv[2] + ".spill"}
with duckdb.connect(config=config) as connection:
    for file in sorted(Path(sys.argv[1]).glob("*.csv")):
        connection.execute(f"SUMMARIZE SELECT * FROM read_csv('{file}')").fetchall()
"""
READ = """\
import sys
from pathlib import Path
import pyarrow as pa
from pyarrow import json
pa.set_cpu_count(int(sys.argv[3]))
for file in sorted(Path(sys.argv[1]).glob("*.ndjson")):
    json.read_json(file)
"""


class Used(NamedTuple):
    """What a process used, as the kernel counted it: seconds on the wall and of processors, most gigabytes at once."""

    seconds: float
    processor: float
    gigabytes: float


def rows(persons: int = PERSONS, fewer: int = FEWER, fhir: int = FHIR) -> list[dict[str, object]]:
    """Rows of the table."""
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as place:
        folder = Path(place)
        few, _ = _export(folder, "synthea", fewer)
        export, size = _export(folder, "synthea", persons)
        before = _load(folder, "synthea", few)
        ours, theirs = _between(folder, "synthea", export, COPY)
        small = _mean(before, _load(folder, "synthea", few))
        looked, summed = _between(folder, "synthea", export, LOOK, _scan)
        bundle, size_of_fhir = _export(folder, "fhir", fhir)
        mine, reader = _between(folder, "fhir", bundle, READ)
    csv = f"loading Synthea-like CSV, {persons:,} persons"
    json = f"loading FHIR NDJSON, {fhir:,} persons"
    more, most = f"the same, {persons // fewer} times the data", 11 * persons // fewer / 10
    return [
        _row(csv, ours, "DuckDB reading and writing the same bytes", theirs, 5, size),
        _row(more, ours, f"{fewer:,} persons", small, most),
        {"what": "the same, peak memory", "against": "the most it may take", "ours": f"{ours.gigabytes:.1f} GB",
         "theirs": f"{GIGABYTES} GB", "ratio": ours.gigabytes / GIGABYTES, "target": 1, "note": ""},
        _row(json, mine, "pyarrow's JSON reader alone", reader, 8, size_of_fhir),
        _row(f"looking at the CSV export, {persons:,} persons", looked, "DuckDB's SUMMARIZE of the same files", summed,
             None, size),
    ]  # fmt: skip


def _export(folder: Path, shape: str, persons: int) -> tuple[Path, int]:
    """An export and its bytes. Another process makes it: the kernel takes this one's peak for its children's."""
    words = [sys.executable, __file__, "export", str(folder), shape, str(persons)]
    subprocess.run(words, check=True)
    place = folder / f"{shape}-{persons}"
    return place, sum(file.stat().st_size for file in place.iterdir())


def export_of(folder: Path, shape: str, persons: int) -> None:
    """Write the export of one hospital that sees everybody, block by block, as `atoll simulate` makes it."""
    from atoll.simulate.hospitals import HOSPITALS
    from atoll.simulate.records import Counters
    from atoll.simulate.shapes import open_export
    from atoll.simulate.world import BLOCK, Truth, make

    hospital = replace(next(one for one in HOSPITALS if one.shape == shape), share=1.0)
    truth, counters = Truth(folder / f"{shape}-{persons}-truth"), [Counters()]
    export = open_export(hospital, folder / f"{shape}-{persons}", truth, 1)
    for at, first in enumerate(range(0, persons, BLOCK)):
        export.write(make([hospital], 1, at, first, min(BLOCK, persons - first), counters)[1][0])
    export.close()
    truth.close()


def _between(
    folder: Path, shape: str, export: Path, program: str, work: Callable[[Path, str, Path], Used] | None = None
) -> tuple[Used, Used]:
    """A load (or other work), and the mean of the other side before and after it, since neighbours come and go."""
    words = ["-c", program, str(export), str(folder / "copy.duckdb"), str(THREADS), MEMORY]
    before, ours, after = _measured(words), (work or _load)(folder, shape, export), _measured(words)
    return ours, _mean(before, after)


def _mean(*several: Used) -> Used:
    return Used(*(statistics.mean(each) for each in zip(*several, strict=True)))


def _load(folder: Path, shape: str, export: Path) -> Used:
    for left in folder.glob(f"{export.name}.duckdb*"):
        left.unlink()
    target = f"duckdb://{folder}/{export.name}.duckdb"
    mapping = str(MAPPINGS / shape / "mapping.yaml")
    return _measured(["-m", "atoll", "load", mapping, "--from", str(export), "--cdm", target, "--memory", MEMORY])


def _scan(folder: Path, shape: str, export: Path) -> Used:
    return _measured(["-m", "atoll", "source", "scan", str(export), "--out", str(folder / "scan.json"), "--replace"])


def _measured(words: list[str]) -> Used:
    """What a Python process uses."""
    start = time.perf_counter()
    environment = {**os.environ, "ATOLL_THREADS": str(THREADS)}
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{words[:3]} failed with {process.returncode}")
    return Used(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9)


def _row(what: str, ours: Used, against: str, theirs: Used, target: float | None, size: int = 0) -> dict[str, object]:
    sides = {"ours": f"{ours.seconds:.1f} s", "theirs": f"{theirs.seconds:.1f} s"}
    note = f"{size / 1e6:,.0f} MB; " if size else ""
    note += f"processor time {ours.processor:.1f} against {theirs.processor:.1f} s; peak {ours.gigabytes:.1f} GB"
    ratio = ours.seconds / theirs.seconds
    return {"what": what, "against": against, **sides, "ratio": ratio, "target": target, "note": note}


if __name__ == "__main__" and sys.argv[1:2] == ["export"]:
    export_of(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
elif __name__ == "__main__":
    for row in rows(*map(int, sys.argv[1:])):
        print(row)
