"""A crowd of browsers: who is cut off comes back, and goes on where they were.

By WHATWG HTML, 9.2.3: after the retry time, which the server may have said, with Last-Event-ID.
On HTTP/2 a stream that has ended is opened again on its connection, while the server takes
requests on that. Each draws its own part of the retry time, as clients of a real server do.

Whoever drives it waits until `fileno()` is readable or `due()` has come, and calls `turn()`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from time import monotonic, time_ns
from typing import Any, Protocol

from .client import Client, Recovery
from .connection import Connection
from .findings import Findings, Offence
from .loop import Loop
from .receipts import Receipts
from .target import Target

__all__ = ["Crowd", "Listener"]

AT_ONCE = 256
"""New connections that may be under way; who comes back does not wait for others."""

READS_AT_ONCE = 256
"""Connections read between two looks at the clock."""

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


class Crowd(Loop):
    """Opens connections, keeps them open, and has what they receive written into receipts."""

    def __init__(
        self,
        target: Target,
        *,
        receipts: Receipts,
        seed: int = 1,
        listener: Listener | None = None,
    ) -> None:
        """Raises ValueError if the target does not want the kernel's times."""
        if not target.stamped:
            raise ValueError("A crowd measures by the kernel's times: make the target `stamped`.")
        super().__init__(target, receipts, seed=seed)
        self.receipts = receipts
        self.at_once = AT_ONCE
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
        self._everyone: dict[int, Client] = {}
        """Who has not left for good, by number."""
        self._waiting: deque[Client] = deque()
        """Who is to be dialled when there is room."""
        self._under_way = 0
        """Connections of which not all streams have been answered."""
        self._timers: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._timers_set = 0

    @property
    def events(self) -> int:
        """Events received by a stream, ever."""
        return self.receipts.events

    @property
    def bytes(self) -> int:
        """Bytes read, ever; with TLS without its share."""
        return self.receipts.total_bytes

    # -- the loop -----------------------------------------------------------------------

    def fileno(self) -> int:
        """Return what is readable when a connection is."""
        return self._epoll.fileno()

    def due(self) -> float | None:
        """Return when, by time.monotonic(), `turn()` has something to do; None: nothing yet."""
        if self._waiting and self._under_way < self.at_once:
            return 0.0
        return self._timers[0][0] if self._timers else None

    def turn(self, longest: float = 0.01) -> None:
        """Do what is to be done now, for about `longest` seconds. Never waits."""
        deadline = monotonic() + longest
        while self._timers and self._timers[0][0] <= monotonic() < deadline:
            _, _, act, subject = heappop(self._timers)
            act(subject)
        while self._waiting and self._under_way < self.at_once and monotonic() < deadline:
            self._dial(self._waiting.popleft())
        # Nobody is dialled from here on: a file number means the same to the end.
        while True:
            ready = self._epoll.poll(0, READS_AT_ONCE)
            for fd, _ in ready:
                connection = self.connections.get(fd)
                if connection is not None:
                    connection.ready()
            if len(ready) < READS_AT_ONCE or monotonic() >= deadline:
                return

    def _after(self, seconds: float, act: Callable[[Any], None], subject: Any) -> None:
        self._timers_set += 1
        heappush(self._timers, (monotonic() + seconds, self._timers_set, act, subject))

    # -- coming and going ---------------------------------------------------------------

    def open(self, streams: int | None = None) -> Client:
        """Have one more client connect, soon, with so many streams if it is over HTTP/2."""
        client = self._new_client(streams or self.target.streams)
        self._everyone[client.number] = client
        self._waiting.append(client)
        return client

    def close(self, client: Client) -> None:
        """Have a client leave for good. What it has received by now is all that it should."""
        if self._everyone.pop(client.number, None) is None:
            return
        client.closed = True
        if client.connection is not None:
            self._part(client.connection)
        self.receipts.left(client, client.positions)

    def close_all(self) -> None:
        """Have everyone leave for good."""
        for client in list(self._everyone.values()):
            self.close(client)

    def drop_all(self) -> None:
        """Cut all connections at once, as a network does that fails."""
        for connection in list(self.connections.values()):
            self._over(connection, "dropped")

    def stall(self, connections: int, seconds: float) -> None:
        """Have so many connections read nothing for so long."""
        for connection in self._stall(connections):
            self._after(seconds, self._wake, connection)

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
        self._after(self._retry(client), self._dial, client)

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
                self._after(self._retry(client), self._ask_again, (connection, place))
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
        if connection.closing and not connection.over and not connection.open:
            self._over(connection, "ended")

    def broke(self, connection: Connection) -> None:
        self._over(connection, "broken", error=True)

    def ended(self, connection: Connection, reason: str) -> None:
        if connection.over:
            return
        never_answered = connection.unanswered == connection.client.streams
        self._over(connection, reason, error=never_answered)

    # -- at the end ---------------------------------------------------------------------

    def behind(self, number: int) -> int:
        """Return how many streams of those who have joined do not have that event yet."""
        return sum(
            client.lacking(number)
            for client in self._everyone.values()
            if client.joined is not None
        )

    def finish(self) -> None:
        """Blame the server for each measured event that a client should have and has not."""
        numbers = self.receipts.measured()
        for client in self._everyone.values():
            for place in list(client.recovering):
                self.receipts.recovered(client, place)
            for offence in self._missing(client, numbers):
                self.receipts.blame(client, [offence])

    def _missing(self, client: Client, numbers: list[int]) -> Iterable[Offence]:
        joined = client.joined
        if joined is None or not numbers:
            return
        if client.first <= numbers[0] and not client.lacking(numbers[-1]):
            return
        for place, position in enumerate(client.where()):
            for number in numbers:
                here = client.first <= number <= (position.number or 0)
                if not here and joined <= self.receipts.due(number):
                    yield Offence("missing", place, number, number)
