"""The pump: carries what is new in the log to the audiences it concerns.

One task for the whole hub. It frames a batch once an audience and writes it at once to the file
of each live outlet, or has the outlet write it; it never waits for a client. When events come
faster than a pass over the clients takes, the next pass carries all of them: more events, not
more writes.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

import trio

from .audience import Audience, Outlet
from .gap import encoded

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["BATCH_BYTES", "Pass", "Pump"]

BATCH_BYTES = 64 * 1024
"""What one pass carries at most (a larger event goes alone). It bounds the one partly sent
buffer that a straggler may hold on to, and fits a socket's usual send buffer."""

SLICE_SECONDS = 0.002
"""How long the pump holds the event loop before it lets others run: 200 writes on HTTP/1.1."""

OUTLETS_AT_ONCE = 32
"""How many are written to between two looks at the clock."""

logger = logging.getLogger("trio_sse.hub")


class Pass:
    """One batch on its way to everyone who was live in an audience when it began."""

    __slots__ = (
        "_first",
        "_framed",
        "_hub",
        "_outlets",
        "_partial",
        "_reading",
        "audience",
        "start",
        "stop",
    )

    def __init__(self, hub: Hub, audience: Audience, start: int) -> None:
        self._first = hub.log.first
        self._reading = hub.log.read(audience.selectors, start, max_bytes=BATCH_BYTES)
        payload = encoded(self._reading, start, self._first)
        self.audience = audience
        self.start = start
        self.stop = self._reading.cursor
        self._hub = hub
        self._framed = audience.frame(payload) if payload else b""
        self._outlets = iter(list(audience.live)) if payload else iter(())
        self._partial: dict[int, bytes] = {}

    def step(self, deadline: float) -> bool:
        """Write to outlets until all are served (True) or the deadline has passed (False)."""
        now = trio.current_time()
        while outlets := list(islice(self._outlets, OUTLETS_AT_ONCE)):
            self._serve(outlets, now)
            if time.perf_counter() > deadline:
                return False
        return True

    def _serve(self, outlets: list[Outlet], now: float) -> None:
        """Write to some outlets, all that have a file in one go.

        A system call leaves nothing of the interpreter, and little of its objects, in the
        processor's nearest caches. So between two of them there is no statement of Python, and who
        is written to is looked at before and after, when all that is needed for it is at hand.
        """
        start, stop, framed, audience = self.start, self.stop, self._framed, self.audience
        # Who has left meanwhile, or left, caught up past this batch and came back, is passed over.
        with_file = [
            outlet
            for outlet in outlets
            if outlet.file >= 0 and outlet.audience is audience and outlet.cursor <= start
        ]
        pieces = [
            framed if outlet.seal is None else self._sealed(outlet, outlet.seal)
            for outlet in with_file
        ]
        taken = _write_to_all([outlet.file for outlet in with_file], pieces)
        for outlet, piece, count in zip(with_file, pieces, taken, strict=True):
            if count or (piece and piece is not framed):
                outlet.heard = now
                try:
                    outlet.delivered(framed, stop, piece, count)
                except Exception:
                    self._cut_off(outlet)
        if len(with_file) == len(outlets) and 0 not in taken:
            return
        for outlet in outlets:
            # Of those with a file, who could take nothing: it finds out itself what is in the way.
            if outlet.audience is audience and outlet.cursor < stop:
                outlet.heard = now
                try:
                    if outlet.cursor <= start:
                        outlet.deliver(framed, stop)
                    elif partial := self._since(outlet.cursor):
                        outlet.deliver(partial, stop)
                except Exception:
                    self._cut_off(outlet)

    def _sealed(self, outlet: Outlet, seal: Callable[[bytes], bytes]) -> bytes:
        try:
            return seal(self._framed)
        except Exception:
            self._cut_off(outlet)
            return b""

    def _cut_off(self, outlet: Outlet) -> None:
        """A defect in one outlet must not cost the others their event."""
        logger.exception("An outlet failed; its subscribers are cut off")
        self._hub.leave(outlet)
        outlet.cut_off()

    def _since(self, cursor: int) -> bytes:
        """Frame the later part of the batch, for who joined when it had partly been published."""
        if cursor not in self._partial:
            # Not read again: what was there when the pass began may have left the log since.
            payload = encoded(self._reading, cursor, self._first)
            self._partial[cursor] = self.audience.frame(payload) if payload else b""
        return self._partial[cursor]


class Pump:
    """The queue of audiences that have something to hear, and the task that serves them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._waiting: deque[Audience] = deque()
        self._work = trio.Event()

    def mark(self, audience: Audience, position: int) -> None:
        """Note that the entry at `position` is for this audience."""
        if audience.pending is not None:
            if audience.latecomers:
                audience.place_latecomers(position)
                audience.latecomers.clear()
            return
        audience.pending = position
        if audience.current is None:
            self._waiting.append(audience)
            self._work.set()

    async def run(self) -> None:
        """Serve audiences in turn until cancelled; a large one does not hold up a small one."""
        while True:
            if not self._waiting:
                self._work = trio.Event()
                await self._work.wait()
            deadline = time.perf_counter() + SLICE_SECONDS
            while self._waiting and time.perf_counter() < deadline:
                self._serve(self._waiting.popleft(), deadline)
            await trio.lowlevel.checkpoint()

    def _serve(self, audience: Audience, deadline: float) -> None:
        if audience.current is None:
            start, audience.pending = audience.pending, None
            if start is None:
                return
            head = self._hub.log.head
            audience.place_latecomers(head)
            audience.current = Pass(self._hub, audience, start)
            if audience.current.stop < head:
                audience.pending = audience.current.stop
            else:
                audience.latecomers.clear()
        if audience.current.step(deadline):
            audience.current = None
        if not audience.settled:
            self._waiting.append(audience)


def _write_to_all(files: list[int], pieces: list[bytes]) -> list[int]:
    """Return how many bytes each file has taken of its piece; 0 if it is full or broken."""
    taken: list[int] = []
    writes = map(os.write, files, pieces)
    while len(taken) < len(files):
        try:
            taken.extend(writes)  # Keeps those before the one that fails; the next is next.
        except OSError:
            taken.append(0)
    return taken
