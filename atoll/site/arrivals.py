"""Tables on their way into a site: each in a folder of its own, which its process holds until it is done.

    datasets/.arriving-…/NAME.parquet      while it is written and looked at
    datasets/NAME.parquet                  once it is whole, kept to its dictionary, and is on disk

A process that is killed lets go of its folder; whoever opens the registry next takes it away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atoll.held import Held, sweep

PREFIX = ".arriving-"


@contextmanager
def arriving(datasets: Path, name: str) -> Iterator[Path]:
    """Where a table is written before it is registered; what is still there at the end is removed."""
    folder = Held(datasets, PREFIX)
    try:
        yield folder.path / f"{name}.parquet"
    finally:
        folder.release()


def clean(datasets: Path) -> int:
    """Remove what processes that are no longer alive have left; returns how many were removed."""
    return sweep(datasets, PREFIX)
