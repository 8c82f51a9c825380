"""A socket and nothing above it: for what no client library would send."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from .site import PATIENCE

__all__ = ["RawPeer", "connect", "raw_peer"]


async def connect(port: int, tls: ssl.SSLContext | None = None) -> trio.abc.Stream:
    """Connect to 127.0.0.1, and finish the TLS handshake if there is to be one."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    if tls is None:
        return stream
    secured = trio.SSLStream(stream, tls, server_hostname="127.0.0.1", https_compatible=True)
    await secured.do_handshake()
    return secured


class RawPeer:
    """Bytes out, bytes in."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.received = b""

    async def send(self, data: bytes) -> None:
        with trio.fail_after(PATIENCE):
            await self.stream.send_all(data)

    async def more(self) -> bytes:
        """Wait for bytes; b"" at the end."""
        with trio.fail_after(PATIENCE):
            data = bytes(await self.stream.receive_some())
        self.received += data
        return data

    async def until(self, expected: bytes) -> bytes:
        """Wait for `expected` and take all up to and with it."""
        while expected not in self.received:
            assert await self.more(), f"no {expected!r} in {self.received!r}"
        found, _, rest = self.received.partition(expected)
        self.received = rest
        return found + expected

    async def rest(self) -> bytes:
        """Wait for the end and return what came before it. A reset is no end."""
        while await self.more():
            pass
        return self.received

    def reset(self) -> None:
        """Vanish as a crashed client does: with RST instead of FIN."""
        assert isinstance(self.stream, trio.SocketStream)
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.socket.close()


@asynccontextmanager
async def raw_peer(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawPeer]:
    """Connect for the length of the block."""
    peer = RawPeer(await connect(port, tls))
    try:
        yield peer
    finally:
        await trio.aclose_forcefully(peer.stream)
