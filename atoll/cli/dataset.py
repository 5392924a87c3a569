"""`atoll site dataset …`: the tables that studies may ask about, and what their columns may hold."""

from __future__ import annotations

from pathlib import Path

import click

from atoll.cli.output import AtollGroup, Output, with_output
from atoll.cli.site import PATH, home_option, opened, shown
from atoll.errors import DataError
from atoll.study.dictionary import Dictionary


@click.group(cls=AtollGroup)
def dataset() -> None:
    """Register the tables that studies may ask about."""


@dataset.command(epilog="Example: atoll site dataset add checkup --from checkup.csv")
@click.argument("name")
@click.option(
    "--from", "source", required=True,
    help="CSV or Parquet file, duckdb:///FILE?table=T; postgresql, mysql, mssql or oracle://…?table=T",
)  # fmt: skip
@click.option("--dictionary", type=PATH, help="YAML with the columns; proposed from the data when left out.")
@click.option("--public", default="", metavar="REASON", help="The data are public: thresholds are lifted. Say why.")
@click.option("--replace", is_flag=True, help="Put it in the place of a registered dataset of this name.")
@click.option("--encoding", help="Of a CSV; UTF-8 and GB18030 are found when left out.")
@home_option
@with_output
def add(
    out: Output,
    name: str,
    source: str,
    dictionary: Path | None,
    public: str,
    encoding: str | None,
    replace: bool,
    home: Path,
) -> None:
    """Import a table and register it under a data dictionary."""
    from atoll.site.datasets import Registry, read_policy

    columns = _dictionary(dictionary) if dictionary else None
    with opened(home) as (folder, store):
        registry, minimum = Registry(folder, store), read_policy(folder, store).minimum_persons
        with out.progress(f"import {name}") as step:
            registered = registry.add(
                name,
                source,
                columns=columns,
                public=public,
                encoding=encoding,
                minimum=minimum,
                replace=replace,
                progress=lambda rows: step(f"{rows:,} rows"),
            )
    out.result(shown(registered))
    described = "1 column" if len(registered.columns) == 1 else f"{len(registered.columns)} columns"
    out.say(f"Registered {name}: {registered.rows:,} rows, {described}")
    for note in registered.notes:
        out.note(note)
    if columns is None:
        out.note(f"Look at the proposed dictionary: atoll site dataset show {name}")


@dataset.command("list")
@home_option
@with_output
def list_(out: Output, home: Path) -> None:
    """All registered datasets."""
    from atoll.site.datasets import Registry

    with opened(home) as (folder, store):
        registry = Registry(folder, store)
        found = [registry.get(name) for name in registry.names()]
    out.result([shown(entry) for entry in found])
    rows = [
        (entry.name, entry.rows, len(entry.columns), "public" if entry.public else "", entry.source) for entry in found
    ]
    out.table(("dataset", "rows", "columns", "", "from"), rows)


@dataset.command()
@click.argument("name")
@home_option
@with_output
def show(out: Output, name: str, home: Path) -> None:
    """A dataset's dictionary as YAML: edit it, and give it to `dataset describe`."""
    import yaml

    from atoll.site.datasets import Registry

    with opened(home) as (folder, store):
        found = Registry(folder, store).get(name)
    columns = {"columns": {column: entry.to_document() for column, entry in found.columns.items()}}
    out.result(
        shown(found), yaml.safe_dump(columns, allow_unicode=True, sort_keys=False, default_flow_style=None).rstrip()
    )


@dataset.command(epilog="Example: atoll site dataset describe checkup --dictionary checkup.yaml")
@click.argument("name")
@click.option("--dictionary", type=PATH, required=True, help="YAML with the columns, as `dataset show` prints it.")
@home_option
@with_output
def describe(out: Output, name: str, dictionary: Path, home: Path) -> None:
    """Replace a dataset's dictionary, after every row was checked against the new one."""
    from atoll.site.datasets import Registry

    with opened(home) as (folder, store):
        registered = Registry(folder, store).describe(name, _dictionary(dictionary))
    out.result(shown(registered), f"{name}: {len(registered.columns)} columns described")


@dataset.command(epilog="Example: atoll site dataset remove checkup")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
@with_output
def remove(out: Output, name: str, yes: bool, home: Path) -> None:
    """Forget a dataset and remove its imported copy; studies that ask about it are refused from now on."""
    from atoll.site.datasets import Registry

    with opened(home) as (folder, store):
        registry = Registry(folder, store)
        rows = registry.get(name).rows
        if not yes:
            click.confirm(f"Remove {name} ({rows:,} rows) from this site? Its source stays.", abort=True, err=True)
        registry.remove(name)
    out.result({"removed": name, "rows": rows}, f"Removed {name}: {rows:,} rows")


def _dictionary(path: Path) -> Dictionary:
    from atoll.study.form import read_dictionary

    try:
        return read_dictionary(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text.", "Write one with `atoll site dataset show NAME`.") from error
