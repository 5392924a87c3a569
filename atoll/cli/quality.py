"""`atoll quality …`: how good the data of an OMOP database are, by checks that a hospital runs itself."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.cli.output import AtollGroup, Output, command_line, with_output
from atoll.cli.own_names import best_names, own_names
from atoll.cli.targets import Target, replaces, write_text
from atoll.durable import privately
from atoll.errors import DataError

if TYPE_CHECKING:
    from atoll.ingest.trace import Origin
    from atoll.settings import Language

PATH = click.Path(path_type=Path, dir_okay=False)
LISTED = 25
WIDEST = 60  # characters of a cell


@click.group(cls=AtollGroup)
def quality() -> None:
    """How good the data are: conformance, completeness, plausibility (Kahn's frame)."""


@quality.command(
    epilog="Example: atoll quality run --cdm duckdb:///cdm.duckdb --report quality.json --page quality.html"
)
@click.option("--cdm", required=True, metavar="URL", help="duckdb:///FILE, postgresql://USER@HOST/DB?schema=…, spark:…")
@click.option("--report", type=Target("json"), help="Write every finding as JSON.")
@click.option("--page", type=Target("html"), help="Write it as one page of HTML.")
@replaces
@click.option("--earlier", type=PATH, help="The report of an earlier release: say what is different now.")
@click.option("--study", type=PATH, help="Only the checks that matter for this study: its tables and concepts.")
@click.option("--language", type=click.Choice(["en", "zh"]), help="Of the page; from your settings when left out.")
@click.option("--threads", type=int, help="At most so many threads of the database.")
@click.option("--memory", metavar="4GB", help="At most so much memory of the database.")
@with_output
def run(
    output: Output,
    cdm: str,
    report: Path | None,
    page: Path | None,
    earlier: Path | None,
    study: Path | None,
    language: Language | None,
    threads: int | None,
    memory: str | None,
) -> None:
    """Run all checks on an OMOP database. Only numbers of rows are written, and they stay at the hospital."""
    from atoll.cdm.database import without_password
    from atoll.cdm.workspace import workspace_at
    from atoll.cli.study import read_study
    from atoll.quality.report import drift, names_of, sizes, to_document
    from atoll.quality.run import run as run_all
    from atoll.quality.scope import scope_of

    before = _report(earlier) if earlier else None
    started = time.perf_counter()
    with output.progress("quality") as step, workspace_at(cdm, threads=threads, memory=memory) as workspace:
        scope = scope_of(read_study(study)[1], workspace) if study else None
        findings = run_all(workspace, step, scope)
        names = best_names(names_of(workspace, findings))
    document = to_document(findings, seconds=time.perf_counter() - started, database=without_password(cdm), names=names)
    changes = drift(before, document) if before else []
    if before:
        document |= {"changes": changes, "sizes": sizes(before, document)}
    with privately():  # of few patients it says what they have
        if report:
            write_text(report, json.dumps(document, ensure_ascii=False, indent=1))
        if page:
            write_text(page, _page(document, language))
    output.result({key: value for key, value in document.items() if key != "findings"} | {"changes": changes})
    _show(output, document)
    _show_changes(output, document)
    _next(output, document, cdm, report, page)


@quality.command()
@click.option("--kind", type=click.Choice(["conformance", "completeness", "plausibility"]), help="Of this kind only.")
@with_output
def checks(output: Output, kind: str | None) -> None:
    """List the families of checks, with what each looks at and how many checks it makes."""
    from collections import Counter

    from atoll.quality.run import all_checks
    from atoll.quality.tests import FAMILIES
    from atoll.quality.words import WORDS

    every = all_checks()
    counts, kinds = Counter(check.family for check in every), {check.family: check.kind for check in every}
    kinds |= dict.fromkeys(FAMILIES, "plausibility")
    rows = [
        (family, kinds[family], str(counts[family]) if family in counts else "per test", WORDS[family][0])
        for family in kinds
        if kind in (None, kinds[family])
    ]
    output.result([dict(zip(("family", "kind", "checks", "looks_at"), row, strict=True)) for row in rows])
    output.table(("family", "kind", "checks", "looks at"), rows)


@quality.command(epilog="Example: atoll quality persons --cdm duckdb:///cdm.duckdb --out quality.parquet")
@click.option("--cdm", required=True, metavar="URL", help="duckdb:///FILE, postgresql://USER@HOST/DB?schema=…, spark:…")
@click.option("--out", required=True, type=Target("parquet"), help="Parquet file: one row a person.")
@click.option("--dictionary", type=Target("yaml"), help="For the data dictionary; NAME.dictionary.yaml if left out.")
@replaces
@click.option("--threads", type=int, help="At most so many threads of the database.")
@click.option("--memory", metavar="4GB", help="At most so much memory of the database.")
@with_output
def persons(
    output: Output, cdm: str, out: Path, dictionary: Path | None, threads: int | None, memory: str | None
) -> None:
    """Make the checks a dataset, for hospitals to compare through the gate: flags, and last values of tests.

    One flag a table and family of checks, and of each test that is known the person's last value as it stands.

    The table stays in the hospital: `atoll site dataset add NAME --from TABLE --dictionary FILE` registers it.
    """
    from atoll.cdm.workspace import workspace_at
    from atoll.cli.features import dictionary_of, write_dataset
    from atoll.quality import persons as made

    described = dictionary_of(out, dictionary)
    with workspace_at(cdm, threads=threads, memory=memory) as workspace:
        table = made.person_table(workspace)
    write_dataset(output, table, made.dictionary(), out, described)


@quality.command(epilog="Example: atoll quality rows unit_given:measurement.unit_concept_id --cdm duckdb:///cdm.duckdb")
@click.argument("check_id")
@click.option("--cdm", required=True, metavar="URL", help="duckdb:///FILE, postgresql://USER@HOST/DB?schema=…, spark:…")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="At most so many rows.")
@click.option("--mapping", type=PATH, help="With --from: name the rows of the export, by the mapping that loaded it.")
@click.option("--from", "source", help="The export that was loaded: a file, a folder, or a database's URL.")
@click.option("--vocabulary", type=PATH, help="The DuckDB file that the load was given, where it was.")
@click.option("--threads", type=int, help="At most so many threads of the database.")
@click.option("--memory", metavar="4GB", help="At most so much memory of the database.")
@with_output
def rows(
    output: Output, check_id: str, cdm: str, limit: int, mapping: Path | None, source: str | None,
    vocabulary: Path | None, threads: int | None, memory: str | None,
) -> None:  # fmt: skip
    """List rows at fault by their keys: person_id, the row's own id, and what stands in the column that is checked.

    With --mapping and --from the rules are run once more, and the rows of the export are listed: table, key, columns.
    These are rows of patients, for the terminal of a steward at the hospital: they are never sent, kept or logged.
    """
    from atoll.cdm.workspace import workspace_at
    from atoll.quality.rows import check_called, faulty_rows, table_of

    if (mapping is None) != (source is None):
        raise click.UsageError("--mapping and --from belong together: the mapping, and the export that it loaded.")
    check = check_called(check_id)
    with workspace_at(cdm, threads=threads, memory=memory) as workspace:
        found = faulty_rows(workspace, check, limit + 1)
    shown = found[:limit]
    document = {"check": check.id, "rows": [row._asdict() for row in shown], "more": len(found) > limit}
    made = []
    if mapping is not None and source is not None:
        from atoll.ingest.mapping import read_mapping
        from atoll.ingest.trace import origins

        ids = [int(row.row) for row in shown if row.row is not None]
        made = origins(read_mapping(mapping), source, table_of(check), ids, vocabulary)
        document["origins"] = [one._asdict() for one in made]
    output.result(document)
    if not shown:
        output.say("No row is at fault.")
        return
    output.table(("person_id", "row", check.column or "value"), [[_cell(value) for value in row] for row in shown])
    if mapping is not None:
        _origins(output, made, {int(row.row) for row in shown if row.row is not None})
    if len(found) > limit:
        output.note(f"There are more: --limit {limit * 10} lists them.")


