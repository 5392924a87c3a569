"""Who said it: Ed25519 keys, their fingerprints, and signatures that cannot be used for another purpose.

A private key is a PEM file that only its owner can read. A public key is its 32 raw bytes. What two people
compare over the telephone, and what a study pins, is the fingerprint: the first 160 bits of SHA-256 of the
public key in base 32, whose letters and digits cannot be taken for one another.

Signed bytes begin with the purpose (`context`), so that a signature under a message is none under a study.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import secrets
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from atoll.durable import sync
from atoll.errors import NotPermitted, OperatorError, StudyError
from atoll.study.nodes import MAX_BYTES
from atoll.study.protocol import Study, from_canonical, study_hash

PrivateKey = Ed25519PrivateKey

_CONTEXT = re.compile(r"[a-z][a-z0-9-]{0,31}")
_FORMAT = "atoll signed study 1"
_AGAIN = "Get the file again from the investigator, unchanged."


def new_key() -> PrivateKey:
    """A new private key, in memory only."""
    return Ed25519PrivateKey.generate()


def make_key(path: Path) -> PrivateKey:
    """A new private key in a new PEM file that only its owner can read (0600).

    The file appears whole or not at all, and never replaces another one.

    Raises
    ------
    OperatorError
        When the file exists already, or cannot be written.
    """
    key = new_key()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            os.link(unfinished, path)  # unlike a rename, fails when the name is taken
        finally:
            unfinished.unlink(missing_ok=True)
        sync(path.parent)
    except FileExistsError as error:
        raise OperatorError(
            f"The key file {path} exists already.", "Use it, or choose another name; a key is never replaced."
        ) from error
    except OSError as error:
        raise OperatorError(
            f"The key file {path} cannot be written: {error.strerror}.", "Choose a folder that you may write to."
        ) from error
    return key


def read_key(path: Path) -> PrivateKey:
    """The private key in a PEM file.

    Raises
    ------
    NotPermitted
        When the file is missing, can be read by others, or holds no Ed25519 key.
    """
    try:
        with Path(path).open("rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise NotPermitted(
                    f"The key file {path} can be read by other users of this machine.",
                    f"Treat the key as known to others and make a new one, or, if nobody looked: chmod 600 {path}",
                )
            pem = file.read(65_536)
    except OSError as error:
        raise NotPermitted(
            f"The key file {path} cannot be read: {error.strerror}.", "Give the path of your private key."
        ) from error
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise NotPermitted(
            f"The file {path} holds no private key that Atoll can read.", "Give a PEM file without a password."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise NotPermitted(f"The key in {path} is not an Ed25519 key.", "Let Atoll make one.")
    return key


def read_or_make_key(path: Path) -> tuple[PrivateKey, bool]:
    """The key in the file, and whether it was made just now."""
    if Path(path).exists():
        return read_key(path), False
    return make_key(path), True


def public_bytes(key: PrivateKey) -> bytes:
    """The public half of a key: 32 raw bytes."""
    return key.public_key().public_bytes_raw()


def fingerprint(public: bytes) -> str:
    """`SHA256:` and eight groups of four: 160 bits of SHA-256 over the public key's 32 bytes."""
    letters = base64.b32encode(hashlib.sha256(public).digest()[:20]).decode("ascii")
    return "SHA256:" + "-".join(letters[i : i + 4] for i in range(0, 32, 4))


def sign(key: PrivateKey, context: str, body: bytes) -> bytes:
    """The signature (64 bytes) over `body` for one purpose, for instance `study`."""
    return key.sign(_bound(context, body))


