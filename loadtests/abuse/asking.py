"""How the canary asks for a stream on a new connection: over HTTP/1.1 by itself, over HTTP/2 by h2.

What is received then is all that comes over HTTP/1.1, and what DATA frames hold over HTTP/2.
"""

from __future__ import annotations

import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

__all__ = ["ask_http1", "ask_http2"]


async def ask_http1(connection: trio.abc.Stream, target: str) -> trio.abc.ReceiveStream:
    """Send a request. Raises trio.BrokenResourceError."""
    await connection.send_all(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


async def ask_http2(connection: trio.abc.Stream, target: str) -> trio.abc.ReceiveStream:
    """Send the preface and a request. Raises trio.BrokenResourceError."""
    stream = Http2Stream(connection)
    await stream.ask(target)
    return stream


class Http2Stream(trio.abc.ReceiveStream):
    """The only stream of a connection."""

    def __init__(self, transport: trio.abc.Stream) -> None:
        self._transport = transport
        self._connection = H2Connection(H2Configuration(client_side=True))

    async def ask(self, target: str) -> None:
        """Send the preface and a request."""
        head = {":method": "GET", ":scheme": "http", ":authority": "localhost", ":path": target}
        self._connection.initiate_connection()
        self._connection.send_headers(1, list(head.items()), end_stream=True)
        await self._transport.send_all(self._connection.data_to_send())

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what has come; b"" at the end. Raises trio.BrokenResourceError."""
        while True:
            data = await self._transport.receive_some()
            if not data:
                return b""
            try:
                events = self._connection.receive_data(bytes(data))
                content = b"".join(self._taken(event) for event in events)
            except ProtocolError as error:
                raise trio.BrokenResourceError(str(error)) from error
            await self._transport.send_all(self._connection.data_to_send())
            if content or any(isinstance(event, ENDS) for event in events):
                return content

    async def aclose(self) -> None:
        """Be gone, without a word."""
        await self._transport.aclose()

    def _taken(self, event: Event) -> bytes:
        if not isinstance(event, DataReceived):
            return b""
        self._connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
        return bytes(event.data or b"")


ENDS = (StreamEnded, StreamReset, ConnectionTerminated)
