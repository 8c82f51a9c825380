"""Contexts from files and from nothing, checked with real handshakes over loopback sockets."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from trio_sse.tls import TlsError, self_signed, server_context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    issued = authority.issue_cert("localhost")
    certificate, key = tmp_path / "site.pem", tmp_path / "site.key"
    for part in issued.cert_chain_pems:
        part.write_to_path(certificate, append=True)
    issued.private_key_pem.write_to_path(key)
    return certificate, key


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    """Shake hands over a socket pair; the server's half lives as long as the thread."""
    theirs, ours = socket.socketpair()
    ours.settimeout(10)
    theirs.settimeout(10)

    def answer() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        return client.wrap_socket(ours, server_hostname=name)
    finally:
        thread.join()
        ours.close()


def trusting_anything(*protocols: str) -> ssl.SSLContext:
    client = ssl.create_default_context()
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    if protocols:
        client.set_alpn_protocols(list(protocols))
    return client


def certificate_of(context: ssl.SSLContext) -> x509.Certificate:
    with handshake(context, trusting_anything(), "localhost") as connection:
        encoded = connection.getpeercert(binary_form=True)
    assert encoded is not None
    return x509.load_der_x509_certificate(encoded)


def test_a_certificate_from_files_is_served_and_verifies(
    authority: trustme.CA, files: tuple[Path, Path]
) -> None:
    client = ssl.create_default_context()
    authority.configure_trust(client)
    with handshake(server_context(*files), client, "localhost") as connection:
        assert connection.version() == "TLSv1.3"


def test_the_key_may_stand_in_the_certificate_s_file(files: tuple[Path, Path]) -> None:
    certificate, key = files
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    key.unlink()
    server_context(certificate)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["h2", "http/1.1"], "h2"),
        (["http/1.1", "h2"], "h2"),
        (["http/1.1"], "http/1.1"),
        (["spdy/3"], None),
        ([], None),
    ],
)
def test_http2_is_chosen_before_http1(offered: list[str], chosen: str | None) -> None:
    client = trusting_anything(*offered)
    with handshake(self_signed(), client, "localhost") as connection:
        assert connection.selected_alpn_protocol() == chosen


# The client stoops to offering TLS 1.1, so that it is the server who refuses.
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_1_1_is_refused() -> None:
    client = trusting_anything()
    client.set_ciphers("DEFAULT@SECLEVEL=0")
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="TLSV1_ALERT_PROTOCOL_VERSION"):
        handshake(self_signed(), client, "localhost")


def test_tls_1_2_is_accepted() -> None:
    client = trusting_anything("h2")
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with handshake(self_signed(), client, "localhost") as connection:
        assert connection.version() == "TLSv1.2"


def test_a_self_signed_certificate_names_its_hosts_and_lasts_a_month() -> None:
    certificate = certificate_of(self_signed(["sse.test", "127.0.0.1", "::1"]))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["sse.test"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    valid = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert 30 <= valid.days <= 31


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_self_signed_certificate_can_verify_it(host: str) -> None:
    context = self_signed()
    encoded = certificate_of(context).public_bytes(serialization.Encoding.PEM)
    client = ssl.create_default_context(cadata=encoded.decode())
    with handshake(context, client, host) as connection:
        assert connection.version() == "TLSv1.3"


def test_each_self_signed_certificate_has_a_key_of_its_own() -> None:
    first, second = certificate_of(self_signed()), certificate_of(self_signed())
    assert first.public_key() != second.public_key()


def test_a_self_signed_key_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    self_signed()
    assert list(tmp_path.iterdir()) == []


def test_a_self_signed_key_leaves_no_file_behind_when_loading_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[Path] = []

    def fail(self: ssl.SSLContext, certfile: str, **_: object) -> None:
        seen.append(Path(certfile))
        assert b"ENCRYPTED PRIVATE KEY" in Path(certfile).read_bytes()
        raise ssl.SSLError("no")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", fail)
    with pytest.raises(ssl.SSLError):
        self_signed()
    assert [path.parent for path in seen] == [tmp_path]
    assert list(tmp_path.iterdir()) == []


def test_without_cryptography_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(TlsError, match=r"pip install 'trio-sse\[cli\]'"):
        self_signed()


def test_a_host_that_can_be_in_no_certificate_is_named() -> None:
    with pytest.raises(TlsError, match=r"^No certificate can be made for 'bücher\.test': "):
        self_signed(["bücher.test"])


def test_a_missing_certificate_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(TlsError, match=r"the certificate .*nowhere.pem: No such file"):
        server_context(tmp_path / "nowhere.pem", files[1])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_key_that_may_not_be_read_is_named(files: tuple[Path, Path]) -> None:
    files[1].chmod(0)
    with pytest.raises(TlsError, match=r"the private key .*site.key: Permission denied"):
        server_context(*files)


def test_a_directory_instead_of_a_key_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(TlsError, match=r"the private key .*: Is a directory"):
        server_context(files[0], tmp_path)


def test_files_given_the_wrong_way_round_are_told(files: tuple[Path, Path]) -> None:
    with pytest.raises(TlsError, match=r"site.key holds no certificate in PEM form"):
        server_context(files[1], files[0])


def test_a_certificate_that_is_not_pem_is_told(files: tuple[Path, Path]) -> None:
    files[0].write_bytes(b"\x30\x82\x01\x00")
    with pytest.raises(TlsError, match=r"site.pem holds no certificate in PEM form"):
        server_context(*files)


def test_a_damaged_certificate_is_told(files: tuple[Path, Path]) -> None:
    files[0].write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(TlsError, match=r"site.pem or .*site.key is damaged"):
        server_context(*files)


def test_a_key_of_another_certificate_is_told(
    authority: trustme.CA, files: tuple[Path, Path]
) -> None:
    authority.issue_cert("other").private_key_pem.write_to_path(files[1])
    with pytest.raises(TlsError, match=r"site.key does not belong to the certificate .*site.pem"):
        server_context(*files)


@pytest.fixture
def encrypted(files: tuple[Path, Path]) -> tuple[Path, Path]:
    key = serialization.load_pem_private_key(files[1].read_bytes(), None)
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"sesame"),
        )
    )
    return files


def test_an_encrypted_key_opens_with_its_password(encrypted: tuple[Path, Path]) -> None:
    server_context(*encrypted, password="sesame")


def test_an_encrypted_key_without_a_password_is_told_and_nobody_is_asked(
    encrypted: tuple[Path, Path],
) -> None:
    with pytest.raises(TlsError, match=r"site.key is encrypted and no password was given"):
        server_context(*encrypted)


def test_a_wrong_password_is_told(encrypted: tuple[Path, Path]) -> None:
    with pytest.raises(TlsError, match=r"does not decrypt the private key .*site.key"):
        server_context(*encrypted, password="open")
