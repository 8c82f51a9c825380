"""One stream of an HTTP/2 connection that a handler answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio

from ..hub import Hub
from ..message import Request, Response
from .exchange import HEARTBEAT, Exchange, StreamClosed

if TYPE_CHECKING:
    from .http2_streams import Http2Streams

__all__ = ["Http2Exchange"]

INTERNAL_ERROR = 2  # RFC 9113, 7


class Http2Exchange(Exchange):
    """A request and its answer. Between writes nobody else writes to its stream."""

    __slots__ = ("_connection", "_rest", "stream_id")

    def __init__(
        self,
        connection: Http2Streams,
        stream_id: int,
        request: Request,
        headers: tuple[tuple[str, str], ...],
    ) -> None:
        super().__init__(connection.service, request, headers)
        self.stream_id = stream_id
        self._connection = connection
        self._rest = memoryview(b"")
        """Of an event that has begun to leave. What is written next comes after it, even if the
        task that wrote it was cancelled: nothing belongs into the middle of an event."""

    def tick(self, now: float) -> None:
        """Look after the stream: a heartbeat if it was silent, an end if it is old enough."""
        if not self.opened or self.ended:
            return
        if self.expires is not None and now >= self.expires:
            self.scope.cancel()
        elif not self.following and not self._rest:
            room = self._connection.wire.window(self.stream_id)
            if now - self.heard >= self.service.silence and room >= len(HEARTBEAT):
                self.heard = now
                self._connection.wire.send(self.stream_id, HEARTBEAT)

    def send_head(self, headers: Iterable[tuple[str, str]], opening: bytes) -> None:
        self._connection.respond_head(self.stream_id, 200, headers)
        self._connection.flush()
        # The client's window may be too small even for this; then it is no great loss.
        if self._connection.wire.window(self.stream_id) >= len(opening):
            self._connection.wire.send(self.stream_id, opening)
            self._connection.flush()

    async def write(self, payload: bytes) -> None:
        await self._send_rest()
        await self._send(memoryview(payload))
        await self._send_rest()

    async def _send_rest(self) -> None:
        while self._rest:
            await self._send(self._rest)

    async def _send(self, data: memoryview) -> None:
        self._rest = await self._connection.write(self.stream_id, data)
        self.heard = trio.current_time()

    def respond(self, response: Response) -> None:
        self._connection.respond(self.stream_id, response)
        self.ended = True
        self._connection.flush()

    async def follow(self, hub: Hub, selectors: frozenset[str], cursor: int) -> None:
        await self._send_rest()
        if not self._connection.wire.is_open(self.stream_id):
            raise StreamClosed("the stream is over")
        followers = self._connection.followers
        followers.add(self.stream_id, hub, selectors, cursor, b"")
        try:
            await trio.sleep_forever()
        finally:
            self._rest = followers.discard(self.stream_id) or self._rest

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            if self.service.draining and not self._rest:
                self._connection.wire.send(self.stream_id, self.service.farewell())
            self._connection.wire.end(self.stream_id)
            self._over()

    @property
    def stopped(self) -> bool:
        return self.scope.cancel_called or self._connection.is_cut_off

    def abort(self) -> None:
        self.ended = True
        self._connection.wire.reset(self.stream_id, INTERNAL_ERROR)
        self._over()

    def _over(self) -> None:
        self._connection.flush()
        # A task of others, or a handler that goes on, may wait for room.
        self._connection.windows.wake(self.stream_id)
