"""What handlers send: whole, in order, and as fast as the client takes it."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.logs import Log, complaints
from support.memory_server import serving
from support.reader import BOTH, Protocol, ask, streaming
from support.sites import routes_to
from trio_sse.connection import Stream, StreamClosed
from trio_sse.event import Event, InvalidEvent
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.message import Response


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

        async with streaming(zapper, protocol, hub=hub, capacity=700, window=500) as (_, reader):
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

    async with streaming(loud, protocol, Limits(ping_interval=999), capacity=2000, window=4000) as (
        _,
        reader,
    ):
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
        what = "window_shut" if protocol == "HTTP/2" else "took_nothing"
        assert server.statistics().drops == {what: 1}
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

    async with streaming(quiet, protocol, limits) as (_, reader):
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
