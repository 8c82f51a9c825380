"""The embedded engine: the history in this process's memory.

Reading costs a subscriber what it has missed on its topics, not the length of the log nor the
number of topics in it. An event is encoded once, here, however many read it.
"""

from __future__ import annotations

import heapq
import re
import secrets
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from ..event import Event, EventTooLarge, InvalidEvent, encode
from .log import ALL, DuplicateId, Entry, LogStatistics, Reading

__all__ = ["MemoryLog"]

MIB = 1024 * 1024


class MemoryLog:
    """A `Log` in this process's memory, bounded in events and in their bytes.

    `epoch` names this log's life and is part of the ids it assigns, `<epoch>.<position>`, so
    that an id from an earlier life is recognised as unknown; random unless given.
    Raises ValueError if a bound is less than 1.
    """

    def __init__(
        self,
        *,
        max_events: int = 10_000,
        max_bytes: int = 64 * MIB,
        max_event_bytes: int = 1 * MIB,
        epoch: str | None = None,
    ) -> None:
        if min(max_events, max_bytes, max_event_bytes) < 1:
            raise ValueError("max_events, max_bytes and max_event_bytes must each be at least 1")
        # 48 random bits: restarts are thousands at most, so two alike are not to be feared,
        # and every event carries them.
        self.epoch = secrets.token_urlsafe(6) if epoch is None else epoch
        self._assigned = re.compile(re.escape(self.epoch) + r"\.(0|[1-9][0-9]{0,18})")
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._max_event_bytes = max_event_bytes
        self._bytes = 0
        self._first = 0
        self._head = 0
        # By position, from first to head without a hole. A dict, because it lets go of an old
        # entry at once and finds a new one by its position.
        self._entries: dict[int, Entry] = {}
        self._positions: dict[str | None, int] = {}  # by event id
        self._trails: defaultdict[str, _Trail] = defaultdict(_Trail)  # by topic

    @property
    def first(self) -> int:
        return self._first

    @property
    def head(self) -> int:
        return self._head

    @property
    def bytes(self) -> int:
        """The size of the history's events, encoded, and of their topics."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, topics: tuple[str, ...], event: Event) -> Entry:
        topics = tuple(dict.fromkeys(topics))
        if not topics:
            raise ValueError("an event needs at least one topic to be published under")
        if event.id is None:
            event = replace(event, id=f"{self.epoch}.{self._head}")
        else:
            self._check_given_id(event.id)
        entry = Entry(self._head, topics, event, encode(event))
        if len(entry.encoded) > self._max_event_bytes:
            raise EventTooLarge(
                f"the event is {len(entry.encoded)} bytes when encoded; "
                f"this log takes at most {self._max_event_bytes}"
            )
        self._entries[entry.position] = entry
        self._positions[event.id] = entry.position
        for topic in topics:
            self._trails[topic].append(entry.position)
        self._bytes += entry.size
        self._head += 1
        while len(self._entries) > 1 and (
            len(self._entries) > self._max_events or self._bytes > self._max_bytes
        ):
            self._evict_first()
        return entry

    def read(self, selectors: frozenset[str], cursor: int, *, max_bytes: int) -> Reading:
        if cursor > self._head:
            raise ValueError(f"cursor {cursor} is beyond the log's head, {self._head}")
        lost = cursor < self._first
        entries: list[Entry] = []
        size = 0
        for position in self._matching(selectors, max(cursor, self._first)):
            entry = self._entries[position]
            size += len(entry.encoded)
            if entries and size > max_bytes:
                return Reading(tuple(entries), position, lost)
            entries.append(entry)
        return Reading(tuple(entries), self._head, lost)

    def locate(self, event_id: str) -> int | None:
        position = self._positions.get(event_id)
        if position is None and (assigned := self._assigned.fullmatch(event_id)):
            # Only one that has left the history: if it were still there, it would be known.
            number = int(assigned[1])
            position = number if number < self._first else None
        return None if position is None else position + 1

    def statistics(self) -> LogStatistics:
        return LogStatistics(
            events=len(self._entries),
            bytes=self._bytes,
            first=self._first,
            head=self._head,
            topics=len(self._trails),
            evicted=self._first,
        )

    def _check_given_id(self, event_id: str) -> None:
        if not event_id:
            raise InvalidEvent("event id is empty: leave it out to have one assigned")
        if event_id in self._positions:
            raise DuplicateId(
                f"event id {event_id!r} is already in the history: ids must be unique in the "
                "hub, because Last-Event-ID names one place in one order"
            )
        if self._assigned.fullmatch(event_id):
            raise DuplicateId(
                f"event id {event_id!r} has the form of the ids that this log assigns: leave "
                "the id out, or choose one of another form"
            )

    def _matching(self, selectors: frozenset[str], start: int) -> Iterable[int]:
        if ALL in selectors:
            return range(start, self._head)
        trails = [trail for topic in selectors if (trail := self._trails.get(topic))]
        if len(trails) == 1:
            # By far the most usual, and a third of the cost.
            return trails[0].since(start)
        merged = heapq.merge(*(trail.since(start) for trail in trails))
        # An entry with two of the topics is on two of the trails, and comes out twice in a row.
        return (position for position, _ in groupby(merged))

    def _evict_first(self) -> None:
        entry = self._entries.pop(self._first)
        del self._positions[entry.event.id]
        for topic in entry.topics:
            trail = self._trails[topic]
            trail.drop_first()
            if not trail:
                del self._trails[topic]
        self._bytes -= entry.size
        self._first += 1


class _Trail:
    """The positions of one topic's entries, in order: only added behind, only dropped before."""

    __slots__ = ("_gone", "_positions")

    def __init__(self) -> None:
        self._positions: list[int] = []
        self._gone = 0

    def __len__(self) -> int:
        return len(self._positions) - self._gone

    def append(self, position: int) -> None:
        self._positions.append(position)

    def drop_first(self) -> None:
        self._gone += 1
        # Moving what is left once as many have gone costs one move a drop, on average.
        if self._gone * 2 >= len(self._positions):
            del self._positions[: self._gone]
            self._gone = 0

    def since(self, start: int) -> Iterator[int]:
        """Return the positions from `start` on, one at a time: a reader may stop early."""
        index = bisect_left(self._positions, start, lo=self._gone)
        return map(self._positions.__getitem__, range(index, len(self._positions)))
