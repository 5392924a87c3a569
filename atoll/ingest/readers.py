"""Who reads which files of rows. A new format is a function here and a line in `READERS`; all else knows none of them.

What stands for nothing, blanks round a text, and several files of one table are not a reader's business: `sources` and
`files` see to them, alike for every format.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from atoll.cdm import delimited
from atoll.cdm.dialects import Dialect, dialect, passed_over
from atoll.cdm.pace import Progress
from atoll.cdm.workbench import Workbench, literal
from atoll.errors import DataError
from atoll.ingest.excel import EXCEL, Book
from atoll.ingest.mapping import SourceTable
from atoll.ingest.sources import SourceFile, whole_file

_SAVE = "Save it as .xlsx, in Excel or in LibreOffice"
ADVICE = {".xls": _SAVE, ".xlsb": _SAVE, ".ods": _SAVE}  # formats that hold tables and are not read


@dataclass(frozen=True)
class Part:
    """A file, or one sheet of a workbook; `name` is what the file is called in what is told."""

    file: Path
    name: str
    sheet: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class Rows:
    """Some parts of a table as one query, the names of its columns, and its files.

    spanning   whether there may be fields that span lines
    """

    query: str
    columns: tuple[str, ...]
    files: tuple[SourceFile, ...]
    spanning: bool = False


@dataclass
class Desk:
    """Where readers work. Close it when done.

    folder   where readable copies may be written
    paths    what the engine reads → the file's own name
    notes    what is odd and may be right, as sentences
    """

    bench: Workbench
    folder: Path
    progress: Progress
    paths: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    books: dict[Path, Book] = field(default_factory=dict)

    def book(self, path: Path) -> Book:
        """A workbook, opened once."""
        if path not in self.books:
            self.books[path] = Book(path)
        return self.books[path]

    def close(self) -> None:
        """Close the workbooks."""
        for book in self.books.values():
            book.close()

    def passed_over(self, where: str, above: int) -> None:
        """Note rows above the columns' names that nobody asked to pass over."""
        if above:
            self.notes.append(f"{where}: {passed_over(above)}; `skip: 0` reads them")


Read = Callable[[Sequence[Part], SourceTable, Desk], list[Rows]]


@dataclass(frozen=True)
class Reader:
    """One format.

    name     as people call it
    endings  how its files' names end, in lower case
    read     from parts of one table, and what the mapping says of it, to their rows
    parts    the sheets that a file holds, where it holds several
    """

    name: str
    endings: tuple[str, ...]
    read: Read
    parts: Callable[[Part, Desk], list[Part]] = lambda part, desk: [part]


def _text(parts: Sequence[Part], how: SourceTable, desk: Desk) -> list[Rows]:
    forms: dict[Dialect, list[tuple[Path, SourceFile, bool]]] = {}
    for part in parts:
        found = delimited.look(part.file, how.encoding or None, desk.progress)
        readable = delimited.readable(part.file, found, desk.folder)
        form = dialect(readable, how.columns, how.delimiter or None, skip=how.skip)
        desk.paths[str(readable)] = part.name
        if found.lines > 1 and not found.ends:
            desk.notes.append(f"{part.name}: the last line has no end; it may be cut")
        if found.doubt:
            desk.notes.append(f"{part.name}: {found.doubt}")
        desk.passed_over(part.name, form.skip if how.skip is None else 0)
        file = SourceFile(part.name, found.sha256, found.size, found.encoding, form.delimiter, found.lines)
        forms.setdefault(form, []).append((readable, file, bool(found.within)))
    return [
        Rows(
            desk.bench.csv(
                [path for path, *_ in members], form.columns, delimiter=form.delimiter, quote=form.quote,
                header=form.header, skip=form.skip,
            ),
            form.columns,
            tuple(file for _, file, _ in members),
            any(spanning for *_, spanning in members),
        )
        for form, members in forms.items()
    ]  # fmt: skip


def _excel(parts: Sequence[Part], how: SourceTable, desk: Desk) -> list[Rows]:
    made = []
    for part in parts:
        file = whole_file(part.file, part.name)
        said = hashlib.sha256(repr((file.sha256, part.sheet, how.columns, how.skip)).encode("utf-8")).hexdigest()
        target = desk.folder / f"{said[:16]}.parquet"
        columns, above = desk.book(part.file).write(part.sheet, target, how.columns, how.skip)
        desk.passed_over(f"{part.name}, sheet {part.sheet}", above if how.skip is None else 0)
        made.append(Rows(f"SELECT * FROM read_parquet({literal(str(target))})", columns, (file,)))
    return made


def _sheets(part: Part, desk: Desk) -> list[Part]:
    sheets = desk.book(part.file).sheets()
    return [Part(part.file, part.name, title, hidden) for title, hidden in sheets.items()]


def _parquet(parts: Sequence[Part], how: SourceTable, desk: Desk) -> list[Rows]:
    import duckdb

    listed = literal([str(part.file) for part in parts])
    query = f"SELECT * FROM read_parquet({listed}, union_by_name=true)"
    try:
        columns = tuple(name for name, *_ in desk.bench.rows(f"DESCRIBE {query}"))
    except duckdb.Error as error:
        named = parts[0].name if len(parts) == 1 else f"One of {', '.join(part.name for part in parts[:5])}"
        raise DataError(f"{named} is a damaged Parquet file.", "Export it again.") from error
    return [Rows(query, columns, tuple(whole_file(part.file, part.name) for part in parts))]


TEXT = Reader("CSV, TSV", delimited.TEXT, _text)
READERS = (TEXT, Reader("Excel", EXCEL, _excel, _sheets), Reader("Parquet", (".parquet", ".pq"), _parquet))


def reader_of(file: Path) -> Reader | None:
    """Who reads a file, by its name."""
    return next((one for one in READERS if file.name.lower().endswith(one.endings)), None)


def readable_formats() -> str:
    """What can be read, for people."""
    return f"{', '.join(one.name for one in READERS)} and, by its own path, a DuckDB file are read."


def unread(files: Mapping[Path, str]) -> list[str]:
    """What is said of files that nobody reads; path → what it is called."""
    advised = {suffix: [n for f, n in files.items() if f.suffix.lower() == suffix] for suffix in ADVICE}
    others = [name for file, name in files.items() if file.suffix.lower() not in ADVICE]
    said = [f"{', '.join(names)}: {suffix} is not read. {ADVICE[suffix]}" for suffix, names in advised.items() if names]
    if others:
        more = f" and {len(others) - 10:,} more" if len(others) > 10 else ""
        said.append(f"{', '.join(others[:10])}{more}: not read, the format is not known by the name")
    return said
