"""One request and its answer, as the code that answers sees it, whatever the protocol.

`Exchange` is the seam between a protocol's connection, which implements it, and `Stream`,
which handlers use.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

import trio

from ..hub import Hub
from ..message import Request, Response
from ..routes import STREAM_HEADERS

if TYPE_CHECKING:
    from .service import Service

__all__ = ["HEARTBEAT", "Exchange", "StreamClosed"]

HEARTBEAT = b":\n\n"
"""A comment without text: the shortest thing that says the stream is alive."""


class StreamClosed(Exception):
    """The stream is over: the client left, or the server ended it. An ordinary ending."""


class Exchange(ABC):
    """A request that is being answered."""

    __slots__ = (
        "ended",
        "expires",
        "follow_scope",
        "following",
        "headers",
        "heard",
        "opened",
        "request",
        "scope",
        "service",
    )

    def __init__(
        self, service: Service, request: Request, headers: tuple[tuple[str, str], ...]
    ) -> None:
        self.service = service
        self.request = request
        self.headers = headers
        """What the routes add to the head of the answer."""
        self.opened = False
        self.ended = False
        """Answered in full, or cut off: nothing more is said."""
        self.following = False
        self.follow_scope: trio.CancelScope | None = None
        """Cancelled when the handler has ended: it may be a task of others that follows."""
        self.scope = trio.CancelScope()
        """Cancelled when the client leaves or the server ends the stream."""
        self.heard = trio.current_time()
        self.expires = service.expiry(self.heard)

    def open(self) -> None:
        """Send the head of the stream and a first comment at once; only the first call counts.

        Raises StreamClosed.
        """
        if self.ended:
            raise StreamClosed("the stream is over")
        if not self.opened:
            self.opened = True
            self.send_head((*STREAM_HEADERS, *self.headers), self.service.opening())

    @abstractmethod
    def send_head(self, headers: Iterable[tuple[str, str]], opening: bytes) -> None:
        """Queue the head of a 200 answer and the first bytes of its body."""

    @abstractmethod
    async def write(self, payload: bytes) -> None:
        """Send whole encoded events; waits while the client is slow. Raises StreamClosed."""

    @abstractmethod
    def respond(self, response: Response) -> None:
        """Queue a finite answer instead of a stream, if the client is still there."""

    @abstractmethod
    async def follow(self, hub: Hub, selectors: frozenset[str], cursor: int) -> None:
        """Receive from the hub until cancelled."""

    @abstractmethod
    def end(self) -> None:
        """End the stream properly, if the client is still there and it has not ended."""

    @abstractmethod
    def abort(self) -> None:
        """Cut the stream off, so that the client can tell that it is not complete."""

    @property
    def stopped(self) -> bool:
        """Whether its handler was told to stop."""
        return self.scope.cancel_called

    def abandon(self) -> None:
        """Cut the stream off though its handler goes on."""
        self.abort()
