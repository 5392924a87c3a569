"""A folder of files of rows: which of them, and which sheets of workbooks, make which table.

A table is called as its file is, or as its sheet where a workbook has several. What would make two tables of one name
is told apart, in a scan and in a load alike, so that nothing takes another's place: `BOOK.SHEET` for sheets, the whole
name of the file for two formats. Files of one name and format in several folders are one table.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from atoll.cdm.pace import Progress
from atoll.cdm.workbench import quoted
from atoll.errors import DataError
from atoll.ingest.mapping import Mapping as MappingDocument
from atoll.ingest.mapping import SourceTable
from atoll.ingest.readers import ADVICE, TEXT, Desk, Part, Reader, Rows, readable_formats, reader_of, unread
from atoll.ingest.sources import Source, add, missing_of, rows_as_read


def open_files(
    files: Sequence[Path],
    root: Path,
    source: Source,
    folder: Path,
    mapping: MappingDocument | None,
    progress: Progress,
) -> Source:
    """Files of rows as the tables of a source: all of them, or those that the mapping reads.

    Raises
    ------
    DataError
        When none can be read, or one is damaged; when it is not told which sheet of a workbook is meant.
    """
    desk = Desk(source.bench, folder, progress, source.paths, source.notes)
    with closing(desk):
        _Folder(source, desk, root, files, mapping).open()
    return source


class _Folder:
    def __init__(self, source: Source, desk: Desk, root: Path, files: Sequence[Path], mapping: MappingDocument | None):
        self.source, self.desk, self.root, self.mapping = source, desk, root, mapping
        self.declared: Mapping[str, SourceTable] = mapping.tables if mapping else {}
        self.wanted = set(mapping.used()) if mapping else None
        often = Counter(file.name for file in files)
        self.called = {file: file.name if often[file.name] == 1 else self._within(file) for file in files}
        self.readers: dict[Path, Reader] = {}
        self.parts: dict[Path, list[Part]] = {}

    def open(self) -> None:
        """Make the tables."""
        left = self._look()
        self.source.notes += left
        for name, parts in self._assigned().items():
            self._table(name, parts)
        if not self.source.tables:
            names = ", ".join(sorted(file.name for file in self.called)[:10])
            raise DataError(
                f"{self.root} holds no table that the mapping reads." if self.mapping else
                f"{self.root} holds no table.",
                " ".join([f"Found there: {names}.", *(f"{said}." for said in left), readable_formats()]),
                code="EMPTY",
            )  # fmt: skip

    def _within(self, file: Path) -> str:
        return file.name if self.root.is_file() else file.relative_to(self.root).as_posix()

    def _look(self) -> list[str]:
        """Find the reader of each file and its sheets; says which files nobody reads."""
        left: dict[Path, str] = {}
        for file, name in self.called.items():
            tables = [table for table in self.declared if self._matches(file, table)]
            if tables and (advice := ADVICE.get(file.suffix.lower())):
                raise DataError(f"{name} belongs to {tables[0]!r}, and cannot be read.", f"{advice}.")
            reader = reader_of(file) or (TEXT if tables else None)
            if reader is None:
                left[file] = name
                continue
            self.readers[file] = reader
            self.parts[file] = reader.parts(Part(file, name), self.desk)
            if not self.parts[file]:
                self.source.notes.append(f"{name}: no sheet of it holds anything")
        return unread(left)

    def _matches(self, file: Path, name: str) -> bool:
        pattern = (self.declared[name].file or f"{name}.*").casefold()
        return any(fnmatch.fnmatch(one.casefold(), pattern) for one in (self._within(file), file.name))

    def _assigned(self) -> dict[str, list[Part]]:
        """Table → the parts that it is made of."""
        assigned: dict[str, list[Part]] = {}
        taken: set[Part] = set()
        for name, table in self.declared.items():
            for file in self.parts if table.file or table.sheet else ():
                if self._matches(file, name):
                    chosen = [part for part in self._chosen(table, file) if part not in taken]
                    assigned.setdefault(name, []).extend(chosen)
                    taken.update(chosen)
        for part, name in self._names().items():
            if part in taken:
                continue
            found = self._asked(part, name)
            if found in assigned and self.declared.get(found, SourceTable(found)).file:
                found, name = None, part.name  # the mapping says which files are that table: this is another one
            if found is not None:
                assigned.setdefault(found, []).append(part)
            elif name not in self.source.others:
                self.source.others.append(name)
        hidden = [part for parts in self.parts.values() for part in parts if part.hidden and part not in taken]
        self.source.notes += [f"{part.name}: the sheet {part.sheet} is hidden, and was left out" for part in hidden]
        return assigned

    def _shown(self, file: Path) -> list[Part]:
        return [part for part in self.parts[file] if not part.hidden]

    def _chosen(self, table: SourceTable, file: Path) -> list[Part]:
        """The sheet of a file that a table of the mapping means."""
        shown, wanted = self._shown(file), (table.sheet or table.name).strip().casefold()
        named = [p for p in (self.parts[file] if table.sheet else shown) if p.sheet.strip().casefold() == wanted]
        if named or (len(shown) < 2 and not table.sheet):
            return named or shown
        sheets = ", ".join(part.sheet for part in self.parts[file] if part.sheet) or "none"
        if table.sheet:
            raise DataError(f"{self.called[file]} has no sheet {table.sheet!r}.", f"Its sheets: {sheets}.")
        raise DataError(
            f"{self.called[file]} has {len(shown)} sheets, and the mapping does not say which is {table.name!r}.",
            f"Add `sheet:` to `source: tables: {table.name}`. Its sheets: {sheets}.",
        )

    def _names(self) -> dict[Part, str]:
        """What each part is called by itself."""
        alone = {part for file in self.parts if len(self._shown(file)) == 1 for part in self._shown(file)}
        own: dict[str, list[Part]] = {}
        for part in (part for file in self.parts for part in self._shown(file)):
            own.setdefault((_stem(part) if part in alone else part.sheet.strip()).casefold(), []).append(part)
        names = {}
        for parts in own.values():
            files, sheets = ([p for p in parts if (p in alone) is whole] for whole in (True, False))
            formats = {self.readers[part.file].name for part in files}
            if len(formats) > 1:
                self.source.notes.append(f"{', '.join(p.name for p in files)}: one name in two formats, two tables")
            for part in files:  # in one spelling: the engine does not tell Labs from labs
                names[part] = part.file.name if len(formats) > 1 else _stem(files[0])
            for part in sheets:
                single = len(parts) == 1
                names[part] = part.sheet.strip() if single else f"{_stem(part)}.{part.sheet.strip()}"
        return names

    def _asked(self, part: Part, name: str) -> str | None:
        """The table that a part is, as the mapping calls it; None when nobody asks for it."""
        if self.wanted is None:
            return name
        if self.root.is_file() and len(self.wanted) == 1 and len(self._shown(part.file)) == 1:
            return next(iter(self.wanted))
        title = part.sheet.strip() if len(self._shown(part.file)) == 1 else ""
        asked = {one.casefold(): one for one in self.wanted}
        return asked.get(name.casefold()) or asked.get(title.casefold())

    def _table(self, name: str, parts: Sequence[Part]) -> None:
        declared = self.declared.get(name) or SourceTable(name)
        how = replace(declared, encoding=declared.encoding or (self.mapping.encoding if self.mapping else ""))
        read: list[Rows] = []
        for reader in dict.fromkeys(self.readers[part.file] for part in parts):
            read += reader.read([part for part in parts if self.readers[part.file] is reader], how, self.desk)
        columns = _same_columns(name, read)
        listed, missing = ", ".join(map(quoted, columns)), missing_of(self.mapping, name)
        queries = [rows_as_read(self.source.bench, f"({one.query})", missing) for one in read]
        whole = queries[0] if len(queries) == 1 else " UNION ALL ".join(f"SELECT {listed} FROM ({q})" for q in queries)
        add(self.source, name, whole, tuple(file for one in read for file in one.files))
        if any(one.spanning for one in read):
            spans = " OR ".join(f"contains({quoted(column)}::VARCHAR, chr(10))" for column in columns)
            self.source.quoted[name] = f"SELECT count(*) FROM {quoted(f'source:{name}')} WHERE {spans}"


def _stem(part: Part) -> str:
    return part.file.name.split(".")[0]


def _same_columns(name: str, read: Sequence[Rows]) -> tuple[str, ...]:
    """Files of one table may have their columns in another order, but not other columns."""
    first = read[0].columns
    for one in read[1:]:
        if different := sorted(set(first) ^ set(one.columns)):
            raise DataError(
                f"The files of table {name!r} have different columns: {', '.join(different[:5])} is not in all of"
                " them.",
                f"They are {', '.join(file.name for part in read for file in part.files[:5])}: export them alike, or"
                " make them two tables.",
            )
    return first
