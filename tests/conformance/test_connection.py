"""RFC 9113, 3.4, 4 and 5: how a connection begins, frames, and the states of streams."""

from __future__ import annotations

import pytest

from http2_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PEER,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    goaways,
    raw,
    raw_frames,
    resets,
)
from trio_sse.limits import Limits
from trio_sse.wire.http2 import Gone, Group, Http2, Left, WindowOpened

from .witness import (
    BROKEN,
    CANCEL,
    CLOSED,
    COMPRESSION,
    FRAME_SIZE,
    INNOCENT,
    LARGEST,
    LATER,
    LINE,
    PADDED,
    PROTOCOL,
    REFUSED,
    WITH_PRIORITY,
    Witness,
    block,
    request,
    setting,
)

ONE = (1).to_bytes(4)
TOO_LONG = bytes(16_385)

CONNECTION_ERRORS = {
    "4.2: DATA longer than we allow": (raw(DATA, 0, INNOCENT, TOO_LONG)[:9], FRAME_SIZE),
    "4.2: HEADERS longer than we allow": (raw(HEADERS, 4, BROKEN, TOO_LONG)[:9], FRAME_SIZE),
    "4.2: an unknown frame longer than we allow": (raw(99, 0, BROKEN, TOO_LONG)[:9], FRAME_SIZE),
    "4.2: DATA too short for its padding": (
        request(end=False) + raw(DATA, PADDED, BROKEN),
        FRAME_SIZE,
    ),
    "4.2: HEADERS too short for its padding": (
        raw(HEADERS, END_HEADERS | PADDED, BROKEN),
        FRAME_SIZE,
    ),
    "4.2: HEADERS too short for its priority": (
        raw(HEADERS, END_HEADERS | WITH_PRIORITY, BROKEN, bytes(4)),
        FRAME_SIZE,
    ),
    "4.3: a field section that is not HPACK": (
        raw(HEADERS, END_HEADERS, BROKEN, b"\xff" * 9),
        COMPRESSION,
    ),
    "4.3: trailers that are not HPACK": (
        request(end=False) + raw(HEADERS, END_HEADERS | END_STREAM, BROKEN, b"\x80"),
        COMPRESSION,
    ),
    "4.3: the same on a stream that is reset": (
        request() + raw(RST_STREAM, 0, BROKEN, bytes(4)) + raw(HEADERS, 5, BROKEN, b"\x80"),
        COMPRESSION,
    ),
    "5.1: DATA on an idle stream": (raw(DATA, 0, BROKEN, b"x"), PROTOCOL),
    "5.1: RST_STREAM on an idle stream": (raw(RST_STREAM, 0, BROKEN, bytes(4)), PROTOCOL),
    "5.1: WINDOW_UPDATE on an idle stream": (raw(WINDOW_UPDATE, 0, BROKEN, ONE), PROTOCOL),
    "5.1: RST_STREAM on a stream of the server's": (raw(RST_STREAM, 0, 2, bytes(4)), PROTOCOL),
    "5.1: WINDOW_UPDATE on a stream of the server's": (raw(WINDOW_UPDATE, 0, 2, ONE), PROTOCOL),
    "5.1: CONTINUATION on an idle stream": (raw(CONTINUATION, 4, BROKEN, b"\x82"), PROTOCOL),
    "5.1: DATA on a stream of the server's": (raw(DATA, 0, 2, b"x"), PROTOCOL),
    "5.1: HEADERS on a stream that both have ended": (
        request() + b"answer" + request(),
        CLOSED,
    ),
    "5.1.1: HEADERS on an even stream": (request(stream_id=2), PROTOCOL),
    "5.1.1: HEADERS on a lower stream": (request(stream_id=LATER) + request(), PROTOCOL),
    "5.5: an unknown frame within a field section": (
        raw(HEADERS, 0, BROKEN, block(LINE)) + raw(99),
        PROTOCOL,
    ),
}


