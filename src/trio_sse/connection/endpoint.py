"""The server's end of a connection, whatever is spoken on it.

Owns what both protocols need of a transport: the tasks of the connection, the way in, the
way out, and what happens when either breaks. What is said is up to who builds on it.

It is a base class, not a part: there are tens of thousands of connections, nearly all of
them waiting in `receive`, and a part would be one more object for each of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, cast

import trio

from ..transport import Broken, Flooded, Transport
from .errands import Errands
from .outbox import Outbox
from .service import Service

__all__ = ["LINGER_SECONDS", "Endpoint"]

LINGER_SECONDS = 2.0
"""How long to read on after the last words, so that closing with unread input does not reset
the connection before the client has read them (RFC 9112, 9.6). nginx waits 5 s."""


class Endpoint(ABC):
    """Serves one transport until either side ends it."""

    __slots__ = ("_errands", "_home", "_scope", "left", "outbox", "service", "transport")

    def __init__(self, service: Service, transport: Transport) -> None:
        self.service = service
        self.transport = transport
        self.outbox: Outbox
        self.left = False
        """The client is gone: nothing needs to be said any more."""
        self._scope = trio.CancelScope()
        self._home: trio.Nursery
        self._errands: Errands | None = None

    async def run(self) -> None:
        """Serve the client until the connection ends."""
        # Only Trio's very first task has none.
        self._home = cast(trio.Nursery, trio.lowlevel.current_task().parent_nursery)
        write_timeout = self.service.limits.write_timeout
        self.outbox = Outbox(self.transport, self, write_timeout)
        try:
            with self._scope:
                await self._converse()
        finally:
            # Each knows the other: what is over would wait for the collector of cycles.
            self.outbox.retire()
            if self._errands is not None:
                # A handler may not end at once, and the client need not wait for it.
                self.transport.send_eof()
                await self._errands.finish()

    def start_soon(self, task: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Have a task do something for the connection; it ends with the connection at the latest.

        If it fails, so does the connection.
        """
        if self._errands is None or self._errands.is_retired:
            self._errands = Errands(self._home, self.cut_off)
            if self.is_cut_off:
                # As those that had begun before are. Its own task may hear of it some turns later,
                # in which an errand would meet what is broken.
                self._errands.cancel()
        if not self._errands.start_soon(task, *arguments):
            # All is over, and nobody writes any more: who is shielded must not wait for it.
            self.cut_off()
            self.outbox.retire()

    def tidy(self) -> bool:
        """Let go of what no task of the connection has needed since the last time.

        Return whether all is let go of.
        """
        errands = self._errands
        if errands is None:
            return True
        if not errands.is_retired:
            errands.tidy()
        elif errands.is_gone:
            self._errands = None
        return False

    @abstractmethod
    async def _converse(self) -> None:
        """Say and hear all that there is, until the end."""

    def cut_off(self) -> None:
        """End the connection at once, without last words."""
        self._scope.cancel()
        if self._errands is not None:
            self._errands.cancel()

    def fail(self) -> None:
        """End the connection at once, for a defect that another task than its own met and logged:
        the hub's, or the one that looks after all.
        """
        self.service.counters.failed += 1
        self.cut_off()

    @property
    def is_cut_off(self) -> bool:
        """Whether that was done."""
        return self._scope.cancel_called

    async def receive(self) -> bytes:
        """Return what the client sends; b"" when it has left in whatever way."""
        await trio.lowlevel.checkpoint()
        try:
            while (data := self.transport.receive()) is None:
                await self.transport.wait_readable()
        except Broken as error:
            self._unheard(error)
            return b""
        return data

    def _unheard(self, error: Broken) -> None:
        """Note that nothing more can be received."""
        if isinstance(error, Flooded):
            self.service.offended(self.transport.peer, "tls_records", str(error))
        else:
            self.service.connection_broke(self.transport.peer, error)

    async def _say_goodbye(self, most: float = math.inf) -> None:
        """Send what is left to send, then the end of it, and let the client read it.

        Ends early when the client, instead of that, has sent `most` bytes.
        """
        await self.outbox.drained()
        with trio.move_on_after(self.service.limits.write_timeout):
            while not self.transport.send_eof(in_order=True):
                await self.transport.wait_writable()
        with trio.move_on_after(LINGER_SECONDS):
            while most > 0 and (data := await self.receive()):
                most -= len(data)

    def broken(self, error: Broken) -> None:
        """End the connection: nothing more can be sent. For its outbox to call."""
        self.service.connection_broke(self.transport.peer, error)
        self.left = True
        self.cut_off()
