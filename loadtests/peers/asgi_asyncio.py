"""Fan-out in bare ASGI on asyncio: for uvicorn, Granian and Hypercorn."""

from __future__ import annotations

import asyncio

from .bare_asgi import Queue, fan_out

__all__ = ["app"]


def make_queue() -> Queue:
    """Return a queue of asyncio."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    return queue.put_nowait, queue.get


app = fan_out(make_queue)
