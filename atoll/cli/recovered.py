"""`atoll recovered`: how much of a simulated truth has arrived."""

from __future__ import annotations

from pathlib import Path

import click

from atoll.cli.output import Output, with_output


@click.command(epilog="Example: atoll recovered simulated coral --cdm duckdb:///coral.duckdb")
@click.argument("world", type=click.Path(path_type=Path))
@click.argument("hospital")
@click.option("--cdm", required=True, metavar="URL", help="The OMOP database that was loaded from the export.")
@with_output
def recovered(out: Output, world: Path, hospital: str, cdm: str) -> None:
    """Compare an OMOP database with one hospital of WORLD, a folder that `atoll simulate` wrote."""
    from atoll.simulate.score import score

    found = score(world, hospital, cdm)
    out.result(found.to_document())
    persons = found.persons
    out.say(
        f"{found.share:.3%} of the true events arrived. Persons: {persons['found']:,} of {persons['true']:,}, "
        f"{persons['unknown'] + persons['different'] + persons['doubled']:,} wrong."
    )
    rows = [
        (name, f"{p.true:,}", f"{p.arrived:,}", f"{p.share:.3%}", f"{p.false:,}") for name, p in found.tables.items()
    ]
    out.table(("table", "true", "arrived", "share", "not true"), rows)
    if found.values:
        out.say(f"Values right: {found.values['right']:,} of {found.values['compared']:,} that could be compared;"
                f" {found.values['without_unit']:,} more kept as they were, their unit unknown.")  # fmt: skip
    out.say(
        f"Observation periods that begin and end where they should: {found.periods['right']:,} of"
        f" {found.periods['true']:,}."
    )
    named = [(kind, f"{count['planted']:,}", f"{count['named']:,}") for kind, count in sorted(found.faults.items())]
    out.table(("planted fault", "planted", "named by the load"), named)
