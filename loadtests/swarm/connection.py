"""One connection of a swarm: asks, reads, and says what has become of it.

Nothing here blocks; the `loop` calls when epoll does, and decides what becomes of the client
when a stream or the connection ends.
"""

from __future__ import annotations

from collections.abc import Callable
from select import EPOLLIN, EPOLLOUT
from typing import TYPE_CHECKING

from .audience import Audience
from .client import Client
from .findings import Findings
from .http2 import Http2Parser
from .link import VIEW, Link
from .reading import Reading

if TYPE_CHECKING:
    from .loop import Loop

__all__ = ["Connection"]


class Connection(Reading):
    """From dialling to closing; it belongs to a client, which may have several in turn."""

    __slots__ = (
        "_unsent",
        "closing",
        "fd",
        "has_stalled",
        "open",
        "ready",
        "unanswered",
    )

    def __init__(self, loop: Loop, client: Client, audience: Audience, link: Link) -> None:
        super().__init__(loop, client, audience, link)
        self.unanswered = client.streams
        self.open = 0
        """How many of its streams are."""
        self.closing = False
        """Whether the server takes no more requests."""
        self.has_stalled = False
        """Whether it has read nothing for a while, so that the server may drop it."""
        self._unsent = loop.target.requests(client.number, self._windows, client.positions)
        self.fd = link.fd
        self.ready: Callable[[], None] = self._connected
        """To be called when epoll says so."""

    # -- on the way in ------------------------------------------------------------------

    def _connected(self) -> None:
        if self._link.error():
            self._loop.ended(self, "unreachable")
            return
        self.ready = self._shake_hands
        self._shake_hands()

    def _shake_hands(self) -> None:
        try:
            waiting = self._link.shake_hands()
        except OSError:
            self._loop.ended(self, "unreachable")
            return
        if waiting:
            self._loop.watch(self, waiting)
        else:
            self.ready = self._read
            self._flush()

    def _flush(self) -> None:
        """Send what waits, and watch for input, and for room if some of it still waits."""
        try:
            sent = self._link.send(self._unsent)
        except OSError:
            self._loop.ended(self, "reset")
            return
        self._unsent = self._unsent[sent:]
        clogged = self._unsent or self._link.clogged
        self._loop.watch(self, EPOLLIN | EPOLLOUT if clogged else EPOLLIN)

    def _send(self, data: bytes) -> None:
        waiting = bool(self._unsent)
        self._unsent += data
        if not waiting:
            self._flush()

    def ask_again(self, place: int) -> None:
        """Open the stream at that place again, on HTTP/2."""
        self._stay_off_tape()
        assert isinstance(self._parser, Http2Parser)
        stream_id = self._parser.reopen(place)
        self.unanswered += 1
        position = self.positions()[place]
        self._send(self._loop.target.late_request(self.client.number, place, stream_id, position))

    # -- receiving ----------------------------------------------------------------------

    def _read(self) -> None:
        link = self._link
        if self._unsent or link.clogged:
            self._flush()
        while not self.over:
            try:
                length = link.receive()
            except OSError:
                self._loop.ended(self, "reset")
                return
            if length <= 0:
                if length == 0:
                    self._loop.ended(self, "ended")
                return
            self._loop.book.read(length)
            self._take(VIEW[:length])
            if length != link.full:
                return

    def _account(self, found: Findings) -> None:
        if found.offences:
            self._loop.book.blame(self.client, found.offences)
        if found.unchunked:
            self._audience.chunked = False
        if found.retry is not None:
            self.client.retry_ms = found.retry
        self.closing |= found.closing
        if found.ended:
            self._stay_off_tape()
        if found.replies:
            self._send(found.replies)
        if not self.over and (found.opened or found.refused or found.ended or found.closing):
            self._loop.answered(self, found, self._link.kernel)
        if not self.over and any(offence.fault == "broken" for offence in found.offences):
            self._loop.broke(self)

    # -- endings ------------------------------------------------------------------------

    def close(self, *, reset: bool = False) -> None:
        """Leave: properly, or as a client whose machine has lost its network does."""
        self.over = True
        self.ready = _nothing  # or it would hold itself: thousands come and go
        self._link.close(reset=reset)


def _nothing() -> None:
    pass
