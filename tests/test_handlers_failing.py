"""Handlers and endpoints that fail: the stream ends in the right way, and nobody else notices."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.http2_client import Http2Client
from support.logs import Log, complaints
from support.memory_server import serving
from support.reader import BOTH, Protocol, ask
from support.sites import routes_to
from trio_sse.connection import Stream
from trio_sse.message import Request, Response
from trio_sse.routes import Routes


@BOTH
async def test_a_handler_that_fails_before_it_opens_is_a_500(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async def broken(stream: Stream) -> None:
        raise ZeroDivisionError("at once")

    async with serving(routes_to(broken)) as server:
        reader = await ask(server, protocol)
        assert await reader.status() == 500
        assert await reader.ending() == "proper"
        assert b"at once" not in reader.body
        assert server.statistics().failed == 1
    (record,) = [each for each in caplog.records if each.levelno > logging.DEBUG]
    assert record.getMessage() == "The handler of '/' failed"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


@BOTH
async def test_a_handler_that_fails_later_cuts_its_stream_off(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async def broken(stream: Stream) -> None:
        await stream.send("so far so good")
        raise ZeroDivisionError("later")

    async with serving(routes_to(broken)) as server:
        reader = await ask(server, protocol)
        assert await reader.data(1) == ["so far so good"]
        assert await reader.ending() == "cut"
    assert complaints(caplog) == ["The handler of '/' failed"]


@BOTH
async def test_a_child_of_the_handlers_nursery_fails_like_the_handler(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    ended = []

    async def child() -> None:
        raise ZeroDivisionError("in the child")

    async def parent(stream: Stream) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child)
                await trio.sleep_forever()
        finally:
            ended.append("parent")

    async with serving(routes_to(parent, eager=False)) as server:
        assert await (await ask(server, protocol)).status() == 500
    assert ended == ["parent"]
    (record,) = [each for each in caplog.records if each.levelno > logging.DEBUG]
    assert "in the child" in caplog.text
    assert record.exc_info is not None


@BOTH
async def test_what_several_children_raise_is_logged_once(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async def child(error: Exception) -> None:
        raise error

    async def parent(stream: Stream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child, ZeroDivisionError("one"))
            nursery.start_soon(child, KeyError("two"))

    async with serving(routes_to(parent)) as server:
        assert await (await ask(server, protocol)).ending() in ("proper", "cut")
        assert server.statistics().failed == 1
    assert complaints(caplog) == ["The handler of '/' failed"]


async def test_no_other_stream_notices_a_failure(autojump_clock: MockClock, caplog: Log) -> None:
    fail = trio.Event()

    async def broken(stream: Stream) -> None:
        await fail.wait()
        raise ZeroDivisionError

    async def sound(stream: Stream) -> None:
        await stream.send("before")
        await fail.wait()
        await trio.sleep(1)
        await stream.send("after")

    routes = routes_to(sound)
    routes.get("/broken", broken)
    async with serving(routes) as server:
        client = Http2Client(server.connect())
        good, bad = await client.open("/"), await client.open("/broken")
        fail.set()
        assert await client.data(good, 2) == ["before", "after"]
        assert client.resets == {bad: 2}
        await client.rest(good)


@BOTH
async def test_a_handler_that_returns_no_answer_has_failed(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async def broken(stream: Stream) -> Any:
        return "an answer, one would think"

    async with serving(routes_to(broken)) as server:
        assert await (await ask(server, protocol)).status() == 500
    assert complaints(caplog) == ["The handler of '/' failed"]


@BOTH
@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(7, b"", "200 to 599, not 7"), (101, b"", "not 101"), (200, "text", "is bytes, not str")],
)
async def test_a_response_that_cannot_be_sent_is_found_out_where_it_is_made(
    autojump_clock: MockClock,
    protocol: Protocol,
    status: int,
    body: Any,
    said: str,
    caplog: Log,
) -> None:
    routes = Routes()
    routes.get("/", lambda request: Response(status, body))
    async with serving(routes) as server:
        reader = await ask(server, protocol)
        assert await reader.status() == 500
        assert await reader.ending() == "proper"
    assert complaints(caplog) == ["The endpoint of '/' failed"]
    assert said in caplog.text


@BOTH
async def test_an_endpoint_that_fails_is_a_500(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    routes = Routes()

    @routes.get("/")
    def broken(request: Request) -> Response:
        raise ZeroDivisionError

    async with serving(routes) as server:
        reader = await ask(server, protocol)
        assert await reader.status() == 500
        assert await reader.ending() == "proper"
        assert server.statistics().failed == 1
    assert complaints(caplog) == ["The endpoint of '/' failed"]
