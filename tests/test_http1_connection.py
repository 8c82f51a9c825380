"""HTTP/1.x connections in memory: what is peculiar to one request after another."""

from __future__ import annotations

import re

import h11
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.faults import fragile_pair
from support.http1_client import Cut, Http1Client
from support.logs import Log, complaints
from support.memory_server import serving
from trio_sse.connection import Service, Stream
from trio_sse.connection.http1 import Http1Connection
from trio_sse.limits import Limits
from trio_sse.message import Response
from trio_sse.routes import Routes
from trio_sse.transport import Transport, memory_pair
from trio_sse.wire.http1 import Http1


def routes() -> Routes:
    """Routes with a finite answer, `/`, a stream of one event, `/brief`, and one without end."""
    routes = Routes()
    routes.get("/", lambda request: Response.text(200, "yes"))

    async def stream(stream: Stream) -> None:
        await trio.sleep_forever()

    async def brief(stream: Stream) -> None:
        await trio.sleep(1)
        await stream.send("brief")

    routes.get("/stream", stream)
    routes.get("/brief", brief)
    return routes


async def receive(transport: Transport) -> bytes:
    while (data := transport.receive()) is None:
        await transport.wait_readable()
    return data


# -- one request after another ----------------------------------------------------------


async def test_who_asks_and_reads_no_answers_is_not_listened_to_any_more(
    autojump_clock: MockClock,
) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect(capacity=4096))
        asked = 0
        for _ in range(200):
            asked += client.transport.send(b"HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
            await trio.testing.wait_all_tasks_blocked()
        assert asked < 20_000
        assert server.connection.outbox.size < 1000


# -- waiting for a request --------------------------------------------------------------


async def test_the_first_request_has_the_head_timeout_from_the_start(
    autojump_clock: MockClock,
) -> None:
    service = Service(routes(), Limits(head_timeout=10))
    ours, theirs = memory_pair()
    wire = Http1(service.limits, peer=ours.peer, scheme="http")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Http1Connection(service, ours, wire).run)
        await trio.sleep(9)
        client = Http1Client(theirs)
        await client.send(b"GET / HTTP/1.1\r\n")
        assert await client.head() == 408
        assert trio.current_time() == 10
        nursery.cancel_scope.cancel()


async def test_a_first_request_that_begins_late_has_no_more_time_for_that(
    autojump_clock: MockClock,
) -> None:
    async with serving(routes(), Limits(head_timeout=10)) as server:
        client = Http1Client(server.connect())
        await trio.sleep(8)
        await client.send(b"GET / HTTP/1.1\r\n")
        assert await client.head() == 408
        assert trio.current_time() == 10


@pytest.mark.parametrize(
    ("said", "after"),
    [
        (b"GET / HTTP/1.1\r\nHost: a", 10),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n123", 30),
    ],
)
async def test_a_request_that_does_not_come_to_its_end_is_told_that_it_is_late(
    autojump_clock: MockClock, said: bytes, after: float
) -> None:
    async with serving(routes(), Limits(head_timeout=10, body_timeout=30)) as server:
        client = Http1Client(server.connect())
        await client.send(said)
        assert await client.head() == 408
        assert trio.current_time() == after
        assert client.headers["connection"] == "close"
        await client.rest()
        assert await client.is_closed()
        assert server.statistics().refused == 1


async def test_each_request_has_the_head_timeout_from_its_first_byte(
    autojump_clock: MockClock,
) -> None:
    async with serving(routes(), Limits(head_timeout=10, idle_timeout=75)) as server:
        client = Http1Client(server.connect())
        await client.ask()
        await client.answer()
        await trio.sleep(70)
        await client.send(b"GET / ")
        await trio.sleep(9)
        assert client.transport.receive() is None
        await client.send(b"HTTP/1.1\r\n")
        client.h11.start_next_cycle()
        client.status = 0
        assert await client.head() == 408
        assert trio.current_time() == 80


@pytest.mark.parametrize("served", [False, True])
async def test_a_client_that_says_nothing_is_closed_without_a_word(
    autojump_clock: MockClock, served: bool
) -> None:
    async with serving(routes(), Limits(head_timeout=10, idle_timeout=75)) as server:
        client = Http1Client(server.connect())
        if served:
            await client.ask()
            await client.answer()
        assert await client.is_closed()
        assert trio.current_time() == (75 if served else 10)


# -- the first bytes --------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"])
async def test_who_leaves_before_it_is_clear_what_it_speaks_just_leaves(
    autojump_clock: MockClock, said: bytes
) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect())
        await client.send(said)
        client.leave()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 0


async def test_requests_may_begin_like_http2(autojump_clock: MockClock) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect())
        for byte in b"PRINT / HTTP/1.1\r\nHost: a\r\n\r\n":
            await client.send(bytes((byte,)))
            await trio.testing.wait_all_tasks_blocked()
        client.h11.send(h11.Request(method="PRINT", target="/", headers=[("host", "a")]))
        assert await client.head() == 405


