"""An HTTP/2 connection: many streams, one task that reads, and groups that the pump writes.

A follower that stands at the head of the log costs no task (`followers`). A task of the
connection's nursery exists only for a handler, for an answer that does not fit the client's
window, or for a follower that has to catch up.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from functools import partial

import trio

from ..event import encode
from ..message import Request, Response
from ..routes import STREAM_HEADERS, Decision, Follow, Handle
from ..transport import Broken, Transport
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
from .endpoint import LINGER_SECONDS, Endpoint
from .exchange import StreamClosed
from .followers import Followers
from .handler import run_handler
from .http2_exchange import Http2Exchange
from .pulse import Pulse
from .service import Service
from .windows import Windows

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
CANCEL = 8  # RFC 9113, 7: "the stream is no longer needed"


class Http2Connection(Endpoint):
    """Serves one transport until either side ends it."""

    def __init__(
        self, service: Service, transport: Transport, wire: Http2, first: bytes = b""
    ) -> None:
        super().__init__(service, transport)
        self.wire = wire
        self.followers = Followers(self)
        self.exchanges: dict[int, Http2Exchange] = {}
        """Streams that a handler answers, by id."""
        self._counted = 0
        """Streams of followers that the service counts as open."""
        self._unfinished = 0
        """Finite answers of which the client's windows hold up a part."""
        self.widest_window = wire.connection_window
        """The most that the client has been willing to have under way."""
        self.windows = Windows(wire)
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
            self.service.counters.dropped += 1
            logger.debug("%s: did not answer a PING", self.transport.peer)
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

    def stop_handlers(self) -> None:
        """End what drain() left: the grace that handlers had is over."""
        for exchange in self.exchanges.values():
            exchange.scope.cancel()

    @property
    def busy(self) -> bool:
        """True while a request is on its way or being answered."""
        answering = bool(self.exchanges) or bool(self.followers) or bool(self._unfinished)
        return answering or self.wire.uploads > 0

    @property
    def _is_idle(self) -> bool:
        return not self.busy and self.wire.unfinished_head is None

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

    # -- answering ----------------------------------------------------------------------

    def _answer(self, stream_id: int, request: Request, decision: Decision) -> None:
        if isinstance(decision, Response):
            self.respond(stream_id, decision, head_only=request.method == "HEAD")
        elif isinstance(decision, Follow):
            headers, body = self.service.negotiate(request, decision)
            if request.method == "HEAD":
                self.respond_head(stream_id, 200, (*STREAM_HEADERS, *headers), end=True)
                return
            self.service.stream_opened()
            self._counted += 1
            selectors = decision.hub.selectors(decision.topics)
            cursor, gap = decision.hub.resume(decision.last_event_id)
            self.respond_head(stream_id, 200, (*STREAM_HEADERS, *headers))
            opening = self.service.opening() + b"".join(map(encode, gap))
            self.followers.add(stream_id, decision.hub, selectors, cursor, opening, body)
        elif request.method == "HEAD":
            self.respond_head(stream_id, 200, (*STREAM_HEADERS, *decision.headers), end=True)
        else:
            exchange = Http2Exchange(self, stream_id, request, decision.headers)
            self.exchanges[stream_id] = exchange
            self.start_soon(self._handle, exchange, decision)

    async def _handle(self, exchange: Http2Exchange, decision: Handle) -> None:
        self.service.stream_opened()
        try:
            await run_handler(exchange, decision)
        finally:
            self.service.stream_closed()
            del self.exchanges[exchange.stream_id]
            self.stream_ended()
        self.flush()

    def respond(self, stream_id: int, response: Response, *, head_only: bool = False) -> None:
        """Send a finite answer, in a task of its own if it does not fit the client's window."""
        if not self.wire.is_open(stream_id):
            return
        headers, body = response.headers, response.body
        if response.status in (204, 304):
            body = b""
        else:
            headers = (*headers, ("content-length", str(len(body))))
        if head_only:
            body = b""
        self.respond_head(stream_id, response.status, headers, end=not body)
        taken = self.wire.send(stream_id, body)
        if taken < len(body):
            self._unfinished += 1
            self.start_soon(self._send_rest, stream_id, memoryview(body)[taken:])
        elif body:
            self.wire.end(stream_id)

    async def _send_rest(self, stream_id: int, rest: memoryview) -> None:
        while rest:
            try:
                rest = await self.write(stream_id, rest)
            except StreamClosed:
                break
        self.wire.end(stream_id)
        self._unfinished -= 1
        self.stream_ended()
        self.flush()

    def respond_head(
        self,
        stream_id: int,
        status: int,
        headers: Iterable[tuple[str, str]],
        *,
        end: bool = False,
    ) -> None:
        """Queue the head of an answer."""
        self.wire.respond_head(stream_id, status, list(headers), end=end)

    async def write(self, stream_id: int, data: memoryview) -> memoryview:
        """Send what the client takes, something at least, and return the rest.

        Waits for room. Whoever is cancelled while waiting has sent nothing. Raises StreamClosed.
        A stream whose window stays shut for `write_timeout` seconds is reset, and so is one for
        which the connection's does. While the client opens that, its other streams may well use
        it up each time: that is no fault of this one.
        """
        await self._drained()
        timeout = self.service.limits.write_timeout
        deadline, granted = trio.current_time() + timeout, self.wire.granted
        while self.wire.is_open(stream_id):
            taken = self.wire.send(stream_id, data)
            if taken:
                self.flush()
                return data[taken:]
            if await self.windows.opened_for_stream(stream_id, len(data), deadline):
                continue
            if self.wire.granted > granted and not self.wire.is_shut(stream_id):
                deadline, granted = trio.current_time() + timeout, self.wire.granted
                continue
            self.service.counters.dropped += 1
            logger.debug("%s: stream %d stays shut", self.transport.peer, stream_id)
            self.wire.reset(stream_id, CANCEL)
            self.flush()
        raise StreamClosed("the stream is over")

    # -- bytes and ends -----------------------------------------------------------------

    def flush(self, frames: bytes = b"") -> None:
        """Write what the wire has to say, then `frames`."""
        output = self.wire.output()
        if output or frames:
            self.outbox.write(output + frames)

    def stop(self, stream_id: int) -> None:
        """End the stream of a follower, if it is one that no handler has."""
        if stream_id in self.exchanges:
            self.exchanges[stream_id].scope.cancel()
        elif self.followers.end(stream_id):
            if self._counted:  # else a defect has left behind what a handler followed with
                self._counted -= 1
                self.service.stream_closed()
            self.stream_ended()

    def _stop_followers(self) -> None:
        for stream_id in self.followers:
            self.stop(stream_id)

    def stream_ended(self) -> None:
        """Note that an answer is over."""
        if not self.busy:
            self._idle_since = trio.current_time()
            if self._draining:
                self._reading.cancel()

    async def _drained(self) -> None:
        try:
            await self.outbox.drained()
        except Broken:
            raise StreamClosed("the client left") from None
