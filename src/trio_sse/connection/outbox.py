"""What waits to be written on one connection, in order.

Everything that leaves a connection goes through its outbox, so that two writers never
interleave, but for what the hub writes to a plain socket while nothing waits (`Outlet.file`).
Usually nothing does: a write goes straight to the transport. What the transport does not take
is kept, and one task writes it as the peer reads.

Rule: every wait on the peer has a deadline. A peer that takes nothing for `write_timeout`
seconds ends the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import trio

from ..transport import Broken, Transport

__all__ = ["Outbox", "Stalled"]


class Owner(Protocol):
    """Whose way out it is."""

    def start_soon(self, task: Callable[[], Awaitable[Any]], /) -> None:
        """Have a task write as the peer reads."""

    def broken(self, error: Broken) -> None:
        """Note that nothing more can be sent."""


class Stalled(Broken):
    """The peer is there, but takes nothing."""


class Outbox:
    """An ordered, non-blocking way out, whose owner is told once if it breaks."""

    __slots__ = (
        "_broken",
        "_emptied",
        "_owner",
        "_transport",
        "_unsent",
        "_write_timeout",
        "clear",
        "size",
    )

    def __init__(
        self,
        transport: Transport,
        owner: Owner,
        write_timeout: float,
    ) -> None:
        self._transport = transport
        self._owner = owner  # not two of its methods, which would be two more objects
        self._write_timeout = write_timeout
        self._unsent: list[memoryview] = []  # an empty deque takes 700 bytes
        self._emptied: trio.Event | None = None
        self._broken = False
        self.clear = True
        """Whether a write would go straight to the transport: nothing waits and nothing is broken.
        Kept and not worked out, which would be a cache miss more for each delivery to a group."""
        self.size = 0
        """Bytes that wait."""

    def write(self, data: bytes) -> bool:
        """Send `data` after all that waits; True if nothing waits now. Never blocks or raises."""
        if self._broken:
            return False
        taken = 0
        if self.clear:
            try:
                taken = self._transport.send(data)
            except Broken as error:
                self.fail(error)
                return False
        if taken == len(data):
            return True
        self.keep(memoryview(data)[taken:])
        return False

    def keep(self, rest: memoryview) -> None:
        """Send later what the transport has not taken, after all that waits."""
        if self.clear:
            self._owner.start_soon(self._flush)
        self.clear = False
        self._unsent.append(rest)
        self.size += len(rest)

    def fail(self, error: Broken) -> None:
        """Note that nothing more can be sent."""
        self._broken = True
        self.clear = False
        self._unsent.clear()
        self.size = 0
        self._wake()
        self._owner.broken(error)

    async def drained(self) -> None:
        """Wait until nothing waits. The peer's deadline is kept by the outbox.

        Does not return to a task that has been cancelled meanwhile, as the owner does with
        those of the connection when it breaks. Raises Broken to who is not: a handler that has
        last words and shields them, or a task of others.
        """
        await trio.lowlevel.checkpoint()
        while self._unsent and not self._broken:
            if self._emptied is None:
                self._emptied = trio.Event()
            await self._emptied.wait()
        # Who is cancelled just when the wait is over is not told by the wait.
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._broken:
            raise Broken("the connection is broken")

    def retire(self) -> None:
        """Take nothing more and tell the owner no more that it breaks: the connection is over."""
        self._broken = True
        self.clear = False
        self._wake()
        self._owner = NOBODY

    async def _flush(self) -> None:
        try:
            while self._unsent:
                try:
                    await self._send_some()
                except Broken as error:
                    self.fail(error)
        except BaseException:
            # Cancelled, or a defect: nobody writes what is left, and who is shielded must not wait.
            self.retire()
            raise
        self._wake()

    async def _send_some(self) -> None:
        with trio.move_on_after(self._write_timeout) as deadline:
            await self._transport.wait_writable()
        if deadline.cancelled_caught:
            raise Stalled(f"the peer took nothing for {self._write_timeout:g} s")
        taken = self._transport.send(self._unsent[0])
        self.size -= taken
        if taken == len(self._unsent[0]):
            del self._unsent[0]
            self.clear = not self._unsent and not self._broken
        else:
            self._unsent[0] = self._unsent[0][taken:]

    def _wake(self) -> None:
        if self._emptied is not None:
            self._emptied.set()
            self._emptied = None


class Nobody:
    """Stands for an owner that is no more."""

    def start_soon(self, task: Callable[[], Awaitable[Any]], /) -> None:
        """Do nothing."""

    def broken(self, error: Broken) -> None:
        """Do nothing."""


NOBODY = Nobody()
