"""Who is cut off comes back as a browser does, and goes on where they were.

By WHATWG HTML, 9.2.3: after the retry time, which the server may have said, with Last-Event-ID.
On HTTP/2 a stream that has ended is opened again on its connection, while the server takes
requests on that. Each draws its own part of the retry time, as clients of a real server do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from time import time_ns
from typing import Protocol

from .client import Client, Recovery
from .connection import Connection
from .findings import Findings
from .loop import Loop
from .receipts import Receipts
from .target import Target
from .timers import Timers

__all__ = ["Listener", "Returning"]

SHORTEST_RETRY = 0.1
"""Seconds that a client waits at least, whatever the server says: it is not to spin."""


class Listener(Protocol):
    """Who is told what becomes of clients. Called within `turn()`: it must be quick."""

    def opened(self, client: Client) -> None:
        """All streams of the client are open, for the first time or again."""

    def ended(self, client: Client, reason: str) -> None:
        """Its connection, or one stream of it, is over, and will be opened again.

        `reason` is ended, reset, refused, unreachable, broken or dropped (by ourselves).
        """


class Returning(Loop):
    """A loop that connects clients again, and takes down how long that took."""

    def __init__(
        self, target: Target, receipts: Receipts, *, seed: int, listener: Listener | None
    ) -> None:
        super().__init__(target, receipts, seed=seed)
        self.receipts = receipts
        self.connected = 0
        """Streams that are open now."""
        self.opened = 0
        """Streams answered with 200, ever."""
        self.reconnects = 0
        """Those of them that had been open before."""
        self.errors = 0
        """Refusals, servers that could not be reached or hung up, and answers out of protocol."""
        self.endings: Counter[str] = Counter()
        """Connections, and streams by themselves, that are over, by reason."""
        self._listener = listener
        self._under_way = 0
        """Connections of which not all streams have been answered."""
        self._timers = Timers()

    def _dial(self, client: Client) -> None:
        if client.closed:
            return
        client.dialled = time_ns()
        try:
            self._connect(client)
        except OSError:
            self._count_ending(client, "unreachable", error=True)
            self._come_back(client)
        else:
            self._under_way += 1

    def _come_back(self, client: Client) -> None:
        self._timers.set(self._retry(client), self._dial, client)

    def _retry(self, client: Client) -> float:
        """Draw how long a client waits before it connects again, in seconds."""
        return max(SHORTEST_RETRY, client.retry_ms / 1000 * self.random.uniform(0.5, 1.5))

    def _part(self, connection: Connection) -> None:
        """Let go of a connection and close it."""
        self.connected -= connection.open
        connection.open = 0
        if connection.unanswered:
            connection.unanswered = 0
            self._under_way -= 1
        self._forget(connection)
        connection.close()

    def _over(self, connection: Connection, reason: str, *, error: bool = False) -> None:
        """A connection is over: its client comes back later."""
        client = connection.client
        client.reconnects += client.joined is not None
        self._cut(client, range(client.streams))
        self._part(connection)
        self._count_ending(client, reason, error=error)
        self._come_back(client)

    def _count_ending(self, client: Client, reason: str, *, error: bool = False) -> None:
        self.endings[reason] += 1
        self.errors += error
        if self._listener is not None:
            self._listener.ended(client, reason)

    def _cut(self, client: Client, places: Iterable[int]) -> None:
        """Note from when on streams have to catch up, if they have ever been open."""
        if client.joined is None:
            return
        now = time_ns()
        for place in places:
            recovery = client.recovering.setdefault(place, Recovery(now))
            recovery.opened = None

    # -- what connections tell ----------------------------------------------------------

    def answered(self, connection: Connection, found: Findings, kernel: int) -> None:
        client = connection.client
        if found.opened or found.refused:
            connection.unanswered -= len(found.opened) + len(found.refused)
            self._under_way -= not connection.unanswered
        if found.opened:
            self._opened(connection, found.opened, kernel)
        for reason, places in (("refused", found.refused), ("ended", found.ended)):
            if places and self.target.protocol == "http1":
                self._over(connection, reason, error=reason == "refused")
                return
            for place in places:
                if reason == "ended":
                    connection.open -= 1
                    self.connected -= 1
                self._cut(client, [place])
                self._count_ending(client, reason, error=reason == "refused")
                if connection.over:
                    return  # Whoever was told has left.
                self._timers.set(self._retry(client), self._ask_again, (connection, place))
        self._end_if_idle(connection)

    def _opened(self, connection: Connection, places: list[int], kernel: int) -> None:
        client = connection.client
        connection.open += len(places)
        self.connected += len(places)
        self.opened += len(places)
        us = (kernel - client.dialled) // 1000
        if client.joined is not None:
            self.reconnects += len(places)
        elif not connection.reopened:
            self.receipts.opened(client, len(places), us)
        for place in places:
            recovery = client.recovering.get(place)
            if recovery is not None:
                recovery.opened, recovery.caught_up = kernel, 0
        if connection.open < client.streams:
            return
        if not connection.reopened:
            client.connect_us = us
        if client.joined is None:
            client.joined = kernel
            self.receipts.joined(client)
        if self._listener is not None:
            self._listener.opened(client)

    def _ask_again(self, subject: tuple[Connection, int]) -> None:
        connection, place = subject
        if connection.over:
            return  # Its client comes back with all of its streams.
        if connection.closing:
            self._end_if_idle(connection)
            return
        connection.client.reconnects += 1
        self._under_way += not connection.unanswered
        connection.ask_again(place)

    def _end_if_idle(self, connection: Connection) -> None:
        """Leave a connection on which nothing can be asked for, once nothing comes any more."""
        busy = connection.open or connection.unanswered
        if connection.closing and not connection.over and not busy:
            self._over(connection, "ended")

    def broke(self, connection: Connection) -> None:
        self._over(connection, "broken", error=True)

    def ended(self, connection: Connection, reason: str) -> None:
        if connection.over:
            return
        never_answered = connection.unanswered == connection.client.streams
        self._over(connection, reason, error=never_answered)
