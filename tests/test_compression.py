"""Compressed streams: who gets one, and that everything a stream may hold is right in it.

The clients here decode what they are sent as it comes, and check the checksum at its end.
"""

from __future__ import annotations

import zlib
from random import Random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from support.http2_client import Http2Client
from support.memory_server import serving
from support.reader import BOTH, Protocol, Reader, ask
from support.sites import follow, routes_to
from trio_sse.connection import Stream
from trio_sse.cors import Cors
from trio_sse.event import Event
from trio_sse.hub import GAP_TYPE, open_hub, pump
from trio_sse.limits import Limits

LIMITS = Limits(compress_above=200, retry=None, ping_interval=999)
DEFLATE = [("accept-encoding", "gzip, deflate")]
LONG = "a long story " * 40


def noise(size: int) -> str:
    """Text that can be compressed to half its size at most."""
    return Random(size).randbytes(size // 2).hex()


# -- who gets one -----------------------------------------------------------------------


async def head_of(reader: Reader) -> dict[str, str]:
    await reader.status()
    return reader.headers


@BOTH
async def test_who_accepts_it_is_sent_it_and_caches_are_told(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        compressed = await ask(server, protocol, headers=DEFLATE)
        head = await head_of(compressed)
        assert (head["content-encoding"], head["vary"]) == ("deflate", "accept-encoding")
        plain = await ask(server, protocol, headers=[("accept-encoding", "gzip")])
        head = await head_of(plain)
        assert (head.get("content-encoding"), head["vary"]) == (None, "accept-encoding")


@BOTH
async def test_a_head_request_is_told_what_a_get_would_be(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        got = await head_of(await ask(server, protocol, headers=DEFLATE))
        asked = await head_of(await ask(server, protocol, headers=DEFLATE, method="HEAD"))
        assert asked == got


@BOTH
async def test_it_is_off_by_default(autojump_clock: MockClock, protocol: Protocol) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        head = await head_of(await ask(server, protocol, headers=DEFLATE))
        assert not {"content-encoding", "vary"} & head.keys()


@BOTH
async def test_what_a_handler_streams_is_not_compressed(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub:

        async def handler(stream: Stream) -> None:
            await stream.send(LONG)
            await stream.follow(hub, "a")

        async with serving(routes_to(handler), LIMITS, hub=hub) as server:
            reader = await ask(server, protocol, headers=DEFLATE)
            assert not {"content-encoding", "vary"} & (await head_of(reader)).keys()
            assert await reader.data(1) == [LONG]
            await wait_all_tasks_blocked()
            hub.publish("a", LONG)
            assert await reader.data(1) == [LONG]


async def test_both_vary_fields_are_there_where_origins_count_too(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub:
        routes = follow(hub)
        routes.cors = Cors(["https://app.example.org"])
        async with serving(routes, LIMITS, hub=hub) as server:
            client = server.connect()
            client.send(b"GET / HTTP/1.1\r\nhost: h\r\naccept-encoding: deflate\r\n\r\n")
            await wait_all_tasks_blocked()
            head = (client.receive() or b"").partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
            assert {b"vary: origin", b"vary: accept-encoding"} <= set(head)


async def test_a_client_of_http_1_0_is_sent_it_without_chunks(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        transport = server.connect()
        transport.send(b"GET / HTTP/1.0\r\naccept-encoding: deflate\r\n\r\n")
        await wait_all_tasks_blocked()
        hub.publish("a", Event(LONG, id="1"))
        await wait_all_tasks_blocked()
        server.drain()
        await wait_all_tasks_blocked()
        _, _, body = (transport.receive() or b"").partition(b"\r\n\r\n")
        # Checks its checksum, and that it is all there.
        assert zlib.decompress(body).startswith(b":\n\nid: 1\ndata: a long story")


# -- what is in it ----------------------------------------------------------------------


@BOTH
async def test_each_event_can_be_read_when_it_has_been_published(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        compressed = await ask(server, protocol, headers=DEFLATE)
        plain = await ask(server, protocol)
        await compressed.status()
        await plain.status()
        for text in (LONG, "short", noise(1000), "x" * 100_000, ""):
            hub.publish("a", text)
            assert await compressed.data(1) == [text]
            assert await plain.data(1) == [text]
        assert compressed.body == plain.body
        server.drain()
        assert [await compressed.ending(), await plain.ending()] == ["proper", "proper"]


@BOTH
async def test_heartbeats_are_in_it_and_the_end_of_its_lifetime(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    limits = Limits(
        compress_above=200, retry=None, heartbeat=15, max_lifetime=36, ping_interval=999
    )
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        reader = await ask(server, protocol, headers=DEFLATE)
        await reader.status()
        assert await reader.ending() == "proper"
        assert reader.body == b":\n\n" * 3


@BOTH
async def test_who_comes_back_is_told_of_a_gap_and_sent_what_is_left(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        ids = [hub.publish("a", f"{number} {LONG}") for number in range(5)]
        resumed = await ask(server, protocol, headers=[*DEFLATE, ("last-event-id", ids[2])])
        assert [event.id for event in await resumed.events(2)] == ids[3:]
        lost = await ask(server, protocol, headers=[*DEFLATE, ("last-event-id", "unknown")])
        assert [event.type for event in await lost.events(6)] == [GAP_TYPE, *["message"] * 5]
        await wait_all_tasks_blocked()
        hub.publish("a", "live")
        assert await resumed.data(1) == await lost.data(1) == ["live"]
        server.drain()
        assert [await resumed.ending(), await lost.ending()] == ["proper", "proper"]
        assert b"retry: " in resumed.body.rpartition(b"live")[2]


@BOTH
async def test_who_stops_reading_and_reads_again_has_each_event_once(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        slow = await ask(server, protocol, headers=DEFLATE, capacity=2000, window=5000)
        quick = await ask(server, protocol, headers=DEFLATE)
        await slow.status()
        await quick.status()
        published = [f"{number} {noise(1000)}" for number in range(100)]
        for data in published:
            hub.publish("a", data)
            assert await quick.data(1) == [data]
        assert await slow.data(100) == published
        server.drain()
        assert [await slow.ending(), await quick.ending()] == ["proper", "proper"]


# -- streams that share a connection ------------------------------------------------------


async def test_one_of_a_group_falls_behind_alone_and_each_ends_with_its_own_checksum(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        client = Http2Client(server.connect(), stream_window=3000, gives_back=False)
        streams = [client.ask(headers=DEFLATE) for _ in range(3)]
        plain = client.ask()
        for stream in (*streams, plain):
            await client.head(stream)
        shut, *quick = streams
        expected = [f"{number} {noise(1500)}" for number in range(12)]
        for data in expected:
            for stream in (*quick, plain):
                client.widen(4000, stream)
            hub.publish("a", data)
            for stream in (*quick, plain):
                assert await client.data(stream, 1) == [data]
        assert len(client.unread(shut)) < 12
        client.widen(100_000, shut)
        assert await client.data(shut, 12) == expected
        await wait_all_tasks_blocked()
        hub.publish("a", "together again")
        for stream in (*streams, plain):
            assert await client.data(stream, 1) == ["together again"]
        server.drain()
        for stream in (*streams, plain):
            assert (await client.rest(stream)).endswith(b"\n\n")


async def test_a_group_that_shares_one_slow_connection_catches_up_together(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        client = Http2Client(server.connect(capacity=3000))
        streams = [client.ask(headers=DEFLATE) for _ in range(3)]
        for stream in streams:
            await client.head(stream)
        expected = [f"{number} {noise(1500)}" for number in range(20)]
        for data in expected:
            hub.publish("a", data)
            await wait_all_tasks_blocked()
        for stream in streams:
            assert await client.data(stream, 20) == expected
        server.drain()
        for stream in streams:
            await client.rest(stream)


async def test_a_stream_cut_short_in_an_event_does_not_claim_to_be_complete(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        client = Http2Client(server.connect(), stream_window=500, gives_back=False)
        stream = client.ask(headers=DEFLATE)
        await client.head(stream)
        hub.publish("a", Event(noise(5000)))
        await client.read_all()
        client.widen(100, stream)
        await client.read_all()
        server.drain()
        await client.until(lambda: stream in client.ended)
        assert not client.inflaters[stream].is_complete
        assert not client.unread(stream)


async def test_who_is_sent_an_event_in_part_counts_it_whatever_else_is_published_meanwhile(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Short turns, so that a pass over few followers has others between its parts.
    monkeypatch.setattr(pump, "SLICE_SECONDS", 1e-6)
    async with open_hub() as hub, serving(follow(hub), LIMITS, hub=hub) as server:
        readers = [await ask(server, "HTTP/1.1", headers=DEFLATE) for _ in range(20)]
        slow = await ask(server, "HTTP/1.1", headers=DEFLATE, capacity=1000)
        for reader in (*readers, slow):
            await reader.status()
        text = noise(4000)
        hub.publish("a", text)
        for _ in range(20):
            await trio.lowlevel.checkpoint()
            hub.publish("what nobody follows", "")
        assert await slow.data(1) == [text]
        server.drain()
        assert await slow.ending() == "proper"
