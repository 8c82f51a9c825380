"""How handlers end: promptly when the client leaves, with time for last words in a drain."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.http2_client import Http2Client
from support.logs import Log, complaints
from support.memory_server import serving
from support.reader import BOTH, Protocol, ask, streaming
from support.sites import routes_to
from trio_sse.connection import Stream, StreamClosed
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.message import Response

# -- leaving ----------------------------------------------------------------------------


class Waiting:
    """A handler that does nothing until it is cancelled, and what has happened to it."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def handle(self, stream: Stream) -> None:
        await self.wait()

    async def handle_by_a_task(self, stream: Stream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.wait)

    async def handle_and_send_in_a_while(self, stream: Stream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.wait)
            await trio.sleep(5)
            await stream.send("into the void")

    async def wait(self) -> None:
        self.events.append("began")
        try:
            await trio.sleep_forever()
        finally:
            self.events.append("ended")


@BOTH
async def test_a_handler_ends_promptly_when_its_client_closes_the_connection(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    waiting = Waiting()
    async with streaming(waiting.handle_by_a_task, protocol) as (server, reader):
        reader.leave()
        await trio.testing.wait_all_tasks_blocked()
        assert waiting.events == ["began", "ended"]
        assert trio.current_time() == 0
        assert server.statistics().connections == 0
    assert not complaints(caplog)


@BOTH
async def test_a_handler_ends_promptly_when_its_client_says_its_last(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    waiting = Waiting()
    async with streaming(waiting.handle, protocol) as (server, _):
        server.transports[0].other.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        assert waiting.events == ["began", "ended"]
    assert not complaints(caplog)


@BOTH
async def test_a_handler_ends_promptly_when_the_transport_breaks_under_it(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    waiting = Waiting()
    async with streaming(waiting.handle_and_send_in_a_while, protocol) as (server, _):
        server.transports[0].other.closed = True  # without the news of it
        await trio.sleep(5)
        await trio.testing.wait_all_tasks_blocked()
        assert waiting.events == ["began", "ended"]
        assert server.statistics().connections == 0
    assert not complaints(caplog)


@pytest.mark.parametrize("how", ["RST_STREAM", "GOAWAY"])
async def test_a_handler_ends_promptly_when_its_http2_client_says_so(
    autojump_clock: MockClock, caplog: Log, how: str
) -> None:
    waiting = Waiting()
    async with serving(routes_to(waiting.handle)) as server:
        client = Http2Client(server.connect())
        stream_id = await client.open("/")
        if how == "RST_STREAM":
            client.reset(stream_id)
        else:
            client.h2.close_connection(error_code=2)
            client.flush()
        await trio.testing.wait_all_tasks_blocked()
        assert waiting.events == ["began", "ended"]
        assert server.statistics().connections == 1  # until the client has read the last of it
        client.leave()
    assert not complaints(caplog)


async def test_a_handler_goes_on_for_an_http2_client_that_will_only_ask_no_more(
    autojump_clock: MockClock,
) -> None:
    waiting = Waiting()
    async with serving(routes_to(waiting.handle_and_send_in_a_while)) as server:
        client = Http2Client(server.connect())
        await client.open("/")
        client.transport.send(b"\0\0\x08\x07\0\0\0\0\0" + bytes(8))
        await trio.testing.wait_all_tasks_blocked()
        assert waiting.events == ["began"]
        client.leave()


@BOTH
async def test_a_handler_that_fails_while_it_is_cancelled_is_logged(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async def clumsy(stream: Stream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ZeroDivisionError

    async with streaming(clumsy, protocol) as (server, reader):
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

    async with streaming(brief, protocol, Limits(drain_timeout=10)) as (server, reader):
        server.drain()
        assert await reader.data(1) == ["done"]
        assert await reader.ending() == "proper"
        assert trio.current_time() == 5
        assert b"retry: " in reader.body.partition(b"done")[2]


@BOTH
async def test_a_handler_that_takes_too_long_is_ended_properly_by_a_drain(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    waiting = Waiting()
    async with streaming(waiting.handle, protocol, Limits(drain_timeout=10)) as (server, reader):
        server.drain()
        assert await reader.ending() == "proper"
        assert trio.current_time() == 10
        assert waiting.events == ["began", "ended"]
    assert not complaints(caplog)


@BOTH
async def test_a_handler_that_begins_to_follow_during_a_drain_ends_at_once(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    async with open_hub() as hub:

        async def late(stream: Stream) -> None:
            await trio.sleep(2)
            await stream.follow(hub, "a")

        async with streaming(late, protocol, Limits(drain_timeout=10), hub=hub) as (server, reader):
            server.drain()
            assert await reader.ending() == "proper"
            assert trio.current_time() == 2
            assert b"retry: " in reader.body.removeprefix(server.service.opening())
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

    async with streaming(polite, protocol, Limits(drain_timeout=5)) as (server, reader):
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

    async with streaming(polite, protocol, capacity=1000) as (server, reader):
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

        async with streaming(stubborn, protocol, hub=hub) as (_, reader):
            reader.leave()
            await trio.sleep(2)
            assert closed == ["yes"]
    assert not complaints(caplog)


@pytest.mark.parametrize(
    ("protocol", "is_cut_off"), [("HTTP/1.1", False), ("HTTP/1.1", True), ("HTTP/2", False)]
)
async def test_what_a_task_of_others_follows_with_ends_with_the_handler(
    autojump_clock: MockClock, protocol: Protocol, *, is_cut_off: bool
) -> None:
    async with open_hub() as hub, trio.open_nursery() as others:

        async def follow(stream: Stream) -> None:
            with pytest.raises(StreamClosed):
                await stream.follow(hub, "a")

        async def handler(stream: Stream) -> None:
            others.start_soon(follow, stream)
            await trio.sleep(1)

        async with streaming(handler, protocol, hub=hub) as (server, reader):
            if is_cut_off:
                server.connection.cut_off()
            assert await reader.ending() == ("cut" if is_cut_off else "proper")
            # Where the client's socket was may be another's by the time of the next event.
            assert hub.statistics().subscribers == 0


@BOTH
async def test_a_task_of_others_that_waits_to_send_hears_of_the_end(
    autojump_clock: MockClock, protocol: Protocol, caplog: Log
) -> None:
    told: list[str] = []

    async def send(stream: Stream) -> None:
        await stream.send("x" * 50_000)
        with pytest.raises(StreamClosed):
            await stream.send("not sent")
        told.append("over")

    async with trio.open_nursery() as others:

        async def handle(stream: Stream) -> None:
            others.start_soon(send, stream)
            await trio.sleep_forever()

        async with streaming(handle, protocol, capacity=2000) as (server, _):
            await trio.testing.wait_all_tasks_blocked()
            assert server.connection.outbox.size
            server.connection.cut_off()
            await trio.testing.wait_all_tasks_blocked()
            assert server.statistics().connections == 0
            assert told == ["over"]
    assert not complaints(caplog)


@BOTH
async def test_what_is_over_is_so_for_a_task_of_others_however_it_ended(
    autojump_clock: MockClock, protocol: Protocol
) -> None:
    streams: list[Stream] = []

    async def handle(stream: Stream) -> None:
        streams.append(stream)
        await trio.sleep_forever()

    async with open_hub() as hub, streaming(handle, protocol) as (server, _):
        await trio.testing.wait_all_tasks_blocked()
        server.connection.cut_off()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(StreamClosed), trio.fail_after(5):
            await streams[0].follow(hub, "a")
        with pytest.raises(StreamClosed), trio.fail_after(5):
            await streams[0].send("more")
        with pytest.raises(StreamClosed):
            await streams[0].open()


@BOTH
@pytest.mark.parametrize("client", ["is behind", "was behind", "was never behind"])
async def test_shielded_last_words_do_not_wait_for_a_client_when_the_server_is_cancelled(
    autojump_clock: MockClock, protocol: Protocol, client: str
) -> None:
    told: list[str] = []

    async def say_much(stream: Stream) -> None:
        for _ in range(2):
            await stream.send("goodbye" * 1000)

    async def handle(stream: Stream) -> None:
        if client != "was never behind":
            await stream.send("x" * 5000)
        try:
            await trio.sleep_forever()
        finally:
            with trio.move_on_after(600, shield=True), pytest.raises(StreamClosed):
                await say_much(stream)
            told.append("over")

    async with streaming(handle, protocol, capacity=1000) as (_, reader):
        await trio.testing.wait_all_tasks_blocked()
        if client == "was behind":
            await reader.events(1)
            await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
    assert told == ["over"]
    assert trio.current_time() == began


async def test_a_task_of_others_that_waits_for_a_window_hears_of_the_end(
    autojump_clock: MockClock,
) -> None:
    told: list[str] = []

    async def send(stream: Stream) -> None:
        with pytest.raises(StreamClosed):
            await stream.send("x" * 5000)
        told.append("over")

    async with trio.open_nursery() as others:

        async def handle(stream: Stream) -> None:
            others.start_soon(send, stream)
            await trio.sleep_forever()

        async with streaming(handle, "HTTP/2", window=1000) as (server, _):
            await trio.testing.wait_all_tasks_blocked()
            server.connection.cut_off()
            await trio.testing.wait_all_tasks_blocked()
            assert told == ["over"]
            assert server.statistics().dropped == 0


async def test_a_task_of_others_that_waits_for_a_window_hears_that_the_stream_is_over(
    autojump_clock: MockClock,
) -> None:
    told: list[str] = []

    async def send(stream: Stream) -> None:
        with pytest.raises(StreamClosed):
            await stream.send("x" * 5000)
        told.append("over")

    async with trio.open_nursery() as others:

        async def handle(stream: Stream) -> None:
            others.start_soon(send, stream)
            await trio.sleep(1)

        async with streaming(handle, "HTTP/2", window=1000) as (server, _):
            await trio.sleep(1.5)
            assert told == ["over"]
            assert server.statistics().dropped == 0
