"""`atoll vocabulary …`: the vocabularies in which codes are looked up."""

from __future__ import annotations

from pathlib import Path

import click

from atoll.cli.output import AtollGroup, Output, with_output
from atoll.cli.targets import Target, replaces

PATH = click.Path(path_type=Path)


@click.group(cls=AtollGroup)
def vocabulary() -> None:
    """Load vocabularies, and look into them."""


@vocabulary.command(epilog="Example: atoll vocabulary load vocabulary_download_v5.zip --to vocabulary.duckdb")
@click.argument("athena", type=PATH)
@click.option("--to", "target", type=Target("duckdb"), required=True, help="The DuckDB file to make.")
@replaces
@with_output
def load(out: Output, athena: Path, target: Path) -> None:
    """Read an Athena download (zip or folder) into one file."""
    from atoll.cdm.vocabulary import load_athena

    with out.progress("vocabulary") as step:
        made = load_athena(athena, target, step)
    out.result({"version": made.version, "rows": made.rows})
    out.say(f"Vocabulary {made.version}")
    out.table(("table", "rows"), [(name, f"{rows:,}") for name, rows in made.rows.items()])
    out.note(f"Next: atoll load MAPPING --from EXPORT --cdm URL --vocabulary {target}")


@vocabulary.command(epilog="Example: atoll vocabulary descendants vocabulary.duckdb 201820")
@click.argument("file", type=PATH)
@click.argument("concept", type=int)
@with_output
def descendants(out: Output, file: Path, concept: int) -> None:
    """A concept and all that is below it."""
    from atoll.cdm.vocabulary import descendants as below
    from atoll.cdm.workbench import Workbench

    with Workbench(file, read_only=True) as bench:
        found = below(bench, concept)
    out.result(found, "\n".join(map(str, found)))


@vocabulary.command(epilog="Example: atoll vocabulary history vocabulary.duckdb 45756805")
@click.argument("file", type=PATH)
@click.argument("concept", type=int)
@with_output
def history(out: Output, file: Path, concept: int) -> None:
    """What replaced a concept, from one to the next."""
    from atoll.cdm.vocabulary import history as follow
    from atoll.cdm.workbench import Workbench

    with Workbench(file, read_only=True) as bench:
        found = follow(bench, concept)
    out.result(found)
    out.table(
        ("concept", "vocabulary", "code", "from", "to", ""),
        [(f["concept_id"], f["vocabulary"], f["code"], f["from"], f["to"], f["invalid_reason"] or "") for f in found],
    )
