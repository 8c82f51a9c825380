"""Clients that keep TLS busy with itself: what one read may cost, and when it is enough."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import trio
import trustme

import trio_sse.transport
from trio_sse.message import Peer
from trio_sse.tls import self_signed
from trio_sse.tls_transport import MOST_EMPTY, RECORD_BYTES, TlsTransport
from trio_sse.transport import RECEIVE_BYTES, Flooded, SocketTransport

sys.path.insert(0, str(Path(__file__).parents[1]))

from loadtests.abuse.records import key_updates, renegotiations

Records = Callable[[socket.socket], Iterator[bytes]]

FLOODS: dict[str, Records] = {
    "renegotiations": renegotiations,
    "key updates": partial(key_updates, asks=False),
    "key updates that are to be answered": partial(key_updates, asks=True),
}


class Stopping(SocketTransport):
    """One that takes no more, once it is told so: how much a kernel takes is up to it."""

    full = False

    def send(self, data: bytes | memoryview) -> int:
        return 0 if self.full else super().send(data)


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    return self_signed()


async def shaken(
    context: ssl.SSLContext, records: Records
) -> tuple[TlsTransport, Stopping, socket.socket, Iterator[bytes]]:
    """A connection after the handshake: our end, theirs, and what they go on to say."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        plain = Stopping(listener.accept()[0], Peer("192.0.2.1", 1))
    transport = TlsTransport(plain, context)
    pieces: list[Iterator[bytes]] = []

    async def shake() -> None:
        pieces.append(await trio.to_thread.run_sync(records, theirs))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shake)
        while not transport.handshake():
            await transport.wait_readable()
    return transport, plain, theirs, pieces[0]


async def read_all(transport: TlsTransport) -> list[bytes | None]:
    """What each read brings until the end; last, why there will be no more if it is a flood."""
    found: list[bytes | None] = []
    while not found or found[-1] != b"":
        await transport.wait_readable()
        try:
            found.append(transport.receive())
        except Flooded as error:
            return [*found, str(error).encode()]
    return found


