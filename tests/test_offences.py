"""Who is sent away: counted by what it did, and named in the log, but not again and again."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.http2_client import Http2Client
from support.memory_server import MemoryServer, serving
from support.reader import BOTH, Protocol, ask
from support.sites import follow
from trio_sse.hub import open_hub
from trio_sse.transport import Flooded
from trio_sse.wire.budget import SECONDS_AT_ONCE

PING = b"\0\0\x08\x06\0\0\0\0\0" + b"12345678"
CALM = 11
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n"


async def flood(server: MemoryServer) -> Http2Client:
    client = Http2Client(server.connect(capacity=100_000))
    await client.open()
    client.transport.send(PING * 3_000)
    await client.closing()
    return client


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if "sent away" in each.getMessage()]


async def test_a_flood_is_answered_calm_and_counted(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trio_sse")
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        quiet = Http2Client(server.connect())
        stream_id = await quiet.open()
        client = await flood(server)
        assert client.goaways == [CALM]
        assert server.statistics().offences == {"control_frames": 1}
        hub.publish("a", "still here")
        assert await quiet.data(stream_id, 1) == ["still here"]
    assert lines(caplog) == [
        "192.0.2.7:50000: sent away for control_frames: too many frames that ask and bring nothing"
    ]


async def test_a_violation_is_counted_by_its_code(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect())
        await client.open()
        client.transport.send(b"\0\0\1\0\0\0\0\0\0x")  # DATA of no stream
        await client.closing()
        assert server.statistics().offences == {"protocol_error": 1}


@BOTH
async def test_who_keeps_tls_busy_beside_its_stream_is_counted(
    autojump_clock: MockClock, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    def receive() -> bytes:
        raise Flooded("sends records that bring nothing")

    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        reader = await ask(server, protocol)
        await reader.status()
        (transport,) = server.transports
        monkeypatch.setattr(transport, "receive", receive)
        transport.other.send(b"records")
        await reader.ending()
        assert server.statistics().offences == {"tls_records": 1}


async def test_who_only_leaves_is_no_offender(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect())
        client.h2.reset_stream(await client.open())
        client.h2.close_connection()
        client.flush()
        await client.closing()
        assert server.statistics().offences == {}


@pytest.mark.parametrize("part", [b"GET / HT", POST, POST + b"half"])
async def test_who_is_gone_in_the_middle_of_a_request_is_no_offender(
    autojump_clock: MockClock, part: bytes
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = server.connect()
        client.send(part)
        await trio.testing.wait_all_tasks_blocked()
        client.close()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 0
        assert server.statistics().offences == {}


async def test_who_is_malformed_and_then_gone_is_one(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = server.connect()
        client.send(b"GET / HTTP/1.1\nHost: a\r\n\r\n")
        client.close()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().offences == {"malformed": 1}


async def test_many_offenders_are_counted_and_few_of_them_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trio_sse")
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        for _ in range(30):
            await flood(server)
        assert server.statistics().offences == {"control_frames": 30}
        assert len(lines(caplog)) <= 2 * SECONDS_AT_ONCE
        await trio.sleep(1)
        await flood(server)
        assert server.statistics().offences == {"control_frames": 31}
        assert lines(caplog)[20:] == lines(caplog)[:1]
