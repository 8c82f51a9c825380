"""RFC 9113, 6: each type of frame, and what is wrong with its length, stream or contents."""

from __future__ import annotations

import pytest

from http2_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    RawFrame,
    raw,
    resets,
)
from trio_sse.wire.http2 import Gone, Left

from .witness import (
    BROKEN,
    CALM,
    FLOW_CONTROL,
    FRAME_SIZE,
    INNOCENT,
    LARGEST,
    LATER,
    LINE,
    PADDED,
    POST,
    PROTOCOL,
    WITH_PRIORITY,
    Witness,
    block,
    request,
    setting,
)

GET = block(LINE)
BEGUN = request(line=POST, end=False)
GONE = request() + raw(RST_STREAM, 0, BROKEN, bytes(4))

CONNECTION_ERRORS = {
    "6.1: DATA on stream 0": (raw(DATA, 0, 0, b"x"), PROTOCOL),
    "6.1: DATA that is all padding and more": (BEGUN + raw(DATA, PADDED, 3, b"\xffx"), PROTOCOL),
    "6.1: DATA with as much padding as it is long": (
        BEGUN + raw(DATA, PADDED, BROKEN, b"\2\0"),
        PROTOCOL,
    ),
    "6.2: HEADERS on stream 0": (request(stream_id=0), PROTOCOL),
    "6.2: HEADERS that are all padding and more": (
        raw(HEADERS, END_HEADERS | PADDED, BROKEN, b"\xff" + GET),
        PROTOCOL,
    ),
    "6.2: HEADERS with padding that reaches into the priority": (
        raw(HEADERS, 5 | PADDED | WITH_PRIORITY, BROKEN, b"\3" + bytes(5)),
        PROTOCOL,
    ),
    "6.2: HEADERS too short for padding and priority": (
        raw(HEADERS, 5 | PADDED | WITH_PRIORITY, BROKEN, bytes(5)),
        FRAME_SIZE,
    ),
    "6.3: PRIORITY on stream 0": (raw(PRIORITY, 0, 0, bytes(5)), PROTOCOL),
    "6.3: PRIORITY of a wrong length on an idle stream": (
        raw(PRIORITY, 0, LATER, bytes(4)),
        FRAME_SIZE,
    ),
    "6.4: RST_STREAM on stream 0": (raw(RST_STREAM, 0, 0, bytes(4)), PROTOCOL),
    "6.4: RST_STREAM too short": (BEGUN + raw(RST_STREAM, 0, BROKEN, bytes(3)), FRAME_SIZE),
    "6.4: RST_STREAM too short, of a stream that is gone": (
        GONE + raw(RST_STREAM, 0, BROKEN, bytes(3)),
        FRAME_SIZE,
    ),
    "6.4: RST_STREAM too long": (BEGUN + raw(RST_STREAM, 0, BROKEN, bytes(5)), FRAME_SIZE),
    "6.5: SETTINGS on a stream": (raw(SETTINGS, 0, INNOCENT), PROTOCOL),
    "6.5: SETTINGS ACK with a payload": (raw(SETTINGS, ACK, 0, setting(1, 1)), FRAME_SIZE),
    "6.5: SETTINGS of a wrong length": (raw(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE),
    "6.5.2: a push setting that is neither 0 nor 1": (raw(SETTINGS, 0, 0, setting(2, 2)), PROTOCOL),
    "6.5.2: an initial window too large": (raw(SETTINGS, 0, 0, setting(4, 2**31)), FLOW_CONTROL),
    "6.5.2: frames too small": (raw(SETTINGS, 0, 0, setting(5, 16_383)), PROTOCOL),
    "6.5.2: frames too large": (raw(SETTINGS, 0, 0, setting(5, 2**24)), PROTOCOL),
    "6.6: PUSH_PROMISE": (raw(PUSH_PROMISE, END_HEADERS, INNOCENT, bytes(4) + GET), PROTOCOL),
    "6.7: PING on a stream": (raw(PING, 0, INNOCENT, bytes(8)), PROTOCOL),
    "6.7: PING too short": (raw(PING, 0, 0, bytes(7)), FRAME_SIZE),
    "6.7: PING too long": (raw(PING, 0, 0, bytes(9)), FRAME_SIZE),
    "6.8: GOAWAY on a stream": (raw(GOAWAY, 0, INNOCENT, bytes(8)), PROTOCOL),
    "6.8: GOAWAY too short": (raw(GOAWAY, 0, 0, bytes(7)), FRAME_SIZE),
    "6.9: WINDOW_UPDATE of 0 for the connection": (raw(WINDOW_UPDATE, 0, 0, bytes(4)), PROTOCOL),
    "6.9: WINDOW_UPDATE of 0 on an idle stream": (raw(WINDOW_UPDATE, 0, LATER, bytes(4)), PROTOCOL),
    "6.9: WINDOW_UPDATE too short": (raw(WINDOW_UPDATE, 0, 0, b"\0\0\1"), FRAME_SIZE),
    "6.9: WINDOW_UPDATE too long": (raw(WINDOW_UPDATE, 0, 0, b"\0\0\0\0\1"), FRAME_SIZE),
    "6.9: WINDOW_UPDATE too long on a stream": (
        raw(WINDOW_UPDATE, 0, INNOCENT, bytes(5)),
        FRAME_SIZE,
    ),
    "6.9.1: more than the largest window": (raw(WINDOW_UPDATE, 0, 0, LARGEST), FLOW_CONTROL),
    "6.9.2: more than the largest window, by SETTINGS": (
        request()
        + raw(WINDOW_UPDATE, 0, BROKEN, (2**31 - 2**16).to_bytes(4))
        + raw(SETTINGS, 0, 0, setting(4, 65_536)),
        FLOW_CONTROL,
    ),
    "6.10: CONTINUATION after the end of a field section": (
        request() + raw(CONTINUATION, END_HEADERS, BROKEN, b"\x82"),
        PROTOCOL,
    ),
    "6.10: CONTINUATION after DATA": (
        BEGUN + raw(DATA, 0, BROKEN, b"x") + raw(CONTINUATION, END_HEADERS, BROKEN, b"\x82"),
        PROTOCOL,
    ),
    "6.10: CONTINUATION on a stream that is gone and forgotten": (
        GONE + raw(SETTINGS) + raw(CONTINUATION, END_HEADERS, BROKEN, b"\x82"),
        PROTOCOL,
    ),
    "6.10: CONTINUATION on stream 0": (raw(CONTINUATION, END_HEADERS, 0, GET), PROTOCOL),
    "6.10: CONTINUATION of another stream": (
        raw(HEADERS, 0, BROKEN, GET) + raw(CONTINUATION, END_HEADERS, LATER),
        PROTOCOL,
    ),
    "6.10: a field section with RST_STREAM of a stream that is gone in it": (
        GONE + raw(HEADERS, 0, LATER, GET) + raw(RST_STREAM, 0, BROKEN, bytes(4)),
        PROTOCOL,
    ),
    "6.10: CONTINUATION without end": (
        raw(HEADERS, 0, BROKEN, GET) + raw(CONTINUATION, 0, BROKEN) * 64,
        PROTOCOL,
    ),
    "10.5.1: fields of twice what is allowed and no end": (
        raw(HEADERS, 0, BROKEN, GET) + raw(CONTINUATION, 0, BROKEN, bytes(16_384)) * 2,
        CALM,
    ),
    "10.5.1: a few bytes that stand for twice what is allowed": (
        raw(HEADERS, 5, BROKEN, GET + b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 8),
        CALM,
    ),
} | {
    f"6.10: a field section with a frame of type {kind} on stream {stream_id} in it": (
        raw(HEADERS, 0, BROKEN, GET) + raw(kind, 0, stream_id, payload),
        PROTOCOL,
    )
    for kind, stream_id, payload in [
        (DATA, INNOCENT, b"x"),
        (HEADERS, BROKEN, GET),
        (PRIORITY, BROKEN, bytes(5)),
        (PRIORITY, INNOCENT, bytes(5)),
        (RST_STREAM, INNOCENT, bytes(4)),
        (SETTINGS, 0, b""),
        (PING, 0, bytes(8)),
        (GOAWAY, 0, bytes(8)),
        (WINDOW_UPDATE, 0, LARGEST),
        (WINDOW_UPDATE, 0, b"\0\0\0\1"),
        (WINDOW_UPDATE, INNOCENT, bytes(4)),
    ]
}


@pytest.mark.parametrize(("data", "code"), CONNECTION_ERRORS.values(), ids=CONNECTION_ERRORS)
def test_an_error_of_the_connection_ends_it_with_its_code(data: bytes, code: int) -> None:
    witness = Witness()
    witness.hear(data)
    witness.assert_connection_ended(code)


STREAM_ERRORS = {
    "6.3: PRIORITY too short": (raw(PRIORITY, 0, BROKEN, bytes(4)), FRAME_SIZE),
    "6.3: PRIORITY too long": (raw(PRIORITY, 0, BROKEN, bytes(6)), FRAME_SIZE),
    "6.9: WINDOW_UPDATE of 0": (raw(WINDOW_UPDATE, 0, BROKEN, bytes(4)), PROTOCOL),
    "6.9: WINDOW_UPDATE of 0 and the reserved bit": (
        raw(WINDOW_UPDATE, 0, BROKEN, b"\x80\0\0\0"),
        PROTOCOL,
    ),
    "6.9.1: more than the largest window": (raw(WINDOW_UPDATE, 0, BROKEN, LARGEST), FLOW_CONTROL),
}


@pytest.mark.parametrize(("data", "code"), STREAM_ERRORS.values(), ids=STREAM_ERRORS)
@pytest.mark.parametrize("uploading", [False, True])
def test_an_error_of_a_stream_ends_that_stream_alone(
    data: bytes, code: int, uploading: bool
) -> None:
    witness = Witness()
    witness.hear((BEGUN if uploading else request()) + data)
    assert (witness.happenings[-1] == Left(BROKEN)) is not uploading
    assert witness.server.uploads == 0
    witness.assert_stream_ended(code)


TAKEN = {
    "6.1: DATA of the greatest length": BEGUN + raw(DATA, END_STREAM, BROKEN, bytes(16_384)),
    "6.1: DATA with nothing in it": BEGUN + raw(DATA, 0, BROKEN) + raw(DATA, END_STREAM, BROKEN),
    "6.1: DATA with padding and nothing else": (
        BEGUN + raw(DATA, PADDED | END_STREAM, BROKEN, b"\2\0\0")
    ),
    "6.2: HEADERS with padding and a priority": raw(
        HEADERS, 5 | PADDED | WITH_PRIORITY, BROKEN, b"\1" + bytes(5) + GET + b"\0"
    ),
    "6.2: HEADERS with nothing in them but padding": (
        raw(HEADERS, END_STREAM | PADDED, BROKEN, b"\1\0")
        + raw(CONTINUATION, END_HEADERS, BROKEN, GET)
    ),
    "6.3: PRIORITY": request() + raw(PRIORITY, 0, BROKEN, bytes(5)),
    "6.5: one setting several times": (
        raw(SETTINGS, 0, 0, setting(4, 1) + setting(4, 70_000)) + request()
    ),
    "6.10: fields a byte at a time": (
        raw(HEADERS, END_STREAM, BROKEN)
        + b"".join(raw(CONTINUATION, 0, BROKEN, GET[at : at + 2]) for at in range(0, len(GET), 2))
        + raw(CONTINUATION, END_HEADERS, BROKEN)
    ),
}


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN)
def test_what_is_odd_and_allowed_is_taken(data: bytes) -> None:
    witness = Witness()
    witness.hear(data)
    assert witness.asked(BROKEN)
    assert resets(witness.said) == []
    witness.server.respond_head(BROKEN, 204, [], end=True)
    witness.assert_goes_on()


