"""What an HTTP/2 client may not do, and what it is told: RFC 9113's error codes."""

from __future__ import annotations

import pytest
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from hypothesis import given, settings
from hypothesis import strategies as st

from http2_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    LARGEST_WINDOW,
    PEER,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Client,
    goaways,
    raw,
    resets,
)
from trio_sse.limits import Limits
from trio_sse.wire.http2 import Gone, Group, Http2, Left, WindowOpened

PROTOCOL, FLOW_CONTROL, CLOSED = 1, 3, 5
FRAME_SIZE, COMPRESSION, CALM = 6, 9, 11

LARGEST = LARGEST_WINDOW.to_bytes(4)


def setting(identifier: int, value: int) -> bytes:
    return identifier.to_bytes(2) + value.to_bytes(4)


def header_block(headers: list[tuple[str, str]]) -> bytes:
    """Encode fields as a client's first section."""
    return bytes(H2Connection().encoder.encode(headers))


HEADER_BLOCK = header_block(GET)
POST_BLOCK = header_block([*POST, ("content-length", "3")])

# Sent after the preface and SETTINGS. Section numbers are those of RFC 9113.
CONNECTION_ERRORS = {
    "4.2: a frame longer than we allow": (raw(DATA, 0, 1, b"x" * 16_385)[:9], FRAME_SIZE),
    "4.3: a field section that is not HPACK": (
        raw(HEADERS, END_HEADERS, 1, b"\xff" * 9),
        COMPRESSION,
    ),
    "5.1: DATA on an idle stream": (raw(DATA, 0, 1, b"x"), PROTOCOL),
    "5.1: WINDOW_UPDATE on an idle stream": (raw(WINDOW_UPDATE, 0, 1, LARGEST), PROTOCOL),
    "5.1.1: HEADERS on an even stream": (raw(HEADERS, END_HEADERS, 2, HEADER_BLOCK), PROTOCOL),
    "5.1.1: HEADERS on a lower stream": (
        raw(HEADERS, END_HEADERS, 3, HEADER_BLOCK) + raw(HEADERS, END_HEADERS, 1, HEADER_BLOCK),
        PROTOCOL,
    ),
    "5.5: an unknown frame within a field section": (
        raw(HEADERS, 0, 1, HEADER_BLOCK) + raw(99),
        PROTOCOL,
    ),
    "6.1: DATA on stream 0": (raw(DATA, 0, 0, b"x"), PROTOCOL),
    "6.1: DATA that is all padding and more": (
        raw(HEADERS, END_HEADERS, 1, HEADER_BLOCK) + raw(DATA, 8, 1, b"\xffx"),
        PROTOCOL,
    ),
    "6.2: HEADERS on stream 0": (raw(HEADERS, END_HEADERS, 0, HEADER_BLOCK), PROTOCOL),
    "6.3: PRIORITY of a wrong length": (raw(PRIORITY, 0, 1, b"1234"), FRAME_SIZE),
    "6.4: RST_STREAM on stream 0": (raw(RST_STREAM, 0, 0, bytes(4)), PROTOCOL),
    "6.4: RST_STREAM of a wrong length": (raw(RST_STREAM, 0, 1, bytes(5)), FRAME_SIZE),
    "6.5: SETTINGS on a stream": (raw(SETTINGS, 0, 1), PROTOCOL),
    "6.5: SETTINGS ACK with a payload": (raw(SETTINGS, ACK, 0, setting(1, 1)), FRAME_SIZE),
    "6.5: SETTINGS of a wrong length": (raw(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE),
    "6.5.2: a push setting that is neither 0 nor 1": (raw(SETTINGS, 0, 0, setting(2, 2)), PROTOCOL),
    "6.5.2: an initial window too large": (raw(SETTINGS, 0, 0, setting(4, 2**31)), FLOW_CONTROL),
    "6.5.2: frames too small": (raw(SETTINGS, 0, 0, setting(5, 16_383)), PROTOCOL),
    "6.5.2: frames too large": (raw(SETTINGS, 0, 0, setting(5, 2**24)), PROTOCOL),
    "6.6: PUSH_PROMISE": (raw(PUSH_PROMISE, END_HEADERS, 1, bytes(4) + HEADER_BLOCK), PROTOCOL),
    "6.7: PING on a stream": (raw(PING, 0, 1, bytes(8)), PROTOCOL),
    "6.7: PING too short": (raw(PING, 0, 0, bytes(7)), FRAME_SIZE),
    "6.7: PING too long": (raw(PING, 0, 0, bytes(9)), FRAME_SIZE),
    "6.8: GOAWAY on a stream": (raw(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "6.9: WINDOW_UPDATE of 0": (raw(WINDOW_UPDATE, 0, 0, bytes(4)), PROTOCOL),
    "6.9: WINDOW_UPDATE of a wrong length": (raw(WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE),
    "6.9.1: more than the largest window": (raw(WINDOW_UPDATE, 0, 0, LARGEST), FLOW_CONTROL),
    "6.9.2: more than the largest window, by SETTINGS": (
        raw(HEADERS, END_HEADERS, 1, HEADER_BLOCK)
        + raw(WINDOW_UPDATE, 0, 1, (2**31 - 2**16).to_bytes(4))
        + raw(SETTINGS, 0, 0, setting(4, 65_536)),
        FLOW_CONTROL,
    ),
    "6.10: CONTINUATION without HEADERS": (
        raw(CONTINUATION, END_HEADERS, 1, HEADER_BLOCK),
        PROTOCOL,
    ),
    "6.10: CONTINUATION of another stream": (
        raw(HEADERS, 0, 1, HEADER_BLOCK) + raw(CONTINUATION, END_HEADERS, 3),
        PROTOCOL,
    ),
    "6.10: CONTINUATION without end": (
        raw(HEADERS, 0, 1, HEADER_BLOCK) + raw(CONTINUATION, 0, 1) * 64,
        PROTOCOL,
    ),
    "8.1.1: a body longer than announced": (
        raw(HEADERS, END_HEADERS, 1, POST_BLOCK) + raw(DATA, 0, 1, b"1234"),
        PROTOCOL,
    ),
    "8.1.1: a body shorter than announced": (
        raw(HEADERS, END_HEADERS, 1, POST_BLOCK) + raw(DATA, END_STREAM, 1, b"12"),
        PROTOCOL,
    ),
    "8.1.1: a length that is no number": (
        raw(HEADERS, END_HEADERS, 1, header_block([*POST, ("content-length", "-1")])),
        PROTOCOL,
    ),
    "10.5.1: fields of twice what is allowed and no end": (
        raw(HEADERS, 0, 1, HEADER_BLOCK) + raw(CONTINUATION, 0, 1, bytes(16_384)) * 2,
        CALM,
    ),
    "10.5.1: a few bytes that stand for twice what is allowed": (
        raw(HEADERS, END_HEADERS, 1, header_block([*GET, ("a", "x" * 4_000)]) + b"\xbe" * 8),
        CALM,
    ),
}


def connected() -> Http2:
    server = Http2(Limits(max_header_bytes=16_384), peer=PEER, scheme="http")
    server.start()
    server.receive(PREFACE + raw(SETTINGS) + raw(SETTINGS, ACK))
    server.output()
    return server


@pytest.mark.parametrize(("data", "code"), CONNECTION_ERRORS.values(), ids=CONNECTION_ERRORS)
def test_an_error_of_the_connection_ends_it_with_its_code(data: bytes, code: int) -> None:
    server = connected()
    happenings = server.receive(data)
    gone = happenings[-1]
    assert isinstance(gone, Gone)
    assert gone.error_code == code
    assert not gone.by_peer
    assert [code for _, code in goaways(server.output())] == [code]
    assert server.receive(raw(PING, 0, 0, bytes(8))) == []
    assert server.output() == b""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "preface"),
        (PREFACE[:-1] + b"x", "preface"),
        (PREFACE + raw(PING, 0, 0, bytes(8)), "SETTINGS"),
        (PREFACE + raw(SETTINGS, ACK), "SETTINGS"),
    ],
)
def test_a_connection_begins_with_the_preface_and_settings(data: bytes, reason: str) -> None:
    server = Http2(Limits(), peer=PEER, scheme="http")
    server.start()
    (gone,) = server.receive(data)
    assert isinstance(gone, Gone)
    assert reason in gone.reason
    assert goaways(server.output()) == [(0, PROTOCOL)]
    assert server.receive(PREFACE + raw(SETTINGS)) == []


# Sent on stream 1, which listens, while stream 3 listens as well.
STREAM_ERRORS = {
    "5.1: DATA after the end of the request": (raw(DATA, 0, 1, b"x"), CLOSED),
    "5.1: HEADERS after the end of the request": (
        raw(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82"),
        CLOSED,
    ),
    "6.9.1: more than the largest window": (raw(WINDOW_UPDATE, 0, 1, LARGEST), FLOW_CONTROL),
}


@pytest.mark.parametrize(("data", "code"), STREAM_ERRORS.values(), ids=STREAM_ERRORS)
def test_an_error_of_a_stream_ends_that_stream_alone(data: bytes, code: int) -> None:
    client = Client()
    broken, other = client.listen(), client.listen()
    assert client.server.receive(data) == [Left(broken)]
    assert resets(client.server.output()) == [(broken, code)]
    client.server.send(other, b"data")
    client.exchange()
    assert client.body(other) == b"data"


def test_frames_of_unknown_types_and_priorities_are_ignored() -> None:
    server = connected()
    assert server.receive(raw(99, 0xFF, 5, b"?") + raw(PRIORITY, 0, 3, bytes(5))) == []
    assert server.output() == b""


def test_the_reserved_bit_is_ignored() -> None:
    client = Client(initial_window=LARGEST_WINDOW)
    stream_id = client.listen()
    group = Group(client.server)
    group.add(stream_id)
    assert group.frames(b"x")
    happenings = client.server.receive(raw(WINDOW_UPDATE, 0, 1 << 31 | stream_id, (1).to_bytes(4)))
    assert happenings == [WindowOpened(stream_id)]
    assert stream_id in group


def test_frames_that_were_under_way_when_a_stream_ended_harm_nobody() -> None:
    client = Client()
    ended, cancelled, other = client.listen(), client.ask(POST, end=False), client.listen()
    client.server.end(ended)
    client.server.reset(cancelled, int(ErrorCodes.CANCEL))
    late = [
        raw(WINDOW_UPDATE, 0, ended, LARGEST),
        raw(RST_STREAM, 0, ended, bytes(4)),
        raw(DATA, 0, cancelled, b"x"),
        raw(WINDOW_UPDATE, 0, cancelled, LARGEST),
        raw(RST_STREAM, 0, cancelled, bytes(4)),
    ]
    for purged in (False, True):
        for frame in late:
            assert client.server.receive(frame) == []
        if not purged:
            client.server.h2.purge()
    assert client.server.is_open(other)


FRAME_KINDS = st.integers(0, 10)
STREAM_IDS = st.sampled_from([0, 1, 2, 3, 5, 7, 2**31 - 1])
PAYLOADS = st.one_of(st.binary(max_size=40), st.sampled_from([HEADER_BLOCK, bytes(4), LARGEST]))
FRAMES = st.builds(raw, FRAME_KINDS, st.integers(0, 255), STREAM_IDS, PAYLOADS)


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=30), st.integers(1, 100))
def test_no_sequence_of_frames_raises(frames: list[bytes], step: int) -> None:
    server = connected()
    listens(server, b"".join(frames), step)


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(1, 100))
def test_no_bytes_raise(data: bytes, step: int) -> None:
    listens(Http2(Limits(), peer=PEER, scheme="http"), data, step)
    listens(connected(), data, step)


@settings(deadline=None)
@given(st.data())
def test_no_damage_to_a_conversation_raises(data: st.DataObject) -> None:
    client = Client()
    client.ask()
    upload = client.ask(POST, end=False)
    client.h2.send_data(upload, b"body", end_stream=True)
    client.h2.increment_flow_control_window(10, upload)
    client.set_initial_window(100)
    sent = client.sent
    for at in data.draw(st.lists(st.integers(len(PREFACE), len(sent) - 1), max_size=5)):
        sent[at] = data.draw(st.integers(0, 255))
    server = Http2(Limits(), peer=PEER, scheme="http")
    server.start()
    listens(server, bytes(sent), data.draw(st.integers(1, 100)))


def listens(server: Http2, data: bytes, step: int) -> None:
    """Give the server bytes, and check that it ends the connection once at most."""
    happenings = [
        each for at in range(0, len(data), step) for each in server.receive(data[at : at + step])
    ]
    ends = [each for each in happenings if isinstance(each, Gone)]
    assert ends == happenings[-1:] * len(ends)
    ours = [each for each in ends if not each.by_peer]
    assert len(goaways(server.output())) == len(ours)
