"""`atoll run`: a study in this process, over tables on this machine. Every share still passes a gate and the codec."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.cli.output import Output, with_output
from atoll.errors import AtollError, StudyError

if TYPE_CHECKING:
    from atoll.study.protocol import Study


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--table",
    "tables",
    multiple=True,
    required=True,
    metavar="SITE=FILE",
    help="A site's CSV or Parquet file; once a site.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), help="Also write NAME.json and NAME.svg here."
)
@with_output
def run(out: Output, file: Path, tables: Sequence[str], output: Path | None) -> None:
    """Run a study over tables on this machine.

    \b
    atoll run study.yaml --table north=a.csv --table river=b.parquet
    """
    from atoll.local import run_study

    study = _study(file)
    opened = _tables(tables)
    missing = sorted(set(study.sites) - set(opened))
    if missing:
        raise StudyError(
            f"The study asks {', '.join(study.sites)}; there is no table for {', '.join(missing)}.",
            f"Add --table {missing[0]}=FILE.",
        )
    results: dict[str, Any] = {}
    refused: dict[str, AtollError] = {}
    with out.progress("Running", len(study.analyses)) as step:
        for name, result in run_study(study, opened):
            if isinstance(result, AtollError):
                refused[name] = result
            else:
                results[name] = result
            step(f"{name} {'refused' if name in refused else 'done'}")
    if output:
        write_results(results, output)
    if not refused or results:
        out.result({name: result.document for name, result in results.items()} if out.as_json else None)
    for name, result in results.items():
        out.say(f"{name}: {result.summary()}\n")
    for name, error in list(refused.items())[:-1]:
        out.note(f"{name}: {error}")
    if refused:
        name, error = list(refused.items())[-1]
        raise type(error)(f"{name}: {error.what}", error.remedy, code=error.code, subject=error.subject)


def _study(file: Path) -> Study:
    from atoll.algorithms.registry import check
    from atoll.governance.signatures import SignedStudy
    from atoll.study.protocol import read

    try:
        content = file.read_bytes()
    except OSError as error:
        raise StudyError(f"{file} cannot be read: {error.strerror}.", "`atoll study new` writes one.") from error
    if file.suffix == ".json":
        return SignedStudy.from_bytes(content).study()
    return read(content.decode("utf-8-sig"), check=check)


def _tables(entries: Sequence[str]) -> dict[str, Path]:
    tables: dict[str, Path] = {}
    for entry in entries:
        site, equals, path = entry.partition("=")
        if not equals or not site or not path:
            raise click.BadParameter(f"{entry!r} is not SITE=FILE.", param_hint="--table")
        if site in tables:
            raise StudyError(
                f"Two tables are given for {site!r}.", "Give each site one table, under a name of its own."
            )
        tables[site] = Path(path)
    return tables


def write_results(results: dict[str, Any], folder: Path) -> None:
    """Each result as NAME.json, and its chart as NAME.svg where it has one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, result in results.items():
            result.to_json(str(folder / f"{name}.json"))
            try:
                result.plot().save(folder / f"{name}.svg")
            except ValueError:
                continue  # this kind of result has no chart
    except OSError as error:
        raise AtollError(f"{folder} cannot be written: {error.strerror}.", "Choose another folder.") from error