def test_a_ping_is_answered_with_what_it_says() -> None:
    witness = Witness()
    witness.hear(raw(PING, 0, 0, b"whatever"))
    assert witness.frames == [RawFrame(PING, ACK, 0, b"whatever")]


def test_settings_are_acknowledged_each() -> None:
    witness = Witness()
    witness.hear(raw(SETTINGS) + raw(SETTINGS, 0, 0, setting(3, 0)))
    assert witness.frames == [RawFrame(SETTINGS, ACK, 0, b"")] * 2


def test_settings_that_nobody_knows_are_not_kept() -> None:
    witness = Witness()
    for first in range(0x100, 0x2000, 1000):
        unknown = (setting(identifier, 1) for identifier in range(first, first + 1000))
        witness.hear(raw(SETTINGS, 0, 0, b"".join(unknown)))
    assert len(witness.server.h2.remote_settings) < 20
    witness.assert_goes_on()


def test_the_streams_of_a_client_that_will_ask_no_more_go_on() -> None:
    witness = Witness()
    witness.hear(BEGUN + raw(GOAWAY, 0, 0, bytes(8) + b"good-bye") + raw(DATA, 1, BROKEN, b"x"))
    assert witness.asked(BROKEN)
    witness.server.respond_head(BROKEN, 204, [], end=True)
    witness.assert_goes_on()
    witness.hear(raw(GOAWAY, 0, 0, bytes(8)))
    assert isinstance(witness.happenings[-1], Gone)


@pytest.mark.parametrize("code", [PROTOCOL, 0xFF])
def test_a_client_that_has_met_an_error_is_not_answered(code: int) -> None:
    witness = Witness()
    witness.hear(raw(GOAWAY, 0, 0, bytes(4) + code.to_bytes(4)) + request())
    gone = witness.happenings[-1]
    assert isinstance(gone, Gone)
    assert gone.by_peer
    assert gone.error_code == code
    assert witness.said == b""
