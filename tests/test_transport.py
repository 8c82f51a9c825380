"""Byte streams that never wait to send or receive: sockets, TLS over them, and memory."""

from __future__ import annotations

import gc
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio.testing
import trustme
from trio.testing import MockClock

from trio_sse.message import Peer
from trio_sse.tls_transport import TlsTransport
from trio_sse.transport import (
    Broken,
    SocketTransport,
    Transport,
    memory_pair,
)

PEER = Peer("192.0.2.1", 1)
KILOBYTE = b"x" * 1024


@contextmanager
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


async def receive(transport: Transport) -> bytes:
    while (data := transport.receive()) is None:
        await transport.wait_readable()
    return data


def fill(transport: Transport, data: bytes = KILOBYTE * 64) -> int:
    """Send until nothing more is taken; return how much that was."""
    sent = 0
    while taken := transport.send(data):
        sent += taken
    return sent


# -- sockets ----------------------------------------------------------------------------


async def test_a_socket_gives_none_until_something_is_there_and_nothing_at_the_end() -> None:
    with sockets() as (ours, theirs):
        transport = SocketTransport(ours, PEER)
        assert transport.receive() is None
        theirs.send(b"hello")
        assert await receive(transport) == b"hello"
        theirs.close()
        assert await receive(transport) == b""
        transport.close()


async def test_a_full_socket_takes_nothing_until_the_peer_reads() -> None:
    with sockets() as (ours, theirs):
        transport = SocketTransport(ours, PEER)
        sent = fill(transport)
        assert transport.send(b"x") == 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.wait_writable)
            await trio.testing.wait_all_tasks_blocked()
            while sent:
                sent -= len(theirs.recv(sent))
        assert transport.send(b"x") == 1
        transport.close()


