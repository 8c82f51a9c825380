"""The answer to an HTTP/1.x request: the stream that a handler writes, or the hub does.

A connection answers one request at a time, so an outlet here is one follower.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio

from ..coding import Deflated
from ..hub import Hub, Outlet
from ..hub.audience import Frame
from ..message import Request, Response
from ..transport import Broken
from .exchange import Exchange, StreamClosed

if TYPE_CHECKING:
    from .http1 import Http1Connection

__all__ = ["Http1Exchange"]

CATCH_UP_BYTES = 64 * 1024
"""What a straggler is sent at a time."""


class Http1Exchange(Exchange):
    """The request that an HTTP/1.x connection is answering."""

    __slots__ = ("_body", "_connection", "_outlet")

    def __init__(
        self,
        connection: Http1Connection,
        request: Request,
        headers: tuple[tuple[str, str], ...],
        body: Deflated | None = None,
    ) -> None:
        super().__init__(connection.service, request, headers)
        self._connection = connection
        self._body = body
        self._outlet: Http1Outlet | None = None

    @property
    def last_heard(self) -> float:
        """When the client was last sent anything."""
        return max(self.heard, self._outlet.heard) if self._outlet is not None else self.heard

    def send_head(self, headers: Iterable[tuple[str, str]], opening: bytes) -> None:
        wire = self._connection.wire
        head = wire.open(200, list(headers))
        if self.request.method != "HEAD":
            head += wire.frame(opening if self._body is None else self._body.begin(opening))
        self._connection.outbox.write(head)

    def say(self, payload: bytes) -> None:
        """Send what is for this client only, after all that waits. Never blocks or raises."""
        coded = payload if self._body is None else self._body.say(payload)
        sent = self._connection.outbox.write(self._connection.wire.frame(coded))
        if not sent and self._outlet is not None:
            self._outlet.fall_behind()

    async def write(self, payload: bytes) -> None:
        outbox = self._connection.outbox
        try:
            # Before, not after: whoever is cancelled while waiting has sent nothing, and what
            # waits is one event at most.
            await outbox.drained()
        except Broken:
            raise StreamClosed("the client left") from None
        self._refuse_if_over()
        self.heard = trio.current_time()
        self.say(payload)

    def _refuse_if_over(self) -> None:
        if self._connection.left or self.ended:
            raise StreamClosed("the stream is over")

    def respond(self, response: Response) -> None:
        if not self._connection.left:
            answer = self._connection.wire.respond(response)
            self.ended = True
            self._connection.outbox.write(answer)

    async def follow(self, hub: Hub, selectors: frozenset[str], cursor: int) -> None:
        self._refuse_if_over()
        self.start_following(hub, selectors, cursor)
        try:
            await trio.sleep_forever()
        finally:
            self.stop_following()

    def start_following(self, hub: Hub, selectors: frozenset[str], cursor: int) -> None:
        """Have the hub write to this stream from now on."""
        frame = self._connection.wire.frame
        if self._body is None:
            self._outlet = Http1Outlet(self._connection, hub, selectors, frame, cursor)
        else:
            self._outlet = DeflatedOutlet(
                self._connection, hub, selectors, frame, cursor, self._body
            )
        self._outlet.heard = self.heard
        self.following = True
        self._outlet.start()

    def stop_following(self) -> None:
        """Have the hub write no more."""
        self.following = False
        if self._outlet is not None:
            self._outlet.stop()
            self.heard = self.last_heard
            self._outlet = None

    def end(self) -> None:
        self.stop_following()
        if self.ended or self._connection.left:
            return
        self.ended = True
        connection = self._connection
        last_words = self.service.farewell() if self.service.draining else b""
        if self._body is not None:
            last_words = self._body.finish(last_words)
        if last_words:
            connection.outbox.write(connection.wire.frame(last_words))
        connection.outbox.write(connection.wire.end())

    def abort(self) -> None:
        # On HTTP/1.1 the missing last chunk tells the client (RFC 9112, 8).
        self.ended = True
        self._connection.wire.close_after()

    @property
    def stopped(self) -> bool:
        return self.scope.cancel_called or self._connection.is_cut_off

    def abandon(self) -> None:
        self.abort()
        self._connection.transport.send_eof()


class Http1Outlet(Outlet):
    """One follower on one connection."""

    __slots__ = ("_catching_up", "_connection", "_hub")

    def __init__(
        self,
        connection: Http1Connection,
        hub: Hub,
        selectors: frozenset[str],
        frame: Frame,
        cursor: int,
    ) -> None:
        super().__init__(selectors, frame, cursor)
        self._connection = connection
        self.file, self.seal = connection.transport.file, connection.transport.seal
        self._hub = hub
        self._catching_up: trio.CancelScope | None = None

    def start(self) -> None:
        """Join the live ones if there is nothing to catch up with, else catch up first."""
        if self.cursor == self._hub.log.head and self._connection.outbox.clear:
            self._hub.join(self)
        else:
            self._catch_up_soon()

    def stop(self) -> None:
        """Receive no more."""
        self._hub.leave(self)
        if self._catching_up is not None:
            self._catching_up.cancel()

    def fall_behind(self) -> None:
        """Be live no more: something waits to be written first, or nothing can be any more."""
        if self.audience is not None:
            self._hub.leave(self)
            if self._connection.outbox.size:
                self._catch_up_soon()

    def deliver(self, framed: bytes, stop: int) -> None:
        self.cursor = stop
        if not self._connection.outbox.write(framed):
            self.fall_behind()

    def delivered(self, framed: bytes, stop: int, sealed: bytes, taken: int) -> None:
        self.cursor = stop
        if taken < len(sealed):
            connection = self._connection
            connection.outbox.keep(connection.transport.wrote(framed, sealed, taken))
            self.fall_behind()

    def cut_off(self) -> None:
        self._connection.fail()

    def _catch_up_soon(self) -> None:
        self._catching_up = trio.CancelScope()
        self._connection.start_soon(self._catch_up, self._catching_up)

    async def _catch_up(self, scope: trio.CancelScope) -> None:
        outbox, hub = self._connection.outbox, self._hub
        with scope:
            while True:
                await outbox.drained()
                payload, self.cursor = hub.read(
                    self.selectors, self.cursor, max_bytes=CATCH_UP_BYTES
                )
                if not payload:
                    self._catching_up = None
                    hub.join(self)
                    return
                self.heard = trio.current_time()
                outbox.write(self._frame_alone(payload))

    def _frame_alone(self, payload: bytes) -> bytes:
        """Frame what is sent to nobody else."""
        return self.frame(payload)

    def __len__(self) -> int:
        return 1


class DeflatedOutlet(Http1Outlet):
    """One follower whose stream is compressed: the same bytes for all, a checksum of its own."""

    __slots__ = ("_body",)

    def __init__(
        self,
        connection: Http1Connection,
        hub: Hub,
        selectors: frozenset[str],
        frame: Frame,
        cursor: int,
        body: Deflated,
    ) -> None:
        broadcast = body.coding.broadcast(frame, (hub, selectors))
        super().__init__(connection, hub, selectors, broadcast, cursor)
        self._body = body

    def deliver(self, framed: bytes, stop: int) -> None:
        super().deliver(framed, stop)
        self._body.hear(framed)

    def delivered(self, framed: bytes, stop: int, sealed: bytes, taken: int) -> None:
        super().delivered(framed, stop, sealed, taken)
        self._body.hear(framed)

    def _frame_alone(self, payload: bytes) -> bytes:
        return self._connection.wire.frame(self._body.say(payload))
