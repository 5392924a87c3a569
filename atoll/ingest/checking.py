"""A mapping held against the export that it is for: every rule is compiled, every finding has line and column."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from atoll.cdm.vocabulary import require, starter, version_of
from atoll.cdm.workbench import MEMORY
from atoll.durable import privately
from atoll.ingest.expressions import ExpressionError, names
from atoll.ingest.lookups import Lookups, read_list
from atoll.ingest.mapping import Mapping, Rule
from atoll.ingest.release import Build
from atoll.ingest.rules import Compiled, Context, compile_rule
from atoll.ingest.sources import LEFT_OUT, Source, open_source
from atoll.study.nodes import Problem, Problems


def check_against(mapping: Mapping, address: str, vocabulary: Path | None = None) -> dict[str, list[str]]:
    """Hold a mapping against an export and a vocabulary, without loading anything.

    Returns what it does not use of the export: table → columns, none of them for a whole table that was not opened.

    Raises
    ------
    Problems
        With every finding, each with line and column.
    """
    with trial(mapping, address, vocabulary) as (source, lookups):
        check(mapping, source, lookups)
        return unused(mapping, source)


@contextmanager
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


def unused(mapping: Mapping, source: Source) -> dict[str, list[str]]:
    """Tables and columns of a source that no rule reads."""
    read: dict[str, set[str]] = {}
    for rule in mapping.rules:
        for name in (rule.source, *rule.join):
            read.setdefault(name, set()).update(rule.names(), *rule.join.values())
    if mapping.same:
        found = (name.name for one in (mapping.same.key, mapping.same.other) for name in names(one.tree))
        read.setdefault(mapping.same.table, set()).update(found)
    matched = {name.name for one in mapping.match for name in names(one.tree)}
    left = {
        name: [
            c
            for c in table.columns
            if c != LEFT_OUT and c not in read.get(name, ()) and not (name in read and c in matched)
        ]
        for name, table in source.tables.items()
    }
    return {**{name: columns for name, columns in left.items() if columns}, **{name: [] for name in source.others}}


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
    problems: list[Problem] = []
    for rule in mapping.rules:
        missing = [name for name in (rule.source, *rule.join) if name not in source.tables]
        if missing:
            found = ", ".join(sorted({*source.tables, *source.others})) or "none"
            problems.append(
                Problem(
                    rule.place[0],
                    f"rules[{rule.position}].from",
                    f"the source has no table {missing[0]!r}.",
                    f"Found: {found}.",
                )
            )
            continue
        try:
            compiled_rule(rule, source, lookups, Context(None, {}, today))
        except ExpressionError as error:
            problems.append(
                Problem(error.place[0], f"rules[{rule.position}]", error.what, error.remedy, error.place[1])
            )
    if problems:
        raise Problems("The mapping does not fit the source:", sorted(problems, key=lambda one: (one.line, one.column)))


def compiled_rule(rule: Rule, source: Source, lookups: Lookups, context: Context) -> Compiled:
    """A rule over the tables of an opened source."""
    tables = {name: source.table(name) for name in (rule.source, *rule.join)}
    return compile_rule(rule, tables, lookups, context)
