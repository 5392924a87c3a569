"""Tables on their way into a site: each in a folder of its own, which its process holds until it is done.

    datasets/.arriving-…/NAME.parquet      while it is written and looked at
    datasets/NAME.parquet                  once it is whole, kept to its dictionary, and is on disk

A process that is killed lets go of its folder; whoever opens the registry next takes it away, since it
holds rows of patients that nobody would look after.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".arriving-"


@contextmanager
def arriving(datasets: Path, name: str) -> Iterator[Path]:
    """Where a table is written before it is registered; what is still there at the end is removed."""
    datasets.mkdir(mode=0o700, exist_ok=True)
    with _held(datasets):  # or a cleaner could find the folder before it is held
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=datasets))
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield folder / f"{name}.parquet"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def clean(datasets: Path) -> int:
    """Remove what processes that are no longer alive have left; returns how many were removed."""
    removed = 0
    if not datasets.exists():
        return removed
    with _held(datasets):
        for folder in datasets.glob(f"{PREFIX}*"):
            with suppress(OSError), _held(folder, wait=False):  # a living process holds it, or has just removed it
                shutil.rmtree(folder)
                removed += 1
    return removed


@contextmanager
def _held(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder for this process. Raises BlockingIOError when another one does and one should not wait."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)
