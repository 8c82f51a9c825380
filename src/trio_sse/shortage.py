"""When connections cannot be accepted, because this process or the machine has no more files.

Owns what the log is told of it: a line when it begins, one every `EVERY` seconds while it
lasts, and one when it is over. At the limit each connection that ends lets one in, and the next
one fails again, so it is over only when accepting has not failed for a while.
"""

from __future__ import annotations

import errno
import logging

__all__ = ["Shortage"]

logger = logging.getLogger("trio_sse.server")

REASONS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""What accept(2) says when it could not, though someone waits."""

EVERY = 10.0
"""Seconds between two lines, and without a failure until it is over."""


class Shortage:
    """What one server has met with. Times are in seconds by any clock; nothing blocks."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._last = 0.0
        self._reported = 0.0
        self._failures = 0

    def met(self, error: OSError, now: float) -> bool:
        """Note why a connection was not accepted; False if it is not for a shortage."""
        if error.errno not in REASONS:
            return False
        self._last = now
        if self._began is None:
            self._began = self._reported = now
            self._failures = 0
            logger.warning("Cannot accept connections: %s", error.strerror)
        self._failures += 1
        if now - self._reported >= EVERY:
            self._reported = now
            logger.warning(
                "Still cannot accept all connections: %s (%d failures in %.0f s)",
                error.strerror,
                self._failures,
                now - self._began,
            )
        return True

    def tick(self, now: float) -> None:
        """Say so if it is over."""
        if self._began is None or now - self._last < EVERY:
            return
        logger.warning(
            "Connections are accepted again (%d failures in %.0f s)",
            self._failures,
            self._last - self._began,
        )
        self._began = None
