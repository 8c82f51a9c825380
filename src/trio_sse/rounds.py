"""Rounds of all connections of a server: who is due to be looked after, and when again.

A round comes every tick by the clock, however long one takes. Most connections have nothing to do
for many of them, and to find that out each would have to be fetched from memory, which for ten
thousand takes as long as half an event to them all. So a connection says how long it can do
without, and is left alone until then.

Knows nothing of what a look is; `server` does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence

import trio

from .connection import Connection

__all__ = ["Rounds"]

logger = logging.getLogger("trio_sse.server")

SLICE_SECONDS = 0.002
"""How long work on many connections may hold the event loop."""


class Rounds:
    """The connections there are, each in the list of a round to come."""

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._start = trio.current_time()
        self._number = 0
        self._round_of: dict[Connection, int] = {}
        self._lists: dict[int, dict[Connection, None]] = {}

    def __len__(self) -> int:
        return len(self._round_of)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._round_of)

    def __contains__(self, connection: object) -> bool:
        return connection in self._round_of

    def add(self, connection: Connection) -> None:
        """Look after a connection from the next round on."""
        self._round_of[connection] = 0
        self.put_off(connection, 0.0)

    def put_off(self, connection: Connection, wait: float) -> None:
        """Leave a connection alone for at most `wait` seconds; if that is short, for a round."""
        self._take_out(connection)
        # Rounded down: what comes too early comes again, what comes late is late.
        number = self._number + max(1, int(wait / self._tick))
        self._round_of[connection] = number
        self._lists.setdefault(number, {})[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self._take_out(connection)
        del self._round_of[connection]

    async def next(self) -> list[Connection]:
        """Wait for the next round and return who is due, also in those that were missed meanwhile.

        Who is not put off is due in each from then on.
        """
        last = self._number
        await trio.sleep_until(self._start + (last + 1) * self._tick)
        now = int((trio.current_time() - self._start) / self._tick)
        self._number = max(last + 1, now)
        missed = range(last + 1, self._number + 1)
        due = [each for number in missed for each in self._lists.pop(number, ())]
        for connection in due:
            self.put_off(connection, 0.0)
        return due

    async def visit(
        self, connections: Sequence[Connection], action: Callable[[Connection], None]
    ) -> None:
        """Do something with those that are still there, and let others run meanwhile."""
        deadline = time.perf_counter() + SLICE_SECONDS
        for connection in connections:
            if connection not in self._round_of:
                continue
            try:
                action(connection)
            except Exception:
                # A defect that one connection brings out must not cost the others theirs.
                logger.exception("%s: the connection failed", connection.transport.peer)
                connection.fail()
            if time.perf_counter() > deadline:
                await trio.lowlevel.checkpoint()
                deadline = time.perf_counter() + SLICE_SECONDS

    def _take_out(self, connection: Connection) -> None:
        number = self._round_of[connection]
        others = self._lists.get(number)
        if others is not None:
            others.pop(connection, None)
            if not others:
                # One that is kept for a minute keeps the megabyte that it lies in.
                del self._lists[number]
