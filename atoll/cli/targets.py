"""Files that commands write: no file of the user's is ever written over by chance.

An option that names a file to write has the type `Target`, and its command the option `--replace` (`replaces`).
`with_output` then calls `guard` before the command begins, so that nobody waits an hour for a refusal:

    a file that the command reads       is refused, whatever is asked
    a file that Atoll did not write     is refused without --replace
    a former output of Atoll            is replaced; it is known by what stands in it (`KNOWN`). A list or a definition,
                                        which people change by hand, never is
    a folder that is not there, or in   is refused, not made
    which nothing can be written
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atoll.durable import reason, try_out
from atoll.errors import OperatorError

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = {"parquet": (".parquet", ".pq"), "json": (".json",), "yaml": (".yaml", ".yml"), "html": (".html", ".htm"),
           "svg": (".svg",), "csv": (".csv", ".tsv"), "duckdb": (".duckdb", ".db"), "text": (".txt", ".md"),
           "workbook": (".xlsx", ".xls")}  # fmt: skip
ELSEWHERE = "Choose another place, or ask for the right to write there."
HEAD = 4000  # characters of a page or drawing in which its mark stands
_YAML = re.compile(r"# Written by Atoll; changed by hand it is not replaced \(([0-9a-f]{16})\)\n")


class Target(click.Path):
    """A file that a command writes, of one of some kinds (`ENDINGS`); a name that ends as another kind is refused.

    heading   of a CSV, by which a former output is known
    """

    def __init__(self, *kinds: str, heading: Sequence[str] = ()):
        super().__init__(path_type=Path, dir_okay=False)
        self.kinds, self.heading = kinds, tuple(heading)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(str(super().convert(value, param, ctx)))
        ending = path.suffix.lower()
        others = [kind for kind, endings in ENDINGS.items() if ending in endings and kind not in self.kinds]
        if others and ENDINGS.keys() & set(self.kinds):
            right = ENDINGS[self.kinds[0]][0]
            self.fail(
                f"{path.name} is no name of a {right[1:]} file, which is what is written."
                f" Name it {path.with_suffix(right).name}.", param, ctx,
            )  # fmt: skip
        return path

    def owns(self, path: Path) -> bool:
        """Whether a file is a former output of Atoll; what cannot be read is none."""
        if self.heading:
            return _first_line(path) == ",".join(self.heading)
        with contextlib.suppress(OSError, ValueError):
            return any(KNOWN[kind](path) for kind in self.kinds if kind in KNOWN)
        return False


def replaces(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that writes files the option `--replace`."""

    def keep(context: click.Context, _: click.Parameter, value: bool) -> None:
        context.meta[__name__] = value

    return click.option(
        "--replace", is_flag=True, expose_value=False, callback=keep, help="Replace what is there, whoever wrote it."
    )(command)


def replace_asked() -> bool:
    """Whether `--replace` was given."""
    return bool(click.get_current_context().meta.get(__name__))


def guard(context: click.Context) -> list[Path]:
    """Refuse what a command was told to write, where that would lose a file, or cannot be written; else those files.

    Raises
    ------
    OperatorError
        As the module says.
    """
    named: dict[Path, str] = {}
    for param in context.command.params:
        value = context.params.get(param.name or "")
        if isinstance(param.type, Target) and isinstance(value, Path):
            allow(value, param.type)
            first = named.setdefault(value.resolve(), param.opts[0])
            if first != param.opts[0]:
                raise OperatorError(f"{first} and {param.opts[0]} name one file, {value}.", "Give each its own name.")
    return list(named)


@contextmanager
def told_when_stopped(targets: Sequence[Path]) -> Iterator[None]:
    """Say of a command that is stopped (Ctrl-C) that it wrote nothing, where that is so."""
    before = [_state(path) for path in targets]
    try:
        yield
    except Exception as error:
        if str(error) != "Query interrupted":  # so DuckDB says it where no workspace stands between
            raise
        raise KeyboardInterrupt(_unwritten(targets, before)) from error
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(_unwritten(targets, before)) from error


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _unwritten(targets: Sequence[Path], before: Sequence[tuple[int, int] | None]) -> str:
    return "Nothing was written." if targets and [_state(path) for path in targets] == [*before] else ""


def allow(path: Path, kind: Target, said: str = "Choose another name.") -> None:
    """Refuse one file; for files that are not named by an option of the command, but beside one.

    said   how the user has another file written

    Raises
    ------
    OperatorError
        As the module says.
    """
    context = click.get_current_context()
    if not path.parent.is_dir():
        raise OperatorError(
            f"{path} cannot be written: there is no folder {path.parent}.", "Make the folder, or choose another place."
        )
    _try_out(path, path.parent)
    if not path.exists():
        return
    if path.resolve() in set(_read(context)):
        raise OperatorError(f"{path} is read by this command, and would be lost by writing into it.", said)
    if not replace_asked() and not kind.owns(path):
        known = kind.heading or KNOWN.keys() & set(kind.kinds)
        why = ", and was not written by Atoll, or was changed since" if known else ""
        raise OperatorError(f"{path} is there already{why}.", f"{said} With --replace it is replaced.")


