"""What becomes of the streams of an HTTP/2 connection: finite answers, followers, handlers.

A follower that stands at the head of the log costs no task (`followers`). A task of the
connection's nursery exists only for a handler, for an answer that does not fit the client's
window, or for a follower that has to catch up.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

import trio

from ..event import encode
from ..message import Request, Response
from ..routes import STREAM_HEADERS, Decision, Follow, Handle
from ..transport import Broken, Transport
from ..wire.http2 import Http2
from .endpoint import Endpoint
from .exchange import StreamClosed
from .followers import Followers
from .handler import run_handler
from .http2_exchange import Http2Exchange
from .service import Service
from .windows import Windows

__all__ = ["Http2Streams"]

CANCEL = 8  # RFC 9113, 7: "the stream is no longer needed"


class Http2Streams(Endpoint):
    """The half of `Http2Connection` that answers."""

    def __init__(self, service: Service, transport: Transport, wire: Http2) -> None:
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

    @abstractmethod
    def stream_ended(self) -> None:
        """Note that an answer is over."""

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
            exchange.ended = True  # also if it was cut off: a task of others may have the stream
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
            reason = f"stream {stream_id} stays shut"
            self.service.dropped(self.transport.peer, "window_shut", reason)
            self.wire.reset(stream_id, CANCEL)
            self.flush()
        raise StreamClosed("the stream is over")

    # -- what is open, and its end -----------------------------------------------------

    @property
    def busy(self) -> bool:
        """True while a request is on its way or being answered."""
        answering = bool(self.exchanges) or bool(self.followers) or bool(self._unfinished)
        return answering or self.wire.uploads > 0

    def stop_handlers(self) -> None:
        """End what drain() left: the grace that handlers had is over."""
        for exchange in self.exchanges.values():
            exchange.scope.cancel()

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

    # -- bytes --------------------------------------------------------------------------

    def flush(self, frames: bytes = b"") -> None:
        """Write what the wire has to say, then `frames`."""
        output = self.wire.output()
        if output or frames:
            self.outbox.write(output + frames)

    async def _drained(self) -> None:
        try:
            await self.outbox.drained()
        except Broken:
            raise StreamClosed("the client left") from None
