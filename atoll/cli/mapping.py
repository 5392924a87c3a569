"""`atoll mapping …`: from a hospital's tables to the OMOP model, as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atoll.cli.output import AtollGroup, Output, command_line, with_output
from atoll.cli.targets import make_room

if TYPE_CHECKING:
    from atoll.ingest.doubts import Doubt

DOUBTS = 15  # lines that are said
PATH = click.Path(path_type=Path)


@click.group(cls=AtollGroup)
def mapping() -> None:
    """Draft, check, explain and compare mappings."""


@mapping.command(epilog="Example: atoll mapping check river.yaml --from exports/")
@click.argument("file", type=PATH)
@click.option("--from", "source", help="Hold it against this export too.")
@click.option("--vocabulary", type=PATH, help="DuckDB file made by `atoll vocabulary load`.")
@with_output
def check(out: Output, file: Path, source: str | None, vocabulary: Path | None) -> None:
    """Say everything that is wrong with a mapping, with line and column."""
    from atoll.ingest.checking import complete, filled, held_against, without_concept
    from atoll.ingest.doubts import doubts
    from atoll.ingest.explain import shared_keys
    from atoll.ingest.mapping import read_mapping
    from atoll.study.nodes import Problem, Problems

    read = read_mapping(file)
    if source is None:
        complete(read)
    held = held_against(read, source, vocabulary) if source is not None else None
    unused = held.unused if held else {}
    shared, likely = shared_keys(read), [*without_concept(read), *(held.doubts if held else ())]
    lists, doubted = filled(read), doubts(read, vocabulary)
    if certain := [Problem(0, f"{one.file}, line {one.line}", one.what, one.remedy) for one in doubted if one.certain]:
        raise Problems("The code lists hold concepts that do not fit:", certain)
    document = {"name": read.name, "rules": len(read.rules), "sha256": read.digest, "unused": unused}
    document |= {"lists": [one.__dict__ for one in lists], "shared_keys": shared, "likely_mistakes": likely}
    out.result(document | {"doubts": [one.__dict__ for one in doubted]})
    empty = [one for one in lists if not one.filled]
    fits = "can be read" if source is None else "name what the export has" if empty else "fit the export"
    out.say(f"{read.name}: {len(read.rules)} rules {fits}")
    if empty:
        which = "none of its code lists holds" if len(empty) == len(lists) else "these code lists do not hold"
        out.say(f"But {which} a concept yet:")
        out.table(("list", "codes", "with a concept"), [(one.file, f"{one.codes:,}", "0") for one in empty])
    for one in lists:
        if one.without_unit:
            out.say(
                f"{one.file}: {one.without_unit:,} codes have no unit there; a value whose row gives none has none."
            )
    for sentence in (*shared, *likely):
        out.say(sentence)
    say_doubts(out, doubted)
    _say_unused(out, unused)
    _next(out, file, source, vocabulary, [one.file for one in empty])


def say_doubts(out: Output, doubted: Sequence[Doubt]) -> None:
    """Lines of code lists whose concepts do not fit, or may not."""
    if doubted:
        out.say(f"{len(doubted):,} lines of code lists are in doubt:")
    for one in doubted[:DOUBTS]:
        out.say(f"  {one}")
    if len(doubted) > DOUBTS:
        out.say(f"  and {len(doubted) - DOUBTS:,} more; --json names them all.")


def _next(out: Output, file: Path, source: str | None, vocabulary: Path | None, empty: list[str]) -> None:
    if empty:
        more = ["--vocabulary", vocabulary] if vocabulary else []
        asked = command_line("atoll", "terms", "suggest", file.parent / empty[0], *more)
        out.note(f"Next: write concepts into the lists, or let them be suggested: {asked}"
                 " --out suggested.csv; then check again.")  # fmt: skip
        return
    more = ["--vocabulary", vocabulary] if vocabulary else []
    if source is None:
        out.note(f"Next: {command_line('atoll', 'mapping', 'check', file, *more)} --from EXPORT")
        return
    asked = command_line("atoll", "load", file, "--from", source, *more, "--cdm", "duckdb:///FOLDER/cdm.duckdb")
    out.note(f"Next: {asked} --report load.json")


@mapping.command(epilog="Example: atoll mapping propose --from exports/ --out river.yaml")
@click.option("--from", "source", required=True, help="The export: a file, a folder, or a database's URL.")
@click.option("--out", "target", type=PATH, required=True, help="Where the draft goes; its code lists beside it.")
@click.option("--name", default="", help="The hospital's name in it.")
@click.option("--vocabulary", type=PATH, help="DuckDB file made by `atoll vocabulary load`.")
@with_output
def propose(out: Output, source: str, target: Path, name: str, vocabulary: Path | None) -> None:
    """Draft a mapping from what an export looks like. What could not be guessed is marked TODO."""
    from atoll.ingest.drafts.proposal import propose as draft

    make_room(target)
    with out.progress("propose") as step:
        made = draft(source, target, name or target.stem, vocabulary, step)
    out.result(made.to_document())
    out.say(f"Wrote {target}: {made.rules} rules, {len(made.lists)} code lists to fill")
    for note in made.notes:
        out.note(note)
    _say_unused(out, made.unused, made.lacking)
    if made.lists:
        out.say("The lists hold every code of the export, also of few patients: they stay at the hospital.")
    asked = command_line("atoll", "mapping", "check", target, "--from", source)
    out.note(f"Next: edit it, and type {asked}")


def _say_unused(out: Output, unused: dict[str, list[str]], lacking: Mapping[str, str] | None = None) -> None:
    """What of the export no rule reads, so that nothing is left out without a word, and why a whole table is not."""
    for table, columns in unused.items():
        why = f": {lacking[table]}" if lacking and table in lacking else ""
        out.say(f"not used: {table} ({'columns ' + ', '.join(columns) if columns else 'the whole table'}){why}")


@mapping.command(epilog="Example: atoll mapping explain river.yaml")
@click.argument("file", type=PATH)
@with_output
def explain(out: Output, file: Path) -> None:
    """Say in words what becomes what."""
    from atoll.ingest.explain import explain as tell
    from atoll.ingest.mapping import read_mapping

    sentences = tell(read_mapping(file))
    out.result(sentences, "\n".join(sentences))


@mapping.command(epilog="Example: atoll mapping diff old.yaml new.yaml --from exports/")
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@click.option("--from", "source", help="Say the effect on the counts of this export too.")
@click.option("--vocabulary", type=PATH, help="DuckDB file made by `atoll vocabulary load`.")
@with_output
def diff(out: Output, old: Path, new: Path, source: str | None, vocabulary: Path | None) -> None:
    """What two versions do differently, and with an export, how many rows that concerns."""
    from atoll.ingest.explain import counts, differences
    from atoll.ingest.mapping import read_mapping

    before, after = read_mapping(old), read_mapping(new)
    lines = differences(before, after)
    effect = counts(before, after, source, vocabulary) if source else []
    out.result({"differences": lines, "counts": effect})
    for line in lines or ["They say the same."]:
        out.say(line)
    if effect:
        out.say()
        rows = [(row["table"], f"{row['before']:,}", f"{row['after']:,}", row["what"]) for row in effect]
        out.table(("table", "before", "after", ""), rows)
