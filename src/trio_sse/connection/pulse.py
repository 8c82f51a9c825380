"""Whether an HTTP/2 client is still alive: after a silence it is asked by a PING.

Owns the times of what was heard and asked. Refuses to judge a client that has not read yet
what stands before the PING: `write_timeout` is for that.
"""

from __future__ import annotations

import trio

from ..limits import Limits
from ..wire.http2 import Http2

__all__ = ["Pulse"]


class Pulse:
    """Watches over one connection. Nothing here blocks."""

    __slots__ = ("_heard", "_limits", "_pinged", "_wire")

    def __init__(self, limits: Limits, wire: Http2) -> None:
        self._limits = limits
        self._wire = wire
        self._heard = trio.current_time()
        self._pinged: float | None = None

    def heard(self) -> None:
        """Note that the client has sent something."""
        self._heard = trio.current_time()

    def answered(self) -> None:
        """Note that the client has answered a PING."""
        self._pinged = None

    def stopped(self, now: float, *, all_sent: bool) -> bool:
        """Tell whether the client has not answered for `ping_timeout`; may queue a PING.

        `all_sent` is False while what was queued before waits for the client to read, or what
        the client has said for us.
        """
        if not all_sent:
            # A PING stands in the queue behind what is being sent, and the client's answer behind
            # what it has to read. Until then `write_timeout` is what notices a dead peer.
            if self._pinged is not None:
                self._pinged = now
        elif self._pinged is None:
            if now - self._heard >= self._limits.ping_interval:
                self._pinged = now
                self._wire.ping()
        else:
            return now - self._pinged >= self._limits.ping_timeout
        return False
