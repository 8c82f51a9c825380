"""A handler that does not stop when it is told to: it is named, its stream ends, nobody waits."""

from __future__ import annotations

import re
import signal
import sys

import pytest
import trio
from trio.testing import MockClock

from running import PATIENCE, Running, curl, listening
from support.http2_client import Http2Client
from support.logs import Log, complaints
from support.memory_server import serving
from support.reader import BOTH, Protocol, ask, streaming
from support.sites import routes_to
from trio_sse.connection import Stream
from trio_sse.limits import Limits
from trio_sse.message import Response
from trio_sse.routes import Handler
from trio_sse.wire.budget import SECONDS_AT_ONCE

LIMITS = Limits(stop_timeout=5, max_lifetime=30, drain_timeout=10)
STUBBORN_SECONDS = 60.0
CURL_CUT = 18
"""curl(1): "Partial file. Only a part of the file was transferred"."""


async def shielded(stream: Stream) -> None:
    """Go on for a minute, whoever has left."""
    with trio.CancelScope(shield=True):
        await trio.sleep(STUBBORN_SECONDS)


async def shielded_elsewhere(stream: Stream) -> None:
    """The same in a task of a nursery of its own."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shielded, stream)


async def catching(stream: Stream) -> None:
    """Catch what ends a task, and go on."""
    end = trio.current_time() + STUBBORN_SECONDS
    while trio.current_time() < end:
        try:
            await trio.sleep(STUBBORN_SECONDS)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)


async def sending(stream: Stream) -> None:
    """Send on, shielded, for as long as there is a stream."""
    with trio.CancelScope(shield=True):
        while True:
            await stream.send("I am still here")
            await trio.sleep(1)


STUBBORN = pytest.mark.parametrize("handler", [shielded, shielded_elsewhere, catching])


def names(caplog: Log, handler: Handler) -> bool:
    """Whether it was said once who goes on, of what route, and where it stands."""
    [line] = complaints(caplog)
    name = getattr(handler, "__name__", "")
    stands = re.search(r"test_overstaying.py.*\n    await (trio.sleep|stream.send)\(", line)
    return f"test_overstaying.{name} of '/' was told to stop" in line and stands is not None


@BOTH
@STUBBORN
async def test_when_its_client_has_left_it_is_named(
    autojump_clock: MockClock, protocol: Protocol, handler: Handler, caplog: Log
) -> None:
    async with streaming(handler, protocol, LIMITS) as (server, reader):
        reader.leave()
        await trio.sleep(STUBBORN_SECONDS / 2)
        assert server.statistics().overstayed == 1
        assert names(caplog, handler)
        await trio.sleep(STUBBORN_SECONDS)
        assert server.statistics().connections == 0
        assert server.statistics().overstayed == 1


@BOTH
async def test_when_its_time_is_over_its_stream_ends_all_the_same(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async with streaming(sending, protocol, LIMITS) as (server, reader):
        assert await reader.ending() == "cut"
        assert trio.current_time() < 30 + 5 + 2 * server.service.tick
        reader.leave()
        await trio.sleep(2)
        assert server.statistics().connections == 0
    assert names(caplog, sending)


@BOTH
async def test_when_the_server_stops_it_is_named_within_seconds_of_the_drain(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async with streaming(shielded, protocol, LIMITS) as (server, reader):
        server.drain()
        assert await reader.ending() == "cut"
        assert trio.current_time() < 10 + 1 + 5 + 2
        await trio.sleep_until(10 + 1 + 5 + 2)
        assert server.statistics().overstayed == 1
    assert names(caplog, shielded)


@BOTH
async def test_when_the_server_is_cancelled_it_is_named(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async with streaming(catching, protocol, LIMITS):
        pass
    assert trio.current_time() == STUBBORN_SECONDS
    assert names(caplog, catching)


@BOTH
async def test_last_words_in_time_are_nothing_to_speak_of(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async def polite(stream: Stream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(4, shield=True):
                await trio.sleep_forever()

    async with streaming(polite, protocol, LIMITS) as (server, reader):
        reader.leave()
        await trio.sleep(STUBBORN_SECONDS)
        assert server.statistics().connections == 0
        assert server.statistics().overstayed == 0
    assert not complaints(caplog)


async def test_other_streams_of_the_connection_go_on(autojump_clock: MockClock) -> None:
    routes = routes_to(shielded)
    routes.get("/other", lambda request: Response.text(200, "other"))
    async with serving(routes, LIMITS) as server:
        client = Http2Client(server.connect())
        stubborn = client.ask("/")
        await client.head(stubborn)
        client.reset(stubborn)
        await trio.sleep(STUBBORN_SECONDS / 2)
        assert server.statistics().overstayed == 1
        other = client.ask("/other")
        assert await client.head(other) == 200
        client.leave()


async def test_of_many_at_once_some_are_named_and_all_are_counted(
    autojump_clock: MockClock, caplog: Log
) -> None:
    async with serving(routes_to(shielded), LIMITS) as server:
        client = Http2Client(server.connect())
        for stream in [client.ask("/") for _ in range(50)]:
            assert await client.head(stream) == 200
        client.leave()
        await trio.sleep(STUBBORN_SECONDS / 2)
        assert server.statistics().overstayed == 50
    assert 0 < len(complaints(caplog)) <= 2 * SECONDS_AT_ONCE


async def test_the_end_of_the_server_does_not_wait_longer_than_its_handlers(
    autojump_clock: MockClock,
) -> None:
    async with serving(routes_to(trio_sleep), LIMITS) as server:
        await (await ask(server, "HTTP/1.1")).status()
    assert trio.current_time() == 0


PROGRAM = """
import logging, signal, sys, trio
from trio_sse import Bind, Limits, Routes, Stream, serve

async def stubborn(stream: Stream) -> None:
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()

async def main() -> None:
    routes = Routes()
    routes.get("/", stubborn)
    limits = Limits(drain_timeout=0.1, stop_timeout=0.1)
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            server = await nursery.start(serve, routes, Bind(port=0), limits)
            print("Listening on", *server.addresses, file=sys.stderr, flush=True)
            await anext(signals)
        server.drain()

logging.basicConfig()
trio.run(main)
"""


def test_a_second_signal_ends_the_process_as_the_document_says() -> None:
    with Running([sys.executable, "-c", PROGRAM]) as server, curl(listening(server)) as client:
        client.expect(":", "out")
        server.signal(signal.SIGTERM)
        server.expect("The handler __main__.stubborn of '/' was told to stop")
        assert client.process.wait(PATIENCE) == CURL_CUT
        server.signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == -signal.SIGTERM


async def trio_sleep(stream: Stream) -> None:
    await trio.sleep_forever()
