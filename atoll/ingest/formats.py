"""Formats of messages: exports whose files are no tables, each turned into tables by a module of its own.

A new one is a module and a line in `FORMATS`. The module has two functions, and two facts for drafts of mappings:

    is_message(name, head) → bool                                     from a file's name, in lower case, and first bytes
    open_messages(files, bench, folder, progress) → sources.Source    as `sources.open_source`
    TIMES     how its standard writes days and times, whatever part of them is given; as patterns of mappings
    MERGES    table, the patient's number, the number that is kept, where it says who is one person; else None
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

TABLES = "tables"  # files of rows, which `sources` reads itself
FORMATS = {"fhir": "atoll.ingest.fhir", "hl7": "atoll.ingest.hl7v2"}  # `source: kind` of a mapping → module
HEAD = 4096  # bytes
NO_TABLE = "have no table"  # the end of a note on messages that are counted, and told with their numbers, by themselves


def kinds() -> tuple[str, ...]:
    """All kinds of exports, as a mapping names them."""
    return (TABLES, *FORMATS)


def opener(kind: str) -> Any:
    """The function that opens messages of a kind. Its module is imported here, since it knows what a source is."""
    return import_module(FORMATS[kind]).open_messages


def times_of(kind: str) -> str:
    """How days and times are written in messages of a kind; empty for files of rows, which write them as they like."""
    return str(import_module(FORMATS[kind]).TIMES) if kind in FORMATS else ""


def merges_of(kind: str) -> tuple[str, str, str] | None:
    """Table, number and kept number with which messages of a kind say that patients are one, if they do."""
    found: tuple[str, str, str] | None = import_module(FORMATS[kind]).MERGES if kind in FORMATS else None
    return found


def kind_of(files: Sequence[Path]) -> str:
    """The kind of the first file that holds messages; `tables` when none does."""
    readers = {kind: import_module(module).is_message for kind, module in FORMATS.items()}
    for file in files:
        with file.open("rb") as opened:
            head = opened.read(HEAD)
        for kind, is_message in readers.items():
            if is_message(file.name.lower(), head):
                return kind
    return TABLES
