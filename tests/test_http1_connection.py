"""HTTP/1.x connections in memory: what is peculiar to one request after another."""

from __future__ import annotations

import trio
import trio.testing
from trio.testing import MockClock

from support.http1_client import Http1Client
from support.memory_server import serving
from trio_sse.connection import Service, Stream
from trio_sse.connection.http1 import Http1Connection
from trio_sse.limits import Limits
from trio_sse.message import Response
from trio_sse.routes import Routes
from trio_sse.transport import memory_pair
from trio_sse.wire.http1 import Http1


def routes() -> Routes:
    """Routes with a finite answer, `/`, and an endless one, `/stream`."""
    routes = Routes()
    routes.get("/", lambda request: Response.text(200, "yes"))

    async def stream(stream: Stream) -> None:
        await trio.sleep_forever()

    routes.get("/stream", stream)
    return routes


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
