"""`atoll cohort …`: who is meant by a Circe definition, in words and in rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from atoll.cli.cohort_result import say_failures, say_notes, say_result, say_skipped
from atoll.cli.output import AtollGroup, Output, with_language, with_output
from atoll.cli.targets import Target, replaces, write, write_text
from atoll.errors import StudyError

if TYPE_CHECKING:
    from atoll.cohort.folder import Reading
    from atoll.study.circe.draft import Answers
    from atoll.study.circe.faults import Fault
    from atoll.study.dictionary import Dictionary
    from atoll.ui.results import Result

SOME_FAILED = 3
PATH = click.Path(path_type=Path)
SITE = re.compile(r"[^\W_][\w-]*=")


@click.group(
    cls=AtollGroup,
    table={
        "diagnose": (
            "atoll.cli.diagnosis:diagnose",
            "How a definition behaves: incidence, orphan codes, times, overlap.",
        )
    },
)
def cohort() -> None:
    """Circe cohort definitions: find their persons, read them in plain words, compare them."""


@cohort.command(epilog="Example: atoll cohort run definitions/ --cdm duckdb:///cdm.duckdb --out cohorts.parquet")
@click.argument("path", type=PATH)
@click.option("--cdm", required=True, metavar="URL", help="duckdb:///FILE, postgresql://USER@HOST/DB?schema=…, spark:…")
@click.option("--out", type=Target("parquet"), help="Parquet file: definition, subject_id, cohort start and end.")
@click.option(
    "--report",
    type=Target("json"),
    help="JSON file: rows, persons, attrition and seconds, or the reason of a failure.",
)
@replaces
@click.option("--threads", type=int, help="At most so many threads of the database.")
@click.option("--memory", metavar="4GB", help="At most so much memory of the database.")
@click.option(
    "--between", metavar="20:00-06:00", help="Run in these hours only, and pause outside, between definitions."
)
@click.option("--explain", "cost_only", is_flag=True, help="Only show what each definition would cost; nothing is run.")
@click.option("--anew", is_flag=True, help="Run every definition, also those that would give the rows of --out again.")
@click.option("--minutes", type=float, help="Stop after so many minutes; what is finished by then is kept.")
@with_output
def run(
    output: Output, path: Path, cdm: str, out: Path | None, report: Path | None, between: str | None, cost_only: bool,
    anew: bool, **limits: Any,
) -> int:  # fmt: skip
    """Find the cohorts of a definition, or of all in a folder, in an OMOP CDM.

    A definition that cannot be run is named in the report and stops no other; the exit code is then 3. Where the file
    of --out is there, a definition is run again only if it, its concepts or a table that it reads has changed.
    """
    from atoll.cohort.folder import read_definitions, run_definitions
    from atoll.cohort.kept import State, read_state
    from atoll.cohort.night import read_window, run_at_night

    reading = read_definitions(path)
    if cost_only:
        return _explain_cost(output, reading, cdm, limits["threads"])
    if out is None:
        raise click.UsageError("Missing option '--out'. Name the Parquet file that the rows go into.")
    before, window = State() if anew else read_state(out), read_window(between) if between else None
    with output.progress("cohort", len(reading.definitions)) as step:
        find = partial(run_definitions, reading, cdm, **limits, progress=step)
        done = run_at_night(find, out, window, output.note, before) if window else find(before=before)
    done.write(out, report)
    say_result(output, done, out)
    return SOME_FAILED if done.failed else 0


def _explain_cost(output: Output, reading: Reading, cdm: str, threads: int | None) -> int:
    """The rows of the tables that each definition reads, by the engine's own statistics, most first."""
    from atoll.cohort.cost import cost

    found = cost(reading, cdm, threads=threads)
    each = sorted(found.tables.items(), key=lambda entry: (-found.of(entry[1]), entry[0]))
    document = {name: {"rows": found.of(tables), "tables": {t: found.rows[t] for t in tables}} for name, tables in each}
    failures = {name: str(error) for name, error in reading.failed.items()}
    output.result({"definitions": document, "together": found.together, "unknown": found.unknown, "failures": failures})
    output.table(
        ("definition", "rows", "tables"), [(name, f"{found.of(tables):,}", ", ".join(tables)) for name, tables in each]
    )
    output.say(f"Together {found.together:,} rows: a table is read once for the folder. Nothing was run.")
    if found.unknown:
        output.note(f"The engine keeps no statistics of {', '.join(found.unknown)}: their rows are not counted.")
    say_notes(output, reading.notes)
    say_failures(output, reading.failed)
    say_skipped(output, reading.skipped)
    return SOME_FAILED if reading.failed else 0


