"""Who waits for a window of an HTTP/2 connection: who is woken, and that nobody is left behind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from support.http2_client import Http2Client
from support.memory_server import serving
from support.sites import follow
from trio_sse.connection.windows import Windows
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.wire.http2 import Http2

LIMITS = Limits(retry=None, ping_interval=999)
LONG = "x" * 60_000
CAPACITY = 1024 * 1024
"""More than is ever under way: nothing but windows holds anything up."""


@contextmanager
def attempts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The streams that anything is tried to be sent to."""
    tried: list[int] = []
    send = Http2.send

    def noted(wire: Http2, stream_id: int, data: bytes | memoryview) -> int:
        tried.append(stream_id)
        return send(wire, stream_id, data)

    with monkeypatch.context() as patched:
        patched.setattr(Http2, "send", noted)
        yield tried


async def test_a_streams_window_wakes_the_writer_of_that_stream_alone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        client = Http2Client(server.connect(capacity=CAPACITY), stream_window=0, gives_back=False)
        streams = [await client.open() for _ in range(20)]
        await client.read_all()
        with attempts(monkeypatch) as tried:
            client.widen(1, streams[7])
            await wait_all_tasks_blocked()
            assert set(tried) == {streams[7]}


async def test_the_connections_window_wakes_as_many_as_it_has_room_for(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        client = Http2Client(
            server.connect(capacity=CAPACITY), connection_window=0, gives_back=False
        )
        streams = [await client.open() for _ in range(20)]
        hub.publish("a", LONG)
        await client.read_all()
        with attempts(monkeypatch) as tried:
            client.widen(1)
            await wait_all_tasks_blocked()
            assert len(set(tried)) == 1
            tried.clear()
            client.widen(len(LONG) * 3 // 2)
            await wait_all_tasks_blocked()
            assert len(set(tried)) == 2
        client.widen(len(LONG) * 20)
        for stream in streams:
            assert await client.data(stream, 1) == [LONG]


async def test_who_leaves_when_it_is_his_turn_hands_it_on(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        client = Http2Client(
            server.connect(capacity=CAPACITY), connection_window=0, gives_back=False
        )
        streams = [await client.open() for _ in range(3)]
        hub.publish("a", LONG)
        await client.read_all()
        before = {stream: len(client.bodies[stream]) for stream in streams}
        first = next(iter(server.http2.windows._waiting))
        assert isinstance(first, int)
        # It is woken, and is gone before it has had its turn.
        client.h2.increment_flow_control_window(10)
        server.http2._hear(client.h2.data_to_send())
        client.h2.reset_stream(first)
        server.http2._hear(client.h2.data_to_send())
        await client.read_all()
        others = [stream for stream in streams if stream != first]
        assert sum(len(client.bodies[stream]) - before[stream] for stream in others) == 10


async def test_a_group_that_has_become_smaller_needs_less_room(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        client = Http2Client(
            server.connect(capacity=CAPACITY), gives_back=False, connection_window=200_000
        )
        streams = [await client.open() for _ in range(3)]
        expected = ["x" * 30_000, "y" * 30_000, "z" * 10_000]
        for data in expected:
            hub.publish("a", data)
            await client.read_all()
        assert len(client.unread(streams[0])) == 2
        begun = trio.current_time()
        for stream in streams[1:]:
            client.reset(stream)
        await client.read_all()
        assert [event.data for event in client.unread(streams[0])] == expected
        assert trio.current_time() == begun


class Wire:
    """As much of a connection as those need who wait."""

    connection_window = 0

    def __init__(self) -> None:
        self.looks = 0
        self.shut: set[int] = set()

    def window(self, stream_id: int) -> int:
        return 0 if stream_id in self.shut else self.connection_window

    def is_shut(self, stream_id: int) -> bool:
        self.looks += 1
        return stream_id in self.shut

    def is_open(self, stream_id: int) -> bool:
        return True


async def test_room_that_is_too_little_for_a_group_goes_to_others(
    autojump_clock: MockClock,
) -> None:
    wire = Wire()
    windows = Windows(cast(Http2, wire))
    woken: list[str] = []

    async def group() -> None:
        while wire.connection_window < 100:
            await windows.opened_for_all("group", 100, math.inf)
            woken.append("group")

    async def stream() -> None:
        assert await windows.opened_for_stream(1, 50, math.inf)
        woken.append("stream")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(group)
        await wait_all_tasks_blocked()
        nursery.start_soon(stream)
        await wait_all_tasks_blocked()
        wire.connection_window = 100
        windows.connection_opened()
        # Who was sent an event in between had some of it.
        wire.connection_window = 60
        await wait_all_tasks_blocked()
        assert woken == ["group", "stream"]
        wire.connection_window = 100
        windows.connection_opened()


async def test_who_waits_for_his_own_window_is_not_looked_at_for_the_connections(
    autojump_clock: MockClock,
) -> None:
    wire = Wire()
    windows = Windows(cast(Http2, wire))
    wire.shut = {*range(1, 100, 2)}
    async with trio.open_nursery() as nursery:
        for stream_id in wire.shut:
            nursery.start_soon(windows.opened_for_stream, stream_id, 10, math.inf)
        await wait_all_tasks_blocked()
        wire.looks = 0
        for _ in range(1_000):
            wire.connection_window += 1
            windows.connection_opened()
        assert wire.looks == 0
        # Its own window wakes it, and the client's SETTINGS all.
        wire.shut.remove(1)
        windows.wake(1)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 49
        wire.shut.clear()
        windows.changed()


async def test_who_is_shut_while_waiting_for_the_connection_is_woken_when_he_can_go_on(
    autojump_clock: MockClock,
) -> None:
    wire = Wire()
    windows = Windows(cast(Http2, wire))
    async with trio.open_nursery() as nursery:
        for stream_id in (1, 3):
            nursery.start_soon(windows.opened_for_stream, stream_id, 10, math.inf)
        await wait_all_tasks_blocked()
        wire.shut = {1}
        windows.changed()
        wire.connection_window = 5
        windows.connection_opened()
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        wire.shut.clear()
        windows.wake(1)


class Counted(int):
    """A length that knows how often it was looked at."""

    looks = 0

    def __le__(self, other: int) -> bool:
        Counted.looks += 1
        return int(self) <= other


async def test_groups_are_not_looked_at_for_less_than_any_of_them_needs(
    autojump_clock: MockClock,
) -> None:
    wire = Wire()
    windows = Windows(cast(Http2, wire))
    async with trio.open_nursery() as nursery:
        for group in range(50):
            nursery.start_soon(windows.opened_for_all, group, Counted(2_000 + group), math.inf)
        await wait_all_tasks_blocked()
        Counted.looks = 0
        for _ in range(1_999):
            wire.connection_window += 1
            windows.connection_opened()
        assert Counted.looks <= 50
        wire.connection_window += 1
        windows.connection_opened()
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 49
        wire.connection_window = 1_000_000
        windows.connection_opened()
