"""HTTP/1: what is read of any bytes in any pieces, and what is written to be read by h11."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trio_sse.limits import Limits
from trio_sse.message import Headers, Peer, Request, Response
from trio_sse.wire import Refused
from trio_sse.wire.http1 import Http1
from trio_sse.wire.http1_framing import chunk, identity

PEER = Peer("192.0.2.7", 4711)
LIMITS = Limits(max_header_bytes=1000, max_body_bytes=100)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def connection(*received: bytes, limits: Limits = LIMITS) -> Http1:
    http1 = Http1(limits, peer=PEER, scheme="http")
    for data in received:
        http1.receive(data)
    return http1


def read(pieces: Iterable[bytes], limits: Limits = LIMITS) -> Request | Refused | None:
    """Give a fresh connection the pieces as they come, as the server does, and take the first."""
    http1 = connection(limits=limits)
    for piece in pieces:
        http1.receive(piece)
        outcome = http1.next_request()
        if outcome is not None:
            return outcome
    return None


def each_byte(data: bytes) -> Iterator[bytes]:
    return (data[i : i + 1] for i in range(len(data)))


def request(data: bytes) -> tuple[Http1, Request]:
    """Return a connection that is to answer the request in `data`."""
    http1 = connection(data)
    outcome = http1.next_request()
    assert isinstance(outcome, Request)
    return http1, outcome


def ask(
    method: str = "GET",
    target: str = "/",
    headers: tuple[tuple[str, str], ...] = (("host", "a"),),
    **fields: object,
) -> Request:
    made = {"peer": PEER, "authority": "a", "protocol": "HTTP/1.1", **fields}
    return Request(method, target, Headers(headers), **made)  # type: ignore[arg-type]


def client_reads(answer: bytes, method: str = "GET", *, closed: bool = False) -> list[h11.Event]:
    """Return what an HTTP/1.1 client, here h11's, makes of an answer."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    if closed:
        client.receive_data(b"")
    events: list[h11.Event] = []
    while True:
        event = client.next_event()
        if not isinstance(event, h11.Event):
            return events
        events.append(event)
        if isinstance(event, h11.ConnectionClosed):
            return events


def says_close(head: bytes) -> bool:
    return b"\r\nconnection: close\r\n" in head.lower()


def body_of(events: list[h11.Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, h11.Data))


REQUESTS = {
    "a plain GET": (GET, ask()),
    "a target with a query, and repeated fields": (
        b"GET /a/b?topic=%20x&y HTTP/1.1\r\nHost: a:80\r\nX: 1\r\nx:2\t\r\n\r\n",
        ask(
            target="/a/b?topic=%20x&y",
            headers=(("host", "a:80"), ("x", "1"), ("x", "2")),
            authority="a:80",
        ),
    ),
    "UTF-8 in a field": (
        "GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: é\r\n\r\n".encode(),
        ask(headers=(("host", "a"), ("last-event-id", "é"))),
    ),
    "an empty line first, as old clients send after a form": (b"\r\n\r\n" + GET, ask()),
    "a body with a length": (
        b"POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        ask("POST", "/in", (("host", "a"), ("content-length", "5")), body=b"hello"),
    ),
    "a body just at the limit": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" + b"x" * 100,
        ask("POST", "/", (("host", "a"), ("content-length", "100")), body=b"x" * 100),
    ),
    "a chunked body with extensions and a trailer": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
        b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: 1\r\n\r\n",
        ask("POST", "/", (("host", "a"), ("transfer-encoding", "chunked")), body=b"abc0123456789"),
    ),
    "a chunked body just at the limit": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n",
        ask("POST", "/", (("host", "a"), ("transfer-encoding", "chunked")), body=b"x" * 100),
    ),
    "a head just at the limit": (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (1000 - len(GET) - 5) + b"\r\n\r\n",
        ask(headers=(("host", "a"), ("x", "x" * (1000 - len(GET) - 5)))),
    ),
    "as many fields as may be": (
        GET[:-2] + b"a:\r\n" * 199 + b"\r\n",
        ask(headers=(("host", "a"), *[("a", "")] * 199)),
    ),
    "HTTP/1.0 without a host": (
        b"GET / HTTP/1.0\r\n\r\n",
        ask(headers=(), authority="", protocol="HTTP/1.0"),
    ),
    "HTTP/1.0 with a host and a body": (
        b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        ask("POST", "/", (("host", "a"), ("content-length", "2")), body=b"hi", protocol="HTTP/1.0"),
    ),
    "an empty host (RFC 9112, 3.2)": (
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        ask(headers=(("host", ""),), authority=""),
    ),
    "an IPv6 host": (
        b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        ask(headers=(("host", "[::1]:8080"),), authority="[::1]:8080"),
    ),
    "an absolute target, which names the host": (
        b"GET HTTP://A/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
        ask(target="/x?y", authority="A"),
    ),
    "an absolute target without a path": (
        b"GET https://a?y HTTP/1.1\r\nHost: a\r\n\r\n",
        ask(target="/?y"),
    ),
    "an absolute target on HTTP/1.0 without a host": (
        b"GET http://a/ HTTP/1.0\r\n\r\n",
        ask(headers=(), protocol="HTTP/1.0"),
    ),
    "OPTIONS for the server as a whole": (
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        ask("OPTIONS", "*"),
    ),
    "a method of one's own": (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", ask("BREW")),
    "an offer to upgrade, which is ignored": (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        ask(headers=(("host", "a"), ("connection", "upgrade"), ("upgrade", "h2c"))),
    ),
}


