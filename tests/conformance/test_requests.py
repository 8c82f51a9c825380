"""RFC 9113, 8: requests that are malformed, each of which breaks its own stream alone (8.1.1).

A server may answer before it resets the stream; ours says 400 and why.
"""

from __future__ import annotations

import pytest

from http2_client import DATA, END_HEADERS, END_STREAM, HEADERS, raw, resets
from trio_sse.limits import Limits
from trio_sse.wire.http2 import Left, RefusedStream

from .witness import BROKEN, CALM, LATER, LINE, POST, PROTOCOL, Witness, block, request

METHOD, SCHEME, AUTHORITY, PATH = LINE
GIVES_3 = request(("content-length", "3"), line=POST, end=False)
TRAILERS = END_HEADERS | END_STREAM


def trailers(*fields: tuple[str, str], flags: int = TRAILERS) -> bytes:
    return raw(HEADERS, flags, BROKEN, block(fields))


def data(payload: bytes, flags: int = 0) -> bytes:
    return raw(DATA, flags, BROKEN, payload)


BEGUN = request(line=POST, end=False)

MALFORMED = {
    "8.1: fields in the middle": BEGUN + trailers(("a", "b"), flags=END_HEADERS),
    "8.1: trailers with a pseudo-header field": BEGUN + trailers(PATH),
    "8.1.1: a body longer than announced": GIVES_3 + data(b"1234"),
    "8.1.1: a body longer than announced, in pieces": GIVES_3 + data(b"12") + data(b"34", 1),
    "8.1.1: a body shorter than announced": GIVES_3 + data(b"12", END_STREAM),
    "8.1.1: a body shorter than announced, before trailers": (
        GIVES_3 + data(b"12") + trailers(("a", "b"))
    ),
    "8.1.1: no body where one is announced": request(("content-length", "3")),
    "8.1.1: a length that is negative": request(("content-length", "-1"), end=False),
    "8.1.1: a length that is empty": request(("content-length", ""), end=False),
    "8.1.1: a length in other digits": request(("content-length", "\xb2"), end=False),
    "8.1.1: a list of lengths": request(("content-length", "3, 3"), end=False),
    "8.1.1: two lengths": request(("content-length", "3"), ("content-length", "4"), end=False),
    "8.1.1: a length twice": request(("content-length", "3"), ("content-length", "3"), end=False),
    "8.1.1: a length of 5,000 digits": request(("content-length", "1" * 5000), end=False),
    "8.2.1: a name in capital letters": request(("A", "b")),
    "8.2.1: a name that is empty": request(("", "b")),
    "8.2.1: a name with a space": request(("a b", "c")),
    "8.2.1: a name with a control character": request(("a\x7f", "b")),
    "8.2.1: a name that is not ASCII": request(("\xe4", "b")),
    "8.2.1: a name with a colon": request(("a:", "b")),
    "8.2.1: a value with NUL": request(("a", "b\0c")),
    "8.2.1: a value with LF": request(("a", "b\nc: d")),
    "8.2.1: a value with CR": request(("a", "b\rc")),
    "8.2.1: a value that begins with a space": request(("a", " b")),
    "8.2.1: a value that ends with a tab": request(("a", "b\t")),
    "8.2.1: a value with LF, of a pseudo-header field": request(
        line=[METHOD, SCHEME, AUTHORITY, (":path", "/\n")]
    ),
    "8.2.1: trailers with capital letters": BEGUN + trailers(("A", "b")),
    "8.2.1: trailers with LF": BEGUN + trailers(("a", "\n")),
    "8.2.2: Connection": request(("connection", "close")),
    "8.2.2: Proxy-Connection": request(("proxy-connection", "close")),
    "8.2.2: Keep-Alive": request(("keep-alive", "timeout=5")),
    "8.2.2: Transfer-Encoding": request(("transfer-encoding", "chunked")),
    "8.2.2: Upgrade": request(("upgrade", "h2c")),
    "8.2.2: TE with more than trailers": request(("te", "trailers, deflate")),
    "8.2.2: trailers with Connection": BEGUN + trailers(("connection", "close")),
    "8.3: a pseudo-header field that nobody knows": request((":a", "b"), line=LINE),
    "8.3: a pseudo-header field of answers": request((":status", "200"), line=LINE),
    "8.3: one of answers that are not the last": request((":status", "100"), line=LINE, end=False),
    "8.3: nothing but one of answers": request(line=[(":status", "100")]),
    "8.3: a pseudo-header field after others": request(("a", "b"), PATH, line=LINE[:3]),
    "8.3: no fields at all": request(line=[]),
    "8.3.1: no method": request(line=[SCHEME, AUTHORITY, PATH]),
    "8.3.1: no scheme": request(line=[METHOD, AUTHORITY, PATH]),
    "8.3.1: no path": request(line=[METHOD, SCHEME, AUTHORITY]),
    "8.3.1: no authority and no Host": request(line=[METHOD, SCHEME, PATH]),
    "8.3.1: two methods": request(METHOD),
    "8.3.1: two schemes": request(SCHEME),
    "8.3.1: two paths": request(PATH),
    "8.3.1: two authorities": request(AUTHORITY),
    "8.3.1: a method that is none": request(line=[(":method", "G T"), *LINE[1:]]),
    "8.3.1: an empty path": request(line=[*LINE[:3], (":path", "")]),
    "8.3.1: a path without /": request(line=[*LINE[:3], (":path", "a")]),
    "8.3.1: a path with a space": request(line=[*LINE[:3], (":path", "/ HTTP/1.1")]),
    "8.3.1: a path with a fragment": request(line=[*LINE[:3], (":path", "/#a")]),
    "8.3.1: * for another method than OPTIONS": request(line=[*LINE[:3], (":path", "*")]),
    "8.3.1: an authority with user information": request(
        line=[METHOD, SCHEME, (":authority", "me@a.example"), PATH]
    ),
    "8.3.1: an empty authority": request(line=[METHOD, SCHEME, (":authority", ""), PATH]),
    "8.3.1: an authority and another Host": request(("host", "b.example")),
    "8.3.1: two Hosts": request(
        ("host", "a.example"), ("host", "b.example"), line=[METHOD, SCHEME, PATH]
    ),
    "RFC 8441, 3: a tunnel through a stream, which we have not offered": request(
        line=[(":method", "GET"), (":protocol", "websocket"), *LINE[1:]]
    ),
}


