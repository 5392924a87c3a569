"""A mapping held against the export that it is for: every rule is compiled, every finding has line and column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from atoll.cdm.vocabulary import require, starter, version_of
from atoll.cdm.workbench import MEMORY
from atoll.ingest.expressions import ExpressionError
from atoll.ingest.lookups import Lookups, read_list
from atoll.ingest.mapping import Mapping, Rule
from atoll.ingest.release import Build
from atoll.ingest.rules import Compiled, Context, compile_rule
from atoll.ingest.sources import Source, open_source
from atoll.study.nodes import Problem, Problems


def check_against(mapping: Mapping, address: str, vocabulary: Path | None = None) -> None:
    """Hold a mapping against an export and a vocabulary, without loading anything.

    Raises
    ------
    Problems
        With every finding, each with line and column.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="atoll-check-") as folder:
        build = Build(Path(folder) / "check.duckdb", "check", (), memory=MEMORY, vocabulary=vocabulary)
        try:
            if vocabulary is None:
                starter(build.bench)
            require(version_of(vocabulary), mapping.vocabulary)
            source = open_source(address, build.bench, build.folder, mapping)
            check(mapping, source, Lookups(build.bench, mapping.lists))
        finally:
            build.bench.close()


@dataclass(frozen=True)
class Filled:
    """A code list of concepts: its codes, and those of them that have a concept."""

    file: str
    codes: int
    filled: int


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
            found.append(Filled(path.name, len(rows), sum(row[at] not in ("", "0") for row in rows)))
    return found


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
            found = ", ".join(sorted(source.tables)) or "none"
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
