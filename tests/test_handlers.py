"""Handlers, whose streams end in the right way whatever they do; the same on both protocols."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.memory_server import serving
from support.reader import PROTOCOLS, Protocol, ask
from trio_sse.connection import Stream
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.message import Response
from trio_sse.routes import Handler, Routes

BOTH = pytest.mark.parametrize("protocol", PROTOCOLS)

Log = pytest.LogCaptureFixture


def routes_to(handler: Handler, *, eager: bool = True) -> Routes:
    routes = Routes()
    routes.get("/", handler, eager=eager)
    return routes


def complaints(caplog: Log) -> list[str]:
    """What has been logged above DEBUG."""
    return [each.getMessage() for each in caplog.records if each.levelno > logging.DEBUG]


# -- answering instead of streaming -----------------------------------------------------


@BOTH
@pytest.mark.parametrize("attempt", range(10))  # Trio's order within a turn is random
async def test_a_response_after_a_first_wait_never_breaks_the_connection(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log, attempt: int
) -> None:
    async def late(stream: Stream) -> Response:
        await trio.lowlevel.checkpoint()
        return Response(200, b"sorry, late " * 10)

    async with serving(routes_to(late)) as server:
        reader = await ask(server, protocol, window=50)
        assert await reader.ending() == "proper"
    assert len(complaints(caplog)) <= 1
    assert all("its stream is open already" in each for each in complaints(caplog))


@BOTH
async def test_a_handler_stopped_before_it_answers_says_503(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async def undecided(stream: Stream) -> None:
        await trio.sleep_forever()

    routes = routes_to(undecided, eager=False)
    async with serving(routes, Limits(drain_timeout=3)) as server:
        reader = await ask(server, protocol)
        await trio.testing.wait_all_tasks_blocked()
        server.drain()
        assert await reader.status() == 503
        assert await reader.ending() == "proper"
    assert not complaints(caplog)


@BOTH
async def test_a_stream_that_has_not_opened_does_not_expire(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def slow(stream: Stream) -> Response:
        await trio.sleep(60)
        return Response.text(200, "at last")

    async with serving(routes_to(slow, eager=False), Limits(max_lifetime=5)) as server:
        reader = await ask(server, protocol)
        assert await reader.status() == 200
        assert await reader.ending() == "proper"
        assert reader.body == b"at last\n"


# -- sending ----------------------------------------------------------------------------


@BOTH
async def test_a_send_that_is_cancelled_midway_does_not_corrupt_the_next_event(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    impatient = 0

    async def patchy(stream: Stream) -> None:
        nonlocal impatient
        for number in range(20):
            with trio.move_on_after(1) as patience:
                await stream.send(f"{number} " + "x" * 300)
            impatient += patience.cancelled_caught
        await stream.send("last")

    async with serving(routes_to(patchy)) as server:
        reader = await ask(server, protocol, capacity=700, window=500)
        await trio.sleep(4.5)
        received = await reader.data(1)
        while received[-1] != "last":
            received += await reader.data(1)
        assert await reader.ending() == "proper"
    assert impatient > 2
    numbers = [int((each or "").split()[0]) for each in received[:-1]]
    assert [f"{number} " + "x" * 300 for number in numbers] == received[:-1]
    assert numbers == sorted(set(numbers))


@BOTH
async def test_a_send_that_is_cancelled_before_anything_has_left_sends_nothing(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def hasty(stream: Stream) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.send("never")
        await stream.send("now")

    async with serving(routes_to(hasty)) as server:
        reader = await ask(server, protocol)
        assert await reader.data(1) == ["now"]
        assert await reader.ending() == "proper"


@BOTH
async def test_a_stream_that_expires_while_its_handler_waits_to_send_ends_properly(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def loud(stream: Stream) -> None:
        while True:
            await stream.send("x" * 300)

    async with serving(routes_to(loud), Limits(max_lifetime=10)) as server:
        reader = await ask(server, protocol, capacity=700, window=500)
        await trio.sleep(15)
        assert await reader.ending() == "proper"
    assert set(await reader.data(1)) == {"x" * 300}


@BOTH
async def test_what_follows_a_follow_that_is_cancelled_midway_is_whole(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub:

        async def zapper(stream: Stream) -> None:
            with trio.move_on_after(5):
                await stream.follow(hub, "a")
            await stream.send("after")

        async with serving(routes_to(zapper), hub=hub) as server:
            reader = await ask(server, protocol, capacity=700, window=500)
            await reader.status()
            hub.publish("a", "x" * 3000)
            await trio.sleep(6)
            assert await reader.data(2) == ["x" * 3000, "after"]


@BOTH
@pytest.mark.parametrize("turns", range(8))
async def test_a_heartbeat_never_comes_after_the_end(
    autojump_clock: MockClock, protocol: Protocol, turns: int
) -> None:
    over = trio.Event()

    async def quiet(stream: Stream) -> None:
        await over.wait()

    limits = Limits(heartbeat=5)
    async with serving(routes_to(quiet), limits) as server:
        reader = await ask(server, protocol)
        await trio.testing.wait_all_tasks_blocked()
        over.set()
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        server.connection.tick(trio.current_time() + limits.heartbeat)
        assert await reader.ending() == "proper"
        assert reader.body.removeprefix(server.service.opening()) in (b"", b":\n\n")
        await trio.testing.wait_all_tasks_blocked()
        assert server.transports[0].other.receive() is None, "there is more than the answer"
