"""Vocabularies: an Athena download into one DuckDB file, look-ups in it, and the small set that comes with the package.

An Athena download is a zip or a folder of tab-separated files, one for each vocabulary table. `concept_ancestor` is
stored in the order of ancestors and `concept` in that of ids, so that the engine finds a look-up's few blocks without
an index. The starter set (`starter_concepts.csv`, each row with its source) holds what the demo and the tests need:
sexes, visits, units, types, laboratory tests, ingredients, common conditions by code; SNOMED CT names are not in it.
"""

from __future__ import annotations

import csv
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from atoll.cdm.tables import VOCABULARY, tables
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.errors import DataError, OperatorError

STARTER = "Atoll starter set 1"
_ORDER = {
    "concept": "concept_id",
    "concept_ancestor": "ancestor_concept_id, descendant_concept_id",
    "concept_relationship": "concept_id_1, concept_id_2",
    "concept_synonym": "concept_id",
    "drug_strength": "drug_concept_id",
}
_NEEDED = ("concept", "vocabulary", "concept_relationship", "concept_ancestor")
_VERSION_DAY = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4}|\d{2})")
_TYPES = {"int32": "INTEGER", "int64": "INTEGER", "float64": "DOUBLE", "string": "VARCHAR", "date": "DATE"}
MOST_UNPACKED = 30  # times the size of the zip; Athena's text packs to about a tenth
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Loaded:
    """What a vocabulary file holds."""

    version: str
    rows: dict[str, int]


def load_athena(source: Path, target: Path, progress: Progress | None = None) -> Loaded:
    """Read an Athena download into a new DuckDB file, which takes the place of `target` when it is complete.

    Raises
    ------
    DataError
        When a file is missing, broken (with the line), or the zip unpacks to far more than vocabularies do.
    """
    say = progress or (lambda text: None)
    if not source.exists():
        raise DataError(f"There is no file or folder {source}.", "Give the zip or the folder that Athena made.")
    partial, spill = target.with_name(target.name + ".partial"), target.with_name(target.name + ".spill")
    partial.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with unpacked(source, target.parent) as folder, Workbench(partial, scratch=spill) as bench:
            bench.run("SET preserve_insertion_order = false")
            found = _files(folder)
            for name in VOCABULARY:
                _make(bench, name)
                if name in found:
                    say(name)
                    _read(bench, name, found[name])
            result = Loaded(
                _version(bench), {name: bench.value(f"SELECT count(*) FROM {quoted(name)}") for name in VOCABULARY}
            )
            bench.run("CHECKPOINT")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
        shutil.rmtree(spill, ignore_errors=True)
    return result


@contextmanager
def unpacked(source: Path, near: Path) -> Iterator[Path]:
    """The folder with the files; a zip is unpacked beside the target for as long as it is read."""
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="athena-", dir=near) as made:
        _unpack(source, Path(made))
        yield Path(made)


def _unpack(source: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            wanted = [entry for entry in archive.infolist() if _table_of(entry.filename) in VOCABULARY]
            size = sum(entry.file_size for entry in wanted)
            if size > max(MOST_UNPACKED * source.stat().st_size, 50_000_000):
                raise DataError(
                    f"{source.name} has {source.stat().st_size:,} bytes and would unpack to {size:,}: a zip bomb.",
                    "Download it from Athena again.",
                )
            if size > shutil.disk_usage(folder).free // 2:
                raise OperatorError(
                    f"Unpacking {source.name} needs {size:,} bytes.", "Free some space, or give the folder."
                )
            for entry in wanted:
                with archive.open(entry) as packed, (folder / f"{_table_of(entry.filename)}.csv").open("wb") as out:
                    _copy(packed, out, entry.file_size, source.name)
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"{source.name} is a damaged zip file.", "Download it from Athena again.") from error


