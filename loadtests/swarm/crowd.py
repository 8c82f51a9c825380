"""A crowd of browsers, which open connections, keep them open and are told of every event.

Whoever drives it waits until `fileno()` is readable or `due()` has come, and calls `turn()`. Then
listeners hear what has become of clients; the receipts hear the rest.
"""

from __future__ import annotations

from collections import deque
from time import monotonic

from .client import Client
from .missing import missing
from .receipts import Receipts
from .returning import Listener, Returning
from .target import Target

__all__ = ["Crowd"]

AT_ONCE = 256
"""New connections that may be under way; who comes back does not wait for others."""

READS_AT_ONCE = 256
"""Connections read between two looks at the clock."""


class Crowd(Returning):
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
        super().__init__(target, receipts, seed=seed, listener=listener)
        self.at_once = AT_ONCE
        self._everyone: dict[int, Client] = {}
        """Who has not left for good, by number."""
        self._waiting: deque[Client] = deque()
        """Who is to be dialled when there is room."""

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
        return self._timers.next

    def turn(self, longest: float = 0.01) -> None:
        """Do what is to be done now, for about `longest` seconds. Never waits."""
        deadline = monotonic() + longest
        self._timers.run(deadline)
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
            self._timers.set(seconds, self._wake, connection)

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
            for offence in missing(client, numbers, self.receipts.due):
                self.receipts.blame(client, [offence])
