"""Many clients at once, over real sockets: each honest one gets every event once, in order.

Beside them others come and go, stall, and cancel streams. What an honest client received is
compared byte by byte with what the events encode to.
"""

from __future__ import annotations

import gc
import os
import socket
from dataclasses import dataclass, field
from functools import partial

import h11
import pytest
import trio

from trio_sse import Event, Limits, encode
from trio_sse.mercure import PATH

from .http2_stranger import http2_stranger
from .raw import RawPeer, raw_peer
from .site import Site, open_site, until

CONNECTIONS_1 = 200
CONNECTIONS_2, STREAMS = 10, 100
EVENTS = [Event(f"event {number} {'x' * (number % 90)}", id=f"e-{number}") for number in range(500)]
ENCODED = [encode(event) for event in EVENTS]
PACE = 25
"""Events after which the publisher waits for one client, so that passes carry few events
as well as many."""

FOLLOW = f"{PATH}?topic=all"
VISITS = 10
"""At least, of each kind of client that comes and goes."""
BALLAST = "x" * 32_768
BALLASTS = 200
"""Enough to fill the sockets of who does not read, at both ends of the connection."""


@dataclass
class Crowd:
    """The run of one test: what has been published, and who has come."""

    site: Site
    published: int = 0
    over: trio.Event = field(default_factory=trio.Event)
    complete: int = 0
    """Streams that have received all they should."""
    visits: dict[str, int] = field(default_factory=lambda: {"FIN": 0, "RST": 0, "RST_STREAM": 0})
    at_pace: bytearray = field(default_factory=bytearray)
    """What the client that sets the pace has received."""

    async def publish(self) -> None:
        """Publish all events, and ballast for those who stall."""
        for number, event in enumerate(EVENTS):
            self.site.hub.publish("all", event)
            self.published = number + 1
            if number < BALLASTS:
                self.site.hub.publish("ballast", BALLAST)
            if number % PACE == 0:
                await until(partial(self.at_pace.endswith, ENCODED[number]))
            elif number % 3 == 0:
                await trio.lowlevel.checkpoint()

    def check(self, body: bytes | bytearray, after: int) -> None:
        """Compare the body of a stream that began after an event with what it should be."""
        assert bytes(body).partition(b"\n\n")[2] == b"".join(ENCODED[after + 1 :])
        self.complete += 1

    # -- honest clients -------------------------------------------------------------------

    async def follow_http1(self, body: bytearray, after: int = -1) -> None:
        async with raw_peer(self.site.port) as peer:
            await ask(peer, FOLLOW, after)
            connection = h11.Connection(h11.CLIENT)
            connection.send(h11.Request(method="GET", target=FOLLOW, headers=[("host", "x")]))
            while not body.endswith(ENCODED[-1]):
                connection.receive_data(await peer.more())
                while (event := connection.next_event()) is not h11.NEED_DATA:
                    if isinstance(event, h11.Data):
                        body += event.data
            self.check(body, after)
            await self.over.wait()

    async def follow_http2(self, *, wide: bool, after: int = -1, streams: int = STREAMS) -> None:
        async with http2_stranger(self.site.port) as stranger:
            if wide:
                stranger.widen()
            last = [] if after < 0 else [("last-event-id", f"e-{after}")]
            ids = [await stranger.ask(FOLLOW, *last) for _ in range(streams)]
            await stranger.until(
                lambda: all(stranger.bodies[each].endswith(ENCODED[-1]) for each in ids)
            )
            for each in ids:
                self.check(stranger.bodies[each], after)
            await self.over.wait()

    # -- others ---------------------------------------------------------------------------

    async def come_and_go(self, how: str) -> None:
        while self.visits[how] < VISITS or not self.over.is_set():
            async with raw_peer(self.site.port) as peer:
                await ask(peer, FOLLOW)
                await peer.until(b"retry:")
                if how == "RST":
                    peer.reset()
            self.visits[how] += 1

    async def cancel_streams(self) -> None:
        async with http2_stranger(self.site.port) as stranger:
            while self.visits["RST_STREAM"] < VISITS or not self.over.is_set():
                stream_id = await stranger.ask(FOLLOW)
                await stranger.until(partial(stranger.bodies.__contains__, stream_id))
                await stranger.reset(stream_id)
                self.visits["RST_STREAM"] += 1

    async def stall(self) -> None:
        """Follow over a socket with a small buffer, and never read."""
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", self.site.port))
            sock.send(f"GET {FOLLOW}&topic=ballast HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await self.over.wait()

    async def stall_connection(self) -> None:
        """Follow over HTTP/2, and never read."""
        async with http2_stranger(self.site.port) as stranger:
            stranger.widen()
            for _ in range(20):
                await stranger.ask(f"{FOLLOW}&topic=ballast")
            await self.over.wait()

    async def stall_streams(self) -> None:
        """Follow over HTTP/2 with streams whose windows stay shut, beside others' that open."""
        async with http2_stranger(self.site.port) as stranger:
            stranger.h2.update_settings({4: 4096})
            ids = [await stranger.ask(FOLLOW) for _ in range(20)]
            stranger.stalled = set(ids[::2])
            await stranger.until(
                lambda: all(stranger.bodies[each].endswith(ENCODED[-1]) for each in ids[1::2])
            )
            for each in ids[1::2]:
                self.check(stranger.bodies[each], -1)
            for each in ids[::2]:
                assert len(stranger.bodies[each]) <= 4096
            await self.over.wait()


async def ask(peer: RawPeer, path: str, after: int = -1) -> None:
    last = f"Last-Event-ID: e-{after}\r\n" if after >= 0 else ""
    await peer.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{last}\r\n".encode())


# Four seconds, but not under a profiler on a busy machine: nobody who stalls is to be dropped.
LIMITS = Limits(write_timeout=600, ping_interval=600)
LONG = 100.0


@pytest.mark.timeout(180)
async def test_every_event_reaches_every_client_once_and_in_order() -> None:
    files = len(os.listdir("/proc/self/fd"))
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with open_site(limits=LIMITS, max_events=2_000) as site:
        crowd = Crowd(site)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crowd.follow_http1, crowd.at_pace)
            for _ in range(CONNECTIONS_1 - 1):
                nursery.start_soon(crowd.follow_http1, bytearray())
            for number in range(CONNECTIONS_2):
                wide = number % 2 == 0
                nursery.start_soon(partial(crowd.follow_http2, wide=wide))
            nursery.start_soon(crowd.stall_streams)
            for _ in range(5):
                nursery.start_soon(crowd.stall)
            nursery.start_soon(crowd.stall_connection)
            faithful = CONNECTIONS_1 + CONNECTIONS_2 * STREAMS
            await until(lambda: site.hub.statistics().subscribers == faithful + 20 + 5 + 20, LONG)
            for how in ("FIN", "RST"):
                nursery.start_soon(crowd.come_and_go, how)
            nursery.start_soon(crowd.cancel_streams)
            nursery.start_soon(crowd.publish)
            # In the middle of it some come who were there before.
            await until(lambda: crowd.published > 100, LONG)
            for after in range(0, 100, 5):
                nursery.start_soon(crowd.follow_http1, bytearray(), after)
            nursery.start_soon(partial(crowd.follow_http2, wide=False, after=50, streams=20))
            # Of the streams whose windows stay shut the other half goes on.
            await until(lambda: crowd.complete == faithful + 10 + 20 + 20, LONG)
            # Whoever stalls has left the live ones, and costs them nothing.
            behind = site.server.statistics().streams - site.hub.statistics().subscribers
            assert behind >= 10 + 5 + 20
            crowd.over.set()
        await site.emptied()
        statistics = site.hub.statistics()
        assert (statistics.subscribers, statistics.audiences) == (0, 0)
        assert site.server.statistics().failed == 0
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == files
    assert trio.lowlevel.current_statistics().tasks_living == tasks
