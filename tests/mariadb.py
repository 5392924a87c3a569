"""A throw-away MariaDB server on loopback, from the system's packages."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from atoll.network.certificates import Files, create_authority, issue

OWN = Path("/usr/share/mysql")  # where Debian's mariadb-server-core has the tables of a new server
SMALL = ["--no-defaults", "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0",
         "--innodb-flush-method=nosync", "--skip-log-bin", "--log-warnings=0"]  # fmt: skip


def execute(
    port: int, *statements: str, database: str | None = None, many: tuple[tuple[object, ...], ...] = ()
) -> None:
    """Statements as root; `many` rows belong to the last one."""
    connection = pymysql.connect(host="127.0.0.1", port=port, user="root", database=database, charset="utf8mb4",
                                 autocommit=True)  # fmt: skip
    with contextlib.closing(connection), connection.cursor() as cursor:
        for statement in statements[: -1 if many else None]:
            cursor.execute(statement)
        if many:
            cursor.executemany(statements[-1], many)


@contextlib.contextmanager
def started() -> Iterator[tuple[int, Path]]:
    """Port of a running server, and the certificate of its authority. Without its package the test is skipped.

    On CI it fails then.
    """
    server = shutil.which("mariadbd", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if server is None or not (OWN / "mysql_system_tables.sql").exists():
        said = "MariaDB is not installed: as root, apt-get install mariadb-server-core"
        pytest.fail(said) if os.environ.get("CI") else pytest.skip(said)
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="atoll-db-"))
    data, files = folder / "data", Files.under(folder / "tls")
    data.mkdir()
    files.key.parent.mkdir()
    create_authority(files, "test")
    issue(files, ["127.0.0.1"])
    if as_nobody:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*as_nobody, server, *SMALL, f"--datadir={data}", f"--tmpdir={folder}"]
    script = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
    script += "".join((OWN / f"mysql_system_tables{part}.sql").read_text("utf-8") for part in ("", "_data"))
    subprocess.run([*command, "--bootstrap"], input=script.encode(), check=True, capture_output=True, cwd="/")
    process = subprocess.Popen(
        [*command, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 's'}",
         f"--ssl-cert={files.certificate}", f"--ssl-key={files.key}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    try:
        _wait(port, process)
        yield port, files.authority
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with contextlib.suppress(pymysql.OperationalError):
            return execute(port, "SELECT 1")
        assert process.poll() is None, "MariaDB has ended"
        time.sleep(0.05)
    raise AssertionError("MariaDB does not answer")
