"""What does this client speak? One port serves HTTP/1.0, HTTP/1.1 and HTTP/2, TLS or not.

Over TLS, ALPN says (RFC 7301). In clear text a client that knows that we speak HTTP/2 begins
with its preface (RFC 9113, 3.3), which is made so that nothing in HTTP/1.1 looks like it.
"""

from __future__ import annotations

import logging
import ssl
from typing import Literal

import trio

from ..tls_transport import TlsTransport
from ..transport import Broken, SocketTransport, Transport, Unsecured
from ..wire.http1 import Http1
from ..wire.http2 import Http2
from .http1 import Http1Connection
from .http2 import Http2Connection
from .service import Service

__all__ = ["Connection", "choose", "negotiate"]

Connection = Http1Connection | Http2Connection
Scheme = Literal["http", "https"]

logger = logging.getLogger("trio_sse.connection")

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113, 3.4

TLS_HANDSHAKE = b"\x16"
TLS_HEADER_BYTES = 5
TLS_RECORD_BYTES = 16 * 1024
"""RFC 8446, 5.1: the type of a ClientHello's record, its header, and what may follow that."""

PLAIN_TEXT_ON_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 50\r\n"
    b"Connection: close\r\n\r\nThis port speaks HTTPS: use https:// to reach it.\n"
)


async def negotiate(
    service: Service, socket: SocketTransport, context: ssl.SSLContext | None
) -> Connection | None:
    """Return a connection to run, or None if the client is no use.

    Over TLS if there is a `context`. The caller closes the connection's `transport`, or the
    socket if there is none. Takes `Limits.head_timeout` seconds at most.
    """
    try:
        # Who has connected has usually asked as well by now. Then nothing is waited for, and a
        # deadline would cost a twentieth of the set-up.
        first = socket.receive() or b"" if context is None else b""
        if _is_telling(first):
            return _speak(service, socket, "http", first)
        # What is left of the time is for the rest of the first request's head.
        deadline = trio.current_time() + service.limits.head_timeout
        with trio.CancelScope(deadline=deadline):
            if context is None:
                connection = await choose(service, socket, "http", first)
            else:
                connection = await _secure(service, socket, context)
            if connection is not None:
                connection.begins_by = deadline
            return connection
    except Unsecured as error:
        service.offended(socket.peer, "handshake", str(error))
        return None
    except Broken as error:
        service.connection_broke(socket.peer, error)
        return None
    service.counters.idle += 1
    logger.debug("%s: said nothing in time", socket.peer)
    return None


async def _secure(
    service: Service, socket: SocketTransport, context: ssl.SSLContext
) -> Connection | None:
    # Once OpenSSL is given the first byte, it takes 70 KiB. So a client gets that, and its turn,
    # when it has said all of what it begins with.
    hello = b""
    while not _is_hello(hello):
        arrived = socket.receive()
        if arrived is None:
            await socket.wait_readable()
        elif arrived:
            hello += arrived
        else:
            return None
    if not hello.startswith(TLS_HANDSHAKE):
        service.offended(socket.peer, "clear_text", "this port speaks TLS")
        socket.send(PLAIN_TEXT_ON_TLS)
        socket.send_eof()
        return None
    transport = await service.handshakes.step(
        socket.peer, lambda: _begin(TlsTransport(socket, context, hello))
    )
    while not transport.is_secure:
        await transport.wait_readable()
        await service.handshakes.step(socket.peer, transport.handshake)
    if transport.protocol == "h2":
        return _http2(service, transport, "https")
    return _http1(service, transport, "https")


def _is_hello(first: bytes) -> bool:
    """Whether there is all of TLS's first record, or what is none (RFC 8446, 5.1)."""
    length = int.from_bytes(first[3:5]) if len(first) >= TLS_HEADER_BYTES else TLS_RECORD_BYTES
    is_possible = TLS_HANDSHAKE.startswith(first[:1]) and length <= TLS_RECORD_BYTES
    return not is_possible or len(first) >= TLS_HEADER_BYTES + length


def _begin(transport: TlsTransport) -> TlsTransport:
    transport.handshake()
    return transport


async def choose(
    service: Service, transport: Transport, scheme: Scheme, first: bytes = b""
) -> Connection | None:
    """Tell the protocols apart by the first bytes in clear text, of which `first` have been read.

    Waits without a deadline. None if the client leaves before it has told.
    """
    while not _is_telling(first):
        arrived = transport.receive()
        if arrived is None:
            await transport.wait_readable()
        elif arrived:
            first += arrived
        else:
            return None
    return _speak(service, transport, scheme, first)


def _is_telling(first: bytes) -> bool:
    """Whether the first bytes tell HTTP/2's preface from anything else."""
    return len(first) >= len(PREFACE) or not PREFACE.startswith(first)


def _speak(service: Service, transport: Transport, scheme: Scheme, first: bytes) -> Connection:
    if first.startswith(PREFACE):
        return _http2(service, transport, scheme, first)
    return _http1(service, transport, scheme, first)


def _http1(
    service: Service, transport: Transport, scheme: Scheme, first: bytes = b""
) -> Http1Connection:
    wire = Http1(service.limits, peer=transport.peer, scheme=scheme)
    if first:
        wire.receive(first)
    return Http1Connection(service, transport, wire)


def _http2(
    service: Service, transport: Transport, scheme: Scheme, first: bytes = b""
) -> Http2Connection:
    wire = Http2(service.limits, peer=transport.peer, scheme=scheme)
    return Http2Connection(service, transport, wire, first)
