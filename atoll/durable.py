"""Files that are whole, readable by their owner alone, and on disk once they have their name."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_IN_THE_WAY = "a file stands in the place of a folder"
_SAID = {
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EISDIR: "it is a folder",
    errno.EACCES: "you have no right to",
    errno.EPERM: "you have no right to",
    errno.ENOENT: "its folder is not there, or takes no files",
    errno.EROFS: "that disk is read-only",
    errno.ENAMETOOLONG: "the name is too long",
}


@contextmanager
def privately() -> Iterator[None]:
    """Whatever is made meanwhile, also by an engine, is readable by its owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """A file (0600) to be written, that takes its name, and replaces what had it, when all of it is on disk.

    Raises
    ------
    OSError
        When it cannot be written: then nothing is left of it, and what had the name stays.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        move(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """These bytes as a private file, whole or not at all."""
    with private_file(path) as file:
        file.write(content)


def move(path: Path, name: Path) -> None:
    """Give a file that is on disk another name, for good."""
    path.replace(name)
    sync(name.parent)


def try_out(folder: Path) -> None:
    """Make a file in a folder and take it away again: rights alone do not tell whether that can be done.

    Raises
    ------
    OSError
        When it cannot.
    """
    probe = folder / f".{secrets.token_hex(8)}"
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    probe.unlink()


def reason(error: OSError) -> str:
    """Why a file cannot be written, in words."""
    return _SAID.get(error.errno or 0, error.strerror or "the system refuses it")


def sync(place: Path) -> None:
    """A file's content is on disk; a new name is once its folder is."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
