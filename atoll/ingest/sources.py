"""A hospital's export as tables: a file, a folder, or a database's address. Nothing is changed there.

What an export is made of is found out from it: FHIR bundles and bulk files and HL7 v2 messages are turned into plain
tables first (`ingest.fhir`, `ingest.hl7v2`); CSV is read where it lies.

A new format of files with rows goes into `_Files._table`; one of messages is a module of its own, named in `formats`.
What `atoll site dataset add` reads is another thing: see `features.imports`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from atoll.cdm import delimited
from atoll.cdm.database import is_url, opening
from atoll.cdm.pace import Progress, silent
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.errors import DataError
from atoll.ingest import excel, formats
from atoll.ingest.copies import copied, copy
from atoll.ingest.mapping import Mapping as MappingDocument
from atoll.ingest.mapping import SourceTable

PARQUET = (".parquet", ".pq")
# a column of messages: why, by their standard, a row is no fact (entered in error, cancelled)
LEFT_OUT = "reader:left_out"
_LONG = re.compile(r"U?HUGEINT|UBIGINT|DECIMAL\((1[6-9]|[23]\d),0\)")  # longer than 64 bits, or than a float is exact
EXPORT = "atoll_export"  # a database of the hospital, attached; no file of ours is called so


@dataclass(frozen=True)
class SourceFile:
    """One file of the export, as it was found."""

    name: str
    sha256: str
    size: int
    encoding: str = ""
    delimiter: str = ""
    lines: int = 0


@dataclass(frozen=True)
class Opened:
    """One table of the source: its columns with their Ibis types, and the files that it is made of."""

    name: str
    columns: Mapping[str, str]
    files: tuple[SourceFile, ...] = ()

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files)


@dataclass
class Source:
    """An opened export. Its tables are views of the workbench, in its schema `source`."""

    bench: Workbench
    kind: str
    tables: dict[str, Opened] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)  # what the engine reads → the file's own name
    clean: dict[Path, Path] = field(default_factory=dict)  # a file with broken lines → its copy without them
    aside: list[tuple[str, int, str, str]] = field(default_factory=list)  # broken lines found before the engine reads
    kinds: dict[str, list[Path]] = field(default_factory=dict)  # of FHIR: type of resource → files that hold it
    counts: dict[str, int] = field(default_factory=dict)  # of messages: table → rows
    quoted: dict[str, str] = field(default_factory=dict)  # table whose fields may span lines → the query of such rows
    others: list[str] = field(default_factory=list)  # tables that are there and that the mapping does not read

    def table(self, name: str) -> Any:
        """A table for Ibis."""
        return self.bench.table(name)

    def files(self) -> Iterator[SourceFile]:
        """All files, each once."""
        seen = set()
        for table in self.tables.values():
            for file in table.files:
                if file.name not in seen:
                    seen.add(file.name)
                    yield file

    def told(self) -> list[str]:
        """What is odd about the files and may be right, as sentences. Reads files again whose fields may span lines."""
        spanning = {name: self.bench.value(query) for name, query in self.quoted.items()}
        return self.notes + [
            f"{name}: a field in quotation marks spans lines in {rows:,} row{'s' * (rows > 1)}; two stray marks would"
            " swallow the lines between them"
            for name, rows in spanning.items()
            if rows
        ]

    def broken(self) -> list[tuple[str, int, str, str]]:
        """Broken CSV lines met so far: file, line, what is wrong, the line."""
        met = [(self.paths.get(path, path), line, kind, text) for path, line, kind, text in self.bench.broken_lines()]
        return self.aside + met


def open_source(
    address: str,
    bench: Workbench,
    folder: Path,
    mapping: MappingDocument | None = None,
    progress: Progress = silent,
    *,
    again: bool = False,
) -> Source:
    """Open an export.

    address   a file (also of DuckDB), a folder, or the URL of a database (duckdb:///FILE, or a server's as in
              `cdm.servers`)
    folder    where readable copies may be written
    mapping   says which files make which table, and how they are written; without one, each file is a table
    progress  is told which file is read, and how far
    again     whether it was opened with this folder before: then a server's tables are those that were copied

    Raises
    ------
    DataError
        When there is nothing that can be read, or a file is damaged; names the file and, where there is one, the line.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if is_url(address):
        return _database(address, bench, folder, mapping, progress, again)
    path = Path(address)
    if not path.exists():
        raise DataError(f"There is no file or folder {address}.", "Check the path.")
    if not path.is_dir() and not path.is_file():
        raise DataError(f"{path} is neither a file nor a folder.", "Give the file or folder with the export.")
    kind = mapping.source if mapping else formats.TABLES
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.name[0] != ".")
    if not files:
        raise DataError(f"{path} is an empty folder.", "Give the folder with the export.", code="EMPTY")
    if len(files) == 1 and _is_duckdb(files[0]):
        return _attached(files[0], Source(bench, formats.TABLES))
    found = kind if kind != formats.TABLES else formats.kind_of(files)
    if found != formats.TABLES:
        source: Source = formats.opener(found)(files, bench, folder, progress)
        return source
    return _Files(bench, folder, mapping, progress).open(files, path)


