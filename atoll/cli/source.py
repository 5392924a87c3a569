"""`atoll source …`: look at a hospital's export before it is mapped."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.cli.output import AtollGroup, Output, command_line, with_output
from atoll.cli.targets import Target, replaces, with_mark, write_text
from atoll.durable import privately

if TYPE_CHECKING:
    from atoll.settings import Language


@click.group(cls=AtollGroup)
def source() -> None:
    """Look at exports."""


@source.command(epilog="Example: atoll source scan exports/ --out scan.yaml --page scan.html")
@click.argument("address")
@click.option(
    "--out", "target", type=Target("yaml", "json"),
    help="Write the description as YAML, or as JSON when its name ends so.",
)  # fmt: skip
@click.option("--page", type=Target("html"), help="Write it as one page of HTML.")
@replaces
@click.option("--language", type=click.Choice(["en", "zh"]), help="Of the page; from your settings when left out.")
@click.option(
    "-k",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Values of fewer patients are not shown; of fewer rows where no column tells patients.",
)
@with_output
def scan(out: Output, address: str, target: Path | None, page: Path | None, language: Language | None, k: int) -> None:
    """Describe an export: files, types, missing values, ranges, meanings, keys. It stays at the hospital.

    ADDRESS is a file, a folder or a database: duckdb:///FILE, or postgresql, mysql, mssql or oracle://USER@HOST/DATABASE.
    """
    from atoll.ingest.scan import scan as look

    with tempfile.TemporaryDirectory(prefix="atoll-scan-") as folder, out.progress("scan") as step:
        found = look(address, k=k, folder=Path(folder), progress=step)
    with privately():  # it says what the patients of a hospital have
        _write(found, target, page, language)
    out.result(found)
    for table in found["tables"]:
        _show(out, table)
    for broken in found["broken_lines"][:20]:
        out.note(f"{broken['file']}, line {broken['line']:,}: {broken['what']}")
    for note in found["notes"]:
        out.note(note)
    asked = command_line("atoll", "mapping", "propose", "--from", address, "--out", "mapping.yaml")
    out.note(f"Next: {asked}")


def _write(found: dict[str, Any], target: Path | None, page: Path | None, language: Language | None) -> None:
    import json

    import yaml

    from atoll.settings import settings

    if target is not None:
        if target.suffix.lower() == ".json":
            write_text(target, json.dumps({"atoll scan": 1} | found, ensure_ascii=False, indent=2))
        else:
            write_text(target, with_mark(yaml.safe_dump(found, allow_unicode=True, sort_keys=False)))
    if page is not None:
        from atoll.ui.scan import page as draw

        write_text(page, draw(found, language or settings().language))


def _show(out: Output, table: dict[str, Any]) -> None:
    """One table of a scan: its files, its columns, what is left open, where its keys lead."""
    files = ", ".join(f"{f['name']} {f['encoding']}".strip() for f in table["files"][:3])
    by = "" if table["counted"] == "person" else f"; values are counted by {table['counted']}s, not patients"
    out.say(f"{table['name']}: {table['rows']:,} rows ({files}){by}")
    rows = [
        (
            c["name"],
            c["type"],
            c.get("pattern") or " or ".join(c.get("open", ())),
            f"{c['missing'] / max(table['rows'], 1):.0%}",
            f"{c['distinct']:,}",
            c["meaning"],
        )
        for c in table["columns"]
    ]
    out.table(
        ("  column", "type", "pattern", "missing", "distinct", "looks like"), [("  " + r[0], *r[1:]) for r in rows]
    )
    for c in table["columns"]:
        if c.get("open"):
            out.note(f"{table['name']}, {c['name']}: its values fit both {' and '.join(c['open'])}; ask which it is")
    for link in table["links"]:
        almost = ", almost unique there" if link.get("almost") else ""
        out.say(f"  {link['column']} → {link['table']}.{link['key']} ({link['share']:.0%}{almost})")
    out.say()
