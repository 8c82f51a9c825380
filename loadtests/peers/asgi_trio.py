"""Fan-out in bare ASGI on Trio: for Hypercorn's Trio worker."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import trio

__all__ = ["app"]

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

subscribers: set[trio.MemorySendChannel[bytes]] = set()
ids = count(1)


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer /events with a stream, and /publish by publishing the body."""
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["path"] == "/events":
        await events(send)
    elif scope["path"] == "/publish":
        await publish(receive, send)


async def live(receive: Receive, send: Send) -> None:
    """Start and stop when the server does."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def events(send: Send) -> None:
    """Send all that is published from now on."""
    inlet, outlet = trio.open_memory_channel[bytes](math.inf)
    subscribers.add(inlet)
    try:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        async for event in outlet:
            await send({"type": "http.response.body", "body": event, "more_body": True})
    finally:
        subscribers.discard(inlet)


async def publish(receive: Receive, send: Send) -> None:
    """Publish the request's body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    event = b"id: %d\ndata: %b\n\n" % (next(ids), body)
    for inlet in subscribers:
        inlet.send_nowait(event)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
