"""What a handler holds: one event stream to one client.

Everything a handler may do is here; how it reaches the wire is the exchange's business.
"""

from __future__ import annotations

from collections.abc import Mapping

import trio

from ..event import Event, encode, encode_comment
from ..hub import Hub
from ..message import Request
from .exchange import Exchange, StreamClosed

__all__ = ["Stream"]


class Stream:
    """An event stream that a handler writes. When the client leaves, the handler is cancelled.

    The head leaves with the first `send`, `comment`, `follow` or `open`, and at the latest
    when the handler waits for the first time (unless it was registered with `eager=False`).
    Until then the handler may return a `Response` instead, such as a 204, after which an
    EventSource does not come back. When the handler returns None the stream ends, and an
    EventSource reconnects.
    """

    __slots__ = ("_exchange", "_turn", "params", "request")

    def __init__(self, exchange: Exchange, params: Mapping[str, str]) -> None:
        self._exchange = exchange
        self._turn = trio.StrictFIFOLock()
        self.request: Request = exchange.request
        """The request with its body, headers, query and last event id."""
        self.params = params
        """What the `{name}` parts of the route's path matched."""

    async def open(self) -> None:
        """Send the head and a first comment now, so that the client's `onopen` fires."""
        await trio.lowlevel.checkpoint()
        self._exchange.open()

    async def send(self, event: Event | str) -> None:
        """Send an event, or text as an event's data. Waits while the client is slow.

        Raises StreamClosed once the stream is over, and InvalidEvent for text that no event
        can hold. A client that takes nothing for `Limits.write_timeout` seconds is dropped.
        If cancelled, the event is not sent; or it is, in full, if part of it had left already.
        """
        await self._write(encode(Event(event) if isinstance(event, str) else event))

    async def comment(self, text: str = "") -> None:
        """Send a comment, which clients ignore and idle timeouts do not. Waits like `send`."""
        await self._write(encode_comment(text))

    async def follow(self, hub: Hub, *topics: str) -> None:
        """Send what is published to the topics from now on, or from the request's last event
        id on, until the client leaves or the task is cancelled; nothing else can be sent then.

        When the server drains, the stream and its handler end at once. Raises InvalidTopic, and
        StreamClosed once the stream is over.
        """
        selectors = hub.selectors(topics)
        cursor, opening = hub.resume(self.request.last_event_id)
        async with self._turn:
            self._exchange.open()
            for event in opening:
                await self._exchange.write(encode(event))
            self._exchange.following = True
            try:
                if self._exchange.service.draining:
                    # The drain has ended all who followed; this one is too late to be among them.
                    self._exchange.scope.cancel()
                    await trio.lowlevel.checkpoint()
                with trio.CancelScope() as self._exchange.follow_scope:
                    await self._exchange.follow(hub, selectors, cursor)
            finally:
                self._exchange.following = False
                self._exchange.follow_scope = None
            raise StreamClosed("the stream is over")

    async def _write(self, payload: bytes) -> None:
        if self._exchange.following:
            raise RuntimeError("this stream follows a hub: publish to one of its topics instead")
        async with self._turn:
            self._exchange.open()
            await self._exchange.write(payload)
