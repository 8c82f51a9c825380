"""What an attacker says over HTTP/2: one case a line of the table."""

from __future__ import annotations

from itertools import chain, count, cycle, repeat

from hyperframe.frame import (
    ContinuationFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    SettingsFrame,
)

from .case import Case
from .http2_frames import (
    ENDLESS,
    FOLLOW,
    HELLO,
    LARGEST_WINDOW,
    PAGE,
    POST,
    PREFACE,
    again,
    coded,
    data,
    head,
    opened,
    plain,
    raw,
    request,
    requests,
    reset,
    split,
    window,
)
from .http2_ways import crowd, flood, flooding, not_reading, stopped_reader, unread_pages, waiting

__all__ = ["CASES"]

BIG_FIELD = b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4_000
"""A field of 4,000 bytes, to be put in the table; then a byte stands for it."""

CRUMBS = PAGE + b"\x60\x01a" * 1_000
"""Cookie crumbs of a byte each, literal and with the name from the static table."""

EMPTY_FIELDS = b"\x40\x01a\0" + b"\x40\1b\0" * 120
"""All that the table holds of fields that are next to nothing."""

SHUT = window(0) + b"".join(request(stream_id, ENDLESS) for stream_id in range(1, 512, 2))
"""As many streams as there may be, each with more to say than its window ever has room for."""

RESIZED = b"\x20\x3f\xe1\x1f"
"""HPACK's table emptied, and as large as before (RFC 7541, 6.3)."""

FLOODS = (
    flooding("requests taken back", "CVE-2023-44487", "futile_streams", requests(FOLLOW, reset)),
    flooding(
        "streams broken by DATA after their end",
        "CVE-2025-8671",
        "futile_streams",
        requests(FOLLOW, lambda stream_id: data(stream_id, bytes(300))),
    ),
    flooding(
        "streams broken by a window too large",
        "CVE-2025-8671",
        "futile_streams",
        requests(FOLLOW, lambda stream_id: opened(stream_id, LARGEST_WINDOW)),
    ),
    flooding("more streams than allowed", "RFC 9113, 5.1.2", "futile_streams", requests(FOLLOW)),
    flooding(
        "malformed requests",
        "RFC 9113, 8.1.1",
        "futile_streams",
        requests(head(("connection", "close"))),
    ),
    flooding(
        "fields without a name", "CVE-2019-9516", "futile_streams", requests(PAGE + b"\0\0\0" * 99)
    ),
    flooding("thousands of cookie crumbs", "RFC 9113, 8.2.3", "header_fields", requests(CRUMBS)),
    flooding(
        "fields from a table filled with them",
        "RFC 7541, 7.3",
        "header_fields",
        requests(PAGE + EMPTY_FIELDS + b"\xbe" * 1_700),
    ),
    flooding(
        "heads in Huffman's code", "RFC 7541, 5.2", "header_fields", requests(PAGE + coded(36_000))
    ),
    flooding(
        "PING",
        "CVE-2019-9512",
        "control_frames",
        again(plain(PingFrame(0, opaque_data=b"12345678"))),
    ),
    flooding("SETTINGS", "CVE-2019-9515", "control_frames", again(plain(SettingsFrame(0)))),
    flooding(
        "SETTINGS that toggle the window of an open stream",
        "RFC 9113, 6.9.2",
        "control_frames",
        again(window(0) + window(65_535), request(1, FOLLOW)),
    ),
    flooding(
        "PRIORITY",
        "CVE-2019-9513",
        "control_frames",
        again(plain(PriorityFrame(3, depends_on=1, stream_weight=1))),
    ),
    flooding("unknown frames", "RFC 9113, 5.5", "control_frames", again(raw(0x99, 0, 0, b"?"))),
    flooding(
        "empty DATA",
        "CVE-2019-9518",
        "control_frames",
        again(data(1, b""), request(1, POST, end=False)),
    ),
    flooding(
        "DATA of padding",
        "CVE-2019-9518",
        "control_frames",
        again(raw(0, 8, 1, b"\xff" + bytes(255)), request(1, POST, end=False)),
    ),
    flooding(
        "an upload byte by byte",
        "CVE-2019-9518",
        "control_frames",
        again(data(1, b"x"), request(1, POST, end=False)),
    ),
    flooding(
        "WINDOW_UPDATE of a byte, for the connection",
        "CVE-2019-9511",
        "window_updates",
        again(opened(0, 1)),
    ),
    flooding(
        "WINDOW_UPDATE of a byte, for a stream",
        "CVE-2019-9511",
        "window_updates",
        again(opened(1, 1), window(0) + request(1, FOLLOW)),
    ),
    flooding(
        "WINDOW_UPDATE of a byte, for one of 256 streams that wait",
        "CVE-2019-9511",
        "window_updates",
        again(
            opened(1, 1),
            window(0) + b"".join(request(stream_id, FOLLOW) for stream_id in range(1, 512, 2)),
        ),
    ),
    flooding(
        "WINDOW_UPDATE of a byte, for the connection, while 256 streams wait for their own",
        "CVE-2019-9511",
        "window_updates",
        again(
            opened(0, 1),
            window(0) + b"".join(request(stream_id, FOLLOW) for stream_id in range(1, 512, 2)),
        ),
    ),
    flooding(
        "WINDOW_UPDATE of a byte, for each of 256 streams with more to say",
        "CVE-2019-9511",
        "window_updates",
        lambda: chain([SHUT], (opened(stream_id, 1) for stream_id in cycle(range(1, 512, 2)))),
        is_ours=True,
    ),
    # Not compared by what it says, which is little: the requests alone cost more than a page.
    Case(
        "SETTINGS that open the windows of 256 streams with more to say, a byte at a time",
        "RFC 9113, 6.9.2",
        flood(lambda: chain([SHUT], map(window, count(1)))),
        ("GOAWAY ENHANCE_YOUR_CALM",),
        "window_updates",
        is_ours=True,
    ),
    flooding(
        "CONTINUATION frames of many requests",
        "CVE-2024-27316",
        "control_frames",
        lambda: (
            plain(HeadersFrame(stream_id, PAGE, flags=["END_STREAM"]))
            + plain(ContinuationFrame(stream_id, b"")) * 40
            + plain(ContinuationFrame(stream_id, b"", flags=["END_HEADERS"]))
            for stream_id in count(1, 2)
        ),
    ),
)

SAID_WITHOUT_READING = (
    "requests taken back",
    "streams broken by DATA after their end",
    "more streams than allowed",
    "PING",
    "SETTINGS",
    "SETTINGS that toggle the window of an open stream",
    "PRIORITY",
    "unknown frames",
    "empty DATA",
    "DATA of padding",
    "WINDOW_UPDATE of a byte, for the connection",
    "WINDOW_UPDATE of a byte, for a stream",
)

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

UNREAD = not_reading(*(each for each in FLOODS if each.name in SAID_WITHOUT_READING))

CASES = (*FLOODS, *UNREAD, *BOMBS, *CROWDS, *IDLERS)
