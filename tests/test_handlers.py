"""Handlers: when their streams open, what they answer instead, and how they follow a hub."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.logs import Log, complaints
from support.memory_server import serving
from support.reader import BOTH, Protocol, ask
from support.sites import routes_to
from trio_sse.connection import Stream
from trio_sse.event import Event
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.message import Response
from trio_sse.routes import Routes

# -- opening ----------------------------------------------------------------------------


@BOTH
async def test_a_stream_opens_though_its_handler_has_nothing_to_say_yet(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def quiet(stream: Stream) -> None:
        await trio.sleep_forever()

    async with serving(routes_to(quiet), Limits(retry=2.5)) as server:
        reader = await ask(server, protocol)
        assert await reader.status() == 200
        await reader.read_until(b":\nretry: 2500\n\n")
        assert trio.current_time() == 0


@BOTH
async def test_a_stream_that_is_not_eager_opens_when_its_handler_says_so(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def patient(stream: Stream) -> None:
        await trio.sleep(5)
        await stream.open()
        await stream.open()
        await trio.sleep_forever()

    async with serving(routes_to(patient, eager=False)) as server:
        reader = await ask(server, protocol)
        assert await reader.status() == 200
        assert trio.current_time() == 5


@BOTH
async def test_a_handler_that_does_nothing_opens_its_stream_and_ends_it(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def empty(stream: Stream) -> None:
        pass

    async with serving(routes_to(empty, eager=False)) as server:
        reader = await ask(server, protocol)
        assert await reader.status() == 200
        assert await reader.ending() == "proper"
        assert reader.body == server.service.opening()


@BOTH
async def test_a_handler_may_say_204_so_that_the_client_does_not_come_back(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def done(stream: Stream) -> Response:
        return Response(204)

    async with serving(routes_to(done)) as server:
        reader = await ask(server, protocol)
        assert await reader.status() == 204
        assert await reader.ending() == "proper"
        assert reader.body == b""


@BOTH
async def test_a_response_after_the_stream_opened_is_an_error_in_the_log(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async def confused(stream: Stream) -> Response:
        await stream.send("x")
        return Response(204)

    async with serving(routes_to(confused)) as server:
        reader = await ask(server, protocol)
        assert await reader.data(1) == ["x"]
        assert await reader.ending() == "proper"
    (complaint,) = complaints(caplog)
    assert complaint.startswith(
        "The handler of '/' returned a 204 response, but its stream is open"
    )


@BOTH
async def test_a_handler_sees_what_was_asked(autojump_clock: MockClock, protocol: Protocol) -> None:
    async def echo(stream: Stream) -> None:
        request = stream.request
        asked = {
            "method": request.method,
            "room": stream.params["room"],
            "query": request.query,
            "body": request.body.decode(),
            "protocol": request.protocol,
            "peer": str(request.peer),
            "last": request.last_event_id,
        }
        await stream.send(Event.json(asked))

    routes = Routes()
    routes.post("/rooms/{room}", echo)
    async with serving(routes) as server:
        reader = await ask(
            server,
            protocol,
            "/rooms/blue?a=1&b=",
            method="POST",
            headers=[("last-event-id", "7")],
            body=b"what?",
        )
        (event,) = await reader.events(1)
    assert json.loads(event.data or "") == {
        "method": "POST",
        "room": "blue",
        "query": [["a", "1"], ["b", ""]],
        "body": "what?",
        "protocol": protocol,
        "peer": "192.0.2.7:50000",
        "last": "7",
    }


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


# -- following --------------------------------------------------------------------------


@BOTH
async def test_a_handler_may_follow_a_hub_after_events_of_its_own(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub:
        first = hub.publish("a", "missed")

        async def handler(stream: Stream) -> None:
            await stream.send("welcome")
            await stream.follow(hub, "a", "b")

        async with serving(routes_to(handler), hub=hub) as server:
            fresh = await ask(server, protocol)
            resuming = await ask(server, protocol, headers=[("last-event-id", first)])
            lost = await ask(server, protocol, headers=[("last-event-id", "?")])
            assert await fresh.data(1) == ["welcome"]
            assert await resuming.data(1) == ["welcome"]
            assert await lost.data(3) == ["welcome", '{"lost":null}', "missed"]
            hub.publish("b", "news")
            for reader in (fresh, resuming, lost):
                assert await reader.data(1) == ["news"]
            assert hub.statistics().subscribers == 3
            server.drain()
            for reader in (fresh, resuming, lost):
                assert await reader.ending() == "proper"
                assert b"\n\nretry: " in reader.body


@BOTH
async def test_nothing_can_be_sent_while_the_stream_follows(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async with open_hub() as hub:

        async def handler(stream: Stream) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.follow, hub, "a")
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(RuntimeError, match="publish to one of its topics"):
                    await stream.send("in between")
                nursery.cancel_scope.cancel()
            await stream.send("afterwards")

        async with serving(routes_to(handler), hub=hub) as server:
            assert await (await ask(server, protocol)).data(1) == ["afterwards"]


@BOTH
async def test_following_no_topic_is_an_error_of_the_handler(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async with open_hub() as hub:

        async def handler(stream: Stream) -> None:
            await stream.follow(hub)

        async with serving(routes_to(handler, eager=False), hub=hub) as server:
            assert await (await ask(server, protocol)).status() == 500
    assert complaints(caplog) == ["The handler of '/' failed"]
