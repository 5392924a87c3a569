"""Load an export into the OMOP model: every rule in the order in which tables refer to each other, then what follows.

    source → rules (one query each) → checks → periods and eras → a release, put in force as a whole

Nothing is lost: a row that cannot stay is kept at the site with its reason (`ingest.rejected`), a value that cannot
stay with its row too, a code without a concept becomes a concept of the hospital's own. The same export, mapping and
vocabulary give the same tables, also when the load was killed in between.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from atoll.cdm.database import limits
from atoll.cdm.tables import DERIVED, VOCABULARY, tables
from atoll.cdm.vocabulary import digest_of, require, starter, version_of
from atoll.cdm.workbench import MEMORY, Workbench, literal, quoted, room_in
from atoll.durable import privately
from atoll.errors import DataError, StudyError
from atoll.ingest import derive, emptied, persons, repeats, reuse, unit_gaps
from atoll.ingest.checking import check, compiled_rule, unread
from atoll.ingest.formats import NO_TABLE
from atoll.ingest.judged import Context
from atoll.ingest.lookups import Lookups
from atoll.ingest.losses import refuse_losses, rows_read
from atoll.ingest.mapping import Mapping, Rule
from atoll.ingest.release import AGAIN, Build, keep_broken_lines, manifest_of, only_one, refuse_foreign
from atoll.ingest.report import Report, report_of
from atoll.ingest.rule_source import literal_row
from atoll.ingest.sources import open_source
from atoll.version import VERSION

ORDER = ("location", "care_site", "provider", "person", "death", "visit_occurrence", "visit_detail", "episode")
Progress = Callable[[str], None]


def load_url(
    mapping: Mapping,
    address: str,
    url: str,
    *,
    vocabulary: Path | None = None,
    memory: str = MEMORY,
    today: date | None = None,
    anyway: bool = False,
    progress: Progress | None = None,
) -> Report:
    """The same for a database by its URL. For PostgreSQL and Spark it is made in a file of the site and carried over.

    Raises
    ------
    OperatorError
        For an address of another kind.
    """
    from urllib.parse import unquote, urlsplit

    options: dict[str, Any] = {
        "vocabulary": vocabulary, "memory": memory, "today": today, "anyway": anyway, "progress": progress
    }  # fmt: skip
    if url.startswith("duckdb:"):
        return load(mapping, address, Path(unquote(urlsplit(url).path)), **options)
    from atoll.cdm.publish import place_of, publish
    from atoll.settings import settings

    place = place_of(url)
    folder = settings().home / "releases"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.duckdb"
    with only_one(target.with_suffix(""), place):
        report = load(mapping, address, target, **options)
        put, report.left = publish(target, url, report.manifest, progress)
        report.changed = put or report.changed
    return report


def load(
    mapping: Mapping,
    address: str,
    target: Path,
    *,
    vocabulary: Path | None = None,
    memory: str = MEMORY,
    today: date | None = None,
    anyway: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Make the next release of a DuckDB file from an export, and put it in force.

    mapping      what becomes what
    address      the export: a file, a folder, or a database's URL
    target       the DuckDB file; made when it is not there
    vocabulary   a DuckDB file with vocabulary tables; the package's starter set when left out
    today        the last day that is not in the future
    anyway       put it in force even if no row of some rule can stay, or much of the release before is lost (`losses`)

    Raises
    ------
    DataError, Problems
        When the export or the mapping cannot be used, or much would be lost; the release in force stays.
    OperatorError
        When the disk is full or another load runs; the same command goes on later.
    """
    limits(memory=memory)  # before all files are read
    target = target.resolve() if target.is_symlink() else target  # the file takes the next release, not the link to it
    refuse_foreign(target)
    with privately(), room_in(target.parent, AGAIN), only_one(target):
        return _Load(mapping, address, target, vocabulary, memory, today or date.today(), anyway, progress).run()


