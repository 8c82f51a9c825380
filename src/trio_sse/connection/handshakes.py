"""TLS handshakes, so that a thousand of them a second hold up nobody else.

A full handshake is a key exchange and a signature: a quarter of a millisecond of this one
processor with a certificate of ECDSA, half of one with RSA, for which a client pays next to
nothing. What they take of a turn of the event loop is bounded, and those who wait for theirs
are taken fairly by where they come from.

Owns no connection, and no deadline: who waits has one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import trio

from ..fair_queue import FairQueue, source_of
from ..message import Peer

__all__ = ["SLICE_SECONDS", "Handshakes"]

SLICE_SECONDS = 0.002
"""What handshakes may take of a turn of the event loop: eight of them, at the least one."""

T = TypeVar("T")


class _Step:
    """A step of a handshake that waits to be made."""

    __slots__ = ("_error", "_made", "_make", "_task", "given_up")

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._task = trio.lowlevel.current_task()
        self._made: Any = None
        self._error: Exception | None = None
        self.given_up = False

    def do(self) -> None:
        """Make it, and wake who waits for it."""
        try:
            self._made = self._make()
        except Exception as error:
            self._error = error
        trio.lowlevel.reschedule(self._task)

    async def done(self) -> Any:
        """Wait until it has been made; return or raise what came of it."""
        await trio.lowlevel.wait_task_rescheduled(self._give_up)
        error, self._error = self._error, None
        if error is None:
            return self._made
        try:
            raise error
        finally:
            del error  # it knows this frame: what is over would wait for the collector of cycles

    def _give_up(self, _: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        self.given_up = True
        return trio.lowlevel.Abort.SUCCEEDED


class Handshakes:
    """All that are under way on one server."""

    def __init__(self) -> None:
        self._waiting: FairQueue[_Step] = FairQueue()
        self._at_work = False

    async def step(self, peer: Peer, make: Callable[[], T]) -> T:
        """Make a step of the handshake with `peer` when it is its turn.

        `make` must not block. Returns what it returns, and raises what it raises; if the wait is
        cancelled it is never called.
        """
        if not self._at_work:
            # A task only while there is something to do. Not of this connection's own nursery:
            # it works for all.
            self._at_work = True
            home = cast(trio.Nursery, trio.lowlevel.current_task().parent_nursery)
            home.start_soon(self._work)
        step = _Step(make)
        self._waiting.put(source_of(peer.host), step)
        return cast(T, await step.done())

    async def _work(self) -> None:
        try:
            while self._waiting:
                self._work_for_a_turn(time.perf_counter() + SLICE_SECONDS)
                await trio.lowlevel.checkpoint()
        finally:
            self._at_work = False

    def _work_for_a_turn(self, end: float) -> None:
        while self._waiting:
            step = self._waiting.take()
            if not step.given_up:
                # Here and not in the connection's task: only so is it known how long it takes.
                step.do()
            if time.perf_counter() >= end:
                return