def make_room(path: Path) -> None:
    """The folder of a file that a command makes with its folder: made, and found to take files, before it begins.

    Raises
    ------
    OperatorError
        When it cannot be.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {reason(error)}.", ELSEWHERE) from error
    _try_out(path, path.parent)


def _try_out(path: Path, folder: Path) -> None:
    try:
        try_out(folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # the disk is full: said where it is said of all commands
        raise OperatorError(f"{path} cannot be written: {reason(error)}.", ELSEWHERE) from error


def _read(context: click.Context) -> Iterator[Path]:
    """Every file that a command was told to read, also as SITE=FILE and as the file of a database."""
    for param in context.command.params:
        value = context.params.get(param.name or "")
        if isinstance(param.type, Target):
            continue
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Path):
                yield one.resolve()
            elif isinstance(one, str):
                for text in (one, one.partition("=")[2]):
                    yield Path(text.removeprefix("duckdb:///").partition("?")[0]).resolve()


# ---- how Atoll's own files are known


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.readline(HEAD).strip()
    except (OSError, ValueError):
        return ""


def _parquet(path: Path) -> bool:
    """By a note of the file (`marked`)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return any(key.startswith(b"atoll") for key in pq.read_schema(path).metadata or {})
    except pa.ArrowException:
        return False


def _json(path: Path) -> bool:
    """By its first key, `atoll …`; a result by the keys that each has."""
    document = json.loads(path.read_text("utf-8"))
    if not isinstance(document, dict):
        return False
    return next(iter(document), "").startswith("atoll ") or {"algorithm", "sites"} <= document.keys()


def _signed(path: Path) -> bool:
    """By being a signed study; whether an earlier version is replaced, the command asks itself."""
    from atoll.errors import AtollError
    from atoll.governance.signatures import SignedStudy

    try:
        SignedStudy.from_bytes(path.read_bytes())
    except AtollError:
        return False
    return True


def _yaml(path: Path) -> bool:
    """By a first line with the hash of what follows (`with_mark`): a dictionary that a steward corrected is his."""
    text = path.read_text("utf-8")
    first = _YAML.match(text)
    return first is not None and first[1] == _hash(text[first.end() :])


def _drawn(path: Path) -> bool:
    """By a mark in the head of a page or a drawing."""
    with path.open(encoding="utf-8") as file:
        head = file.read(HEAD)
    return '<meta name="generator" content="Atoll">' in head or "<metadata>Atoll</metadata>" in head


def _vocabulary(path: Path) -> bool:
    """By its tables: those of the vocabularies and no other."""
    import duckdb

    from atoll.cdm.tables import VOCABULARY

    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            found = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    except duckdb.Error:
        return False
    return found == set(VOCABULARY)


KNOWN: Mapping[str, Callable[[Path], bool]] = {
    "parquet": _parquet, "json": _json, "yaml": _yaml, "html": _drawn, "svg": _drawn, "duckdb": _vocabulary,
    "signed": _signed,
}  # fmt: skip


def marked(table: pa.Table, what: str) -> pa.Table:
    """A table that is known as Atoll's once it is a Parquet file."""
    return table.replace_schema_metadata({**(table.schema.metadata or {}), b"atoll": what.encode()})


def with_mark(text: str) -> str:
    """A YAML document that is known as Atoll's for as long as nobody changes it."""
    return f"# Written by Atoll; changed by hand it is not replaced ({_hash(text)})\n{text}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


# ---- writing


def write_text(path: Path, text: str) -> None:
    """A whole text file or none.

    Raises
    ------
    OperatorError
        When it cannot be written.
    """
    write(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_table(path: Path, table: pa.Table, what: str) -> None:
    """A whole Parquet file or none, with a note that it is Atoll's.

    Raises
    ------
    OperatorError
        When it cannot be written.
    """
    import pyarrow.parquet as pq

    write(path, lambda part: pq.write_table(marked(table, what), part, compression="zstd"))


def write(path: Path, fill: Callable[[Path], object]) -> None:
    """A whole file or none: `fill` writes beside it, and what it wrote then takes its place.

    Raises
    ------
    OperatorError
        When it cannot be written.
    """
    part = path.with_name(f".{path.name}.arriving")
    try:
        fill(part)
        part.replace(path)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {reason(error)}.", ELSEWHERE) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
