"""Who on an HTTP/2 connection waits for a window to open, in the order in which they came.

A window that opens wakes who can go on: a stream's its writer, the connection's as many as there
is room for. If it woke all, a client with 256 shut streams could have as many tasks run, for 5 ms,
by each frame of 13 bytes; and streams that catch up side by side would do so to each other.

Rule: nobody waits while there is room for him. Who is woken and does not use it hands it on.
"""

from __future__ import annotations

from collections.abc import Hashable

import trio

from ..wire.group import LARGEST_WINDOW
from ..wire.http2 import Http2

__all__ = ["Windows"]


class Windows:
    """The waiting of one connection. Lengths are in bytes."""

    __slots__ = ("_least", "_shut", "_waiting", "_wire")

    def __init__(self, wire: Http2) -> None:
        self._wire = wire
        self._waiting: dict[Hashable, _Waiter] = {}
        """For the connection's window."""
        self._shut: dict[Hashable, _Waiter] = {}
        """For their own, whatever the connection's has room for: it is not their turn. If they
        were looked at for each frame of 13 bytes, 256 of them would take 28 ms for a kilobyte."""
        self._least = 0
        """With less room than this in the connection's window nobody can go on: a lower bound."""

    async def opened_for_stream(self, stream_id: int, length: int, deadline: float) -> bool:
        """Wait until a stream can be sent some of `length`, or is over; False if it is late."""
        return await self._opened(stream_id, _Waiter(stream_id, length), deadline)

    async def opened_for_all(self, who: Hashable, length: int, deadline: float) -> bool:
        """Wait until the connection's window has room for `length`; False if it is late."""
        return await self._opened(who, _Waiter(0, length), deadline)

    async def _opened(self, key: Hashable, waiter: _Waiter, deadline: float) -> bool:
        if waiter.stream_id and self._wire.is_shut(waiter.stream_id):
            self._shut[key] = waiter
        else:
            self._waiting[key] = waiter
            self._least = min(self._least, waiter.least)
        if not waiter.stream_id:
            # It takes all or nothing: what is too little for it is there for others.
            self.connection_opened()
        is_over = True
        try:
            with trio.move_on_at(deadline):
                await waiter.woken.wait()
            # Who is cancelled just when the wait is over is not told by the wait.
            await trio.lowlevel.checkpoint_if_cancelled()
            is_over = waiter.stream_id != 0 and not self._wire.is_open(waiter.stream_id)
        finally:
            for waiting in (self._waiting, self._shut):
                if waiting.get(key) is waiter:
                    del waiting[key]
            if is_over and waiter.has_room:
                self.connection_opened()
        return waiter.woken.is_set()

    def wake(self, who: Hashable) -> None:
        """Have a stream's writer look again, by its id: its window is open, or it is over. Or have
        somebody else look who waits for the connection's: he may need less by now.
        """
        waiter = self._waiting.pop(who, None) or self._shut.pop(who, None)
        if waiter is not None:
            waiter.woken.set()

    def end(self) -> None:
        """Have all look again: no stream is open any more."""
        for who in (*self._waiting, *self._shut):
            self.wake(who)

    def changed(self) -> None:
        """Have all look anew at their own windows, and wake whom there is room for."""
        self._waiting |= self._shut
        self._shut.clear()
        self._least = 0
        self.connection_opened()

    def connection_opened(self) -> None:
        """Wake those for whom there is room in the connection's window, and in their own."""
        room = self._wire.connection_window
        if room <= 0 or room < self._least:
            return
        least = LARGEST_WINDOW
        lucky, shut = [], []
        for key, waiter in self._waiting.items():
            if room <= 0:
                least = 0
                break
            if waiter.stream_id and self._wire.is_shut(waiter.stream_id):
                shut.append(key)
            elif taken := self._would_take(waiter, room):
                room -= taken
                waiter.has_room = True
                lucky.append(key)
            else:
                least = min(least, waiter.least)
        self._least = least
        for key in shut:
            self._shut[key] = self._waiting.pop(key)
        for key in lucky:
            self.wake(key)

    def _would_take(self, waiter: _Waiter, room: int) -> int:
        if waiter.stream_id:
            return min(waiter.length, room, self._wire.window(waiter.stream_id))
        return waiter.length if waiter.length <= room else 0


class _Waiter:
    """Somebody who waits. With 0 as its stream it takes all of its length or nothing."""

    __slots__ = ("has_room", "length", "stream_id", "woken")

    def __init__(self, stream_id: int, length: int) -> None:
        self.stream_id = stream_id
        self.length = length
        self.woken = trio.Event()
        self.has_room = False
        """Whether it was woken by the connection's window, and others were not for that reason."""

    @property
    def least(self) -> int:
        """How much room it can go on with."""
        return 1 if self.stream_id else self.length
