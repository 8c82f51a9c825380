"""Whose socket is read next, when thousands have something to read at once."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_sse.message import Peer
from trio_sse.readiness import AT_LEAST, AT_MOST, HAS_EPOLL, Readiness, open_readiness
from trio_sse.transport import SocketTransport

CROWD, ALONE = Peer("192.0.2.1", 1), Peer("192.0.2.2", 1)
MANY = 5 * AT_MOST

pytestmark = pytest.mark.skipif(not HAS_EPOLL, reason="There is no epoll here.")


@contextlib.asynccontextmanager
async def at_work() -> AsyncIterator[Readiness]:
    with contextlib.closing(Readiness()) as readiness:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(readiness.run)
            yield readiness
            nursery.cancel_scope.cancel()


@contextlib.contextmanager
def connected(
    readiness: Readiness | None, peer: Peer = ALONE
) -> Iterator[tuple[SocketTransport, socket.socket]]:
    ours, theirs = socket.socketpair()
    transport = SocketTransport(ours, peer, readiness)
    try:
        with theirs:
            yield transport, theirs
    finally:
        transport.close()


class Crowd:
    """Many who are waited for, each by a task; who is heard is noted."""

    def __init__(self, readiness: Readiness, nursery: trio.Nursery) -> None:
        self.heard: list[SocketTransport] = []
        self.closed: list[SocketTransport] = []
        self._readiness = readiness
        self._nursery = nursery
        self._sockets = contextlib.ExitStack()

    def join(self, count: int, peer: Peer) -> list[tuple[SocketTransport, socket.socket]]:
        pairs = [
            self._sockets.enter_context(connected(self._readiness, peer)) for _ in range(count)
        ]
        for transport, _ in pairs:
            self._nursery.start_soon(self._hear, transport)
        return pairs

    async def _hear(self, transport: SocketTransport) -> None:
        try:
            await transport.wait_readable()
        except trio.ClosedResourceError:
            self.closed.append(transport)
        else:
            self.heard.append(transport)

    async def seen(self, count: int) -> list[int]:
        """How many have been heard, as seen in each turn of the loop until all have been."""
        seen = [0]
        while seen[-1] < count:
            await trio.lowlevel.checkpoint()
            seen.append(len(self.heard))
        return seen

    def leave(self) -> None:
        self._sockets.close()


@contextlib.asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    async with at_work() as readiness, trio.open_nursery() as nursery:
        everyone = Crowd(readiness, nursery)
        yield everyone
        everyone.leave()


@pytest.mark.parametrize("leaving", [False, True])
async def test_others_have_their_turn_while_very_many_are_heard(leaving: bool) -> None:
    async with crowd() as everyone:
        pairs = everyone.join(MANY, CROWD)
        await wait_all_tasks_blocked()
        for _, theirs in pairs:
            if leaving:
                theirs.close()
            else:
                theirs.send(b"x")
        seen = await everyone.seen(MANY)
    # So many in each turn, and they and who looks have theirs in any order.
    assert max(after - before for before, after in itertools.pairwise(seen)) <= 2 * AT_MOST


async def test_fewer_are_heard_in_a_turn_when_turns_take_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)
    monkeypatch.setattr("trio_sse.readiness.time", clock)
    async with crowd() as everyone:
        for _, theirs in everyone.join(MANY, CROWD):
            theirs.send(b"x")
        seen = await everyone.seen(MANY)
    assert max(after - before for before, after in itertools.pairwise(seen)) <= 2 * AT_LEAST


async def test_all_of_a_turn_is_for_those_who_ask_if_nobody_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trio_sse.readiness.AT_LEAST", 4)
    monkeypatch.setattr("trio_sse.readiness.AT_MOST", 4)
    async with crowd() as everyone:
        for _, theirs in everyone.join(MANY, CROWD):
            theirs.send(b"x")
        seen = await everyone.seen(MANY)
    # Who looks may have its turn in the middle of a batch, and see it as two.
    assert len(set(seen)) <= MANY // 4 + 2


async def test_a_crowd_of_one_address_is_not_heard_before_others() -> None:
    async with crowd() as everyone:
        pairs = everyone.join(MANY, CROWD) + everyone.join(1, ALONE)
        await wait_all_tasks_blocked()
        for _, theirs in pairs:
            theirs.send(b"x")
        await everyone.seen(MANY + 1)
    alone = pairs[-1][0]
    # In the first batch, in which the order is any.
    assert everyone.heard.index(alone) < AT_MOST


async def test_who_asks_is_heard_before_those_who_have_left() -> None:
    async with crowd() as everyone:
        pairs = everyone.join(MANY, ALONE) + everyone.join(1, ALONE)
        await wait_all_tasks_blocked()
        for _, theirs in pairs[:-1]:
            theirs.close()
        pairs[-1][1].send(b"x")
        await everyone.seen(MANY + 1)
    assert everyone.heard.index(pairs[-1][0]) < AT_MOST


async def test_those_who_have_left_are_seen_off_while_very_many_ask() -> None:
    async with crowd() as everyone:
        asking, leaving = everyone.join(MANY, CROWD), everyone.join(16, CROWD)
        await wait_all_tasks_blocked()
        for _, theirs in asking:
            theirs.send(b"x")
        for _, theirs in leaving:
            theirs.close()
        await everyone.seen(MANY + 16)
    assert {transport for transport, _ in leaving} <= set(everyone.heard[: MANY // 2])


async def test_it_is_heard_that_there_is_something_already() -> None:
    async with at_work() as readiness:
        with connected(readiness) as (transport, theirs):
            theirs.send(b"x")
            for _ in range(2):
                await transport.wait_readable()
            assert transport.receive() == b"x"
            theirs.close()
            for _ in range(2):
                await transport.wait_readable()
                assert transport.receive() == b""


@pytest.mark.parametrize("own", [True, False])
async def test_who_gives_up_waits_again(own: bool) -> None:
    async with at_work() as readiness:
        with connected(readiness if own else None) as (transport, theirs):
            for _ in range(2):
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(transport.wait_readable)
                        await wait_all_tasks_blocked()
                        scope.cancel()
                assert scope.cancelled_caught
            theirs.send(b"x")
            await transport.wait_readable()
            assert transport.receive() == b"x"


async def test_who_is_in_line_when_it_is_closed_is_told_so_and_not_woken_again() -> None:
    async with crowd() as everyone:
        pairs = everyone.join(MANY, CROWD)
        await wait_all_tasks_blocked()
        for _, theirs in pairs:
            theirs.send(b"x")
        while not everyone.heard:
            await trio.lowlevel.checkpoint()
        for transport, _ in pairs:
            transport.close()
        await wait_all_tasks_blocked()
    assert 0 < len(everyone.heard) <= 2 * AT_MOST
    assert len(everyone.heard) + len(everyone.closed) == MANY


@pytest.mark.parametrize("own", [True, False])
async def test_one_task_waits_for_a_socket(own: bool) -> None:
    async with at_work() as readiness:
        with connected(readiness if own else None) as (transport, theirs):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(transport.wait_readable)
                await wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError):
                    await transport.wait_readable()
                theirs.send(b"x")


@pytest.mark.parametrize("own", [True, False])
async def test_closing_wakes_who_waits(own: bool) -> None:
    async with at_work() as readiness:
        waits = connected(readiness if own else None)
        with waits as (transport, _), pytest.RaisesGroup(trio.ClosedResourceError):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(transport.wait_readable)
                await wait_all_tasks_blocked()
                transport.close()


async def test_a_closed_socket_is_not_waited_for() -> None:
    async with at_work() as readiness:
        with connected(readiness) as (transport, _):
            transport.close()
            with pytest.raises(trio.ClosedResourceError):
                await transport.wait_readable()


async def test_the_number_of_a_closed_socket_may_be_anothers() -> None:
    async with at_work() as readiness:
        with connected(readiness) as (first, theirs):
            theirs.send(b"x")
            await first.wait_readable()
            number = first.file
            first.close()
            with connected(readiness) as (second, its_peer):
                assert second.file == number
                its_peer.send(b"y")
                await second.wait_readable()
                assert second.receive() == b"y"


async def test_a_file_that_is_closed_behind_our_back_does_not_keep_its_number_from_another() -> (
    None
):
    async with at_work() as readiness:
        with connected(readiness) as (wronged, theirs):
            theirs.send(b"x")
            await wronged.wait_readable()
            os.close(wronged.file)
            with connected(readiness) as (other, its_peer):
                assert other.file == wronged.file
                its_peer.send(b"y")
                await other.wait_readable()
                assert other.receive() == b"y"
            with pytest.raises(OSError, match="Bad file descriptor"):
                wronged.close()


async def test_a_file_that_is_replaced_behind_our_back_can_be_closed() -> None:
    async with at_work() as readiness:
        with connected(readiness) as (wronged, theirs), connected(None) as (_, foreign):
            theirs.send(b"x")
            await wronged.wait_readable()
            os.dup2(foreign.fileno(), wronged.file)
            wronged.close()


async def test_a_wait_that_never_began_is_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    async with at_work() as readiness:
        with connected(readiness) as (transport, _):
            with monkeypatch.context() as patches:
                patches.setattr("trio.lowlevel.wait_task_rescheduled", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    await transport.wait_readable()
            transport.close()


async def test_where_no_file_is_left_trio_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("select.epoll", fail)
    assert open_readiness() is None


async def test_nobody_hears_what_comes_for_a_closed_socket_that_another_process_has_too() -> None:
    async with crowd() as everyone:
        ((first, theirs),) = everyone.join(1, ALONE)
        await wait_all_tasks_blocked()
        number = first.file
        inherited = os.dup(number)  # what is the same to the kernel
        try:
            first.close()
            ((second, _),) = everyone.join(1, ALONE)
            assert second.file == number
            theirs.send(b"x")
            await wait_all_tasks_blocked()
            assert everyone.heard == []
        finally:
            os.close(inherited)


async def test_where_there_is_no_epoll_trio_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_sse.readiness.HAS_EPOLL", False)
    assert open_readiness() is None
