"""Fan-out in bare ASGI on Trio: for Hypercorn's Trio worker."""

from __future__ import annotations

import math

import trio

from .bare_asgi import Queue, fan_out

__all__ = ["app"]


def make_queue() -> Queue:
    """Return a channel of Trio."""
    inlet, outlet = trio.open_memory_channel[bytes](math.inf)
    return inlet.send_nowait, outlet.receive


app = fan_out(make_queue)
