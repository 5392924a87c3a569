"""The site's folder: its key, its one file of state, its imported tables; and how it joins a hub.

key.pem       the site's Ed25519 key          site.sqlite   everything it remembers
datasets/     imported tables                 wake          a named pipe: decisions wake the running agent
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from atoll.errors import NotPermitted, OperatorError
from atoll.governance import signatures
from atoll.governance.signatures import PrivateKey, SignedStudy
from atoll.network.certificates import fingerprint as certificate_fingerprint
from atoll.network.certificates import to_pem
from atoll.network.http import Connection, SignedLine
from atoll.network.invitation import from_code
from atoll.network.messages import Join, Joined
from atoll.settings import settings
from atoll.site.store import SiteStore
from atoll.version import VERSION


@dataclass(frozen=True)
class Home:
    """A site's folder."""

    folder: Path

    @classmethod
    def init(cls, folder: Path) -> Home:
        """Make a site in an empty folder: its key and its store."""
        home = cls(folder)
        if home.path.exists():
            raise OperatorError(f"{folder} holds a site already.", "Use it, or give another folder with --home.")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        signatures.read_or_make_key(folder / "key.pem")
        SiteStore(home.path, create=True).close()
        home.path.chmod(0o600)
        return home

    @property
    def path(self) -> Path:
        """The site's file."""
        return self.folder / "site.sqlite"

    @property
    def datasets(self) -> Path:
        """Where imported tables are."""
        return self.folder / "datasets"

    def store(self) -> SiteStore:
        """The site's file, opened. Raises OperatorError when there is no site."""
        return SiteStore(self.path)

    def key(self) -> PrivateKey:
        """The site's key."""
        return signatures.read_key(self.folder / "key.pem")

    def fingerprint(self) -> str:
        """Of the site's key: what a study pins and people compare."""
        return signatures.fingerprint(signatures.public_bytes(self.key()))

    def wake(self) -> None:
        """Tell the running agent, if there is one, that something was decided."""
        with contextlib.suppress(OSError):
            handle = os.open(self.folder / "wake", os.O_WRONLY | os.O_NONBLOCK)
            try:
                os.write(handle, b".")
            finally:
                os.close(handle)

    def open_wake(self) -> int:
        """The reading end of the pipe; kept open for writing too, so that it never ends."""
        path = self.folder / "wake"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        return os.open(path, os.O_RDWR)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the site for this process: two agents must not share one folder."""
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise OperatorError(f"The site in {self.folder} is running already.", "Stop that process first.") from error
        try:
            yield
        finally:
            os.close(handle)

    def line(self, store: SiteStore) -> SignedLine:
        """The signed line to the pinned hub, through the proxy that the settings name.

        Raises
        ------
        NotPermitted
            When the site has not joined a hub, or its folder holds another key than the one it joined with.
        """
        url, hub_key = store.fact("hub_url"), store.fact("hub_key")
        if url is None or hub_key is None:
            raise NotPermitted(
                "This site has not joined a hub.", "Ask the hub's operator for a code and run `atoll site join CODE`."
            )
        self._check_key(store)
        authority = store.fact("hub_authority") or ""
        connection = connect(url, authority.encode() or None)
        return SignedLine(connection, self.key(), self.fingerprint(), bytes.fromhex(hub_key))

    def _check_key(self, store: SiteStore) -> None:
        """The hub knows a site by its key alone: with another site's, this one would answer in that one's name."""
        name, mine = store.fact("site") or "", self.fingerprint()
        joined = store.fact("key") or _key_in_studies(store, name)
        if joined not in (None, mine):
            raise NotPermitted(
                f"The key in {self.folder / 'key.pem'} is not the one with which {name!r} joined: "
                f"it joined with {joined}, and this is {mine}.",
                "Put this site's own key.pem back, from its backup; nothing was started.",
            )
        if store.fact("key") is None:
            store.set_facts(key=mine)  # a site that joined before this was kept


def _key_in_studies(store: SiteStore, site: str) -> str | None:
    """The key that the newest study received gives this site: only studies with its key are received."""
    for row in store.studies()[:1]:
        sites = SignedStudy.from_bytes(row["signed"]).study().sites
        return sites[site].key if site in sites else None
    return None


@dataclass(frozen=True)
class Welcome:
    """What both ends show after a site joined."""

    site: str
    hub: str
    url: str
    site_key: str
    hub_key: str
    authority: str


def connect(url: str, authority: bytes | None) -> Connection:
    """A connection to a hub: its own authority, else the one of the settings, else the system's."""
    ca_file = settings().ca_file
    if authority is None and ca_file is not None:
        authority = ca_file.read_bytes()
    return Connection(url, authority=authority, proxy=settings().proxy(urlsplit(url).hostname or ""))


def join(home: Home, code: str) -> Welcome:
    """Join the hub that a one-time code names, and pin its key and authority.

    Raises
    ------
    NotPermitted
        When the code is wrong, used or expired, or this site has joined another hub.
    """
    invitation, store, key = from_code(code), home.store(), home.key()
    public = signatures.public_bytes(key)
    try:
        joined_before = store.fact("hub_key")
        if joined_before not in (None, invitation.hub_key.hex()):
            raise NotPermitted(
                f"This site has joined another hub, {store.fact('hub_url')}.",
                "A site has one hub: make another with `atoll site init --home FOLDER`.",
            )
        authority = to_pem(invitation.authority) if invitation.authority else None
        with closing(connect(invitation.url, authority)) as connection:
            line = SignedLine(connection, key, signatures.fingerprint(public), invitation.hub_key)
            joined = line.ask("/site/join", Join(invitation.secret, public, VERSION), Joined)
        store.set_facts(
            site=joined.site,
            hub=joined.hub,
            hub_url=invitation.url,
            hub_key=invitation.hub_key.hex(),
            hub_authority=authority.decode() if authority else "",
            key=signatures.fingerprint(public),
        )
    finally:
        store.close()
    return Welcome(
        joined.site,
        joined.hub,
        invitation.url,
        signatures.fingerprint(public),
        signatures.fingerprint(invitation.hub_key),
        certificate_fingerprint(authority) if authority else "",
    )
