"""Who takes part, as the hub remembers them: join codes, sites, investigators. The tables are those of `schema.py`."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from atoll.errors import NotPermitted
from atoll.hub import schema as t
from atoll.hub.database import Row, row, rows


def add_invitation(connection: Connection, secret_hash: str, site: str, expires: float) -> None:
    """Remember a join code by its hash."""
    if row(connection, sa.select(t.sites).where(t.sites.c.name == site)):
        raise NotPermitted(
            f"A site named {site!r} has joined already.", "Choose another name: names of sites are unique."
        )
    connection.execute(
        t.invitations.insert().values(secret_hash=secret_hash, site=site, created=time.time(), expires=expires)
    )


def invited(connection: Connection, secret_hash: str, fingerprint: str, now: float) -> str:
    """The site's name that a join code stands for; a used code still stands for the site that used it.

    Raises
    ------
    NotPermitted
        With a sentence of its own for a code that is unknown, used, or expired.
    """
    found = row(connection, sa.select(t.invitations).where(t.invitations.c.secret_hash == secret_hash))
    if found is None:
        raise NotPermitted(
            "The hub does not know this join code.",
            "Ask the hub's operator for a new one (`atoll hub invite NAME`).",
            code="CODE_UNKNOWN",
        )
    same = sa.select(t.sites).where(t.sites.c.name == found["site"], t.sites.c.fingerprint == fingerprint)
    if found["used"] is not None and row(connection, same) is None:
        raise NotPermitted(
            f"This join code for {found['site']!r} was used already.",
            "If it was not you, tell the hub's operator at once; otherwise ask for a new one.",
            code="CODE_USED",
        )
    if found["used"] is None and found["expires"] < now:
        raise NotPermitted(
            f"This join code for {found['site']!r} has expired.",
            "Ask the hub's operator for a new one (`atoll hub invite NAME`).",
            code="CODE_EXPIRED",
        )
    return str(found["site"])


def add_site(
    connection: Connection, name: str, fingerprint: str, public_key: bytes, version: str, secret_hash: str
) -> None:
    """Pin a site's key and use up its join code. Nothing happens when this very site has joined before."""
    same_name = row(connection, sa.select(t.sites).where(t.sites.c.name == name))
    if same_name is not None and same_name["fingerprint"] == fingerprint:
        return
    if same_name is not None:
        raise NotPermitted(
            f"A site named {name!r} has joined already.", "Ask the hub's operator for a code with another name."
        )
    if row(connection, sa.select(t.sites).where(t.sites.c.fingerprint == fingerprint)):
        raise NotPermitted(
            "This site's key has joined already under another name.",
            "Make a new site with `atoll site init`: every site has its own key.",
            code="JOINED_ALREADY",
        )
    connection.execute(
        t.invitations.update().where(t.invitations.c.secret_hash == secret_hash).values(used=time.time())
    )
    connection.execute(
        t.sites.insert().values(
            name=name, fingerprint=fingerprint, public_key=public_key, version=version, joined=time.time()
        )
    )


def all_sites(connection: Connection) -> list[Row]:
    """Every site that joined, by name, with the newest ledger head it reported."""
    newest = sa.select(t.shares.c.site, sa.func.max(t.shares.c.ledger_number).label("number")).group_by(t.shares.c.site)
    n = newest.subquery()
    query = (
        sa.select(t.sites, t.shares.c.ledger_number, t.shares.c.ledger_head)
        .outerjoin(n, n.c.site == t.sites.c.name)
        .outerjoin(t.shares, (t.shares.c.site == n.c.site) & (t.shares.c.ledger_number == n.c.number))
        .order_by(t.sites.c.name)
    )
    return rows(connection, query)


def add_investigator(connection: Connection, name: str, token_hash: str, fingerprint: str | None) -> None:
    """A new investigator, or a new token for one: the old token ends at once, a pinned key stays."""
    if row(connection, sa.select(t.investigators).where(t.investigators.c.name == name)) is None:
        connection.execute(
            t.investigators.insert().values(
                name=name, token_hash=token_hash, fingerprint=fingerprint, created=time.time()
            )
        )
        return
    values: dict[str, Any] = {"token_hash": token_hash}
    if fingerprint is not None:
        values["fingerprint"] = fingerprint
    connection.execute(t.investigators.update().where(t.investigators.c.name == name).values(**values))


def investigator_of(connection: Connection, token_hash: str) -> Row | None:
    """Who holds a token."""
    return row(connection, sa.select(t.investigators).where(t.investigators.c.token_hash == token_hash))


def pin_investigator(connection: Connection, name: str, fingerprint: str) -> None:
    """From now on this investigator's studies must be signed with this key."""
    connection.execute(t.investigators.update().where(t.investigators.c.name == name).values(fingerprint=fingerprint))
