"""A mapping held against the export that it is for: every rule is compiled, every finding has line and column."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Entries
from dataclasses import dataclass
from pathlib import Path

from atoll.cdm.vocabulary import require, starter, version_of
from atoll.cdm.workbench import MEMORY
from atoll.durable import privately
from atoll.ingest.expressions import ExpressionError, names
from atoll.ingest.judged import Context
from atoll.ingest.kinds import SEPARATOR
from atoll.ingest.lookups import Lookups, owner_of, read_list
from atoll.ingest.mapping import Mapping, Rule
from atoll.ingest.release import Build
from atoll.ingest.rule_source import faults, misfits, source_rows, sourced, tables_of
from atoll.ingest.rules import Compiled, compile_rule, needed
from atoll.ingest.sources import LEFT_OUT, Source, open_source
from atoll.study.nodes import Problem, Problems


@dataclass(frozen=True)
class Held:
    """What is no error of a mapping that fits an export.

    unused   what it does not use of the export: table → columns, none of them for a whole table that was not opened
    doubts   a sentence for each list that lacks most codes of a rule's rows
    """

    unused: dict[str, list[str]]
    doubts: list[str]


def held_against(mapping: Mapping, address: str, vocabulary: Path | None = None) -> Held:
    """Hold a mapping against an export and a vocabulary, without loading anything.

    Raises
    ------
    Problems
        With every finding, each with line and column.
    """
    with trial(mapping, address, vocabulary) as (source, lookups):
        check(mapping, source, lookups)
        tables = {name: list(table.columns) for name, table in source.tables.items()}
        left = unused(mapping, tables) | {name: [] for name in source.others}
        return Held(left, _unlisted(mapping, source, lookups))


def check_against(mapping: Mapping, address: str, vocabulary: Path | None = None) -> dict[str, list[str]]:
    """The same (`held_against`); returns what is not used."""
    return held_against(mapping, address, vocabulary).unused


def _unlisted(mapping: Mapping, source: Source, lookups: Lookups) -> list[str]:
    """Lists that lack more than half of the codes for which a rule's rows look there."""
    listed = {owner_of("list", name): (path.name, {row[0] for row in read_list(name, path)[1]})
              for name, path in mapping.lists.items()}  # fmt: skip
    said = []
    for rule in mapping.rules:
        made = compiled_rule(rule, source, lookups, Context(None, {}, "2100-01-01"))
        found: dict[str, dict[str, int]] = {}
        for table in made.looked:
            query = lookups.bench.sql(table.filter(table.looked.notnull()))
            for looked, rows in lookups.bench.rows(f"SELECT looked, count(*) FROM ({query}) GROUP BY 1"):
                owner, _, code = looked.partition(SEPARATOR)
                codes = found.setdefault(owner, {})
                codes[code] = codes.get(code, 0) + rows
        for owner, codes in found.items():
            file, known = listed.get(owner, ("", set(codes)))
            lacking = [rows for code, rows in codes.items() if code not in known]
            if len(lacking) > len(codes) / 2:
                said.append(
                    f"{file} lacks {len(lacking):,} of {len(codes):,} codes that {rule.title} looks up there"
                    f" ({sum(lacking):,} of {sum(codes.values()):,} rows). Is it the list for this column?"
                )
    return said


def without_concept(mapping: Mapping) -> list[str]:
    """A sentence for each rule that does not say what its rows are about, or of which kind: all get concept 0."""
    return [
        f"Line {rule.place[0]}: {rule.title} has no {name}: all its rows get concept 0. Write one concept for all, or"
        " look it up."
        for rule in mapping.rules
        if (name := rule.table.concept()) and rule.table.columns[name].required and name not in rule.columns
    ]


@contextlib.contextmanager
def trial(mapping: Mapping, address: str, vocabulary: Path | None = None) -> Iterator[tuple[Source, Lookups]]:
    """An export opened for a mapping beside a vocabulary, in a release that nobody will see.

    Raises
    ------
    DataError
        When the export or the vocabulary cannot be used.
    """
    import tempfile

    with privately(), tempfile.TemporaryDirectory(prefix="atoll-check-") as folder:
        build = Build(Path(folder) / "check.duckdb", "check", (), memory=MEMORY, vocabulary=vocabulary)
        try:
            if vocabulary is None:
                starter(build.bench)
            require(version_of(vocabulary), mapping.vocabulary)
            source = open_source(address, build.bench, build.folder, mapping)
            yield source, Lookups(build.bench, mapping.lists)
        finally:
            build.bench.close()


@dataclass(frozen=True)
class Filled:
    """A code list of concepts: its codes, those of them that have a concept, and those whose unit is left empty."""

    file: str
    codes: int
    filled: int
    without_unit: int = 0


