"""A request that came by ASGI, and its answer: the third `Exchange`, beside HTTP/1.1 and HTTP/2.

Everything that is said goes through one task, `speak`, and its `Sender`. What is said comes from
a handler, an event at a time, or from a hub through an `AsgiOutlet`.

ASGI has no word for cutting an answer off. Who returns without having ended it has the server
close the connection on HTTP/1.1; on HTTP/2 there may be others on it, and Hypercorn (0.18) leaves
the stream open for ever. There an answer that fails is ended like any other: an EventSource
comes back all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

import trio

from ..connection.exchange import HEARTBEAT, Exchange, StreamClosed
from ..connection.service import Service
from ..hub import Hub
from ..message import Request, Response
from .outlet import AsgiOutlet
from .request import Receive, Send
from .sender import Sender, Stalled, body

__all__ = ["LAST_WORDS_SECONDS", "AsgiExchange"]


LAST_WORDS_SECONDS = 1.0
"""How long a server that stops, or that could not say an event, is given for the end of it."""


class AsgiExchange(Exchange):
    """An answer on its way to an ASGI server. `handled`: by a handler, not for a mere follower."""

    __slots__ = (
        "_aborted",
        "_ending",
        "_handled",
        "_outlet",
        "_sender",
        "_speaking",
        "_unread",
        "left",
    )

    def __init__(
        self,
        service: Service,
        request: Request,
        headers: tuple[tuple[str, str], ...],
        send: Send,
        *,
        handled: bool,
    ) -> None:
        super().__init__(service, request, headers)
        self.left = False
        """The client is gone: nothing needs to be said any more."""
        self._sender = Sender(send, service.limits.write_timeout)
        self._handled = handled
        self._aborted = False
        self._ending = False
        """The last of it is being said."""
        self._unread: trio.Event | None = None
        self._speaking = trio.CancelScope()
        self._outlet: AsgiOutlet | None = None

    # -- what answers -------------------------------------------------------------------

    def send_head(self, headers: Iterable[tuple[str, str]], opening: bytes) -> None:
        self._sender.begin(200, headers)
        if self.request.method != "HEAD":
            self._sender.add(opening)

    async def write(self, payload: bytes) -> None:
        # Before, not after: whoever is cancelled while waiting has sent nothing.
        await trio.lowlevel.checkpoint()
        while not (self.clear or self.left or self.ended):
            await self._sender.drained()
        # Who is cancelled just when the wait is over is not told by the wait.
        await trio.lowlevel.checkpoint_if_cancelled()
        self._refuse_if_over()
        self._sender.add(payload)

    def _refuse_if_over(self) -> None:
        if self.left or self.ended:
            raise StreamClosed("the stream is over")

    def respond(self, response: Response) -> None:
        if self.left or self.ended:
            return
        self.ended = True
        bodiless = response.status in (204, 304)
        length = () if bodiless else (("content-length", str(len(response.body))),)
        self._sender.begin(response.status, (*response.headers, *length))
        if not bodiless and self.request.method != "HEAD":
            self._sender.add(response.body)

    def refuse(self, response: Response) -> None:
        """As `respond`, to a request whose body has not been read: `watch` passes it over.

        Hypercorn (0.18) waits for ever for who leaves more than a few pieces of a body with it,
        and falls over all its connections when HTTP/2 brings a piece after the answer's end.
        """
        self._unread = trio.Event()
        self.respond(response)

    async def follow(self, hub: Hub, selectors: frozenset[str], cursor: int) -> None:
        self._refuse_if_over()
        self.start_following(hub, selectors, cursor)
        try:
            await trio.sleep_forever()
        finally:
            self.stop_following()

    def start_following(self, hub: Hub, selectors: frozenset[str], cursor: int) -> None:
        """Say from now on what the hub has."""
        self.following = True
        self._outlet = AsgiOutlet(self, hub, selectors, cursor)
        self._sender.wake()

    def stop_following(self) -> None:
        """Take nothing more from the hub."""
        self.following = False
        if self._outlet is not None:
            self._outlet.stop()
            self._outlet = None

    def end(self) -> None:
        self.stop_following()
        if not self.ended:
            self.ended = True
            if self.service.draining:
                self._sender.add(self.service.farewell())
            self._sender.wake()

    def abort(self) -> None:
        self.stop_following()
        self.ended = self._aborted = True
        self._sender.wake()

    # -- what the application and the hub ask -----------------------------------------------

    def stop(self) -> None:
        """End the stream, be it old or the server about to stop. A handler is cancelled first."""
        if self._unread is not None:
            self._unread.set()
        if self._handled:
            self.scope.cancel()
        else:
            self.end()

    def say_soon(self, payload: bytes) -> None:
        """Have bytes said after all that waits."""
        self._sender.add(payload)

    @property
    def clear(self) -> bool:
        """True if nothing waits, and nothing is being said."""
        return self._sender.clear

    async def watch(self, receive: Receive) -> None:
        """Wait until the client leaves, and stop everything then."""
        while (message := await receive())["type"] != "http.disconnect":
            if self._unread is not None and not message.get("more_body", False):
                self._unread.set()
        self._leave()

    async def speak(self) -> None:
        """Say what there is to say until the answer is over or the client has left."""
        try:
            with self._speaking:
                await self._speak()
        except trio.Cancelled:
            # The server stops and grants no more time. What can still be said is when to return.
            if self.opened and not (self.left or self.ended or self._sender.sending):
                with trio.CancelScope(shield=True, deadline=_soon()):
                    await self._say(body(self.service.farewell()))
                    await self._say(body(b"", more=False))
            raise
        finally:
            self.stop_following()

    # -- speaking -----------------------------------------------------------------------

    async def _speak(self) -> None:
        while not self.left:
            self._look_at_the_clock()
            if message := self._sender.take() or self._read():
                await self._say(message)
            elif self.ended:
                await self._say_end()
                return
            else:
                await self._sender.news(self._due())

    def _read(self) -> dict[str, Any] | None:
        payload = self._outlet.read() if self._outlet is not None else b""
        return body(payload) if payload else None

    def _due(self) -> float:
        """Return when the stream needs looking after."""
        if not self.opened or self.ended:
            return inf
        return min(self.heard + self.service.limits.heartbeat, self.expires or inf)

    def _look_at_the_clock(self) -> None:
        """End the stream if it is old enough; send a heartbeat if it was silent."""
        if not self.opened or self.ended:
            return
        now = trio.current_time()
        if self.expires is not None and now >= self.expires:
            self.expires = None
            self.stop()
        elif now >= self.heard + self.service.limits.heartbeat and self._sender.empty:
            # The sum of `_due`: by the difference it may not be time yet when it is.
            self._sender.add(HEARTBEAT)

    async def _say(self, message: dict[str, Any]) -> None:
        try:
            if not await self._sender.say(message):
                self._leave()
        except Stalled as error:
            self.service.dropped(self.request.peer, "took_nothing", str(error))
            # What came of the message nobody knows, so nothing may follow it.
            self._sender.drop()
            self._handled = False
            self.abort()
            self.scope.cancel()
            self._sender.release()
        self.heard = trio.current_time()

    async def _say_end(self) -> None:
        if self._unread is not None:
            over_http2 = self.request.protocol == "HTTP/2"
            with trio.move_on_after(inf if over_http2 else self.service.limits.body_timeout):
                await self._unread.wait()
        self._ending = True
        if self._aborted and self.request.protocol in ("HTTP/1.0", "HTTP/1.1"):
            return
        with trio.move_on_after(LAST_WORDS_SECONDS if self._aborted else inf):
            await self._say(body(b"", more=False))

    def _leave(self) -> None:
        self.left = True
        self.scope.cancel()
        if self._ending:
            # A server says so too when it has taken the last, and may have something left to do:
            # Hypercorn starts the timer of an idle connection, in this very call.
            self._speaking.deadline = _soon()
        else:
            self._speaking.cancel()
        self._sender.release()


def _soon() -> float:
    return trio.current_time() + LAST_WORDS_SECONDS
