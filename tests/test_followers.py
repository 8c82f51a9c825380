"""Followers: who is slow, who is quick, who leaves, and that nobody pays for another."""

from __future__ import annotations

import re

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.http2_client import Http2Client
from support.memory_server import serving
from support.reader import PROTOCOLS, Protocol, ask
from trio_sse.event import Event
from trio_sse.hub import GAP_TYPE, Hub, open_hub
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


@BOTH
async def test_a_heartbeat_comes_only_where_nothing_else_was_sent_and_is_never_late(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    limits = Limits(heartbeat=15, ping_interval=999)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        reader = await ask(server, protocol)
        await reader.status()
        last_heard = trio.current_time()
        silences, heartbeats = [], []
        for quarter in range(4 * 120):
            if quarter in (4 * 10, 4 * 24, 4 * 60, 4 * 61):
                hub.publish("a", "x")
            await trio.sleep(0.25)
            if arrived := reader.poll():
                now = trio.current_time()
                silences.append(now - last_heard)
                if arrived == b":\n\n":
                    heartbeats.append(now - last_heard)
                last_heard = now
        assert max(silences) <= limits.heartbeat
        assert min(heartbeats) >= server.service.silence - 0.25  # we look that often
        assert len(heartbeats) > 4


# -- slow and quick ---------------------------------------------------------------------


@BOTH
async def test_who_stops_reading_and_reads_again_gets_each_event_once_in_order(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        slow = await ask(server, protocol, capacity=2000, window=5000)
        quick = await ask(server, protocol)
        await slow.status()
        await quick.status()
        published = [f"{number} " + "x" * 200 for number in range(300)]
        for data in published:
            hub.publish("a", data)
            assert await quick.data(1) == [data]
        assert hub.statistics().subscribers == 1
        assert await slow.data(300) == published
        await trio.testing.wait_all_tasks_blocked()
        assert hub.statistics().subscribers == 2
        hub.publish("a", "live again")
        assert await slow.data(1) == ["live again"]


@BOTH
async def test_who_falls_off_the_history_is_told_where(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub(max_events=10) as hub, serving(follow(hub), hub=hub) as server:
        slow = await ask(server, protocol, capacity=1000, window=1000)
        await slow.status()
        for number in range(50):
            hub.publish("a", f"{number} " + "x" * 200)
            await trio.testing.wait_all_tasks_blocked()
        received: list[Event] = []
        while not received or received[-1].data != "49 " + "x" * 200:
            received += await slow.events(1)
        (at,) = [number for number, event in enumerate(received) if event.type == GAP_TYPE]
        before, after = received[:at], received[at + 1 :]
        assert [(each.data or "").split()[0] for each in before] == [
            str(number) for number in range(len(before))
        ]
        assert [(each.data or "").split()[0] for each in after] == [
            str(number) for number in range(50 - len(after), 50)
        ]
        assert received[at].data == f'{{"lost":{50 - len(after) - len(before)}}}'
        assert len(after) >= 10


@BOTH
async def test_a_stream_resumes_after_the_event_it_names(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        ids = [hub.publish("a", str(number)) for number in range(5)]
        named = await ask(server, protocol, headers=[("last-event-id", ids[2])])
        asked = await ask(server, protocol, f"/?lastEventID={ids[3]}")
        hub.publish("a", "5")
        assert await named.data(3) == ["3", "4", "5"]
        assert await asked.data(2) == ["4", "5"]


@BOTH
async def test_an_id_that_nobody_knows_is_a_gap_before_all_there_is(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        hub.publish("a", "0")
        reader = await ask(server, protocol, headers=[("last-event-id", "of another life")])
        gap, event = await reader.events(2)
        assert (gap.type, gap.data) == (GAP_TYPE, '{"lost":null}')
        assert event.data == "0"


@BOTH
async def test_a_client_that_takes_nothing_for_too_long_is_dropped(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    limits = Limits(write_timeout=30)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        reader = await ask(server, protocol, capacity=1000)
        await reader.status()
        await trio.testing.wait_all_tasks_blocked()
        hub.publish("a", "x" * 2000)
        await trio.sleep(29)
        assert server.statistics().connections == 1
        await trio.sleep(2)
        assert server.statistics().connections == 0
        assert server.statistics().dropped == 1
        assert await reader.ending() == "cut"


# -- groups on HTTP/2 -------------------------------------------------------------------


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
        for data in published:
            hub.publish("a", data)
            await trio.testing.wait_all_tasks_blocked()
        assert hub.statistics().subscribers == 0
        assert len(server.http2.followers.outlets) == 1
        for stream_id in streams:
            assert await client.data(stream_id, 100) == published
        await trio.testing.wait_all_tasks_blocked()
        assert hub.statistics().subscribers == 10
        assert len(server.http2.followers.outlets) == 1


async def test_a_stream_whose_window_is_shut_leaves_its_group_and_comes_back(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect(), stream_window=500)
        client.gives_back = False
        slow = await client.open()
        quick = [await client.open() for _ in range(5)]
        for stream_id in quick:
            client.widen(100_000, stream_id)
        published = [f"{number} " + "x" * 50 for number in range(50)]
        for data in published:
            hub.publish("a", data)
            await trio.testing.wait_all_tasks_blocked()
        for stream_id in quick:
            assert await client.data(stream_id, 50) == published
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
        client = Http2Client(server.connect(), stream_window=500)
        client.gives_back = False
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
        assert server.statistics().dropped == 1
        assert server.statistics().streams == 1


async def test_a_connection_whose_window_is_shut_catches_up_when_it_opens(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect(capacity=200_000), connection_window=0)
        client.gives_back = False
        streams = [await client.open() for _ in range(4)]
        published = [f"{number} " + "x" * 1000 for number in range(40)]
        for data in published:
            hub.publish("a", data)
            await trio.testing.wait_all_tasks_blocked()
        await client.read_all()
        assert sum(len(client.bodies[stream_id]) for stream_id in streams) <= 65_535
        assert hub.statistics().subscribers == 0
        client.widen(1_000_000)
        for stream_id in streams:
            assert await client.data(stream_id, 40) == published
        await trio.testing.wait_all_tasks_blocked()
        assert len(server.http2.followers.outlets) == 1


async def test_streams_go_on_alone_when_the_connections_window_stays_shut(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(write_timeout=30, ping_interval=999)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect(capacity=200_000), connection_window=0)
        client.gives_back = False
        streams = [await client.open() for _ in range(4)]
        for _ in range(80):
            hub.publish("a", "x" * 1000)
        await trio.sleep(30 + 30 + 1)
        await client.read_all()
        assert sorted(client.resets) == streams
        assert server.statistics().dropped == 4
        assert server.statistics().streams == 0


async def test_an_event_too_large_for_all_streams_at_once_goes_to_one_after_the_other(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect())
        streams = [await client.open() for _ in range(3)]
        published = ["x" * 500_000, "after"]
        for data in published:
            hub.publish("a", data)
        for stream_id in streams:
            assert await client.data(stream_id, 2) == published
        await trio.testing.wait_all_tasks_blocked()
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


# -- lifetimes and the drain ------------------------------------------------------------


@BOTH
async def test_a_stream_ends_properly_when_it_is_old_enough(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    limits = Limits(max_lifetime=100, ping_interval=999)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        ends = []
        for _ in range(5):
            begun = trio.current_time()
            reader = await ask(server, protocol)
            assert await reader.ending() == "proper"
            ends.append(trio.current_time() - begun)
            reader.leave()
        assert all(90 <= end <= 100 + server.service.tick for end in ends)
        assert len(set(ends)) > 1


@BOTH
async def test_a_drain_ends_streams_properly_and_says_when_to_come_back(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    limits = Limits(reconnect_spread=60)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        readers = [await ask(server, protocol) for _ in range(5)]
        for reader in readers:
            await reader.status()
        server.drain()
        delays = set()
        for reader in readers:
            assert await reader.ending() == "proper"
            farewell = reader.body.removeprefix(server.service.opening())
            match = re.fullmatch(rb"retry: (\d+)\n\n", farewell)
            assert match
            delays.add(int(match[1]))
        assert all(0 <= delay <= 60_000 for delay in delays)
        assert len(delays) > 3
        assert trio.current_time() < 1


async def test_an_http2_connection_says_good_bye_with_goaway_and_closes(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect())
        streams = [await client.open() for _ in range(3)]
        server.drain()
        await client.closing()
        assert client.ended == set(streams)
        assert client.goaways == [0, 0]
