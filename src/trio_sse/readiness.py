"""Which sockets have something to read, and whose turn it is to read it.

Trio asks the kernel for all that there is, and wakes whoever waits for any of it in one turn of its
loop. If ten thousand clients are lost at once, ten thousand tasks take their leave before anyone
else is looked at, for a quarter of a second. So sockets are watched by an epoll of the server's
own, which is itself a file that Trio watches, and so many readers are woken in a turn and no more.

Owns who waits and in which order; reads nothing. Only where there is epoll: on Linux.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections import deque
from typing import Protocol

import trio

from .fair_queue import FairQueue, source_of
from .message import Peer

__all__ = ["Reader", "Readiness", "open_readiness"]

AT_MOST, AT_LEAST = 64, 16
"""How many readers are woken in a turn, by how long the last turns took. 64 who ask for a stream
take 10 ms, and 64 who have left one 3; but 16 who have left a hundred each over HTTP/2 take 15."""

TURN_SECONDS = 0.01
"""How long a turn may take for more to be woken in the next."""

LEAVING = 4
"""One in so many at least is one of those who have left, if some have: they hold files and
memory, but nobody waits for them, so all others go first."""

EVENTS = 4096
"""What the kernel tells at a time: for so many it takes 1 ms, and 2 more to put them in line."""

HAS_EPOLL = hasattr(select, "epoll")
WATCHED = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT if HAS_EPOLL else 0
LEFT = select.EPOLLHUP | select.EPOLLRDHUP | select.EPOLLERR if HAS_EPOLL else 0


class Reader(Protocol):
    """A socket that may be waited for."""

    file: int
    """Its number, or -1 once it is closed."""
    peer: Peer
    waiting: trio.lowlevel.Task | None
    """The task that waits for it, which is for `Readiness` to say."""

    def give_up(self, raise_cancel: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
        """Have no task wait any more: it is cancelled. Returns that this has succeeded."""


class Readiness:
    """Wakes those whose sockets have something to read, a bounded number in a turn."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._watched: dict[int, Reader] = {}
        """Those that the kernel knows of, by the numbers of their files."""
        self._asking: FairQueue[Reader] = FairQueue()
        self._leaving: deque[Reader] = deque()

    async def wait(self, reader: Reader) -> None:
        """Wait until there is something to read, or the end; now and then until there was.

        Raises trio.ClosedResourceError if it is closed, also meanwhile, and trio.BusyResourceError
        if another task waits for it.
        """
        if reader.waiting is not None:
            raise trio.BusyResourceError("another task waits for this socket")
        number = reader.file
        if self._watched.get(number) is reader:
            self._poll.modify(number, WATCHED)
        elif number >= 0:
            self._poll.register(number, WATCHED)
            self._watched[number] = reader
        else:
            raise trio.ClosedResourceError("this socket is closed")
        task = trio.lowlevel.current_task()
        try:
            reader.waiting = task
            # Who gives up may be woken for nothing when it waits again: it may be in line still.
            await trio.lowlevel.wait_task_rescheduled(reader.give_up)
        finally:
            # Whatever has kept it from waiting: who does not wait must not be woken.
            if reader.waiting is task:
                reader.waiting = None
        if reader.file < 0:
            raise trio.ClosedResourceError("another task closed this socket")

    def forget(self, reader: Reader, number: int) -> None:
        """Wake who waits for a socket with the file `number`, which is about to be closed."""
        if self._watched.get(number) is reader:
            del self._watched[number]
            # Closing alone does not do that if another process has inherited the file. It fails if
            # a defect elsewhere has closed the file of that number, which was not its own.
            with contextlib.suppress(OSError):
                self._poll.unregister(number)
        _woken(reader)

    async def run(self) -> None:
        """Wake readers until cancelled."""
        most = AT_LEAST
        while True:
            if self._asking or self._leaving:
                began = time.perf_counter()
                await trio.lowlevel.checkpoint()
                is_long = time.perf_counter() - began > TURN_SECONDS
                most = max(most // 2, AT_LEAST) if is_long else min(2 * most, AT_MOST)
            else:
                await trio.lowlevel.wait_readable(self._poll)
            self._line_up()
            self._wake(most)

    def _wake(self, most: int) -> None:
        room, kept = most, min(most // LEAVING, len(self._leaving))
        while room > kept and self._asking:
            room -= _woken(self._asking.take())
        while room and self._leaving:
            room -= _woken(self._leaving.popleft())

    def _line_up(self) -> None:
        for number, events in self._poll.poll(0, EVENTS):
            reader = self._watched.get(number)
            if reader is None:
                continue  # It could not be unregistered, see `forget`.
            if events & LEFT:
                self._leaving.append(reader)
            else:
                self._asking.put(source_of(reader.peer.host), reader)

    def close(self) -> None:
        """Watch nothing more. Nobody may be waiting."""
        trio.lowlevel.notify_closing(self._poll)
        self._poll.close()
        self._watched.clear()


def _woken(reader: Reader) -> bool:
    """Wake who waits; False if nobody does."""
    task, reader.waiting = reader.waiting, None
    if task is None:
        return False
    trio.lowlevel.reschedule(task)
    return True


def open_readiness() -> Readiness | None:
    """Return one; None where there is no epoll, or no file for it: then it is as Trio does it."""
    with contextlib.suppress(OSError):
        return Readiness() if HAS_EPOLL else None
    return None
