"""What hears damaged bytes, and what must hold whatever they are: the fuzzers' judges.

Each takes a whole conversation, and the size of the pieces that it comes in. It answers what can
be answered, as a connection does, and raises for what should not be: any exception, or more kept
than the limits say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from hpack.exceptions import HPACKError, OversizedHeaderListError
from hpack.hpack import Decoder as HpackDecoder

from trio_sse.event import Decoder, EventTooLarge
from trio_sse.limits import Limits
from trio_sse.message import Peer, Response
from trio_sse.wire import Refused
from trio_sse.wire.field_coding import CompressionError, FieldDecoder
from trio_sse.wire.http1 import Http1
from trio_sse.wire.http2 import Asked, Gone, Group, Http2, RefusedStream

__all__ = ["CORPUS", "HEARERS", "LIMITS", "corpus"]

CORPUS = Path(__file__).parent / "corpus"
PEER = Peer("192.0.2.7", 4711)
LIMITS = Limits(max_header_bytes=2_000, max_body_bytes=2_000, max_streams_per_connection=8)


def corpus(kind: str) -> list[bytes]:
    """Return what is worth to be near."""
    return [path.read_bytes() for path in sorted((CORPUS / kind).iterdir())]


def hear_http1(data: bytes, step: int) -> None:
    """Answer whatever can be answered, until the connection has to end."""
    http1 = Http1(LIMITS, peer=PEER, scheme="http")
    for start in range(0, len(data) + step, step):
        http1.receive(data[start : start + step])
        while (outcome := http1.next_request()) is not None:
            assert not isinstance(outcome, Refused) or 400 <= outcome.status < 600
            http1.pending()
            http1.respond(Response.text(200, "A page."))
            if http1.must_close:
                return
            http1.next_cycle()
        assert http1.buffered <= LIMITS.max_header_bytes + step


def hear_http2(data: bytes, step: int) -> None:
    """Answer each request by a stream, and send on it."""
    http2 = Http2(LIMITS, peer=PEER, scheme="http")
    http2.start()
    group = Group(http2)
    for start in range(0, len(data), step):
        happenings = http2.receive(data[start : start + step], start / 1_000)
        for happening in happenings:
            if isinstance(happening, Asked):
                http2.respond_head(happening.stream_id, 200, [("a", "b")])
                group.add(happening.stream_id)
            elif isinstance(happening, RefusedStream):
                http2.respond_head(happening.stream_id, happening.refused.status, [], end=True)
        assert not any(isinstance(each, Gone) for each in happenings[:-1])
        assert http2.stream_count <= LIMITS.max_streams_per_connection
        assert_little_is_kept(http2)
        assert len(http2.output() + (group.frames(b"data: x\n\n") or b"")) < 100_000
    http2.overdue(1.0)
    http2.close()
    assert http2.stream_count == 0
    assert len(group) == 0


def assert_little_is_kept(http2: Http2) -> None:
    """Assert that what a connection remembers is within its bounds."""
    h2 = http2.h2
    assert len(h2.streams) <= LIMITS.max_streams_per_connection + 66
    assert len(h2.remote_settings) < 20
    assert len(h2._closed_streams) <= h2.MAX_CLOSED_STREAMS
    for table in (h2.decoder.header_table, h2.encoder.header_table):
        size = sum(32 + len(name) + len(value) for name, value in table.dynamic_entries)
        assert size <= table.maxsize <= 4096
    assert len(h2.encoder.table_size_changes) <= 2
    assert http2.uploads <= http2.stream_count
    assert len(http2._unwanted) <= 64


def decode_fields(data: bytes, step: int) -> None:
    """Read sections, each with its length before it, as hpack itself does."""
    ours, theirs = FieldDecoder(4_000), HpackDecoder(4_000)
    while data:
        section, data = data[1 : 1 + data[0]], data[1 + data[0] :]
        found, expected = _fields(ours, section), _fields(theirs, section)
        if isinstance(found, str):
            # hpack has no bound on how often a table's size changes.
            assert found == expected or section[:1] < b"\x40"
            return
        assert found == expected
        assert ours.header_table.dynamic_entries == theirs.header_table.dynamic_entries


def _fields(decoder: HpackDecoder, section: bytes) -> object:
    try:
        return [tuple(field) for field in decoder.decode(section, raw=True)]
    except OversizedHeaderListError:
        return "too large"
    except CompressionError:
        return "wrong"
    except (HPACKError, IndexError):
        assert not isinstance(decoder, FieldDecoder)
        return "wrong"


def decode(data: bytes, step: int) -> None:
    """Read it as a stream of events."""
    decoder = Decoder(max_event_bytes=1_000)
    with contextlib.suppress(EventTooLarge):
        for start in range(0, len(data), step):
            for event in decoder.feed(data[start : start + step]):
                assert len(event.data or "") <= 1_000


HEARERS: dict[str, Callable[[bytes, int], None]] = {
    "http1": hear_http1,
    "http2": hear_http2,
    "fields": decode_fields,
    "events": decode,
}
