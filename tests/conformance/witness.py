"""A connection with an innocent stream on it, and bytes that break something else."""

from __future__ import annotations

from collections.abc import Iterable

from hpack_pieces import WITHOUT, literal
from http2_client import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    LARGEST_WINDOW,
    PEER,
    PREFACE,
    SETTINGS,
    RawFrame,
    goaways,
    raw,
    raw_frames,
    resets,
)
from trio_sse.limits import Limits
from trio_sse.wire.http2 import Asked, Gone, Happening, Http2, RefusedStream

NO_ERROR, PROTOCOL, INTERNAL, FLOW_CONTROL = 0, 1, 2, 3
CLOSED, FRAME_SIZE, REFUSED, CANCEL, COMPRESSION, CALM = 5, 6, 7, 8, 9, 11

PADDED, WITH_PRIORITY = 8, 0x20

LARGEST = LARGEST_WINDOW.to_bytes(4)

INNOCENT, BROKEN, LATER = 1, 3, 5
"""Streams: one that is answered all the time, the one that a case is about, and one after it."""

LINE = [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")]
POST = [(":method", "POST"), *LINE[1:]]


def block(fields: Iterable[tuple[str, str]]) -> bytes:
    """Encode fields so that no table changes."""
    return b"".join(
        literal(name.encode("latin-1"), value.encode("latin-1"), WITHOUT) for name, value in fields
    )


def request(
    *more: tuple[str, str],
    line: Iterable[tuple[str, str]] = LINE,
    stream_id: int = BROKEN,
    end: bool = True,
) -> bytes:
    """Return HEADERS, which are all there is of the request if it is its `end`."""
    flags = END_HEADERS | (END_STREAM if end else 0)
    return raw(HEADERS, flags, stream_id, block([*line, *more]))


def setting(identifier: int, value: int) -> bytes:
    return identifier.to_bytes(2) + value.to_bytes(4)


def connected(limits: Limits | None = None) -> Http2:
    """Return a server that has had a client's preface."""
    server = Http2(limits or Limits(max_header_bytes=16_384), peer=PEER, scheme="http")
    server.start()
    server.receive(PREFACE + raw(SETTINGS) + raw(SETTINGS, ACK))
    server.output()
    return server


class Witness:
    """A server, and what it says to a client of which one stream is innocent."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.server = connected(limits)
        self.happenings: list[Happening] = []
        self.said = b""
        self.hear(request(stream_id=INNOCENT))
        self.server.respond_head(INNOCENT, 200, [("content-type", "text/event-stream")])
        self.server.output()
        self.said = b""

    def hear(self, data: bytes) -> None:
        """Give the server bytes, and do what a connection does about what is refused."""
        happenings = self.server.receive(data)
        for each in happenings:
            if isinstance(each, RefusedStream):
                self.server.respond_head(each.stream_id, each.refused.status, [])
                self.server.send(each.stream_id, each.refused.reason.encode())
                self.server.end(each.stream_id)
        self.happenings += happenings
        self.said += self.server.output()

    @property
    def frames(self) -> list[RawFrame]:
        return list(raw_frames(self.said))

    @property
    def refused(self) -> list[int]:
        """The status of each request that was refused."""
        return [each.refused.status for each in self.happenings if isinstance(each, RefusedStream)]

    def asked(self, stream_id: int) -> bool:
        return any(
            isinstance(each, Asked) and each.stream_id == stream_id for each in self.happenings
        )

    def assert_connection_ended(self, code: int) -> None:
        """Assert that the connection is over, and that this was the last of it."""
        gone = self.happenings[-1]
        assert isinstance(gone, Gone)
        assert gone.error_code == code
        assert not gone.by_peer
        assert len(gone.reason) < 200  # it goes into a log
        assert [code for _, code in goaways(self.said)] == [code]
        assert self.server.receive(request(stream_id=LATER)) == []
        assert self.server.output() == b""

    def assert_stream_ended(self, code: int) -> None:
        """Assert that one stream is broken, and that nothing else is."""
        assert resets(self.said) == [(BROKEN, code)]
        assert not self.server.is_open(BROKEN)
        self.assert_goes_on()

    def assert_goes_on(self) -> None:
        """Assert that the connection is as before."""
        assert goaways(self.said) == []
        assert not any(isinstance(each, Gone) for each in self.happenings)
        assert self.server.send(INNOCENT, b"data") == 4
        self.hear(request(stream_id=101))
        assert self.asked(101)
        self.server.respond_head(101, 204, [], end=True)
        self.hear(b"")
        assert RawFrame(DATA, 0, INNOCENT, b"data") in self.frames
        assert self.server.stream_count == 1
        self.server.end(INNOCENT)
        assert self.server.stream_count == 0