def _origins(output: Output, made: list[Origin], ids: set[int]) -> None:
    """The rows of the export from which rows were made, and how many rows came from none of them."""
    lines = [(str(one.id), one.table, ", ".join(one.files), one.key.replace("\x1f", " | "), one.row) for one in made]
    if lines:
        output.table(("row", "table of the export", "file", "key", "columns"), lines)
    if lost := len(ids - {one.id for one in made}):
        output.note(f"{lost} of these rows come from no row of this export: is it the one that was loaded last?")


def _cell(value: Any) -> str:
    """What stands in a row, in one short line; nothing where nothing stands."""
    text = "" if value is None else str(value)
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return plain if len(plain) <= WIDEST else plain[: WIDEST - 1] + "…"


def _next(output: Output, document: dict[str, Any], cdm: str, report: Path | None, page: Path | None) -> None:
    if page:
        output.note(f"{page} says of every family of checks what to do about a failure.")
    if not document["verdicts"]["failed"]:
        output.note(f"Next: {command_line('atoll', 'site', 'cdm', cdm)} lets this hospital's node use the data.")
        return
    words = ["atoll", "quality", "run", "--cdm", cdm, "--page", page or "quality.html"]
    words += ["--earlier", report] if report else ["--report", "quality.json"]
    output.note(f"Next: correct the mapping, load again, and {command_line(*words)}")


