"""`atoll terms …`: what a hospital's names mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.cli.output import AtollGroup, Output, command_line, with_output
from atoll.cli.own_names import own_names
from atoll.cli.targets import Target, replaces
from atoll.settings import settings

if TYPE_CHECKING:
    from atoll.ingest.terminology import Name
    from atoll.ingest.terms.concepts import Concept
    from atoll.ingest.terms.names import ConceptNames
    from atoll.ingest.terms.review import Review

FILE = click.Path(path_type=Path)
SUGGESTED = ("name", "rank", "concept_id", "probability", "reason")  # `terms.files.HEADINGS`, without loading it


@click.group(cls=AtollGroup)
def terms() -> None:
    """Find the standard concepts that a hospital's names mean."""


@terms.command(epilog="Example: atoll terms suggest names.csv --concepts concepts.csv --out suggested.csv")
@click.argument("names", type=FILE)
@click.option("--concepts", type=FILE, multiple=True, help="CSV with concept_id and concept_name; may be repeated.")
@click.option(
    "--vocabulary", type=FILE, help="What `atoll vocabulary load` made, or an Athena download, instead of --concepts."
)
@click.option(
    "--decisions", type=FILE, multiple=True, help="Code list of earlier decisions: CSV with name, concept_id."
)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 100), help="Candidates for a name.")
@click.option("--out", "target", type=Target("csv", heading=SUGGESTED), required=True, help="CSV to write.")
@replaces
@with_output
def suggest(
    out: Output,
    names: Path,
    concepts: tuple[Path, ...],
    vocabulary: Path | None,
    decisions: tuple[Path, ...],
    top: int,
    target: Path,
) -> None:
    """Suggest concepts for names, ranked, each with a probability and the reason.

    NAMES is a CSV with the column name, and fluid, category, unit, domain and sample_values where they are known; or a
    code list that `atoll mapping propose` drafted, of which the codes without a concept are asked.
    """
    from atoll.ingest.terminology import Matcher
    from atoll.ingest.terms.files import read_decisions, read_names, write_suggestions

    if vocabulary is not None and concepts:
        raise click.UsageError("Give either --concepts or --vocabulary.")
    asked = read_names(names)
    earlier = {name: number for path in decisions for name, number in read_decisions(path).items()}
    found = Matcher(_candidates(out, concepts, vocabulary, asked, earlier.values()), earlier).suggest(asked, top)
    write_suggestions(target, asked, found)
    first = [s.probability for s in found if s.rank == 1]
    sure = sum(p >= 0.9 for p in first)
    out.result({"names": len(asked), "with_candidates": len(first), "probability_from_0.9": sure, "file": str(target)})
    out.say(
        f"{len(asked):,} names: {sure:,} with a candidate of probability 0.9 or more, "
        f"{len(first) - sure:,} to look at, {len(asked) - len(first):,} without any. Written to {target}"
    )
    more = [word for path in concepts for word in ("--concepts", path)]
    more += ["--vocabulary", vocabulary] if vocabulary is not None else []
    journal = target.with_suffix(".decisions.jsonl")
    review = command_line("atoll", "terms", "review", target, "--journal", journal, "--names", names, *more)
    out.note(f"Next: {review} --reviewer YOU --page")


def _candidates(
    out: Output, concepts: tuple[Path, ...], vocabulary: Path | None, names: Sequence[Name], decided: Iterable[int]
) -> list[Concept]:
    from atoll.ingest.terms.concepts import read_concepts, starter_candidates
    from atoll.ingest.terms.vocabulary import read_vocabulary

    if concepts:
        return [concept for path in concepts for concept in read_concepts(path)]
    if vocabulary is None:
        found = starter_candidates()
        out.note(
            f"Candidates are the {len(found):,} concepts that Atoll has names for: drugs, some tests and diagnoses."
            " --vocabulary takes all of an Athena download."
        )
        return found
    return read_vocabulary(vocabulary, names, decided)


def _opened(
    suggestions: Path,
    journal: Path,
    names: Path | None,
    concepts: tuple[Path, ...],
    vocabulary: Path | None,
    both: bool,
) -> tuple[Review, ConceptNames]:
    from atoll.ingest.terms.files import read_contexts
    from atoll.ingest.terms.names import ConceptNames
    from atoll.ingest.terms.review import Review, read_items

    shown = ConceptNames(concepts, vocabulary, own_names(), settings().language)
    shown.look({candidate.concept_id for item in read_items(suggestions) for candidate in item.candidates})
    contexts = read_contexts(names) if names is not None else {}
    return Review(read_items(suggestions, contexts, shown.names), journal, both=both, known=shown.known), shown


