"""Requests that could be read in two ways are refused, once, and nothing after them is read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smuggling import CASES, SMUGGLED
from trio_sse.limits import Limits
from trio_sse.message import Peer, Request, Response
from trio_sse.wire import Refused
from trio_sse.wire.http1 import Http1

PEER = Peer("192.0.2.7", 4711)


def answers(data: bytes, step: int) -> list[int]:
    """Give a server bytes, `step` at a time, and return the status of each answer."""
    http1 = Http1(Limits(), peer=PEER, scheme="http")
    statuses = []
    for start in range(0, len(data), step):
        http1.receive(data[start : start + step])
        while (outcome := http1.next_request()) is not None:
            status = outcome.status if isinstance(outcome, Refused) else 200
            statuses.append(status)
            head = http1.respond(Response.text(status, "A sentence."))
            if http1.must_close:
                # What comes after this is not even looked at.
                assert b"connection: close" in head.lower()
                return statuses
            http1.next_cycle()
    return statuses


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
@pytest.mark.parametrize("what", CASES)
def test_it_is_refused_and_nothing_after_it_is_answered(what: str, step: int) -> None:
    status, data = CASES[what]
    if step == 1 and len(data) > 2_000:
        step = 100
    assert answers(data + SMUGGLED, step) == [status]


@pytest.mark.parametrize("what", CASES)
def test_it_is_refused_after_a_good_one_as_well(what: str) -> None:
    status, data = CASES[what]
    if data[:1] in (b"\r", b"\n"):
        pytest.skip("it is the empty line after the good one")
    assert answers(SMUGGLED + data + SMUGGLED, 50) == [200, status]


GOOD = {
    "an empty line first": b"\r\n" + SMUGGLED,
    "a body of no bytes": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "a length with leading zeros": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0003\r\n\r\nabc",
    "a coding in capitals": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    ),
    "chunk extensions": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'3;a=b;c="d"\r\nabc\r\n0;last\r\n\r\n'
    ),
    "trailers": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\nExpires: never\r\n\r\n"
    ),
    "as many trailers as may be": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n" + b"a:\r\n" * 200 + b"\r\n"
    ),
    "a chunk size in capitals with zeros, and an extension in quotes": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'00A;a="x;\ty\x80"\r\n0123456789\r\n0\r\n\r\n'
    ),
    "a thousand small chunks": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\nx\r\n" * 1_000
        + b"0\r\n\r\n"
    ),
    "an offer of h2c": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    ),
    "a target with a host, and a port": b"GET http://A:81/page HTTP/1.1\r\nHost: a:81\r\n\r\n",
    "a tab in a value": b"GET / HTTP/1.1\r\nHost: a\r\na: b\tc\r\n\r\n",
    "a value that is not ASCII": "GET / HTTP/1.1\r\nHost: a\r\na: é\r\n\r\n".encode(),
}


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
@pytest.mark.parametrize("what", GOOD)
def test_what_only_looks_odd_is_answered_and_what_follows_too(what: str, step: int) -> None:
    assert answers(GOOD[what] + SMUGGLED, step) == [200, 200]


def test_nothing_after_connection_close_is_answered() -> None:
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert answers(last + SMUGGLED * 3, 1_000_000) == [200]


def test_a_crowd_of_pipelined_requests_is_answered_in_order() -> None:
    http1 = Http1(Limits(), peer=PEER, scheme="http")
    http1.receive(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(5_000)))
    for number in range(5_000):
        request = http1.next_request()
        assert isinstance(request, Request)
        assert request.path == f"/{number}"
        http1.respond(Response(204))
        http1.next_cycle()
    assert http1.next_request() is None
    assert http1.buffered == 0


@settings(deadline=None)
@given(st.sampled_from(sorted(CASES)), st.integers(1, 60))
def test_where_it_is_cut_makes_no_difference(what: str, step: int) -> None:
    status, data = CASES[what]
    assert answers(data + SMUGGLED, step if len(data) < 2_000 else 1_000 * step) == [status]
