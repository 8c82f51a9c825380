"""The tasks of a connection beside its own, in a nursery that is opened when the first is started.

Of ten thousand connections nearly all wait for their follower to leave, and have no such task. A
nursery for each would take 1.5 KiB and a tenth of the time that its set-up takes. So the nursery
is in a task of the nursery that the connection's own task is in, and only while there is need:
all this takes 4.5 KiB, which tens of thousands who fell behind once would keep.

Rules: what a nursery promises holds. Errands do not outlive the connection; if one fails, the
connection is cut off, and raises what went wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

__all__ = ["Errands"]


class Errands:
    """A nursery that another task opens. Starting never blocks; nothing starts after the end."""

    __slots__ = (
        "_cut_off",
        "_failure",
        "_is_closing",
        "_nursery",
        "_over",
        "_scope",
        "_waiting",
        "_was_needed",
        "is_retired",
    )

    def __init__(self, home: trio.Nursery, cut_off: Callable[[], None]) -> None:
        """Open it soon, in a task of `home`; `cut_off` is called if an errand fails."""
        self._cut_off = cut_off
        self._failure: Exception | None = None
        self._nursery: trio.Nursery | None = None
        self._is_closing = False
        self._was_needed = True
        self.is_retired = False
        """Whether its nursery is closed as nobody needed it: the next errand takes another."""
        self._waiting: list[tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]] = []
        self._scope = trio.CancelScope()
        self._over = trio.Event()
        home.start_soon(self._host)

    def start_soon(self, task: Callable[..., Awaitable[Any]], *arguments: Any) -> bool:
        """Start an errand; False if it is all over."""
        self._was_needed = True
        if self._nursery is None:
            self._waiting.append((task, arguments))
        elif not self._is_closing:
            self._nursery.start_soon(task, *arguments)
        return not self._is_closing

    def tidy(self) -> None:
        """Retire if there was no errand since this was called before."""
        needed, self._was_needed = self._was_needed, False
        nursery = self._nursery
        if needed or nursery is None or nursery.child_tasks:
            return
        # Else one has just failed, and the connection is yet to hear of it.
        if not nursery.cancel_scope.cancel_called:
            self.is_retired = True
            self.cancel()

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._over.is_set()

    def cancel(self) -> None:
        """End the errands."""
        self._scope.cancel()

    async def finish(self) -> None:
        """End the errands and wait until they have. Raises what one of them has failed with."""
        self.cancel()
        # As the end of a nursery does, which waits for who has been cancelled.
        with trio.CancelScope(shield=True):
            await self._over.wait()
        # Each knows the other: what is over would wait for the collector of cycles.
        self._cut_off = _nothing
        if self._failure is not None:
            raise self._failure

    async def _host(self) -> None:
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    for task, arguments in self._waiting:
                        nursery.start_soon(task, *arguments)
                    self._waiting.clear()
                    try:
                        await trio.sleep_forever()
                    finally:
                        # From here on the nursery may be closed to new arrivals at any time.
                        self._is_closing = True
        # Where the server is cancelled meanwhile, that goes on to where it belongs.
        except* Exception as failure:
            self._failure = failure
            self._cut_off()
        finally:
            self._over.set()


def _nothing() -> None:
    """Stands for a connection that is no more."""
