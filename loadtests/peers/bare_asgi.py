"""What the bare ASGI applications share: two paths, a 404, a lifespan, and what a publish does.

A subscriber is a queue, of whichever kind the server's event loop has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

__all__ = ["Application", "Queue", "fan_out"]

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

Put = Callable[[bytes], None]
Queue = tuple[Put, Callable[[], Awaitable[bytes]]]
"""How an event is put into it at once, and how the next one is waited for."""


def fan_out(make_queue: Callable[[], Queue]) -> Application:
    """Return an application that answers /events with a stream, and /publish by publishing."""
    subscribers: set[Put] = set()
    ids = count(1)

    async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
        elif scope["path"] == "/events":
            await events(send)
        elif scope["path"] == "/publish":
            await publish(receive, send)
        else:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def events(send: Send) -> None:
        put, get = make_queue()
        subscribers.add(put)
        try:
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
            while True:
                event = await get()
                await send({"type": "http.response.body", "body": event, "more_body": True})
        finally:
            subscribers.discard(put)

    async def publish(receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        event = b"id: %d\ndata: %b\n\n" % (next(ids), body)
        for put in subscribers:
            put(event)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return application


async def live(receive: Receive, send: Send) -> None:
    """Start and stop when the server does."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
