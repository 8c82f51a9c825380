"""Handlers, whose streams end in the right way whatever they do; the same on both protocols."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.http2_client import Http2Client
from support.memory_server import serving
from support.reader import PROTOCOLS, Protocol, ask
from trio_sse.connection import Stream, StreamClosed
from trio_sse.event import Event, InvalidEvent
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.message import Request, Response
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


@BOTH
async def test_back_pressure_reaches_send(autojump_clock: MockClock, protocol: Protocol) -> None:
    sent = 0

    async def loud(stream: Stream) -> None:
        nonlocal sent
        for _ in range(100):
            await stream.send("x" * 500)
            sent += 1

    async with serving(routes_to(loud), Limits(ping_interval=999)) as server:
        reader = await ask(server, protocol, capacity=2000, window=4000)
        await reader.status()
        for _ in range(3):
            await trio.sleep(5)
            assert sent < 12
        assert await reader.data(100) == ["x" * 500] * 100
        assert sent == 100


@BOTH
async def test_a_shut_window_or_socket_drops_the_client_in_the_end(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    ended: list[float] = []

    async def loud(stream: Stream) -> None:
        try:
            while True:
                await stream.send("x" * 500)
        finally:
            ended.append(trio.current_time())

    async with serving(routes_to(loud), Limits(write_timeout=30, ping_interval=999)) as server:
        reader = await ask(server, protocol, capacity=2000, window=1000)
        await trio.sleep(40)
        assert ended == [30]
        assert server.statistics().dropped == 1
        assert await reader.ending() == "cut"
    assert not complaints(caplog)


@BOTH
async def test_events_and_comments_arrive_in_the_order_they_were_sent(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def handler(stream: Stream) -> None:
        await stream.send("text")
        await stream.comment("a comment")
        await stream.comment()
        await stream.send(Event("an event", id="7", type="tick"))

    async with serving(routes_to(handler), Limits(retry=None)) as server:
        reader = await ask(server, protocol)
        assert await reader.ending() == "proper"
        assert reader.body == (
            b":\n\ndata: text\n\n: a comment\n\n:\n\nid: 7\nevent: tick\ndata: an event\n\n"
        )


@BOTH
async def test_an_idle_handler_gets_heartbeats_that_are_never_late(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    limits = Limits(heartbeat=15, ping_interval=999, retry=None)

    async def quiet(stream: Stream) -> None:
        await trio.sleep(50)
        await stream.send("now")
        await trio.sleep_forever()

    async with serving(routes_to(quiet), limits) as server:
        reader = await ask(server, protocol)
        await reader.status()
        silence, longest = 0.0, 0.0
        for _ in range(4 * 100):
            await trio.sleep(0.25)
            silence = 0.0 if reader.poll() else silence + 0.25
            longest = max(longest, silence)
        assert longest <= 15
        assert 6 <= reader.body.removeprefix(b":\n\n").count(b":\n\n") <= 8


@BOTH
async def test_an_event_that_cannot_be_sent_is_the_handlers_to_handle(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def handler(stream: Stream) -> None:
        with pytest.raises(InvalidEvent):
            await stream.send("\ud800")
        await stream.send("fine")

    async with serving(routes_to(handler)) as server:
        assert await (await ask(server, protocol)).data(1) == ["fine"]


@BOTH
async def test_a_stream_that_is_over_says_so_to_who_kept_it(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    kept: list[Stream] = []

    async def streams(stream: Stream) -> None:
        kept.append(stream)
        await stream.send("x")

    async def answers(stream: Stream) -> Response:
        kept.append(stream)
        return Response(204)

    routes = routes_to(streams)
    routes.get("/answers", answers)
    async with serving(routes) as server:
        for target in ("/", "/answers"):
            reader = await ask(server, protocol, target)
            assert await reader.ending() == "proper"
        for stream in kept:
            with pytest.raises(StreamClosed):
                await stream.send("too late")


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
    assert complaint.startswith("/: the handler returned a 204 response, but its stream is open")


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


# -- failing ----------------------------------------------------------------------------


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


# -- leaving ----------------------------------------------------------------------------


async def wait_for_cancellation(events: list[str]) -> None:
    events.append("began")
    try:
        await trio.sleep_forever()
    finally:
        events.append("ended")


@BOTH
async def test_a_handler_ends_promptly_when_its_client_closes_the_connection(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    events: list[str] = []

    async def handler(stream: Stream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_cancellation, events)

    async with serving(routes_to(handler)) as server:
        reader = await ask(server, protocol)
        await reader.status()
        reader.leave()
        await trio.testing.wait_all_tasks_blocked()
        assert events == ["began", "ended"]
        assert trio.current_time() == 0
        assert server.statistics().connections == 0
    assert not complaints(caplog)


@BOTH
async def test_a_handler_ends_promptly_when_its_client_says_its_last(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    events: list[str] = []

    async def handler(stream: Stream) -> None:
        await wait_for_cancellation(events)

    async with serving(routes_to(handler)) as server:
        reader = await ask(server, protocol)
        await reader.status()
        server.transports[0].other.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        assert events == ["began", "ended"]
    assert not complaints(caplog)


@BOTH
async def test_a_handler_ends_promptly_when_the_transport_breaks_under_it(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    events: list[str] = []

    async def handler(stream: Stream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_cancellation, events)
            await trio.sleep(5)
            await stream.send("into the void")

    async with serving(routes_to(handler)) as server:
        reader = await ask(server, protocol)
        await reader.status()
        server.transports[0].other.closed = True  # without the news of it
        await trio.sleep(5)
        await trio.testing.wait_all_tasks_blocked()
        assert events == ["began", "ended"]
        assert server.statistics().connections == 0
    assert not complaints(caplog)


@pytest.mark.parametrize("how", ["RST_STREAM", "GOAWAY"])
async def test_a_handler_ends_promptly_when_its_http2_client_says_so(
    autojump_clock: MockClock, caplog: Log, how: str
) -> None:
    events: list[str] = []

    async def handler(stream: Stream) -> None:
        await wait_for_cancellation(events)

    async with serving(routes_to(handler)) as server:
        client = Http2Client(server.connect())
        stream_id = await client.open("/")
        if how == "RST_STREAM":
            client.reset(stream_id)
        else:
            client.h2.close_connection()
            client.flush()
        await trio.testing.wait_all_tasks_blocked()
        assert events == ["began", "ended"]
        assert server.statistics().connections == 1  # until the client has read the last of it
        client.leave()
    assert not complaints(caplog)


@BOTH
async def test_a_handler_that_fails_while_it_is_cancelled_is_logged(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async def clumsy(stream: Stream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError

    async with serving(routes_to(clumsy)) as server:
        reader = await ask(server, protocol)
        await reader.status()
        reader.leave()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 0
    assert complaints(caplog) == ["The handler of '/' failed"]


# -- the drain --------------------------------------------------------------------------


@BOTH
async def test_a_handler_that_ends_in_time_is_left_alone_by_a_drain(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def brief(stream: Stream) -> None:
        await trio.sleep(5)
        await stream.send("done")

    async with serving(routes_to(brief), Limits(drain_timeout=10)) as server:
        reader = await ask(server, protocol)
        await reader.status()
        server.drain()
        assert await reader.data(1) == ["done"]
        assert await reader.ending() == "proper"
        assert trio.current_time() == 5
        assert b"retry: " in reader.body.partition(b"done")[2]


@BOTH
async def test_a_handler_that_takes_too_long_is_ended_properly_by_a_drain(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    events: list[str] = []

    async def endless(stream: Stream) -> None:
        await wait_for_cancellation(events)

    async with serving(routes_to(endless), Limits(drain_timeout=10)) as server:
        reader = await ask(server, protocol)
        await reader.status()
        server.drain()
        assert await reader.ending() == "proper"
        assert trio.current_time() == 10
        assert events == ["began", "ended"]
    assert not complaints(caplog)


@BOTH
async def test_a_handler_may_say_last_words_when_it_is_ended(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    async def polite(stream: Stream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(1, shield=True):
                await stream.send("farewell")

    async with serving(routes_to(polite), Limits(drain_timeout=5)) as server:
        reader = await ask(server, protocol)
        await reader.status()
        server.drain()
        assert await reader.data(1) == ["farewell"]
        assert await reader.ending() == "proper"


@BOTH
async def test_last_words_to_nobody_are_a_closed_stream(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    said: list[str] = []

    async def polite(stream: Stream) -> None:
        try:
            await stream.send("x" * 2000)
            await stream.send("x" * 2000)
        finally:
            with trio.CancelScope(shield=True):
                for words in ("farewell", "is anybody there?"):
                    try:
                        await stream.send(words)
                    except StreamClosed:
                        said.append(words)

    async with serving(routes_to(polite)) as server:
        reader = await ask(server, protocol, capacity=1000)
        await reader.status()
        await trio.testing.wait_all_tasks_blocked()
        reader.leave()
        await trio.testing.wait_all_tasks_blocked()
        assert said == ["farewell", "is anybody there?"]
        assert server.statistics().connections == 0
    assert not complaints(caplog)


@BOTH
async def test_an_answer_to_nobody_goes_nowhere(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async def slow(stream: Stream) -> Response:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        return Response(200, b"too late")

    async with serving(routes_to(slow, eager=False)) as server:
        reader = await ask(server, protocol)
        await trio.testing.wait_all_tasks_blocked()
        reader.leave()
        await trio.sleep(2)
        assert server.statistics().connections == 0
    assert not complaints(caplog)


@BOTH
async def test_following_for_nobody_is_a_closed_stream(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    closed: list[str] = []
    async with open_hub() as hub:

        async def stubborn(stream: Stream) -> None:
            await stream.open()
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
                try:
                    await stream.follow(hub, "a")
                except StreamClosed:
                    closed.append("yes")

        async with serving(routes_to(stubborn), hub=hub) as server:
            reader = await ask(server, protocol)
            await reader.status()
            reader.leave()
            await trio.sleep(2)
            assert closed == ["yes"]
    assert not complaints(caplog)