@cohort.command(epilog="Example: atoll cohort attrition diabetes.json --cdm north=URL --cdm south=URL --chart lost.svg")
@click.argument("file", type=PATH)
@click.option(
    "--cdm", "cdms", required=True, multiple=True, metavar="URL", help="An OMOP CDM; or SITE=URL, once a site."
)
@click.option("--chart", type=Target("svg"), help="Also draw it into this SVG file.")
@replaces
@with_language
@with_output
def attrition(
    output: Output, file: Path, cdms: tuple[str, ...], chart: Path | None, language: Literal["en", "zh"]
) -> None:
    """Where a definition loses persons: exact in one CDM, or over sites with each site's gate in between.

    Over sites a step that loses fewer persons than a hospital's minimum is held back: two numbers stand, between which
    its number lies.
    """
    from atoll.cohort.attrition import all_stay
    from atoll.cohort.folder import lines_of, read_definition
    from atoll.features.recipe import table_at
    from atoll.study.circe import written
    from atoll.study.circe.review import checked
    from atoll.study.dataset import Recipe
    from atoll.ui.panels import losses
    from atoll.ui.summary import lines
    from atoll.ui.words import Say

    definition = read_definition(file)
    checked(definition, lines_of(file))
    recipe = Recipe(written(definition, indent=None), None)
    urls = sites_of(cdms)
    with output.progress("cohort", len(urls)) as step:
        tables = {}
        for site, url in urls.items():
            tables[site] = table_at(url, recipe)
            step(site)
    found = _counted(tables, recipe.dictionary(), all_stay(definition), alone=ALONE in urls)
    title = " ".join((definition.title or file.stem).split())
    say = Say(language)
    output.result(found.document, "\n".join([title, *lines(found.document, say)]))
    if chart is not None:
        write(chart, losses(found.document, title, say).save)


def _counted(tables: Mapping[str, Any], columns: Dictionary, all_stay: bool, alone: bool) -> Result:
    """The attrition; where nobody can leave after the last rule, who is in the cohort is who kept that rule.

    Counted on its own that step would be one that loses nobody, which is held back although nothing is in doubt.
    """
    from atoll.local import Network
    from atoll.ui.results import Result

    steps = [name for name, column in columns.items() if column.type == "flag"]
    asked = steps[:-1] if all_stay and len(steps) > 1 else steps
    network = Network(tables, policy="public" if alone else "strict", columns=columns)
    found: dict[str, Any] = network.run("attrition", columns=asked, by_site=not alone).document
    for last in steps[len(asked) :]:
        before = found["steps"][-1]
        own_words = {"step": last, "label": columns[last].label}
        found["steps"] = [
            *found["steps"],
            before | own_words | {f"alone_{end}": before[end] for end in ("low", "high")},
        ]
        for own in found["sites_apart"].values():
            own |= {end: [*own[end], own[end][-1]] for end in ("low", "high")}
    return Result(found)


ALONE = "here"  # the only CDM, on this machine: nothing leaves it


def sites_of(cdms: tuple[str, ...]) -> dict[str, str]:
    """Sites and their URLs; one URL without a name is the only one."""
    if len(cdms) == 1 and not SITE.match(cdms[0]):
        return {ALONE: cdms[0]}
    named: dict[str, str] = {}
    for entry in cdms:
        site, _, url = entry.partition("=")
        if not SITE.match(entry) or site in named or site == ALONE:
            raise click.BadParameter(f"{entry!r} is not SITE=URL with a name of its own.", param_hint="--cdm")
        named[site] = url
    return named


@cohort.command(epilog="Example: atoll cohort explain diabetes.json --language zh")
@click.argument("file", type=PATH)
@with_language
@with_output
def explain(output: Output, file: Path, language: Literal["en", "zh"]) -> int:
    """A definition in plain words, with the check list of what may be wrong with it.

    The exit code is 10 where the list holds an error: the definition cannot be run.
    """
    from atoll.cohort.folder import lines_of, read_definition
    from atoll.study.circe.check import faults
    from atoll.study.circe.text import explain as explained

    definition = read_definition(file)
    text, found = explained(definition, language, lines=lines_of(file)), faults(definition)
    output.result({"text": text, "check": [fault.document() for fault in found]}, text.rstrip())
    return _checked(found)


