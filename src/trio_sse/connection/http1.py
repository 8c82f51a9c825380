"""An HTTP/1.x connection: one request after another, each answered before the next is read.

The connection's own task reads; while a stream runs, that is how the client's leaving is
noticed. A follower costs no further task while it stands at the head of the log: the pump
writes to its socket. A task of the connection's nursery exists only for a handler, or for
a follower that has to catch up.
"""

from __future__ import annotations

import math
from collections.abc import Coroutine
from typing import Any

import trio

from ..event import encode
from ..message import Request, Response
from ..routes import Follow, Handle
from ..transport import Broken, Transport
from ..wire import Refused
from ..wire.http1 import Http1
from .endpoint import Endpoint
from .exchange import HEARTBEAT
from .handler import run_handler
from .http1_exchange import Http1Exchange
from .service import Service

__all__ = ["Http1Connection"]

FOLLOWED = Request("GET", "/")
"""Stands for what a follower has asked, which nobody asks for any more."""


class Http1Connection(Endpoint):
    """Serves one transport until either side ends it.

    There are tens of thousands of these, nearly all of them waiting for a follower to leave, so
    what is not needed for that is not kept: no request, and few coroutines within coroutines.
    """

    __slots__ = (
        "_served",
        "_waiting_for_request",
        "begins_by",
        "exchange",
        "wire",
    )

    def __init__(self, service: Service, transport: Transport, wire: Http1) -> None:
        super().__init__(service, transport)
        self.wire = wire
        self.exchange: Http1Exchange | None = None
        self._waiting_for_request: trio.CancelScope | None = None
        self._served = 0
        self.begins_by: float | None = None
        """When the first head is due, if its time has begun before the connection was made."""

    def tick(self, now: float) -> float:
        """Look after the stream: a heartbeat if it was silent, an end if it is old enough.

        Return how long no further look is needed, in seconds.
        """
        tidy = self.tidy()
        exchange, service = self.exchange, self.service
        if exchange is None or not exchange.opened or exchange.ended:
            return 0.0
        expires = math.inf if exchange.expires is None else exchange.expires
        if now >= expires:
            exchange.scope.cancel()
        elif now - exchange.last_heard >= service.silence and self.outbox.clear:
            exchange.heard = now
            exchange.say(HEARTBEAT)
        silent = exchange.last_heard + service.silence
        return min(silent - now, expires - now, service.leisure) if tidy else 0.0

    def drain(self) -> None:
        """End followers at once and the connection with its last answer; handlers may finish."""
        self.wire.close_after()
        if self._waiting_for_request is not None and not self._request_began:
            self._waiting_for_request.cancel()
        if self.exchange is not None and self.exchange.following:
            self.exchange.scope.cancel()

    def stop_handlers(self) -> None:
        """End what drain() left: the grace that handlers and late requests had is over."""
        if self._waiting_for_request is not None:
            self._waiting_for_request.cancel()
        if self.exchange is not None:
            self.exchange.scope.cancel()

    # -- the conversation ---------------------------------------------------------------

    async def _converse(self) -> None:
        while True:
            answer = self._answer(await self._next_request())
            if answer is None:
                return
            await answer
            if self.wire.must_close and not self.left:
                await self._say_goodbye()
            if self.wire.must_close or self.left:
                return
            self._served += 1
            self.wire.next_cycle()

    async def _next_request(self) -> Request | Refused | None:
        limits, wire = self.service.limits, self.wire
        if not self.service.draining and (asked := wire.next_request()) is not None:
            # It is there already, as the first one usually is: no deadline is needed.
            return asked
        wait = limits.idle_timeout if self._served else limits.head_timeout
        deadline = trio.current_time() + wait
        if self.begins_by is not None:
            deadline, self.begins_by = self.begins_by, None
        in_head = in_body = False
        with trio.CancelScope(deadline=deadline) as scope:
            self._waiting_for_request = scope
            while not self.service.draining or self._request_began:
                request = wire.next_request()
                self._send(wire.pending())
                if request is not None:
                    self._waiting_for_request = None
                    return request
                if wire.closed:
                    return None
                if wire.in_body and not in_body:
                    in_body = True
                    scope.deadline = trio.current_time() + limits.body_timeout
                elif wire.head_started and self._served and not in_head:
                    # Of a first request it counts from the start, also of the wait for it.
                    in_head = True
                    scope.deadline = trio.current_time() + limits.head_timeout
                wire.receive(await self.receive())
        if self._request_began:
            return Refused(408, "The request did not arrive in time.")
        if not self.service.draining:
            self.service.counters.idle += 1
        return None

    @property
    def _request_began(self) -> bool:
        """True while the rest of a request is awaited, whose sender is owed an answer."""
        return self.wire.head_started or self.wire.in_body

    def _answer(self, request: Request | Refused | None) -> Coroutine[Any, Any, None] | None:
        """Return what answers a request, for the caller to await; None if there is none.

        A plain function, so that nobody holds on to the request while a stream runs.
        """
        if request is None:
            return None
        if isinstance(request, Refused):
            self.service.refused_for_good(self.transport.peer, request, left=self.wire.closed)
            return self._respond(Response.text(request.status, request.reason))
        decision = self.service.decide(request)
        if isinstance(decision, Response):
            return self._respond(decision)
        headers, body = decision.headers, None
        if isinstance(decision, Follow):
            headers, body = self.service.negotiate(request, decision)
        if request.method == "HEAD":
            Http1Exchange(self, request, headers).open()
            return self.outbox.drained()
        if isinstance(decision, Follow):
            # Followers stay for hours, and what they asked takes 2 KB.
            return self._follow(Http1Exchange(self, FOLLOWED, headers, body), decision)
        return self._handle(Http1Exchange(self, request, headers), decision)

    async def _respond(self, response: Response) -> None:
        self._send(self.wire.respond(response))
        await self.outbox.drained()

    async def _follow(self, exchange: Http1Exchange, decision: Follow) -> None:
        self._begin(exchange)
        try:
            with exchange.scope:
                self._start_following(exchange, decision)
                del decision  # or it would be kept for as long as the stream runs
                await self._watch(exchange)
        finally:
            self._finish(exchange)
        exchange.end()
        await self.outbox.drained()

    def _start_following(self, exchange: Http1Exchange, decision: Follow) -> None:
        hub = decision.hub
        cursor, opening = hub.resume(decision.last_event_id)
        exchange.open()
        for event in opening:
            exchange.say(encode(event))
        exchange.start_following(hub, hub.selectors(decision.topics), cursor)

    async def _handle(self, exchange: Http1Exchange, decision: Handle) -> None:
        self._begin(exchange)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, exchange)
                await run_handler(exchange, decision)
                nursery.cancel_scope.cancel()
        finally:
            exchange.ended = True  # also if it was cut off: a task of others may have the stream
            self._finish(exchange)
        await self.outbox.drained()

    def _begin(self, exchange: Http1Exchange) -> None:
        self.exchange = exchange
        self.service.stream_opened()

    def _finish(self, exchange: Http1Exchange) -> None:
        self.exchange = None
        # Also if a task that is not the handler's still follows: once the transport is closed, the
        # number that it has lent to the hub is that of another client's.
        try:
            exchange.stop_following()
        finally:
            self.service.stream_closed()

    async def _watch(self, exchange: Http1Exchange) -> None:
        """Cancel the stream when the client leaves, or sends more than can wait for its end."""
        try:
            # Waits first: nothing is expected, and to try would be a system call in vain.
            await self.transport.wait_readable()
            while self._hears():
                await self.transport.wait_readable()
        except Broken as error:
            self._unheard(error)
        self.left = True
        exchange.scope.cancel()

    def _hears(self) -> bool:
        """Take what has arrived while the request is being answered; False if that is the end."""
        data = self.transport.receive()
        if data is None:
            return True
        self.wire.receive(data)
        if self.wire.buffered > self.service.limits.max_unread_bytes:
            reason = "sent too much while being answered"
            self.service.offended(self.transport.peer, "sent_ahead", reason)
            return False
        return data != b""

    def _send(self, data: bytes) -> None:
        if data:
            self.outbox.write(data)
