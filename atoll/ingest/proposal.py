"""A draft of a mapping from what an export looks like. It is a beginning: what could not be told is marked TODO.

Tables are chosen by the meanings that their columns' names suggest (`meanings.csv`), types and patterns come from the
scan, and a code list is laid beside the mapping for every column of local codes, filled with the values that the
scan may
show and with empty concepts.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atoll.errors import DataError
from atoll.ingest.scan import meanings, scan

_NEEDS = {  # table of the model → meanings that a source table must have, then those that help
    "person": (("person",), ("sex", "birth", "birth_year", "race")),
    "death": (("person", "death"), ()),
    "visit_occurrence": (("person", "visit", "start"), ("visit_kind", "end")),
    "condition_occurrence": (("person", "diagnosis"), ()),
    "drug_exposure": (("person",), ("drug", "drug_name")),
    "measurement": (("person", "value"), ("test", "test_name")),
    "procedure_occurrence": (("person", "procedure"), ()),
}
_START = {
    "condition_occurrence": ("condition_start_date", ("diagnosed", "start", "measured")),
    "drug_exposure": ("drug_exposure_start_date", ("prescribed", "start", "measured")),
    "measurement": ("measurement_date", ("measured", "start")),
    "procedure_occurrence": ("procedure_date", ("start", "measured")),
}
_KNOWN = {"男": 8507, "女": 8532, "m": 8507, "f": 8532, "male": 8507, "female": 8532}  # starter_concepts.csv


@dataclass
class Draft:
    """What was written."""

    file: str
    rules: int
    lists: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dict(vars(self))


def propose(address: str, target: Path, name: str, vocabulary: Path | None = None) -> Draft:
    """Scan an export and write a draft, and its code lists, beside each other. Existing files are not overwritten.

    Raises
    ------
    DataError
        When the export cannot be read, or the draft's file is there already.
    """
    if target.exists():
        raise DataError(f"{target} is there already.", "Give another --out, or move it away.")
    with tempfile.TemporaryDirectory(prefix="atoll-scan-") as folder:
        found = scan(address, folder=Path(folder))
    writer = _Writer(found, target, name, vocabularies(vocabulary))
    text = writer.text()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    for file, rows in writer.lists.items():
        path = target.parent / file
        if not path.exists():
            path.write_text(rows, "utf-8")
    return Draft(str(target), writer.rules, sorted(writer.lists), writer.notes)


class _Writer:
    def __init__(self, found: Mapping[str, Any], target: Path, name: str, known: Collection[str]):
        self.found, self.target, self.name, self.known = found, target, name, known
        self.lists: dict[str, str] = {}
        self.notes: list[str] = []
        self.rules = 0

    def text(self) -> str:
        """The whole document."""
        rules = [line for to in _NEEDS for line in self._table(to)]
        head = ["mapping: 1", f"name: {_plain(self.name)}"]
        if self.found["kind"] != "tables":
            head += [f"source: {{kind: {self.found['kind']}}}"]
        if self.lists:
            head += ["lists:", *(f"  {file.removesuffix('.csv')}: {file}" for file in self.lists)]
        if not rules:
            self.notes.append("No table looks like patients: write the first rule by hand.")
            rules = ["  # TODO: - {to: person, from: TABLE, key: COLUMN, columns: {year_of_birth: …}}"]
        return "\n".join([*head, "rules:", *rules]) + "\n"

    def _table(self, to: str) -> list[str]:
        needed, helpful = _NEEDS[to]
        lines: list[str] = []
        for table in self.found["tables"]:
            columns: dict[str, list[dict[str, Any]]] = {}
            for column in table["columns"]:
                if column["meaning"]:
                    columns.setdefault(column["meaning"], []).append(column)
            unfit = any(meaning not in columns for meaning in needed)
            if unfit or (helpful and to != "visit_occurrence" and not any(meaning in columns for meaning in helpful)):
                continue
            events = {"diagnosis", "drug", "test", "value", "procedure"} & set(columns)
            if to == "visit_occurrence" and events and "visit_kind" not in columns:
                continue  # its rows are events of visits
            if to == "person" and lines:
                continue  # the first table with patients; the others are about them
            lines += self._rule(to, table, columns)
        return lines

    def _rule(self, to: str, table: Mapping[str, Any], columns: Mapping[str, list[dict[str, Any]]]) -> list[str]:
        self.rules += 1
        person, visit = _first(columns, "person"), _first(columns, "visit")
        lines = [f"  - to: {to}", f"    from: {_plain(table['name'])}"]
        own = {"person": person, "visit_occurrence": visit}.get(to)
        key = own or next((name for name in table["keys"] if name not in (person, visit)), None)
        if to == "death":
            death = _name(_first(columns, "death"))
            lines += [f"    where: {death} is not missing", "    distinct: true"]
        elif to == "person" and person not in table["keys"]:
            lines += ["    distinct: true                # a patient has several rows here"]
        if key and to != "death":
            lines.append(f"    key: {_quoted(_name(key))}")
        diagnoses = columns.get("diagnosis", [])
        if to == "condition_occurrence" and len(diagnoses) > 1:
            lines += _each(diagnoses, columns.get("diagnosed", []))
        lines.append("    columns:")
        if to != "person":
            lines.append(f"      person_id: {_quoted(_name(person))}")
        if visit and to not in ("person", "visit_occurrence", "death"):
            lines.append(f"      visit_occurrence_id: {_quoted(_name(visit))}")
        return lines + [f"      {line}" for line in self._columns(to, table, columns)]

    def _columns(self, to: str, table: Mapping[str, Any], columns: Mapping[str, list[dict[str, Any]]]) -> list[str]:
        lines: list[str] = []
        if to == "person":
            lines.append(f"person_source_value: {_quoted(_text(columns['person'][0]))}")
            if "birth" in columns:
                day = _date(columns["birth"][0])
                lines += [f"{part}_of_birth: {_quoted(f'{part}({day})')}" for part in ("year", "month", "day")]
            elif "birth_year" in columns:
                lines.append(f"year_of_birth: {_quoted(_number(columns['birth_year'][0], 'integer'))}")
            else:
                lines.append("# TODO year_of_birth: no column looks like a birth")
                self.notes.append(f"{table['name']} has no column that looks like a birth.")
        for row in meanings():
            if (
                row["table"] != to
                or row["meaning"] not in columns
                or row["meaning"] in ("birth", "birth_year", "person", "visit")
            ):
                continue
            lines += self._line(row["column"], row["meaning"], columns[row["meaning"]], table)
        if to in _START:
            target, candidates = _START[to]
            if not any(line.startswith(f"{target}:") for line in lines):
                found = next((columns[m][0] for m in candidates if m in columns), None)
                if to == "condition_occurrence" and len(columns["diagnosis"]) > 1 and _paired(columns):
                    found = {**columns["diagnosed"][0], "name": "diagnosed"}
                lines.append(
                    f"{target}: {_quoted(_date(found))}" if found else f"# TODO {target}: no column looks like it"
                )
        return lines

    def _line(self, target: str, meaning: str, found: list[dict[str, Any]], table: Mapping[str, Any]) -> list[str]:
        column = found[0]
        expression = "diagnosis" if meaning == "diagnosis" and len(found) > 1 else _text(column)
        if target.endswith("_date"):
            if target == "condition_start_date" and len(table["columns"]) and _paired_in(table):
                return [f"{target}: {_quoted(_date({**column, 'name': 'diagnosed'}))}"]
            return [f"{target}: {_quoted(_date(column))}"]
        if target.endswith("_concept_id"):
            vocabulary = column.get("vocabulary")
            if vocabulary and vocabulary in self.known:
                return [f"{target}: {_quoted(_called('code', vocabulary, expression))}"]
            return [f"{target}: {_quoted(_called('lookup', self._list(meaning, found, table), expression))}"]
        if target == "value_as_number":
            read = _number(column, "number") if column["type"] in ("integer", "number") else f"result({expression})"
            as_text = expression if column["type"] == "text" or column.get("pattern") else f"text({expression})"
            return [f"{target}: {_quoted(read)}", f"value_source_value: {_quoted(as_text)}"]
        if target == "days_supply":
            return [f"{target}: {_quoted(_number(column, 'integer'))}"]
        if target == "condition_source_value" and len(found) > 1:
            return []  # several diagnoses stand in one row: the code is kept by itself
        return [f"{target}: {_quoted(expression)}"] if target.endswith("_source_value") else []

    def _list(self, meaning: str, found: list[dict[str, Any]], table: Mapping[str, Any]) -> str:
        """A code list for a column, with the values that may be shown and room for their concepts."""
        plain = re.sub(r"[^\w]+", "_", table["name"])
        name = meaning if f"{meaning}.csv" not in self.lists else f"{meaning}_{plain}"
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("code", "concept_id", "rows"))
        seen: dict[str, int] = {}
        for column in found:
            for one in column.get("frequent", []):
                seen[one["value"]] = seen.get(one["value"], 0) + one["rows"]
        for value, rows in sorted(seen.items(), key=lambda pair: (-pair[1], pair[0])):
            writer.writerow((value, _KNOWN.get(value.casefold(), "") if meaning == "sex" else "", rows))
        self.lists[f"{name}.csv"] = out.getvalue()
        return name


def vocabularies(file: Path | None) -> list[str]:
    """Vocabularies in which codes can be looked up: those of a file, or of the starter set."""
    from atoll.cdm.vocabulary import starter_vocabularies
    from atoll.cdm.workbench import Workbench

    if file is None:
        return starter_vocabularies()
    with Workbench(file, read_only=True) as bench:
        return [name for (name,) in bench.rows("SELECT vocabulary_id FROM main.vocabulary")]


def _paired(columns: Mapping[str, list[dict[str, Any]]]) -> bool:
    """Whether every one of several diagnoses has a day of its own."""
    return 1 < len(columns.get("diagnosis", [])) == len(columns.get("diagnosed", []))


def _paired_in(table: Mapping[str, Any]) -> bool:
    found: dict[str, list[dict[str, Any]]] = {}
    for column in table["columns"]:
        found.setdefault(column["meaning"], []).append(column)
    return _paired(found)


def _each(diagnoses: list[dict[str, Any]], days: list[dict[str, Any]]) -> list[str]:
    if len(diagnoses) != len(days):
        return [f"    each: {{columns: [{', '.join(_plain(c['name']) for c in diagnoses)}], value: diagnosis}}"]
    groups = [
        f"        - [{_plain(code['name'])}, {_plain(day['name'])}]" for code, day in zip(diagnoses, days, strict=True)
    ]
    return ["    each:", "      columns:", *groups, "      value: [diagnosis, diagnosed]"]


def _first(columns: Mapping[str, list[dict[str, Any]]], meaning: str) -> str | None:
    return columns[meaning][0]["name"] if meaning in columns else None


def _name(name: str | None) -> str:
    if name is None:
        return "TODO"
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f"`{name}`"


def _text(column: Mapping[str, Any]) -> str:
    return _name(column["name"])


def _called(function: str, name: str, expression: str) -> str:
    return f'{function}("{name}", {expression})'


def _date(column: Mapping[str, Any] | None) -> str:
    if column is None:
        return "TODO"
    name, form = _name(column["name"]), column.get("pattern", "")
    if column["type"] == "date" and not form:
        return name
    if column["type"] == "datetime" and not form:
        return f"date({name})"
    if form.startswith("yyyy-MM-dd"):
        return f"date({name})" if form == "yyyy-MM-dd" else f"date(slice({name}, 1, 10))"
    return f'date({name}, "{form}")' if form else f"date({name})"


def _number(column: Mapping[str, Any], kind: str) -> str:
    name = _name(column["name"])
    return f'{kind}({name}, ",")' if column.get("pattern") == "," and kind == "number" else f"{kind}({name})"


def _plain(text: str) -> str:
    return text if re.fullmatch(r"[^\W\d][\w.-]*", text) else '"' + text.replace('"', '\\"') + '"'


def _quoted(expression: str) -> str:
    """An expression as YAML takes it: in single quotes where it begins with a sign of YAML's own."""
    return (
        "'" + expression.replace("'", "''") + "'"
        if expression[0] in "`\"'@%&*!|>#[]{},?-:" or ": " in expression
        else expression
    )