@pytest.mark.parametrize("broken", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_answered_and_its_stream_reset(broken: bytes) -> None:
    witness = Witness()
    witness.hear(broken)
    assert not witness.asked(BROKEN)
    assert witness.refused == [400]
    assert witness.server.uploads == 0
    # The answer is whole but for its end, which is the reset.
    answer = [frame for frame in witness.frames if frame.stream_id == BROKEN]
    assert [frame.kind for frame in answer][:2] == [HEADERS, DATA]
    assert not any(frame.flags & END_STREAM for frame in answer if frame.kind in (HEADERS, DATA))
    witness.assert_stream_ended(PROTOCOL)


REFUSED = {
    "a tunnel": (request(line=[(":method", "CONNECT"), AUTHORITY]), 501),
    "more fields than allowed": (request(("a", "b" * 2000), end=False), 431),
    "a body that is announced to be too long": (
        request(("content-length", "1001"), line=POST, end=False),
        413,
    ),
    "a body that is too long": (BEGUN + data(bytes(1001)), 413),
}


@pytest.mark.parametrize(("data", "status"), REFUSED.values(), ids=REFUSED)
def test_what_is_well_formed_and_refused_is_answered_to_the_end(data: bytes, status: int) -> None:
    witness = Witness(Limits(max_header_bytes=1500, max_body_bytes=1000))
    witness.hear(data)
    assert witness.refused == [status]
    ends = [frame.flags for frame in witness.frames if frame.kind == DATA]
    assert ends == [0, END_STREAM]
    # NO_ERROR asks the client to stop an upload (8.1).
    assert set(resets(witness.said)) <= {(BROKEN, 0)}
    witness.assert_goes_on()


TAKEN = {
    "8.1: trailers": BEGUN + data(b"123") + trailers(("a", "b")),
    "8.1: trailers and no body": BEGUN + trailers(("a", "b")),
    "8.1.1: a body as long as announced": GIVES_3 + data(b"12") + data(b"3", END_STREAM),
    "8.1.1: one that ends with nothing": GIVES_3 + data(b"123") + data(b"", END_STREAM),
    "8.1.1: none, as announced": request(("content-length", "0")),
    "8.1.1: one of a GET": request(("content-length", "1"), end=False) + data(b"1", END_STREAM),
    "8.2.1: values of any bytes": request(("a", "\x01\x7f\xff"), ("b", "")),
    "8.2.2: TE: trailers": request(("te", "trailers")),
    "8.2.3: cookies in crumbs": request(("cookie", "a=b"), ("cookie", "c=d")),
    "8.3.1: Host instead of an authority": request(
        ("host", "a.example"), line=[METHOD, SCHEME, PATH]
    ),
    "8.3.1: Host beside the same authority": request(("host", "a.example")),
    "8.3.1: * for OPTIONS": request(
        line=[(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")]
    ),
}


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN)
def test_what_is_allowed_is_taken(data: bytes) -> None:
    witness = Witness()
    witness.hear(data)
    assert witness.asked(BROKEN)
    witness.server.respond_head(BROKEN, 204, [], end=True)
    witness.hear(b"")
    assert resets(witness.said) == []
    witness.assert_goes_on()


def test_an_answer_that_is_its_head_ends_with_the_reset_as_well() -> None:
    witness = Witness()
    (refused,) = witness.server.receive(request(("A", "b")))
    assert isinstance(refused, RefusedStream)
    witness.server.respond_head(BROKEN, 400, [], end=True)
    witness.hear(b"")
    assert [frame.flags for frame in witness.frames if frame.kind == HEADERS] == [END_HEADERS]
    witness.assert_stream_ended(PROTOCOL)


def test_trailers_after_a_refusal_that_is_not_yet_sent_break_the_stream() -> None:
    witness = Witness(Limits(max_body_bytes=10))
    (refused,) = witness.server.receive(BEGUN + data(bytes(11)))
    assert isinstance(refused, RefusedStream)
    witness.hear(trailers(PATH))
    assert witness.happenings[-1] == Left(BROKEN)
    witness.assert_stream_ended(PROTOCOL)


def test_a_client_that_is_told_to_stop_may_finish_with_what_it_had_under_way() -> None:
    witness = Witness(Limits(max_body_bytes=10))
    witness.hear(BEGUN + data(bytes(11)) + data(bytes(11), END_STREAM))
    assert witness.refused == [413]
    witness.hear(request(stream_id=LATER))
    assert witness.asked(LATER)
    witness.server.respond_head(LATER, 204, [], end=True)
    witness.assert_goes_on()


def test_only_a_request_that_is_right_so_far_is_told_to_go_on() -> None:
    witness = Witness()
    witness.hear(request(("expect", "100-continue"), ("content-length", "x"), end=False))
    witness.hear(
        raw(HEADERS, END_HEADERS, LATER, block([*POST, ("expect", "100-continue")]))
        + raw(DATA, END_STREAM, LATER, b"x")
    )
    heads = [frame.stream_id for frame in witness.frames if frame.kind == HEADERS]
    assert heads == [BROKEN, LATER]  # 400 and 100
    assert witness.asked(LATER)


def test_trailers_with_too_many_fields_cost_what_a_request_with_them_does() -> None:
    witness = Witness(Limits(max_control_frames_per_second=1))
    witness.hear(BEGUN + trailers(*[("a", "b")] * 600))
    witness.assert_connection_ended(CALM)
