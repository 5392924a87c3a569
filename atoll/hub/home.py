"""The hub's folder: its settings, keys and certificates, and what the operator does without the server.

hub.json        name, address, store            key.pem     the hub's Ed25519 key
ca.pem          its certificate authority       server.pem  its certificate
hub.sqlite      its store, unless a PostgreSQL URL was given
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from atoll.durable import write_private
from atoll.errors import NotPermitted, OperatorError
from atoll.governance import signatures
from atoll.hub import members
from atoll.hub.api import hash_token
from atoll.hub.database import HubStore
from atoll.hub.service import Identity
from atoll.network import certificates
from atoll.network.invitation import HOURS, Invitation, hash_secret, new_secret, to_code

LONGEST_CODE = 1200  # bytes of an authority that still fits a join code


@dataclass(frozen=True)
class Config:
    """What `hub.json` holds. `url` is the address that sites and researchers call."""

    name: str
    url: str
    host: str
    port: int
    store: str


@dataclass(frozen=True)
class Home:
    """An initialised folder."""

    folder: Path
    config: Config

    @classmethod
    def open(cls, folder: Path) -> Home:
        """Raises OperatorError when the folder holds no hub."""
        try:
            return cls(folder, Config(**json.loads((folder / "hub.json").read_text("utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            raise OperatorError(
                f"There is no hub in {folder}.", "Make one with `atoll hub init`, or give its folder with --home."
            ) from error

    @property
    def files(self) -> certificates.Files:
        """Where the certificates are."""
        return certificates.Files.under(self.folder)

    @property
    def url(self) -> str:
        """The address; with port 0, the one that the running server was given."""
        address = self.folder / "address"
        return (
            address.read_text("utf-8") if urlsplit(self.config.url).port == 0 and address.exists() else self.config.url
        )

    def identity(self) -> Identity:
        """The hub's name and key."""
        return Identity(self.config.name, signatures.read_key(self.folder / "key.pem"))

    def store(self) -> HubStore:
        """The hub's database, opened."""
        return HubStore(self.config.store or f"sqlite:///{self.folder / 'hub.sqlite'}")

    def authority(self) -> bytes | None:
        """The certificate authority (PEM), or None when the certificate is of a public one."""
        return self.files.authority.read_bytes() if self.files.authority.exists() else None


@dataclass(frozen=True)
class Given:
    """Certificate files of an existing authority."""

    certificate: Path
    key: Path
    authority: Path | None


def init(
    folder: Path,
    url: str,
    *,
    name: str = "Atoll hub",
    hosts: Sequence[str] = (),
    host: str = "",
    store_url: str = "",
    given: Given | None = None,
) -> Home:
    """Make a hub in an empty folder: key, certificates, store.

    Raises
    ------
    OperatorError
        When the folder holds a hub already, or address, certificate or store cannot be used.
    """
    parsed = urlsplit(url)
    if parsed.scheme != "https" or not parsed.hostname or parsed.path not in ("", "/"):
        raise OperatorError(f"{url!r} is no address of a hub.", "Give it as https://hub.hospital.example:8443")
    if (folder / "hub.json").exists():
        raise OperatorError(f"{folder} holds a hub already.", "Use it, or give another folder with --home.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = 443 if parsed.port is None else parsed.port
    home = Home(folder, Config(name, url.rstrip("/"), host or _listen_on(parsed.hostname), port, store_url))
    signatures.read_or_make_key(folder / "key.pem")
    if given is not None:
        certificates.take(home.files, given.certificate, given.key, given.authority)
    else:
        certificates.create_authority(home.files, name)
        certificates.issue(home.files, list(dict.fromkeys([parsed.hostname, *hosts])))
    home.store().close()
    content = json.dumps(asdict(home.config), indent=1, ensure_ascii=False) + "\n"
    write_private(folder / "hub.json", content.encode())  # a store's URL may hold a password
    return home


def _listen_on(hostname: str) -> str:
    """This machine alone when the address says so, else every network it is on."""
    return "127.0.0.1" if hostname in ("localhost", "127.0.0.1") else "0.0.0.0"  # noqa: S104


def invite(home: Home, site: str, *, hours: float = HOURS) -> str:
    """A one-time join code for a new site."""
    if not site or len(site) > 64 or not all(part.isalnum() for part in site.replace("-", "_").split("_")):
        raise OperatorError(f"{site!r} is no name for a site.", "Use letters, digits, - and _, for instance north.")
    authority, secret = home.authority(), new_secret()
    der = certificates.to_der(authority) if authority else b""
    if len(der) > LONGEST_CODE:
        raise OperatorError(
            "The hub's certificate authority is too long for a join code.", "Give an authority with an EC key."
        )
    opened = home.store()
    try:
        with opened.writing() as connection:
            members.add_invitation(connection, hash_secret(secret), site, time.time() + hours * 3600)
    finally:
        opened.close()
    return to_code(Invitation(home.url, der, home.identity().public_key, secret))


def new_token(home: Home, investigator: str, *, fingerprint: str | None = None) -> str:
    """A new access token for an investigator; an earlier one ends at once. The hub keeps only its hash."""
    if not investigator.strip():
        raise NotPermitted("An investigator needs a name.", "Give one, for instance `atoll hub token wang-fang`.")
    token = "atoll_" + secrets.token_urlsafe(32)
    opened = home.store()
    try:
        with opened.writing() as connection:
            members.add_investigator(connection, investigator, hash_token(token), fingerprint)
    finally:
        opened.close()
    return token
