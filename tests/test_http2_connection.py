"""HTTP/2 connections in memory: what is peculiar to many streams on one connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from http2_client import goaways, raw_frames
from support.http2_client import Http2Client
from support.logs import Log, complaints
from support.memory_server import serving
from support.sites import follow
from trio_sse.connection import Stream
from trio_sse.connection.http2 import Http2Connection
from trio_sse.connection.pulse import Pulse
from trio_sse.connection.turns import Turns
from trio_sse.hub import open_hub
from trio_sse.limits import Limits
from trio_sse.message import Peer, Response
from trio_sse.routes import Routes
from trio_sse.transport import Broken
from trio_sse.wire.http2 import Http2

T = TypeVar("T")


def answers(body: bytes) -> Routes:
    """Routes of which `/` is answered with `body`."""
    routes = Routes()
    routes.get("/", lambda request: Response(200, body))
    return routes


PING = b"\0\0\x08\x06\0\0\0\0\0" + b"12345678"
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REQUEST = [(":method", "GET"), (":scheme", "http"), (":authority", "here"), (":path", "/")]


# -- beginnings -------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [0, 8])
async def test_the_first_settings_are_due_as_soon_as_a_head_is(
    autojump_clock: MockClock, pause: float
) -> None:
    limits = Limits(head_timeout=10, idle_timeout=75, ping_interval=999)
    async with serving(answers(b"yes"), limits) as server:
        transport = server.connect()
        transport.send(PREFACE[:10])
        await trio.sleep(pause)
        transport.send(PREFACE[10:])
        said = b""
        await transport.wait_readable()
        while arrived := transport.receive():
            said += arrived
            await transport.wait_readable()
        assert 10 <= trio.current_time() < 10 + server.service.tick
        assert server.statistics().offences == {"too_late": 1}
        assert goaways(said) == [(0, 4)]  # SETTINGS_TIMEOUT


async def test_who_has_said_settings_may_ask_later(autojump_clock: MockClock) -> None:
    limits = Limits(head_timeout=10, idle_timeout=75, ping_interval=999)
    async with serving(answers(b"yes"), limits) as server:
        client = Http2Client(server.connect())
        client.flush()
        await trio.sleep(70)
        assert await client.rest(client.ask()) == b"yes"
        assert not server.statistics().offences


async def test_a_head_that_does_not_go_on_ends_the_connection(autojump_clock: MockClock) -> None:
    limits = Limits(head_timeout=10, idle_timeout=75, ping_interval=999)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect())
        await client.open()
        client.transport.send(b"\0\0\1\1\0\0\0\0\3\x82")  # HEADERS without END_HEADERS
        begun = trio.current_time()
        await client.closing()
        assert 10 <= trio.current_time() - begun <= 10 + 2 * server.service.tick
        assert client.goaways == [11]  # ENHANCE_YOUR_CALM
        assert server.statistics().offences == {"too_late": 1}


async def test_a_head_that_comes_slowly_is_waited_for(autojump_clock: MockClock) -> None:
    limits = Limits(head_timeout=10, idle_timeout=75, ping_interval=999)
    async with serving(answers(b"yes"), limits) as server:
        client = Http2Client(server.connect())
        client.flush()
        for _ in range(4):
            stream_id = client.h2.get_next_available_stream_id()
            client.h2.send_headers(stream_id, REQUEST, end_stream=True)
            head = client.h2.data_to_send()
            # The same in two frames, with a pause in between.
            length = len(head) - 9
            client.transport.send((length - 1).to_bytes(3) + b"\1\1" + head[5:-1])
            await trio.sleep(7)
            client.transport.send(b"\0\0\1\x09\4" + head[5:9] + head[-1:])
            assert await client.rest(stream_id) == b"yes"


class LateTurns(Turns):
    """A server so busy that whoever says something is heard much later."""

    async def now_or_in_turn(self, peer: Peer, make: Callable[[], T]) -> T:
        await trio.sleep(30)
        return make()


async def test_who_waits_to_be_heard_is_not_late(autojump_clock: MockClock) -> None:
    limits = Limits(head_timeout=10, idle_timeout=999, ping_interval=999)
    async with serving(answers(b"yes"), limits) as server:
        server.service.hearing = LateTurns(0.0)
        client = Http2Client(server.connect())
        assert await client.rest(client.ask()) == b"yes"
        stream_id = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream_id, REQUEST, end_stream=True)
        head = client.h2.data_to_send()
        # Its end is there when the beginning has been heard.
        client.transport.send((len(head) - 10).to_bytes(3) + b"\1\1" + head[5:-1])
        await trio.sleep(20)
        client.transport.send(b"\0\0\1\x09\4" + head[5:9] + head[-1:])
        assert await client.rest(stream_id) == b"yes"
        assert not server.statistics().offences


class TurnsThatEndLate(Turns):
    """A server so busy that whoever was heard goes on much later."""

    async def now_or_in_turn(self, peer: Peer, make: Callable[[], T]) -> T:
        made = make()
        for _ in range(10):
            await trio.lowlevel.cancel_shielded_checkpoint()
        return made


async def test_a_follower_that_is_reset_while_it_is_heard_is_no_error(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: Log
) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        server.service.hearing = TurnsThatEndLate(0.0)
        client = Http2Client(server.connect())
        await client.open()
        await trio.testing.wait_all_tasks_blocked()

        def broken(data: bytes) -> int:
            raise Broken("reset")

        monkeypatch.setattr(server.transports[0], "send", broken)
        client.widen(10)
        await trio.lowlevel.checkpoint()
        hub.publish("a", "nobody hears it")
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 0
        assert server.statistics().failed == 0
    assert not complaints(caplog)


async def test_what_has_been_read_of_a_client_is_let_go(autojump_clock: MockClock) -> None:
    async with serving(answers(b"yes")) as server:
        client = Http2Client(server.connect())
        assert await client.rest(client.ask()) == b"yes"
        assert server.http2._first == b""


# -- idleness ---------------------------------------------------------------------------


async def test_a_connection_is_not_idle_while_it_is_asked(autojump_clock: MockClock) -> None:
    async with serving(answers(b"yes"), Limits(idle_timeout=75, ping_interval=999)) as server:
        client = Http2Client(server.connect())
        for _ in range(4):
            assert await client.rest(client.ask()) == b"yes"
            await trio.sleep(50)
        await client.closing()
        assert 150 + 75 <= trio.current_time() <= 150 + 75 + server.service.tick
        assert client.goaways == [0]


async def test_a_connection_is_not_idle_while_an_answer_waits_for_its_window(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(idle_timeout=20, write_timeout=60, ping_interval=999)
    async with serving(answers(b"x" * 1000), limits) as server:
        client = Http2Client(server.connect(), stream_window=100, gives_back=False)
        stream_id = client.ask()
        await trio.sleep(50)
        client.widen(10_000, stream_id)
        assert await client.rest(stream_id) == b"x" * 1000


async def test_a_drain_waits_for_an_answer_that_waits_for_its_window(
    autojump_clock: MockClock,
) -> None:
    async with serving(answers(b"x" * 1000)) as server:
        client = Http2Client(server.connect(), stream_window=100, gives_back=False)
        stream_id = client.ask()
        await client.head(stream_id)
        server.drain()
        await trio.sleep(5)
        client.widen(10_000, stream_id)
        assert await client.rest(stream_id) == b"x" * 1000
        await client.closing()


async def test_an_answer_that_the_client_cancels_is_given_up_at_once(
    autojump_clock: MockClock,
) -> None:
    async with serving(answers(b"x" * 1000)) as server:
        client = Http2Client(server.connect(), stream_window=100, gives_back=False)
        stream_id = client.ask()
        await client.head(stream_id)
        assert server.http2.busy
        client.reset(stream_id)
        await trio.testing.wait_all_tasks_blocked()
        assert not server.http2.busy
        assert server.statistics().dropped == 0


# -- the pulse --------------------------------------------------------------------------


async def test_a_client_that_answers_pings_stays(autojump_clock: MockClock) -> None:
    limits = Limits(ping_interval=30, ping_timeout=15, idle_timeout=75)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect())
        await client.open()
        await client.until(lambda: client.pings == 3)
        assert 90 <= trio.current_time() <= 90 + 3 * server.service.tick
        assert server.statistics().dropped == 0


async def test_a_client_that_leaves_a_ping_unanswered_is_dropped(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(ping_interval=30, ping_timeout=15)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect())
        await client.open()
        await trio.sleep(44)
        assert server.statistics().connections == 1
        await trio.sleep(45 + 2 * server.service.tick - 44)
        assert server.statistics().connections == 0
        assert server.statistics().dropped == 1
        assert server.statistics().drops == {"no_pong": 1}


async def test_a_slow_client_is_not_taken_for_a_dead_one(autojump_clock: MockClock) -> None:
    """A PING stands in the queue behind all that is being sent, and its answer after that."""
    limits = Limits(ping_interval=30, ping_timeout=15, write_timeout=30)
    async with open_hub() as hub, serving(follow(hub), limits, hub=hub) as server:
        client = Http2Client(server.connect(capacity=1000))
        stream_id = await client.open()
        hub.publish("a", "x" * 70_000)
        for _ in range(70):  # a kilobyte every five seconds
            await trio.sleep(5)
            client.take()
        assert server.statistics().dropped == 0
        assert await client.data(stream_id, 1) == ["x" * 70_000]


async def test_a_ping_is_due_once_all_before_it_has_left(autojump_clock: MockClock) -> None:
    wire = Http2(Limits(), peer=Peer("192.0.2.1"), scheme="http")
    wire.start()
    wire.output()
    pulse = Pulse(Limits(ping_interval=30, ping_timeout=15), wire)
    assert not pulse.stopped(29, all_sent=True)
    assert not pulse.stopped(30, all_sent=False)
    assert wire.output() == b""
    assert not pulse.stopped(30, all_sent=True)
    assert [frame.kind for frame in raw_frames(wire.output())] == [6]
    assert not pulse.stopped(44, all_sent=False)
    assert not pulse.stopped(58, all_sent=True)
    assert pulse.stopped(59, all_sent=True)


async def test_the_time_that_the_socket_took_is_not_held_against_a_window(
    autojump_clock: MockClock,
) -> None:
    async def loud(stream: Stream) -> None:
        await stream.send("x" * 9_000)
        await stream.send("done")

    routes = Routes()
    routes.get("/", loud)
    async with serving(routes, Limits(write_timeout=30)) as server:
        client = Http2Client(server.connect(capacity=1000), stream_window=9_050, gives_back=False)
        stream_id = await client.open()
        while len(client.bodies[stream_id]) < 9_000:
            await trio.sleep(10)
            client.take()
        await trio.sleep(10)
        client.widen(100_000, stream_id)
        assert await client.data(stream_id, 2) == ["x" * 9_000, "done"]


# -- answering --------------------------------------------------------------------------


async def test_many_requests_are_answered_side_by_side(autojump_clock: MockClock) -> None:
    async with serving(answers(b"yes")) as server:
        client = Http2Client(server.connect())
        streams = [client.ask() for _ in range(100)]
        for stream_id in reversed(streams):
            assert await client.rest(stream_id) == b"yes"
        assert server.statistics().requests == 100


async def test_a_head_request_gets_the_head_only(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        server.service.routes.get("/finite", lambda request: Response(200, b"four"))
        client = Http2Client(server.connect())
        stream = client.ask(method="HEAD")
        assert await client.rest(stream) == b""
        assert client.heads[stream]["content-type"] == "text/event-stream"
        finite = client.ask("/finite", method="HEAD")
        assert await client.rest(finite) == b""
        assert client.heads[finite]["content-length"] == "4"
        assert server.statistics().streams == 0


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_says_nothing_of_its_length(
    autojump_clock: MockClock, status: int
) -> None:
    routes = Routes()
    routes.get("/", lambda request: Response(status, b"not sent"))
    async with serving(routes) as server:
        client = Http2Client(server.connect())
        stream_id = client.ask()
        assert await client.rest(stream_id) == b""
        assert "content-length" not in client.heads[stream_id]


async def test_a_request_that_is_refused_costs_the_others_nothing(
    autojump_clock: MockClock,
) -> None:
    routes = answers(b"yes")
    routes.post("/", lambda request: Response(200, request.body))
    async with serving(routes, Limits(max_body_bytes=10)) as server:
        client = Http2Client(server.connect())
        refused = client.ask(method="POST", body=b"x" * 11)
        fine = client.ask(method="POST", body=b"x" * 10)
        assert await client.head(refused) == 413
        assert await client.rest(fine) == b"x" * 10
        assert server.statistics().refused == 1
        assert server.statistics().requests == 1


async def test_a_window_too_small_for_the_opening_does_without(autojump_clock: MockClock) -> None:
    async def brief(stream: Stream) -> None:
        await stream.send("brief")

    routes = Routes()
    routes.get("/", brief)
    async with serving(routes) as server:
        client = Http2Client(server.connect(), stream_window=2)
        stream_id = client.ask()
        assert await client.data(stream_id, 1) == ["brief"]
        assert client.bodies[stream_id] == b"data: brief\n\n"


async def test_who_asks_and_reads_no_answers_is_not_listened_to_any_more(
    autojump_clock: MockClock,
) -> None:
    async with serving(answers(b"x" * 100), Limits(max_unread_bytes=10_000)) as server:
        client = Http2Client(server.connect(capacity=2000))
        for _ in range(1000):
            client.ask()
            await trio.testing.wait_all_tasks_blocked()
        assert server.http2.outbox.size < 15_000
        assert server.statistics().requests < 200
        # It goes on where it stopped when the client has read.
        while server.statistics().requests < 1000:
            client.take()
            client.flush()
            await trio.testing.wait_all_tasks_blocked()


async def test_a_client_that_leaves_while_it_is_not_listened_to_is_no_error(
    autojump_clock: MockClock, caplog: Log
) -> None:
    async with serving(answers(b"x" * 100), Limits(max_unread_bytes=1000)) as server:
        client = Http2Client(server.connect(capacity=1000))
        for _ in range(50):
            client.ask()
            await trio.testing.wait_all_tasks_blocked()
        client.leave()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 0
    assert not complaints(caplog)


async def test_who_is_sent_away_and_does_not_read_is_gone_in_seconds(
    autojump_clock: MockClock,
) -> None:
    limits = Limits(max_control_frames_per_second=5, max_unread_bytes=10_000, write_timeout=999)
    async with serving(answers(b"yes"), limits) as server:
        client = Http2Client(server.connect(capacity=500))
        await client.rest(client.ask())
        while server.statistics().connections and trio.current_time() < 100:
            client.transport.send(PING * 20)
            await trio.sleep(0.1)
        assert trio.current_time() < 5
        assert server.statistics().offences == {"control_frames": 1}


async def test_who_goes_on_after_the_last_words_is_not_heard_out(autojump_clock: MockClock) -> None:
    async with serving(answers(b"yes"), Limits(max_control_frames_per_second=1)) as server:
        client = Http2Client(server.connect())
        await client.rest(client.ask())
        begun, sent = trio.current_time(), 0
        while server.statistics().connections:
            sent += client.transport.send(PING * 100)
            await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == begun
        assert 1_000_000 < sent < 1_200_000


async def test_answers_that_are_not_read_do_not_pile_up_within_one_reading(
    autojump_clock: MockClock,
) -> None:
    async with serving(answers(b"x" * 10_000), Limits(max_unread_bytes=10_000)) as server:
        client = Http2Client(server.connect(capacity=5_000))
        await client.rest(client.ask())
        # They come at once, and are sent when there is room for them.
        for _ in range(240):
            stream_id = client.h2.get_next_available_stream_id()
            client.h2.send_headers(stream_id, REQUEST, end_stream=True)
        client.flush()
        await trio.testing.wait_all_tasks_blocked()
        assert 10_000 < server.http2.outbox.size < 1_000_000
        await client.until(lambda: len(client.ended) == 241)


async def test_a_flood_of_frames_leaves_others_their_turns(autojump_clock: MockClock) -> None:
    limits = Limits(max_control_frames_per_second=1000)
    async with serving(answers(b"yes"), limits) as server:
        client = Http2Client(server.connect(capacity=100_000))
        await client.rest(client.ask())
        assert client.transport.send(PING * 3000) == len(PING) * 3000
        turns = acknowledged = 0
        while acknowledged < len(PING) * 3000:
            await trio.lowlevel.checkpoint()
            acknowledged += len(client.transport.receive() or b"")
            turns += 1
        assert turns > 10


async def test_a_crowd_that_sends_floods_leaves_others_their_turns(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = 0
    hear = Http2Connection._hear

    def counted(connection: Http2Connection, data: bytes) -> bool:
        nonlocal heard
        heard += 1
        return hear(connection, data)

    async with serving(answers(b"yes"), Limits(max_control_frames_per_second=1000)) as server:
        server.service.hearing = Turns(0.0)  # there is time for one at a time
        clients = [Http2Client(server.connect()) for _ in range(30)]
        for client in clients:
            await client.rest(client.ask())
        await trio.testing.wait_all_tasks_blocked()
        monkeypatch.setattr(Http2Connection, "_hear", counted)
        for client in clients:
            client.transport.send(PING * 50)
        before = most = 0
        while heard < len(clients):
            await trio.lowlevel.checkpoint()
            most, before = max(most, heard - before), heard
        # The two take turns in any order.
        assert most <= 2


# -- ends -------------------------------------------------------------------------------


async def test_a_violation_ends_the_connection_with_its_code(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect())
        await client.open()
        client.transport.send(b"\0\0\1\0\0\0\0\0\0x")  # DATA of no stream
        await client.closing()
        assert client.goaways == [1]  # PROTOCOL_ERROR
        assert server.statistics().streams == 0
        assert hub.statistics().audiences == 0


async def test_last_words_are_given_up_when_the_client_is_gone(autojump_clock: MockClock) -> None:
    async with open_hub() as hub, serving(follow(hub), hub=hub) as server:
        client = Http2Client(server.connect(capacity=500))
        await client.open()
        hub.publish("a", "x" * 1000)
        await trio.testing.wait_all_tasks_blocked()
        server.drain()
        await trio.testing.wait_all_tasks_blocked()
        client.leave()
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 0


async def test_a_client_that_does_not_close_after_goaway_is_closed(
    autojump_clock: MockClock,
) -> None:
    async with serving(answers(b"yes")) as server:
        client = Http2Client(server.connect())
        await client.rest(client.ask())
        server.drain()
        await trio.sleep(1)
        assert server.statistics().connections == 1
        await trio.sleep(1.5)
        assert server.statistics().connections == 0


async def test_who_waits_to_be_heard_holds_up_no_drain(autojump_clock: MockClock) -> None:
    async with serving(answers(b"yes"), Limits(ping_interval=999)) as server:
        turns = server.service.hearing = Turns(0.0)
        client = Http2Client(server.connect())
        await client.rest(client.ask())
        await trio.testing.wait_all_tasks_blocked()
        turns._at_work = True  # but nobody is: it is never anyone's turn
        unheard = client.ask()
        await client.read_all()
        begun = trio.current_time()
        server.drain()
        await client.transport.wait_readable()
        said = b""
        while arrived := client.transport.receive():
            said += arrived
            await client.transport.wait_readable()
        assert trio.current_time() == begun
        # The last one says that the request was not heard and may be asked again (RFC 9113, 6.8).
        assert goaways(said)[-1] == (unheard - 2, 0)


async def test_a_drain_refuses_what_is_new_and_waits_for_what_is_not(
    autojump_clock: MockClock,
) -> None:
    async def brief(stream: Stream) -> None:
        await trio.sleep(5)
        await stream.send("done")

    routes = Routes()
    routes.get("/", brief)
    async with serving(routes) as server:
        client = Http2Client(server.connect())
        handled = await client.open()
        server.drain()
        await client.until(lambda: bool(client.goaways))
        late = client.ask()
        assert await client.data(handled, 1) == ["done"]
        await client.rest(handled)
        assert client.resets == {late: 7}  # REFUSED_STREAM: it may safely be asked elsewhere
        await client.closing()
        assert trio.current_time() == 5
