"""Fan-out with sse-starlette, as its users write it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count

from sse_starlette import EventSourceResponse, ServerSentEvent  # type: ignore[import-not-found]
from starlette.applications import Starlette  # type: ignore[import-not-found]
from starlette.requests import Request  # type: ignore[import-not-found]
from starlette.responses import Response  # type: ignore[import-not-found]
from starlette.routing import Route  # type: ignore[import-not-found]

__all__ = ["app"]

subscribers: set[asyncio.Queue[ServerSentEvent]] = set()
ids = count(1)


async def events(request: Request) -> EventSourceResponse:
    """Send all that is published from now on."""
    queue: asyncio.Queue[ServerSentEvent] = asyncio.Queue()
    subscribers.add(queue)

    async def published() -> AsyncIterator[ServerSentEvent]:
        try:
            while True:
                yield await queue.get()
        finally:
            subscribers.discard(queue)

    return EventSourceResponse(published(), sep="\n")


async def publish(request: Request) -> Response:
    """Publish the request's body."""
    event = ServerSentEvent((await request.body()).decode(), id=str(next(ids)))
    for queue in subscribers:
        queue.put_nowait(event)
    return Response(status_code=204)


app = Starlette(
    routes=[Route("/events", events), Route("/publish", publish, methods=["POST"])],
)