def _copy(packed: Any, out: Any, size: int, name: str) -> None:
    """Copy at most the size that the archive names: a false directory does not fill the disk."""
    written = 0
    while block := packed.read(4_194_304):
        written += len(block)
        if written > size:
            raise DataError(f"{name} unpacks to more than it says: a zip bomb.", "Download it from Athena again.")
        out.write(block)


def _table_of(name: str) -> str:
    return Path(name).stem.lower()


def _files(folder: Path) -> dict[str, Path]:
    found = {_table_of(path.name): path for path in sorted(folder.rglob("*.csv"))}
    missing = [name.upper() + ".csv" for name in _NEEDED if name not in found]
    if missing:
        raise DataError(
            f"The download holds no {', '.join(missing)}.", "Give the zip or the folder that Athena made, whole."
        )
    return found


def _make(bench: Workbench, name: str) -> None:
    columns = ", ".join(f"{quoted(c.name)} {_TYPES[c.dtype]}" for c in tables()[name].columns.values())
    bench.run(f"CREATE TABLE main.{quoted(name)} ({columns})")


def _read(bench: Workbench, name: str, path: Path) -> None:
    import duckdb

    with path.open(encoding="utf-8", errors="replace") as file:
        header = [column.strip().lower() for column in file.readline().rstrip("\r\n").split("\t")]
    known = tables()[name].columns
    missing = [column for column, facts in known.items() if column not in header and facts.required]
    if missing:
        raise DataError(f"{path.name} has no column {missing[0]}.", "Is it a tab-separated file from Athena?")
    types = {column: _TYPES[known[column].dtype] if column in known else "VARCHAR" for column in header}
    listed = ", ".join(quoted(column) for column in header if column in known)
    order = f" ORDER BY {_ORDER[name]}" if name in _ORDER else ""
    options = (
        "delim = '\t', quote = '', escape = '', header = true, auto_detect = false, dateformat = '%Y%m%d', nullstr = ''"
    )
    try:
        bench.run(
            f"INSERT INTO main.{quoted(name)} ({listed}) SELECT {listed} FROM read_csv({literal(str(path))},"
            f" columns = {literal(types)}, {options}){order}"
        )
    except duckdb.Error as error:
        line = re.search(r"CSV Error on Line: (\d+)", str(error))
        where = f"line {int(line[1]):,} of " if line else ""
        raise DataError(
            f"In {where}{path.name} a field is not what it should be.", "Download it from Athena again."
        ) from error


def _version(bench: Workbench) -> str:
    found = bench.rows("SELECT vocabulary_version FROM main.vocabulary WHERE vocabulary_id = 'None'")
    return str(found[0][0]) if found and found[0][0] else "unknown"


def starter(bench: Workbench) -> None:
    """Fill the vocabulary tables of `main`, which must be there and empty, with the starter set."""
    with as_file(files("atoll.cdm").joinpath("starter_concepts.csv")) as path:
        bench.run(
            "INSERT INTO main.concept SELECT concept_id, concept_name, domain_id, vocabulary_id, concept_class_id,"
            " nullif(standard_concept, ''), concept_code, DATE '1970-01-01', DATE '2099-12-31', NULL"
            f" FROM read_csv({literal(str(path))}, header = true, all_varchar = true)"
        )
    bench.run(
        "INSERT INTO main.concept_ancestor SELECT concept_id, concept_id, 0, 0 FROM main.concept"
        " WHERE standard_concept IS NOT NULL"
    )
    with as_file(files("atoll.cdm").joinpath("starter_ancestors.csv")) as path:
        bench.run(
            "INSERT INTO main.concept_ancestor SELECT ancestor_concept_id, descendant_concept_id,"
            " min_levels_of_separation,"
            f" max_levels_of_separation FROM read_csv({literal(str(path))}, header = true)"
        )
    bench.run(
        "INSERT INTO main.vocabulary SELECT vocabulary_id, vocabulary_id, 'starter_concepts.csv',"
        f" {literal(STARTER)}, 0 FROM main.concept GROUP BY vocabulary_id"
    )


