"""Who is looked after in which round: often enough for what is due, and no oftener."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

from support.http1_client import Http1Client
from support.memory_server import serving
from support.reader import ask
from support.sites import follow
from trio_sse.connection.http1 import Http1Connection
from trio_sse.connection.http2 import Http2Connection
from trio_sse.hub import open_hub
from trio_sse.limits import Limits


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Http1Connection]:
    """The connections that are looked after, each time."""
    looks: list[Http1Connection] = []
    tick = Http1Connection.tick

    def counted(self: Http1Connection, now: float) -> float:
        looks.append(self)
        return tick(self, now)

    monkeypatch.setattr(Http1Connection, "tick", counted)
    return looks


async def test_who_hears_events_is_looked_at_as_rarely_as_who_is_silent(
    autojump_clock: MockClock, looks: list[Http1Connection]
) -> None:
    limits = Limits(heartbeat=16, max_lifetime=None)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        reader = await ask(server, "HTTP/1.1")
        await reader.status()
        reader.poll()
        for _ in range(10):
            await trio.sleep(limits.heartbeat)
            assert b":\n\n" in reader.poll()
        assert len(looks) <= 2 * 11
        looks.clear()
        for _ in range(20):
            hub.publish("a", "x")
            await trio.sleep(server.service.silence / 2)
            assert b"x" in reader.poll()
        assert 0 < len(looks) <= 2 * 11


async def test_rounds_that_take_long_make_no_heartbeat_late(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_long(self: Http2Connection, now: float) -> float:
        autojump_clock.jump(0.4 * self.service.tick)
        return 0.0

    monkeypatch.setattr(Http2Connection, "tick", take_long)
    limits = Limits(heartbeat=16)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        await (await ask(server, "HTTP/2")).status()
        client = Http1Client(server.connect())
        await client.open()
        await client.read_until(b"retry")
        for _ in range(5):
            silent_since = trio.current_time()
            assert await client.read() == b":\n\n"
            assert trio.current_time() - silent_since <= limits.heartbeat


@pytest.mark.parametrize("heartbeat", [1e12, math.inf])
async def test_a_heartbeat_that_is_never_due_is_none(
    autojump_clock: MockClock, heartbeat: float
) -> None:
    limits = Limits(heartbeat=heartbeat)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        reader = await ask(server, "HTTP/1.1")
        await reader.status()
        reader.poll()
        await trio.sleep(1000)
        hub.publish("a", "x")
        assert await reader.data(1) == ["x"]
        assert b":\n\n" not in reader.body.removeprefix(server.service.opening())


async def test_every_stream_of_a_connection_ends_before_it_is_too_old(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(max_lifetime=10, heartbeat=60)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http1Client(server.connect())
        for _ in range(20):
            begun = trio.current_time()
            await client.open()
            await client.rest()  # would raise Cut
            assert 8.99 < trio.current_time() - begun < 10.01


async def test_who_has_left_is_kept_for_no_round(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        readers = [await ask(server, "HTTP/1.1") for _ in range(3)]
        for reader in readers:
            await reader.status()
        # Each is put off for a while of its own, and the rounds of then are far away.
        await trio.sleep(2 * server.service.tick)
        for reader in readers:
            reader.leave()
        await trio.sleep(0.01)
        assert list(server._rounds) == []
        # Nor is there a round left for nobody, among whose followers it lies in memory.
        assert server._rounds._lists == {}