def _report(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
        if not isinstance(document, dict) or "atoll quality" not in document:
            raise ValueError
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is no report of quality.", "Write one with `atoll quality run --report`.") from error
    return document


def _page(document: dict[str, Any], language: Language | None) -> str:
    from atoll.quality.words import ADVICE, KINDS, VERDICTS, WORDS
    from atoll.settings import settings
    from atoll.ui.quality import page

    return page(document, WORDS, KINDS, VERDICTS, language or settings().language, ADVICE, own_names())


def _show(output: Output, document: dict[str, Any]) -> None:
    verdicts = document["verdicts"]
    output.say(
        f"{document['checks']:,} checks in {document['seconds']:.1f} s: {verdicts['failed']} failed, "
        f"{verdicts['passed']:,} passed, {verdicts['empty'] + verdicts['missing']:,} found nothing to look at"
    )
    failed = [entry for entry in document["findings"] if entry["verdict"] == "failed"]
    rows = [
        (entry["id"], entry["concept_name"], f"{entry['faults']:,}", f"{entry['looked_at']:,} {entry['counted']}",
         f"{entry['share']:.2%}", f"{entry['allowed']:.0%}")
        for entry in failed[:LISTED]
    ]  # fmt: skip
    if rows:
        output.table(("failed check", "of", "faults", "looked at", "share", "allowed"), rows)
    if any(entry["of_rows"] for entry in failed):
        output.note("`atoll quality rows CHECK --cdm URL` lists the rows at fault, here at the hospital.")
    if len(failed) > LISTED:
        output.note(f"{len(failed) - LISTED} more failed: --report FILE and --page FILE hold them all.")


def _show_changes(output: Output, document: dict[str, Any]) -> None:
    """What is different from the earlier report."""
    for size in document.get("sizes", ()):
        output.say(f"changed: {size['table']} from {size['was']:,} rows to {size['is']:,}")
    changes = document.get("changes", [])
    if "changes" in document and not changes and not document.get("sizes"):
        output.say("Against the earlier report nothing has moved.")
    for change in changes[:LISTED]:
        if change["verdict_is"] == "empty":
            output.say(f"changed: {change['id']} looked at {change['looked_at_was']:,} rows and finds none")
        else:
            output.say(f"changed: {change['id']} from {change['was']:.2%} to {change['is']:.2%}")
    if len(changes) > LISTED:
        output.note(f"{len(changes) - LISTED} more changed: --report FILE and --page FILE hold them all.")
