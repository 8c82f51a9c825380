"""TLS records that no library would send: a client that goes on by itself after the handshake.

Python's `ssl` shakes hands and logs the secrets (in NSS's key log format); the records after that
are encrypted here. So a client may ask to renegotiate, or change its key, as often as it likes.
"""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from .unverified import unverifying

__all__ = ["key_updates", "renegotiations"]

HANDSHAKE, APPLICATION_DATA = 22, 23
CLIENT_HELLO = b"\1\0\0\0"
"""An empty one: a server that does not renegotiate reads no further."""
KEY_UPDATE = b"\x18\0\0\1%c\x16"
"""RFC 8446, 4.6.3: whether the server is to change its key too; and the record's real type."""


def renegotiations(sock: socket.socket) -> Iterator[bytes]:
    """Shake hands in TLS 1.2; return what asks for the same again and again (RFC 5246, 7.4.1.1)."""
    secrets, heard = _shake(sock, ssl.TLSVersion.TLSv1_2)
    # The first record is ServerHello: its header, the message's, the version, 32 bytes.
    randoms = heard[11:43] + bytes.fromhex(secrets["CLIENT_RANDOM"][0])
    master = bytes.fromhex(secrets["CLIENT_RANDOM"][1])
    keys = _prf(master, b"key expansion" + randoms, 40)  # RFC 5246, 6.3; RFC 5288, 3
    cipher, salt = AESGCM(keys[:16]), keys[32:36]

    def hello(number: int) -> bytes:
        nonce = struct.pack(">Q", number)
        about = nonce + struct.pack(">BHH", HANDSHAKE, 0x0303, len(CLIENT_HELLO))
        sealed = nonce + cipher.encrypt(salt + nonce, CLIENT_HELLO, about)
        return struct.pack(">BHH", HANDSHAKE, 0x0303, len(sealed)) + sealed

    return map(hello, count(1))  # 0 was Finished


def key_updates(sock: socket.socket, *, asks: bool) -> Iterator[bytes]:
    """Shake hands in TLS 1.3; return what changes the key again and again.

    With `asks` the server must change its own as often, and say so.
    """
    secrets, _ = _shake(sock, ssl.TLSVersion.TLSv1_3)
    said = KEY_UPDATE % asks
    header = struct.pack(">BHH", APPLICATION_DATA, 0x0303, len(said) + 16)

    def updates(secret: bytes) -> Iterator[bytes]:
        while True:
            cipher = AESGCM(_expanded(secret, b"key", 32))
            # Each key begins with record 0, so that its nonce is the IV (RFC 8446, 5.3).
            yield header + cipher.encrypt(_expanded(secret, b"iv", 12), said, header)
            secret = _expanded(secret, b"traffic upd", len(secret))

    return updates(bytes.fromhex(secrets["CLIENT_TRAFFIC_SECRET_0"][1]))


def _shake(
    sock: socket.socket, version: ssl.TLSVersion
) -> tuple[dict[str, tuple[str, str]], bytes]:
    """Return the secrets by their labels, and all that was heard."""
    received, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    heard = b""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "secrets")
        context = unverifying("http/1.1")
        context.minimum_version = context.maximum_version = version
        # The one of those of TLS 1.2 that _prf and the keys above are for; TLS 1.3 takes
        # AES-256-GCM with SHA-384 first.
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        context.keylog_filename = str(log)
        client = context.wrap_bio(received, said)
        finished = False
        while not finished:
            try:
                client.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                sock.sendall(said.read())
                data = sock.recv(64 * 1024)
                if not data:
                    raise ConnectionResetError("the server closed the connection") from None
                heard += data
                received.write(data)
        sock.sendall(said.read())
        lines = [line.split() for line in log.read_text().splitlines() if line[:1] != "#"]
    return {label: (random, secret) for label, random, secret in lines}, heard


def _prf(secret: bytes, seed: bytes, length: int) -> bytes:
    """RFC 5246, 5, with SHA-256."""
    output, link = b"", seed
    while len(output) < length:
        link = _hmac(secret, link)
        output += _hmac(secret, link + seed)
    return output[:length]


def _hmac(key: bytes, data: bytes) -> bytes:
    made = hmac.HMAC(key, hashes.SHA256())
    made.update(data)
    return made.finalize()


def _expanded(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446, 7.1), with SHA-384 and without a context."""
    whole = b"tls13 " + label
    info = struct.pack(">HB", length, len(whole)) + whole + b"\0"
    return HKDFExpand(hashes.SHA384(), length, info).derive(secret)
