"""`atoll concepts …`: what the concept sets of a definition hold, and what of it a hospital really uses."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from atoll.cli.output import AtollGroup, Output, with_output


@click.group(cls=AtollGroup)
def concepts() -> None:
    """Concept sets: resolved to concepts by a hospital's own vocabulary."""


@concepts.command(epilog="Example: atoll concepts resolve diabetes.yaml --cdm duckdb:///cdm.duckdb --used")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--cdm", required=True, metavar="URL", help="duckdb:///FILE, postgresql://USER@HOST/DB?schema=…, spark:…")
@click.option("--used", is_flag=True, help="Only concepts that this CDM has records of.")
@click.option("--most", default=20, show_default=True, type=click.IntRange(1), help="Concepts shown of each set.")
@with_output
def resolve(output: Output, file: Path, cdm: str, used: bool, most: int) -> None:
    """The concepts of each set of a definition, or of a file of concept sets, with persons and records in a CDM.

    The numbers are this hospital's own and exact: look at them here.
    """
    from atoll.cohort.folder import read_sets
    from atoll.cohort.preview import preview

    found = preview(read_sets(file), cdm)
    chosen = {one.name: [m for m in one.members if m.records or not used] for one in found}
    output.result(
        [{"set": one.name, "used": one.used, "concepts": [asdict(m) for m in chosen[one.name]]} for one in found]
    )
    for one in found:
        output.say(f"{one.name}: {len(one.members):,} concepts, {one.used:,} of them used here")
        rows = [
            (m.concept, m.name, m.domain, m.vocabulary, "" if m.standard else "no", f"{m.persons:,}", f"{m.records:,}")
            for m in chosen[one.name][:most]
        ]
        if rows:
            output.table(("concept", "name", "domain", "vocabulary", "standard", "persons", "records"), rows)
        if len(chosen[one.name]) > most:
            output.say(f"… and {len(chosen[one.name]) - most:,} more (--most, or --json for all)")
        output.say()
