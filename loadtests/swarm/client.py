"""Someone who listens, for as long as they want to: through one connection after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .findings import Position

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Client", "Recovery"]

RETRY_MS = 3_000
"""How long browsers wait before they connect again, if the server says nothing else; Chromium
and Firefox wait 3 and 5 seconds (WHATWG HTML, 9.2.3: "a few seconds")."""


class Recovery:
    """A stream that was cut off and has not caught up yet. Times as in `Client`."""

    __slots__ = ("caught_up", "cut", "opened")

    def __init__(self, cut: int) -> None:
        self.cut = cut
        self.opened: int | None = None
        """When it was open again: it has caught up when it has what was due by then."""
        self.caught_up = 0
        """When it received the latest event that was due by then."""


class Client:
    """A browser, with one stream, or several on one HTTP/2 connection.

    Times are in ns, by the clock of the target.
    """

    __slots__ = (
        "closed",
        "connect_us",
        "connection",
        "dialled",
        "first",
        "joined",
        "number",
        "positions",
        "reconnects",
        "recovering",
        "retry_ms",
        "server",
        "streams",
    )

    def __init__(self, number: int, server: int, streams: int) -> None:
        self.number = number
        """Tells clients of a crowd apart."""
        self.server = server
        """The index of the server that it talks to."""
        self.streams = streams
        self.connection: Connection | None = None
        """None while it waits before it connects, and when it is closed."""
        self.closed = False
        """Whether it has left for good."""
        self.positions = [Position()] * streams
        """Where its streams stand while it has no connection."""
        self.dialled = 0
        """When it began to connect the last time."""
        self.connect_us = 0
        """How long it took then until all its streams were open, in µs."""
        self.joined: int | None = None
        """When all its streams were open for the first time: from then on it misses nothing."""
        self.first = 0
        """The number of the first event, of the stream that began last."""
        self.retry_ms = RETRY_MS
        self.reconnects = 0
        self.recovering: dict[int, Recovery] = {}
        """By the place of the stream."""

    @property
    def connected(self) -> int:
        """How many of its streams are open now."""
        return 0 if self.connection is None else self.connection.open

    def where(self) -> list[Position]:
        """Return where each of its streams stands."""
        return self.positions if self.connection is None else self.connection.positions()

    def lacking(self, number: int) -> int:
        """Return how many of its streams have neither the event nor a later one."""
        if self.connection is not None:
            return self.connection.lacking(number)
        return sum((position.number or 0) < number for position in self.positions)
