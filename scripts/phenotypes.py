"""Measure the phenotype library on a simulated hospital, after a definition or the simulator changed.

atoll/knowledge/phenotypes/figures.csv   persons with the disease, found, and both
docs/phenotypes.md                       the table of the library
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from atoll.knowledge import library

HEAD = """\
# The phenotype library

Definitions of our own for screening and chronic care: `atoll phenotypes show NAME` says in English or Chinese what
each does, its sources and its limits; `--circe` prints it for ATLAS or `atoll cohort run`. Every concept id names its
source in `atoll/knowledge/phenotypes/concepts.csv`; the names are our own.

The figures are of one simulated hospital of 30,000 persons, in which 2 in 100 persons without a disease have it
written down once, wrongly (an assumption; `atoll/simulate/phenotypes.py`). They show that the logic works, not how well
it does at a real hospital: before use, read the charts of some persons found. Where the simulator has no such disease,
there is no truth. Simulated hospitals record no eGFR, so chronic kidney disease is found there by its code alone. New
cancers are few, and one that was there in the first year and is written down later counts as false.

This page is made by `scripts/phenotypes.py`.

| name | | 中文 | with the disease | found | sensitivity | PPV |
|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The table of the library, from the figures that are stored."""
    measured = library.figures()
    lines = []
    for name in library.names():
        one, figure = library.phenotype(name), measured.get(name)
        cells = [f"`{name}`", one.title["en"], one.title["zh"]]
        if figure is None:
            cells += ["no truth", "", "", ""]
        else:
            shares = (f"{share or 0:.2f}" for share in (figure.sensitivity, figure.ppv))
            cells += [f"{figure.true:,}", f"{figure.found:,}", *shares]
        lines.append("| " + " | ".join(cells) + " |")
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write both."""
    from atoll.simulate.phenotypes import judge

    rows = judge([library.phenotype(name) for name in library.names()])
    with (library.HERE / "figures.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("name", "seed", "persons", "true", "found", "both"))
        out.writerows((f.name, f.seed, f.persons, f.true, f.found, f.both) for f in rows)
    library.figures.cache_clear()
    (ROOT / "docs" / "phenotypes.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
