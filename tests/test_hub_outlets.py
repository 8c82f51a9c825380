"""How the pump carries events to outlets: in batches, to all alike, with turns for others."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from support.logs import complaints
from support.reading import take
from trio_sse.event import Event
from trio_sse.hub import (
    Frame,
    Hub,
    Outlet,
    Subscription,
    identity,
    open_hub,
)
from trio_sse.hub.pump import OUTLETS_AT_ONCE


class Recorder(Outlet):
    """An outlet that takes everything and remembers it."""

    def __init__(self, hub: Hub, *topics: str, frame: Frame = identity) -> None:
        super().__init__(hub.selectors(topics), frame, hub.log.head)
        self.received = b""
        self.is_cut_off = False

    def deliver(self, framed: bytes, stop: int) -> None:
        self.received += framed
        self.cursor = stop

    def cut_off(self) -> None:
        self.is_cut_off = True

    def __len__(self) -> int:
        return 1


async def test_what_has_been_published_at_once_is_delivered_in_one_piece(
    autojump_clock: MockClock,
) -> None:
    pieces: list[bytes] = []

    def frame(payload: bytes) -> bytes:
        pieces.append(payload)
        return payload

    async with open_hub() as hub:
        outlets = [Recorder(hub, "a", frame=frame) for _ in range(3)]
        for outlet in outlets:
            hub.join(outlet)
        for number in range(10):
            hub.publish("a", Event(str(number), id=str(number)))
        await trio.testing.wait_all_tasks_blocked()
        assert pieces == [b"".join(b"id: %d\ndata: %d\n\n" % (n, n) for n in range(10))]
        assert [outlet.received for outlet in outlets] == 3 * pieces


async def test_a_batch_is_bounded(autojump_clock: MockClock) -> None:
    pieces: list[bytes] = []

    def frame(payload: bytes) -> bytes:
        pieces.append(payload)
        return payload

    async with open_hub() as hub:
        outlet = Recorder(hub, "a", frame=frame)
        hub.join(outlet)
        for _ in range(10):
            hub.publish("a", "x" * 30_000)
        hub.publish("a", "y" * 100_000)
        await trio.testing.wait_all_tasks_blocked()
        assert [len(piece) // 10_000 for piece in pieces] == [6, 6, 6, 6, 6, 10]
        assert outlet.received == b"".join(pieces)


async def test_many_outlets_do_not_hold_up_the_program(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(moments) * 0.0005)
    monkeypatch.setattr("trio_sse.hub.pump.time", clock)
    async with open_hub() as hub:
        outlets = [Recorder(hub, "a") for _ in range(1000)]
        for outlet in outlets:
            hub.join(outlet)
        hub.publish("a", "x")
        turns = 0
        while not outlets[-1].received:
            await trio.lowlevel.checkpoint()
            turns += 1
        assert turns > 5
        assert len({outlet.received for outlet in outlets}) == 1


async def test_who_joins_between_two_events_gets_the_second_only(
    autojump_clock: MockClock,
) -> None:
    async with open_hub() as hub:
        early, late = Recorder(hub, "a"), Recorder(hub, "a")
        hub.join(early)
        hub.publish("a", Event("one", id="1"))
        hub.join(late)  # before the pump has had a turn
        hub.publish("a", Event("two", id="2"))
        await trio.testing.wait_all_tasks_blocked()
        assert early.received == b"id: 1\ndata: one\n\nid: 2\ndata: two\n\n"
        assert late.received == b"id: 2\ndata: two\n\n"


async def test_who_joins_before_others_wrap_the_log_is_told_of_no_gap(
    autojump_clock: MockClock,
) -> None:
    async with open_hub(max_events=2) as hub:
        early, late, later = (Recorder(hub, "a") for _ in range(3))
        hub.join(early)
        hub.publish("a", Event("one", id="1"))
        hub.join(late)  # before the pump has had a turn
        for number in range(3):
            hub.publish("b", Event("x", id=f"b{number}"))
        hub.publish("a", Event("two", id="2"))
        hub.join(later)
        hub.publish("b", "x")
        await trio.testing.wait_all_tasks_blocked()
        assert b'data: {"lost":4}' in early.received
        assert late.received == b"id: 2\ndata: two\n\n"
        assert later.received == b""


async def test_what_a_pass_carries_already_is_not_lost_when_the_log_wraps_meanwhile(
    autojump_clock: MockClock,
) -> None:
    class Wrapper(Recorder):
        def deliver(self, framed: bytes, stop: int) -> None:
            for _ in range(3):
                hub.publish("b", "x")

    async with open_hub(max_events=2) as hub:
        early, late = Wrapper(hub, "a"), Recorder(hub, "a")
        hub.join(early)
        hub.publish("a", Event("one", id="1"))
        hub.join(late)  # before the pump has had a turn
        hub.publish("a", Event("two", id="2"))
        await trio.testing.wait_all_tasks_blocked()
        assert late.received == b"id: 2\ndata: two\n\n"


async def test_an_outlet_with_a_defect_costs_the_others_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Defective(Recorder):
        def deliver(self, framed: bytes, stop: int) -> None:
            raise ZeroDivisionError

    async with open_hub() as hub:
        defective, sound = Defective(hub, "a"), Recorder(hub, "a")
        hub.join(defective)
        hub.join(sound)
        hub.publish("a", Event("one", id="1"))
        await trio.testing.wait_all_tasks_blocked()
        assert sound.received == b"id: 1\ndata: one\n\n"
        assert not sound.is_cut_off
        assert defective.is_cut_off
        assert hub.statistics().subscribers == 1
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_who_joins_while_a_part_is_on_its_way_is_told_of_no_gap_when_the_log_wraps(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Publisher(Recorder):
        def deliver(self, framed: bytes, stop: int) -> None:
            super().deliver(framed, stop)
            if b"id: 0" in framed:
                for _ in range(4):
                    hub.publish("b", "x")
                hub.publish("a", Event("wrapped", id="9"))

    monkeypatch.setattr("trio_sse.hub.pump.BATCH_BYTES", 100)
    async with open_hub(max_events=4) as hub:
        early, late = Publisher(hub, "a"), Recorder(hub, "a")
        hub.join(early)
        for number in range(4):
            hub.publish("a", Event("x" * 40, id=str(number)))
        hub.join(late)  # before the pump has had a turn, and a batch takes two
        await trio.testing.wait_all_tasks_blocked()
        assert late.received == b"id: 9\ndata: wrapped\n\n"


class Written(Recorder):
    """An outlet with a socket, which is told how much of it was taken."""

    def __init__(self, hub: Hub, sock: socket.socket) -> None:
        super().__init__(hub, "a")
        sock.setblocking(False)
        self.file = sock.fileno()
        self.taken: list[int] = []

    def delivered(self, framed: bytes, stop: int, sealed: bytes, taken: int) -> None:
        self.taken.append(taken)
        self.cursor = stop


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Pairs of connected sockets, more than are written to at once."""
    pairs = [socket.socketpair() for _ in range(OUTLETS_AT_ONCE + 8)]
    yield pairs
    for pair in pairs:
        for end in pair:
            end.close()


