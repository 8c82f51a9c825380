"""One answer, read by either protocol: for what must hold on both alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from trio_sse.event import Event
from trio_sse.hub import Hub
from trio_sse.limits import Limits
from trio_sse.routes import Handler

from .http1_client import Cut, Http1Client
from .http2_client import LARGEST_WINDOW, Http2Client
from .memory_server import MemoryServer, serving
from .sites import routes_to

__all__ = ["BOTH", "PROTOCOLS", "Protocol", "Reader", "ask", "streaming"]

Protocol = Literal["HTTP/1.1", "HTTP/2"]
PROTOCOLS: tuple[Protocol, ...] = ("HTTP/1.1", "HTTP/2")

BOTH = pytest.mark.parametrize("protocol", PROTOCOLS)
"""Marks a test of what must hold on both."""

Ending = Literal["proper", "cut"]


class Reader(ABC):
    """An answer on a connection of its own. It is read only when something is asked of it."""

    @abstractmethod
    async def status(self) -> int:
        """Read the head."""

    @abstractmethod
    async def events(self, count: int) -> list[Event]:
        """Read the next `count` events."""

    @abstractmethod
    async def read_until(self, text: bytes) -> None:
        """Read until `text` is in the body."""

    @abstractmethod
    async def ending(self) -> Ending:
        """Read to the end, and tell whether it is a proper one."""

    @property
    @abstractmethod
    def headers(self) -> dict[str, str]:
        """The head's fields."""

    @abstractmethod
    def poll(self) -> bytes:
        """Read what has come of the body, without waiting."""

    @property
    @abstractmethod
    def body(self) -> bytes:
        """What has been read of the body so far."""

    @abstractmethod
    def leave(self) -> None:
        """Close the connection."""

    async def data(self, count: int) -> list[str | None]:
        """Read the data of the next `count` events."""
        return [event.data for event in await self.events(count)]


class _Http1Reader(Reader):
    def __init__(self, client: Http1Client) -> None:
        self.client = client

    async def status(self) -> int:
        return await self.client.head()

    async def events(self, count: int) -> list[Event]:
        return await self.client.events(count)

    async def read_until(self, text: bytes) -> None:
        await self.client.read_until(text)

    @property
    def headers(self) -> dict[str, str]:
        return self.client.headers

    def poll(self) -> bytes:
        before = len(self.body)
        self.client.poll()
        return self.body[before:]

    async def ending(self) -> Ending:
        try:
            await self.client.rest()
        except Cut:
            return "cut"
        return "proper"

    @property
    def body(self) -> bytes:
        return self.client.body

    def leave(self) -> None:
        self.client.leave()


class _Http2Reader(Reader):
    def __init__(self, client: Http2Client, stream_id: int) -> None:
        self.client = client
        self.stream_id = stream_id

    async def status(self) -> int:
        return await self.client.head(self.stream_id)

    async def events(self, count: int) -> list[Event]:
        return await self.client.events(self.stream_id, count)

    async def read_until(self, text: bytes) -> None:
        await self.client.until(lambda: text in self.body)

    @property
    def headers(self) -> dict[str, str]:
        return self.client.heads[self.stream_id]

    def poll(self) -> bytes:
        before = len(self.body)
        self.client.take()
        return self.body[before:]

    async def ending(self) -> Ending:
        client, stream_id = self.client, self.stream_id
        await client.until(
            lambda: client.is_closed or stream_id in client.ended or stream_id in client.resets
        )
        if stream_id not in client.ended:
            return "cut"
        assert client.inflaters[stream_id].is_complete, "the coding ends in the middle"
        return "proper"

    @property
    def body(self) -> bytes:
        return self.client.bodies[self.stream_id]

    def leave(self) -> None:
        self.client.leave()


async def ask(
    server: MemoryServer,
    protocol: Protocol,
    target: str = "/",
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    capacity: int = 64 * 1024,
    window: int = LARGEST_WINDOW,
) -> Reader:
    """Connect and send a request. `window` is the HTTP/2 stream's."""
    transport = server.connect(capacity=capacity)
    if protocol == "HTTP/2":
        http2 = Http2Client(transport, stream_window=window)
        return _Http2Reader(http2, http2.ask(target, method=method, headers=headers, body=body))
    http1 = Http1Client(transport)
    await http1.ask(target, method=method, headers=headers, body=body)
    return _Http1Reader(http1)


@asynccontextmanager
async def streaming(
    handler: Handler,
    protocol: Protocol,
    limits: Limits | None = None,
    *,
    hub: Hub | None = None,
    capacity: int = 64 * 1024,
    window: int = LARGEST_WINDOW,
) -> AsyncIterator[tuple[MemoryServer, Reader]]:
    """Run a server for the length of the block, and a client that has the head of what its one
    handler answers. Of `hub` nothing may be left afterwards.
    """
    async with serving(routes_to(handler), limits, hub=hub) as server:
        reader = await ask(server, protocol, capacity=capacity, window=window)
        await reader.status()
        yield server, reader
