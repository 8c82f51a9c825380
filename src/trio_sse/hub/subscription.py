"""A subscriber inside this program: an async iterator over the events of some topics.

It is a cursor like any other. While it stands at the head it is a live outlet whose only
reaction to news is to wake the reader, who then walks the log itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio

from ..event import Event
from .audience import Outlet, identity

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["Subscription"]

READ_BYTES = 64 * 1024


class Subscription(Outlet):
    """Events of the chosen topics, in order; each step is a checkpoint. One reader at a time."""

    __slots__ = ("_events", "_hub", "_news")

    def __init__(
        self, hub: Hub, selectors: frozenset[str], cursor: int, opening: Iterable[Event]
    ) -> None:
        super().__init__(selectors, identity, cursor)
        self._hub = hub
        self._events = deque(opening)
        self._news = trio.Event()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        await trio.lowlevel.checkpoint()
        while not self._events:
            events, self.cursor = self._hub.read_events(
                self.selectors, self.cursor, max_bytes=READ_BYTES
            )
            self._events.extend(events)
            if not events:
                await self._wait_for_news()
        return self._events.popleft()

    async def _wait_for_news(self) -> None:
        if self.audience is not None:
            raise trio.BusyResourceError("another task is waiting for this subscription's events")
        self._news = trio.Event()
        self._hub.join(self)
        try:
            await self._news.wait()
        finally:
            self._hub.leave(self)

    def deliver(self, framed: bytes, stop: int) -> None:
        self._hub.leave(self)
        self._news.set()

    def cut_off(self) -> None:
        self._news.set()  # The reader walks the log by itself, and meets the defect there if any.

    def __len__(self) -> int:
        return 1