@pytest.mark.parametrize(("data", "expected"), REQUESTS.values(), ids=REQUESTS)
class TestARequest:
    def test_is_read_whole(self, data: bytes, expected: Request) -> None:
        assert read([data]) == expected

    def test_is_read_byte_by_byte_and_not_before_its_last(
        self, data: bytes, expected: Request
    ) -> None:
        http1 = connection()
        for byte in each_byte(data[:-1]):
            http1.receive(byte)
            assert http1.next_request() is None
        http1.receive(data[-1:])
        assert http1.next_request() == expected

    def test_leaves_what_follows_it_alone(self, data: bytes, expected: Request) -> None:
        http1 = connection(data + b"\x00rest")
        assert http1.next_request() == expected
        assert http1.buffered == 5

    def test_is_read_though_the_client_ends_after_it(self, data: bytes, expected: Request) -> None:
        http1 = connection(data, b"")
        assert http1.next_request() == expected
        assert http1.closed

    def test_is_answered_and_the_answer_understood(self, data: bytes, expected: Request) -> None:
        http1, _ = request(data)
        events = client_reads(http1.respond(Response(200, b"body")), expected.method)
        assert isinstance(events[0], h11.Response)
        assert body_of(events) == b"body"
        assert isinstance(events[2], h11.EndOfMessage)


POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
REFUSALS = {
    "no request line": (b"hello\r\n\r\n", 400, "illegal request line"),
    "a TLS handshake": (b"\x16\x03\x01\x02\x00\x01", 400, "illegal request line"),
    "a line that is no field": (GET[:-2] + b"nonsense\r\n\r\n", 400, "illegal header line"),
    "a space before the colon": (GET[:-2] + b"a : b\r\n\r\n", 400, "illegal header line"),
    "a NUL in a field": (GET[:-2] + b"a: \0\r\n\r\n", 400, "illegal header line"),
    "a carriage return in a field": (GET[:-2] + b"a: b\rc\r\n\r\n", 400, "illegal header line"),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400, "Missing mandatory Host"),
    "two hosts": (GET[:-2] + b"Host: a\r\n\r\n", 400, "multiple Host"),
    "a host that is none": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Host field"),
    "a host with a user": (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "Host field"),
    "a target that is no path": (b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    "a target with a fragment": (b"GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    "an asterisk for a GET": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    "a target of another scheme": (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    "a target of another host": (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "hosts"),
    "a target with a user": (b"GET http://u@a/ HTTP/1.1\r\nHost:\r\n\r\n", 400, "hosts"),
    "a tunnel": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501, "tunnels"),
    "a tunnel to a path": (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "tunnels"),
    "HTTP/2 by surprise": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.1"),
    "HTTP/0.9 with a version": (b"GET / HTTP/0.9\r\n\r\n", 505, "HTTP/1.1"),
    "a length that is no number": (POST + b"Content-Length: x\r\n\r\n", 400, "Content-Length"),
    "a length with a sign": (POST + b"Content-Length: +1\r\n\r\n", 400, "Content-Length"),
    "two lengths": (POST + b"Content-Length: 1, 2\r\n\r\n", 400, "conflicting"),
    "a length of many digits": (
        POST + b"Content-Length: " + b"9" * 21 + b"\r\n\r\n",
        400,
        "Content-Length",
    ),
    "a length over the limit, though no byte of it came": (
        POST + b"Content-Length: 101\r\nExpect: 100-continue\r\n\r\n",
        413,
        "larger than 100 bytes",
    ),
    "chunks over the limit": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 101,
        413,
        "larger than 100 bytes",
    ),
    "a length and chunks": (
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "Transfer-Encoding",
    ),
    "chunks on HTTP/1.0": (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "Transfer-Encoding",
    ),
    "another transfer coding": (
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        501,
        "No transfer coding",
    ),
    "a chunk without a size": (
        POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        400,
        "illegal chunk header",
    ),
    "a chunk that does not end where it says": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        400,
        "malformed chunk footer",
    ),
    "a chunk extension without an end": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 1000,
        400,
        "chunk extensions and trailers are too long",
    ),
    "a head one byte over the limit": (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (1001 - len(GET) - 5) + b"\r\n\r\n",
        431,
        "larger than 1000 bytes",
    ),
    "more fields than anybody has": (GET[:-2] + b"a:\r\n" * 200 + b"\r\n", 431, "200 fields"),
    "a request line without an end": (b"GET /" + b"x" * 1000, 431, "larger than 1000 bytes"),
}


@pytest.mark.parametrize(("data", "status", "sentence"), REFUSALS.values(), ids=REFUSALS)
class TestARefusal:
    def test_of_what_came_whole(self, data: bytes, status: int, sentence: str) -> None:
        outcome = read([data])
        assert isinstance(outcome, Refused)
        assert outcome.status == status
        assert sentence in outcome.reason
        assert outcome.reason.endswith(".")
        assert len(outcome.reason) < 100

    def test_of_what_came_byte_by_byte(self, data: bytes, status: int, sentence: str) -> None:
        assert read(each_byte(data)) == read([data])

    def test_is_answered_and_ends_the_connection(
        self, data: bytes, status: int, sentence: str
    ) -> None:
        http1 = connection(data)
        assert isinstance(http1.next_request(), Refused)
        assert http1.pending() == b""
        http1.receive(GET)
        assert http1.buffered == 0
        assert http1.next_request() is None
        response, *_ = client_reads(http1.respond(Response.text(status, sentence)))
        assert isinstance(response, h11.Response)
        assert response.status_code == status
        assert (b"connection", b"close") in response.headers
        assert http1.must_close


CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def test_a_large_body_may_come_in_many_chunks_with_extensions() -> None:
    body = b"400;name=value\r\n%b\r\n" % bytes(1024) * 1024
    outcome = read([CHUNKED, body, b"0\r\nA: b\r\n\r\n"], Limits())
    assert isinstance(outcome, Request)
    assert outcome.body == bytes(1024 * 1024)


def test_a_thousand_chunks_may_be_small_and_more_are_refused_before_the_end() -> None:
    small = b"1\r\nx\r\n" * 1003  # A body of so many bytes may have three more.
    outcome = read([CHUNKED, small, b"0\r\n\r\n"], Limits())
    assert isinstance(outcome, Request)
    refused = read([CHUNKED, small, b"1\r\n"], Limits())
    assert isinstance(refused, Refused)
    assert "small chunks" in refused.reason


def test_extensions_are_refused_before_the_end_of_the_chunk() -> None:
    refused = read([CHUNKED, b"1;" + b"x" * 8 * 1024], Limits())
    assert isinstance(refused, Refused)
    assert "extensions" in refused.reason


