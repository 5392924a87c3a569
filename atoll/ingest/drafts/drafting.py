"""What a draft of a mapping writes: columns, days, numbers as expressions of its language, texts as YAML takes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from atoll.cdm.numbers import SIGNS
from atoll.ingest.expressions import Name, written
from atoll.ingest.formats import times_of
from atoll.ingest.scan import YEAR_FIRST

_DAYS = (
    "start",
    "end",
    "diagnosed",
    "prescribed",
    "measured",
    "operated",
    "death",
)  # meanings of columns that hold days
START = {  # table → the day that it needs, and meanings that may be it
    "condition_occurrence": ("condition_start_date", ("diagnosed", "start", "measured", "prescribed")),
    "drug_exposure": ("drug_exposure_start_date", ("prescribed", "start", "measured")),
    "measurement": ("measurement_date", ("measured", "start", "prescribed")),
    "procedure_occurrence": ("procedure_date", ("operated", "start", "measured")),
}
_OF_STAY = re.compile(
    r"admi|adms|disch|visit|encounter|^(in|out|reg)_|aufnahme|entlass|entr[eé]e|sortie|入院|出院|就诊|住院|挂号|"
    r"^(ry|cy|jz|gh)",
    re.IGNORECASE,
)  # names of the days of a stay
_KINDS = {  # concept of a kind of visits, starter_concepts.csv → names of such tables
    9203: re.compile(r"急诊|emergenc|(^|_)(er|ed)_|notaufnahme|urgences?", re.IGNORECASE),
    9201: re.compile(r"住院|入院|inpatient|(^|_)(ip|ipd|ipr|zy|zyh)(_|$)|station[äa]r|hospitali[sz]", re.IGNORECASE),
    9202: re.compile(r"门诊|outpatient|(^|_)(op|opd|opr|mz|mzh)(_|$)|clinic|ambulan|consultation", re.IGNORECASE),
}
OPEN = "?"  # stands where the values do not tell a pattern or a decimal sign
Columns = Mapping[str, list[dict[str, Any]]]  # meaning → columns of a table


def as_written(kind: str, table: dict[str, Any]) -> dict[str, Any]:
    """A table of messages with its days and times as their standard writes them, whatever part of them is given."""
    form = times_of(kind)
    for column in table["columns"] if form else ():
        if column["meaning"] in _DAYS:
            column.update(type="datetime", pattern=form)
        elif column["meaning"] == "birth":  # often no more than the year
            column.update(type="text", pattern="")
    return table


def begun(to: str, table: Mapping[str, Any]) -> list[str]:
    """The first lines of a rule: its tables."""
    lines = [f"  - to: {to}", f"    from: {word(table['name'])}"]
    if table.get("join"):
        pairs = ((name, own if own == key else f"[{word(own)}, {word(key)}]") for name, (own, key) in
                 table["join"].items())  # fmt: skip
        lines.append(f"    join: {{{', '.join(f'{word(name)}: {columns}' for name, columns in pairs)}}}")
    return lines


def birth(columns: Columns) -> list[str]:
    """The lines of a patient's number and birth."""
    lines = [f"person_source_value: {scalar(named_column(columns['person'][0]))}"]
    if "birth" in columns and not ("birth_year" in columns and columns["birth"][0]["type"] == "empty"):
        column = columns["birth"][0]
        day = named_column(column) if column["type"] == "text" else day_of(column)
        return lines + [f"{part}_of_birth: {scalar(f'{part}({day})')}" for part in ("year", "month", "day")]
    if "birth_year" in columns:
        return [*lines, f"year_of_birth: {scalar(number_of(columns['birth_year'][0], 'integer'))}"]
    return [*lines, "# TODO year_of_birth: no column looks like a birth"]


def taken_on(columns: Columns) -> dict[str, Any] | None:
    """The column of the day on which what stands in a row was measured."""
    return next((columns[one][0] for one in ("measured", "start", "diagnosed", "prescribed") if one in columns), None)


def taken_from(columns: Columns) -> dict[str, Any] | None:
    """The day from which a drug is taken, where a table has that and the day until which: 开始日期 and 停止日期.

    Those of a stay are not meant, and days of supply say it better.
    """
    days = [columns[one][0]["name"] for one in ("start", "end") if one in columns]
    if len(days) < 2 or "days" in columns or any(_OF_STAY.search(name) for name in days):
        return None
    return columns["start"][0]


def visit_kind(table: Mapping[str, Any], columns: Columns) -> list[str]:
    """The line of a visit's kind, as the table's name says it, or the name of the visits' number."""
    for name in (str(table["name"]), first(columns, "visit") or ""):
        for kind, pattern in _KINDS.items():
            if pattern.search(name):
                return [f"visit_concept_id: {kind}   # as {name} says it"]
    return ["# TODO visit_concept_id: no column looks like the kind of the visits (9201 inpatient, 9202 outpatient, "
            "9203 emergency)"]  # fmt: skip


