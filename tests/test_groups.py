"""Groups of streams on one HTTP/2 connection: who hears the same is written to at once, and
who is slow goes alone.
"""

from __future__ import annotations

import tracemalloc

import trio
import trio.testing
from trio.testing import MockClock

from support.http2_client import Http2Client
from support.memory_server import serving
from support.sites import follow
from trio_sse.hub import Hub, open_hub
from trio_sse.limits import Limits


async def publish_one_by_one(hub: Hub, published: list[str]) -> None:
    """Publish, and let each event go as far as it goes before the next."""
    for data in published:
        hub.publish("a", data)
        await trio.testing.wait_all_tasks_blocked()


async def all_hear(client: Http2Client, streams: list[int], published: list[str]) -> None:
    """Read, and check that each stream is sent just this; then let them join their group."""
    for stream_id in streams:
        assert await client.data(stream_id, len(published)) == published
    await trio.testing.wait_all_tasks_blocked()


async def test_streams_that_hear_the_same_are_one_group(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect())
        streams = [await client.open("/?topic=a&topic=b") for _ in range(20)]
        others = [await client.open("/?topic=b") for _ in range(5)]
        assert [len(outlet) for outlet in server.http2.followers.outlets] == [20, 5]
        assert hub.statistics().subscribers == 25
        assert hub.statistics().audiences == 2
        hub.publish("a", "for some")
        hub.publish("b", "for all")
        for stream_id in streams:
            assert await client.data(stream_id, 2) == ["for some", "for all"]
        for stream_id in others:
            assert await client.data(stream_id, 1) == ["for all"]


async def test_streams_that_join_while_something_is_under_way_find_their_group_later(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect())
        first = await client.open()
        late = [client.ask() for _ in range(3)]
        hub.publish("a", "0")
        while len(server.http2.followers) < 4:
            await trio.lowlevel.checkpoint()
        for number in range(1, 4):
            hub.publish("a", str(number))
            await trio.testing.wait_all_tasks_blocked()
        assert len(server.http2.followers.outlets) == 1
        assert await client.data(first, 4) == ["0", "1", "2", "3"]
        for stream_id in late:
            assert (await client.data(stream_id, 3))[-3:] == ["1", "2", "3"]


async def test_a_group_whose_socket_is_full_catches_up_as_one(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect(capacity=5000))
        streams = [await client.open() for _ in range(10)]
        published = [f"{number} " + "x" * 100 for number in range(100)]
        await publish_one_by_one(hub, published)
        assert hub.statistics().subscribers == 0
        assert len(server.http2.followers.outlets) == 1
        await all_hear(client, streams, published)
        assert hub.statistics().subscribers == 10
        assert len(server.http2.followers.outlets) == 1


async def test_a_stream_whose_window_is_shut_leaves_its_group_and_comes_back(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect(), stream_window=500, gives_back=False)
        slow = await client.open()
        quick = [await client.open() for _ in range(5)]
        for stream_id in quick:
            client.widen(100_000, stream_id)
        published = [f"{number} " + "x" * 50 for number in range(50)]
        await publish_one_by_one(hub, published)
        await all_hear(client, quick, published)
        assert hub.statistics().subscribers == 5
        client.widen(100_000, slow)
        assert await client.data(slow, 50) == published
        await trio.testing.wait_all_tasks_blocked()
        assert hub.statistics().subscribers == 6
        assert len(server.http2.followers.outlets) == 1


async def test_a_stream_whose_window_stays_shut_is_reset_and_the_others_go_on(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(write_timeout=30, ping_interval=999)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect(), stream_window=500, gives_back=False)
        slow, quick = await client.open(), await client.open()
        client.widen(10_000, quick)
        hub.publish("a", "x" * 1000)
        await trio.sleep(29)
        await client.read_all()
        assert slow not in client.resets
        await trio.sleep(2)
        hub.publish("a", "later")
        assert await client.data(quick, 2) == ["x" * 1000, "later"]
        assert client.resets == {slow: 8}
        assert server.statistics().drops == {"window_shut": 1}
        assert server.statistics().streams == 1


async def test_a_connection_whose_window_is_shut_catches_up_when_it_opens(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(
            server.connect(capacity=200_000), connection_window=0, gives_back=False
        )
        streams = [await client.open() for _ in range(4)]
        published = [f"{number} " + "x" * 1000 for number in range(40)]
        await publish_one_by_one(hub, published)
        await client.read_all()
        assert sum(len(client.bodies[stream_id]) for stream_id in streams) <= 65_535
        assert hub.statistics().subscribers == 0
        client.widen(1_000_000)
        await all_hear(client, streams, published)
        assert len(server.http2.followers.outlets) == 1


async def test_a_stream_that_waits_for_room_holds_one_event_in_memory(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect(), stream_window=500, gives_back=False)
        published = [f"{number} " + "x" * 1000 for number in range(100)]
        await publish_one_by_one(hub, published)
        tracemalloc.start()
        try:
            streams = [await client.open(last_event_id="earliest") for _ in range(100)]
            await client.read_all()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < len(streams) * 30_000
        for stream_id in streams:
            client.widen(1_000_000, stream_id)
        await all_hear(client, streams, published)


async def test_streams_go_on_alone_when_the_connections_window_stays_shut(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(write_timeout=30, ping_interval=999)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(
            server.connect(capacity=200_000), connection_window=0, gives_back=False
        )
        streams = [await client.open() for _ in range(4)]
        for _ in range(80):
            hub.publish("a", "x" * 1000)
        await trio.sleep(30 + 30 + 1)
        await client.read_all()
        assert sorted(client.resets) == streams
        assert server.statistics().drops == {"window_shut": 4}
        assert server.statistics().streams == 0


async def test_a_stream_whose_siblings_use_up_what_the_client_gives_back_is_not_reset(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(write_timeout=30, ping_interval=999)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(
            server.connect(capacity=200_000), connection_window=0, gives_back=False
        )
        streams = [await client.open() for _ in range(40)]
        published = [f"{number} " + "x" * 1000 for number in range(60)]
        for data in published:
            hub.publish("a", data)
        # What it lets through in a second goes to one stream, whichever is first to wake up.
        for _ in range(300):
            await trio.sleep(1)
            await client.read_all()
            client.widen(5000)
        assert not client.resets
        client.widen(10_000_000)
        await all_hear(client, streams, published)
        assert server.statistics().dropped == 0


async def test_an_event_too_large_for_all_streams_at_once_goes_to_one_after_the_other(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect())
        streams = [await client.open() for _ in range(3)]
        published = ["x" * 500_000, "after"]
        for data in published:
            hub.publish("a", data)
        await all_hear(client, streams, published)
        assert hub.statistics().subscribers == 3


async def test_a_stream_that_leaves_while_its_group_catches_up_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect(capacity=1000))
        streams = [await client.open() for _ in range(2)]
        hub.publish("a", "x" * 2000)
        await trio.testing.wait_all_tasks_blocked()
        for stream_id in streams:
            client.reset(stream_id)
        await client.read_all()
        assert not server.http2.followers
        assert not server.http2.followers.outlets
        assert hub.statistics().audiences == 0
        assert server.statistics().connections == 1
