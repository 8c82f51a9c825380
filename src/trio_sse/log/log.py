"""What an engine of the log promises to those who publish and to those who read.

Positions never repeat and never go back. An append that is refused changes nothing. What was
lost is reported, never skipped. Nobody is waited for and nobody is told: the hub wakes the readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..event import Event

__all__ = ["ALL", "DuplicateId", "Entry", "Log", "LogStatistics", "Reading"]

ALL = "*"
"""The selector that matches every topic. Any other selector is a topic, matched exactly."""


class DuplicateId(ValueError):
    """A publisher chose an id that names, or may come to name, another event."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event in its place."""

    position: int
    topics: tuple[str, ...]
    """At least one, each once."""
    event: Event
    """Its id is always set."""
    encoded: bytes
    """The event as it goes on the wire."""

    @property
    def size(self) -> int:
        """What it counts in the history: encoded bytes, and the characters of its topics, of which
        there may be a hundred times more."""
        return len(self.encoded) + sum(map(len, self.topics))


@dataclass(frozen=True, slots=True)
class Reading:
    """What one `read` found, and where to go on."""

    entries: tuple[Entry, ...]
    cursor: int
    """The position to read on from, that of the next entry that matches; the log's head if nothing
    is left to read. Not just after the last entry: what lies between may leave the history, and
    is no loss."""
    lost: bool
    """True if the history no longer reached back to where the reading began."""


@dataclass(frozen=True, slots=True)
class LogStatistics:
    """A log at one moment."""

    events: int
    bytes: int
    """Of the events in the history, encoded, and of their topics."""
    first: int
    head: int
    topics: int
    """Topics that have an event in the history."""
    evicted: int
    """Events that were in the history and no longer are."""


class Log(Protocol):
    """What an engine promises. All calls are synchronous and none waits."""

    @property
    def first(self) -> int:
        """The position of the oldest entry in the history; `head` if there is none."""

    @property
    def head(self) -> int:
        """The position that the next entry will get. Never goes back."""

    def append(self, topics: tuple[str, ...], event: Event) -> Entry:
        """Put `event` at the head, under each of `topics`, and return it in its place.

        An event without an id gets one that no other event has or had. The oldest entries
        leave the history until it is within its bounds; the newest always stays.

        Raises DuplicateId if the event's own id is that of an entry in the history or could
        be assigned later, InvalidEvent if it is "", EventTooLarge, and ValueError if there
        is no topic. Nothing has changed then.
        """

    def read(self, selectors: frozenset[str], cursor: int, *, max_bytes: int) -> Reading:
        """Return the entries from `cursor` on that match any of `selectors`, each once, in order.

        Stops before `max_bytes` of encoded events are passed, but not before one is taken. If
        `cursor` is before `first`, the reading begins there and is marked `lost`.

        Raises ValueError if `cursor` is beyond the head.
        """

    def locate(self, event_id: str) -> int | None:
        """Return the position just after the entry of that id, or None if it is unknown.

        Exact for every entry in the history, and for an id that the log assigned even after
        its entry has left: `read` tells from there whether anything was lost.
        """

    def statistics(self) -> LogStatistics:
        """Return the log's size and place now."""