class _Files:
    """A folder of CSV, Excel and Parquet files."""

    def __init__(self, bench: Workbench, folder: Path, mapping: MappingDocument | None, progress: Progress):
        self.bench, self.folder, self.mapping, self.progress = bench, folder, mapping, progress
        self.source = Source(bench, formats.TABLES)
        self.wanted = set(mapping.used()) if mapping else None

    def open(self, files: Sequence[Path], root: Path) -> Source:
        assigned: dict[str, list[Path]] = {}
        for file in files:
            name = self._table_of(file, root)
            if name is not None:
                assigned.setdefault(name, []).append(file)
        for name, members in assigned.items():
            self._table(name, members)
        if not self.source.tables:
            names = ", ".join(sorted(file.name for file in files)[:10])
            raise DataError(
                f"{root} holds no table that the mapping reads." if self.mapping else f"{root} holds no table.",
                f"Found there: {names}. CSV, TSV, Excel, Parquet and, by its own path, a DuckDB file are read.",
                code="EMPTY",
            )
        return self.source

    def _table_of(self, file: Path, root: Path) -> str | None:
        """The source table that a file belongs to; None when nobody asks for it."""
        relative = file.name if root.is_file() else str(file.relative_to(root))
        declared = self.mapping.tables if self.mapping else {}
        for name, table in declared.items():
            pattern = (table.file or f"{name}.*").casefold()
            if fnmatch.fnmatch(relative.casefold(), pattern) or fnmatch.fnmatch(file.name.casefold(), pattern):
                return name
        if not file.name.lower().endswith((*delimited.TEXT, *excel.EXCEL, *PARQUET)):
            return None
        stem = file.name.split(".")[0]
        if self.wanted is None or file.name.lower().endswith(excel.EXCEL):
            return stem
        if root.is_file() and len(self.wanted) == 1:
            return next(iter(self.wanted))
        found = next((name for name in self.wanted if name.casefold() == stem.casefold()), None)
        if found is None and stem not in self.source.others:
            self.source.others.append(stem)
        return found

    def _table(self, name: str, files: Sequence[Path]) -> None:
        declared = (self.mapping.tables if self.mapping else {}).get(name) or SourceTable(name)
        if files[0].name.lower().endswith(excel.EXCEL):
            self._excel(name, files)
        elif files[0].name.lower().endswith(PARQUET):
            self._parquet(name, files)
        else:
            self._csv(name, files, declared)

    def _csv(self, name: str, files: Sequence[Path], declared: SourceTable) -> None:
        encoding = declared.encoding or (self.mapping.encoding if self.mapping else "")
        missing = (*(self.mapping.missing if self.mapping else ()), *declared.missing)
        forms: dict[tuple[str, tuple[str, ...]], list[Path]] = {}
        seen: list[SourceFile] = []
        within = 0
        for file in files:
            found = delimited.look(file, encoding or None, self.progress)
            readable = delimited.readable(file, found, self.folder)
            form = delimited.dialect(readable, declared.columns, declared.delimiter or None)
            self.source.paths[str(readable)] = file.name
            if found.lines > 1 and not found.ends:
                self.source.notes.append(f"{file.name}: the last line has no end; it may be cut")
            within += found.within
            seen.append(SourceFile(file.name, found.sha256, found.size, found.encoding, form.delimiter, found.lines))
            forms.setdefault((form.delimiter, form.columns), []).append(readable)
        columns = _same_columns(name, [columns for _, columns in forms], files)
        parts = [
            self.bench.csv(members, own, delimiter=sign, quote='"', header=not declared.columns, missing=missing)
            for (sign, own), members in forms.items()
        ]
        listed = ", ".join(f"cleaned({quoted(column)}) AS {quoted(column)}" for column in columns)
        self.bench.view(name, " UNION ALL ".join(f"SELECT {listed} FROM ({part})" for part in parts))
        if within:
            spans = " OR ".join(f"contains({quoted(column)}, chr(10))" for column in columns)
            self.source.quoted[name] = f"SELECT count(*) FROM {quoted(f'source:{name}')} WHERE {spans}"
        self.source.tables[name] = Opened(name, dict.fromkeys(columns, "string"), tuple(seen))

    def _excel(self, name: str, files: Sequence[Path]) -> None:
        for file in files:
            sha256, size = _hash(file)
            sheets = excel.excel_sheets(file, self.folder, sha256)
            for title, path in sheets.items():
                named = title if self.wanted and title in self.wanted else name
                named = named if len(sheets) == 1 or named in (self.wanted or ()) else title
                self._view(named, [path], (SourceFile(file.name, sha256, size),))

    def _parquet(self, name: str, files: Sequence[Path]) -> None:
        hashes = [_hash(file) for file in files]
        seen = tuple(SourceFile(file.name, *found) for file, found in zip(files, hashes, strict=True))
        self._view(name, files, seen)

    def _view(self, name: str, paths: Sequence[Path], seen: tuple[SourceFile, ...]) -> None:
        import duckdb

        try:
            rows = f"read_parquet({literal([str(path) for path in paths])}, union_by_name=true)"
            self.bench.view(name, whole(self.bench, f"SELECT * FROM {rows}"))
        except duckdb.Error as error:
            raise DataError(f"{seen[0].name} is a damaged Parquet file.", "Export it again.") from error
        _add(self.source, name, seen)


