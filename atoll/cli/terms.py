"""`atoll terms …`: what a hospital's names mean."""

from __future__ import annotations

from pathlib import Path

import click

from atoll.cli.output import AtollGroup, Output, with_output

FILE = click.Path(path_type=Path)


@click.group(cls=AtollGroup)
def terms() -> None:
    """Find the standard concepts that a hospital's names mean."""


@terms.command(epilog="Example: atoll terms suggest names.csv --concepts concepts.csv --out suggested.csv")
@click.argument("names", type=FILE)
@click.option("--concepts", type=FILE, multiple=True, help="CSV with concept_id and concept_name; may be repeated.")
@click.option("--vocabulary", type=FILE, help="Folder of an unpacked Athena download, instead of --concepts.")
@click.option(
    "--decisions", type=FILE, multiple=True, help="Code list of earlier decisions: CSV with name, concept_id."
)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 100), help="Candidates for a name.")
@click.option("--out", "target", type=FILE, required=True, help="CSV to write.")
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

    NAMES is a CSV with the column name, and fluid, category, unit, domain and sample_values where they are known.
    """
    from atoll.ingest.term_concepts import read_concepts, read_vocabulary
    from atoll.ingest.term_files import read_decisions, read_names, write_suggestions
    from atoll.ingest.terminology import Matcher, words_of

    if (vocabulary is None) == (not concepts):
        raise click.UsageError("Give either --concepts or --vocabulary.")
    asked = read_names(names)
    earlier = {name: number for path in decisions for name, number in read_decisions(path).items()}
    if vocabulary is not None:
        candidates = read_vocabulary(vocabulary, words_of(asked))
    else:
        candidates = [concept for path in concepts for concept in read_concepts(path)]
    found = Matcher(candidates, earlier).suggest(asked, top)
    write_suggestions(target, asked, found)
    first = [s.probability for s in found if s.rank == 1]
    sure = sum(p >= 0.9 for p in first)
    out.result({"names": len(asked), "with_candidates": len(first), "probability_from_0.9": sure, "file": str(target)})
    out.say(
        f"{len(asked):,} names: {sure:,} with a candidate of probability 0.9 or more, "
        f"{len(first) - sure:,} to look at, {len(asked) - len(first):,} without any. Written to {target}"
    )
