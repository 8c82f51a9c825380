"""An HTTP/2 client over a real socket: h2 keeps the rules, this keeps what came.

Nothing is read but by `receive`, so that a test decides whether its client is a slow one.
h2 raises if the server sends a byte over a window, or a frame out of place.
"""

from __future__ import annotations

import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from hyperframe.frame import Frame, GoAwayFrame

from .raw import connect
from .site import PATIENCE

__all__ = ["Http2Stranger", "http2_stranger"]

LARGE_WINDOW = 16 * 1024 * 1024


class _Client(H2Connection):
    """h2 as a client that goes on with its open streams after GOAWAY (RFC 9113, 6.8)."""

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        state = self.state_machine.state
        received = super()._receive_goaway_frame(frame)
        self.state_machine.state = state
        return received


class Http2Stranger:
    """A client's connection and what has come on its streams so far, by stream id."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.h2 = _Client(H2Configuration(client_side=True, header_encoding="utf-8"))
        # A test says exactly which fields are sent, also such as h2 would refuse to send.
        self.h2.config.validate_outbound_headers = False
        self.h2.config.normalize_outbound_headers = False
        self.h2.initiate_connection()
        self.settings_came = False
        self.bodies: dict[int, bytearray] = defaultdict(bytearray)
        self.heads: dict[int, dict[str, str]] = {}
        self.interim: dict[int, str] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.stalled: set[int] = set()
        """Streams whose window is not opened again."""
        self.goaway: int | None = None
        """The error code of the last GOAWAY."""
        self.closed = False

    def widen(self) -> None:
        """Grant windows as browsers do, for the connection and each stream to come."""
        self.h2.increment_flow_control_window(LARGE_WINDOW)
        self.h2.update_settings({4: LARGE_WINDOW})

    async def flush(self) -> None:
        """Send what h2 has to say."""
        if data := self.h2.data_to_send():
            with trio.fail_after(PATIENCE):
                await self.stream.send_all(data)

    async def ask(
        self, path: str, *fields: tuple[str, str], method: str = "GET", end: bool = True
    ) -> int:
        """Send a request's head and return its stream id."""
        stream_id = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":authority", "localhost")]
        self.h2.send_headers(stream_id, [*pseudo, (":path", path), *fields], end_stream=end)
        await self.flush()
        return stream_id

    async def upload(self, stream_id: int, data: bytes, *, end: bool = True) -> None:
        """Send a part of a body that fits the server's window."""
        for start in range(0, len(data), 16_384):
            self.h2.send_data(stream_id, data[start : start + 16_384])
        if end:
            self.h2.end_stream(stream_id)
        await self.flush()

    async def reset(self, stream_id: int) -> None:
        """Cancel a stream, as a browser does when a page closes its EventSource."""
        self.h2.reset_stream(stream_id, 8)
        await self.flush()

    async def receive(self) -> None:
        """Wait for bytes and take note of what they say."""
        with trio.fail_after(PATIENCE):
            data = bytes(await self.stream.receive_some(65536))
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(data):
            self._note(event)
        await self.flush()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Receive until the condition holds."""
        while not condition():
            assert not self.closed, "the server has closed the connection"
            await self.receive()

    async def answer(self, stream_id: int) -> tuple[str, bytes]:
        """Wait for the end of an answer, or its being cut, and return its status and body."""
        await self.until(lambda: stream_id in self.ended or stream_id in self.resets)
        return self.heads[stream_id][":status"], bytes(self.bodies[stream_id])

    def _note(self, event: Event) -> None:
        match event:
            case DataReceived():
                self.bodies[event.stream_id] += event.data
                length = event.flow_controlled_length
                if event.stream_id not in self.stalled:
                    self.h2.acknowledge_received_data(length, event.stream_id)
                elif length:
                    # The connection's window is opened again, or all streams would stall.
                    self.h2.increment_flow_control_window(length)
            case ResponseReceived():
                self.heads[event.stream_id] = _texts(event.headers)
            case InformationalResponseReceived():
                self.interim[event.stream_id] = _texts(event.headers)[":status"]
            case StreamEnded():
                self.ended.add(event.stream_id)
            case StreamReset():
                self.resets[event.stream_id] = int(event.error_code)
            case ConnectionTerminated():
                self.goaway = int(event.error_code or 0)
            case RemoteSettingsChanged():
                self.settings_came = True


def _texts(headers: Iterable[tuple[bytes | str, bytes | str]]) -> dict[str, str]:
    return {str(name): str(value) for name, value in headers}


@asynccontextmanager
async def http2_stranger(
    port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Http2Stranger]:
    """Connect to 127.0.0.1 for the length of the block, and wait for the server's settings."""
    stranger = Http2Stranger(await connect(port, tls))
    try:
        await stranger.flush()
        await stranger.until(lambda: stranger.settings_came)
        yield stranger
    finally:
        await trio.aclose_forcefully(stranger.stream)
