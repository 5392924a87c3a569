"""`atoll simulate`: hospitals with a known truth."""

from __future__ import annotations

from pathlib import Path

import click

from atoll.cli.output import Output, with_output
from atoll.simulate.hospitals import SHAPES, choose


@click.command(epilog="Example: atoll simulate --hospitals 5 --persons 200000 --shapes all simulated")
@click.argument("out_folder", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--hospitals", default=5, show_default=True, type=click.IntRange(1, 100), help="How many hospitals.")
@click.option(
    "--persons", default=20_000, show_default=True, type=click.IntRange(1), help="Persons in the whole world."
)
@click.option(
    "--shapes",
    default="all",
    show_default=True,
    help="Export shapes: all (each hospital's own), none, or some of: " + ", ".join(SHAPES),
)
@click.option("--csv/--no-csv", "as_csv", default=False, help="Write the OMOP tables as CSV too.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same world.")
@with_output
def simulate(out: Output, out_folder: Path, hospitals: int, persons: int, shapes: str, as_csv: bool, seed: int) -> None:
    """Write simulated hospitals into the new folder OUT: OMOP tables, exports with planted faults, and the truth."""
    from atoll.simulate.world import BLOCK
    from atoll.simulate.world import simulate as run

    named = tuple(filter(None, (shape.strip() for shape in shapes.split(","))))
    own = tuple(dict.fromkeys(hospital.shape for hospital in choose(hospitals)))
    wanted = {"all": own, "none": ()}.get(shapes, named)
    if unknown := [shape for shape in wanted if shape not in SHAPES]:
        raise click.BadParameter(f"There is no shape {unknown[0]!r}. There are: {', '.join(SHAPES)}.")
    with out.progress("simulate", -(-persons // BLOCK)) as step:
        manifest = run(
            out_folder, persons, hospitals, seed, wanted, as_csv=as_csv,
            progress=lambda done: step(f"{done:,} of {persons:,} persons"),
        )  # fmt: skip
    out.result(manifest)
    rows = [
        (h["name"], h["shape"] or "-", *(f"{h['rows'].get(t, 0):,}" for t in ("person", "visit_occurrence",
         "condition_occurrence", "drug_exposure", "measurement"))) for h in manifest["hospitals"]
    ]  # fmt: skip
    out.table(("hospital", "export", "persons", "visits", "conditions", "drugs", "measurements"), rows)
    if manifest["faults"]:
        out.say(
            f"Planted faults: {sum(manifest['faults'].values()):,}, listed in {out_folder / 'truth' / 'faults.csv'}"
        )