def review_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which a review is opened."""
    for option in (
        click.option("--both", is_flag=True, help="A name is settled when two reviewers decided alike."),
        click.option("--vocabulary", type=FILE, help="The vocabulary that `suggest` was given, for names."),
        click.option("--concepts", type=FILE, multiple=True, help="CSV whose concept names are shown."),
        click.option("--names", type=FILE, help="The file of names, to show code, rows, unit and specimen."),
        click.option("--journal", type=FILE, required=True, help="File of decisions; made when it is not there."),
        click.argument("suggestions", type=FILE),
    ):
        command = option(command)
    return command


@terms.command(epilog="Example: atoll terms review suggested.csv --journal decisions.jsonl --reviewer ana --page")
@review_options
@click.option("--reviewer", required=True, help="Who decides.")
@click.option("--page", is_flag=True, help="Open a page on this machine instead of the terminal.")
@click.option("--port", default=0, help="Of the page; a free one when left out.")
@with_output
def review(
    out: Output,
    suggestions: Path,
    journal: Path,
    names: Path | None,
    concepts: tuple[Path, ...],
    vocabulary: Path | None,
    both: bool,
    reviewer: str,
    page: bool,
    port: int,
) -> None:
    """Decide what names mean, one key a name; everything can be undone.

    SUGGESTIONS is the file that `atoll terms suggest` wrote. Several reviewers may work on one journal.
    """
    opened, _ = _opened(suggestions, journal, names, concepts, vocabulary, both)
    if page:
        from atoll.cli.review.page import serve

        serve(opened, reviewer, port, lambda address: out.say(f"Open {address}  (Ctrl-C ends it)"))
    else:
        from atoll.cli.review.terminal import review_here

        review_here(out, opened, reviewer)
    opened.refresh()  # what others decided meanwhile counts, too
    status = opened.status(reviewer)
    out.result(status)
    out.say(f"{status['settled']} of {status['names']} settled, {status['open']} open for {reviewer}, "
            f"{status['disputed']} disputed.")  # fmt: skip
    if status["settled"]:
        words = ["atoll", "terms", "export", suggestions, "--journal", journal, *(["--both"] if opened.both else [])]
        out.note(f"Next: {command_line(*words)} --out LIST.csv")


@terms.command("export", epilog="Example: atoll terms export suggested.csv --journal decisions.jsonl --out codes.csv")
@review_options
@click.option("--usagi", is_flag=True, help="As a file for Usagi, with all names.")
@click.option("--list", "code_list", type=FILE, help="Write the concepts into this code list of a mapping too.")
@click.option("--out", "target", type=Target("csv"), required=True, help="CSV to write.")
@replaces
@with_output
def export(
    out: Output,
    suggestions: Path,
    journal: Path,
    names: Path | None,
    concepts: tuple[Path, ...],
    vocabulary: Path | None,
    both: bool,
    usagi: bool,
    code_list: Path | None,
    target: Path,
) -> None:
    """Write what is settled as a code list: name, concept, authors, date, source."""
    from atoll.ingest.terms.files import fill_list
    from atoll.ingest.terms.review import decided, write_list
    from atoll.ingest.terms.usagi import write_usagi

    opened, shown = _opened(suggestions, journal, names, concepts, vocabulary, both)
    if opened.both and not both:
        out.note("The journal was begun with --both: only what two reviewers decided alike is written.")
    if disputed := opened.disputed():
        what = "are left out" if opened.both else "are written with the decision that came last"
        out.note(f"{len(disputed):,} names that reviewers decided differently {what}.")
    rows = (write_usagi if usagi else write_list)(target, opened)
    document = {"rows": rows, "file": str(target)}
    if code_list is not None:
        filled, left, converted = fill_list(code_list, decided(opened), shown.counted)
        document |= {"filled": filled, "without": left, "converted": converted}
        out.say(f"{filled:,} codes of {code_list} got a concept; {left:,} have none still.")
        if converted:
            out.say(f"Their unit is now that of the concept, into which values are converted: {', '.join(converted)}.")
    out.result(document, f"{rows:,} rows written to {target}")
    if usagi:
        out.note("Next: open it in Usagi; atoll terms import-usagi FILE --out LIST.csv reads it.")
    elif code_list is None:
        _list_next(out, target)


def _list_next(out: Output, target: Path) -> None:
    """Where a code list goes."""
    out.note(f"Next: put {target.name} beside the mapping and name it there, lists: {{{target.stem}: {target.name}}},"
             f' used as lookup("{target.stem}", COLUMN); then atoll mapping check MAPPING --from EXPORT')  # fmt: skip


@terms.command("import-usagi", epilog="Example: atoll terms import-usagi usagi.csv --out codes.csv")
@click.argument("source", type=FILE)
@click.option("--out", "target", type=Target("csv"), required=True, help="CSV to write.")
@replaces
@with_output
def import_usagi(out: Output, source: Path, target: Path) -> None:
    """Turn the approved mappings of a Usagi file into a code list, for `--decisions` and for mappings."""
    from atoll.ingest.terms.usagi import usagi_to_list

    rows = usagi_to_list(source, target)
    out.result({"rows": rows, "file": str(target)}, f"{rows:,} approved mappings written to {target}")
    _list_next(out, target)