@pytest.mark.parametrize("records", FLOODS.values(), ids=FLOODS)
async def test_a_flood_is_read_piece_by_piece_and_then_no_more(
    context: ssl.SSLContext, records: Records
) -> None:
    transport, _, theirs, pieces = await shaken(context, records)
    theirs.sendall(b"".join(islice(pieces, 2 * MOST_EMPTY // 27)))
    *reads, last = await read_all(transport)
    assert reads == [None] * len(reads)
    assert len(reads) >= MOST_EMPTY // RECEIVE_BYTES - 1
    assert last == b"sends records that bring nothing"
    theirs.close()
    transport.close()


@pytest.mark.parametrize("records", FLOODS.values(), ids=FLOODS)
async def test_some_are_no_flood(context: ssl.SSLContext, records: Records) -> None:
    transport, _, theirs, pieces = await shaken(context, records)
    theirs.sendall(b"".join(islice(pieces, 100)))
    theirs.shutdown(socket.SHUT_WR)
    assert (await read_all(transport))[-1] == b""
    theirs.close()
    transport.close()


async def test_who_asks_for_answers_and_reads_none_is_sent_away(context: ssl.SSLContext) -> None:
    records = partial(key_updates, asks=True)
    transport, plain, theirs, pieces = await shaken(context, records)
    plain.full = True
    assert transport.send(b"more") == 0
    theirs.sendall(b"".join(islice(pieces, MOST_EMPTY // 27)))
    assert (await read_all(transport))[-1] == b"asks TLS for answers and does not read them"
    theirs.close()
    transport.close()


async def test_who_does_not_read_has_no_more_than_a_record_to_itself(
    context: ssl.SSLContext,
) -> None:
    transport, plain, theirs, _ = await shaken(context, renegotiations)
    event = bytes(16 << 20)
    assert transport.seal(event) == b""
    plain.full = True
    tracemalloc.start()
    assert transport.send(event) == 0
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * RECORD_BYTES
    theirs.close()
    transport.close()


async def test_what_tls_has_to_say_goes_before_what_is_sealed(context: ssl.SSLContext) -> None:
    records = partial(key_updates, asks=True)
    transport, plain, theirs, pieces = await shaken(context, records)
    plain.full = True
    # An answer is made when the next one is asked for.
    theirs.sendall(b"".join(islice(pieces, 5)))
    await transport.wait_readable()
    assert transport.receive() is None
    assert transport.seal(b"an event") == b""
    plain.full = False
    assert transport.send(b"an event") == len(b"an event")
    assert transport.seal(b"the next") != b""
    theirs.close()
    transport.close()


async def upload(transport: TlsTransport, client: ssl.SSLSocket) -> None:
    """Receive a megabyte, which comes in records as long as they may be."""
    sent, received = bytes(1 << 20), bytearray()

    async def send() -> None:
        await trio.to_thread.run_sync(client.sendall, sent)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        while len(received) < len(sent):
            await transport.wait_readable()
            received += transport.receive() or b""
    assert received == sent


async def secured(
    context: ssl.SSLContext, client: ssl.SSLContext
) -> tuple[TlsTransport, ssl.SSLSocket]:
    """A connection after the handshake with a client of Python's."""
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    theirs: list[ssl.SSLSocket] = []

    def shake(sock: socket.socket) -> Iterator[bytes]:
        theirs.append(client.wrap_socket(sock))
        return iter(())

    transport, _, _, _ = await shaken(context, shake)
    return transport, theirs[0]


async def test_an_upload_in_long_records_is_no_flood(context: ssl.SSLContext) -> None:
    transport, theirs = await secured(context, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    await upload(transport, theirs)
    theirs.close()
    transport.close()


async def test_who_says_a_byte_at_a_time_is_no_flood(
    context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trio_sse.transport, "RECEIVE_BYTES", 10)  # as over a bad network
    transport, theirs = await secured(context, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    said, heard = b"slow" * 500, bytearray()

    async def say() -> None:
        for byte in said:
            await trio.to_thread.run_sync(theirs.send, bytes([byte]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(say)
        while len(heard) < len(said):
            await transport.wait_readable()
            heard += transport.receive() or b""
    assert heard == said
    theirs.close()
    transport.close()


@pytest.mark.parametrize("taken", [0, 1, 500, 1000])
async def test_what_is_sealed_and_taken_in_part_arrives_once(
    context: ssl.SSLContext, taken: int
) -> None:
    transport, theirs = await secured(context, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    event = bytes(range(250)) * 4
    sealed = transport.seal(event)
    assert os.write(transport.file, sealed[:taken]) == taken
    rest = transport.wrote(event, sealed, taken)
    assert transport.seal(b"the next") == b""
    assert transport.send(rest) == len(rest)
    assert transport.send(b"the next") == len(b"the next")
    transport.send_eof()
    heard = b""
    while piece := await trio.to_thread.run_sync(theirs.recv, 10_000):
        heard += piece
    assert heard == event + b"the next"
    theirs.close()
    transport.close()
    assert transport.file == -1


async def test_an_end_waits_for_room_if_there_is_time_for_it(context: ssl.SSLContext) -> None:
    transport, plain, theirs, _ = await shaken(context, renegotiations)
    plain.full = True
    assert not transport.send_eof(in_order=True)
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    # Whose handler goes on though it was told to stop need not wait for the end.
    assert transport.send_eof()
    theirs.setblocking(True)
    assert theirs.recv(1) == b""
    theirs.close()
    transport.close()


async def test_a_handshake_goes_on_once_there_is_room_for_it(context: ssl.SSLContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        plain = Stopping(listener.accept()[0], Peer("192.0.2.1", 1))
    transport = TlsTransport(plain, context)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    plain.full = True

    async def shake() -> None:
        (await trio.to_thread.run_sync(client.wrap_socket, theirs)).close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shake)
        await transport.wait_readable()
        assert not transport.handshake()
        plain.full = False
        await transport.wait_readable()
        while not transport.handshake():
            await transport.wait_readable()
    transport.close()


async def test_what_a_client_proves_itself_with_counts_towards_no_flood() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    names = [f"a-name-of-many-{number}.department.example.org" for number in range(150)]
    authority.issue_cert(*names).configure_cert(client)
    transport, theirs = await secured(server, client)
    await upload(transport, theirs)
    theirs.close()
    transport.close()
