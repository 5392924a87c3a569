"""A release as a folder of Parquet files, as Spark reads it: each in a folder of its own, and one file that names it.

    FOLDER/release.json            the manifest of the release in force, and its folder
    FOLDER/release-2-x7f3k/…       person.parquet and the other tables, `atoll_release.parquet` with the manifest

The new release is written beside the old one; then `release.json` is replaced in one step. A session looks at it once,
when it opens, and so reads one release from its beginning to its end: `hold` keeps its files, and the release before
stays until the next arrives, for readers that are not Atoll's. A folder without `release.json` is read as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from atoll.cdm.tables import tables
from atoll.cdm.workbench import Workbench, literal, quoted, room_in
from atoll.durable import sync, write_private
from atoll.errors import DataError

POINTER, OWN = "release.json", "atoll_release"
_MADE = re.compile(r"release-\d+-[a-z0-9_]{8}")  # as `mkdtemp` calls it


def in_force(folder: Path) -> Path:
    """The folder with the files of the release in force: for a folder that Atoll did not fill, itself.

    Raises
    ------
    DataError
        When `release.json` is there and names no folder.
    """
    named = _pointer(folder).get("folder")
    return folder / named if named else folder


def hold(folder: Path) -> tuple[Path, Callable[[], None]]:
    """The folder with the files of the release in force, which no load removes until what comes with it is called.

    Raises
    ------
    DataError
        When there is none.
    """
    while True:
        place = in_force(folder)
        try:
            handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            if in_force(folder) == place:
                raise no_files(folder) from None
            continue
        with contextlib.suppress(OSError):  # a disk over the network may know no locks
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if in_force(folder) == place:
            return place, partial(os.close, handle)
        os.close(handle)  # another release came between


def no_files(folder: Path) -> DataError:
    """That a folder is none of a CDM's."""
    return DataError(f"The folder {folder} holds no .parquet file.", "Give one with a file a table: person.parquet.")


def _remove(release: Path) -> None:
    """Remove a release, unless somebody holds it."""
    handle = os.open(release, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    except OSError:  # a disk over the network may know no locks
        pass
    finally:
        os.close(handle)
    shutil.rmtree(release, ignore_errors=True)


def _pointer(folder: Path) -> dict[str, Any]:
    file = folder / POINTER
    if not file.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if Path(found["folder"]).name == found["folder"] and (folder / found["folder"]).is_dir():
            return found
    except (ValueError, KeyError, TypeError):
        pass
    raise DataError(f"{file} names no folder with a release.", "Load again: `atoll load … --cdm …` writes it anew.")


def publish_folder(path: Path, folder: Path, manifest: dict[str, Any], progress: Callable[[str], None]) -> None:
    """Write all tables of a release file as Parquet, and put them in force.

    path      the release, a DuckDB file
    folder    made when it is not there

    Raises
    ------
    OperatorError
        When its disk is full; the release in force stays.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = _pointer(folder).get("folder") if (folder / POINTER).exists() else None
    arriving = Path(tempfile.mkdtemp(prefix=f"release-{manifest['release']}-", dir=folder))
    arriving.chmod(folder.stat().st_mode & 0o777)  # who may look into the folder, as a cluster's user, may read it
    try:
        with room_in(folder), Workbench(path, read_only=True) as bench:
            bench.folder = folder  # the disk that may be full is this one
            for name, table in tables().items():
                progress(name)
                listed = ", ".join(map(quoted, table.columns))
                _write(bench, f"SELECT {listed} FROM main.{quoted(name)}", arriving / f"{name}.parquet")
            _write(bench, "SELECT number, manifest FROM ingest.release", arriving / f"{OWN}.parquet")
            sync(arriving)
            document = json.dumps({"folder": arriving.name, **manifest}, ensure_ascii=False, indent=2, sort_keys=True)
            write_private(folder / POINTER, document.encode() + b"\n")
    except BaseException:
        shutil.rmtree(arriving, ignore_errors=True)
        raise
    for old in folder.glob("release-*"):
        if old.is_dir() and _MADE.fullmatch(old.name) and old.name not in (arriving.name, before):
            _remove(old)


def published(folder: Path) -> dict[str, Any]:
    """The manifest of the release in force in a folder; empty when there is none that can be read."""
    try:
        return {name: value for name, value in _pointer(folder).items() if name != "folder"}
    except DataError:
        return {}


def _write(bench: Workbench, query: str, file: Path) -> None:
    bench.run(f"COPY ({query}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)")
    sync(file)
