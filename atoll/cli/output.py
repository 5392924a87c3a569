"""How the command line speaks: results, progress, errors, exit codes.

stdout   the result: for people, or exactly one JSON document with --json
stderr   progress and notes; an error as a sentence, never as a traceback
exit     0 done · 2 the command was typed wrongly · 10 … 15 see `errors` · 70 a fault of Atoll · 130 Ctrl-C
"""

from __future__ import annotations

import errno
import functools
import importlib
import json
import os
import secrets
import shlex
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from atoll.cdm.database import without_password
from atoll.cli.targets import ELSEWHERE, guard, told_when_stopped
from atoll.durable import reason
from atoll.errors import AtollError, OperatorError
from atoll.settings import settings

FAULT = 70
NAMING = (AttributeError, ImportError, NameError, TypeError)  # of Python itself: they name parts of programs, no values
PLACES = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT,
          errno.ENAMETOOLONG}  # what is wrong is the place that was named  # fmt: skip
INTERRUPTED = 130
BROKEN_PIPE = 141


class Output:
    """Where a command writes. Made by `with_output`, which also gives the command its `--json`."""

    def __init__(self, as_json: bool = False):
        self.as_json = as_json

    def say(self, text: str = "") -> None:
        """A line of the result, for people."""
        if not self.as_json:
            click.echo(text)

    def note(self, text: str) -> None:
        """A line beside the result."""
        if not self.as_json:
            click.echo(text, err=True)

    def result(self, document: Any, text: str | None = None) -> None:
        """The result: the document with --json, else the text when there is one."""
        if self.as_json:
            click.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))
        elif text is not None:
            click.echo(text)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Rows in aligned columns, for people; Chinese characters count as two."""
        lines = [[str(cell) for cell in row] for row in (headings, *rows)]
        widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = [cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)]
            self.say("  ".join(cells).rstrip())

    @contextmanager
    def progress(self, title: str, total: int | None = None) -> Iterator[Callable[[str], None]]:
        """A function that takes a step and says what it was: a bar on a terminal, plain lines elsewhere."""
        if self.as_json:
            yield lambda step: None
        elif sys.stderr.isatty() and not settings().ci:
            from rich.console import Console
            from rich.progress import Progress

            with Progress(console=Console(stderr=True, no_color=not settings().color), transient=True) as bar:
                task = bar.add_task(title, total=total)
                yield lambda step: bar.update(task, advance=1, description=step)
        else:
            yield lambda step: self.note(f"{title}: {step}")


def counted(number: int, one: str, several: str = "") -> str:
    """A number with its word: `1 cohort`, `2 cohorts`, `3 entries`."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def command_line(*words: Any) -> str:
    """A command as a shell takes it, for what is said of the next step; a password in a URL is left out."""
    return shlex.join(without_password(str(word)) for word in words)


