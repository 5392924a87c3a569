"""Shared by all tests: Hypothesis without a clock, since a busy machine is no finding; a PostgreSQL server."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("atoll", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("atoll")
os.environ["ATOLL_LANGUAGE"] = "en"  # commands follow the terminal's language, and tests read what they say


@pytest.fixture(scope="session", autouse=True)
def project_as_it_was():
    """No test leaves a file in the project's folder, where it would be taken for a part of it."""
    root = Path(__file__).parents[1]
    before = set(root.iterdir())
    yield
    left = {path.name for path in set(root.iterdir()) - before if not path.name.startswith((".", "__"))}
    assert left == set(), f"a test wrote {', '.join(sorted(left))} into the project's folder"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A throw-away PostgreSQL cluster on loopback: its URL without a database's name."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (str(binaries[-1]) if binaries else None)
    if initdb is None:
        pytest.skip("PostgreSQL is not installed")
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="atoll-pg-"))
    if as_nobody:
        shutil.chown(folder, "nobody", "nogroup")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, server = folder / "data", str(Path(initdb).with_name("postgres"))
    subprocess.run(
        [*as_nobody, initdb, "-D", data, "-U", "atoll", "-A", "trust"], check=True, capture_output=True, cwd="/"
    )
    command = [*as_nobody, server, "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    import psycopg

    def answers() -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(f"postgresql://atoll@127.0.0.1:{port}/postgres").close()
            return True
        return False

    for _ in range(300):
        if answers():
            break
        time.sleep(0.05)
    yield f"postgresql://atoll@127.0.0.1:{port}"
    process.send_signal(signal.SIGINT)  # it waits for no session that a test has left open
    process.wait(timeout=20)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(postgres):
    """The URL of a new, empty database."""
    import psycopg

    name = f"hub_{secrets.token_hex(6)}"
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgres}/{name}"