def verify(public: bytes, context: str, body: bytes, signature: bytes) -> None:
    """Return when the signature is the key's own over these bytes for this purpose.

    Raises
    ------
    NotPermitted
        Otherwise.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _bound(context, body))
    except (InvalidSignature, ValueError) as error:
        raise NotPermitted(
            f"The signature under this {context} is not that of the key {fingerprint(public)}.",
            "Something was changed after signing, or another key signed it: ask the sender.",
        ) from error


def _bound(context: str, body: bytes) -> bytes:
    if not _CONTEXT.fullmatch(context):
        raise ValueError(f"context {context!r} is not a short lower-case word")
    return b"atoll 1 " + context.encode("ascii") + b"\0" + body


@dataclass(frozen=True)
class SignedStudy:
    """The exact canonical bytes of a study, the investigator's public key, and the signature.

    An object of this class has been verified: making one from a wrong signature fails.
    """

    body: bytes
    key: bytes
    signature: bytes

    def __post_init__(self) -> None:
        verify(self.key, "study", self.body, self.signature)

    @property
    def hash(self) -> str:
        """Hex SHA-256 of the canonical bytes: what a steward's approval binds to."""
        return study_hash(self.body)

    @property
    def fingerprint(self) -> str:
        """Of the key that signed."""
        return fingerprint(self.key)

    def study(self) -> Study:
        """The study, read again from the signed bytes.

        Raises
        ------
        StudyError
            When the bytes are no valid study, or a site's key is missing.
        NotPermitted
            When the study names another investigator's key than the one that signed.
        """
        study = from_canonical(self.body)
        _refuse_unpinned(study)
        if study.investigator.key != self.fingerprint:
            raise NotPermitted(
                f"The study names the investigator's key {study.investigator.key or '(none)'}, but "
                f"{self.fingerprint} signed it.",
                "The investigator signs with the key that the study names.",
            )
        return study

    def to_bytes(self) -> bytes:
        """The content of a `.signed.json` file."""
        fields = {"study": self.body, "key": self.key, "signature": self.signature}
        encoded = {name: base64.b64encode(value).decode("ascii") for name, value in fields.items()}
        return (json.dumps({"format": _FORMAT} | encoded, indent=1) + "\n").encode("ascii")

    @classmethod
    def from_bytes(cls, content: bytes) -> SignedStudy:
        """The inverse of `to_bytes`; one changed byte anywhere is refused.

        Raises
        ------
        NotPermitted
            When the content is not a signed study, or was changed after signing.
        """
        fields = _fields(content)
        try:
            body, key, signature = (base64.b64decode(fields[n], validate=True) for n in ("study", "key", "signature"))
        except binascii.Error as error:
            raise NotPermitted("The signed study is damaged: a field is not base64.", _AGAIN) from error
        if len(key) != 32 or len(signature) != 64:
            raise NotPermitted("The signed study is damaged: its key or signature has a wrong length.", _AGAIN)
        signed = cls(body, key, signature)
        if signed.to_bytes() != content:
            raise NotPermitted("The signed study is not written as Atoll writes it.", _AGAIN)
        return signed


def sign_study(study: Study, key: PrivateKey) -> SignedStudy:
    """The study with the investigator's fingerprint filled in, signed.

    Raises
    ------
    StudyError
        When a site's key is missing.
    NotPermitted
        When the study names another investigator's key.
    """
    _refuse_unpinned(study)
    public = public_bytes(key)
    named = study.investigator.key
    if named and named != fingerprint(public):
        raise NotPermitted(
            f"The study names the investigator's key {named}, but yours is {fingerprint(public)}.",
            "Sign with that key, or correct investigator.key in the study.",
        )
    body = replace(study, investigator=replace(study.investigator, key=fingerprint(public))).canonical()
    return SignedStudy(body, public, sign(key, "study", body))


def _refuse_unpinned(study: Study) -> None:
    missing = [name for name, site in study.sites.items() if not site.key]
    if missing:
        raise StudyError(
            f"The study gives no key for {', '.join(missing)}.",
            "Write each hospital's fingerprint under sites.NAME.key; its steward reads it to you.",
            subject="sites",
        )


def _fields(content: bytes) -> dict[str, str]:
    if len(content) > 2 * MAX_BYTES:
        raise NotPermitted(f"The signed study is larger than {2 * MAX_BYTES:,} bytes.", _AGAIN)
    try:
        fields: Any = json.loads(content.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise NotPermitted("This is not a signed study: it is not JSON in ASCII.", _AGAIN) from error
    if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
        raise NotPermitted(
            f"This is not a signed study: it does not say format {_FORMAT!r}.",
            "Sign the study with `atoll study sign`, and give the .signed.json file.",
        )
    if set(fields) != {"format", "study", "key", "signature"} or not all(isinstance(v, str) for v in fields.values()):
        raise NotPermitted("The signed study is damaged: it does not hold study, key and signature.", _AGAIN)
    return fields
