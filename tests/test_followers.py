"""Followers: who is slow, who is quick, who leaves, and that nobody pays for another."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.http2_client import Http2Client
from support.memory_server import serving
from support.reader import PROTOCOLS, Protocol, ask
from trio_sse.event import Event
from trio_sse.hub import Hub, open_hub
from trio_sse.limits import Limits
from trio_sse.message import Request
from trio_sse.routes import Follow, Routes

BOTH = pytest.mark.parametrize("protocol", PROTOCOLS)


def follow(hub: Hub) -> Routes:
    """Routes of which `/` follows the topics of the query, "a" if it names none."""
    routes = Routes()

    def endpoint(request: Request) -> Follow:
        return Follow(hub, tuple(request.query_all("topic")) or ("a",), request.last_event_id)

    routes.get("/", endpoint)
    return routes


# -- ending -----------------------------------------------------------------------------


async def test_a_farewell_does_not_complete_an_event_that_is_cut_off(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect(capacity=1000), stream_window=10_000)
        client.gives_back = False
        stream_id = await client.open()
        hub.publish("a", "x" * 20_000)
        await trio.testing.wait_all_tasks_blocked()
        # There is room on the stream again, but the socket is still full of what came before.
        client.widen(100_000, stream_id)
        await trio.testing.wait_all_tasks_blocked()
        server.drain()
        await client.until(lambda: stream_id in client.ended)
        assert b"data: xxx" in client.bodies[stream_id]
        assert not client.unread(stream_id)


@BOTH
@pytest.mark.parametrize("turns", range(12))
async def test_a_straggler_that_ends_just_when_it_could_go_on_is_gone(
    autojump_clock: MockClock, protocol: Protocol, turns: int
) -> None:
    limits = Limits(max_lifetime=100)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        reader = await ask(server, protocol, capacity=1000)
        await reader.status()
        hub.publish("a", "x" * 1500)
        await trio.testing.wait_all_tasks_blocked()
        assert hub.statistics().subscribers == 0
        received = server.transports[0].other.receive()
        assert received is not None
        assert len(received) == 1000
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        server.connection.tick(trio.current_time() + 100)  # it is old enough
        await trio.testing.wait_all_tasks_blocked()
        assert hub.statistics().audiences == 0
        assert server.statistics().streams == 0


# -- heartbeats -------------------------------------------------------------------------


async def test_a_stream_whose_window_is_shut_does_not_silence_the_others_of_its_group(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(heartbeat=15, retry=None)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect(), stream_window=100)
        client.gives_back = False
        shut, quick = await client.open(), await client.open()
        hub.publish("a", Event("x" * (100 - len(b":\n\n" + b"id: 1\ndata: \n\n")), id="1"))
        await client.events(quick, 1)
        client.widen(1000, quick)
        await trio.sleep(15)
        client.take()
        assert client.bodies[quick].endswith(b"x\n\n:\n\n")
        assert client.bodies[shut].endswith(b"x\n\n")
        hub.publish("a", "next")
        assert await client.data(quick, 1) == ["next"]
        client.widen(1000, shut)
        assert (await client.data(shut, 2))[1] == "next"
