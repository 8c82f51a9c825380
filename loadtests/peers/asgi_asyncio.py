"""Fan-out in bare ASGI on asyncio: for uvicorn, Granian and Hypercorn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

__all__ = ["app"]

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

subscribers: set[asyncio.Queue[bytes]] = set()
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
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    subscribers.add(queue)
    try:
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        while True:
            event = await queue.get()
            await send({"type": "http.response.body", "body": event, "more_body": True})
    finally:
        subscribers.discard(queue)


async def publish(receive: Receive, send: Send) -> None:
    """Publish the request's body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    event = b"id: %d\ndata: %b\n\n" % (next(ids), body)
    for queue in subscribers:
        queue.put_nowait(event)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
