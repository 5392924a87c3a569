"""`atoll site load …`: the hospital's own load, on a schedule that the running site keeps."""

from __future__ import annotations

import re
from pathlib import Path

import click

from atoll.cli.output import Output, with_output
from atoll.cli.site import home_option, opened
from atoll.errors import OperatorError, StudyError

PATH = click.Path(path_type=Path)


@click.command(
    epilog="Example: atoll site load river.yaml --from /srv/exports --cdm duckdb:////srv/cdm.duckdb --every night"
)
@click.argument("mapping", type=PATH, required=False)
@click.option("--from", "source", help="The export: a file, a folder, or a database's URL.")
@click.option("--cdm", metavar="URL", help="Where to; the OMOP data of `atoll site cdm` when left out.")
@click.option("--every", type=click.Choice(["hour", "night", "week", "never"]), default="night", show_default=True)
@click.option("--at", default="02:00", show_default=True, metavar="HH:MM", help="By this machine's clock.")
@click.option("--vocabulary", type=PATH, help="DuckDB file made by `atoll vocabulary load`.")
@click.option("--memory", default="1200MB", show_default=True, help="Of the engine; the process takes a little more.")
@click.option("--anyway", is_flag=True, help="Put it in force even if it loses much, or no row of some rule can stay.")
@home_option
@with_output
def load(
    out: Output,
    mapping: Path | None,
    source: str | None,
    cdm: str | None,
    every: str,
    at: str,
    vocabulary: Path | None,
    memory: str,
    anyway: bool,
    home: Path,
) -> None:
    """Have the running site load an export every night, or say how the last load ended. `--every never` ends it."""
    from atoll.cdm.database import limits
    from atoll.ingest.mapping import read_mapping
    from atoll.site.nightly import Schedule, read_schedule, write_schedule

    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", at):
        raise StudyError(f"--at: {at!r} is no time of day.", "Write hours and minutes: 02:00.")
    limits(memory=memory)
    with opened(home) as (_, store):
        if every == "never":
            write_schedule(store, None)
        elif mapping is not None:
            place = cdm or store.fact("cdm")
            if source is None or place is None:
                lacks = "--from" if source is None else "--cdm"
                raise OperatorError(f"{lacks} is missing.", "Say where the export is, and where the OMOP data are.")
            read_mapping(mapping)
            own = str(Path(source).resolve()) if "://" not in source else source
            known = str(vocabulary.resolve()) if vocabulary else ""
            words = (str(mapping.resolve()), own, place, every, at, known, memory, anyway)
            chosen = Schedule(*words)  # type: ignore[arg-type]
            write_schedule(store, chosen)
        _told(out, read_schedule(store), store)


def _told(out: Output, schedule: object, store: object) -> None:
    """What is planned, and how the last load ended."""
    from dataclasses import asdict
    from datetime import datetime

    from atoll.cdm.database import without_password
    from atoll.site.nightly import Schedule, last_load
    from atoll.site.store import SiteStore

    assert isinstance(store, SiteStore)
    last = last_load(store)
    if isinstance(schedule, Schedule):
        shown = asdict(schedule) | {"cdm": without_password(schedule.cdm), "source": without_password(schedule.source)}
        due = schedule.next_after(datetime.now().astimezone()).isoformat(timespec="minutes")
        out.result({"schedule": shown, "next": due, "last": last})
        out.say(f"The running site loads {schedule.mapping} every {schedule.every}; next at {due}.")
    else:
        out.result({"schedule": None, "next": None, "last": last})
        out.say("Nothing is loaded on a schedule. `atoll site load MAPPING --from EXPORT` begins one.")
    if last:
        how = f"release {last['release']} is in force" if last["code"] == 0 else f"it failed: {last['said']}"
        out.say(f"The last load began {last['when']}: {how}.")
