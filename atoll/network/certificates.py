"""Who the hub is on the wire: a small certificate authority of its own, or the files of an existing one.

The authority signs one server certificate (EC P-256). A site trusts this authority and no other: the
join code carries its certificate. Nothing here is about who a *site* is; that is its Ed25519 signature.
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from atoll.durable import write_private
from atoll.errors import OperatorError

AUTHORITY_YEARS = 10
SERVER_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)  # a server certificate that ends so soon is issued anew, at start and while running


@dataclass(frozen=True)
class Files:
    """Where the hub keeps its certificates; `authority_key` is absent when the certificate was given."""

    authority: Path
    authority_key: Path
    certificate: Path
    key: Path

    @classmethod
    def under(cls, folder: Path) -> Files:
        """The usual names in a folder."""
        return cls(folder / "ca.pem", folder / "ca.key.pem", folder / "server.pem", folder / "server.key.pem")


def create_authority(files: Files, name: str, *, now: datetime | None = None) -> None:
    """Make a certificate authority that may sign server certificates, and nothing below them."""
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"{name} CA")
    certificate = (
        _builder(subject, subject, key.public_key(), now, timedelta(days=365 * AUTHORITY_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(files.authority_key, _private(key))
    files.authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def issue(files: Files, hosts: Sequence[str], *, now: datetime | None = None) -> None:
    """Sign a server certificate for these host names and addresses with the hub's own authority."""
    now = now or datetime.now(UTC)
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    authority_key = serialization.load_pem_private_key(files.authority_key.read_bytes(), password=None)
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise OperatorError(f"{files.authority_key} is no EC key.", "Restore the key, or run `atoll hub init` anew.")
    key = _server_key(files.key)
    certificate = (
        _builder(_name(hosts[0]), authority.subject, key.public_key(), now, SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    write_private(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _server_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The server's key, made once: a renewal changes one file, so a hub killed in it never has half of a pair."""
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(path, _private(key))
    return key


def ends(files: Files) -> datetime:
    """When the server certificate ends (UTC)."""
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).not_valid_after_utc


def renew(files: Files, *, now: datetime | None = None) -> bool:
    """Issue the server certificate anew, for the same hosts, when it ends soon. True when that was done.

    Raises
    ------
    OperatorError
        When a given certificate, which only its owner can renew, has ended.
    """
    now = now or datetime.now(UTC)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    left = certificate.not_valid_after_utc - now
    if left > RENEW_BEFORE:
        return False
    if files.authority_key.exists():
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        issue(files, [str(name.value) for name in names], now=now)
        return True
    if left < timedelta(0):
        raise OperatorError(
            f"The hub's certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}.",
            f"Put a new one in {files.certificate} and its key in {files.key}.",
        )
    return False


def take(files: Files, certificate: Path, key: Path, authority: Path | None) -> None:
    """Use given certificate files after a look whether they belong together."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        if authority is not None:
            client_context(authority.read_bytes())
    except (ssl.SSLError, OSError, ValueError) as error:
        raise OperatorError(
            f"{certificate} and {key} are no certificate and its key ({getattr(error, 'strerror', None) or error}).",
            "Give the certificate chain and the private key as PEM files.",
        ) from error
    files.certificate.write_bytes(certificate.read_bytes())
    write_private(files.key, key.read_bytes())
    if authority is not None:
        files.authority.write_bytes(authority.read_bytes())


def fingerprint(pem: bytes) -> str:
    """SHA-256 of a certificate, in the pairs that every certificate viewer shows."""
    digest = hashlib.sha256(to_der(pem)).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def to_der(pem: bytes) -> bytes:
    """A certificate in its short binary form."""
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def to_pem(der: bytes) -> bytes:
    """The inverse of `to_der`."""
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)


def client_context(authority: bytes | None) -> ssl.SSLContext:
    """TLS ≥ 1.2 that trusts this authority (PEM) and no other; the system's authorities when None is given."""
    context = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    start = now - timedelta(days=2)  # a wrong clock is then told by the hub, with its amount, and not by TLS
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