class TestTheEndOfFile:
    def test_between_requests_is_no_request_and_no_mistake(self) -> None:
        http1 = connection(b"")
        assert http1.next_request() is None
        assert http1.closed

    @pytest.mark.parametrize(
        "part",
        [
            b"GET / HT",
            POST + b"Content-Length: 5\r\n\r\nhe",
            POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
            POST + b"Transfer-Encoding: chunked\r\n\r\n5",
        ],
    )
    def test_inside_a_request_is_refused(self, part: bytes) -> None:
        outcome = connection(part, b"").next_request()
        assert isinstance(outcome, Refused)
        assert "closed connection" in outcome.reason

    def test_does_not_lose_the_requests_before_it(self) -> None:
        http1, first = request(GET + b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        http1.receive(b"")
        assert not says_close(http1.respond(Response(200)))
        http1.next_cycle()
        second = http1.next_request()
        assert isinstance(second, Request)
        assert (first.target, second.target) == ("/", "/2")
        assert says_close(http1.respond(Response(200)))
        assert http1.must_close


class TestSeveralRequests:
    def test_a_connection_is_kept_for_the_next(self) -> None:
        http1, _ = request(GET)
        assert not says_close(http1.respond(Response(200, b"x")))
        assert not http1.must_close
        http1.next_cycle()
        assert http1.next_request() is None
        http1.receive(GET)
        assert http1.next_request() == ask()

    def test_pipelined_ones_wait_for_the_answer_before_them(self) -> None:
        http1, _ = request(GET * 3)
        assert http1.next_request() is None
        assert http1.buffered == 2 * len(GET)
        for left in (1, 0):
            http1.respond(Response(200))
            http1.next_cycle()
            assert http1.next_request() == ask()
            assert http1.buffered == left * len(GET)

    def test_one_may_follow_a_stream(self) -> None:
        http1, _ = request(GET)
        http1.open(200, [])
        http1.receive(GET)
        assert http1.next_request() is None
        http1.end()
        http1.next_cycle()
        assert http1.next_request() == ask()

    def test_one_may_follow_an_ignored_upgrade(self) -> None:
        upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        http1, _ = request(upgrade + GET)
        http1.respond(Response(200))
        http1.next_cycle()
        assert http1.next_request() == ask()

    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        ],
    )
    def test_none_follows_where_the_client_wants_none(self, data: bytes) -> None:
        http1, _ = request(data)
        assert says_close(http1.respond(Response(200)))
        assert http1.must_close

    def test_none_follows_once_the_server_wants_none(self) -> None:
        http1, _ = request(GET)
        http1.close_after()
        assert says_close(http1.respond(Response(200)))
        assert http1.must_close

    def test_none_follows_though_the_stream_began_before_the_server_wanted_none(self) -> None:
        http1, _ = request(GET)
        http1.open(200, [])
        http1.close_after()
        http1.end()
        assert http1.must_close


class TestWhatIsAwaited:
    def test_nothing_at_first(self) -> None:
        http1 = connection()
        assert http1.next_request() is None
        assert (http1.head_started, http1.in_body) == (False, False)

    def test_nothing_after_an_empty_line(self) -> None:
        http1 = connection(b"\r\n\r")
        assert http1.next_request() is None
        assert (http1.head_started, http1.in_body) == (False, False)

    def test_the_rest_of_a_head(self) -> None:
        http1 = connection(GET[:1])
        assert http1.next_request() is None
        assert (http1.head_started, http1.in_body) == (True, False)

    def test_the_rest_of_a_body(self) -> None:
        http1 = connection(POST + b"Content-Length: 2\r\n\r\nx")
        assert http1.next_request() is None
        assert (http1.head_started, http1.in_body) == (False, True)

    def test_nothing_while_a_request_is_answered(self) -> None:
        http1, _ = request(GET)
        assert (http1.head_started, http1.in_body) == (False, False)

    def test_a_request_that_does_not_come_can_be_answered_all_the_same(self) -> None:
        http1 = connection(GET[:-2])
        assert http1.next_request() is None
        response, *_ = client_reads(http1.respond(Response.text(408, "Too late.")))
        assert isinstance(response, h11.Response)
        assert response.status_code == 408
        assert http1.must_close

    def test_a_connection_without_a_byte_can_be_told_why_it_ends(self) -> None:
        http1 = connection()
        response, *_ = client_reads(http1.respond(Response.text(503, "Full.")))
        assert isinstance(response, h11.Response)
        assert response.status_code == 503
        assert http1.must_close


