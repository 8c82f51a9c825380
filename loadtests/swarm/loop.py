"""The connections of one process, and the epoll loop that they share.

Plain epoll and no framework: a client that costs more than the server measures itself. What
becomes of a client whose connection ends is for the two kinds of loop to say: `obedient` does
what it is told, and `crowd` has clients come back as browsers do.
"""

from __future__ import annotations

from random import Random
from select import EPOLLIN, EPOLLOUT, epoll

from .audience import Audience
from .book import Book
from .client import Client
from .connection import Connection
from .dialling import dial
from .findings import Findings
from .target import Target

__all__ = ["Loop"]


class Loop:
    """Connections by file number, and the audiences that they are of."""

    def __init__(self, target: Target, book: Book, *, seed: int = 1) -> None:
        self.target = target
        self.book = book
        self.random = Random(seed)
        self.connections: dict[int, Connection] = {}
        """By file number."""
        self.stalled: dict[int, Connection] = {}
        """Those of them that read nothing."""
        self._audiences: dict[tuple[int, int], Audience] = {}
        """By server and streams of a connection."""
        self._epoll = epoll()
        self._clients = 0
        """How many there have ever been."""
        self._dialled = 0
        """How many connections there have ever been."""

    # -- coming and going ---------------------------------------------------------------

    def _new_client(self, streams: int) -> Client:
        number, self._clients = self._clients, self._clients + 1
        return Client(number, self.target.hub_of(number), streams)

    def _connect(self, client: Client) -> Connection:
        """Begin to connect. Raises OSError."""
        audience = self._audiences.get((client.server, client.streams))
        if audience is None:
            audience = Audience(self.target, self.book, client.streams)
            self._audiences[client.server, client.streams] = audience
        link = dial(self.target, client.server, self._dialled)
        self._dialled += 1
        connection = client.connection = Connection(self, client, audience, link)
        self.connections[connection.fd] = connection
        self._epoll.register(connection.fd, EPOLLOUT)
        return connection

    def _forget(self, connection: Connection) -> None:
        """Let go of a connection, which is closed after this."""
        if self.connections.pop(connection.fd, None) is None:
            return
        if self.stalled.pop(connection.fd, None) is None:
            self._epoll.unregister(connection.fd)
        connection.client.positions = connection.positions()
        connection.client.connection = None

    def _stall(self, count: int) -> list[Connection]:
        """Have `count` connections read nothing from now on; return them."""
        reading = [fd for fd in self.connections if fd not in self.stalled]
        chosen = self.random.sample(reading, min(count, len(reading)))
        for fd in chosen:
            self._epoll.unregister(fd)
            self.stalled[fd] = self.connections[fd]
            self.connections[fd].has_stalled = True
        return [self.stalled[fd] for fd in chosen]

    def _wake(self, connection: Connection) -> None:
        """Have a connection read on, if it is one of the stalled."""
        if self.stalled.get(connection.fd) is connection:
            del self.stalled[connection.fd]
            self._epoll.register(connection.fd, EPOLLIN)

    def shut(self) -> None:
        """Let go of the epoll, when there are no connections any more."""
        self._epoll.close()

    # -- what connections tell ----------------------------------------------------------

    def watch(self, connection: Connection, events: int) -> None:
        """Have epoll look for these events."""
        if connection.fd not in self.stalled:
            self._epoll.modify(connection.fd, events)

    def answered(self, connection: Connection, found: Findings, kernel: int) -> None:
        """Note what the server has said of streams: that they are open, refused, ended.

        `kernel` is when, in ns by the clock of the target.
        """
        raise NotImplementedError

    def broke(self, connection: Connection) -> None:
        """Note that what came is not the protocol."""
        raise NotImplementedError

    def ended(self, connection: Connection, reason: str) -> None:
        """Note that a connection is over, or that there never was one."""
        raise NotImplementedError
