"""The pump: carries what is new in the log to the audiences it concerns.

One task for the whole hub. It frames a batch once an audience and has each live outlet
write it at once; it never waits for a client. When events come faster than a pass over the
clients takes, the next pass carries all of them: more events, not more writes.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING

import trio

from .audience import Audience
from .gap import encoded

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["BATCH_BYTES", "Pass", "Pump"]

BATCH_BYTES = 64 * 1024
"""What one pass carries at most (a larger event goes alone). It bounds the one partly sent
buffer that a straggler may hold on to, and fits a socket's usual send buffer."""

SLICE_SECONDS = 0.002
"""How long the pump holds the event loop before it lets others run: 200 writes on HTTP/1.1."""

OUTLETS_A_CLOCK_READING = 16

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
        audience.place_latecomers(hub.log.head)
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
        start, stop, framed, audience = self.start, self.stop, self._framed, self.audience
        for turn, outlet in enumerate(self._outlets, 1):
            if outlet.audience is not audience or outlet.cursor >= stop:
                continue  # It left meanwhile, or left, caught up past this batch and came back.
            outlet.heard = now
            try:
                if outlet.cursor <= start:
                    outlet.deliver(framed, stop)
                elif partial := self._since(outlet.cursor):
                    outlet.deliver(partial, stop)
            except Exception:
                # A defect in one outlet must not cost the others their event.
                logger.exception("An outlet failed; its subscribers are cut off")
                self._hub.leave(outlet)
                outlet.cut_off()
            if turn % OUTLETS_A_CLOCK_READING == 0 and time.perf_counter() > deadline:
                return False
        return True

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
            audience.current = Pass(self._hub, audience, start)
            if audience.current.stop < self._hub.log.head and audience.pending is None:
                audience.pending = audience.current.stop
        if audience.current.step(deadline):
            audience.current = None
        if not audience.settled:
            self._waiting.append(audience)
