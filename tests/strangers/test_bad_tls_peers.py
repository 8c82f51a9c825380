"""Peers that break the rules of TLS, or take a port for one that it is not."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from trio_sse import Bind, Limits

from .canary import CANARY_CONNECTIONS, watched_site
from .curl import answer
from .programs import needs
from .raw import RawPeer, raw_peer
from .site import Certificate, Site, until

# RFC 8446, 6 and B.2: alerts that are fatal.
PROTOCOL_VERSION = b"\x02\x46"


def client_hello(version: int) -> bytes:
    """A ClientHello for one version of TLS, 1.2 at most, with ciphers that all of them know."""
    ciphers = bytes.fromhex("c013c014002f0035")
    body = (
        version.to_bytes(2)
        + bytes(range(32))  # random
        + b"\0"  # no session
        + len(ciphers).to_bytes(2)
        + ciphers
        + b"\1\0"  # no compression
    )
    message = b"\1" + len(body).to_bytes(3) + body
    return b"\x16\x03\x01" + len(message).to_bytes(2) + message


@pytest.fixture
async def site(certificate: Certificate, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Site]:
    """A server with TLS at its first address."""
    binds = Bind(port=0, tls=certificate.server()), Bind(port=0)
    async with watched_site(caplog, *binds) as site:
        yield site


@pytest.fixture
async def hasty_site(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Site]:
    """The same, for those who say too little: it soon gives them up."""
    binds = Bind(port=0, tls=certificate.server()), Bind(port=0)
    async with watched_site(caplog, *binds, limits=Limits(head_timeout=0.5)) as site:
        yield site


@pytest.mark.parametrize("version", [0x0301, 0x0302])
async def test_tls_before_1_2_is_refused_with_the_right_alert(site: Site, version: int) -> None:
    async with raw_peer(site.port) as peer:
        await peer.send(client_hello(version))
        answered = await peer.rest()
    assert answered[:1] == b"\x15"
    assert answered[5:7] == PROTOCOL_VERSION


async def test_tls_1_2_is_spoken(certificate: Certificate, site: Site) -> None:
    context = certificate.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with raw_peer(site.port, tls=context) as peer:
        await peer.send(b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await peer.until(b"A page.\n")


@needs("curl")
async def test_plain_http_on_the_tls_port_is_told_what_to_do(site: Site) -> None:
    head, text = await answer(f"http://127.0.0.1:{site.port}/page")
    assert head.startswith("HTTP/1.1 400 ")
    assert text == "This port speaks HTTPS: use https:// to reach it.\n"


async def test_much_plain_http_on_the_tls_port_is_told_as_well(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await peer.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n" + bytes(60_000))
        assert b"https://" in await peer.rest()


async def test_http2_in_clear_text_on_the_tls_port_is_turned_away(site: Site) -> None:
    async with raw_peer(site.port) as peer:
        await peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert b"https://" in await peer.rest()


@needs("curl")
async def test_a_client_that_does_not_trust_us_leaves_without_a_trace(site: Site) -> None:
    with pytest.raises(AssertionError, match="certificate"):
        await answer(f"https://localhost:{site.port}/page")


async def test_nothing_agreed_by_alpn_means_http1(certificate: Certificate, site: Site) -> None:
    async with raw_peer(site.port, tls=certificate.client("spdy/3")) as peer:
        await peer.send(b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await peer.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_http1_where_http2_was_agreed_is_a_violation(
    certificate: Certificate, site: Site
) -> None:
    async with raw_peer(site.port, tls=certificate.client("h2")) as peer:
        await peer.send(b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"preface" in await peer.rest()


async def test_rubbish_after_the_handshake_ends_the_connection(
    certificate: Certificate, site: Site
) -> None:
    async with raw_peer(site.port, tls=certificate.client()) as peer:
        await peer.send(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await peer.until(b"held")
        assert isinstance(peer.stream, trio.SSLStream)
        await peer.stream.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
        await until(lambda: site.held == 0)


HELLO = client_hello(0x0303)

HANDSHAKES = {
    "nothing": b"",
    "one byte": HELLO[:1],
    "half a hello": HELLO[:30],
    "a hello": HELLO,
    "no hello": b"\x16 but no TLS",
    "no TLS": b"GET / HTTP/1.1\r\n",
}


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("where", HANDSHAKES)
async def test_a_handshake_may_be_cut_anywhere(site: Site, where: str, how: str) -> None:
    # Not through Trio: all of this comes before the server has looked at the connection.
    with socket.create_connection(("127.0.0.1", site.port)) as sock:
        sock.sendall(HANDSHAKES[where])
        if how == "RST":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await until(lambda: site.server.statistics().accepted == CANARY_CONNECTIONS + 1)


@pytest.mark.parametrize("where", list(HANDSHAKES)[:4])
async def test_a_handshake_that_does_not_go_on_is_given_up(hasty_site: Site, where: str) -> None:
    async with raw_peer(hasty_site.port) as peer:
        await peer.send(HANDSHAKES[where])
        await peer.rest()


async def test_who_connects_ahead_of_need_and_asks_nothing_is_closed_without_a_word(
    certificate: Certificate, hasty_site: Site
) -> None:
    # As browsers do. To some an answer to nothing would be the one to their next request.
    async with raw_peer(hasty_site.port, tls=certificate.client("http/1.1")) as peer:
        assert await peer.rest() == b""
    assert hasty_site.server.statistics().idle == 1
    assert not hasty_site.server.statistics().offences


@asynccontextmanager
async def s_client(port: int, *arguments: str) -> AsyncIterator[RawPeer]:
    """OpenSSL's own client, which obeys letters: what it is told, and all that it says."""
    process = await trio.lowlevel.open_process(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdio is not None
    try:
        yield RawPeer(process.stdio)
    finally:
        process.kill()
        await process.wait()
        await process.stdio.aclose()


@needs("openssl")
async def test_who_asks_to_renegotiate_is_refused(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    binds = Bind(port=0, tls=certificate.server()), Bind(port=0)
    async with watched_site(caplog, *binds) as site, s_client(site.port, "-tls1_2") as client:
        await client.until(b"Verify return code")
        await client.send(b"R\n")
        await client.until(b"RENEGOTIATING")
        assert b"no renegotiation" in await client.rest()


@needs("openssl")
async def test_keys_may_be_changed_on_the_way(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    binds = Bind(port=0, tls=certificate.server()), Bind(port=0)
    async with watched_site(caplog, *binds) as site, s_client(site.port, "-tls1_3") as client:
        await client.until(b"Verify return code")
        for letter in b"K\n", b"k\n", b"K\n":
            await client.send(letter)
            await client.until(b"KEYUPDATE")
        await client.send(b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await client.until(b"A page.\n")
