"""`atoll features …`: what is known of each person of a cohort at the index date, as a table for analyses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from atoll.cli.output import AtollGroup, Output, with_output
from atoll.cli.targets import Target, allow, replaces, with_mark, write_table, write_text
from atoll.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

    from atoll.study.dictionary import Dictionary
    from atoll.study.features import Features

TABLE, DICTIONARY = Target("parquet"), Target("yaml")
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group(cls=AtollGroup)
def features() -> None:
    """Features of persons at an index date: columns with windows, and the outcome that is foretold."""


@features.command(epilog="Example: atoll features check features.yaml")
@click.argument("file", type=FILE)
@with_output
def check(output: Output, file: Path) -> None:
    """Read a document of features, and show the columns that it makes."""
    from atoll.study.horizon import shared, told

    found = _read(file)
    columns = found.dictionary()
    document = {name: column.to_document() for name, column in columns.items()}
    names = [*(feature.name for feature in found.features), *(outcome.name for outcome in found.outcomes)]
    ids = {name: found.id_of(name) for name in names}
    output.result({"columns": document, "ids": ids})
    rows = [
        (name, column.type, column.unit, ", ".join(column.levels) or _range(column.low, column.high), ids.get(name, ""))
        for name, column in columns.items()
    ]
    output.table(("column", "type", "unit", "values", "id"), rows)
    for pair in shared(found):
        output.note(f"Warning: {told(*pair)}")


@features.command(
    epilog="Example: atoll features extract f.yaml --cohort c.parquet --cdm duckdb:///cdm.duckdb --out t.parquet"
)
@click.argument("file", type=FILE)
@click.option("--cohort", required=True, type=FILE, help="What `atoll cohort run` wrote.")
@click.option("--definition", help="Which definition, where the file holds several.")
@click.option("--cdm", required=True, metavar="URL", help="duckdb:///FILE, postgresql://USER@HOST/DB?schema=…, spark:…")
@click.option("--out", required=True, type=TABLE, help="Parquet file: one row an index date.")
@click.option("--dictionary", type=DICTIONARY, help="For the data dictionary; NAME.dictionary.yaml if left out.")
@replaces
@click.option("--threads", type=int, help="At most so many threads of the database.")
@click.option("--memory", metavar="4GB", help="At most so much memory of the database.")
@with_output
def extract(
    output: Output,
    file: Path,
    cohort: Path,
    definition: str | None,
    cdm: str,
    out: Path,
    dictionary: Path | None,
    threads: int | None,
    memory: str | None,
) -> None:
    """Make the table of a cohort's features and outcome, with its data dictionary.

    The table stays in the hospital: `atoll site dataset add NAME --from TABLE --dictionary FILE` registers it.
    """
    from atoll.cdm.workspace import workspace_at
    from atoll.features.extract import extract as extracted

    described = dictionary_of(out, dictionary)
    found = _read(file)
    rows = _cohort(cohort, definition)
    with workspace_at(cdm, threads=threads, memory=memory) as workspace:
        table = extracted(workspace, rows, found)
    write_dataset(output, table, found.dictionary(), out, described)


def dictionary_of(out: Path, dictionary: Path | None) -> Path:
    """Where the data dictionary goes: the file that is named, else one beside the table."""
    if dictionary is not None:
        return dictionary
    beside = out.with_suffix(".dictionary.yaml")
    allow(beside, DICTIONARY, "Give --dictionary FILE.")
    return beside


def write_dataset(output: Output, table: pa.Table, columns: Dictionary, out: Path, dictionary: Path) -> None:
    """A table as Parquet, and what its columns are as YAML: what `atoll site dataset add` registers."""
    import yaml

    described = {"columns": {name: column.to_document() for name, column in columns.items()}}
    write_text(dictionary, with_mark(yaml.safe_dump(described, allow_unicode=True, sort_keys=False)))
    write_table(out, table, "dataset")
    output.result(
        {"rows": table.num_rows, "columns": table.num_columns, "table": str(out), "dictionary": str(dictionary)},
        f"{table.num_rows:,} rows, {table.num_columns} columns: {out}, described in {dictionary}",
    )


@features.command(epilog="Example: atoll features sparse sets.yaml --cohort c.parquet --cdm URL --out cells.parquet")
@click.argument("file", type=FILE)
@click.option("--cohort", required=True, type=FILE, help="What `atoll cohort run` wrote.")
@click.option("--definition", help="Which definition, where the file holds several.")
@click.option("--cdm", required=True, metavar="URL", help="duckdb:///FILE, postgresql://USER@HOST/DB?schema=…, spark:…")
@click.option("--out", required=True, type=TABLE, help="Parquet file: row, person, feature, value.")
@click.option("--columns", type=FILE, help="Take the columns of this list, and not those of enough persons.")
@replaces
@click.option("--threads", type=int, help="At most so many threads of the database.")
@click.option("--memory", metavar="4GB", help="At most so much memory of the database.")
@with_output
def sparse(
    output: Output, file: Path, cohort: Path, definition: str | None, cdm: str, out: Path, columns: Path | None,
    threads: int | None, memory: str | None,
) -> None:  # fmt: skip
    """Make every concept, or group of concepts, of some domains a column, and write the cells that are not nought.

    OUT.columns.parquet beside it says what each column is. Its ids are the same at every hospital: given as --columns
    elsewhere, that file makes the same columns there. Both files stay in the hospital.
    """
    from atoll.cdm.workspace import workspace_at
    from atoll.features.sparse import extract as extracted
    from atoll.study.sparse import read

    beside = out.with_suffix(".columns.parquet")
    allow(beside, TABLE, "Give another --out.")
    wanted, only = read(file.read_text("utf-8")), _ids(columns) if columns else None
    with workspace_at(cdm, threads=threads, memory=memory) as workspace:
        found = extracted(workspace, _cohort(cohort, definition), wanted, only)
    write_table(beside, found.columns, "columns")
    write_table(out, found.cells, "cells")
    cells, width = found.cells.num_rows, found.columns.num_rows
    document = {"rows": found.rows, "cells": cells, "features": width, "table": str(out), "columns": str(beside)}
    output.result(document, f"{found.rows:,} rows, {width:,} columns, {cells:,} cells: {out}, described in {beside}")


def _ids(file: Path) -> frozenset[int]:
    """The ids of a list of columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return frozenset(pq.read_table(file, columns=["feature"]).column("feature").to_pylist())
    except (pa.ArrowException, KeyError, OSError) as error:
        raise DataError(
            f"{file} is no list of columns.", "Give what `atoll features sparse` wrote beside --out."
        ) from error


def _read(file: Path) -> Features:
    from atoll.study.features import read

    return read(file.read_text("utf-8"))


def _cohort(file: Path, definition: str | None) -> pa.Table:
    """The rows of one definition."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(file)
        names = pc.unique(rows.column("definition")).to_pylist()
    except (pa.ArrowException, KeyError) as error:
        raise DataError(f"{file} is no file of cohorts.", "Make one with `atoll cohort run`.") from error
    if definition is None and len(names) > 1:
        raise DataError(f"{file} holds {len(names)} cohorts.", f"Name one with --definition, as {names[0]!r}.")
    if definition is not None and definition not in names:
        known = ", ".join(map(repr, sorted(names)[:5])) or "none"
        raise DataError(f"{file} holds no persons of a definition {definition!r}.", f"It holds {known}.")
    return rows if definition is None else rows.filter(pc.equal(rows.column("definition"), definition))


def _range(low: float | None, high: float | None) -> str:
    ends = ["" if end is None else f"{end:g}" for end in (low, high)]
    return " to ".join(ends) if any(ends) else ""
