"""An HTTP/2 connection: one task that reads, and what time brings.

What becomes of the streams is in `http2_streams`.
"""

from __future__ import annotations

import logging
import math
import time
from functools import partial

import trio

from ..message import Response
from ..transport import Transport
from ..wire.http2 import (
    Asked,
    Gone,
    Happening,
    Http2,
    Left,
    Pong,
    RefusedStream,
    WindowOpened,
    WindowsChanged,
)
from .endpoint import LINGER_SECONDS
from .http2_streams import Http2Streams
from .pulse import Pulse
from .service import Service

__all__ = ["Http2Connection"]

logger = logging.getLogger("trio_sse.connection")

TURN_SECONDS = 0.002
TURN_BYTES = 1024
"""What one client can have done before others have their turn: what takes so long, and of that
a kilobyte at a time. There is room in it for 36 requests that are taken back at once, 4 ms of
work."""

LINGER_BYTES = 1024 * 1024
"""How much to hear after the last words: more than an honest client can have on its way, as the
windows that we open are of 64 KiB. Who still goes on is not reading them."""

SETTINGS_TIMEOUT = 4  # RFC 9113, 7
ENHANCE_YOUR_CALM = 11


class Http2Connection(Http2Streams):
    """Serves one transport until either side ends it."""

    def __init__(
        self, service: Service, transport: Transport, wire: Http2, first: bytes = b""
    ) -> None:
        super().__init__(service, transport, wire)
        self._first = first  # what was read to find out that it speaks HTTP/2
        self._reading = trio.CancelScope()
        self._pulse = Pulse(service.limits, wire)
        self._idle_since = trio.current_time()
        self._draining = False
        self._sent_away = False
        self._is_over = False
        self._is_behind = False
        """Whether it has read more than it has heard: the client may have answered by now."""
        self.begins_by = self._idle_since + service.limits.head_timeout
        """When the client's SETTINGS are due, with which it begins (RFC 9113, 3.4)."""
        self._head: object | None = None
        """A head that has begun and not ended when it was looked after, first at that time."""
        self._head_since = 0.0

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            # Each knows the other: what is over would wait for the collector of cycles.
            self.followers.retire()
            self.wire.retire()

    def tick(self, now: float) -> float:
        """Look after everything that time brings: heartbeats, old streams, pings, idleness.

        Return how long no further look is needed: not for long, with so much to look after.
        """
        limits = self.service.limits
        self.tidy()
        self.followers.tick(now)
        for exchange in list(self.exchanges.values()):
            exchange.tick(now)
        for refused in self.wire.overdue(now):
            self._take(refused)
        if self._pulse.stopped(now, all_sent=self.outbox.clear and not self._is_behind):
            self.service.dropped(self.transport.peer, "no_pong", "did not answer a PING")
            self.cut_off()
        self._look_after_heads(now)
        if self._is_idle and now - self._idle_since >= limits.idle_timeout:
            self._reading.cancel()
        self.flush()
        return 0.0

    def _look_after_heads(self, now: float) -> None:
        """Send the client away if it has begun to say something, and does not go on."""
        if self._is_behind:
            return  # It has gone on, perhaps, and waits for its turn to be heard.
        if not self.wire.has_begun:
            if now >= self.begins_by:
                self._send_away(SETTINGS_TIMEOUT, "no SETTINGS have come in time")
            return
        head = self.wire.unfinished_head
        if head is not self._head:
            self._head, self._head_since = head, now
        elif head is not None and now - self._head_since >= self.service.limits.head_timeout:
            self._send_away(ENHANCE_YOUR_CALM, "the head of a request did not arrive in time")

    def _send_away(self, code: int, reason: str) -> None:
        if not self._sent_away:
            self._sent_away = True
            self.service.offended(self.transport.peer, "too_late", reason)
            self.wire.close(code, reason.encode())
            self._reading.cancel()

    def drain(self) -> None:
        """End followers at once and announce the end; handlers may finish."""
        self._draining = True
        # Their last words first: there are clients that read nothing after a GOAWAY.
        self._stop_followers()
        self.wire.shutdown()
        self.flush()
        self.stream_ended()

    @property
    def _is_idle(self) -> bool:
        return not self.busy and self.wire.unfinished_head is None

    def stream_ended(self) -> None:
        """Note that an answer is over."""
        if not self.busy:
            self._idle_since = trio.current_time()
            if self._draining:
                self._reading.cancel()

    # -- reading ------------------------------------------------------------------------

    async def _converse(self) -> None:
        self.wire.start()
        try:
            with self._reading:
                first, self._first = self._first, b""
                self.left = not await self._read(first)
            if self._reading.cancelled_caught and not self._draining and not self._sent_away:
                self.service.counters.idle += 1
            self._stop_followers()
            self.stop_handlers()
            self.wire.close()
            self.windows.end()
            if not self.left:
                self.flush()
                # Who is sent away and does not read has no more patience coming.
                patience = LINGER_SECONDS if self._sent_away else math.inf
                with trio.move_on_after(patience):
                    await self._say_goodbye(LINGER_BYTES)
        finally:
            try:
                self._stop_followers()
                self.wire.close()
                self.windows.end()
            finally:
                # Those that a defect has kept from ending in order.
                for _ in range(self._counted):
                    self.service.stream_closed()

    async def _read(self, data: bytes) -> bool:
        """Act on what the client sends; return False once it has left, True if we have to."""
        hearing, peer = self.service.hearing, self.transport.peer
        while True:
            # Also of nothing: then our SETTINGS are all there is to be said.
            self._is_behind = True
            data = await hearing.now_or_in_turn(peer, partial(self._hear_some, data))
            self._is_behind = False
            if self._is_over:
                return True
            if self.outbox.size > self.service.limits.max_unread_bytes:
                # It sends and does not read the answers: no more is heard until it does.
                await self.outbox.drained()
            if data:
                await trio.lowlevel.checkpoint()
                continue
            if self._draining and not self.busy:  # A client may also break off an upload.
                return True
            data = await self.receive()
            if not data:
                return False
            self._pulse.heard()

    def _hear_some(self, data: bytes) -> bytes:
        """Act on what there is time for of what the client sends, and return the rest."""
        deadline = time.perf_counter() + TURN_SECONDS
        start = 0
        while True:
            self._is_over = self._hear(data[start : start + TURN_BYTES])
            if self._is_over:
                return b""
            self.flush()
            start += TURN_BYTES
            is_read = self.outbox.size <= self.service.limits.max_unread_bytes
            if start >= len(data) or not is_read or time.perf_counter() > deadline:
                return data[start:]

    def _hear(self, data: bytes) -> bool:
        """Act on a piece of what the client sends; True if the connection is over."""
        for happening in self.wire.receive(data, trio.current_time()):
            if isinstance(happening, Gone):
                self._note_end(happening)
                return True
            self._take(happening)
        return False

    def _note_end(self, gone: Gone) -> None:
        if gone.offence:
            self._sent_away = True
            self.service.offended(self.transport.peer, gone.offence, gone.reason)
        else:
            logger.debug("%s: %s", self.transport.peer, gone.reason)

    def _take(self, happening: Happening) -> None:
        match happening:
            case Asked(stream_id, request):
                self._answer(stream_id, request, self.service.decide(request))
                self.stream_ended()
            case RefusedStream(stream_id, refused):
                self.service.counters.refused += 1
                logger.debug("%s: refused: %s", self.transport.peer, refused.reason)
                self.respond(stream_id, Response.text(refused.status, refused.reason))
                self.stream_ended()
            case Left(stream_id):
                self.stop(stream_id)
                self.windows.wake(stream_id)
            case WindowOpened(0):
                self.widest_window = max(self.widest_window, self.wire.connection_window)
                self.windows.connection_opened()
            case WindowOpened(stream_id):
                self.windows.wake(stream_id)
            case WindowsChanged():
                self.windows.changed()
            case Pong():
                self._pulse.answered()