def starter_vocabularies() -> list[str]:
    """Vocabularies of the starter set."""
    text = files("atoll.cdm").joinpath("starter_concepts.csv").read_text("utf-8")
    return sorted({row["vocabulary_id"] for row in csv.DictReader(text.splitlines())})


def version_of(path: Path | None) -> str:
    """The version of a vocabulary file; of the starter set when there is none.

    Raises
    ------
    DataError
        When the file holds no vocabulary.
    """
    if path is None:
        return STARTER
    if not path.is_file():
        raise DataError(f"There is no file {path}.", "Make one with `atoll vocabulary load ATHENA --to FILE`.")
    with Workbench(path, read_only=True) as bench:
        if "concept" not in bench.tables():
            raise DataError(
                f"{path.name} holds no vocabulary.", "Make one with `atoll vocabulary load ATHENA --to FILE`."
            )
        return _version(bench)


def digest_of(path: Path | None) -> str:
    """What changes with the content of a vocabulary file: two downloads of one version may hold other vocabularies."""
    if path is None:
        return STARTER
    with Workbench(path, read_only=True) as bench:
        asked = {name: "count(*)" for name in VOCABULARY if name in bench.tables()}
        asked |= {name: "count(*), bit_xor(hash(t))" for name in ("concept", "concept_relationship") if name in asked}
        found = [bench.rows(f"SELECT {what} FROM main.{quoted(name)} t") for name, what in asked.items()]
    return "-".join(str(part) for rows in found for part in rows[0])


def day_of(version: str) -> date | None:
    """The day in a version such as `v5.0 29-FEB-24`, or None."""
    found = _VERSION_DAY.search(version)
    if found is None:
        return None
    day, month, year = found.groups()
    try:
        return datetime.strptime(f"{day}-{month.title()}-{year[-2:]}", "%d-%b-%y").date()
    except ValueError:
        return None


def require(version: str, wanted: str) -> None:
    """Refuse a vocabulary that is older than a mapping was written for.

    Raises
    ------
    DataError
        When it is older, or its age cannot be told.
    """
    if not wanted or version == wanted:
        return
    have, need = day_of(version), day_of(wanted)
    if have is None or need is None or have < need:
        raise DataError(
            f"The vocabulary is {version}, older than the mapping, which was written for {wanted}.",
            "Load a newer one with `atoll vocabulary load`, and give it with --vocabulary.",
        )


def descendants(bench: Workbench, concept: int) -> list[int]:
    """Ids of a concept and all that is below it, in order."""
    return [
        found
        for (found,) in bench.duckdb.execute(
            "SELECT descendant_concept_id FROM main.concept_ancestor WHERE ancestor_concept_id = ? ORDER BY 1",
            [concept],
        ).fetchall()
    ]


def history(bench: Workbench, concept: int) -> list[dict[str, Any]]:
    """A concept and those that replaced it, one after the other: id, valid from and to, reason of its end."""
    made: list[dict[str, Any]] = []
    seen: set[int] = set()
    while concept and concept not in seen:
        seen.add(concept)
        rows = bench.duckdb.execute(
            "SELECT concept_id, concept_code, vocabulary_id, valid_start_date, valid_end_date, invalid_reason"
            " FROM main.concept WHERE concept_id = ?", [concept]
        ).fetchall()  # fmt: skip
        if not rows:
            break
        names = ("concept_id", "code", "vocabulary", "from", "to", "invalid_reason")
        made.append(dict(zip(names, rows[0], strict=True)))
        following = bench.duckdb.execute(
            "SELECT concept_id_2 FROM main.concept_relationship WHERE concept_id_1 = ?"
            " AND relationship_id = 'Concept replaced by' AND invalid_reason IS NULL ORDER BY 1", [concept]
        ).fetchall()  # fmt: skip
        concept = following[0][0] if following else 0
    return made
