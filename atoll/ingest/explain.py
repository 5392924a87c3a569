"""A mapping in words, and what two versions of it do differently."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Entries
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from atoll.ingest.expressions import Call, Case, Constant, Expression, Name, written
from atoll.ingest.formats import TABLES
from atoll.ingest.mapping import Mapping, Rule, Written

_WORDS = {
    "date": "the day in {0}", "datetime": "the time in {0}", "number": "the number in {0}",
    "integer": "the whole number in {0}",
    "year": "the year of {0}", "month": "the month of {0}", "day": "the day of the month of {0}", "text": "{0} as text",
    "coalesce": "the first of {all} that is there", "concat": "{all} written together", "upper": "{0} in capitals",
    "lower": "{0} in small letters", "trim": "{0} without blanks", "split": "part {2} of {0}, split at {1}",
    "slice": "letters of {0} from {1} on", "replace": "{0} with {2} in place of {1}",
    "lookup": "what the list {0} says of {1}",
    "code": "the standard concept of the {0} code in {1}", "unit": "the unit {0}",
    "result": "the number in the result {0}",
    "low": "the lower end of the range {0}", "high": "the upper end of the range {0}",
    "operator": "the sign in the result {0}", "finding": "the finding in the result {0}",
    "convert": "{0}, converted from the unit in {1} to {2}", "add_days": "{0} and {1} days",
    "days": "days from {1} to {0}",
    "is missing": "{0} is missing", "not": "not ({0})", "negative": "minus {0}", "round": "{0}, rounded",
    "starts": "{0} begins with {1}", "contains": "{0} contains {1}", "unless": "{0}, but nothing where it is {1}",
    "first_of_year": "1 January of {0}", "length": "the length of {0}",
    "abs": "{0} without its sign", "floor": "{0}, rounded down",
}  # fmt: skip


# how the document calls the parts of `Mapping`, where it does not call them as they are called there
_CALLED = {
    "source": "source.kind", "encoding": "source.encoding", "missing": "source.missing", "tables": "source.tables",
    "same": "persons.same", "match": "persons.match", "gap": "periods.gap", "link_visits": "visits.link",
    "eras": "eras.build", "infer_units": "units.infer",
}  # fmt: skip
_WHERE = ("place", "position", "turn")  # where a part stands in its document, which says nothing


def explain(mapping: Mapping) -> list[str]:
    """Sentences, one for each rule and each of its columns."""
    lines = [f"{mapping.name}: {len(mapping.rules)} rules from {len(mapping.used())} tables.", *_read(mapping)]
    for rule in mapping.rules:
        lines += ["", *_rule(rule)]
    lines += ["", *shared_keys(mapping), _periods(mapping)]
    if mapping.same:
        lines.append(f"Patients that the table {mapping.same.table} says are one become one person.")
    if mapping.match:
        values = ", ".join(words(one.tree) for one in mapping.match)
        lines.append(f"Patients with the same {values} become one person, where neither sex nor birth differs.")
    if mapping.link_visits:
        lines.append("An event without a visit gets the visit of its patient in whose days it lies.")
    if mapping.infer_units is not None:
        least = f"{mapping.infer_units:.4g}"
        lines.append(f"A missing unit is filled in where its probability is {least} or more.")
    lines.append(f"Eras of conditions and drugs are {'' if mapping.eras else 'not '}built.")
    if mapping.vocabulary:
        lines.append(f"The vocabulary is {mapping.vocabulary} or a later one.")
    return lines


def _read(mapping: Mapping) -> list[str]:
    """How the export is read."""
    lines = [] if mapping.source == TABLES else [f"The export is {mapping.source}."]
    if mapping.encoding:
        lines.append(f"Its files are in {mapping.encoding}.")
    if mapping.missing:
        lines.append(f"A field is missing where it is empty or holds {_either(mapping.missing)}.")
    for name, table in mapping.tables.items():
        parts = [
            f"is read from {table.file}" if table.file else "",
            f"is the sheet {table.sheet}" if table.sheet else "",
            f"has its names below {table.skip:,} lines" if table.skip is not None else "",
            f"is in {table.encoding}" if table.encoding else "",
            f"is split at “{table.delimiter}”" if table.delimiter else "",
            f"has the columns {', '.join(table.columns)}" if table.columns else "",
            f"has nothing where it holds {_either(table.missing)}" if table.missing else "",
        ]
        lines += [f"{name} {', '.join(part for part in parts if part)}."] if any(parts) else []
    return lines


def _either(texts: tuple[str, ...]) -> str:
    return " or ".join(f"“{text}”" for text in texts)


def shared_keys(mapping: Mapping) -> list[str]:
    """A sentence for each table that several rules fill and whose rows others refer to by their keys."""
    filled: dict[str, list[str]] = {}
    for rule in mapping.rules:
        if not rule.space and rule.table.key:
            filled.setdefault(rule.to, []).append(rule.source)
    return [
        f"{len(sources)} rules fill {to}, whose rows others refer to by key: the same key from"
        f" {' and '.join(dict.fromkeys(sources))} is one row. Where each counts by itself, write concat("
        f'"{sources[-1]} ", …) as its key, and wherever a rule refers to it.'
        for to, sources in filled.items() if len(sources) > 1
    ]  # fmt: skip


def _periods(mapping: Mapping) -> str:
    if mapping.gap is None:
        return "A person is observed from the first to the last event."
    return f"A person is observed while no more than {mapping.gap} days pass between events."


def _rule(rule: Rule) -> list[str]:
    title = f"Each row of {rule.source}"
    if rule.each:
        title = f"Each of {', '.join(group[0] for group in rule.each.groups)} in a row of {rule.source}"
    if rule.where:
        title += f" where {words(rule.where.tree)}"
    lines = [f"{title} becomes a row of {rule.to}."]
    if rule.join:
        found = ", ".join(f"{name} (found by {own})" for name, (own, _) in rule.join.items())
        lines.append(f"  Beside it stand the columns of {found}.")
    if rule.deleted:
        lines.append(f"  Rows where {words(rule.deleted.tree)} are deleted, and left out.")
    if rule.each and len(rule.each.values) > 1:
        lines += [f"  {_group(rule.each.values, group)}." for group in rule.each.groups if any(group[1:])]
    if rule.first:
        lines.append(f"  Of rows with the same key the one with the smallest {words(rule.first.tree)} counts.")
    if rule.distinct:
        lines.append("  Rows that say the same count once.")
    whose = " among those of this rule" if rule.space and rule.table.key else ""
    lines.append(f"  Rows are told apart by {words(rule.key.tree) if rule.key else 'all that the rule reads'}{whose}.")
    return lines + [f"  {name} is {words(one.tree)}." for name, one in rule.columns.items()]


def _group(values: Sequence[str], columns: Sequence[str]) -> str:
    """What stands beside the first column of a group of `each`: With GLU, [unit] is GLU_UNIT."""
    beside = [f"[{value}] is {column}" for value, column in zip(values, columns, strict=True) if column]
    return f"With {columns[0]}, {' and '.join(beside[1:])}"


def words(tree: Expression) -> str:
    """An expression in words."""
    if isinstance(tree, Constant):
        return (
            "nothing" if tree.value is None else f"“{tree.value}”" if isinstance(tree.value, str) else str(tree.value)
        )
    if isinstance(tree, Name):
        return f"[{tree.name}]"
    if isinstance(tree, Case):
        parts = [f"{words(value)} where {words(condition)}" for condition, value in tree.branches]
        return ", ".join([*parts, f"else {words(tree.otherwise)}"])
    return _call(tree)


def _call(tree: Call) -> str:
    parts = [words(argument) for argument in tree.arguments]
    if tree.function == "in":
        return f"{parts[0]} is one of {', '.join(parts[1:])}"
    if tree.function == "lookup" and len(parts) > 2:
        return f"the {parts[2]} of {parts[1]} in the list {parts[0]}"
    if tree.function in _WORDS:
        padded = [*parts, *[""] * 4]
        return _WORDS[tree.function].format(*padded, all=", ".join(parts))
    if len(parts) == 2:
        return f"({parts[0]} {tree.function} {parts[1]})"
    return f"{tree.function}({', '.join(parts)})"


def differences(old: Mapping, new: Mapping) -> list[str]:
    """What the new version does otherwise, a line each."""
    lines: list[str] = []
    before, after = _titled(old), _titled(new)
    lines += [f"- no longer: {title}" for title in before if title not in after]
    lines += [f"+ new: {title}" for title in after if title not in before]
    for title in before:
        if title in after:
            lines += [f"  {title}: {line}" for line in _rule_differences(before[title], after[title])]
    for name in sorted(set(old.lists) | set(new.lists)):
        lines += _list_differences(name, old.lists.get(name), new.lists.get(name))
    for name in (part.name for part in fields(Mapping) if part.name not in ("rules", "lists", "digest")):
        lines += [f"  {one}" for one in _changes(_CALLED.get(name, name), getattr(old, name), getattr(new, name))]
    return lines


def _changes(title: str, before: Any, after: Any) -> Iterator[str]:
    """What differs of a part of two documents and of the parts of it, whichever they are."""
    before, after = _parts(before), _parts(after)
    if isinstance(before, dict) or isinstance(after, dict):
        before, after = before or {}, after or {}
        for name in dict.fromkeys((*before, *after)):
            yield from _changes(f"{title}.{name}" if title else name, before.get(name), after.get(name))
    elif _shown(before) != _shown(after):
        yield f"{title}: {_shown(before)} → {_shown(after)}"


def _parts(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, Written):
        return {part.name: getattr(value, part.name) for part in fields(value) if part.name not in _WHERE}
    return dict(value) if isinstance(value, Entries) else value


def _shown(value: Any) -> str:
    if isinstance(value, Written):
        return written(value.tree)
    if isinstance(value, tuple):
        each = (json.dumps(one, ensure_ascii=False) if isinstance(one, str) else _shown(one) for one in value)
        return f"[{', '.join(each)}]" if value else "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nothing" if value in (None, "") else str(value)


def _titled(mapping: Mapping) -> dict[str, Rule]:
    """Rules by title; a second one with the same title gets a number."""
    found: dict[str, Rule] = {}
    for rule in mapping.rules:
        title, number = rule.title, 2
        while title in found:
            title, number = f"{rule.title} ({number})", number + 1
        found[title] = rule
    return found


def _rule_differences(old: Rule, new: Rule) -> list[str]:
    before, after = ({**_parts(rule), **rule.columns} for rule in (old, new))
    lines = list(_changes("", {**before, "columns": {}}, {**after, "columns": {}}))
    if not lines and list(old.join) != list(new.join):
        lines.append(f"join: {', '.join(old.join)} → {', '.join(new.join)}")
    if not lines and old.key is None and old.names() != new.names():
        lines.append("columns are read in another order, and without a `key` ids are made of it")
    return lines


def _list_differences(name: str, old: Path | None, new: Path | None) -> list[str]:
    if old is None or new is None:
        return [f"{'+ new' if old is None else '- no longer'}: list {name}"]
    before, after = _codes(old), _codes(new)
    changed = sum(1 for code in before if code in after and before[code] != after[code])
    added, gone = len(set(after) - set(before)), len(set(before) - set(after))
    return [f"  list {name}: {added} codes more, {gone} fewer, {changed} changed"] if added or gone or changed else []


def _codes(path: Path) -> dict[str, dict[str, str]]:
    """A list's codes, each with what its columns say of it."""
    from atoll.ingest.lookups import read_list

    columns, rows = read_list(path.stem, path)
    return {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for row in rows}


def counts(old: Mapping, new: Mapping, address: str, vocabulary: Path | None) -> list[dict[str, Any]]:
    """Rows by table, and rows kept aside by reason, that the two versions give for one export."""
    import tempfile

    from atoll.ingest.load import load

    made = []
    with tempfile.TemporaryDirectory(prefix="atoll-diff-") as folder:
        for name, mapping in (("old", old), ("new", new)):
            made.append(load(mapping, address, Path(folder) / f"{name}.duckdb", vocabulary=vocabulary, anyway=True))
    before, after = (_counted(report) for report in made)
    keys = dict.fromkeys((*before, *after))
    rows = [{"table": t, "what": w, "before": before.get((t, w), 0), "after": after.get((t, w), 0)} for t, w in keys]
    return [row for row in rows if row["before"] != row["after"]]


def _counted(report: Any) -> dict[tuple[str, str], int]:
    found = {(name, "rows"): rows for name, rows in report.tables.items()}
    for entry in report.rejected:
        key = (entry["table"], entry["reason"])
        found[key] = found.get(key, 0) + entry["rows"]
    for entry in report.unmapped:
        found[(entry["vocabulary"], "rows without a concept")] = entry["rows"]
    return found