def filled(mapping: Mapping) -> list[Filled]:
    """How far the code lists of concepts are filled in; lists of other things are not named.

    Raises
    ------
    DataError
        When a list cannot be read; with the line.
    """
    found = []
    for name, path in mapping.lists.items():
        columns, rows = read_list(name, path)
        if "concept_id" in columns:
            at = columns.index("concept_id")
            unit = columns.index("unit") if "unit" in columns else at
            bare = sum(not row[unit] for row in rows) if unit != at else 0
            found.append(Filled(path.name, len(rows), sum(row[at] not in ("", "0") for row in rows), bare))
    return found


def unused(mapping: Mapping, tables: Entries[str, Sequence[str]]) -> dict[str, list[str]]:
    """Columns of some tables (name → columns) that no rule reads."""
    read: dict[str, set[str]] = {}
    for rule in mapping.rules:
        for name in (rule.source, *rule.join):
            read.setdefault(name, set()).update(rule.names(), *rule.join.values())
    if mapping.same:
        found = (name.name for one in (mapping.same.key, mapping.same.other) for name in names(one.tree))
        read.setdefault(mapping.same.table, set()).update(found)
    matched = {name.name for one in mapping.match for name in names(one.tree)}
    left = {}
    for name, columns in tables.items():
        known = {LEFT_OUT, *read.get(name, ()), *(matched if name in read else ())}
        left[name] = [column for column in columns if column not in known]
    return {name: columns for name, columns in left.items() if columns}


def unread(mapping: Mapping, source: Source) -> list[dict[str, object]]:
    """Of messages, what no rule reads: tables that hold rows, and resources for which there is no table."""
    used = mapping.used()
    return [{"table": name, "rows": rows} for name, rows in sorted(source.counts.items()) if rows and name not in used]


def check(mapping: Mapping, source: Source, lookups: Lookups, today: str = "2100-01-01") -> None:
    """Hold a mapping against the source that it is for.

    Raises
    ------
    Problems
        With every finding, each with line and column.
    """
    problems = _incomplete(mapping) + _persons(mapping, source, lookups)
    for rule in mapping.rules:
        if missing := [name for name in (rule.source, *rule.join) if name not in source.tables]:
            problems += [_no_table(source, name, rule.place, f"rules[{rule.position}].from") for name in missing]
            continue
        found = faults(rule, tables_of(rule, source), lookups)
        if not found:  # what only the whole shows
            try:
                compiled_rule(rule, source, lookups, Context(None, {}, today))
            except ExpressionError as error:
                found = [error]
        problems += [_problem(error, f"rules[{rule.position}]") for error in found]
    _refuse(problems, "The mapping does not fit the source:")


def complete(mapping: Mapping) -> None:
    """Hold a mapping against the model alone.

    Raises
    ------
    Problems
        For each rule that lacks a column without which no row can stay.
    """
    _refuse(_incomplete(mapping), "The mapping cannot be used:")


def _refuse(problems: list[Problem], title: str) -> None:
    if problems:
        unique = {(one.line, one.column, one.what): one for one in problems}
        raise Problems(title, sorted(unique.values(), key=lambda one: (one.line, one.column)))


def _incomplete(mapping: Mapping) -> list[Problem]:
    return [
        Problem(
            rule.place[0], f"rules[{rule.position}].columns", f"{rule.to} needs {name}, and the rule does not give it.",
            "No row can stay without it: write it, or leave the rule out.",
        )
        for rule in mapping.rules for name in needed(rule.table) if name not in rule.columns
    ]  # fmt: skip


def _persons(mapping: Mapping, source: Source, lookups: Lookups) -> list[Problem]:
    """What `persons` says of the source: who is the same, and by what patients are matched."""
    problems: list[Problem] = []
    for rule in mapping.rules if mapping.match else ():
        if rule.to == "person" and not (set((rule.source, *rule.join)) - set(source.tables)):
            with contextlib.suppress(ExpressionError):  # a wrong `join` is told of the rule
                rows = source_rows(rule, tables_of(rule, source))
                problems += [_problem(error, "persons.match") for error in misfits(mapping.match, rows, lookups)]
    same = mapping.same
    if same and same.table in source.tables:
        found = misfits((same.key, same.other), sourced(source.table(same.table)), lookups)
        problems += [_problem(error, "persons.same") for error in found]
    elif same:
        problems.append(_no_table(source, same.table, same.key.place, "persons.same"))
    return problems


def _no_table(source: Source, name: str, place: tuple[int, int], key: str) -> Problem:
    found = ", ".join(sorted({*source.tables, *source.others})) or "none"
    return Problem(place[0], key, f"the source has no table {name!r}.", f"Found: {found}.")


def _problem(error: ExpressionError, key: str) -> Problem:
    return Problem(error.place[0], key, error.what, error.remedy, error.place[1])


def compiled_rule(rule: Rule, source: Source, lookups: Lookups, context: Context) -> Compiled:
    """A rule over the tables of an opened source."""
    return compile_rule(rule, tables_of(rule, source), lookups, context)
