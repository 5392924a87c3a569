"""The hub's server: one process, TLS, one port; its certificate is renewed while it runs."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from starlette.routing import BaseRoute

from atoll.algorithms import registry
from atoll.errors import OperatorError
from atoll.hub.api import application
from atoll.hub.home import Home
from atoll.hub.rounds import INSTALLED, Methods
from atoll.hub.service import Service
from atoll.network import certificates

log = logging.getLogger("atoll.hub")
LOOK = 3600.0  # seconds between looks at the certificate
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
    with only_one(home.folder), _listen(home) as listening:
        certificates.renew(home.files)
        port = listening.getsockname()[1]
        url = home.config.url.replace(":0", f":{port}") if home.config.port == 0 else home.config.url
        (home.folder / "address").write_text(url, "utf-8")
        service = Service(home.store(), home.identity(), methods)
        ready(url)
        if methods is INSTALLED:  # while nobody waits for it
            threading.Thread(target=registry.names, name="algorithms", daemon=True).start()
        config = _config(home, service, routes(service))
        _Server(config, service, home.files).run(sockets=[listening])


def _config(home: Home, service: Service, routes: Sequence[BaseRoute]) -> uvicorn.Config:
    return uvicorn.Config(
        application(service, routes),
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


class _Server(uvicorn.Server):
    """Keeps its certificate fresh, and lets everybody go who is kept waiting before it ends."""

    def __init__(self, config: uvicorn.Config, service: Service, files: certificates.Files):
        super().__init__(config)
        self._service, self._files = service, files
        self._loaded = _state(files)
        self._keeping: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn once, in the event loop."""
        await super().startup(sockets)
        self._keeping = asyncio.create_task(self._keep_fresh())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn once, in the event loop."""
        if self._keeping is not None:
            self._keeping.cancel()
        self._service.desk.close()
        await super().shutdown(sockets)

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            try:
                await asyncio.to_thread(self._refresh)
            except (
                OperatorError,
                OSError,
                ValueError,
            ) as error:  # told at every look; the old one serves until it ends
                log.error("the hub's certificate cannot be renewed: %s", error)

    def _refresh(self) -> None:
        """Renew the certificate when it ends soon; a new one, ours or the operator's, is shown from now on."""
        certificates.renew(self._files)
        now = _state(self._files)
        if now == self._loaded or self.config.ssl is None:
            self._warn()
            return
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._files.certificate, self._files.key)
        self.config.ssl.load_cert_chain(self._files.certificate, self._files.key)
        self._loaded = now
        log.warning("the hub shows a new certificate; it ends on %s", f"{certificates.ends(self._files):%Y-%m-%d}")

    def _warn(self) -> None:
        """A certificate of another authority is renewed by its owner alone."""
        ending = certificates.ends(self._files)
        if ending - datetime.now(UTC) < certificates.RENEW_BEFORE:
            place = f"put a new one in {self._files.certificate} and its key in {self._files.key}"
            log.warning("the hub's certificate ends on %s: %s", f"{ending:%Y-%m-%d}", place)


def _state(files: certificates.Files) -> tuple[int, ...]:
    """What changes when another certificate or key is put in the folder."""
    return tuple(
        number for path in (files.certificate, files.key) for number in (path.stat().st_mtime_ns, path.stat().st_ino)
    )


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


def _listen(home: Home) -> socket.socket:
    host, port = home.config.host, home.config.port
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
                f"Stop that program. Sites and researchers call this hub at {home.config.url}; before the first one "
                "has joined, `atoll hub init` with another --url and --home makes a hub with another port.",
                code="PORT_IN_USE",
            ) from error
        raise OperatorError(
            f"The hub cannot listen on {host}, port {port} ({error.strerror}).",
            f"Write an address of this machine as `host` into {home.folder / 'hub.json'}; a port below 1024 needs more "
            "rights.",
        ) from error
    listening.listen(128)
    return listening
