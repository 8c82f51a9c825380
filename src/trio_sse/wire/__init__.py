"""The wire: bytes in, events out, for HTTP/1.1 (over h11) and HTTP/2 (over h2).

Rules: no sockets, no clock, no await. Time is an argument where it matters. A peer's
mistake never leaves here as an exception: it becomes a `Refused` or an ending with the
right code. What the caller does wrong raises, as a bug should.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Refused"]


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is answered without asking the application: 400, 413, 431."""

    status: int
    reason: str
    """One sentence for the client and the log."""
