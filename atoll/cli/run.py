"""`atoll run`: a study in this process, over tables on this machine. Every share still passes a gate and the codec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.cli.output import Output, with_output
from atoll.cli.study import read_study
from atoll.cli.targets import Target, allow, make_room, replaces
from atoll.durable import reason
from atoll.errors import AtollError, OperatorError, StudyError

if TYPE_CHECKING:
    from atoll.study.protocol import Study


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="SITE=FILE",
    help="A site's CSV or Parquet file; once a site.",
)
@click.option(
    "--cdm",
    "cdms",
    multiple=True,
    metavar="SITE=URL",
    help="A site's OMOP data, for datasets that the study makes from a cohort; once a site.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), help="Also write NAME.json and NAME.svg here."
)
@replaces
@with_output
def run(out: Output, file: Path, tables: Sequence[str], cdms: Sequence[str], output: Path | None) -> int:
    """Run a study over tables on this machine.

    \b
    atoll run study.yaml --table north=a.csv --table river=b.parquet
    """
    from atoll.local import run_study

    _, study = read_study(file)
    if output:
        allow_results(study.analyses, output)
    opened, made = open_sites(out, study, tables, cdms)
    results: dict[str, Any] = {}
    refused: dict[str, AtollError] = {}
    with out.progress("Running", len(study.analyses)) as step:
        for name, result in run_study(study, opened, made=made):
            if isinstance(result, AtollError):
                refused[name] = result
            else:
                results[name] = result
            step(f"{name} {'refused' if name in refused else 'done'}")
    if output:
        write_results(results, output)
    if results or not refused:
        return show(out, results, refused)
    for name, error in list(refused.items())[:-1]:
        out.note(f"{name}: {error}")
    name, error = list(refused.items())[-1]
    raise type(error)(f"{name}: {error.what}", error.remedy, code=error.code, subject=error.subject)


def show(out: Output, results: Mapping[str, Any], refused: Mapping[str, AtollError]) -> int:
    """Show each analysis's result, or the sentence that says why it has none; returns the command's exit code."""
    if out.as_json:
        errors = {name: {"error": error.to_document()} for name, error in refused.items()}
        out.result({name: result.document for name, result in results.items()} | errors)
    for name, result in results.items():
        out.say(f"{name}: {result.summary()}\n")
    for name, error in refused.items():
        click.echo(f"{name}: {error}", err=True)
    return list(refused.values())[-1].exit_code if refused else 0


def open_sites(
    out: Output, study: Study, tables: Sequence[str], cdms: Sequence[str]
) -> tuple[dict[str, Path], dict[str, dict[str, Any]]]:
    """Each site's table, and what its recipes make from its OMOP data, as the options name them.

    Raises
    ------
    StudyError
        When a site of the study has none.
    """
    opened, urls = _tables(tables), _named(cdms, "CDM", "URL")
    wanted = bool(set(study.datasets) - set(study.recipes))
    missing = sorted(set(study.sites) - (set(opened) if wanted else set(urls)))
    if missing:
        raise StudyError(
            f"The study asks {', '.join(study.sites)}; there is no table for {', '.join(missing)}.",
            f"Add --table {missing[0]}=FILE.",
        )
    if study.recipes and (without := sorted(set(study.sites) - set(urls))):
        raise StudyError(
            f"The study makes {', '.join(study.recipes)} from OMOP data; there are none for {', '.join(without)}.",
            f"Add --cdm {without[0]}=URL.",
        )
    return opened, _made(out, study, urls)


def _named(entries: Sequence[str], what: str, value: str) -> dict[str, str]:
    """SITE=VALUE, once a site."""
    found: dict[str, str] = {}
    for entry in entries:
        site, mark, given = entry.partition("=")
        if not mark or not site or not given:
            raise click.BadParameter(f"{entry!r} is not SITE={value}.", param_hint=f"--{what.lower()}")
        if site in found:
            remedy = f"Give each site one {what}, under a name of its own."
            raise StudyError(f"Two {what}s are given for {site!r}.", remedy)
        found[site] = given
    return found


def _tables(entries: Sequence[str]) -> dict[str, Path]:
    return {site: Path(path) for site, path in _named(entries, "table", "FILE").items()}


def _made(out: Output, study: Study, urls: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """By site and dataset: the tables that the study's recipes make from each site's OMOP data."""
    from atoll.features.recipe import table_at

    made: dict[str, dict[str, Any]] = {}
    with out.progress("Cohorts and features", len(study.sites) * len(study.recipes)) as step:
        for site in study.sites if study.recipes else ():
            made[site] = {name: table_at(urls[site], recipe) for name, recipe in study.recipes.items()}
            step(f"{site}: {', '.join(f'{t.num_rows:,} rows of {name}' for name, t in made[site].items())}")
    return made


def allow_results(names: Iterable[str], folder: Path) -> None:
    """Refuse a folder in which files that Atoll did not write have the names of results, or that cannot be made."""
    make_room(folder / "results.json")
    if folder.is_dir():
        for name in names:
            allow(folder / f"{name}.json", Target("json"), "Choose another folder.")
            allow(folder / f"{name}.svg", Target("svg"), "Choose another folder.")


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
        raise OperatorError(f"{folder} cannot be written: {reason(error)}.", "Choose another folder.") from error