def with_language(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--language`; without it the language of the settings, which follow the terminal's."""

    @click.option("--language", type=click.Choice(["en", "zh"]), help="From your settings when left out.")
    @functools.wraps(command)
    def run(*arguments: Any, language: str | None, **options: Any) -> Any:
        return command(*arguments, language=language or settings().language, **options)

    return run


def with_output(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--json`, and an `Output` as its first argument; no file of the user's is written over."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
    @functools.wraps(command)
    def run(*arguments: Any, as_json: bool, **options: Any) -> Any:
        with told_when_stopped(guard(click.get_current_context())):
            return command(Output(as_json), *arguments, **options)

    return run


class AtollGroup(click.Group):
    """A group whose errors are sentences and whose subcommands may be named in a table, to be imported when called.

    table   name → ("module:attribute", one line of help)
    """

    def __init__(self, *arguments: Any, table: Mapping[str, tuple[str, str]] | None = None, **options: Any):
        super().__init__(*arguments, **options)
        self.table = dict(table or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.table, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.table[cmd_name][0].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise OperatorError(
                f"`{ctx.command_path} {cmd_name}` is not part of this installation.", "Install the whole of Atoll."
            ) from error
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            near = get_close_matches(args[0], known, 1)
            hint = f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(known)}."
            raise click.UsageError(f"There is no command `{args[0]}`. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = {name: self.get_command(ctx, name) for name in super().list_commands(ctx)}
        rows = [(name, line) for name, (_, line) in self.table.items()]
        rows += [(name, command.get_short_help_str(100)) for name, command in own.items() if command]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        typed = list(sys.argv[1:] if args is None else args)
        run = functools.partial(super().main, typed, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        sys.exit(_exit_code(run, typed))


def _exit_code(run: Callable[[], Any], typed: Sequence[str]) -> int:
    """Run a command; whatever happens becomes a sentence and an exit code."""
    as_json = "--json" in typed
    try:
        code = run()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except AtollError as error:
        return _tell(error, as_json)
    except click.ClickException as error:
        if as_json:
            _print_error({"code": "USAGE", "who": "you", "what": error.format_message(), "remedy": ""})
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo(f"Interrupted. {error.__cause__ or error}".rstrip(), err=True)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; Python must not complain
        return BROKEN_PIPE
    except Exception as error:
        said = _of_the_disk(error)
        return _tell(said, as_json) if said else _tell_fault(error, as_json)


def _of_the_disk(error: BaseException) -> OperatorError | None:
    """What the operator is told where the disk, and not Atoll, is at fault."""
    error = getattr(error, "orig", None) or error  # SQLAlchemy wraps what the hub's store said
    if isinstance(error, MemoryError):
        return OperatorError("There is not enough memory.", "Close other programs, or allow fewer --threads.")
    again = "Free some space, and type the command again."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OperatorError("The disk is full.", again)
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return OperatorError("Another program listens on this port.", "Give another --port, or leave it out.")
    if isinstance(error, OSError) and error.filename and error.errno in PLACES:
        return OperatorError(f"{error.filename} cannot be used: {reason(error)}.", ELSEWHERE)
    name = str(getattr(error, "sqlite_errorname", ""))  # and sqlite3 is not loaded for this
    if name == "SQLITE_FULL":
        return OperatorError("The disk is full.", again)
    if name.startswith("SQLITE_IOERR"):  # so SQLite says where no space is left for its shared memory, too
        return OperatorError("The disk is full, or it cannot be read and written.", again)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
        rights = "Look at the rights of the folder that --home names, and whether its disk is full or read-only."
        return OperatorError("The store in this folder cannot be written.", rights)
    return None


def _tell(error: AtollError, as_json: bool) -> int:
    if as_json:
        document: dict[str, Any] = error.to_document()
        if problems := getattr(error, "problems", None):
            document["problems"] = problems
        _print_error(document)
    click.echo(str(error), err=True)
    return error.exit_code


def _print_error(document: Mapping[str, Any]) -> None:
    click.echo(json.dumps({"error": document}, ensure_ascii=False, indent=2))


def _tell_fault(error: BaseException, as_json: bool) -> int:
    """A fault of Atoll: where it happened goes to a file that is to be sent to us, and so holds no value."""
    try:
        path: Path | None = _keep("\n".join(_trace(error)) + "\n")
    except (OSError, AtollError):
        path = None
    remedy = f"Please report it; the details are in {path}." if path else "Its details could not be written."
    what = "This is a fault of Atoll, not of what you typed."
    if as_json:
        _print_error({"code": "FAULT", "who": "nobody", "what": what, "remedy": remedy})
    click.echo(f"{what} {remedy}", err=True)
    return FAULT


def _trace(error: BaseException, told: tuple[BaseException, ...] = ()) -> list[str]:
    """The traceback of an error and of what led to it. Its own words are left out but of `NAMING` and of ours: a
    database quotes the row that it could not read, Python the key that it did not find."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    led = [cause] if cause else []
    parts = [*led, *(error.exceptions if isinstance(error, BaseExceptionGroup) else ())]
    lines = [line for part in parts if part not in told for line in [*_trace(part, (*told, error)), ""]]
    lines += [line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)]
    said = (
        str(error)
        if isinstance(error, AtollError) or type(error) in NAMING
        else "(its words are left out: they may hold values of patients)"
    )
    return [*lines, f"{type(error).__module__}.{type(error).__qualname__}: {said}"]


def _keep(text: str) -> Path:
    folder = settings().home / "faults"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"{now}-{secrets.token_hex(4)}.log"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
