"""The one-time code with which a site joins: where the hub is, how to recognise it, and a secret.

The code carries the hub's whole certificate authority and public key, so the very first connection is
already checked: nothing is ever fetched from an address that has not proved itself.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import zlib

import msgspec

from atoll.errors import NotPermitted

PREFIX = "atoll1-"
SECRET = 16  # bytes
HOURS = 72  # a code's life unless told otherwise


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """What a join code says.

    authority   the hub's certificate authority (DER), or empty when its certificate is of a public one
    hub_key     the hub's public key (raw Ed25519)
    secret      known to the hub only as a hash, used once
    """

    url: str
    authority: bytes
    hub_key: bytes
    secret: bytes


def new_secret() -> bytes:
    """A fresh secret of 128 bits."""
    return secrets.token_bytes(SECRET)


def hash_secret(secret: bytes) -> str:
    """What the hub stores of a secret."""
    return hashlib.sha256(b"atoll/1 invitation" + secret).hexdigest()


def to_code(invitation: Invitation) -> str:
    """The code as text, with a checksum against a copy that was cut short."""
    content = msgspec.msgpack.encode(invitation)
    return PREFIX + base64.urlsafe_b64encode(zlib.crc32(content).to_bytes(4, "big") + content).decode().rstrip("=")


def from_code(code: str) -> Invitation:
    """The invitation in a code; blanks and line breaks of a mail are ignored.

    Raises
    ------
    NotPermitted
        When the code is no join code or was not copied whole.
    """
    text = "".join(code.split())
    try:
        if not text.startswith(PREFIX):
            raise ValueError("prefix")
        body = text[len(PREFIX) :]
        content = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        if zlib.crc32(content[4:]).to_bytes(4, "big") != content[:4]:
            raise ValueError("checksum")
        return msgspec.msgpack.decode(content[4:], type=Invitation)
    except (ValueError, msgspec.MsgspecError) as error:
        raise NotPermitted(
            "This is no join code, or it was not copied whole.",
            f"Copy all of what `atoll hub invite` printed: it begins with {PREFIX}",
            code="CODE_UNREADABLE",
        ) from error