@pytest.mark.parametrize(("data", "code"), CONNECTION_ERRORS.values(), ids=CONNECTION_ERRORS)
def test_an_error_of_the_connection_ends_it_with_its_code(data: bytes, code: int) -> None:
    witness = Witness()
    before, answer, after = data.partition(b"answer")
    witness.hear(before)
    if answer:
        witness.server.respond_head(BROKEN, 204, [], end=True)
        witness.hear(after)
    witness.assert_connection_ended(code)


STREAM_ERRORS = {
    "5.1: DATA after the end of the request": (request() + raw(DATA, 0, BROKEN, b"x"), CLOSED),
    "5.1: HEADERS after the end of the request": (
        request() + raw(HEADERS, END_HEADERS | END_STREAM, BROKEN, b"\x82"),
        CLOSED,
    ),
    "5.1: HEADERS after a reset by the client": (
        request() + raw(RST_STREAM, 0, BROKEN, bytes(4)) + request(),
        CLOSED,
    ),
    "5.1: DATA after a reset by the client": (
        request() + raw(RST_STREAM, 0, BROKEN, bytes(4)) + raw(DATA, 0, BROKEN, b"x"),
        CLOSED,
    ),
    "5.3: HEADERS that depend on themselves, as RFC 7540 has it": (
        raw(HEADERS, 0x25, BROKEN, BROKEN.to_bytes(4) + b"\0" + block(LINE)),
        PROTOCOL,
    ),
    "5.3: PRIORITY that depends on itself, as RFC 7540 has it": (
        request() + raw(PRIORITY, 0, BROKEN, BROKEN.to_bytes(4) + b"\0"),
        PROTOCOL,
    ),
}


@pytest.mark.parametrize(("data", "code"), STREAM_ERRORS.values(), ids=STREAM_ERRORS)
def test_an_error_of_a_stream_ends_that_stream_alone(data: bytes, code: int) -> None:
    witness = Witness()
    witness.hear(data)
    assert witness.happenings[-1] == Left(BROKEN)
    witness.assert_stream_ended(code)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "preface"),
        (PREFACE[:-1] + b"x", "preface"),
        (PREFACE + raw(PING, 0, 0, bytes(8)), "SETTINGS"),
        (PREFACE + request(), "SETTINGS"),
        (PREFACE + raw(SETTINGS, ACK), "SETTINGS"),
    ],
)
@pytest.mark.parametrize("step", [1, 1000])
def test_a_connection_begins_with_the_preface_and_settings(
    data: bytes, reason: str, step: int
) -> None:
    server = Http2(Limits(), peer=PEER, scheme="http")
    server.start()
    (gone,) = (
        each for at in range(0, len(data), step) for each in server.receive(data[at : at + step])
    )
    assert isinstance(gone, Gone)
    assert reason in gone.reason
    assert goaways(server.output()) == [(0, PROTOCOL)]
    assert server.receive(PREFACE + raw(SETTINGS)) == []


def test_the_server_begins_with_its_settings() -> None:
    limits = Limits(max_streams_per_connection=7, max_header_bytes=1000)
    server = Http2(limits, peer=PEER, scheme="http")
    server.start()
    (begins,) = raw_frames(server.output())
    assert (begins.kind, begins.flags, begins.stream_id) == (SETTINGS, 0, 0)
    assert {setting(3, 7), setting(5, 16_384), setting(6, 1000)} <= {
        begins.payload[at : at + 6] for at in range(0, len(begins.payload), 6)
    }


