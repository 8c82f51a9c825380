"""How a hub reaches a follower that an ASGI server carries: one cursor for each.

It is handed what is new while its exchange has nothing else to say, and is a reader of the log
otherwise, when that has said the last. So a client holds one batch at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..hub import Hub, Outlet, identity

if TYPE_CHECKING:
    from .exchange import AsgiExchange

__all__ = ["AsgiOutlet"]

BATCH_BYTES = 64 * 1024
"""What a straggler is sent at a time, as on our own server."""


class AsgiOutlet(Outlet):
    """One follower: handed what is new while its exchange is clear, else a reader of the log."""

    __slots__ = ("_exchange", "_hub")

    def __init__(
        self, exchange: AsgiExchange, hub: Hub, selectors: frozenset[str], cursor: int
    ) -> None:
        super().__init__(selectors, identity, cursor)
        self._exchange = exchange
        self._hub = hub

    def stop(self) -> None:
        """Receive no more."""
        self._hub.leave(self)

    def read(self) -> bytes:
        """Return what comes next in the log; at its head nothing, and from then on be live."""
        if self.audience is not None:
            return b""
        payload, self.cursor = self._hub.read(self.selectors, self.cursor, max_bytes=BATCH_BYTES)
        if not payload:
            self._hub.join(self)
        return payload

    def deliver(self, framed: bytes, stop: int) -> None:
        if self._exchange.clear:
            self.cursor = stop
            self._exchange.say_soon(framed)
        else:
            self._hub.leave(self)  # Its exchange reads on when it has said what it has.

    def cut_off(self) -> None:
        self._exchange.service.counters.failed += 1
        self._exchange.abort()

    def __len__(self) -> int:
        return 1