def _view(bench: Workbench, name: str, rows: str) -> None:
    """A view over rows as the engine reads them, texts without blanks round them."""
    described = bench.rows(f"DESCRIBE SELECT * FROM {rows}")
    columns = [
        f"cleaned({quoted(column)}) AS {quoted(column)}" if kind == "VARCHAR" else quoted(column)
        for column, kind, *_ in described
    ]
    bench.view(name, whole(bench, f"SELECT {', '.join(columns)} FROM {rows}"))


def whole(bench: Workbench, query: str) -> str:
    """The query with its long whole numbers as 64 bits hold them, and as texts where one is longer than that.

    Such are ids that a hash made: they would not be read, or become floating-point numbers of which many are one.
    """
    long = [name for name, kind, *_ in bench.rows(f"DESCRIBE {query}") if _LONG.fullmatch(kind)]
    if not long:
        return query
    held = ", ".join(
        f"bool_and(TRY_CAST({quoted(name)} AS BIGINT) IS NOT NULL OR {quoted(name)} IS NULL)" for name in long
    )
    kinds = ["VARCHAR" if fits is False else "BIGINT" for fits in bench.rows(f"SELECT {held} FROM ({query})")[0]]
    cast = (f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in zip(long, kinds, strict=True))
    return f"SELECT * REPLACE ({', '.join(cast)}) FROM ({query})"


def _add(source: Source, name: str, seen: tuple[SourceFile, ...]) -> None:
    schema = source.bench.table(name).schema()
    source.tables[name] = Opened(name, {column: str(kind) for column, kind in schema.items()}, seen)


def _same_columns(name: str, found: Sequence[tuple[str, ...]], files: Sequence[Path]) -> tuple[str, ...]:
    """Files of one table may have their columns in another order, but not other columns."""
    first = found[0]
    for columns in found[1:]:
        if different := sorted(set(first) ^ set(columns)):
            raise DataError(
                f"The files of table {name!r} have different columns: {', '.join(different[:5])} is not in all of"
                " them.",
                f"They are {', '.join(file.name for file in files[:5])}: export them alike, or make them two tables.",
            )
    return first


def hash_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash(path: Path) -> tuple[str, int]:
    return hash_of(path), path.stat().st_size


def _database(
    address: str,
    bench: Workbench,
    folder: Path,
    mapping: MappingDocument | None,
    progress: Progress,
    again: bool,
) -> Source:
    """Tables of a database. A DuckDB file is attached; a server's tables are copied into Parquet."""
    source = Source(bench, formats.TABLES)
    parts = urlsplit(address)
    if parts.scheme == "duckdb":
        return _attached(Path(unquote(parts.path)), source)
    place, wanted = folder / "database", None
    if mapping is not None:
        declared = {name: mapping.tables.get(name) for name in mapping.used()}
        wanted = {name: table.file if table and table.file else name for name, table in declared.items()}
    made = copied(place) if again else copy(address, place, wanted, progress)
    for name, file in made.files.items():
        _view(bench, name, f"read_parquet({literal(str(place / file))})")
        _add(source, name, (SourceFile(name, *_hash(place / file)),))
    source.others += made.others
    source.notes += made.notes
    return source


def _is_duckdb(path: Path) -> bool:
    """By its first bytes, whatever it is called."""
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


def _attached(path: Path, source: Source) -> Source:
    if not path.is_file():
        raise DataError(f"There is no file {path}.", "Check the path.")
    bench = source.bench
    with opening(path):
        bench.run(f"ATTACH {literal(str(path))} AS {quoted(EXPORT)} (READ_ONLY)")
    sha256, size = _hash(path)
    rows = bench.rows(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'atoll_export' AND NOT internal"
        " UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'atoll_export' AND"
        " NOT internal"
        " ORDER BY 1, 2"
    )
    for schema, name in rows:
        shown = name if schema == "main" else f"{schema}.{name}"
        _view(bench, shown, quoted(EXPORT, schema, name))
        _add(source, shown, (SourceFile(path.name, sha256, size),))
    return source
