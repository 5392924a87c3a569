"""The tables of a database server, copied once into Parquet where the loader works: what all of it then reads.

The copy is made in one go, as the database was at one moment, and a load takes what its plan was made from: it does not
ask the hospital's server twice. `tables.json` beside the files says what is there, and comes last.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from atoll.cdm.pace import Progress
from atoll.cdm.servers import Server, open_server
from atoll.errors import DataError

INDEX = "tables.json"


@dataclass(frozen=True)
class Copies:
    """What was copied.

    files   table → name of its file in the folder
    others  tables that are there and that nobody asked for
    notes   what was left out
    """

    files: Mapping[str, str]
    others: Sequence[str] = ()
    notes: Sequence[str] = field(default=())


def copy(url: str, folder: Path, wanted: Mapping[str, str] | None, progress: Progress) -> Copies:
    """Copy tables of a server, in bounded memory.

    folder   is emptied first
    wanted   table as the mapping calls it → as the database does; None is for all that the address names, and of
             these one that cannot be read, as a view that fails, is left out and noted

    Raises
    ------
    DataError
        When a table that is wanted is not there or cannot be read, or there is none at all.
    Unreachable
        When the server does not answer, or breaks off.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    with open_server(url) as server:
        others: list[str] = []
        every = wanted is None
        if wanted is None:
            named = parse_qs(urlsplit(url).query).get("table") or server.tables()
            wanted = {name: name for name in named}
        else:
            read = {name.casefold() for name in wanted.values()}
            others = [name for name in server.tables() if name.casefold() not in read]
        if not wanted:
            raise DataError(
                f"The schema {server.schema!r} has no table that this user may read.",
                "Add ?schema=NAME to the address, or ask the database's operator for SELECT.",
                code="EMPTY",
            )
        files = _write_all(server, wanted, folder, progress, skipping=every)
        made = Copies(files, others, server.notes)
    (folder / INDEX).write_text(json.dumps(vars(made), ensure_ascii=False), "utf-8")
    return made


def copied(folder: Path) -> Copies:
    """What `copy` left in the folder."""
    return Copies(**json.loads((folder / INDEX).read_text("utf-8")))


def _write_all(
    server: Server, wanted: Mapping[str, str], folder: Path, progress: Progress, *, skipping: bool
) -> dict[str, str]:
    """Table → its file. One that cannot be read is noted where it may be passed over, unless no other is left."""
    files: dict[str, str] = {}
    for left, (name, asked) in enumerate(wanted.items(), 1 - len(wanted)):
        progress(f"copying {name} from the database")
        file = f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.parquet"
        try:
            with server.apart():
                _write(server, asked, folder / file)
        except DataError as error:
            if not skipping or (not left and not files):
                raise
            (folder / file).unlink(missing_ok=True)
            server.notes.append(f"{name}: left out. {error.what}")
        else:
            files[name] = file
    return files


def _write(server: Server, table: str, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(column.name, column.arrow()) for column in server.columns(table)])
    with pq.ParquetWriter(path, schema) as writer:
        for batch in server.batches(table):
            writer.write_batch(batch)
