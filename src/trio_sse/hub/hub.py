"""The hub's public face: publish to topics, subscribe to topics, resume where one left off.

Rules: publishing is synchronous and cannot block, whoever listens and however slowly.
Events are strictly ordered over all topics. Nobody misses an event in silence: who has lost
some is sent an event of type `trio-sse.gap` first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import trio

from ..event import Event
from ..log import ALL, Log, LogStatistics, MemoryLog
from .audience import Audience, Frame, Outlet
from .gap import encoded, gap
from .pump import Pump

if TYPE_CHECKING:
    from .subscription import Subscription

__all__ = ["Hub", "HubStatistics", "InvalidTopic", "open_hub"]

EARLIEST = "earliest"
"""A Last-Event-ID that asks for all there is (Mercure, "Reconciliation")."""

MAX_TOPIC_LENGTH = 1024


class InvalidTopic(ValueError):
    """A topic that cannot be published or subscribed to."""


@dataclass(frozen=True, slots=True)
class HubStatistics:
    """What a hub holds and has done."""

    subscribers: int
    """Those that stand at the head of the log; stragglers are not counted."""
    audiences: int
    published: int
    log: LogStatistics


class Hub:
    """Topics, their history and their subscribers. Made by `open_hub()`."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._audiences: dict[tuple[frozenset[str], Frame], Audience] = {}
        self._by_topic: dict[str, dict[Audience, None]] = {}
        self._pump = Pump(self)
        self._published = 0

    # -- for everyone -------------------------------------------------------------------

    def publish(self, topics: str | Iterable[str], event: Event | str) -> str:
        """Publish to one or several topics and return the event's id; never blocks.

        A subscriber of several of the topics gets the event once. The event gets an id if it
        has none. Raises InvalidTopic, InvalidEvent, DuplicateId or EventTooLarge (all
        ValueError); then nothing has been published.
        """
        names = (topics,) if isinstance(topics, str) else tuple(dict.fromkeys(topics))
        for name in names:
            _check_topic(name)
            if name == ALL:
                raise InvalidTopic("'*' subscribes to all topics; publish to a topic of its own")
        entry = self.log.append(names, Event(event) if isinstance(event, str) else event)
        self._published += 1
        for name in (*names, ALL):
            for audience in self._by_topic.get(name, ()):
                self._pump.mark(audience, entry.position)
        return cast(str, entry.event.id)  # The log sees to it.

    @asynccontextmanager
    async def subscribe(
        self, *topics: str, last_event_id: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Subscribe inside this program: `async with … as events: async for event in events`.

        Starts now, or after `last_event_id`. A slow reader falls behind in the log and hurts
        nobody; who falls off its end gets a gap event. `"*"` hears all topics.
        """
        from .subscription import Subscription  # it builds on this module

        cursor, opening = self.resume(last_event_id)
        subscription = Subscription(self, self.selectors(topics), cursor, opening)
        try:
            yield subscription
        finally:
            self.leave(subscription)

    def statistics(self) -> HubStatistics:
        """Return counts as of now; costs a walk over the outlets."""
        audiences = self._audiences.values()
        return HubStatistics(
            subscribers=sum(len(outlet) for audience in audiences for outlet in audience.live),
            audiences=len(audiences),
            published=self._published,
            log=self.log.statistics(),
        )

    # -- for connections ----------------------------------------------------------------

    def selectors(self, topics: Iterable[str]) -> frozenset[str]:
        """Return the topics as a checked set. Raises InvalidTopic."""
        chosen = frozenset(topics)
        if not chosen:
            raise InvalidTopic("at least one topic is needed")
        for topic in chosen:
            _check_topic(topic)
        return frozenset((ALL,)) if ALL in chosen else chosen

    def resume(self, last_event_id: str | None) -> tuple[int, list[Event]]:
        """Return the cursor just after that event, and what to say first: a gap, or nothing.

        An id that the log does not know means an unknown number of events was lost: all that
        is left follows. Without an id the cursor stands at the head.
        """
        if last_event_id is None:
            return self.log.head, []
        if last_event_id == EARLIEST:
            return self.log.first, []
        cursor = self.log.locate(last_event_id)
        if cursor is None:
            return self.log.first, [gap(None)]
        return cursor, []

    def read(self, selectors: frozenset[str], cursor: int, *, max_bytes: int) -> tuple[bytes, int]:
        """Return encoded events from `cursor` on and the cursor after them; b"" at the head.

        A gap comes first, if there is one.
        """
        reading = self.log.read(selectors, cursor, max_bytes=max_bytes)
        return encoded(reading, cursor, self.log.first), reading.cursor

    def read_events(
        self, selectors: frozenset[str], cursor: int, *, max_bytes: int
    ) -> tuple[list[Event], int]:
        """Return what `read` does as events instead of bytes."""
        reading = self.log.read(selectors, cursor, max_bytes=max_bytes)
        events = [entry.event for entry in reading.entries]
        if reading.lost:
            events.insert(0, gap(self.log.first - cursor))
        return events, reading.cursor

    def join(self, outlet: Outlet) -> None:
        """Make an outlet live. Its caller has just read up to the head, without a checkpoint."""
        key = (outlet.selectors, outlet.frame)
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = Audience(*key)
            for topic in outlet.selectors:
                self._by_topic.setdefault(topic, {})[audience] = None
        outlet.cursor = self.log.head
        outlet.audience = audience
        if audience.pending is not None:
            audience.latecomers.append(outlet)
        outlet.selectors = audience.selectors  # One set for all of them, not one each.
        audience.live[outlet] = None

    def leave(self, outlet: Outlet) -> None:
        """Take an outlet out of its audience, if it is in one; its cursor is exact then."""
        audience = outlet.audience
        if audience is None:
            return
        outlet.cursor = self.cursor_of(outlet)
        outlet.audience = None
        del audience.live[outlet]
        if not audience.live:
            del self._audiences[audience.selectors, audience.frame]
            for topic in audience.selectors:
                heard = self._by_topic[topic]
                del heard[audience]
                if not heard:
                    del self._by_topic[topic]

    def cursor_of(self, outlet: Outlet) -> int:
        """Say where an outlet stands: a live one lacks what is under way to it, or waits."""
        audience = outlet.audience
        if audience is None:
            return outlet.cursor
        under_way = audience.current
        if under_way is not None and outlet.cursor < under_way.stop:
            return max(outlet.cursor, under_way.start)
        if audience.pending is not None:
            return max(outlet.cursor, audience.pending)
        return self.log.head

    async def run(self) -> None:
        """Carry events to audiences until cancelled. `open_hub()` runs it."""
        await self._pump.run()


@asynccontextmanager
async def open_hub(
    *,
    max_events: int = 10_000,
    max_bytes: int = 64 * 1024 * 1024,
    max_event_bytes: int = 1024 * 1024,
) -> AsyncIterator[Hub]:
    """Open a hub whose history is kept in memory; it works until the block ends.

    `max_events` and `max_bytes` (encoded) bound the history: the oldest go first. Events over
    `max_event_bytes` are refused.
    """
    log = MemoryLog(max_events=max_events, max_bytes=max_bytes, max_event_bytes=max_event_bytes)
    hub = Hub(log)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hub.run)
        try:
            yield hub
        finally:
            nursery.cancel_scope.cancel()


def _check_topic(topic: str) -> None:
    if not isinstance(topic, str):
        raise InvalidTopic(f"a topic is text, not {type(topic).__name__}")
    if not 0 < len(topic) <= MAX_TOPIC_LENGTH:
        raise InvalidTopic(f"a topic has 1 to {MAX_TOPIC_LENGTH} characters, not {len(topic)}")
