"""Streams by ASGI live as on our own server: time, slow clients, leaving, following, failing."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.asgi_server import asgi
from support.logs import Log, complaints
from support.sites import follow, routes_to
from trio_sse.asgi import Application
from trio_sse.asgi.outlet import AsgiOutlet
from trio_sse.connection import Stream, StreamClosed
from trio_sse.hub import open_hub
from trio_sse.limits import Limits

# -- what time brings -------------------------------------------------------------------


async def test_a_silent_stream_is_sent_a_comment_each_heartbeat(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, asgi(Application(follow(hub), Limits(heartbeat=10))) as server:
        answer = server.ask()
        await answer.has(b"retry: 2000\n\n")
        await trio.sleep(35)
        assert answer.body.endswith(b"retry: 2000\n\n" + 3 * b":\n\n")
        hub.publish("a", "x")
        await answer.data(1)
        await trio.sleep(9)
        assert answer.body.endswith(b"data: x\n\n"), "what else is sent counts too"


async def test_a_heartbeat_is_sent_when_it_is_due_however_times_are_rounded(
    autojump_clock: MockClock,
) -> None:
    await trio.sleep(1.4)  # 1.4 + 15 - 1.4 is less than 15
    async with open_hub() as hub, asgi(Application(follow(hub), Limits(heartbeat=15))) as server:
        answer = server.ask()
        await answer.has(b"retry: 2000\n\n")
        await trio.sleep(20)
        assert answer.body.endswith(b"retry: 2000\n\n:\n\n")


@pytest.mark.parametrize("handled", [False, True])
async def test_a_stream_ends_properly_before_it_is_too_old(
    autojump_clock: MockClock, handled: bool
) -> None:
    async def endless(stream: Stream) -> None:
        await trio.sleep_forever()

    async with open_hub() as hub:
        routes = routes_to(endless) if handled else follow(hub)
        async with asgi(Application(routes, Limits(max_lifetime=100))) as server:
            answer = await server.get()
            assert 90 <= trio.current_time() <= 100
            assert answer.is_complete
            assert answer.body.count(b"retry: ") == 1


# -- slow clients -----------------------------------------------------------------------


async def test_who_reads_slowly_is_handed_all_that_it_missed_in_few_pieces(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub, asgi(Application(follow(hub))) as server:
        answer = server.ask()
        await answer.has(b"retry: 2000\n\n")
        answer.stall()
        before = answer.messages
        for number in range(100):
            hub.publish("a", str(number))
            await trio.testing.wait_all_tasks_blocked()
        assert hub.statistics().subscribers == 0, "it is a reader of the log now"
        answer.read_on()
        assert await answer.data(100) == [str(number) for number in range(100)]
        assert answer.messages - before == 2


async def test_a_handler_waits_until_its_event_is_taken(autojump_clock: MockClock) -> None:
    sent = []

    async def counting(stream: Stream) -> None:
        for number in range(5):
            await stream.send(str(number))
            sent.append(number)

    async with asgi(Application(routes_to(counting, eager=False))) as server:
        answer = server.ask()
        answer.stall()
        await trio.testing.wait_all_tasks_blocked()
        assert len(sent) <= 1
        answer.read_on()
        assert await answer.data(5) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("handled", [False, True])
async def test_who_takes_nothing_for_too_long_is_dropped(
    autojump_clock: MockClock, caplog: Log, version: str, handled: bool
) -> None:
    raised: list[BaseException] = []

    async def ticker(stream: Stream) -> None:
        try:
            while True:
                await stream.send("tick")
                await trio.sleep(1)
        except BaseException as error:
            raised.append(error)
            raise

    async with open_hub() as hub:
        app = Application(routes_to(ticker) if handled else follow(hub), Limits(write_timeout=30))
        async with asgi(app) as server:
            answer = server.ask(http_version=version)
            await answer.has(b"retry: 2000\n\n")
            answer.stall()
            hub.publish("a", "x")
            await answer.over()
            # On HTTP/2 the end is tried for a second: without it Hypercorn keeps the stream.
            assert 30 <= trio.current_time() <= 33
            assert not answer.is_complete
            assert app.statistics().dropped == 1
            assert hub.statistics().subscribers == 0
    assert len(raised) == handled
    assert not complaints(caplog)


# -- leaving ----------------------------------------------------------------------------


async def test_a_send_that_fails_is_a_client_that_has_left(
    autojump_clock: MockClock, caplog: Log
) -> None:
    raised: list[str] = []

    async def ticker(stream: Stream) -> None:
        try:
            while True:
                await stream.send("tick")
                await trio.sleep(1)
        except trio.Cancelled:
            raised.append("cancelled")
            raise

    async with asgi(Application(routes_to(ticker))) as server:
        answer = server.ask()
        await answer.data(1)
        answer.break_off()
        await answer.over()
    assert raised == ["cancelled"]
    assert not complaints(caplog)


async def test_last_words_to_nobody_are_a_closed_stream(
    autojump_clock: MockClock, caplog: Log
) -> None:
    said: list[str] = []

    async def polite(stream: Stream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                try:
                    await stream.send("farewell")
                except StreamClosed:
                    said.append("closed")
                try:
                    await stream.follow(hub, "a")
                except StreamClosed:
                    said.append("closed")

    async with open_hub() as hub, asgi(Application(routes_to(polite))) as server:
        answer = server.ask()
        await answer.has(b":\n")
        answer.leave()
        await answer.over()
    assert said == ["closed", "closed"]
    assert not complaints(caplog)


# -- following --------------------------------------------------------------------------


async def test_a_handler_may_follow_a_hub_for_a_while_and_say_something_of_its_own(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub:
        missed = hub.publish("a", "heard before")

        async def handler(stream: Stream) -> None:
            await stream.send("welcome")
            with trio.move_on_after(5):
                await stream.follow(hub, "a", "b")
            await stream.send("good-bye")

        async with asgi(Application(routes_to(handler))) as server:
            headers = [(b"host", b"localhost"), (b"last-event-id", missed.encode())]
            hub.publish("b", "missed")
            answer = server.ask(headers=headers)
            assert await answer.data(2) == ["welcome", "missed"]
            await trio.testing.wait_all_tasks_blocked()
            assert hub.statistics().subscribers == 1
            hub.publish("a", "news")
            await answer.over()
            assert await answer.data(4) == ["welcome", "missed", "news", "good-bye"]
            assert answer.is_complete
            assert hub.statistics().subscribers == 0


async def test_a_handler_that_begins_to_follow_during_a_drain_ends_at_once(
    autojump_clock: MockClock, caplog: Log
) -> None:
    async with open_hub() as hub:

        async def late(stream: Stream) -> None:
            await trio.sleep(2)
            await stream.follow(hub, "a")

        app = Application(routes_to(late))
        async with asgi(app) as server:
            answer = server.ask()
            await answer.has(b":\n")
            await app.drain()
            assert trio.current_time() == 2
            assert answer.is_complete
            assert answer.body.count(b"retry: ") == 2
    assert not complaints(caplog)


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_a_stream_that_cannot_be_delivered_to_is_cut_off_not_left_in_silence(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: Log, version: str
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    async with open_hub() as hub, asgi(Application(follow(hub))) as server:
        answer = server.ask(http_version=version)
        await answer.has(b"retry: 2000\n\n")
        await trio.testing.wait_all_tasks_blocked()
        monkeypatch.setattr(AsgiOutlet, "deliver", fail)
        hub.publish("a", "x")
        await answer.over()
        # ASGI has no word for a cut on HTTP/2.
        assert answer.is_complete == (version == "2")
        assert not answer.events
    assert complaints(caplog) == ["An outlet failed; its subscribers are cut off"]
