"""HTTP/2 connections in memory: what is peculiar to many streams on one connection."""

from __future__ import annotations

import trio
import trio.testing
from trio.testing import MockClock

from support.http2_client import Http2Client
from support.memory_server import serving
from test_followers import follow
from trio_sse.connection import Stream
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.message import Response
from trio_sse.routes import Routes


def answers(body: bytes) -> Routes:
    """Routes of which `/` is answered with `body`."""
    routes = Routes()
    routes.get("/", lambda request: Response(200, body))
    return routes


# -- idleness ---------------------------------------------------------------------------


async def test_a_connection_is_not_idle_while_it_is_asked(autojump_clock: MockClock) -> None:
    async with serving(answers(b"yes"), Limits(idle_timeout=75, ping_interval=999)) as server:
        client = Http2Client(server.connect())
        for _ in range(4):
            assert await client.rest(client.ask()) == b"yes"
            await trio.sleep(50)
        await client.closing()
        assert 150 + 75 <= trio.current_time() <= 150 + 75 + server.service.tick
        assert client.goaways == [0]


async def test_a_connection_is_not_idle_while_an_answer_waits_for_its_window(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(idle_timeout=20, write_timeout=60, ping_interval=999)
    async with serving(answers(b"x" * 1000), limits) as server:
        client = Http2Client(server.connect(), stream_window=100)
        client.gives_back = False
        stream_id = client.ask()
        await trio.sleep(50)
        client.widen(10_000, stream_id)
        assert await client.rest(stream_id) == b"x" * 1000


async def test_a_drain_waits_for_an_answer_that_waits_for_its_window(
    autojump_clock: MockClock,
) -> None:
    async with serving(answers(b"x" * 1000)) as server:
        client = Http2Client(server.connect(), stream_window=100)
        client.gives_back = False
        stream_id = client.ask()
        await client.head(stream_id)
        server.drain()
        await trio.sleep(5)
        client.widen(10_000, stream_id)
        assert await client.rest(stream_id) == b"x" * 1000
        await client.closing()


async def test_an_answer_that_the_client_cancels_is_given_up_at_once(
    autojump_clock: MockClock,
) -> None:
    async with serving(answers(b"x" * 1000)) as server:
        client = Http2Client(server.connect(), stream_window=100)
        client.gives_back = False
        stream_id = client.ask()
        await client.head(stream_id)
        assert server.http2.busy
        client.reset(stream_id)
        await trio.testing.wait_all_tasks_blocked()
        assert not server.http2.busy
        assert server.statistics().dropped == 0


# -- the pulse --------------------------------------------------------------------------


async def test_a_client_that_answers_pings_stays(autojump_clock: MockClock) -> None:
    limits = Limits(ping_interval=30, ping_timeout=15, idle_timeout=75)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect())
        await client.open()
        await client.until(lambda: client.pings == 3)
        assert 90 <= trio.current_time() <= 90 + 3 * server.service.tick
        assert server.statistics().dropped == 0


async def test_a_client_that_leaves_a_ping_unanswered_is_dropped(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(ping_interval=30, ping_timeout=15)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect())
        await client.open()
        await trio.sleep(44)
        assert server.statistics().connections == 1
        await trio.sleep(45 + 2 * server.service.tick - 44)
        assert server.statistics().connections == 0
        assert server.statistics().dropped == 1


async def test_a_slow_client_is_not_taken_for_a_dead_one(autojump_clock: MockClock) -> None:
    """A PING stands in the queue behind all that is being sent, and its answer after that."""
    limits = Limits(ping_interval=30, ping_timeout=15, write_timeout=30)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect(capacity=1000))
        stream_id = await client.open()
        hub.publish("a", "x" * 70_000)
        for _ in range(70):  # a kilobyte every five seconds
            await trio.sleep(5)
            client.take()
        assert server.statistics().dropped == 0
        assert await client.data(stream_id, 1) == ["x" * 70_000]


async def test_the_time_that_the_socket_took_is_not_held_against_a_window(
    autojump_clock: MockClock,
) -> None:
    async def loud(stream: Stream) -> None:
        await stream.send("x" * 9_000)
        await stream.send("done")

    routes = Routes()
    routes.get("/", loud)
    async with serving(routes, Limits(write_timeout=30)) as server:
        client = Http2Client(server.connect(capacity=1000), stream_window=9_050)
        client.gives_back = False
        stream_id = await client.open()
        while len(client.bodies[stream_id]) < 9_000:
            await trio.sleep(10)
            client.take()
        await trio.sleep(10)
        client.widen(100_000, stream_id)
        assert await client.data(stream_id, 2) == ["x" * 9_000, "done"]
