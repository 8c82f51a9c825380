"""Whatever happens, and at whatever checkpoint: nothing is left behind, and nothing is logged.

A busy scenario is run again and again. In the n-th run the n-th step is when the connection is
cut off, when the client leaves, when the server drains, or when the transport breaks.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import h2.exceptions
import h11
import pytest
import trio
from trio.testing import MockClock

from support.faults import AtStep, fragile_pair
from support.http1_client import Cut, Http1Client
from support.http2_client import Http2Client
from support.logs import Log, complaints
from support.memory_server import MemoryServer, serving
from support.reader import PROTOCOLS, Protocol
from trio_sse.connection import Stream
from trio_sse.event import Event
from trio_sse.hub import Hub, open_hub
from trio_sse.limits import Limits
from trio_sse.message import Response
from trio_sse.routes import Follow, Routes
from trio_sse.transport import Broken, MemoryTransport

CAPACITY = 1500
"""Small, so that the server has to wait for the client again and again."""

pytestmark = pytest.mark.timeout(300)
"""Hundreds of runs take their time where a machine is busy."""

LIMITS = Limits(max_body_bytes=5000, write_timeout=20, drain_timeout=5, heartbeat=3)

LONG = Event("x" * 1000)

UPSETS = (
    AssertionError,
    Broken,
    Cut,
    h11.LocalProtocolError,
    h2.exceptions.ProtocolError,
    trio.ClosedResourceError,
)
"""How a client of ours takes it that its connection is no more."""


class Scene:
    """A server with everything a client may want of it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.running_handlers = 0
        self.routes = Routes()
        self.routes.get("/follow", lambda request: Follow(hub, ("a",), request.last_event_id))
        self.routes.get("/handle", self.handle)
        self.routes.get("/zap", self.zap)
        self.routes.post("/", lambda request: Response(200, request.body))

    async def handle(self, stream: Stream) -> None:
        """Send from a task of a nursery of its own."""
        self.running_handlers += 1
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(stream.send, LONG)
        finally:
            self.running_handlers -= 1

    async def zap(self, stream: Stream) -> None:
        """Follow for a while, and then say good-bye."""
        self.running_handlers += 1
        try:
            with trio.move_on_after(4):
                await stream.follow(self.hub, "a")
            await stream.send("bye")
        finally:
            self.running_handlers -= 1

    async def talk_http1(self, transport: MemoryTransport) -> None:
        client = Http1Client(transport)
        await client.ask("/", method="POST", body=b"y" * 2000)
        await client.answer()
        await client.ask("/handle")
        await client.rest()
        await client.ask("/zap")
        await client.head()
        self.hub.publish("a", LONG)
        self.hub.publish("a", LONG)
        await trio.sleep(1)
        await client.events(2)
        await client.rest()
        await client.open("/follow", last_event_id="earliest")
        self.hub.publish("a", LONG)
        await client.events(3)
        self.hub.publish("a", "live again")
        await client.events(1)
        client.leave()

    async def talk_http2(self, transport: MemoryTransport) -> None:
        client = Http2Client(transport, stream_window=1200)
        posted = client.ask("/", method="POST", body=b"y" * 1000)
        handled, zapped = client.ask("/handle"), client.ask("/zap")
        live, other = await client.open("/follow"), await client.open("/follow")
        self.hub.publish("a", LONG)
        await trio.sleep(1)
        self.hub.publish("a", LONG)
        await client.events(live, 2)
        client.reset(other)
        late = await client.open("/follow", last_event_id="earliest")
        await client.events(late, 2)
        self.hub.publish("a", "live again")
        await client.events(live, 1)
        for stream_id in (posted, handled, zapped):
            await client.rest(stream_id)
        client.leave()

    async def play(
        self, protocol: Protocol, transport: MemoryTransport, has_happened: Callable[[], bool]
    ) -> None:
        """Be the client; being cut off is part of the play, once it has happened."""
        talk = self.talk_http2 if protocol == "HTTP/2" else self.talk_http1
        with trio.fail_after(100):
            try:
                await talk(transport)
            except UPSETS:
                if not has_happened():
                    raise
            finally:
                transport.close()

    async def assert_over(self, server: MemoryServer) -> None:
        """Once what is left has had its time, nothing is."""
        await trio.sleep(60)
        assert server.statistics().connections == 0
        assert server.statistics().streams == 0
        assert server.statistics().failed == 0
        assert self.hub.statistics().audiences == 0
        assert self.running_handlers == 0
        assert all(transport.closed for transport in server.transports)


Trouble = Callable[[MemoryServer, MemoryTransport], None]


def cut_off(server: MemoryServer, client: MemoryTransport) -> None:
    for connection in tuple(server._rounds):
        connection.cut_off()


def leave(server: MemoryServer, client: MemoryTransport) -> None:
    client.close()


def drain(server: MemoryServer, client: MemoryTransport) -> None:
    server.drain()


async def run_until_step(step: int, protocol: Protocol, trouble: Trouble) -> bool:
    """Return whether there was such a step."""
    async with open_hub() as hub:
        scene = Scene(hub)
        async with serving(scene.routes, LIMITS, hub=hub) as server:
            client = server.connect(capacity=CAPACITY)
            at_step = AtStep(step, lambda: trouble(server, client))
            trio.lowlevel.add_instrument(at_step)
            await scene.play(protocol, client, lambda: at_step.has_happened)
            trio.lowlevel.remove_instrument(at_step)
            await scene.assert_over(server)
    return at_step.has_happened


async def run_until_call(call: int, protocol: Protocol) -> bool:
    """Return whether there was such a call."""
    async with open_hub() as hub:
        scene = Scene(hub)
        async with serving(scene.routes, LIMITS, hub=hub) as server:
            transport = fragile_pair(call, CAPACITY)
            client = server.connect(transport=transport)
            await scene.play(protocol, client, lambda: transport.has_broken)
            await scene.assert_over(server)
    return transport.has_broken


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("trouble", [cut_off, leave, drain])
def test_trouble_at_any_step_leaves_nothing_behind(
    protocol: Protocol, trouble: Trouble, caplog: Log
) -> None:
    for step in count(1):
        clock = MockClock(autojump_threshold=0)
        if not trio.run(run_until_step, step, protocol, trouble, clock=clock):
            break
        assert not complaints(caplog)
    assert step > 40


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_transport_that_breaks_at_any_call_leaves_nothing_behind(
    protocol: Protocol, caplog: Log
) -> None:
    for call in count(1):
        clock = MockClock(autojump_threshold=0)
        if not trio.run(run_until_call, call, protocol, clock=clock):
            break
        assert not complaints(caplog)
    assert call > 20
