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
    wanted   table as the mapping calls it → as the database does; None is for all that the address names

    Raises
    ------
    DataError
        When a table is not there or cannot be read, or there is none.
    Unreachable
        When the server does not answer, or breaks off.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    with open_server(url) as server:
        others: list[str] = []
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
        files = {}
        for name, asked in wanted.items():
            progress(f"copying {name} from the database")
            files[name] = f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.parquet"
            _write(server, asked, folder / files[name])
        made = Copies(files, others, server.notes)
    (folder / INDEX).write_text(json.dumps(vars(made), ensure_ascii=False), "utf-8")
    return made


def copied(folder: Path) -> Copies:
    """What `copy` left in the folder."""
    return Copies(**json.loads((folder / INDEX).read_text("utf-8")))


def _write(server: Server, table: str, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(column.name, column.arrow()) for column in server.columns(table)])
    with pq.ParquetWriter(path, schema) as writer:
        for batch in server.batches(table):
            writer.write_batch(batch)
