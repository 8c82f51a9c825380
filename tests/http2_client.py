"""The other end of an `Http2`, in memory: h2 as a client, which checks every byte it gets.

h2's client raises FlowControlError for a byte over a window that it has granted, and
ProtocolError for a frame out of place, so whatever passes here was allowed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes

from trio_sse.limits import Limits
from trio_sse.message import Peer
from trio_sse.wire.http2 import Asked, Happening, Http2

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION = 8, 9
END_STREAM = ACK = 1
END_HEADERS = 4

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PEER = Peer("192.0.2.1", 50_000)
LARGEST_WINDOW = 2**31 - 1

GET = [(":method", "GET"), (":scheme", "https"), (":authority", "example.org"), (":path", "/a?b=c")]
POST = [(":method", "POST"), *GET[1:]]


class RawFrame(NamedTuple):
    """A frame as it is on the wire."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


def raw(kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"") -> bytes:
    """Build a frame, right or wrong."""
    return len(payload).to_bytes(3) + struct.pack(">BBL", kind, flags, stream_id) + payload


def raw_frames(data: bytes) -> Iterator[RawFrame]:
    """Take apart what the server sends; it sends whole frames."""
    while data:
        length = int.from_bytes(data[:3])
        kind, flags, stream_id = struct.unpack(">BBL", data[3:9])
        assert len(data) >= 9 + length
        yield RawFrame(kind, flags, stream_id, data[9 : 9 + length])
        data = data[9 + length :]


def goaways(data: bytes) -> list[tuple[int, int]]:
    """Return the last stream id and error code of each GOAWAY in what the server sends."""
    return [
        struct.unpack(">LL", frame.payload[:8])
        for frame in raw_frames(data)
        if frame.kind == GOAWAY
    ]


def resets(data: bytes) -> list[tuple[int, int]]:
    """Return the stream and error code of each RST_STREAM in what the server sends."""
    return [
        (frame.stream_id, int.from_bytes(frame.payload))
        for frame in raw_frames(data)
        if frame.kind == RST_STREAM
    ]


def header_block(headers: Iterable[tuple[str, str]]) -> bytes:
    """Encode fields as a client's first section."""
    return bytes(H2Connection().encoder.encode(headers))


class Client:
    """A client, the server's side it talks to, and what has happened on both."""

    def __init__(self, limits: Limits | None = None, *, initial_window: int | None = None) -> None:
        self.server = Http2(limits or Limits(), peer=PEER, scheme="https")
        self.server.start()
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        # What is wrong is sent too: the server is tested, not this client.
        self.h2.config.validate_outbound_headers = False
        self.h2.config.normalize_outbound_headers = False
        if initial_window is not None:
            self.h2.local_settings.initial_window_size = initial_window
            self.h2.local_settings.acknowledge()
        self.h2.initiate_connection()
        self.sent = bytearray()
        self.events: list[Event] = []
        self.happenings: list[Happening] = []
        self.exchange()

    def exchange(self) -> list[Happening]:
        """Carry bytes both ways until both sides are silent; return what happened just now."""
        happened: list[Happening] = []
        while True:
            sent, answered = self.h2.data_to_send(), self.server.output()
            if not sent and not answered:
                self.happenings += happened
                return happened
            self.sent += sent
            happened += self.server.receive(sent)
            self.events += self.h2.receive_data(answered)

    def ask(self, headers: Iterable[tuple[str, str]] = GET, *, end: bool = True) -> int:
        """Send a request and return its stream id."""
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, list(headers), end_stream=end)
        self.exchange()
        return stream_id

    def listen(self) -> int:
        """Open a stream and have it answered with the head of an event stream."""
        stream_id = self.ask()
        self.server.respond_head(stream_id, 200, [("content-type", "text/event-stream")])
        self.exchange()
        return stream_id

    def asked(self, stream_id: int) -> Asked:
        """Return what the server was asked on a stream."""
        (asked,) = [
            happening
            for happening in self.happenings
            if isinstance(happening, Asked) and happening.stream_id == stream_id
        ]
        return asked

    def head(self, stream_id: int) -> dict[str, str]:
        """Return the head of the answer on a stream."""
        (response,) = [
            event
            for event in self.events
            if isinstance(event, ResponseReceived) and event.stream_id == stream_id
        ]
        return {str(name): str(value) for name, value in response.headers}

    def body(self, stream_id: int) -> bytes:
        """Return what came on a stream so far."""
        return b"".join(
            event.data
            for event in self.events
            if isinstance(event, DataReceived) and event.stream_id == stream_id
        )

    def ended(self, stream_id: int) -> bool:
        """Tell whether the answer has come to its proper end."""
        return any(
            isinstance(event, StreamEnded) and event.stream_id == stream_id for event in self.events
        )

    def reset_code(self, stream_id: int) -> int | None:
        """Return the error code with which the server has reset a stream, if it has."""
        codes = [
            event.error_code
            for event in self.events
            if isinstance(event, StreamReset) and event.stream_id == stream_id
        ]
        return codes[0] if codes else None

    def set_initial_window(self, size: int) -> None:
        """Change SETTINGS_INITIAL_WINDOW_SIZE, and with it the window of each stream."""
        self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: size})
        self.exchange()
