"""Work that many clients may ask for at once, so that it holds up nobody else.

What one client can have done at a time is bounded where it is done: a step of a handshake, a
piece of what it has sent. But it may come with a hundred connections, and a turn of the event
loop has time for all of them. So what such steps take of a turn is bounded too, and those who
wait for theirs are taken fairly by where they come from.

Owns no connection, and no deadline: who waits has one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import trio

from ..fair_queue import FairQueue, source_of
from ..message import Peer

__all__ = ["Turns"]

SHARE = 0.5
"""How much of the time there is may be spent on steps that do not wait for their turn."""

T = TypeVar("T")


class _Step:
    """A step that waits to be made."""

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
        # What it does may end the connection, and with it the wait.
        if not self.given_up:
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


class Turns:
    """The work of one kind on one server."""

    def __init__(self, seconds: float) -> None:
        """Take how much of a turn of the event loop it may take; one step at the least."""
        self._seconds = seconds
        self._waiting: FairQueue[_Step] = FairQueue()
        self._at_work = False
        self._room = seconds
        self._since = time.perf_counter()

    async def now_or_in_turn(self, peer: Peer, make: Callable[[], T]) -> T:
        """Make a step at once if there is time for it, else as `step` does."""
        began = time.perf_counter()
        self._room = min(self._seconds, self._room + (began - self._since) * SHARE)
        self._since = began
        if self._waiting or self._room <= 0:
            return await self.step(peer, make)
        try:
            return make()
        finally:
            self._since = time.perf_counter()
            self._room -= self._since - began

    async def step(self, peer: Peer, make: Callable[[], T]) -> T:
        """Make a step for `peer` when it is its turn.

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
        try:
            return cast(T, await step.done())
        finally:
            # Whatever has kept it from waiting: who does not wait must not be woken.
            step.given_up = True

    async def _work(self) -> None:
        try:
            while self._waiting:
                self._work_for_a_turn(time.perf_counter() + self._seconds)
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
