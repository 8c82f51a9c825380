"""What an attacker does over HTTP/2 beside floods: bombs, crowds, waiting; and all its cases."""

from __future__ import annotations

from itertools import repeat

from hyperframe.frame import ContinuationFrame, HeadersFrame

from .case import Case
from .http2_floods import FLOODS, UNREAD
from .http2_frames import (
    FOLLOW,
    HELLO,
    LARGEST_WINDOW,
    PAGE,
    POST,
    PREFACE,
    again,
    coded,
    data,
    opened,
    plain,
    raw,
    request,
    requests,
    reset,
    split,
    window,
)
from .http2_ways import crowd, flood, stopped_reader, unread_pages, waiting

__all__ = ["CASES"]

BIG_FIELD = b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4_000
"""A field of 4,000 bytes, to be put in the table; then a byte stands for it."""

RESIZED = b"\x20\x3f\xe1\x1f"
"""HPACK's table emptied, and as large as before (RFC 7541, 6.3)."""

BOMBS = (
    Case(
        "empty CONTINUATION without end",
        "CVE-2024-27316",
        flood(split(PAGE, repeat(plain(ContinuationFrame(1, b""))))),
        ("GOAWAY PROTOCOL_ERROR",),
        "protocol_error",
    ),
    Case(
        "CONTINUATION of a byte without end",
        "CVE-2024-27316",
        flood(split(PAGE, repeat(plain(ContinuationFrame(1, b"\x82"))))),
        ("GOAWAY PROTOCOL_ERROR",),
        "protocol_error",
    ),
    Case(
        "CONTINUATION of 16 KiB without end",
        "CVE-2024-27316",
        flood(split(PAGE, repeat(plain(ContinuationFrame(1, bytes(16_384)))))),
        ("GOAWAY ENHANCE_YOUR_CALM",),
        "enhance_your_calm",
    ),
    Case(
        "a few bytes of HPACK that stand for megabytes",
        "RFC 7541, 7.3",
        flood(lambda: iter([request(1, PAGE + BIG_FIELD + b"\xbe" * 8_000)])),
        ("GOAWAY ENHANCE_YOUR_CALM",),
        "enhance_your_calm",
    ),
    Case(
        "a few bytes that Huffman's code makes more than is allowed",
        "RFC 7541, 5.2",
        flood(lambda: iter([request(1, PAGE + coded(62_000))])),
        ("GOAWAY ENHANCE_YOUR_CALM",),
        "enhance_your_calm",
    ),
    Case(
        "a table that a head resizes without end",
        "RFC 7541, 6.3",
        flood(lambda: iter([request(1, RESIZED * 16_000 + PAGE)])),
        ("GOAWAY COMPRESSION_ERROR",),
        "compression_error",
    ),
    Case(
        "a head that is not HPACK",
        "RFC 7541, 5.1",
        flood(lambda: iter([request(1, b"\xff" * 40)])),
        ("GOAWAY COMPRESSION_ERROR",),
        "compression_error",
    ),
    Case(
        "a connection's window that overflows",
        "RFC 9113, 6.9.1",
        flood(lambda: iter([opened(0, LARGEST_WINDOW)])),
        ("GOAWAY FLOW_CONTROL_ERROR",),
        "flow_control_error",
    ),
    # As long as a body is wanted its window is returned at once, and so is the connection's.
    Case(
        "an upload that ignores the window",
        "RFC 9113, 6.9.1",
        flood(again(raw(0, 0, 1, bytes(16_384)), request(1, POST, end=False))),
        ("GOAWAY FLOW_CONTROL_ERROR",),
        "flow_control_error",
    ),
    Case(
        "an upload that ignores the window, and takes no answer",
        "RFC 9113, 6.9.1",
        flood(again(raw(0, 0, 1, bytes(16_384)), window(0) + request(1, POST, end=False))),
        ("GOAWAY FLOW_CONTROL_ERROR",),
        "flow_control_error",
    ),
    Case(
        "a frame longer than allowed",
        "RFC 9113, 4.2",
        flood(lambda: iter([raw(0, 0, 1, bytes(16_385))])),
        ("GOAWAY FRAME_SIZE_ERROR",),
        "frame_size_error",
    ),
)

IDLERS = (
    waiting(
        "a preface and no more", "RFC 9113, 3.4", PREFACE, "too_late", ("GOAWAY SETTINGS_TIMEOUT",)
    ),
    waiting("half a preface", "RFC 9113, 3.4", PREFACE[:12]),
    waiting("half a frame", "RFC 9113, 4.1", HELLO + b"\0\0\x08\6\0"),
    waiting(
        "half a head",
        "RFC 9113, 6.2",
        HELLO + plain(HeadersFrame(1, PAGE[:5])),
        "too_late",
        ("GOAWAY ENHANCE_YOUR_CALM",),
    ),
    waiting(
        "an upload that never ends",
        "RFC 9113, 8.1",
        HELLO + request(1, POST, end=False) + data(1, b"a begin"),
        "refused",
    ),
    waiting("a connection without a stream", "RFC 9113, 9.1", HELLO),
    waiting(
        "a window that is never opened",
        "CVE-2019-9517",
        HELLO + window(0) + request(1, FOLLOW),
        "dropped",
    ),
    Case(
        "pages asked for and not read",
        "CVE-2019-9517",
        unread_pages,
        ("reset", "closed", "open"),
        "dropped",
        waits=True,
    ),
    Case(
        "a reader that stops with 100 streams",
        "CVE-2019-9517",
        stopped_reader,
        ("reset", "closed", "open"),
        "dropped",
        waits=True,
    ),
)

CROWDS = (
    Case(
        "requests taken back on many connections",
        "CVE-2023-44487",
        crowd(requests(FOLLOW, reset)),
        # All together are heard less of than each of them may say.
        ("GOAWAY ENHANCE_YOUR_CALM", "open", "closed"),
        "futile_streams",
    ),
)

CASES = (*FLOODS, *UNREAD, *BOMBS, *CROWDS, *IDLERS)
