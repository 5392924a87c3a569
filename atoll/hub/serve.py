"""The hub's server: one process, TLS, one port."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.routing import BaseRoute

from atoll.errors import OperatorError
from atoll.hub.api import application
from atoll.hub.home import Home
from atoll.hub.rounds import INSTALLED, Methods
from atoll.hub.service import Service
from atoll.network import certificates

STOP = 1  # seconds for open long polls to end; without it uvicorn would wait for them for ever


def serve(
    home: Home,
    *,
    methods: Methods = INSTALLED,
    routes: Callable[[Service], Sequence[BaseRoute]] = lambda service: (),
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until interrupted. `ready` is told the address once the port is open; `routes` are the pages.

    Raises
    ------
    OperatorError
        When the port is in use, the certificate has ended, or this hub runs already.
    """
    with only_one(home.folder), _listen(home.config.host, home.config.port) as listening:
        certificates.renew(home.files)
        port = listening.getsockname()[1]
        url = home.config.url.replace(":0", f":{port}") if home.config.port == 0 else home.config.url
        (home.folder / "address").write_text(url, "utf-8")
        service = Service(home.store(), home.identity(), methods)
        config = uvicorn.Config(
            application(service, routes(service)),
            ssl_certfile=str(home.files.certificate),
            ssl_keyfile=str(home.files.key),
            log_level="warning",
            access_log=False,
            ws="none",
            lifespan="on",
            server_header=False,
            proxy_headers=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=STOP,
        )
        ready(url)
        _Server(config, service).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Lets everybody go who is kept waiting, before it ends."""

    def __init__(self, config: uvicorn.Config, service: Service):
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn once, in the event loop."""
        self._service.desk.close()
        await super().shutdown(sockets)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder for this process: two servers over one store would each believe to be alone."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise OperatorError(f"{folder} is in use by another process.", "Stop that one first.") from error
    try:
        yield
    finally:
        os.close(handle)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise OperatorError(
                f"Port {port} on {host} is in use by another program.",
                "Stop that program, or choose another port with --port.",
                code="PORT_IN_USE",
            ) from error
        raise OperatorError(
            f"The hub cannot listen on {host}, port {port} ({error.strerror}).",
            "Give an address of this machine with --host, and a port above 1023 or more rights.",
        ) from error
    listening.listen(128)
    return listening
