"""A release in the making: a file beside the one that analyses read, which takes its place when it is complete.

Analyses see the old release or the new one, never a mixture: the file is renamed over the other in one step, and
whoever reads the old one reads on. Every step of the making is one transaction that also notes that it is done, so a
load that was killed, or whose disk was full, goes on behind its last step when the same command is typed again, with
the same result. A release that is sealed (manifest written) has only to be put in force.

The schema `ingest` of a release holds what the hospital needs to know about it: `release` (number, manifest; the files
stand there), `rejected` (rows, with the reason), `reason` (counts), `person_key`, `merged`, `local_concept`,
`unmapped`, `unit_inferred` (values without a unit, with the likeliest one and its probability), `unit_converted` (how
many values came into which unit, and by what), `part` (what each table was made from, and whether it was taken over),
`coming` (the day on which the first of a table's rows that lie in the future will have come), `own` (all that the load
put into the file: what else is there later is somebody's, and no release takes its place; cohorts go along).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from atoll.cdm.tables import RESULTS, tables
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.durable import move, reason, sync
from atoll.errors import DataError, OperatorError
from atoll.ingest.lists import UNITS
from atoll.ingest.repeats import REPEATS
from atoll.ingest.report import BROKEN
from atoll.ingest.reuse import attached
from atoll.ingest.rules import NOT_CONVERTED, UNKNOWN_UNIT, WITHOUT_UNIT
from atoll.ingest.sources import Source

AGAIN = (
    "Free some space there and type the command again: it goes on where it stopped."
    " The release in force was not touched."
)
# columns of a table that is being filled
EXTRA = {"_key": "VARCHAR", "_reason": "VARCHAR", "_note": "BIGINT", "_row": "VARCHAR", "_rule": "SMALLINT",
         "_converted": "VARCHAR", "_comes": "DATE", "_unmapped": "VARCHAR[]"}  # fmt: skip
_TYPES = {"int32": "INTEGER", "int64": "BIGINT", "float64": "DOUBLE", "string": "VARCHAR", "date": "DATE",
          "timestamp": "TIMESTAMP"}  # fmt: skip
_OWN = (
    "CREATE SCHEMA IF NOT EXISTS ingest",
    "CREATE TABLE ingest.plan (digest VARCHAR)",
    "CREATE TABLE ingest.rule (position SMALLINT, target VARCHAR, source VARCHAR)",
    "CREATE TABLE ingest.note (position SMALLINT, bit INTEGER, note VARCHAR)",
    "CREATE TABLE ingest.emptied (position SMALLINT, reason VARCHAR, rows BIGINT)",
    "CREATE TABLE ingest.step (name VARCHAR, rows BIGINT)",
    "CREATE TABLE ingest.release (number INTEGER, manifest VARCHAR)",
    'CREATE TABLE ingest.rejected ("table" VARCHAR, source VARCHAR, what VARCHAR, reason VARCHAR,'
    " key VARCHAR, row VARCHAR)",
    'CREATE TABLE ingest.reason ("table" VARCHAR, source VARCHAR, what VARCHAR, reason VARCHAR, rows BIGINT)',
    "CREATE TABLE ingest.local_concept (vocabulary VARCHAR, concept_code VARCHAR, concept_id BIGINT)",
    'CREATE TABLE ingest.unmapped ("table" VARCHAR, vocabulary VARCHAR, concept_code VARCHAR, rows BIGINT)',
    'CREATE TABLE ingest.unit_inferred ("table" VARCHAR, id BIGINT, concept_id BIGINT, unit_concept_id BIGINT,'
    " probability DOUBLE, filled BOOLEAN)",
    'CREATE TABLE ingest.unit_converted ("table" VARCHAR, concept_id BIGINT, unit_concept_id BIGINT, asked VARCHAR,'
    " rows BIGINT)",
    "CREATE TABLE ingest.part (name VARCHAR, mark VARCHAR, taken BOOLEAN)",
    'CREATE TABLE ingest.coming ("table" VARCHAR, day DATE)',
    "CREATE TABLE ingest.merged (key VARCHAR, kept VARCHAR)",
    "CREATE TABLE ingest.person_key (key VARCHAR, key_id BIGINT, person_id BIGINT, birth DATE, death DATE, status"
    " VARCHAR)",
)


_HELD = """
    SELECT what || ' ' || place || '.' || name AS name FROM (
    SELECT 'the table', schema_name, table_name, database_name FROM duckdb_tables() UNION ALL
    SELECT 'the view', schema_name, view_name, database_name FROM duckdb_views() WHERE NOT internal UNION ALL
    SELECT 'the sequence', schema_name, sequence_name, database_name FROM duckdb_sequences() UNION ALL
    SELECT 'the type', schema_name, type_name, database_name FROM duckdb_types() WHERE NOT internal UNION ALL
    SELECT 'the macro', schema_name, function_name, database_name FROM duckdb_functions() WHERE NOT internal
    ) AS held(what, place, name, file) WHERE file = current_database()"""


@contextlib.contextmanager
def only_one(target: Path, called: str = "") -> Iterator[None]:
    """Hold the lock of a target: two loads of one database at a time would spoil each other.

    called   its name for people, when the file's is none

    Raises
    ------
    OperatorError
        When another load holds it, or no file can be made there.
    """
    lock = target.with_name(target.name + ".lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = lock.open("w")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise OperatorError(
            f"{target} cannot be made: {reason(error)}.", "Choose another place for --cdm, or ask for the right to it."
        ) from error
    with held as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OperatorError(
                f"Another load into {called or target.name} is running.", "Wait for its end."
            ) from error
        yield


class Build:
    """The next release of a DuckDB file; `filled` are the tables that rules fill."""

    def __init__(
        self, target: Path, digest: str, filled: Collection[str], *, memory: str, vocabulary: Path | None
    ):  # fmt: skip
        self.target, self.path = target, target.with_name(target.name + ".next")
        self.folder = target.with_name(target.name + ".work")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.sealed: dict[str, Any] = {}  # the manifest of a release that is complete and not yet in force
        self.resumed = self._matches(digest)
        if not self.resumed:
            self._begin(vocabulary)
        self.bench = Workbench(self.path, scratch=self.folder / "spill", memory=memory, again=AGAIN)
        if not self.resumed:
            self._lay_out(digest, filled)

    def _matches(self, digest: str) -> bool:
        """Whether an unfinished release of exactly this plan is there."""
        if not self.path.exists():
            return False
        try:
            with Workbench(self.path, again=AGAIN) as bench:
                if "plan" in bench.tables("ingest"):
                    return bool(bench.value("SELECT digest FROM ingest.plan") == digest)
                sealed = _manifest(bench)
        except Exception as error:  # killed before the plan was written, or damaged: begin anew
            if getattr(error, "code", "") == "DISK_FULL":
                raise
            return False
        self.sealed = sealed if sealed.get("plan") == digest else {}
        return bool(self.sealed)

    def _begin(self, vocabulary: Path | None) -> None:
        for stale in (self.path, self.path.with_name(self.path.name + ".wal")):
            stale.unlink(missing_ok=True)
        if vocabulary is not None:
            shutil.copyfile(vocabulary, self.path)

    def _lay_out(self, digest: str, filled: Collection[str]) -> None:
        bench = self.bench
        with bench.transaction():
            for statement in _OWN:
                bench.run(statement)
            there = set(bench.tables())
            for table in tables().values():
                if table.name not in there:
                    columns = [f"{quoted(c.name)} {_TYPES[c.dtype]}" for c in table.columns.values()]
                    if table.name in filled:
                        columns += [f"{column} {kind}" for column, kind in EXTRA.items()]
                    bench.run(f"CREATE TABLE main.{quoted(table.name)} ({', '.join(columns)})")
            bench.run(f"INSERT INTO ingest.plan VALUES ({literal(digest)})")

    def carry(self) -> None:
        """Take the hospital's own concepts over from the release in force, so that they keep their numbers."""
        if not self.target.exists():
            return
        with attached(self.bench, self.target) as there:
            if "local_concept" in there:
                with self.step("local concepts") as run:
                    if run:
                        self.bench.run(  # an older release may hold codes with zero bytes
                            "INSERT INTO ingest.local_concept SELECT vocabulary, CASE WHEN count(*) OVER (PARTITION BY"
                            " vocabulary, without_zeros(concept_code)) = 1 THEN without_zeros(concept_code) ELSE"
                            " concept_code END, concept_id FROM atoll_in_force.ingest.local_concept"
                        )

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[bool]:
        """One transaction; gives False when an earlier run did it."""
        if self.bench.rows(f"SELECT 1 FROM ingest.step WHERE name = {literal(name)}"):
            yield False
            return
        with self.bench.transaction():
            yield True
            self.bench.run(f"INSERT INTO ingest.step VALUES ({literal(name)}, 0)")

    def settle(self, name: str) -> None:
        """Put the rejected rows of a table aside, with their reasons."""
        bench = self.bench
        full = f"main.{quoted(name)}"
        bench.run(
            f"INSERT INTO ingest.rejected SELECT {literal(name)}, r.source, 'row', _reason, _key, _row FROM {full}"
            " JOIN ingest.rule r ON r.position = _rule WHERE _reason IS NOT NULL"
            + ("" if name in ("person", "death") else f" AND _reason NOT IN {REPEATS}")  # which `repeats` has named
        )
        self._coming(name)
        for position, bit, text in bench.rows(
            "SELECT position, bit, note FROM ingest.note JOIN ingest.rule USING (position)"
            f" WHERE target = {literal(name)} ORDER BY 1, 2"
        ):
            what = "unit" if text in (WITHOUT_UNIT, UNKNOWN_UNIT, NOT_CONVERTED) else "value"
            noted = f"_rule = {int(position)} AND _reason IS NULL AND (_note >> {int(bit)}) & 1 = 1"
            bench.run(
                f"INSERT INTO ingest.rejected SELECT {literal(name)}, r.source, {literal(what)}, {literal(text)}, _key,"
                f" _row FROM {full} JOIN ingest.rule r ON r.position = _rule WHERE {noted}"
            )
            if text in (UNKNOWN_UNIT, NOT_CONVERTED):
                bench.run(
                    f"INSERT INTO ingest.unmapped SELECT {literal(name)}, {literal(UNITS)}, unit_source_value, count(*)"
                    f" FROM {full} WHERE {noted} GROUP BY ALL ORDER BY ALL"
                )
        bench.run(f"DELETE FROM {full} WHERE _reason IS NOT NULL")
        bench.run(
            f"INSERT INTO ingest.unmapped SELECT {literal(name)}, split_part(code, chr(31), 1),"
            f" code[strpos(code, chr(31)) + 1:], count(*) FROM (SELECT unnest(list_distinct(_unmapped)) AS code FROM"
            f" {full} WHERE _unmapped IS NOT NULL) GROUP BY ALL ORDER BY ALL"
        )
        if name == "measurement":
            bench.run(
                "INSERT INTO ingest.unit_converted SELECT 'measurement', measurement_concept_id, unit_concept_id,"
                " _converted, count(*) FROM main.measurement WHERE _converted IS NOT NULL AND value_as_number IS NOT"
                " NULL GROUP BY ALL ORDER BY ALL"
            )

    def _coming(self, name: str) -> None:
        """Note the day on which the first of what lies in the future in a table will have come."""
        self.bench.run(
            f"INSERT INTO ingest.coming SELECT {literal(name)}, min(_comes) FROM main.{quoted(name)}"
            " WHERE _comes IS NOT NULL HAVING count(*) > 0"
        )

    def strip(self, name: str) -> None:
        """Take the loader's columns off a table, in a transaction of its own: none alters a table that it changed."""
        for column in EXTRA:
            self.bench.run(f"ALTER TABLE main.{quoted(name)} DROP COLUMN {column}")

    def seal(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest: nothing is added to the release any more."""
        bench = self.bench
        with bench.transaction():
            bench.run(
                'INSERT INTO ingest.reason SELECT "table", source, what, reason, count(*) FROM ingest.rejected'
                " GROUP BY ALL ORDER BY ALL"
            )
            text = json.dumps(manifest, ensure_ascii=False, sort_keys=True)
            bench.run(f"INSERT INTO ingest.release VALUES ({int(manifest['release'])}, {literal(text)})")
            for scaffold in ("plan", "step", "rule", "note", "emptied"):
                bench.run(f"DROP TABLE ingest.{scaffold}")
            bench.run("CREATE TABLE ingest.own (name VARCHAR)")
            bench.run(f"INSERT INTO ingest.own {_HELD}")

    def put_in_force(self) -> None:
        """Give the release the place of the one before it.

        Raises
        ------
        OperatorError
            When somebody has put something of their own into that one meanwhile.
        """
        bench = self.bench
        if self.target.exists():
            with attached(bench, self.target) as there, bench.transaction():
                for name in RESULTS if "release" in there else ():  # analyses write them: they stay as they are
                    listed = ", ".join(map(quoted, tables()[name].columns))
                    bench.run(f"DELETE FROM main.{name}")
                    bench.run(f"INSERT INTO main.{name} ({listed}) SELECT {listed} FROM atoll_in_force.main.{name}")
        bench.run("DETACH DATABASE IF EXISTS atoll_in_force")
        bench.run("CHECKPOINT")
        bench.close()
        refuse_foreign(self.target)
        sync(self.path)  # on disk before anyone can see it
        move(self.path, self.target)
        shutil.rmtree(self.folder, ignore_errors=True)


def keep_broken_lines(bench: Workbench, source: Source) -> None:
    """Put the broken lines met since aside, in the step that met them: a load that goes on does not read them again.

    Raises
    ------
    DataError
        For an open quote that swallows the lines after it, which would be lost: such a file is not loaded.
    """
    import pyarrow as pa

    broken, lines = source.broken(), {file.name: file.lines for file in source.files()}
    for file, line, _, text in broken:
        if swallowed := text.rstrip("\r\n").count("\n"):
            lost = max(lines.get(file, 0) - line, swallowed)  # the engine stops long before the file's end
            if text.count('"') % 2 == 0:
                below = f"{swallowed:,} line{'s' * (swallowed > 1)} below"
                raise DataError(
                    f"Line {line:,} of {file} opens a quote that closes {below}.",
                    "What lies between would be lost. Correct the line, or export the file again. The release in force"
                    " was not touched.",
                )
            raise DataError(
                f"Line {line:,} of {file} opens a quote that never closes; the {lost:,} lines after it cannot be read.",
                "Correct that line, or export the file again. The release in force was not touched.",
            )
    if not broken:
        return
    rows = [{"f": f, "reason": f"{BROKEN}{k.lower()}", "line": str(n), "text": t} for f, n, k, t in broken]
    bench.duckdb.register("atoll_broken", pa.Table.from_pylist(rows))
    bench.run(
        "INSERT INTO ingest.rejected SELECT '', f, 'line', reason, line, text FROM atoll_broken ANTI JOIN"
        " (SELECT source AS f, key AS line FROM ingest.rejected WHERE what = 'line') USING (f, line)"
    )
    bench.duckdb.unregister("atoll_broken")


def manifest_of(target: Path) -> dict[str, Any]:
    """The manifest of the release in a file; empty when there is none."""
    if not target.exists():
        return {}
    with Workbench(target, read_only=True) as bench:
        return _manifest(bench)


def refuse_foreign(target: Path) -> None:
    """Refuse a file in whose place a release would be put although it holds what no load put there.

    One of empty OMOP tables may go.

    Raises
    ------
    OperatorError
        When it holds anything else.
    """
    if not target.exists():
        return
    with Workbench(target, read_only=True) as bench:
        loaded, inside = bool(_manifest(bench)), set(bench.tables("ingest"))
        held = {name for (name,) in bench.rows(_HELD)}
        ours = {f"the table main.{name}" for name in tables()}
        if loaded:
            ours |= {f"the table ingest.{name}" for name in inside}
        if loaded and "own" in inside:
            ours = {name for (name,) in bench.rows("SELECT name FROM ingest.own")}
        others = sorted(held - ours)
        if not loaded:
            others += [name for name in sorted(held & ours) if bench.value(f"SELECT count(*) FROM {name.split()[-1]}")]
    if others:
        raise OperatorError(
            f"{target} holds data that no load of Atoll put there; a release would take their place:"
            f" {', '.join(others[:5])}.",
            "Move them into a file of their own; or name a new file."
            if loaded
            else "Name a new file, or move this one away.",
        )


def _manifest(bench: Workbench) -> dict[str, Any]:
    if "release" not in bench.tables("ingest"):
        return {}
    rows = bench.rows("SELECT manifest FROM ingest.release ORDER BY number DESC LIMIT 1")
    found: dict[str, Any] = json.loads(rows[0][0]) if rows else {}
    return found
