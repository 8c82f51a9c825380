"""TLS for the listeners: a context from certificate files, or a self-signed one.

Owns what every TLS listener must have: TLS 1.2 or newer and, by ALPN, HTTP/2 before
HTTP/1.1 (RFC 7301; RFC 9113, 3.2). Whatever is wrong with a file is a `TlsError` of one
sentence that names it; OpenSSL's own words ("PEM lib") help nobody.

Refuses: asking for a password on the terminal (a server has none), and leaving a private
key on disk.
"""

from __future__ import annotations

import ipaddress
import secrets
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

__all__ = ["TlsError", "self_signed", "server_context"]

LIFETIME = timedelta(days=30)
"""How long a self-signed certificate is valid: longer than a development server runs."""

BACKDATED = timedelta(hours=1)
"""A phone or a virtual machine that looks at the page may have a clock that is behind."""


class TlsError(Exception):
    """A certificate or key cannot be used. Its text is a sentence for the operator."""


def server_context(
    certfile: str | Path, keyfile: str | Path | None = None, password: str | None = None
) -> ssl.SSLContext:
    """Make a server's TLS context from PEM files.

    `certfile` holds the certificate and those between it and the root; `keyfile` its
    private key, which may stand in `certfile` too. `password` decrypts the key. Reads the
    files at once and blocks meanwhile. Raises TlsError.
    """
    keyfile = certfile if keyfile is None else keyfile
    _require_pem(certfile, "CERTIFICATE-----", "certificate")
    _require_pem(keyfile, "PRIVATE KEY-----", "private key")
    context = _bare_context()
    asked = False

    def answer() -> str:
        nonlocal asked
        asked = True
        return password or ""

    try:
        context.load_cert_chain(certfile, keyfile, answer)
    except ssl.SSLError as error:
        raise TlsError(_explain(error, certfile, keyfile, password, asked)) from error
    return context


def self_signed(hosts: Sequence[str] = ("localhost", "127.0.0.1", "::1")) -> ssl.SSLContext:
    """Make a TLS context with a new certificate for `hosts`, which are names and addresses.

    For development: nobody else signed it, so clients must be told to trust it. It is valid
    for 30 days. Writes a temporary file and blocks meanwhile. Raises
    TlsError if `cryptography` is not installed, or a host can be in no certificate.
    """
    # A password of the moment makes a file that survives a SIGKILL between the two lines
    # below worthless; load_cert_chain takes nothing but files.
    password = secrets.token_urlsafe()
    context = _bare_context()
    with tempfile.NamedTemporaryFile(prefix="trio-sse-", suffix=".pem") as file:
        file.write(_certificate(hosts, password))
        file.flush()
        context.load_cert_chain(file.name, password=password)
    return context


def _bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 9113, 9.2.1: renegotiation and compression must be off for HTTP/2.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def _require_pem(path: str | Path, label: str, meaning: str) -> None:
    # OpenSSL does not say which of the two files it could not read, nor why.
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise TlsError(f"Cannot read the {meaning} {path}: {error.strerror}.") from error
    if label.encode() not in content:
        raise TlsError(
            f"{path} holds no {meaning} in PEM form (a line that ends in {label!r} is missing)."
        )


def _explain(
    error: ssl.SSLError,
    certfile: str | Path,
    keyfile: str | Path,
    password: str | None,
    asked: bool,
) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The private key {keyfile} does not belong to the certificate {certfile}."
    if asked and password is None:
        return (
            f"The private key {keyfile} is encrypted and no password was given; "
            f"`openssl pkey -in {keyfile}` decrypts it."
        )
    if asked:
        return f"The password does not decrypt the private key {keyfile}."
    both = str(certfile) if certfile == keyfile else f"{certfile} or {keyfile}"
    reason = (error.reason or "unreadable").replace("_", " ").lower()
    return f"{both} is damaged or of a kind that OpenSSL refuses ({reason})."


def _certificate(hosts: Sequence[str], password: str) -> bytes:
    """Return an encrypted private key and its certificate, one after the other in PEM."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError as error:
        raise TlsError(
            "A self-signed certificate needs the package cryptography: pip install 'trio-sse[cli]'."
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "trio-sse, self-signed")])
    now = datetime.now(UTC)
    alternatives = [_general_name(host) for host in hosts]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        # Chromium and Go refuse a server certificate that does not say it is one.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        # A leaf: a browser that is told to trust it must not trust it to sign others.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )
    return encrypted + certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(host: str) -> GeneralName:
    from cryptography.x509 import DNSName, IPAddress

    address = _address(host)
    if address is not None:
        return IPAddress(address)
    try:
        return DNSName(host)
    except ValueError as error:
        raise TlsError(
            f"No certificate can be made for {host!r}: write the name in ASCII, as DNS has it."
        ) from error


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