def either(parts: Sequence[str]) -> str:
    """The first of some expressions that is not missing."""
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


def paired(columns: Columns) -> bool:
    """Whether every one of several diagnoses has a day of its own."""
    return 1 < len(columns.get("diagnosis", [])) == len(columns.get("diagnosed", []))


def each_group(diagnoses: list[dict[str, Any]], days: list[dict[str, Any]]) -> list[str]:
    """The lines of `each` for several diagnoses in one row, with their days where each has one."""
    if len(diagnoses) != len(days):
        return [f"    each: {{columns: [{', '.join(word(c['name']) for c in diagnoses)}], value: diagnosis}}"]
    groups = [
        f"        - [{word(code['name'])}, {word(day['name'])}]" for code, day in zip(diagnoses, days, strict=True)
    ]
    return ["    each:", "      columns:", *groups, "      value: [diagnosis, diagnosed]"]


def first(columns: Columns, meaning: str) -> str | None:
    """The name of the first column with a meaning."""
    return columns[meaning][0]["name"] if meaning in columns else None


def named(name: str | None) -> str:
    """A column as an expression names it."""
    if name is None:
        return "TODO"
    return written(Name(name))


def named_column(column: Mapping[str, Any]) -> str:
    """The same for a column of the scan."""
    return named(column["name"])


def called(function: str, name: str, expression: str) -> str:
    """A look-up of a list or a vocabulary."""
    return f'{function}("{name}", {expression})'


def day_of(column: Mapping[str, Any] | None) -> str:
    """A column as a day, with its pattern where it has one."""
    if column is None:
        return "TODO"
    name, form = named(column["name"]), pattern_of(column)
    if form == YEAR_FIRST:
        return f"date({name})"
    if column["type"] == "date" and not form:
        return name
    if column["type"] == "datetime" and not form:
        return f"date({name})"
    if form == "yyyyMMddHHmmss":
        return f'date(slice({name}, 1, 8), "yyyyMMdd")'
    if form.startswith("yyyy-MM-dd"):
        return f"date({name})" if form == "yyyy-MM-dd" else f"date(slice({name}, 1, 10))"
    return f'date({name}, "{form}")' if form else f"date({name})"


def number_of(column: Mapping[str, Any], function: str) -> str:
    """A column read by a function that takes the decimal sign, where it has one."""
    sign = pattern_of(column)
    return f"{function}({named(column['name'])}{f', {word(sign)}' if sign in (*SIGNS, OPEN) else ''})"


def pattern_of(column: Mapping[str, Any]) -> str:
    """The pattern in which a column is written; where the scan leaves it open, a sign that a mapping refuses."""
    return OPEN if column.get("open") else str(column.get("pattern", ""))


def alike(columns: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """What stands for several columns under one name: written as they are, where none says otherwise."""
    found = {pattern_of(column) for column in columns} - {""}
    sign = found.pop() if len(found) == 1 else ""
    return {"name": name, "type": "number", "pattern": sign, "open": list(SIGNS) if sign == OPEN else []}


def questions(columns: Sequence[Mapping[str, Any]], lines: Sequence[str]) -> list[str]:
    """What somebody who knows must say of the columns that a rule's lines read, as comments."""
    read = "\n".join(lines)
    return [
        f"# TODO {named_column(column)}: its values fit {' and '.join(map(word, column['open']))} alike: write which"
        f' in place of "{OPEN}"'
        for column in columns
        if column.get("open") and reads(read, column["name"])
    ]


def reads(text: str, column: str) -> bool:
    """Whether some expressions read a column."""
    return bool(re.search(rf"(?<!\w){re.escape(column)}(?![\w(])", text))


def died(columns: Columns) -> str:
    """Whether a patient is dead; without a day none has a row of `death`, and the load names those."""
    day, said = first(columns, "death"), first(columns, "deceased")
    return scalar(f"{named(day)} is not missing" + (f" or {named(said)}" if said else ""))


def word(text: str) -> str:
    """A text as YAML takes it: in double quotes where it is no plain word."""
    plain = re.fullmatch(r"[^\W\d][\w.-]*", text) and text.lower() != "null"
    return text if plain else json.dumps(text, ensure_ascii=False)


def scalar(expression: str) -> str:
    """An expression as YAML takes it: in single quotes where it begins with a sign of YAML's own, or holds one."""
    plain = expression[0] not in "`\"'@%&*!|>#[]{},?-:" and not re.search(
        r":(\s|$)|\s#|^null$", expression, re.IGNORECASE
    )
    return expression if plain else "'" + expression.replace("'", "''") + "'"
