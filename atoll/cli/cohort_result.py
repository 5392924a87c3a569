"""What `atoll cohort run` says when it has ended: each definition, what to look at, and what was not run or read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.cli.output import Output, counted

if TYPE_CHECKING:
    from atoll.cohort.folder import FolderRun

SHOWN = 12  # notes that are printed; the report holds all
NAMED = 3  # definitions of one failure that are named


def say_result(output: Output, done: FolderRun, out: Path) -> None:
    """A row a definition, the sum, and beside it the notes and failures."""
    document = done.report()
    failures = {name: str(error) for name, error in done.failed.items()}
    output.result({key: value for key, value in document.items() if key != "definitions"} | {"failures": failures})
    entries: Mapping[str, Any] = document["definitions"]
    if entries:
        output.table(("definition", "persons", "rows", ""), [_row(name, entry) for name, entry in entries.items()])
    kept = f", {document['kept']:,} kept" if document["kept"] else ""
    rows = counted(document["rows"], "row")
    output.say(f"{counted(document['done'], 'cohort')}{kept}, {rows} in {document['seconds']:.1f} s: {out}")
    say_notes(output, {name: entry["notes"] for name, entry in entries.items()})
    say_failures(output, done.failed)
    say_skipped(output, done.reading.skipped)


def _row(name: str, entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    if entry["status"] == "failed":
        return name, "", "", "failed"
    return name, f"{entry['persons']:,}", f"{entry['rows']:,}", "kept" if entry["status"] == "kept" else ""


def say_notes(output: Output, notes: Mapping[str, Sequence[str]]) -> None:
    """Sets that nothing is in, keys that are ignored: short, and counted when they are many."""
    lines = [f"{name}: {note}" for name, every in notes.items() for note in every]
    for line in lines[:SHOWN]:
        output.note(line)
    if len(lines) > SHOWN:
        output.note(f"… and {counted(len(lines) - SHOWN, 'more note', 'more notes')}: --report FILE holds all.")


def say_failures(output: Output, failed: Mapping[str, object]) -> None:
    """Each reason once, with the definitions that it concerns."""
    names: dict[str, list[str]] = {}
    for name, error in failed.items():
        names.setdefault(str(error), []).append(name)
    for reason, of in names.items():
        more = f" and {len(of) - NAMED:,} more" if len(of) > NAMED else ""
        output.note(f"{', '.join(of[:NAMED])}{more}: {reason}")


def say_skipped(output: Output, skipped: Sequence[str]) -> None:
    """What lies in the folder and was not read."""
    if skipped:
        more = f" and {len(skipped) - SHOWN:,} more" if len(skipped) > SHOWN else ""
        rule = "A definition is a .json or .yaml file in the folder itself, and its name begins with no dot."
        output.note(f"Not read: {', '.join(skipped[:SHOWN])}{more}. {rule}")
