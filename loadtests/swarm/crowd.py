"""The connections of one process, and the epoll loop that they share.

Plain epoll and no framework: a client that costs more than the server measures itself.
"""

from __future__ import annotations

import random
import select
from collections.abc import Callable, Iterable

from .connection import Connection
from .findings import Parser, Position
from .ledger import Ledger
from .tape import Tape
from .target import Target
from .windows import Windows

__all__ = ["Crowd"]

DIALS_AT_ONCE = 32
"""Connections dialled between two looks at epoll."""

LONGEST_TAPE = 32 * 1024 * 1024
"""After so many bytes a new tape is begun, so that long runs end with the memory they had."""

LONGEST_WAIT = 0.05
"""Seconds that a turn takes at most."""


class Crowd:
    """Dials connections, at most `at_once` unanswered ones, and reads them all."""

    def __init__(self, target: Target, at_once: int) -> None:
        self.target = target
        self.ledger = Ledger(one_topic=target.one_topic)
        self.random = random.Random(1)
        self.connections: dict[int, Connection] = {}
        """By file number."""
        self.stalled: dict[int, Connection] = {}
        """Those of them that read nothing."""
        self.opened = 0
        """Streams answered with 200, since the start."""
        self.tape: Tape | None = None
        """The tape that connections go onto."""
        self.chunked = True
        """Whether answers of HTTP/1.1 are, as those before were."""
        self._at_once = at_once
        self._epoll = select.epoll()
        self._others: dict[int, Callable[[], None]] = {}
        self._to_dial: list[tuple[int, list[Position]]] = []
        self._dialled = 0
        self._unanswered = 0

    # -- the loop -----------------------------------------------------------------------

    def also_watch(self, fd: int, ready: Callable[[], None]) -> None:
        """Call `ready` when something can be read from `fd`."""
        self._others[fd] = ready
        self._epoll.register(fd, select.EPOLLIN)

    def turn(self) -> None:
        """Dial some, wait until something happens, for a moment at most, and act on it."""
        for _ in range(min(self._room, DIALS_AT_ONCE, len(self._to_dial))):
            self._dial(*self._to_dial.pop())
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
        fresh = [Position()] * self.target.streams
        self._to_dial += [(self._dialled + n, fresh) for n in range(count)]
        self._dialled += count

    def _dial(self, number: int, positions: list[Position]) -> None:
        connection = Connection(self, number, positions)
        self._unanswered += self.target.streams
        self.connections[connection.fd] = connection
        self._epoll.register(connection.fd, select.EPOLLOUT)

    def stall(self, count: int) -> None:
        """Have `count` connections read nothing from now on."""
        reading = [fd for fd in self.connections if fd not in self.stalled]
        for fd in self.random.sample(reading, min(count, len(reading))):
            self._epoll.unregister(fd)
            self.stalled[fd] = self.connections[fd]
            self.connections[fd].has_stalled = True

    def wake(self, count: int) -> None:
        """Have the last `count` connections that stalled read on."""
        for fd in list(self.stalled)[-count:] if count else ():
            del self.stalled[fd]
            self._epoll.register(fd, select.EPOLLIN)

    def reconnect(self, chosen: Iterable[Connection]) -> None:
        """Have connections leave and come back with their Last-Event-ID."""
        for connection in list(chosen):
            self._to_dial.append((connection.number, connection.positions()))
            self.leave(connection)

    def leave(self, connection: Connection, *, reset: bool = False) -> None:
        """Close a connection."""
        self._forget(connection)
        connection.close(reset=reset)

    # -- what connections tell ----------------------------------------------------------

    def watch(self, connection: Connection, events: int) -> None:
        """Have epoll look for these events."""
        if connection.fd not in self.stalled:
            self._epoll.modify(connection.fd, events)

    def answered(self, opened: int, refused: int) -> None:
        """Note that streams have been answered: with 200, or otherwise."""
        self.opened += opened
        self._unanswered -= opened + refused

    def ended(self, connection: Connection) -> None:
        """Note that a connection is over; it is closed after this."""
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        if self.connections.pop(connection.fd, None) is None:
            return
        self._unanswered -= connection.unanswered
        if self.stalled.pop(connection.fd, None) is None:
            self._epoll.unregister(connection.fd)

    # -- the tape -----------------------------------------------------------------------

    def tape_from(self, number: int) -> Tape | None:
        """Return a tape on which event `number` is found, if there is to be one."""
        tape = self.tape
        if tape is None or (len(tape) > LONGEST_TAPE or number > tape.numbers[-1]):
            self.tape = tape = Tape(number, self._start_tape, self.ledger.learn)
        return tape

    def position(self, number: int) -> Position:
        """Return the position just after an event that somebody has received."""
        return Position(number, self.ledger.ids.get(number, b""))

    def parser_at(self, number: int, connection: int, windows: Windows | None) -> Parser:
        """Return a parser for a connection whose streams all stand at that event."""
        positions = [self.position(number)] * self.target.streams
        return self.target.parser(connection, windows, positions, opened=True, chunked=self.chunked)

    def _start_tape(self, number: int) -> Parser:
        return self.parser_at(number, 0, None)