IGNORED = {
    "4.1: an unknown frame on the connection": raw(99, 0xFF, 0, b"?" * 100),
    "4.1: an unknown frame on an idle stream": raw(99, 0xFF, LATER, b"?"),
    "4.1: unknown flags of PING": raw(PING, 0xFE, 0, bytes(8)),
    "4.1: unknown flags of SETTINGS": raw(SETTINGS, 0xFE),
    "4.1: the reserved bit": raw(WINDOW_UPDATE, 0, 1 << 31, ONE),
    "5.1: PRIORITY on an idle stream": raw(PRIORITY, 0, LATER, bytes(5)),
    "5.3: PRIORITY on an idle stream that depends on itself": raw(
        PRIORITY, 0, LATER, LATER.to_bytes(4) + b"\0"
    ),
    "6.5.2: a setting that nobody knows": raw(SETTINGS, 0, 0, setting(0x99, 1) * 2),
    "6.5.2: SETTINGS_ENABLE_CONNECT_PROTOCOL": raw(SETTINGS, 0, 0, setting(8, 1)),
    "6.7: an answer to no PING": raw(PING, ACK, 0, bytes(8)),
    "7: an error code that nobody knows": request() + raw(RST_STREAM, 0, BROKEN, b"\0\0\0\xff"),
    "6.9: a window that opens on a stream of the past": (
        request() + raw(RST_STREAM, 0, BROKEN, bytes(4)) + raw(WINDOW_UPDATE, 0, BROKEN, ONE)
    ),
}


@pytest.mark.parametrize("data", IGNORED.values(), ids=IGNORED)
def test_what_means_nothing_harms_nothing(data: bytes) -> None:
    witness = Witness()
    witness.hear(data)
    assert resets(witness.said) == []
    witness.assert_goes_on()


def test_the_reserved_bits_are_no_part_of_a_stream_id() -> None:
    witness = Witness()
    group = Group(witness.server)
    group.add(INNOCENT)
    witness.hear(raw(WINDOW_UPDATE, 0, 1 << 31 | INNOCENT, ONE))
    assert witness.happenings[-1] == WindowOpened(INNOCENT)
    assert INNOCENT in group


def test_more_streams_than_allowed_are_refused_and_harm_no_other() -> None:
    witness = Witness(Limits(max_streams_per_connection=1))
    # The refused request is not read, but what it does to the table of fields is done.
    indexed = b"\x40\x01a\x01b"
    witness.hear(raw(HEADERS, 5, BROKEN, block(LINE) + indexed))
    assert resets(witness.said) == [(BROKEN, REFUSED)]
    witness.server.end(INNOCENT)
    witness.hear(raw(HEADERS, 5, LATER, block(LINE) + b"\xbe"))
    (asked,) = witness.happenings[-1:]
    assert asked.request.headers.get("a") == "b"  # type: ignore[union-attr]


def test_a_stream_that_is_refused_already_is_not_broken_as_well() -> None:
    witness = Witness(Limits(max_streams_per_connection=1))
    itself = BROKEN.to_bytes(4) + b"\0"
    witness.hear(raw(HEADERS, 0x25, BROKEN, itself + block(LINE)))
    assert resets(witness.said) == [(BROKEN, REFUSED)]


@pytest.mark.parametrize("purged", [False, True])
def test_frames_that_were_under_way_when_a_stream_ended_harm_nobody(purged: bool) -> None:
    witness = Witness()
    witness.hear(request())
    witness.server.respond_head(BROKEN, 204, [], end=True)
    witness.hear(request(stream_id=LATER, end=False))
    witness.server.reset(LATER, CANCEL)
    witness.hear(b"")
    if purged:
        witness.server.h2.purge()
    before = len(witness.happenings)
    for frame in [
        raw(WINDOW_UPDATE, 0, BROKEN, LARGEST),
        raw(WINDOW_UPDATE, 0, BROKEN, LARGEST),
        raw(RST_STREAM, 0, BROKEN, bytes(4)),
        raw(PRIORITY, 0, BROKEN, bytes(5)),
        raw(DATA, 0, LATER, b"x"),
        raw(HEADERS, 5, LATER, block([("a", "b")])),
        raw(WINDOW_UPDATE, 0, LATER, LARGEST),
        raw(RST_STREAM, 0, LATER, bytes(4)),
        raw(PRIORITY, 0, LATER, bytes(5)),
    ]:
        witness.hear(frame)
    assert len(witness.happenings) == before
    assert {code for _, code in resets(witness.said)} == {CANCEL, CLOSED}
    witness.assert_goes_on()
