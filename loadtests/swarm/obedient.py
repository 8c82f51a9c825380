"""A swarm that does what it is told, and whose clients stay away when they are cut off.

It measures by CLOCK_MONOTONIC and into a ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from select import EPOLLIN

from .client import Client
from .connection import Connection
from .findings import Fault, Findings, Offence
from .ledger import Ledger
from .loop import Loop
from .target import Target

__all__ = ["Obedient"]

DIALS_AT_ONCE = 32
"""Connections dialled between two looks at epoll."""

LONGEST_WAIT = 0.05
"""Seconds that a turn takes at most."""


class Obedient(Loop):
    """Dials connections, at most `at_once` unanswered ones, and reads them all."""

    def __init__(self, target: Target, at_once: int) -> None:
        self.ledger = Ledger(one_topic=target.one_topic)
        super().__init__(target, self.ledger)
        self.opened = 0
        """Streams answered with 200, since the start."""
        self._at_once = at_once
        self._others: dict[int, Callable[[], None]] = {}
        self._to_dial: list[Client] = []
        self._unanswered = 0

    def also_watch(self, fd: int, ready: Callable[[], None]) -> None:
        """Call `ready` when something can be read from `fd`."""
        self._others[fd] = ready
        self._epoll.register(fd, EPOLLIN)

    def turn(self) -> None:
        """Dial some, wait until something happens, for a moment at most, and act on it."""
        for _ in range(min(self._room, DIALS_AT_ONCE, len(self._to_dial))):
            self._dial(self._to_dial.pop())
        connections = self.connections
        for fd, _ in self._epoll.poll(0 if self._to_dial and self._room > 0 else LONGEST_WAIT):
            connection = connections.get(fd)
            if connection is not None:
                connection.ready()
            elif fd in self._others:
                self._others[fd]()

    @property
    def _room(self) -> int:
        """How many connections may be dialled now."""
        return self._at_once - self._unanswered // self.target.streams

    # -- coming and going ---------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """True if everyone who was to be dialled has been answered, or turned away."""
        return not self._to_dial and self._unanswered <= 0

    def dial(self, count: int) -> None:
        """Have `count` more connections made."""
        self._to_dial += [self._new_client(self.target.streams) for _ in range(count)]

    def _dial(self, client: Client) -> None:
        try:
            self._connect(client)
        except OSError:
            self._blame(client, "ended")
        else:
            self._unanswered += client.streams

    def stall(self, count: int) -> None:
        """Have `count` connections read nothing from now on."""
        self._stall(count)

    def wake(self, count: int) -> None:
        """Have the last `count` connections that stalled read on."""
        for connection in list(self.stalled.values())[-count:] if count else ():
            self._wake(connection)

    def reconnect(self, chosen: Iterable[Connection]) -> None:
        """Have connections leave and come back with their Last-Event-ID."""
        for connection in list(chosen):
            self.leave(connection)
            self._to_dial.append(connection.client)

    def leave(self, connection: Connection, *, reset: bool = False) -> None:
        """Close a connection."""
        self._unanswered -= connection.unanswered
        self._forget(connection)
        connection.close(reset=reset)

    # -- what connections tell ----------------------------------------------------------

    def answered(self, connection: Connection, found: Findings, kernel: int) -> None:
        answered = len(found.opened) + len(found.refused)
        self.opened += len(found.opened)
        self._unanswered -= answered
        connection.unanswered -= answered
        for _ in found.refused:
            self._blame(connection.client, "refused")
        for _ in range(len(found.ended) + found.closing):
            self._blame(connection.client, self._ending(connection))
        if found.ended and connection.has_stalled:
            # Dropped, if only some of its streams: it is not to be waited for.
            self.leave(connection)

    def broke(self, connection: Connection) -> None:
        pass  # The fault says it, and what else comes may be of interest.

    def ended(self, connection: Connection, reason: str) -> None:
        self._blame(connection.client, self._ending(connection))
        self.leave(connection)

    def _ending(self, connection: Connection) -> Fault:
        return "dropped" if connection.has_stalled else "ended"

    def _blame(self, client: Client, fault: Fault) -> None:
        self.ledger.blame(client, [Offence(fault)])