class TestExpect:
    HEAD = POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"

    def test_a_client_that_waits_is_told_to_go_on_once(self) -> None:
        http1 = connection(self.HEAD)
        assert http1.next_request() is None
        assert http1.pending() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert http1.pending() == b""
        http1.receive(b"h")
        assert http1.next_request() is None
        assert http1.pending() == b""
        http1.receive(b"i")
        outcome = http1.next_request()
        assert isinstance(outcome, Request)
        assert outcome.body == b"hi"

    def test_a_client_that_did_not_wait_is_not(self) -> None:
        http1, outcome = request(self.HEAD + b"hi")
        assert outcome.body == b"hi"
        assert http1.pending() == b""

    def test_a_client_of_http_1_0_is_not(self) -> None:
        http1 = connection(self.HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert http1.next_request() is None
        assert http1.pending() == b""

    def test_a_client_without_a_body_is_not(self) -> None:
        http1, _ = request(POST + b"Expect: 100-continue\r\n\r\n")
        assert http1.pending() == b""


class TestAnAnswer:
    def test_has_its_reason_its_fields_and_its_length(self) -> None:
        http1, _ = request(GET)
        assert http1.respond(Response(404, b"no", (("X", "é"),))) == (
            "HTTP/1.1 404 Not Found\r\nX: é\r\ncontent-length: 2\r\n\r\nno".encode()
        )

    def test_with_a_status_of_ones_own_has_no_reason(self) -> None:
        http1, _ = request(GET)
        assert http1.respond(Response(299)).startswith(b"HTTP/1.1 299 \r\n")

    @pytest.mark.parametrize("status", [204, 304])
    def test_without_content_has_no_length_and_no_body(self, status: int) -> None:
        http1, _ = request(GET)
        answer = http1.respond(Response(status, b"dropped"))
        assert b"length" not in answer
        assert body_of(client_reads(answer)) == b""
        assert not http1.must_close

    def test_to_head_has_no_body_also_where_it_is_refused(self) -> None:
        http1 = connection(b"HEAD nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
        refused = http1.next_request()
        assert isinstance(refused, Refused)
        answer = http1.respond(Response.text(refused.status, refused.reason))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b"\r\n\r\n")

    def test_to_head_is_the_head_that_get_would_have(self) -> None:
        http1, _ = request(GET.replace(b"GET", b"HEAD") + GET)
        head = http1.respond(Response(200, b"body"))
        http1.next_cycle()
        http1.next_request()
        assert http1.respond(Response(200, b"body")) == head + b"body"

    def test_with_a_field_that_cannot_be_sent_raises_and_another_may_be_sent(self) -> None:
        http1, _ = request(GET)
        with pytest.raises(h11.LocalProtocolError, match="Illegal header value"):
            http1.open(200, [("x", "a\r\nset-cookie: b")])
        assert http1.respond(Response(500)).startswith(b"HTTP/1.1 500 ")

    def test_is_given_once(self) -> None:
        http1, _ = request(GET)
        http1.respond(Response(200))
        with pytest.raises(RuntimeError, match="has been answered"):
            http1.respond(Response(200))
        with pytest.raises(RuntimeError, match="has been answered"):
            http1.open(200, [])

    def test_must_be_over_before_the_next_request(self) -> None:
        http1, _ = request(GET)
        with pytest.raises(RuntimeError, match="not free"):
            http1.next_cycle()
        http1.open(200, [])
        with pytest.raises(RuntimeError, match="not free"):
            http1.next_cycle()

    def test_is_the_last_where_the_connection_closes(self) -> None:
        http1, _ = request(b"GET / HTTP/1.0\r\n\r\n")
        http1.respond(Response(200))
        with pytest.raises(RuntimeError, match="not free"):
            http1.next_cycle()


class TestAStream:
    FIELDS = (("content-type", "text/event-stream"),)

    def test_is_chunked_on_http_1_1(self) -> None:
        http1, _ = request(GET)
        head = http1.open(200, self.FIELDS)
        assert head == (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        assert http1.frame is chunk
        answer = head + http1.frame(b"data: 1\n\n") + http1.frame(b"x" * 1000) + http1.end()
        events = client_reads(answer)
        assert body_of(events) == b"data: 1\n\n" + b"x" * 1000
        assert isinstance(events[-1], h11.EndOfMessage)
        assert not http1.must_close

    def test_is_ended_by_the_connection_on_http_1_0(self) -> None:
        http1, _ = request(b"GET / HTTP/1.0\r\n\r\n")
        head = http1.open(200, self.FIELDS)
        assert b"chunked" not in head
        assert says_close(head)
        assert http1.frame is identity
        answer = head + http1.frame(b"data: 1\n\n") + http1.end()
        assert answer.endswith(b"\r\n\r\ndata: 1\n\n")
        assert body_of(client_reads(answer, closed=True)) == b"data: 1\n\n"
        assert http1.must_close

    def test_for_head_is_a_head(self) -> None:
        http1, _ = request(GET.replace(b"GET", b"HEAD"))
        head = http1.open(200, self.FIELDS)
        assert b"Transfer-Encoding: chunked\r\n" in head
        assert http1.end() == b""
        *_, last = client_reads(head, "HEAD")
        assert isinstance(last, h11.EndOfMessage)
        http1.next_cycle()

    def test_ends_once(self) -> None:
        http1, _ = request(GET)
        http1.open(200, [])
        assert http1.end() == b"0\r\n\r\n"
        assert http1.end() == b""

    def test_holds_nothing_of_its_request(self) -> None:
        http1, _ = request(POST + b"Content-Length: 5\r\n\r\nhello")
        http1.open(200, [])
        held = [getattr(http1, name) for name in Http1.__slots__]
        assert not any(isinstance(value, (h11.Connection, Request)) for value in held)
        assert http1.buffered == 0

    @given(st.lists(st.binary(min_size=1)))
    def test_carries_any_payloads(self, payloads: list[bytes]) -> None:
        http1, _ = request(GET)
        answer = b"".join([http1.open(200, []), *map(http1.frame, payloads), http1.end()])
        assert body_of(client_reads(answer)) == b"".join(payloads)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(places)]
    return [piece for piece in pieces if piece]


CUTS = st.lists(st.integers(min_value=0, max_value=300))


def outcomes(pieces: list[bytes]) -> list[Request | Refused]:
    """Converse as the server does until the peer's end of file; return all requests."""
    http1 = connection()
    found: list[Request | Refused] = []
    for piece in [*pieces, b""]:
        http1.receive(piece)
        while (outcome := http1.next_request()) is not None:
            found.append(outcome)
            status = outcome.status if isinstance(outcome, Refused) else 200
            answer = http1.respond(Response.text(status, "x"))
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            if http1.must_close:
                return found
            http1.next_cycle()
        http1.pending()
    return found


@given(
    st.lists(st.sampled_from([data for data, _ in REQUESTS.values()]), min_size=1, max_size=4), CUTS
)
def test_any_split_of_any_requests_reads_alike(requests: list[bytes], cuts: list[int]) -> None:
    data = b"".join(requests)
    assert outcomes(split(data, cuts)) == outcomes([data])


SAMPLES = [data for data, _ in REQUESTS.values()] + [data for data, _, _ in REFUSALS.values()]


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """Draw requests that are nearly right: bytes of valid and refused ones, cut and replaced."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(min_value=1, max_value=5))):
        start = draw(st.integers(min_value=0, max_value=len(data)))
        stop = start + draw(st.integers(min_value=0, max_value=3))
        data[start:stop] = draw(st.one_of(st.binary(max_size=3), st.sampled_from(SAMPLES)))
    return bytes(data)


@settings(max_examples=300)
@given(st.one_of(st.binary(), mutations()), CUTS)
@example(b"0", [])
def test_no_bytes_in_any_split_get_an_exception_out_of_it(data: bytes, cuts: list[int]) -> None:
    for outcome in outcomes(split(data, cuts)):
        assert isinstance(outcome, Request | Refused)