class _Load:
    def __init__(
        self, mapping: Mapping, address: str, target: Path, vocabulary: Path | None, memory: str, today: date,
        anyway: bool, progress: Progress | None,
    ):  # fmt: skip
        self.mapping, self.address, self.target, self.vocabulary = mapping, address, target, vocabulary
        self.memory, self.today, self.progress = memory, today, progress or (lambda text: None)
        self.anyway, self.began = anyway, time.monotonic()
        self.begun = self.waits = False

    def run(self) -> Report:
        try:
            return self._run()
        except (DataError, StudyError):
            self._clear()
            raise

    def _clear(self) -> None:
        """Leave nothing of patients behind a refusal. What goes on later stays: a release that is made and waits, and
        what another mapping's load that was killed left."""
        if self.begun and not self.waits:
            for part in (".next", ".next.wal"):
                self.target.with_name(self.target.name + part).unlink(missing_ok=True)
        if not self.target.with_name(self.target.name + ".next").exists():
            shutil.rmtree(self._work(), ignore_errors=True)

    def _run(self) -> Report:
        self.progress("reading the files' encodings and hashes")
        previous = manifest_of(self.target)
        version = version_of(self.vocabulary)
        require(version, self.mapping.vocabulary)
        plan = self._plan(version)
        if previous.get("plan") == plan["plan"] and self._unchanged(plan["today"]):
            shutil.rmtree(self._work(), ignore_errors=True)
            return self._as_it_is(previous)
        build = Build(self.target, plan["plan"], self._order(), memory=self.memory, vocabulary=self.vocabulary)
        self.begun = True
        try:
            manifest = build.sealed or self._make(build, plan, previous)
            report = report_of(build.bench, manifest, build.resumed)
            self.waits = True
            if not self.anyway:
                refuse_losses(previous, manifest, report.rejected)
            build.put_in_force()
            report.seconds = round(time.monotonic() - self.began, 2)
            return report
        finally:
            build.bench.close()

    def _as_it_is(self, manifest: dict[str, Any]) -> Report:
        """The report of the release in force, when nothing is to be made."""
        with Workbench(self.target, read_only=True, again=AGAIN) as bench:
            report = report_of(bench, manifest, False)
        report.changed = False
        return report

    def _unchanged(self, today: str) -> bool:
        with Workbench(again=AGAIN) as bench:
            return reuse.unchanged(bench, self.target, today)

    def _work(self) -> Path:
        return self.target.with_name(self.target.name + ".work")

    def _plan(self, vocabulary: str) -> dict[str, Any]:
        """What the release will be made from. Opening the source reads every file once."""
        with Workbench(scratch=self._work() / "spill", again=AGAIN) as bench:
            source = open_source(self.address, bench, self._work(), self.mapping, self.progress)
            files = [{"name": f.name, "sha256": f.sha256, "bytes": f.size, "lines": f.lines} for f in source.files()]
            not_read = unread(self.mapping, source)
            notes = [note for note in source.told() if not note.endswith(NO_TABLE)]  # those are among them
        concepts = digest_of(self.vocabulary)
        parts = [self.mapping.digest, vocabulary, concepts, reuse.program(), f"ids {reuse.IDS}"]
        parts += [str(file[said]) for said in ("sha256", "name") for file in files]
        return {
            "plan": hashlib.sha256("\n".join(parts).encode()).hexdigest(),
            "files": files,
            "mapping": {"name": self.mapping.name, "sha256": self.mapping.digest},
            "vocabulary": vocabulary,
            "concepts": concepts,
            "atoll": VERSION,
            "program": reuse.program(),
            "today": str(self.today),
            "unread": not_read,
            "notes": notes,
        }

    def _make(self, build: Build, plan: dict[str, Any], previous: dict[str, Any]) -> dict[str, Any]:
        bench = self.bench = build.bench
        self.build, self.plan = build, plan
        self._vocabulary()
        build.carry()
        self.source = open_source(self.address, bench, build.folder, self.mapping, self.progress, again=True)
        self.lookups = Lookups(bench, self.mapping.lists)
        self.total = sum(
            self.source.tables[rule.source].size for rule in self.mapping.rules if rule.source in self.source.tables
        )
        self.done = 0
        check(self.mapping, self.source, self.lookups, str(self.today))
        filled: list[str] = []
        for name in self._order():
            self._fill(name, [rule for rule in self.mapping.rules if rule.to == name], filled)
            filled.append(name)
            if not self.anyway and (name == "person" or name == self._order()[-1]):  # all others stand on persons
                emptied.refuse(bench, self.mapping.rules)
        self._derive(filled)
        return self._finish(plan, previous)

    def _vocabulary(self) -> None:
        if self.vocabulary is None:
            with self.build.step("vocabulary") as run:
                if run:
                    starter(self.bench)

    def _order(self) -> list[str]:
        wanted = {rule.to for rule in self.mapping.rules}
        return [*(n for n in ORDER if n in wanted), *sorted(wanted - set(ORDER))]

    def _fill(self, name: str, rules: Sequence[Rule], filled: Sequence[str]) -> None:
        if self._taken(name, rules, filled):
            return
        for rule in rules:
            with self.build.step(f"rule {rule.position}") as run:
                if run:
                    self._say(f"{rule.title}")
                    self._insert(rule, filled)
                    keep_broken_lines(self.bench, self.source)
            self.done += self.source.tables[rule.source].size
        with self.build.step(f"settle {name}") as run:
            if run:
                if name == "person":
                    persons.settle(self.bench, self.mapping, self.source, self.lookups)
                elif name == "death":
                    persons.deaths(self.bench)
                else:
                    if repeats.repeated(self.bench, name):
                        self._name_repeated(name, rules, filled)
                    if self.mapping.link_visits and "visit_occurrence" in filled:
                        self._link(name)
                keep_broken_lines(self.bench, self.source)
                emptied.note(self.bench, name, rules, self.source, self.today)
                self.build.settle(name)
        with self.build.step(f"strip {name}") as run:
            if run:
                self.build.strip(name)

    def _taken(self, name: str, rules: Sequence[Rule], filled: Sequence[str]) -> bool:
        """Whether the table could be taken from the release in force; the first of its steps."""
        with self.build.step(f"take {name}") as run:
            if run:
                mark = reuse.fingerprint(self.mapping, rules, self.source, self.plan, self.bench, filled)
                read = [self.source.tables[table] for rule in rules for table in (rule.source, *rule.join)]
                files = {file.sha256: file.name for table in read for file in table.files}
                taken = reuse.take(self.bench, self.target, name, mark, files, self.plan["today"])
                self.bench.run(f"INSERT INTO ingest.part VALUES ({literal(name)}, {literal(mark)}, {literal(taken)})")
        if not self.bench.value(f"SELECT taken FROM ingest.part WHERE name = {literal(name)}"):
            return False
        self._say(f"{name}: unchanged")
        self.done += sum(self.source.tables[rule.source].size for rule in rules)
        if name == "death":
            with self.build.step("settle death") as run:
                if run:
                    persons.deaths(self.bench)
        with self.build.step(f"strip {name}") as run:
            if run:
                self.build.strip(name)
        return True

    def _say(self, text: str) -> None:
        """Progress with the remaining time, from the bytes that are still to be read."""
        left = ""
        if self.done > 0.05 * self.total:  # before, the time of the start would be taken for that of the rest
            seconds = (time.monotonic() - self.began) * (self.total - self.done) / self.done
            left = f", about {seconds / 60:.0f} min left" if seconds > 90 else f", about {seconds:.0f} s left"
        share = f" ({self.done / self.total:.0%}{left})" if self.total else ""
        self.progress(f"{text}{share}")

    def _insert(self, rule: Rule, filled: Sequence[str]) -> None:
        bench = self.bench
        made = compiled_rule(rule, self.source, self.lookups, self._context(filled))
        self.lookups.complete_all(made.asked)
        bench.run(f"INSERT INTO ingest.rule VALUES ({rule.position}, {literal(rule.to)}, {literal(rule.source)})")
        for bit, note in enumerate(made.notes):
            bench.run(f"INSERT INTO ingest.note VALUES ({rule.position}, {bit}, {literal(note)})")
        columns = list(rule.table.columns)
        kept = [name for name in made.query.columns if name.startswith("source:")]
        row = literal_row(kept)
        listed = ", ".join(quoted(name) for name in columns)
        with bench.joined_as_written():
            bench.run(
                f"INSERT INTO main.{quoted(rule.to)} ({listed}, _key, _reason, _note, _converted, _comes, _unmapped,"
                " _row, _rule)"
                f" SELECT {listed}, CASE WHEN {_keeps(rule)} THEN _key END, _reason, nullif(_note, 0), _converted,"
                f" _comes, _unmapped, CASE WHEN {_keeps(rule)} THEN {row} END, {rule.position} FROM"
                f" ({bench.sql(made.query)})"
            )

    def _name_repeated(self, name: str, rules: Sequence[Rule], filled: Sequence[str]) -> None:
        """Read the repeated rows once more, so that those which do not stay are kept with what stood in them."""
        key, parts = quoted(str(tables()[name].key)), []
        columns = ", ".join(map(quoted, tables()[name].columns))
        for rule in rules:
            made = compiled_rule(rule, self.source, self.lookups, self._context(filled))
            self.lookups.complete_all(made.asked)
            row = literal_row([column for column in made.query.columns if column.startswith("source:")])
            parts.append(
                f"SELECT {columns}, _key, {row} AS row, {literal(rule.source)} AS source FROM"
                f" ({self.bench.sql(made.query)}) WHERE _reason IS NULL AND {key} IN (SELECT id FROM repeated)"
            )
        with self.bench.joined_as_written():
            repeats.name_repeated(self.bench, name, parts)

    def _context(self, filled: Sequence[str]) -> Context:
        known = {name: self.bench.ibis.table(name) for name in filled}
        return Context(persons.persons(self.bench) if "person" in filled else None, known, str(self.today))

    def _link(self, name: str) -> None:
        """Events without a visit get the visit of their person in whose days they lie: the one that began last."""
        table = tables()[name]
        start = table.start()
        if "visit_occurrence_id" not in table.columns or start is None or name == "visit_detail":
            return
        full = f"main.{quoted(name)}"
        self.bench.run(
            f"UPDATE {full} SET visit_occurrence_id = l.visit FROM (SELECT e.rowid AS row,"
            " arg_max(v.visit_occurrence_id,"
            f" (v.visit_start_date, v.visit_occurrence_id)) AS visit FROM {full} e JOIN main.visit_occurrence v ON"
            f" v.person_id = e.person_id AND e.{quoted(start)} BETWEEN v.visit_start_date AND v.visit_end_date"
            f" WHERE e.visit_occurrence_id IS NULL AND e._reason IS NULL GROUP BY e.rowid) l WHERE l.row = {full}.rowid"
        )

    def _derive(self, filled: Sequence[str]) -> None:
        makers: dict[str, Callable[[], None]] = {
            "observation_period": lambda: derive.observation_periods(self.bench, self.mapping.gap, filled),
            "condition_era": lambda: derive.condition_eras(self.bench),
            "drug_era": lambda: derive.drug_eras(self.bench),
        }
        for name in DERIVED:
            if name in filled or name not in makers or (name.endswith("_era") and not self.mapping.eras):
                continue
            with self.build.step(name) as run:
                if run:
                    self.progress(name.replace("_", " ") + "s")
                    makers[name]()
        if "measurement" in filled:
            with self.build.step("missing units") as run:
                if run:
                    unit_gaps.look(self.bench, self.mapping.infer_units)
        with self.build.step("own concepts") as run:
            if run:
                derive.own_concepts(self.bench, filled)

    def _finish(self, plan: dict[str, Any], previous: dict[str, Any]) -> dict[str, Any]:
        """Seal the release; gives its manifest."""
        bench = self.bench
        number = int(previous.get("release", 0)) + 1
        names = [name for name in tables() if name not in VOCABULARY]
        counts = {name: bench.value(f"SELECT count(*) FROM main.{quoted(name)}") for name in names}
        counts = {name: rows for name, rows in counts.items() if rows}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        read = rows_read(self.mapping, self.source)
        manifest = {**plan, "release": number, "made": now, "tables": counts, "read": read}
        self._cdm_source(manifest)
        self.build.seal(manifest)
        return manifest

    def _cdm_source(self, manifest: dict[str, Any]) -> None:
        """The table in which the model keeps where its data come from."""
        today = literal(manifest["made"][:10])
        self.bench.run("DELETE FROM main.cdm_source")
        self.bench.run(
            "INSERT INTO main.cdm_source (cdm_source_name, cdm_source_abbreviation, cdm_holder, source_release_date,"
            " cdm_release_date, cdm_version, vocabulary_version, cdm_etl_reference, cdm_version_concept_id) VALUES ("
            f"{literal(self.mapping.name)}, {literal(self.mapping.name[:25])}, {literal(self.mapping.name)},"
            f" {today}, {today},"
            f" 'v5.4', {literal(str(manifest['vocabulary'])[:20])},"
            f" {literal('mapping ' + manifest['mapping']['sha256'][:12])}, 0)"
        )


def _keeps(rule: Rule) -> str:
    """Which rows keep key and source row until the table is settled: persons are judged later, other rows at once."""
    return "true" if rule.to in ("person", "death") else "_reason IS NOT NULL OR _note <> 0"