async def test_a_transport_that_breaks_before_the_first_request_is_no_error(
    autojump_clock: MockClock, caplog: Log
) -> None:
    async with serving(routes()) as server:
        server.connect(transport=fragile_pair(1, 1000))
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 0
    assert not complaints(caplog)


# -- answering --------------------------------------------------------------------------


async def test_pipelined_requests_are_answered_in_order(autojump_clock: MockClock) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect())
        await client.send(
            b"GET /brief HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        received = b""
        while piece := await receive(client.transport):
            received += piece
        heads = re.findall(rb"HTTP/1.1 (\d+) ", received)
        assert heads == [b"200", b"200", b"404"]
        stream, *_ = received.split(b"0\r\n\r\n")
        assert b"data: brief" in stream
        assert trio.current_time() == 1


async def test_who_sends_too_much_ahead_of_a_stream_loses_it(autojump_clock: MockClock) -> None:
    async with serving(routes(), Limits(max_unread_bytes=1000)) as server:
        client = Http1Client(server.connect())
        await client.open("/stream")
        await client.send(b"x" * 1000)
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().streams == 1
        await client.send(b"x")
        with pytest.raises(Cut):
            await client.rest()


async def test_a_head_request_for_a_stream_gets_its_head_only(autojump_clock: MockClock) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect())
        await client.ask("/stream", method="HEAD")
        answer = await client.answer()
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.body == b""
        assert server.statistics().streams == 0
        await client.ask()
        assert (await client.answer()).status == 200


async def test_http1_0_gets_a_stream_that_ends_with_the_connection(
    autojump_clock: MockClock,
) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect())
        await client.send(b"GET /brief HTTP/1.0\r\n\r\n")
        received = b""
        while piece := await receive(client.transport):
            received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert body == server.service.opening() + b"data: brief\n\n"


async def test_a_bad_request_is_answered_and_closes_the_connection(
    autojump_clock: MockClock,
) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect())
        await client.send(b"NONSENSE\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 400
        assert answer.headers["connection"] == "close"
        assert await client.is_closed()
        assert server.statistics().refused == 1
        assert server.statistics().requests == 0


async def test_who_wants_to_be_told_to_continue_is(autojump_clock: MockClock) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect())
        await client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await receive(client.transport)).startswith(b"HTTP/1.1 100 ")
        await client.send(b"hi")
        client.h11.send(h11.Request(method="POST", target="/", headers=[("host", "a")]))
        assert await client.head() == 405


async def test_who_says_its_last_with_a_request_still_gets_the_answer(
    autojump_clock: MockClock,
) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect())
        await client.ask()
        client.transport.send_eof()
        assert (await client.answer()).body == b"yes\n"
        assert await client.is_closed()


async def test_a_client_that_leaves_while_it_is_answered_is_no_error(
    autojump_clock: MockClock, caplog: Log
) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect(capacity=40))
        await client.ask()
        await trio.testing.wait_all_tasks_blocked()
        client.leave()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 0
    assert not complaints(caplog)


async def test_a_last_answer_is_not_cut_off_by_what_the_client_goes_on_sending(
    autojump_clock: MockClock,
) -> None:
    """Closing a socket with unread input would reset it (RFC 9112, 9.6)."""
    async with serving(routes()) as server:
        client = Http1Client(server.connect())
        await client.send(b"NONSENSE\r\n\r\n" + b"x" * 1000)
        assert (await client.answer()).status == 400
        for _ in range(3):
            await client.send(b"x" * 50_000)
            await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 1
        await trio.sleep(2.5)
        assert server.statistics().connections == 0


# -- the drain --------------------------------------------------------------------------


async def test_a_drain_closes_idle_connections_at_once(autojump_clock: MockClock) -> None:
    async with serving(routes()) as server:
        fresh, served = Http1Client(server.connect()), Http1Client(server.connect())
        await served.ask()
        await served.answer()
        server.drain()
        assert await served.is_closed()
        assert await fresh.is_closed()
        assert trio.current_time() == 0


async def test_a_request_on_its_way_when_a_drain_begins_is_told_to_come_back(
    autojump_clock: MockClock,
) -> None:
    async with serving(routes()) as server:
        client = Http1Client(server.connect())
        await client.send(b"GET / HTTP/1.1\r\nHo")
        await trio.testing.wait_all_tasks_blocked()
        server.drain()
        await trio.testing.wait_all_tasks_blocked()
        await client.send(b"st: a\r\n\r\n")
        answer = await client.answer()
        assert answer.status == 503
        assert answer.headers["connection"] == "close"
        assert 1 <= int(answer.headers["retry-after"]) <= 6


async def test_a_request_that_does_not_come_does_not_hold_up_a_drain(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(head_timeout=100, drain_timeout=5)
    async with serving(routes(), limits) as server:
        client = Http1Client(server.connect())
        await client.send(b"GET / HTTP/1.1\r\nHo")
        await trio.testing.wait_all_tasks_blocked()
        server.drain()
        assert await client.head() == 408
        assert trio.current_time() == 5
