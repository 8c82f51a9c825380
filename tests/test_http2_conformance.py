"""What RFC 9113 and RFC 7541 say of each frame, in their order: the code, and how far it reaches.

Beside test_http2_violations.py, whose tables have the plainest cases. A stream error may be
answered by a response, and may be made one of the connection (RFC 9113, 8.1.1 and 5.4.1).
"""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes

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
    PING,
    POST,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Client,
    goaways,
    raw,
    raw_frames,
    resets,
)
from test_http2_violations import HEADER_BLOCK, connected, header_block, setting
from trio_sse.wire.http2 import Asked, Gone, Http2, RefusedStream

PROTOCOL, CLOSED = 1, 5
FRAME_SIZE, COMPRESSION = 6, 9
PADDED, WITH_PRIORITY = 8, 32

ASK = raw(HEADERS, END_HEADERS | END_STREAM, 1, HEADER_BLOCK)
BEGIN = raw(HEADERS, END_HEADERS, 1, header_block(POST))
CANCELLED = ASK + raw(RST_STREAM, 0, 1, bytes(4))
PLAIN_HEAD = HEADER_BLOCK[:5]

CONNECTION_ERRORS: dict[str, tuple[bytes, set[int]]] = {
    "4.2: HEADERS longer than allowed": (raw(HEADERS, 4, 1, bytes(16_385)), {FRAME_SIZE}),
    "4.2: SETTINGS longer than allowed": (raw(SETTINGS, 0, 0, bytes(16_386)), {FRAME_SIZE}),
    "4.3: a head interrupted by PRIORITY": (
        raw(HEADERS, 0, 1, PLAIN_HEAD) + raw(PRIORITY, 0, 1, bytes(5)),
        {PROTOCOL},
    ),
    "4.3: a head interrupted by one of another stream": (
        raw(HEADERS, 0, 1, PLAIN_HEAD) + raw(HEADERS, END_HEADERS, 3, HEADER_BLOCK),
        {PROTOCOL},
    ),
    "4.3: a head interrupted by DATA": (
        raw(HEADERS, 0, 1, PLAIN_HEAD) + raw(DATA, 0, 1, b"x"),
        {PROTOCOL},
    ),
    "4.3: a head interrupted by PING": (
        raw(HEADERS, 0, 1, PLAIN_HEAD) + raw(PING, 0, 0, bytes(8)),
        {PROTOCOL},
    ),
    "4.3: a head interrupted by a window": (
        raw(HEADERS, 0, 1, PLAIN_HEAD) + raw(WINDOW_UPDATE, 0, 0, (1).to_bytes(4)),
        {PROTOCOL},
    ),
    "5.1: RST_STREAM on an idle stream": (raw(RST_STREAM, 0, 1, bytes(4)), {PROTOCOL}),
    "5.1: CONTINUATION after the end of the request": (
        ASK + raw(CONTINUATION, END_HEADERS, 1),
        {PROTOCOL, CLOSED},
    ),
    "5.1: CONTINUATION on a stream that was cancelled": (
        CANCELLED + raw(CONTINUATION, END_HEADERS, 1),
        {PROTOCOL, CLOSED},
    ),
    "6.2: HEADERS of all padding and more": (
        raw(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + HEADER_BLOCK),
        {PROTOCOL},
    ),
    "6.2: HEADERS without room for their own length of padding": (
        raw(HEADERS, END_HEADERS | PADDED, 1),
        {PROTOCOL, FRAME_SIZE},
    ),
    "6.2: HEADERS without room for their own priority": (
        raw(HEADERS, END_HEADERS | WITH_PRIORITY, 1, b"\0\0"),
        {PROTOCOL, FRAME_SIZE},
    ),
    "6.1: DATA without room for its own length of padding": (
        BEGIN + raw(DATA, PADDED, 1),
        {PROTOCOL, FRAME_SIZE},
    ),
    "6.3: PRIORITY on stream 0": (raw(PRIORITY, 0, 0, bytes(5)), {PROTOCOL}),
    "6.4: RST_STREAM too short": (ASK + raw(RST_STREAM, 0, 1, bytes(3)), {FRAME_SIZE}),
    "6.8: GOAWAY too short": (raw(GOAWAY, 0, 0, bytes(7)), {FRAME_SIZE}),
    "6.9: WINDOW_UPDATE too long": (raw(WINDOW_UPDATE, 0, 0, bytes(5)), {FRAME_SIZE}),
    "6.10: CONTINUATION on stream 0": (raw(CONTINUATION, END_HEADERS, 0), {PROTOCOL}),
    "6.10: CONTINUATION after a whole head": (ASK + raw(CONTINUATION, 0, 1), {PROTOCOL, CLOSED}),
    "6.10: CONTINUATION after the last one": (
        raw(HEADERS, END_STREAM, 1, PLAIN_HEAD)
        + raw(CONTINUATION, END_HEADERS, 1, HEADER_BLOCK[5:])
        + raw(CONTINUATION, END_HEADERS, 1),
        {PROTOCOL, CLOSED},
    ),
    "6.10: CONTINUATION after DATA": (
        BEGIN + raw(DATA, 0, 1, b"x") + raw(CONTINUATION, END_HEADERS, 1),
        {PROTOCOL},
    ),
    "RFC 7541, 2.3.3: an index that nothing has": (
        raw(HEADERS, END_HEADERS, 1, HEADER_BLOCK + b"\xff\x7f"),
        {COMPRESSION},
    ),
    "RFC 7541, 6.1: index 0": (raw(HEADERS, END_HEADERS, 1, b"\x80"), {COMPRESSION}),
    "RFC 7541, 4.2: a table size update at the end": (
        raw(HEADERS, END_HEADERS, 1, HEADER_BLOCK + b"\x20"),
        {COMPRESSION},
    ),
    "RFC 7541, 6.3: a table larger than allowed": (
        raw(HEADERS, END_HEADERS, 1, b"\x3f\xe2\x1f" + HEADER_BLOCK),
        {COMPRESSION},
    ),
    "RFC 7541, 5.1: an integer without end": (
        raw(HEADERS, END_HEADERS, 1, b"\xff" + b"\xff" * 20),
        {COMPRESSION},
    ),
    "RFC 7541, 5.1: an integer that is cut": (raw(HEADERS, END_HEADERS, 1, b"\xff"), {COMPRESSION}),
    "RFC 7541, 5.2: a string longer than the head": (
        raw(HEADERS, END_HEADERS, 1, b"\x00\x01a\x7f\xff\x01b"),
        {COMPRESSION},
    ),
    "RFC 7541, 5.2: padding of more than 7 bits": (
        raw(HEADERS, END_HEADERS, 1, b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"),
        {COMPRESSION},
    ),
    "RFC 7541, 5.2: padding that is not the end's": (
        raw(HEADERS, END_HEADERS, 1, b"\x00\x85\xf2\xb2\x4a\x87\xff\xff\xff\xfd\x25\x42\x7f"),
        {COMPRESSION},
    ),
    "RFC 7541, 5.2: padding of zeros": (
        raw(HEADERS, END_HEADERS, 1, b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"),
        {COMPRESSION},
    ),
}


@pytest.mark.parametrize(("data", "codes"), CONNECTION_ERRORS.values(), ids=CONNECTION_ERRORS)
def test_an_error_of_the_connection_ends_it(data: bytes, codes: set[int]) -> None:
    server = connected()
    gone = server.receive(data)[-1]
    assert isinstance(gone, Gone)
    assert gone.error_code in codes
    assert gone.offence == ErrorCodes(gone.error_code).name.lower()
    assert [code for _, code in goaways(server.output())] == [gone.error_code]


def frames_after(data: bytes) -> Http2:
    """A server that has heard these, and goes on."""
    server = connected()
    assert not any(isinstance(each, Gone) for each in server.receive(data))
    return server


STREAM_ERRORS: dict[str, tuple[bytes, int]] = {
    "5.1: DATA on a stream that the client has cancelled": (
        CANCELLED + raw(DATA, 0, 1, b"x"),
        CLOSED,
    ),
    "5.1: HEADERS on a stream that the client has cancelled": (
        CANCELLED + raw(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82"),
        CLOSED,
    ),
    "6.9: a stream's window opened by nothing": (
        ASK + raw(WINDOW_UPDATE, 0, 1, bytes(4)),
        PROTOCOL,
    ),
}


@pytest.mark.parametrize(("data", "code"), STREAM_ERRORS.values(), ids=STREAM_ERRORS)
def test_an_error_of_a_stream_ends_that_stream_at_most_with_the_connection(
    data: bytes, code: int
) -> None:
    server = connected()
    gone = [each for each in server.receive(data) if isinstance(each, Gone)]
    output = server.output()
    if gone:
        assert [each for _, each in goaways(output)] == [code]
    else:
        assert resets(output) == [(1, code)]


IGNORED = {
    "4.1: flags without a meaning": raw(PING, 0xFE & ~ACK, 0, b"12345678"),
    "4.1: the reserved bit": raw(PING, 0, 1 << 31, b"12345678"),
    "5.3: a stream that depends on itself": raw(PRIORITY, 0, 3, (3).to_bytes(4) + b"\x10"),
    "5.3: PRIORITY on an idle stream": raw(PRIORITY, 0, 99, bytes(5)),
    "6.5.2: a setting that nobody knows": raw(SETTINGS, 0, 0, setting(0x99, 1)),
    "6.5.2: SETTINGS_ENABLE_CONNECT_PROTOCOL": raw(SETTINGS, 0, 0, setting(8, 1)),
    "6.7: an answer to no PING": raw(PING, ACK, 0, b"12345678"),
    "7: an error code that nobody knows": ASK + raw(RST_STREAM, 0, 1, (0xFF).to_bytes(4)),
    "an empty SETTINGS": raw(SETTINGS),
}


@pytest.mark.parametrize("what", IGNORED)
def test_what_has_no_meaning_here_is_ignored(what: str) -> None:
    server = frames_after(IGNORED[what])
    asked = server.receive(raw(HEADERS, END_HEADERS | END_STREAM, 101, HEADER_BLOCK))
    assert [type(each) for each in asked] == [Asked]
    assert goaways(server.output()) == []


def test_a_ping_is_answered_with_its_own_words() -> None:
    server = frames_after(raw(PING, 0, 0, b"abcdefgh"))
    (answer,) = raw_frames(server.output())
    assert (answer.kind, answer.flags, answer.payload) == (PING, ACK, b"abcdefgh")


def test_settings_are_acknowledged_and_the_last_of_two_values_is_taken() -> None:
    client = Client()
    stream_id = client.listen()
    client.server.receive(raw(SETTINGS, 0, 0, setting(4, 100) + setting(4, 3)))
    (answer,) = raw_frames(client.server.output())
    assert (answer.kind, answer.flags, answer.payload) == (SETTINGS, ACK, b"")
    assert client.server.window(stream_id) == 3


def test_a_window_may_be_less_than_nothing_and_is_opened_to_more() -> None:
    client = Client()
    stream_id = client.listen()
    assert client.server.send(stream_id, b"x" * 100) == 100
    client.server.receive(raw(SETTINGS, 0, 0, setting(4, 0)))
    assert client.server.window(stream_id) == 0
    client.server.receive(raw(WINDOW_UPDATE, 0, stream_id, (100).to_bytes(4)))
    assert client.server.send(stream_id, b"x") == 0
    client.server.receive(raw(WINDOW_UPDATE, 0, stream_id, (1).to_bytes(4)))
    assert client.server.send(stream_id, b"xy") == 1


def test_a_frame_of_the_greatest_length_is_taken() -> None:
    server = frames_after(BEGIN + raw(DATA, END_STREAM, 1, bytes(16_384)))
    assert goaways(server.output()) == []


def test_a_head_may_come_in_many_frames_padded_and_with_a_priority() -> None:
    server = connected()
    first = raw(
        HEADERS,
        END_STREAM | PADDED | WITH_PRIORITY,
        1,
        b"\x03" + bytes(5) + PLAIN_HEAD + bytes(3),
    )
    rest = [HEADER_BLOCK[at : at + 1] for at in range(5, len(HEADER_BLOCK))]
    assert server.receive(first) == []
    for piece in rest:
        assert server.receive(raw(CONTINUATION, 0, 1, piece)) == []
    (asked,) = server.receive(raw(CONTINUATION, END_HEADERS, 1))
    assert isinstance(asked, Asked)


# -- requests (RFC 9113, 8.1 to 8.3) ------------------------------------------------------

PSEUDO = dict(GET)

MALFORMED: dict[str, list[tuple[str, str]]] = {
    "8.2.1: a name in capitals": [*GET, ("X-A", "b")],
    "8.2.1: a name with a space": [*GET, ("a b", "c")],
    "8.2.1: a name with a colon": [*GET, ("a:b", "c")],
    "8.2.1: a name with a control character": [*GET, ("a\x7f", "c")],
    "8.2.1: no name": [*GET, ("", "c")],
    "8.2.1: a line end in a value": [*GET, ("a", "b\nc")],
    "8.2.1: CR in a value": [*GET, ("a", "b\rc")],
    "8.2.1: NUL in a value": [*GET, ("a", "b\0c")],
    "8.2.1: a space before a value": [*GET, ("a", " b")],
    "8.2.1: a tab after a value": [*GET, ("a", "b\t")],
    "8.2.2: connection": [*GET, ("connection", "close")],
    "8.2.2: keep-alive": [*GET, ("keep-alive", "1")],
    "8.2.2: proxy-connection": [*GET, ("proxy-connection", "close")],
    "8.2.2: transfer-encoding": [*GET, ("transfer-encoding", "chunked")],
    "8.2.2: upgrade": [*GET, ("upgrade", "h2c")],
    "8.2.2: te": [*GET, ("te", "gzip")],
    "8.3: a pseudo-header field that nobody knows": [*GET, (":a", "b")],
    "8.3: one of answers": [*GET, (":status", "200")],
    "8.3: one after the others": [GET[0], ("a", "b"), *GET[1:]],
    "8.3: one twice": [*GET, GET[0]],
    "8.3.1: no method": GET[1:],
    "8.3.1: no scheme": [each for each in GET if each[0] != ":scheme"],
    "8.3.1: no path": [each for each in GET if each[0] != ":path"],
    "8.3.1: an empty path": [*GET[:3], (":path", "")],
    "8.3.1: a path without a slash": [*GET[:3], (":path", "a")],
    "8.3.1: an asterisk for a GET": [*GET[:3], (":path", "*")],
    "8.3.1: a host with a user": [*GET[:2], (":authority", "a@b"), GET[3]],
    "8.3.1: two hosts": [*GET, ("host", "elsewhere")],
    "8.3.1: no host at all": [each for each in GET if each[0] != ":authority"],
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_request_is_refused_and_the_connection_goes_on(what: str) -> None:
    client = Client()
    other = client.listen()
    stream_id = client.ask(MALFORMED[what])
    (refused,) = [each for each in client.happenings if isinstance(each, RefusedStream)]
    assert refused.stream_id == stream_id
    assert refused.refused.status == 400
    assert client.server.is_open(other)


TRAILERS: dict[str, list[tuple[str, str]]] = {
    "8.1: a pseudo-header field": [(":path", "/elsewhere")],
    "8.1: a status": [(":status", "200")],
    "8.2.1: a name in capitals": [("X-A", "b")],
    "8.2.1: a line end in a value": [("a", "b\nc")],
    "8.2.2: transfer-encoding": [("transfer-encoding", "chunked")],
}


@pytest.mark.parametrize("what", TRAILERS)
def test_malformed_trailers_make_the_request_malformed(what: str) -> None:
    client = Client()
    stream_id = client.ask(POST, end=False)
    client.h2.send_data(stream_id, b"body")
    block = client.h2.encoder.encode(TRAILERS[what])
    client.exchange()
    happened = client.server.receive(raw(HEADERS, END_HEADERS | END_STREAM, stream_id, block))
    (refused,) = happened
    assert isinstance(refused, RefusedStream)
    assert refused.refused.status == 400


def test_trailers_that_are_well_formed_are_passed_over() -> None:
    client = Client()
    stream_id = client.ask(POST, end=False)
    client.h2.send_data(stream_id, b"body")
    client.h2.send_headers(stream_id, [("expires", "never")], end_stream=True)
    client.exchange()
    assert client.asked(stream_id).request.body == b"body"


def test_trailers_without_an_end_are_an_error() -> None:
    server = connected()
    happened = server.receive(BEGIN + raw(HEADERS, END_HEADERS, 1, b"\x00\x01a\x01b"))
    assert isinstance(happened[-1], Gone)
    assert happened[-1].error_code == PROTOCOL


def test_the_largest_window_is_taken() -> None:
    frames_after(raw(WINDOW_UPDATE, 0, 0, (LARGEST_WINDOW - 65_535).to_bytes(4)))
