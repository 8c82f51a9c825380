"""Followers on both protocols: heartbeats, resuming, stragglers that catch up, and their end."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.http1_client import Http1Client
from support.http2_client import Http2Client
from support.logs import Log, complaints
from support.memory_server import serving
from support.reader import BOTH, Protocol, ask
from support.sites import follow
from trio_sse.connection import endpoint
from trio_sse.connection.errands import Errands
from trio_sse.connection.group_outlet import GroupOutlet
from trio_sse.connection.http1_exchange import Http1Outlet
from trio_sse.event import Event
from trio_sse.hub import GAP_TYPE, open_hub
from trio_sse.limits import Limits

# -- heartbeats -------------------------------------------------------------------------


async def test_a_stream_whose_window_is_shut_does_not_silence_the_others_of_its_group(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(heartbeat=15, retry=None)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect(), stream_window=100, gives_back=False)
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


async def test_who_cannot_take_a_heartbeat_is_not_live_until_it_has(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), Limits(heartbeat=15), hub=hub) as server:
        client = Http1Client(server.connect(capacity=1000))
        await client.open("/")
        await trio.testing.wait_all_tasks_blocked()
        client.transport.receive()
        server.transports[0].send(bytes(1000))  # as if an event had filled what there is
        await trio.sleep(15)
        # Who is live is written to past the outbox, so nothing may wait there.
        assert hub.statistics().subscribers == 0
        hub.publish("a", "next")
        assert client.transport.receive() == bytes(1000)
        await trio.testing.wait_all_tasks_blocked()
        assert (client.transport.receive() or b"").startswith(b"3\r\n:\n\n\r\n")
        assert hub.statistics().subscribers == 1


async def test_a_follower_whose_head_has_not_left_yet_is_not_live(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        reader = await ask(server, "HTTP/1.1", capacity=30)
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().streams == 1
        assert hub.statistics().subscribers == 0
        hub.publish("a", "x")
        assert await reader.data(1) == ["x"]
        await trio.testing.wait_all_tasks_blocked()
        assert hub.statistics().subscribers == 1


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
async def test_who_has_caught_up_costs_no_more_tasks_than_before(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        reader = await ask(server, protocol, capacity=1000)
        await reader.status()
        before = trio.lowlevel.current_statistics().tasks_living
        for _ in range(2):
            hub.publish("a", "x" * 5000)
            await trio.testing.wait_all_tasks_blocked()
            assert trio.lowlevel.current_statistics().tasks_living > before
            await reader.events(1)
            await trio.sleep(server.service.leisure + 3 * server.service.tick)
            assert trio.lowlevel.current_statistics().tasks_living == before


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
        assert server.statistics().drops == {"took_nothing": 1}
        assert await reader.ending() == "cut"


async def test_thousands_who_are_found_to_be_gone_by_an_event_start_no_tasks(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Errands] = []

    def begin(home: trio.Nursery, cut_off: Callable[[], None]) -> Errands:
        begun.append(Errands(home, cut_off))
        return begun[-1]

    monkeypatch.setattr(endpoint, "Errands", begin)
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        reader = await ask(server, "HTTP/1.1")
        await reader.status()
        await trio.testing.wait_all_tasks_blocked()
        # Nobody is told: the event is the first to find out.
        server.transports[0].other.closed = True
        hub.publish("a", "x")
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 0
    assert not begun


@BOTH
async def test_a_stream_that_cannot_be_delivered_to_is_cut_off_not_left_in_silence(
    autojump_clock: MockClock, protocol: Protocol, monkeypatch: pytest.MonkeyPatch, caplog: Log
) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("a defect")

    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        reader = await ask(server, protocol)
        await reader.status()
        monkeypatch.setattr(Http1Outlet, "deliver", fail)
        monkeypatch.setattr(GroupOutlet, "deliver", fail)
        hub.publish("a", "x")
        assert await reader.ending() == "cut"
    assert complaints(caplog) == ["An outlet failed; its subscribers are cut off"]


# -- lifetimes and the drain ------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("lifetime", [1, 100])
async def test_a_stream_ends_properly_before_it_is_too_old(
    autojump_clock: MockClock, protocol: Protocol, lifetime: float
) -> None:
    limits = Limits(max_lifetime=lifetime, ping_interval=999)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        ages = []
        for _ in range(20):
            begun = trio.current_time()
            reader = await ask(server, protocol)
            assert await reader.ending() == "proper"
            ages.append((trio.current_time() - begun) / lifetime)
            reader.leave()
        assert 0.899 < min(ages) < max(ages) < 1.001


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


# -- ending -----------------------------------------------------------------------------


async def test_a_farewell_does_not_complete_an_event_that_is_cut_off(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect(capacity=1000), stream_window=10_000, gives_back=False)
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


@pytest.mark.parametrize("coding", ["identity", "deflate"])
async def test_a_straggler_of_whose_events_nothing_has_left_ends_in_full(
    autojump_clock: MockClock, coding: str
) -> None:
    limits = Limits(compress_above=10, retry=None)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect(capacity=1000))
        busy = await client.open()
        hub.publish("a", "x" * 20_000)
        # The socket is full of what the other stream is sent.
        await trio.testing.wait_all_tasks_blocked()
        headers = [("last-event-id", "earliest"), ("accept-encoding", coding)]
        stream_id = client.ask("/", headers=headers)
        await trio.testing.wait_all_tasks_blocked()
        server.drain()
        assert re.search(rb"retry: \d+\n\n$", await client.rest(stream_id))
        assert re.search(rb"retry: \d+\n\n$", await client.rest(busy))


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
