"""`atoll load`: an export becomes the next release of a hospital's OMOP database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.cli.mapping import say_doubts
from atoll.cli.output import Output, command_line, with_output
from atoll.cli.targets import Target, allow, replaces, write_text
from atoll.durable import privately

if TYPE_CHECKING:
    from atoll.ingest.report import Report

PATH = click.Path(path_type=Path)
CODES = Target("csv", heading=("list", "code", "name", "rows"))


@click.command(epilog="Example: atoll load river.yaml --from exports/ --cdm duckdb:///srv/river/cdm.duckdb")
@click.argument("mapping", type=PATH)
@click.option("--from", "source", required=True, help="The export: a file, a folder, or a database's URL.")
@click.option(
    "--cdm", required=True, metavar="URL", help="duckdb:///FILE, postgresql://…?schema=NAME, spark:local?folder=F."
)
@click.option("--report", type=Target("json"), help="Write what was loaded, rejected and not understood as JSON.")
@click.option("--vocabulary", type=PATH, help="DuckDB file made by `atoll vocabulary load`.")
@click.option("--memory", default="1200MB", show_default=True, help="Of the engine; the process takes a little more.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="Last day that is not in the future.")
@click.option("--anyway", is_flag=True, help="Put it in force even if it loses much, or no row of some rule can stay.")
@replaces
@with_output
def load(
    out: Output,
    mapping: Path,
    source: str,
    cdm: str,
    report: Path | None,
    vocabulary: Path | None,
    memory: str,
    today: object,
    anyway: bool,
) -> None:
    """Load an export into the OMOP model, as a whole or not at all."""
    from atoll.ingest.doubts import doubts
    from atoll.ingest.load import load_url
    from atoll.ingest.mapping import read_mapping

    if report is not None:
        allow(_codes_beside(report), CODES, "Give --report another folder.")
    read = read_mapping(mapping)
    with out.progress("load") as step:
        day = getattr(today, "date", lambda: None)()
        options: dict[str, Any] = {"vocabulary": vocabulary, "memory": memory, "today": day, "anyway": anyway}
        made = load_url(read, source, cdm, **options, progress=step)
    doubted = doubts(read, vocabulary)
    document = made.to_document() | {"doubts": [one.__dict__ for one in doubted]}
    if report is not None:
        with privately():
            write_text(report, json.dumps({"atoll load": 1} | document, ensure_ascii=False, indent=2) + "\n")
    out.result(document)
    for text in made.left:
        out.say(f"Note: {text}.")
    if not made.changed:
        out.say(f"Nothing has changed since release {made.release}; it stays in force.")
        if report is not None and made.codes:
            _codes(out, made, read.lists, report)
        return
    again = ", went on where it had stopped" if made.resumed else ""
    out.say(f"Release {made.release} is in force ({made.seconds:.0f} s{again})")
    out.table(("table", "rows"), [(name, f"{rows:,}") for name, rows in made.tables.items()])
    _aside(out, made)
    if made.codes:
        _codes(out, made, read.lists, report)
    say_doubts(out, doubted)
    out.note(f"Next: {command_line('atoll', 'cdm', 'validate', cdm)}")


def _codes_beside(report: Path) -> Path:
    return report.with_name(f"{report.stem}-unmapped.csv")  # each report has its own


def _codes(out: Output, made: Report, lists: Mapping[str, Path], report: Path | None) -> None:
    """The codes without a concept, by name, in a file beside the report."""
    from atoll.ingest.report import write_unmapped

    if report is None:
        out.note("With --report FILE.json the codes are written beside it, in FILE-unmapped.csv, with names and rows.")
        return
    target = _codes_beside(report)
    codes = write_unmapped(target, made, lists)
    out.say(f"The {codes:,} codes with their names and rows: {target}. It stays at the hospital.")


def _aside(out: Output, made: Report) -> None:
    """What was kept aside, what has no concept, and what lacks a unit."""
    from atoll.ingest.lists import UNITS

    if made.rejected:
        out.say()
        out.say("Kept aside, each row with its reason (ingest.rejected):")
        kinds = {"row": "row not loaded", "value": "loaded without the value", "unit": "kept in its unit, or none",
                 "line": "line not read", "match": "loaded, not matched", "same": "loaded as one person"}  # fmt: skip
        rows = [(r["table"], r["source"], kinds[r["what"]], r["reason"], f"{r['rows']:,}") for r in made.rejected[:25]]
        out.table(("table", "from", "", "reason", "rows"), rows)
    for text in made.manifest.get("notes", []):
        out.say(f"Note: {text}.")
    if others := made.manifest.get("unread"):
        said = ", ".join(f"{one['table']} ({one['rows']:,} rows)" for one in others)
        out.say()
        out.say(f"Not read, for no rule of the mapping asks for them: {said}")
    units = [u for u in made.unmapped if u["vocabulary"] == UNITS]
    for one in units:
        out.say()
        out.say(
            f"Not known, or not converted: {one['codes']:,} units, in which {one['rows']:,} values stay as written."
        )
    if len(made.unmapped) > len(units):
        out.say()
        out.say("Codes without a standard concept, kept as concepts of your own (ingest.unmapped):")
        out.table(
            ("vocabulary or list", "codes", "rows"),
            [(u["vocabulary"], f"{u['codes']:,}", f"{u['rows']:,}") for u in made.unmapped if u not in units],
        )
    if made.units:
        out.say()
        out.say("Values without a unit, with the likeliest one (ingest.unit_inferred):")
        rows = [
            (str(u["concept_id"]), str(u["unit_concept_id"]), f"{u['rows']:,}", f"{u['probability']:.3f}",
             f"{u['filled']:,}") for u in made.units[:25]
        ]  # fmt: skip
        out.table(("test", "unit", "rows", "mean probability", "filled in"), rows)
        if not any(u["filled"] for u in made.units):
            out.note("`units: {infer: 0.99}` in the mapping fills those in that are so probable.")
