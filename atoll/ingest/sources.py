"""A hospital's export as tables: a file, a folder, or a database's address. Nothing is changed there.

What an export is made of is found out from it: FHIR bundles and bulk files and HL7 v2 messages are turned into plain
tables first (`ingest.fhir`, `ingest.hl7v2`); which files make which table of rows is said in `files`.

A new format of files with rows is a line in `readers.READERS`; one of messages is a module of its own, named in
`formats`. What `atoll site dataset add` reads is another thing: see `features.imports`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from atoll.cdm.database import is_url, opening
from atoll.cdm.pace import Progress, silent
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.errors import DataError
from atoll.ingest import formats
from atoll.ingest.copies import copied, copy
from atoll.ingest.mapping import Mapping as MappingDocument

# a column of messages: why, by their standard, a row is no fact (entered in error, cancelled)
LEFT_OUT = "reader:left_out"
_LONG = re.compile(r"U?HUGEINT|UBIGINT|DECIMAL\((1[6-9]|[23]\d),0\)")  # longer than 64 bits, or than a float is exact
_NO_EXPORT = (".", "~$")  # how names begin of hidden files, and of what Excel leaves beside a book that is open
_NUMBER = re.compile(r"[-+]?\d{1,18}(\.\d{1,9})?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?")
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
    files = (
        [path]
        if path.is_file()
        else sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(_NO_EXPORT))
    )
    if not files:
        raise DataError(f"{path} is an empty folder.", "Give the folder with the export.", code="EMPTY")
    if len(files) == 1 and _is_duckdb(files[0]):
        return _attached(files[0], Source(bench, formats.TABLES), mapping)
    found = kind if kind != formats.TABLES else formats.kind_of(files)
    if found != formats.TABLES:
        source: Source = formats.opener(found)(files, bench, folder, progress)
        return source
    from atoll.ingest.files import open_files  # here, since it knows what a source is

    return open_files(files, path, Source(bench, formats.TABLES), folder, mapping, progress)


def rows_as_read(bench: Workbench, rows: str, missing: Sequence[str]) -> str:
    """A query of rows as all that follows reads them: texts without blanks round them, and nothing where a word stands
    for nothing, in whatever format they came.

    rows      what stands behind FROM
    missing   the words, of numbers and days too
    """
    described = [(name, kind) for name, kind, *_ in bench.rows(f"DESCRIBE SELECT * FROM {rows}")]
    listed = [
        f"cleaned({quoted(name)}) AS {quoted(name)}" if kind == "VARCHAR" else quoted(name) for name, kind in described
    ]
    query = f"SELECT {', '.join(listed)} FROM {rows}"
    words = [word for word in dict.fromkeys(map(str.strip, missing)) if word]
    nothing = {name: ", ".join(_of_kind(words, kind)) for name, kind in described}
    kept = [
        f"CASE WHEN {quoted(name)} IN ({said}) THEN NULL ELSE {quoted(name)} END AS {quoted(name)}"
        for name, said in nothing.items() if said
    ]  # fmt: skip
    if kept:
        query = f"SELECT * REPLACE ({', '.join(kept)}) FROM ({query})"
    return _in_64_bits(bench, query, described)


def _in_64_bits(bench: Workbench, query: str, described: Sequence[tuple[str, str]]) -> str:
    """The query with its long whole numbers as 64 bits hold them, and as texts where one is longer than that.

    Such are ids that a hash made: they would not be read, or become floating-point numbers of which many are one.
    """
    long = [name for name, kind in described if _LONG.fullmatch(kind)]
    if not long:
        return query
    held = ", ".join(
        f"bool_and(TRY_CAST({quoted(name)} AS BIGINT) IS NOT NULL OR {quoted(name)} IS NULL)" for name in long
    )
    kinds = ["VARCHAR" if fits is False else "BIGINT" for fits in bench.rows(f"SELECT {held} FROM ({query})")[0]]
    cast = (f"CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in zip(long, kinds, strict=True))
    return f"SELECT * REPLACE ({', '.join(cast)}) FROM ({query})"


def _of_kind(words: Sequence[str], kind: str) -> list[str]:
    """Those of some words that a column of a type can hold, as SQL writes them."""
    if kind == "VARCHAR":
        return list(map(literal, words))
    if kind.startswith(("DATE", "TIMESTAMP")):
        return [f"CAST({literal(word)} AS {kind})" for word in words if _DAY.fullmatch(word) and _is_day(word)]
    if re.match(r"U?(TINY|SMALL|BIG|HUGE)?INT|DECIMAL", kind):
        return [word for word in words if _NUMBER.fullmatch(word)]
    if kind in ("FLOAT", "DOUBLE"):
        return [f"CAST({word} AS {kind})" for word in words if _NUMBER.fullmatch(word)]
    return []


def _is_day(word: str) -> bool:
    try:
        return bool(datetime.fromisoformat(word))
    except ValueError:
        return False


def missing_of(mapping: MappingDocument | None, name: str) -> tuple[str, ...]:
    """The words that stand for nothing in a table of the source."""
    declared = mapping.tables.get(name) if mapping else None
    return (*(mapping.missing if mapping else ()), *(declared.missing if declared else ()))


def add(source: Source, name: str, query: str, files: tuple[SourceFile, ...]) -> None:
    """Make a table of the source of a query."""
    source.bench.view(name, query)
    schema = source.bench.table(name).schema()
    source.tables[name] = Opened(name, {column: str(kind) for column, kind in schema.items()}, files)


def hash_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def whole_file(path: Path, name: str) -> SourceFile:
    """A file that is read as it is; `name` is what it is called in what is told."""
    return SourceFile(name, hash_of(path), path.stat().st_size)


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
        return _attached(Path(unquote(parts.path)), source, mapping)
    place, wanted = folder / "database", None
    if mapping is not None:
        declared = {name: mapping.tables.get(name) for name in mapping.used()}
        wanted = {name: table.file if table and table.file else name for name, table in declared.items()}
    made = copied(place) if again else copy(address, place, wanted, progress)
    for name, file in made.files.items():
        rows = rows_as_read(bench, f"read_parquet({literal(str(place / file))})", missing_of(mapping, name))
        add(source, name, rows, (whole_file(place / file, name),))
    source.others += made.others
    source.notes += made.notes
    return source


def _is_duckdb(path: Path) -> bool:
    """By its first bytes, whatever it is called."""
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


def _attached(path: Path, source: Source, mapping: MappingDocument | None) -> Source:
    if not path.is_file():
        raise DataError(f"There is no file {path}.", "Check the path.")
    bench = source.bench
    with opening(path):
        bench.run(f"ATTACH {literal(str(path))} AS {quoted(EXPORT)} (READ_ONLY)")
    file = whole_file(path, path.name)
    rows = bench.rows(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'atoll_export' AND NOT internal"
        " UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = 'atoll_export' AND"
        " NOT internal"
        " ORDER BY 1, 2"
    )
    for schema, name in rows:
        shown = name if schema == "main" else f"{schema}.{name}"
        add(source, shown, rows_as_read(bench, quoted(EXPORT, schema, name), missing_of(mapping, shown)), (file,))
    return source
