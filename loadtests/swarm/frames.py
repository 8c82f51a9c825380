"""HTTP/2 as a load client speaks it: frames (RFC 9113, 4 and 6), and the requests that it sends."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hpack import Encoder, NeverIndexedHeaderTuple

from .windows import Windows

__all__ = ["frame", "late_request", "requests"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY = 0x20

HEADER = struct.Struct(">HBBBL")


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return one frame."""
    length = len(payload)
    return HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id) + payload


def requests(
    windows: Windows,
    paths: Sequence[str],
    last_ids: Sequence[bytes],
    *,
    scheme: str = "http",
    authority: str = "localhost",
) -> bytes:
    """Return all that a connection sends at first: preface, SETTINGS, a request a stream.

    The first stream has the id 1, the next 3, and so on.
    """
    encoder = Encoder()
    sent = [PREFACE, frame(SETTINGS, 0, 0, windows.settings()), windows.widen()]
    for place, (path, last_id) in enumerate(zip(paths, last_ids, strict=True)):
        fields = request(path, last_id, scheme, authority)
        sent.append(headers(2 * place + 1, encoder.encode(fields)))
    return b"".join(sent)


def request(path: str, last_id: bytes, scheme: str, authority: str) -> list[tuple[str, str]]:
    """Return the fields with which browsers ask for an event stream."""
    fields = [
        (":method", "GET"),
        (":scheme", scheme),
        (":authority", authority),
        (":path", path),
        ("accept", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("user-agent", "Mozilla/5.0 (swarm)"),
        ("accept-encoding", "gzip, deflate, br"),
        ("accept-language", "en"),
    ]
    if last_id:
        fields.append(("last-event-id", last_id.decode()))
    return fields


def headers(stream_id: int, section: bytes) -> bytes:
    """Return the frame of a request without a body."""
    return frame(HEADERS, END_HEADERS | END_STREAM, stream_id, section)


def late_request(
    stream_id: int, path: str, last_id: bytes, *, scheme: str = "http", authority: str = "localhost"
) -> bytes:
    """Return a request on a connection that has been in use.

    It adds nothing to HPACK's table, whose state is not kept here.
    """
    fields = request(path, last_id, scheme, authority)
    section = Encoder().encode(NeverIndexedHeaderTuple(*each) for each in fields)
    return headers(stream_id, section)
