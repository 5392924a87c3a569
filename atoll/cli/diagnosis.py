"""`atoll cohort diagnose`: how a definition behaves in a CDM, or in several with each hospital's gate in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from atoll.cli.cohort import ALONE, sites_of
from atoll.cli.output import Output, with_language, with_output
from atoll.cli.targets import Target, replaces, write_text
from atoll.errors import AtollError

if TYPE_CHECKING:
    import pyarrow as pa

    from atoll.study.circe import CohortExpression
    from atoll.study.dataset import Recipe
    from atoll.ui.results import Result
    from atoll.ui.words import Say

PATH = click.Path(path_type=Path)
YEARS = 10  # calendar years that are told unless others are asked for
LAST = 0.95  # share of the data's periods that end before the last of them


@click.command(epilog="Example: atoll cohort diagnose diabetes.json --cdm URL --with older.json --page diagnosis.html")
@click.argument("file", type=PATH)
@click.option(
    "--cdm", "cdms", required=True, multiple=True, metavar="URL", help="An OMOP CDM; or SITE=URL, once a site."
)
@click.option("--with", "second", type=PATH, help="Another definition: how far the two overlap.")
@click.option("--since", type=click.IntRange(1900, 2200), help="The first calendar year of the rates.")
@click.option(
    "--until", type=click.IntRange(1900, 2200), help="The last one; by default the ten years before it count."
)
@click.option("--page", type=Target("html"), help="Write it as one page of HTML.")
@replaces
@click.option("--threads", type=int, help="At most so many threads of the database.")
@with_language
@with_output
def diagnose(
    output: Output,
    file: Path,
    cdms: tuple[str, ...],
    second: Path | None,
    since: int | None,
    until: int | None,
    page: Path | None,
    language: Literal["en", "zh"],
    threads: int | None,
) -> None:
    """How a definition behaves: incidence, what begins the cohort, orphan codes, times, overlap with another.

    Exact in one CDM, for the hospital's own eyes; over sites with each site's gate in between. In a study a dataset
    with `diagnose:` gives the same over hospitals.
    """
    from atoll.ui.summary import lines
    from atoll.ui.words import Say

    recipes, urls = _recipes(file, second), sites_of(cdms)
    names = _names(recipes, file, second)
    with output.progress("cohort", len(urls) * len(recipes)) as step:
        tables: dict[str, dict[str, pa.Table]] = {what: {} for what in recipes}
        for site, url in urls.items():
            for what, table in _made(url, recipes, threads, own_names=ALONE in urls):
                tables[what][site] = table
                step(f"{site}: {what}")
    empty = _empty(file, urls[ALONE]) if ALONE in urls and not tables["entries"][ALONE].num_rows else None
    years, say = _years(tables["risk"], since, until), Say(language)
    if empty is not None:
        output.note(_of_nobody(empty, say))
    found: dict[str, Any] = {}
    for name, result in _results(recipes, tables, years, names, alone=ALONE in urls):
        found[name] = {"error": str(result)} if isinstance(result, AtollError) else result.document
        output.say(f"{name}\n{'-' * len(name)}")
        output.say(f"{result}\n" if isinstance(result, AtollError) else "\n".join([*lines(result.document, say), ""]))
    output.result(found)
    if page is not None:
        sites = () if ALONE in urls else tuple(urls)
        _write(page, found, dict(zip(names, _last(recipes).definitions, strict=True)), sites, language, empty)
        output.note(f"Written: {page}")


def _recipes(file: Path, second: Path | None) -> dict[str, Recipe]:
    """The tables that are made of the definition, each of its kind; an overlap only with a second definition."""
    from atoll.study.circe import written
    from atoll.study.dataset import Recipe
    from atoll.study.diagnosis import TABLES

    first = written(_definition(file), indent=None)
    other = written(_definition(second), indent=None) if second else ""
    kinds = [what for what in TABLES if what != "overlap" or second]
    return {what: Recipe(first, None, what, other if what == "overlap" else "") for what in kinds}


def _last(recipes: Mapping[str, Recipe]) -> Recipe:
    """The one that knows every definition."""
    return recipes.get("overlap", recipes["entries"])


def _names(recipes: Mapping[str, Recipe], *files: Path | None) -> list[str]:
    """What each cohort is called: as its definition says, else as its file; two are not called alike."""
    stems = [file.stem for file in files if file is not None]
    titles = [" ".join((one.title or "").split())[:200] for one in _last(recipes).definitions]
    called = [title or stem for title, stem in zip(titles, stems, strict=True)]
    for names in (called, stems):
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({number})" for number, name in enumerate(called, 1)]


def _empty(file: Path, cdm: str) -> tuple[str, ...]:
    """The concept sets that a definition uses and nothing of this vocabulary is in."""
    from atoll.cohort.folder import read_definition
    from atoll.cohort.preview import preview
    from atoll.study.circe import nodes
    from atoll.study.circe.check import used_sets

    definition = read_definition(file)
    used = {number for _, number in used_sets(nodes(definition))}
    resolved = zip(definition.concept_sets, preview(definition, cdm), strict=True)
    return tuple(one.name for asked, one in resolved if asked.id in used and not one.members)


def _of_nobody(empty: Sequence[str], say: Say) -> str:
    lacking = [say("No concept of “{name}” is in this vocabulary.", name=name) for name in empty]
    return " ".join((say("Nobody is in this cohort."), *lacking))


def _definition(file: Path) -> CohortExpression:
    from atoll.cohort.folder import lines_of, read_definition
    from atoll.study.circe.review import checked

    definition = read_definition(file)
    checked(definition, lines_of(file))
    return definition


def _made(
    url: str, recipes: Mapping[str, Recipe], threads: int | None, *, own_names: bool
) -> Iterator[tuple[str, pa.Table]]:
    from atoll.features.recipe import table_at

    for what, recipe in recipes.items():
        yield what, table_at(url, recipe, threads=threads, own_names=own_names)


def _years(tables: Mapping[str, pa.Table], since: int | None, until: int | None) -> tuple[int, int]:
    """The calendar years that are asked for; else the ten up to the one before which nearly all periods end."""
    import numpy as np

    last = until
    if last is None:
        ends = np.concatenate([table.column("leaves").to_numpy() for table in tables.values()])
        last = int(np.datetime64(int(np.quantile(ends, LAST)), "D").astype("datetime64[Y]").astype(int)) + 1970 \
            if len(ends) else 2000  # fmt: skip
    return since if since is not None else last - YEARS + 1, last


def _results(
    recipes: Mapping[str, Recipe],
    tables: Mapping[str, Mapping[str, pa.Table]],
    years: tuple[int, int],
    names: Sequence[str],
    *,
    alone: bool,
) -> Iterator[tuple[str, Result | AtollError]]:
    """Each analysis by its name; one that is refused gives its error, and the others go on."""
    import pyarrow as pa

    from atoll.features.recipe import with_words
    from atoll.local import Network
    from atoll.study.diagnosis import ANALYSES

    for name, (what, algorithm, options) in ANALYSES.items():
        if what not in recipes:
            continue
        columns = dict(with_words(pa.concat_tables(tables[what].values()), recipes[what], recipes[what].dictionary()))
        if what == "overlap":
            columns |= {
                key: replace(columns[key], label=called) for key, called in zip(("first", "second"), names, strict=True)
            }
        network = Network(tables[what], policy="public" if alone else "strict", columns=columns)
        asked = options | ({"since": years[0], "until": years[1]} if algorithm == "incidence" else {})
        try:
            yield name, network.run(algorithm, **asked, by_site=not alone)
        except AtollError as error:
            yield name, error


def _write(
    page: Path,
    found: Mapping[str, Any],
    definitions: Mapping[str, CohortExpression],
    sites: tuple[str, ...],
    language: Literal["en", "zh"],
    empty: tuple[str, ...] | None,
) -> None:
    from atoll.study.circe.text import explain
    from atoll.ui.diagnosis import About
    from atoll.ui.diagnosis import page as rendered

    told = {name: explain(one, language, check=False, every=False) for name, one in definitions.items()}
    about = About(next(iter(told)), date.today().isoformat(), sites, told, empty)
    write_text(page, rendered(found, about, language))
