"""What waits to be written: its order, its size, and what becomes of a peer that takes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from trio_sse.connection.outbox import Outbox, Stalled
from trio_sse.transport import Broken, MemoryTransport, memory_pair


class Out:
    """An outbox, the far end of its transport, and what has gone wrong."""

    def __init__(self, nursery: trio.Nursery, capacity: int) -> None:
        ours, self.far = memory_pair(capacity)
        self.transport: MemoryTransport = ours
        self.errors: list[Broken] = []
        self.start_soon = nursery.start_soon
        self.box = Outbox(ours, self, 30)

    def broken(self, error: Broken) -> None:
        self.errors.append(error)

    async def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self.far.receive() or b""
            await self.far.wait_readable() if len(data) < count else None
        return data


@asynccontextmanager
async def out(capacity: int = 10) -> AsyncIterator[Out]:
    async with trio.open_nursery() as nursery:
        yield Out(nursery, capacity)
        nursery.cancel_scope.cancel()


async def test_what_fits_goes_straight_to_the_transport(autojump_clock: MockClock) -> None:
    async with out() as each:
        assert each.box.clear
        assert each.box.write(b"0123456789")
        assert each.box.clear
        assert each.box.size == 0
        assert each.far.receive() == b"0123456789"
        await each.box.drained()


async def test_what_does_not_fit_follows_in_order_as_the_peer_reads(
    autojump_clock: MockClock,
) -> None:
    sent = bytes(range(200))
    async with out() as each:
        for start in range(0, 200, 20):
            assert not each.box.write(sent[start : start + 20])
        assert not each.box.clear
        assert each.box.size == 190
        await trio.testing.wait_all_tasks_blocked()
        assert each.far.receive() == sent[:10]
        await trio.testing.wait_all_tasks_blocked()
        assert each.box.size == 180
        assert await each.read(190) == sent[10:]
        assert each.box.size == 0
        assert each.box.clear
        assert each.box.write(b"more")


async def test_who_waits_for_it_to_be_empty_is_told_when_it_is(autojump_clock: MockClock) -> None:
    async with out() as each:
        each.box.write(b"0123456789abcdef")
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(each.box.drained)
            await trio.testing.wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 2
            await each.read(16)


async def test_a_peer_that_takes_nothing_in_time_breaks_it(autojump_clock: MockClock) -> None:
    async with out() as each:
        each.box.write(b"0123456789abcdef")
        with pytest.raises(Broken):
            await each.box.drained()
        assert trio.current_time() == 30
        (error,) = each.errors
        assert isinstance(error, Stalled)
        assert str(error) == "the peer took nothing for 30 s"


async def test_a_peer_that_takes_a_little_now_and_then_does_not(
    autojump_clock: MockClock,
) -> None:
    async with out(capacity=1) as each:
        each.box.write(b"0123456789")
        for _ in range(9):
            await trio.sleep(29)
            each.far.receive()
        await each.box.drained()
        assert not each.errors


@pytest.mark.parametrize("begun", [False, True])
async def test_a_peer_that_is_gone_breaks_it_once(autojump_clock: MockClock, begun: bool) -> None:
    async with out() as each:
        if begun:
            each.box.write(b"0123456789abcdef")
            await trio.testing.wait_all_tasks_blocked()
        each.far.close()
        each.box.write(b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert len(each.errors) == 1
        assert not each.box.clear
        assert each.box.size == 0
        assert not each.box.write(b"nobody hears it")
        with pytest.raises(Broken, match="the connection is broken"):
            await each.box.drained()
        assert len(each.errors) == 1


async def test_a_cancellation_that_comes_with_the_news_is_not_lost(
    autojump_clock: MockClock,
) -> None:
    scopes = [trio.CancelScope(), trio.CancelScope()]
    went_on = 0
    async with out() as each:

        async def wait(mine: trio.CancelScope, other: trio.CancelScope) -> None:
            nonlocal went_on
            with mine:
                await each.box.drained()
                went_on += 1
                other.cancel()  # It has been woken as well, and has not run yet.

        async with trio.open_nursery() as nursery:
            each.box.write(b"0123456789abcdef")
            nursery.start_soon(wait, scopes[0], scopes[1])
            nursery.start_soon(wait, scopes[1], scopes[0])
            await trio.testing.wait_all_tasks_blocked()
            await each.read(16)
    assert went_on == 1
    assert [scope.cancelled_caught for scope in scopes].count(True) == 1


async def test_nothing_is_written_straight_away_after_the_end_though_what_was_left_has_gone(
    autojump_clock: MockClock,
) -> None:
    async with out() as each:
        each.box.write(b"x" * 15)
        await trio.testing.wait_all_tasks_blocked()
        each.box.retire()
        await each.read(15)
        await trio.testing.wait_all_tasks_blocked()
        assert each.box.size == 0
        assert not each.box.clear