async def test_outlets_with_a_file_are_written_to_and_told_how_much_of_it_was_taken(
    autojump_clock: MockClock, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    def fill(sock: socket.socket) -> None:
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock.send(bytes(1024))

    fill(pairs[2][0])
    pairs[5][1].close()
    pairs[7][0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    async with open_hub() as hub:
        outlets = [Written(hub, ours) for ours, _ in pairs]
        plain = Recorder(hub, "a")
        outlets[9].file = -1
        for outlet in (*outlets, plain):
            hub.join(outlet)
        hub.publish("a", Event("x" * 50_000, id="1"))
        await trio.testing.wait_all_tasks_blocked()
        whole = b"id: 1\ndata: " + b"x" * 50_000 + b"\n\n"
        # Full, closed at the other end, and without a file: these are asked to do it themselves.
        by_themselves = {outlets[number] for number in (2, 5, 9)}
        assert {each for each in outlets if each.received == whole} == by_themselves
        assert plain.received == whole
        (partly,) = outlets[7].taken
        assert 0 < partly < len(whole)
        for outlet, (_, theirs) in zip(outlets, pairs, strict=True):
            if outlet in by_themselves:
                assert outlet.taken == []
            else:
                assert len(outlet.taken) == 1
                assert theirs.recv(100_000) == whole[: outlet.taken[0]]
                assert outlet is outlets[7] or outlet.taken == [len(whole)]


async def test_who_has_a_part_already_is_written_the_rest_only(
    autojump_clock: MockClock, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    async with open_hub() as hub:
        early, late, latest = (Written(hub, pairs[number][0]) for number in range(3))
        hub.join(early)
        hub.publish("a", Event("one", id="1"))
        hub.join(late)  # before the pump has had a turn
        hub.publish("a", Event("two", id="2"))
        hub.join(latest)
        await trio.testing.wait_all_tasks_blocked()
        one, two = b"id: 1\ndata: one\n\n", b"id: 2\ndata: two\n\n"
        assert pairs[0][1].recv(100) == one + two
        # What is framed for few is for them to send.
        assert (late.taken, late.received) == ([], two)
        assert (latest.taken, latest.received) == ([], b"")


async def test_who_leaves_before_its_turn_is_not_written_to(
    autojump_clock: MockClock, pairs: list[tuple[socket.socket, socket.socket]]
) -> None:
    class Last(Recorder):
        def deliver(self, framed: bytes, stop: int) -> None:
            hub.leave(outlets[-1])

    async with open_hub() as hub:
        first = Last(hub, "a")
        hub.join(first)
        outlets = [Written(hub, ours) for ours, _ in pairs]
        for outlet in outlets:
            hub.join(outlet)
        hub.publish("a", "x")
        await trio.testing.wait_all_tasks_blocked()
        assert [len(each.taken) for each in outlets] == [1] * (len(outlets) - 1) + [0]
        assert outlets[-1].cursor == 0


@pytest.mark.parametrize("where", ["seal", "delivered"])
async def test_a_defect_in_one_that_is_written_to_costs_the_others_nothing(
    autojump_clock: MockClock,
    pairs: list[tuple[socket.socket, socket.socket]],
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    def fail(*_: object) -> bytes:
        raise ZeroDivisionError

    class Defective(Written):
        def delivered(self, framed: bytes, stop: int, sealed: bytes, taken: int) -> None:
            fail()

    async with open_hub() as hub:
        defective, sound = Defective(hub, pairs[0][0]), Written(hub, pairs[1][0])
        if where == "seal":
            defective.seal = fail
        hub.join(defective)
        hub.join(sound)
        hub.publish("a", "x")
        await trio.testing.wait_all_tasks_blocked()
        assert len(sound.taken) == 1
        assert defective.is_cut_off
        assert not sound.is_cut_off
    assert complaints(caplog) == ["An outlet failed; its subscribers are cut off"]


async def test_a_reader_whose_wake_up_fails_reads_on_by_itself(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Subscription, framed: bytes, stop: int) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(Subscription, "deliver", fail)
    async with open_hub() as hub, hub.subscribe("a") as events, trio.open_nursery() as nursery:

        async def publish() -> None:
            await trio.sleep(1)
            hub.publish("a", "x")

        nursery.start_soon(publish)
        assert await take(events, 1) == ["x"]
