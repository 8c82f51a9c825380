"""The ASGI 3 callable: one instance serves the requests of one process, under one `Service`.

Owns who answers what, refusing what we do not speak, and the graceful stop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import trio

from ..connection.handler import run_handler
from ..connection.service import Service
from ..event import encode
from ..limits import Limits
from ..message import Response
from ..routes import Decision, Follow, Handle, Routes
from .exchange import LAST_WORDS_SECONDS, AsgiExchange
from .lifespan import Life, Lifespan
from .request import Receive, Scope, Send, read_body, request_of

__all__ = ["Application", "ApplicationStatistics"]

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ApplicationStatistics:
    """What an application holds and has done."""

    streams: int
    """Event streams open now."""
    requests: int
    refused: int
    """Requests whose body was too large or too late."""
    failed: int
    """Handlers and endpoints that raised, and streams that ended by a defect of ours."""
    dropped: int
    """Streams whose client took nothing in time."""


class Application:
    """Routes as an ASGI 3 application, for a server that runs on Trio.

    `limits` counts as on our own server, but for what belongs to connections: they are the
    server's. `lifespan` is an `@asynccontextmanager` function without arguments, entered before
    the first request and left after the last: the place to open a hub, and to start tasks. It
    may yield the routes, in place of `routes`. A server may live several times, as in tests; each
    time the lifespan is called anew.
    """

    def __init__(
        self,
        routes: Routes | None = None,
        limits: Limits = DEFAULT_LIMITS,
        *,
        lifespan: Lifespan | None = None,
    ) -> None:
        if routes is None and lifespan is None:
            raise ValueError(
                "there is nothing to serve: give routes, or a lifespan that yields them"
            )
        self._routes = routes
        self._service = Service(routes or Routes(), limits)
        self._life = Life(lifespan)
        self._exchanges: dict[AsgiExchange, None] = {}
        self._all_gone = trio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the server's life.

        Raises RuntimeError for a request on something else than Trio, or outside of the lifespan.
        """
        kind = scope["type"]
        if kind == "lifespan":
            await self._life.live(receive, send, self._begin, self.drain)
            return
        self._life.check()
        if kind == "http":
            await self._answer(scope, receive, send)
        elif kind == "websocket":
            # Before it is accepted the server makes a 403 of it (ASGI WebSocket, "Close").
            await receive()
            await send({"type": "websocket.close"})
        else:
            raise ValueError(f"trio_sse.asgi knows nothing of ASGI's {kind!r}")

    async def drain(self) -> None:
        """Stop gracefully; returns when it is done.

        From now on requests are answered with 503. Followers are told when to come back and end,
        handlers have `Limits.drain_timeout` seconds to finish. To be called while the server still
        serves: Hypercorn says `lifespan.shutdown` when it has cut off everyone already.
        """
        self._service.draining = True
        for exchange in list(self._exchanges):
            if exchange.following:
                exchange.stop()
                # 10,000 of them at once would hold up everyone else.
                await trio.lowlevel.checkpoint()
        with trio.move_on_after(self._service.limits.drain_timeout):
            await self._emptied()
            return
        for exchange in list(self._exchanges):
            exchange.stop()
        with trio.move_on_after(LAST_WORDS_SECONDS):
            await self._emptied()

    def statistics(self) -> ApplicationStatistics:
        """Return counts as of now."""
        counters = self._service.counters
        return ApplicationStatistics(
            streams=counters.open_streams,
            requests=counters.requests,
            refused=counters.refused,
            failed=counters.failed,
            dropped=counters.drops.total(),
        )

    def _begin(self, yielded: object) -> None:
        """Serve from now on what the lifespan has yielded."""
        routes = yielded if isinstance(yielded, Routes) else self._routes
        if routes is None:
            raise TypeError("the lifespan yields no Routes, and the application was given none")
        self._service.routes = routes
        self._service.draining = False  # That was the last time.

    async def _emptied(self) -> None:
        while self._exchanges:
            self._all_gone = trio.Event()
            await self._all_gone.wait()

    # -- requests -----------------------------------------------------------------------

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, request = self._service, request_of(scope)
        body = await read_body(request.headers, receive, service.limits)
        if body is None:
            return
        decision: Decision
        if isinstance(body, Response):
            service.counters.refused += 1
            decision = body
        else:
            request = replace(request, body=body)
            decision = service.decide(request)
        exchange = AsgiExchange(
            service, request, decision.headers, send, handled=isinstance(decision, Handle)
        )
        self._exchanges[exchange] = None
        try:
            if isinstance(body, Response):
                await self._refuse(body, exchange, receive)
            else:
                await self._carry_out(decision, exchange, receive)
        finally:
            del self._exchanges[exchange]
            if not self._exchanges:
                self._all_gone.set()

    async def _carry_out(
        self, decision: Decision, exchange: AsgiExchange, receive: Receive
    ) -> None:
        if isinstance(decision, Response):
            exchange.respond(decision)
            await exchange.speak()
        elif exchange.request.method == "HEAD":
            exchange.open()
            exchange.end()
            await exchange.speak()
        else:
            self._service.stream_opened()
            try:
                await self._stream(decision, exchange, receive)
            finally:
                self._service.stream_closed()

    async def _refuse(self, response: Response, exchange: AsgiExchange, receive: Receive) -> None:
        async with trio.open_nursery() as watching:
            watching.start_soon(exchange.watch, receive)
            exchange.refuse(response)
            await exchange.speak()
            watching.cancel_scope.cancel()

    async def _stream(
        self, decision: Follow | Handle, exchange: AsgiExchange, receive: Receive
    ) -> None:
        async with trio.open_nursery() as watching:
            watching.start_soon(exchange.watch, receive)
            if isinstance(decision, Handle):
                async with trio.open_nursery() as handling:
                    handling.start_soon(run_handler, exchange, decision)
                    await exchange.speak()
            else:
                cursor, opening = decision.hub.resume(decision.last_event_id)
                exchange.open()
                for event in opening:
                    exchange.say_soon(encode(event))
                selectors = decision.hub.selectors(decision.topics)
                exchange.start_following(decision.hub, selectors, cursor)
                await exchange.speak()
            watching.cancel_scope.cancel()