def reset_connection() -> tuple[socket.socket, socket.socket]:
    """Return a TCP socket whose peer has reset the connection, and the peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    return ours, theirs


@pytest.mark.parametrize("use", [SocketTransport.receive, lambda each: each.send(b"x")])
async def test_a_reset_connection_is_broken(use: Callable[[SocketTransport], Any]) -> None:
    ours, _ = reset_connection()
    transport = SocketTransport(ours, PEER)
    await transport.wait_readable()
    with pytest.raises(Broken, match="failed: Connection reset by peer"):
        use(transport)
    transport.send_eof()  # never raises
    transport.close()
    transport.close()


async def test_nothing_reaches_who_has_the_number_of_a_socket_that_was_given_up() -> None:
    with sockets() as (ours, theirs):
        transport = SocketTransport(ours, PEER)
        transport.close()
        with sockets() as (_, _), pytest.raises(Broken, match="Bad file descriptor"):
            transport.send(b"not for you")
        assert theirs.recv(1) == b""


async def test_closing_wakes_who_waits() -> None:
    with sockets() as (ours, _):
        transport = SocketTransport(ours, PEER)
        with pytest.RaisesGroup(trio.ClosedResourceError):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(transport.wait_readable)
                await trio.testing.wait_all_tasks_blocked()
                transport.close()


# -- TLS --------------------------------------------------------------------------------


class TlsClient:
    """The other end: a TLS client that a test drives synchronously."""

    def __init__(self, sock: socket.socket, authority: trustme.CA, *protocols: str) -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if protocols:
            context.set_alpn_protocols(protocols)
        sock.settimeout(20)
        self.context = context
        self.plain = sock
        self.sock: ssl.SSLSocket

    def handshake(self) -> None:
        self.sock = self.context.wrap_socket(
            self.plain, server_hostname="example.org", suppress_ragged_eofs=False
        )

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (piece := self.sock.recv(count - len(data))):
            data += piece
        return data


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("example.org").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def handshake(transport: TlsTransport) -> str | None:
    while not transport.handshake():
        await transport.wait_readable()
    return transport.protocol


async def secure(ours: socket.socket, client: TlsClient, context: ssl.SSLContext) -> TlsTransport:
    transport = TlsTransport(SocketTransport(ours, PEER), context)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, client.handshake)
        await handshake(transport)
    return transport


async def test_tls_agrees_on_a_protocol_and_carries_bytes_both_ways(
    authority: trustme.CA, context: ssl.SSLContext
) -> None:
    with sockets() as (ours, theirs):
        client = TlsClient(theirs, authority, "http/1.1")
        transport = TlsTransport(SocketTransport(ours, PEER), context)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, client.handshake)
            assert await handshake(transport) == "http/1.1"
        assert transport.peer == PEER
        assert transport.receive() is None
        client.sock.send(b"hello")
        assert await receive(transport) == b"hello"
        assert transport.send(b"welcome") == 7
        assert client.read(7) == b"welcome"
        client.sock.close()
        assert await receive(transport) == b""
        transport.close()
        transport.close()


async def test_what_tls_has_taken_in_part_arrives_once_and_in_order(
    authority: trustme.CA, context: ssl.SSLContext
) -> None:
    sent = bytes(range(256)) * 8192
    with sockets() as (ours, theirs):
        client = TlsClient(theirs, authority)
        transport = await secure(ours, client, context)
        rest = memoryview(sent)
        received: list[bytes] = []
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                received.append(await trio.to_thread.run_sync(client.read, len(sent)))

            rest = rest[transport.send(rest) :]
            assert rest
            nursery.start_soon(read)
            while rest:
                await transport.wait_writable()
                rest = rest[transport.send(rest) :]
        assert received == [sent]
        client.sock.close()
        transport.close()


async def test_a_tls_end_is_no_cut_and_receiving_goes_on(
    authority: trustme.CA, context: ssl.SSLContext
) -> None:
    with sockets() as (ours, theirs):
        client = TlsClient(theirs, authority)
        transport = await secure(ours, client, context)
        assert transport.send(b"last words") == 10
        transport.send_eof()
        assert client.read(10) == b"last words"
        assert transport.receive() is None
        client.sock.send(b"one more thing")
        assert await receive(transport) == b"one more thing"
        assert client.sock.recv(1) == b""
        client.sock.close()
        assert await receive(transport) == b""
        transport.close()


async def test_what_tls_has_decrypted_already_is_not_waited_for(
    authority: trustme.CA, context: ssl.SSLContext
) -> None:
    with sockets() as (ours, theirs):
        client = TlsClient(theirs, authority)
        transport = await secure(ours, client, context)
        client.sock.send(b"x" * 10_000)  # one record, of which one read takes a part
        received = 0
        with trio.fail_after(10):
            while received < 10_000:
                await transport.wait_readable()
                received += len(transport.receive() or b"")
        client.sock.close()
        transport.close()


async def test_who_speaks_no_tls_fails_the_handshake(context: ssl.SSLContext) -> None:
    with sockets() as (ours, theirs):
        transport = TlsTransport(SocketTransport(ours, PEER), context)
        theirs.send(b"\x16 this is not TLS, though it begins like it")
        with pytest.raises(Broken, match="TLS handshake failed: WRONG_VERSION_NUMBER"):
            await handshake(transport)
        transport.close()


async def test_a_connection_reset_before_tls_is_broken(context: ssl.SSLContext) -> None:
    ours, _ = reset_connection()
    transport = TlsTransport(SocketTransport(ours, PEER), context)
    with pytest.raises(Broken):
        await handshake(transport)
    transport.close()
    gc.collect()  # a socket that is left to it is a ResourceWarning, and so an error


async def test_garbage_in_the_middle_breaks_tls(
    authority: trustme.CA, context: ssl.SSLContext
) -> None:
    with sockets() as (ours, theirs):
        client = TlsClient(theirs, authority)
        transport = await secure(ours, client, context)
        fd = client.sock.detach()
        raw = socket.socket(fileno=fd)
        raw.send(b"garbage" * 100)
        await transport.wait_readable()
        with pytest.raises(Broken, match="receiving failed"):
            transport.receive()
        raw.close()
        with pytest.raises(Broken, match="sending failed"):
            fill(transport)
        transport.send_eof()
        transport.close()


# -- memory -----------------------------------------------------------------------------


async def test_memory_fills_up_and_is_emptied(autojump_clock: MockClock) -> None:
    ours, theirs = memory_pair(capacity=10)
    assert ours.send(b"0123456789abc") == 10
    assert ours.send(b"abc") == 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.wait_writable)
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        assert theirs.receive() == b"0123456789"
    assert ours.send(b"abc") == 3
    assert theirs.receive() == b"abc"
    assert theirs.receive() is None


async def test_memory_ends_like_a_socket(autojump_clock: MockClock) -> None:
    ours, theirs = memory_pair()
    ours.send(b"last")
    ours.send_eof()
    assert await receive(theirs) == b"last"
    assert await receive(theirs) == b""
    assert theirs.send(b"still there") == 11
    ours.close()
    with pytest.raises(Broken):
        theirs.send(b"x")
    with pytest.raises(Broken):
        ours.send(b"x")
    with pytest.raises(Broken):
        ours.receive()


@pytest.mark.parametrize("direction", ["readable", "writable"])
async def test_closing_memory_wakes_who_waits_on_it(
    autojump_clock: MockClock, direction: str
) -> None:
    ours, _ = memory_pair(capacity=5)
    ours.send(b"12345")
    with pytest.RaisesGroup(trio.ClosedResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(getattr(ours, f"wait_{direction}"))
            await trio.testing.wait_all_tasks_blocked()
            ours.close()


@pytest.mark.parametrize("direction", ["readable", "writable"])
async def test_the_other_end_closing_is_news_for_who_waits(
    autojump_clock: MockClock, direction: str
) -> None:
    ours, theirs = memory_pair(capacity=5)
    ours.send(b"12345")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(getattr(ours, f"wait_{direction}"))
        await trio.testing.wait_all_tasks_blocked()
        theirs.close()
