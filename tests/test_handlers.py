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
