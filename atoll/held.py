"""Folders that belong to a living process: whoever comes next removes what a killed one has left in them.

Rows of patients pass through them (imports, what an engine spills), so nothing may stay behind that nobody looks after.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Held:
    """A new private folder that this process holds until `release`, or until it ends."""

    def __init__(self, parent: Path, prefix: str):
        parent.mkdir(mode=0o700, exist_ok=True)
        with held(parent):  # or a sweeper could find the folder before it is held
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            self._handle = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        self._open = True

    def release(self) -> None:
        """Remove it with all that is in it; once is enough."""
        if self._open:
            self._open = False
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._handle)


def sweep(parent: Path, prefix: str) -> int:
    """Remove what processes that are no longer alive have left; returns how many folders."""
    removed = 0
    if not parent.exists():
        return removed
    with held(parent):
        for folder in parent.glob(f"{prefix}*"):
            with suppress(OSError), held(folder, wait=False):  # a living process holds it, or has just removed it
                shutil.rmtree(folder)
                removed += 1
    return removed


@contextmanager
def held(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder for a moment. Raises BlockingIOError when another process does and one should not wait."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def own_temporary(name: str) -> Path:
    """A folder of this user alone in the system's temporary folder; another one when a stranger took the name."""
    path = Path(tempfile.gettempdir()) / f"{name}-{os.geteuid()}"
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
        return path
    return Path(tempfile.mkdtemp(prefix=f"{name}-"))
