"""Reading a subscription inside the program."""

from __future__ import annotations

import trio

from trio_sse.hub import Subscription

__all__ = ["is_silent", "take"]


async def take(events: Subscription, count: int) -> list[str | None]:
    """The data of the next `count` events."""
    with trio.fail_after(60):
        return [(await anext(events)).data for _ in range(count)]


async def is_silent(events: Subscription) -> bool:
    """Whether nothing is there to be read."""
    with trio.move_on_after(60):
        await anext(events)
        return False
    return True