@cohort.command(epilog="Example: atoll cohort check diabetes.yaml")
@click.argument("file", type=PATH)
@with_language
@with_output
def check(output: Output, file: Path, language: Literal["en", "zh"]) -> int:
    """What may be wrong with a definition, or that nothing was found; exit code 10 where it cannot be run."""
    from atoll.cohort.folder import lines_of, read_definition
    from atoll.study.circe.check import faults
    from atoll.study.circe.review import check_list

    definition = read_definition(file)
    found = faults(definition)
    output.result([fault.document() for fault in found])
    nothing = {"en": "Nothing was found.", "zh": "没有发现问题。"}
    for line in check_list(definition, found, language, lines_of(file)) or [nothing[language]]:
        output.say(line)
    return _checked(found)


def _checked(found: Sequence[Fault]) -> int:
    return StudyError.exit_code if any(fault.level == "error" for fault in found) else 0


@cohort.command(epilog="Example: atoll cohort diff old.json new.json")
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@with_language
@with_output
def diff(output: Output, first: Path, second: Path, language: Literal["en", "zh"]) -> None:
    """What one definition says and the other does not, in plain words."""
    from atoll.cohort.folder import read_definition
    from atoll.study.circe.text import difference

    text = difference(read_definition(first), read_definition(second), language)
    output.result({"text": text}, text.rstrip())


@cohort.command(epilog="Example: atoll cohort convert diabetes.json > diabetes.yaml")
@click.argument("file", type=PATH)
@click.option("--out", type=Target("definition"), help="Write it into this file instead of showing it.")
@replaces
@with_output
def convert(output: Output, file: Path, out: Path | None) -> None:
    """A definition in its other form: ATLAS's JSON as YAML that a person can read and change, or YAML as JSON."""
    from atoll.cohort.folder import read_definition
    from atoll.study import circe
    from atoll.study.circe import as_yaml

    definition = read_definition(file)
    text = circe.written(definition) + "\n" if as_yaml.is_yaml(file.name) else as_yaml.written(definition)
    if out is None:
        output.result({"text": text}, text.rstrip())
        return
    write_text(out, text)
    output.result({"file": str(out)}, f"Written: {out}")


@cohort.command(epilog="Example: atoll cohort new diabetes.yaml --phenotype type_2_diabetes")
@click.argument("file", type=PATH)
@click.option("--phenotype", metavar="NAME", help="Begin from this definition of the library (atoll phenotypes list).")
@with_output
def new(output: Output, file: Path, phenotype: str | None) -> None:
    """Write a definition to begin from, in YAML: from the library, or from your answers to a few questions."""
    from atoll.knowledge import library
    from atoll.study.circe import as_yaml
    from atoll.study.circe.draft import draft

    if file.exists():
        raise StudyError(f"{file} is there already.", "Choose another name; nothing was changed.")
    text = as_yaml.written(library.phenotype(phenotype).definition()) if phenotype else draft(_asked())
    as_yaml.read(text)
    _write_new(file, text)
    remedy = f"Read it with `atoll cohort explain {file}`, count with `atoll cohort run {file} --cdm URL --out FILE`."
    output.result({"file": str(file)}, f"Written: {file}\n{remedy}")


def _asked() -> Answers:
    from atoll.study.circe.draft import DAYS, KINDS, Answers

    def ask(text: str, **options: Any) -> Any:
        try:
            return click.prompt(text, err=True, **options)
        except click.Abort as error:
            if isinstance(error.__context__, EOFError):
                raise click.UsageError(f"The answers end before this question: {text}") from None
            raise

    title = ask("What is the cohort called?", type=str)
    kind = ask("By which records do persons enter?", type=click.Choice(list(KINDS)), default="condition")
    concepts = ask("Concept ids, with commas (what is below them is included)", value_proc=_ids)
    first = click.confirm("Only a person's first record?", default=True, err=True)
    before = ask("Days of observation before it", type=click.IntRange(0, DAYS), default=365)
    age = ask("Age in years, at least (0: everybody)", type=click.IntRange(0, 120), default=18)
    again = ask("Must be seen again within so many days (0: once is enough)", type=click.IntRange(0, DAYS), default=0)
    return Answers(title, kind, concepts, first, before, age, again)


def _ids(text: str) -> list[int]:
    parts = [part.strip() for part in text.replace("，", ",").split(",") if part.strip()]
    if not parts or not all(re.fullmatch(r"[0-9]{1,18}", part) for part in parts):
        raise click.UsageError(f"{text[:60]!r} are no concept ids. Write them as 201826, 443238.")
    return [int(part) for part in parts]


def _write_new(path: Path, text: str) -> None:
    """A new file; one that is there is never written over."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise StudyError(f"{path} cannot be written: {error.strerror}.", "Choose another name or folder.") from error
