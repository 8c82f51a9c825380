"""Who on an HTTP/2 connection waits for a window to open, in the order in which they came.

A window that opens wakes who can go on: a stream's its writer, the connection's as many as there
is room for. If it woke all, a client with 256 shut streams could have as many tasks run, for 5 ms,
by each frame of 13 bytes; and streams that catch up side by side would do so to each other.

Rule: nobody waits while there is room for him. Who is woken and does not use it hands it on.
"""

from __future__ import annotations

from collections.abc import Hashable

import trio

from ..wire.http2 import Http2

__all__ = ["Windows"]


class Windows:
    """The waiting of one connection. Lengths are in bytes."""

    __slots__ = ("_waiting", "_wire")

    def __init__(self, wire: Http2) -> None:
        self._wire = wire
        self._waiting: dict[Hashable, _Waiter] = {}

    async def opened_for_stream(self, stream_id: int, length: int, deadline: float) -> bool:
        """Wait until a stream can be sent some of `length`, or is over; False if it is late."""
        return await self._opened(stream_id, _Waiter(stream_id, length), deadline)

    async def opened_for_all(self, who: Hashable, length: int, deadline: float) -> bool:
        """Wait until the connection's window has room for `length`; False if it is late."""
        return await self._opened(who, _Waiter(0, length), deadline)

    async def _opened(self, key: Hashable, waiter: _Waiter, deadline: float) -> bool:
        self._waiting[key] = waiter
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
            if self._waiting.get(key) is waiter:
                del self._waiting[key]
            if is_over and waiter.has_room:
                self.connection_opened()
        return waiter.woken.is_set()

    def wake(self, who: Hashable) -> None:
        """Have a stream's writer look again, by its id: its window is open, or it is over. Or have
        somebody else look who waits for the connection's: he may need less by now.
        """
        waiter = self._waiting.pop(who, None)
        if waiter is not None:
            waiter.woken.set()

    def connection_opened(self) -> None:
        """Wake those for whom there is room in the connection's window, and in their own."""
        room = self._wire.connection_window
        for key, waiter in list(self._waiting.items()):
            if room <= 0:
                return
            taken = self._would_take(waiter, room)
            if taken:
                room -= taken
                waiter.has_room = True
                self.wake(key)

    def _would_take(self, waiter: _Waiter, room: int) -> int:
        if waiter.stream_id:
            return min(waiter.length, room, self._wire.window(waiter.stream_id))
        return waiter.length if waiter.length <= room else 0


class _Waiter:
    __slots__ = ("has_room", "length", "stream_id", "woken")

    def __init__(self, stream_id: int, length: int) -> None:
        self.stream_id = stream_id
        self.length = length
        self.woken = trio.Event()
        self.has_room = False
        """Whether it was woken by the connection's window, and others were not for that reason."""
