"""Loading an export: Synthea-like CSV against DuckDB reading and writing the same bytes, FHIR against pyarrow's reader.

Every side is a whole process with the same threads and, where it can be told, the same memory; times and peaks are the
kernel's. Making the exports takes long, so this part runs only when it is named: PARTS=loading.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

PERSONS, FEWER, FHIR = 100_000, 10_000, 20_000
THREADS, MEMORY, GIGABYTES = 2, "1200MB", 2
MAPPINGS = Path(__file__).parents[1] / "examples" / "exports"
COPY = """\
import sys
from pathlib import Path
import duckdb
config = {"threads": int(sys.argv[3]), "memory_limit": sys.argv[4], "temp_directory": sys.argv[2] + ".spill"}
with duckdb.connect(sys.argv[2], config=config) as connection:
    for file in sorted(Path(sys.argv[1]).glob("*.csv")):
        connection.execute(f"CREATE TABLE {file.stem} AS SELECT * FROM read_csv('{file}', all_varchar = true)")
"""
READ = """\
import sys
from pathlib import Path
import pyarrow as pa
from pyarrow import json
pa.set_cpu_count(int(sys.argv[2]))
for file in sorted(Path(sys.argv[1]).glob("*.ndjson")):
    json.read_json(file)
"""


def rows(persons: int = PERSONS, fewer: int = FEWER, fhir: int = FHIR) -> list[dict[str, object]]:
    """Rows of the table."""
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as place:
        folder = Path(place)
        small, _ = _loaded(folder, "synthea", fewer)
        export, size = _export(folder, "synthea", persons)
        ours, peak = _load(folder, "synthea", export)
        theirs, _ = _measured(["-c", COPY, str(export), str(folder / "copy.duckdb"), str(THREADS), MEMORY])
        bundle, bytes_ = _export(folder, "fhir", fhir)
        mine, high = _load(folder, "fhir", bundle)
        reader, _ = _measured(["-c", READ, str(bundle), str(THREADS)])
    csv = f"loading Synthea-like CSV, {persons:,} persons"
    json = f"loading FHIR NDJSON, {fhir:,} persons"
    return [
        _row(csv, ours, "DuckDB reading and writing the same bytes", theirs, 5, note=f"{size / 1e6:,.0f} MB"),
        _row("the same, peak memory", peak, "the most it may take", GIGABYTES, 1, "GB"),
        _row(f"the same, {persons // fewer} times the data", ours, f"{fewer:,} persons", small, 1.1 * persons / fewer),
        _row(json, mine, "pyarrow's JSON reader alone", reader, 8, note=f"{bytes_ / 1e6:,.0f} MB, peak {high:.1f} GB"),
    ]


def _loaded(folder: Path, shape: str, persons: int) -> tuple[float, float]:
    return _load(folder, shape, _export(folder, shape, persons)[0])


def _export(folder: Path, shape: str, persons: int) -> tuple[Path, int]:
    """The export of one hospital that sees everybody, and its bytes; block by block, as `atoll simulate` makes it."""
    from atoll.simulate.hospitals import HOSPITALS
    from atoll.simulate.records import Counters
    from atoll.simulate.shapes import open_export
    from atoll.simulate.world import BLOCK, Truth, make

    hospital = replace(next(one for one in HOSPITALS if one.shape == shape), share=1.0)
    place = folder / f"{shape}-{persons}"
    truth, counters = Truth(folder / f"{shape}-{persons}-truth"), [Counters()]
    export = open_export(hospital, place, truth, 1)
    for at, first in enumerate(range(0, persons, BLOCK)):
        export.write(make([hospital], 1, at, first, min(BLOCK, persons - first), counters)[1][0])
    export.close()
    truth.close()
    return place, sum(file.stat().st_size for file in place.iterdir())


def _load(folder: Path, shape: str, export: Path) -> tuple[float, float]:
    target = f"duckdb://{folder}/{export.name}.duckdb"
    mapping = str(MAPPINGS / shape / "mapping.yaml")
    return _measured(["-m", "atoll", "load", mapping, "--from", str(export), "--cdm", target, "--memory", MEMORY])


def _measured(words: list[str]) -> tuple[float, float]:
    """Seconds and peak gigabytes of a Python process."""
    start = time.perf_counter()
    environment = {**os.environ, "ATOLL_THREADS": str(THREADS)}
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{words[:3]} failed with {process.returncode}")
    return seconds, used.ru_maxrss * 1024 / 1e9


def _row(
    what: str, ours: float, against: str, theirs: float, target: float, unit: str = "s", note: str = ""
) -> dict[str, object]:
    sides = {"ours": f"{ours:.1f} {unit}", "theirs": f"{theirs:.1f} {unit}", "ratio": ours / theirs}
    return {"what": what, "against": against, **sides, "target": target, "note": note}


if __name__ == "__main__":
    for row in rows(*map(int, sys.argv[1:])):
        print(row)
