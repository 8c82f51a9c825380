"""What an attacker says over HTTP/2 without end, each piece of it in order or nearly so.

Whoever says so much ends in ENHANCE_YOUR_CALM, whether he reads the answers or not.
"""

from __future__ import annotations

from itertools import chain, count, cycle

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
    LARGEST_WINDOW,
    PAGE,
    POST,
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
    window,
)
from .http2_ways import flood, flooding, not_reading

__all__ = ["FLOODS", "UNREAD"]

CRUMBS = PAGE + b"\x60\x01a" * 1_000
"""Cookie crumbs of a byte each, literal and with the name from the static table."""

EMPTY_FIELDS = b"\x40\x01a\0" + b"\x40\1b\0" * 120
"""All that the table holds of fields that are next to nothing."""

STREAMS = range(1, 512, 2)
"""As many streams as there may be."""

WAITING = window(0) + b"".join(request(stream_id, FOLLOW) for stream_id in STREAMS)
"""Each of them with nothing that it may be sent."""

SHUT = window(0) + b"".join(request(stream_id, ENDLESS) for stream_id in STREAMS)
"""Each with more to say than its window ever has room for."""

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
        again(opened(1, 1), WAITING),
    ),
    flooding(
        "WINDOW_UPDATE of a byte, for the connection, while 256 streams wait for their own",
        "CVE-2019-9511",
        "window_updates",
        again(opened(0, 1), WAITING),
    ),
    flooding(
        "WINDOW_UPDATE of a byte, for each of 256 streams with more to say",
        "CVE-2019-9511",
        "window_updates",
        lambda: chain([SHUT], (opened(stream_id, 1) for stream_id in cycle(STREAMS))),
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

UNREAD = tuple(not_reading(*(each for each in FLOODS if each.name in SAID_WITHOUT_READING)))
