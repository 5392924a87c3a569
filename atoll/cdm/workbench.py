"""The embedded engine on which sources are read and releases are built, whatever engine the result goes to.

It is DuckDB (docs/adr/0040). Text of SQL for it is written here, in `create`, `parquet`, `publish` and `vocabulary`
beside it and in `ingest`, and nowhere else (ruff's S608 holds it): every name and value in such a text goes through
`quoted` or `literal`. What is asked of a hospital's OMOP data, on whatever engine, is made by `cdm.sql` instead.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from atoll.cdm.database import limits, opening
from atoll.cdm.numbers import macros
from atoll.errors import OperatorError

MEMORY = "1200MB"  # of the engine's own accounting; the process stays below 2 GB with it
AGAIN = "Free some space there, and type the command again."
INTERRUPTED = "Query interrupted"  # of the RuntimeError that DuckDB raises after Ctrl-C
_FULL = (
    "No space left", "disk is full", "Disk quota exceeded", "File too large",
    "max_temp_directory_size",  # by itself it is what the disk still has
)  # fmt: skip
_FUNCTIONS = (
    # 63 bits of MD5: the same id for the same text on every machine and with every version; it hides nothing
    "CREATE OR REPLACE TEMP MACRO stable_id(x) AS CAST(md5_number(x) >> 65 AS BIGINT)",
    # some systems fill fields up with zero bytes; no text of PostgreSQL's may hold one
    "CREATE OR REPLACE TEMP MACRO without_zeros(x) AS CASE WHEN contains(x, chr(0)) THEN replace(x, chr(0), '') ELSE x"
    " END",
    # without blanks round it; the tests before `trim` are ten times as fast as `trim` itself
    "CREATE OR REPLACE TEMP MACRO cleaned(x) AS CASE WHEN x = '' THEN NULL WHEN contains(x, chr(0)) THEN"
    " nullif(trim(replace(x, chr(0), ''), ' ' || chr(9) || chr(10) || chr(13) || chr(12288)), '')"
    " WHEN starts_with(x, ' ') OR suffix(x, ' ')"
    " OR starts_with(x, chr(9)) OR suffix(x, chr(9)) OR suffix(x, chr(13)) OR starts_with(x, chr(12288))"
    " OR suffix(x, chr(12288)) THEN nullif(trim(x, ' ' || chr(9) || chr(10) || chr(13) || chr(12288)), '') ELSE x END",
    "CREATE OR REPLACE TEMP MACRO hl7_text(x) AS CASE WHEN x = '' OR x = '\"\"' THEN NULL WHEN contains(x, '\\')"
    " THEN replace("
    "replace(replace(replace(replace(x, '\\F\\', '|'), '\\S\\', '^'), '\\T\\', '&'), '\\R\\', '~'), '\\E\\', '\\')"
    " ELSE x END",
    # a day that begins with its year, in whichever signs, as ISO writes it: 2023年5月3日, 2023/5/3, ２０２３.５.３;
    # with its time if it has one; a cast alone would take what follows (2020-01-11abc), and `infinity`
    "CREATE OR REPLACE TEMP MACRO day_and_time(x) AS nullif("
    "regexp_extract(rtrim(regexp_replace(regexp_replace("
    "translate(x, '０１２３４５６７８９：／．－　', '0123456789:/.- '),"
    " '^([0-9]{4})\\s*[-年/.]\\s*([0-9]{1,2})\\s*[-月/.]\\s*([0-9]{1,2})(?:日\\s*|[T\\s]\\s*|$)', '\\1-\\2-\\3 '),"
    " '([0-9]{1,2})[时点]([0-9]{1,2})分(?:([0-9]{1,2})秒)?$', '\\1:\\2:0\\3')),"
    " '^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}( [0-9]{1,2}([时点]|:[0-9]{1,2}(:[0-9]{1,2}([.][0-9]+)?)?( ?[AaPp][Mm])?"
    " ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)?))?$'), '')",
    # the same, and 20230503; 24:00 is the next day's 0:00, for who wants the day alone too
    "CREATE OR REPLACE TEMP MACRO year_first(x) AS CASE"
    " WHEN length(x) = 10 AND x[5] = '-' AND x[8] = '-' AND x >= '0' AND x < ':' THEN x"
    " WHEN regexp_full_match(x, '[0-9]{8}') THEN x[1:4] || '-' || x[5:6] || '-' || x[7:8]"
    " WHEN regexp_matches(x, '[^0-9０-９][2２][4４][:：时点][0０]{2}([:：分]([0０]{2}([.．][0０]+)?秒?)?)?\\s*$')"
    " THEN strftime(try_cast(day_and_time(x) AS TIMESTAMP), '%Y-%m-%d %H:%M:%S') ELSE day_and_time(x) END",
    # nothing beyond the years 1 to 9999, which every engine and Python count
    "CREATE OR REPLACE TEMP MACRO days_later(x, n) AS CASE WHEN TRY(x + TRY_CAST(n AS INTEGER)) BETWEEN"
    " DATE '0001-01-01' AND DATE '9999-12-31' THEN CAST(TRY(x + TRY_CAST(n AS INTEGER)) AS DATE) END",
    "CREATE OR REPLACE TEMP MACRO excel_day(x) AS "
    "(TIMESTAMP '1899-12-30' + to_microseconds(CAST(round(x * 86400) * 1000000 AS BIGINT)))",
    *macros(),
)


def quoted(*names: str) -> str:
    """A name of a table or column as SQL writes it; several are joined by dots."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(value: Any) -> str:
    """A text, number, truth value, list or struct as SQL writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(str(name))}: {literal(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return "'" + str(value).replace("'", "''") + "'"


@contextlib.contextmanager
def room_in(folder: Path | None, again: str = AGAIN) -> Iterator[None]:
    """Say of a disk that is full, in words of the operator, which one it is and what to do.

    Raises
    ------
    OperatorError
        With the code DISK_FULL.
    """
    import duckdb

    try:
        yield
    except (OSError, duckdb.Error) as error:
        numbered = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if not numbered and not any(text in str(error) for text in _FULL):
            raise
        disk = f"The disk that holds {folder.resolve()}" if folder else "The disk"
        raise OperatorError(f"{disk} is full.", again, code="DISK_FULL") from None


class Workbench:
    """One connection to the embedded engine. A context manager: the file is closed at its end."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        scratch: Path | None = None,
        memory: str = MEMORY,
        threads: int | None = None,
        read_only: bool = False,
        again: str = AGAIN,
    ):
        import duckdb
        import ibis

        from atoll.settings import settings

        config: dict[str, Any] = {
            **limits(threads or min(settings().threads, 8), memory),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        if scratch is not None:
            config["temp_directory"] = str(scratch)
        place = path or scratch
        self.folder, self.again = place.parent if place else None, again
        with opening(path or "The engine"), room_in(self.folder, again):
            self.duckdb = duckdb.connect(str(path) if path else ":memory:", read_only=read_only, config=config)
        for statement in _FUNCTIONS:
            self.duckdb.execute(statement)
        self.duckdb.execute("SET TimeZone = 'UTC'")
        self.ibis = ibis.duckdb.from_connection(self.duckdb)

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.duckdb.close()

    def run(self, statement: str) -> Any:
        """Run SQL that this package made.

        Raises
        ------
        OperatorError
            When the disk is full, or the memory allowed does not suffice.
        """
        with self._limits():
            return self.duckdb.execute(statement)

    @contextlib.contextmanager
    def _limits(self) -> Iterator[None]:
        import duckdb

        try:
            with room_in(self.folder, self.again):
                yield
        except duckdb.OutOfMemoryException:
            raise OperatorError(
                "The memory allowed for the engine does not suffice.", "Give more with --memory."
            ) from None
        except RuntimeError as error:
            if str(error) != INTERRUPTED:
                raise
            raise KeyboardInterrupt from None

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._limits():  # an engine may go on working while it is read
            found: list[tuple[Any, ...]] = self.run(statement).fetchall()
        return found

    def value(self, statement: str) -> Any:
        """The only value of a query."""
        return self.rows(statement)[0][0]

    def sql(self, expression: Any) -> str:
        """The SQL of an Ibis expression."""
        import ibis

        return str(ibis.to_sql(expression, dialect="duckdb"))

    def tables(self, schema: str = "main") -> list[str]:
        """Names of the tables and views of a schema."""
        return [
            name
            for (name,) in self.rows(
                "SELECT table_name FROM information_schema.tables WHERE table_catalog = current_database()"
                f" AND table_schema = {literal(schema)} ORDER BY table_name"
            )
        ]

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self.run("BEGIN")
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):
                self.duckdb.execute("ROLLBACK")
            raise
        self.run("COMMIT")

    @contextlib.contextmanager
    def joined_as_written(self) -> Iterator[None]:
        """Joins in the order of the query, its left side streamed past tables of its right sides.

        The engine takes a text file for a few rows, whatever its size: left to itself it would hold all of it in
        memory, and lose the order of its lines.
        """
        self.run("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        try:
            yield
        finally:
            with contextlib.suppress(Exception):  # a transaction that failed takes no setting, and ends
                self.duckdb.execute("SET disabled_optimizers = ''")

    def progress(self) -> float:
        """How much of the statement that another thread runs is done: 0 to 1, or -1 when it is not known."""
        try:
            return float(self.duckdb.query_progress()) / 100
        except Exception:
            return -1.0

    def view(self, name: str, query: str, schema: str = "source") -> None:
        """A view in a schema of its own, gone when the workbench closes."""
        self.run(f"CREATE OR REPLACE TEMP VIEW {quoted(_temporary(schema, name))} AS {query}")

    def table(self, name: str, schema: str = "source") -> Any:
        """The view's Ibis table."""
        return self.ibis.table(_temporary(schema, name))

    def csv(
        self,
        files: Sequence[Path],
        columns: Sequence[str],
        *,
        delimiter: str,
        quote: str,
        header: bool,
        skip: int = 0,
    ) -> str:
        """The query that reads CSV files of one form, every column as text. Broken lines are set aside, not lost: see
        `broken_lines`."""
        options = {
            "columns": dict.fromkeys(columns, "VARCHAR"),
            "auto_detect": False,
            "header": header,
            "delim": delimiter,
            "quote": quote,
            "escape": quote,
            "skip": skip,
            "ignore_errors": True,
            "store_rejects": True,
            "rejects_limit": 0,
            "max_line_size": 16_000_000,
            "buffer_size": 32_000_000,  # else sixteen such lines, several times at once
        }
        written = ", ".join(f"{name} = {literal(value)}" for name, value in options.items())
        return f"SELECT * FROM read_csv({literal([str(file) for file in files])}, {written})"

    def broken_lines(self) -> list[tuple[str, int, str, str]]:
        """File, line, what is wrong and the line itself, of all CSV lines that could not be read so far."""
        if "reject_errors" not in {name for (name,) in self.rows("SELECT table_name FROM duckdb_tables()")}:
            return []
        return self.rows(
            "SELECT DISTINCT s.file_path, e.line, min(e.error_type::VARCHAR), any_value(e.csv_line) FROM"
            " reject_errors e"
            " JOIN reject_scans s USING (scan_id, file_id) GROUP BY s.file_path, e.line ORDER BY 1, 2"
        )


def _temporary(schema: str, name: str) -> str:
    return f"{schema}:{name}"
