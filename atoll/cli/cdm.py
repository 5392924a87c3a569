"""`atoll cdm …`: OMOP databases: make one, look at one, hold one against the definition."""

from __future__ import annotations

import click

from atoll.cli.output import AtollGroup, Output, command_line, with_output

VERSION = click.option("--version", "version", default="5.4", type=click.Choice(["5.4", "5.3"]), show_default=True)


@click.group(cls=AtollGroup)
def cdm() -> None:
    """OMOP databases: create, describe, validate."""


@cdm.command(epilog="Example: atoll cdm create duckdb:///srv/river/cdm.duckdb")
@click.argument("url")
@with_output
def create(out: Output, url: str) -> None:
    """Make the empty tables of OMOP 5.4. Tables that are there already stay as they are."""
    from atoll.cdm.create import create as make

    made = make(url)
    out.result({"created": made}, f"Created {len(made)} tables" if made else "All tables were there already")


@cdm.command(epilog="Example: atoll cdm describe duckdb:///srv/river/cdm.duckdb")
@click.argument("url", required=False)
@click.option("--table", help="Describe one table of the model.")
@VERSION
@with_output
def describe(out: Output, url: str | None, table: str | None, version: str) -> None:
    """What a database holds; without one, what the model is."""
    from atoll.cdm.create import describe as look
    from atoll.cdm.tables import table as one
    from atoll.cdm.tables import tables

    if url is not None:
        found = look(url)
        out.result(found)
        if release := found["release"]:
            out.say(f"Release {release['release']} of {release['made']}, mapping {release['mapping']['name']}")
        out.table(("table", "rows"), [(name, f"{rows:,}") for name, rows in found["tables"].items()])
        return
    if table is None:
        known = tables(version)
        out.result({name: list(each.columns) for name, each in known.items()})
        out.table(("table", "columns"), [(name, len(each.columns)) for name, each in known.items()])
        return
    columns = one(table, version).columns
    rows = [
        (name, c.kind, "required" if c.required else "", "key" if c.key else c.references, c.domain)
        for name, c in columns.items()
    ]
    out.result([dict(zip(("column", "type", "required", "refers to", "domain"), row, strict=True)) for row in rows])
    out.table(("column", "type", "", "refers to", "domain"), rows)


@cdm.command(epilog="Example: atoll cdm validate duckdb:///srv/river/cdm.duckdb")
@click.argument("url")
@with_output
def validate(out: Output, url: str) -> None:
    """Hold a database against the definition: tables, columns, types, keys, references."""
    from atoll.cdm.create import validate as hold

    found = hold(url)
    out.result({"version": found.version, "findings": [finding.to_document() for finding in found.findings]})
    if not found.findings:
        out.say(f"This is OMOP {found.version}: every table, column, key and reference is as defined.")
        _quality_next(out, url)
        return
    out.say(f"OMOP {found.version}, {len(found.findings)} findings:")
    out.table(
        ("table", "column", "what was found", "rows"),
        [(f.table, f.column, f.what, f"{f.rows:,}" if f.rows else "") for f in found.findings],
    )
    if any(f.severe for f in found.findings):
        out.note("Next: correct the mapping, or the program that fills this database, and load again.")
        raise SystemExit(11)
    _quality_next(out, url)


def _quality_next(out: Output, url: str) -> None:
    asked = command_line("atoll", "quality", "run", "--cdm", url, "--report", "quality.json", "--page", "quality.html")
    out.note(f"Next: {asked}")
