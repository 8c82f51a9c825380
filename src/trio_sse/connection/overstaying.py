"""Handlers that go on though they were told to stop: noticed, named in the log, and cut off.

Trio ends no task that does not let itself be cancelled: one that shields itself, or catches
`trio.Cancelled` and goes on. Its client has left or is to leave, and the server cannot end before
it does. So what can be done is to say which handler it is and where it stands, and to end its
stream without it.

Owns who runs. Refuses to judge for `Limits.stop_timeout` seconds: a handler may shield last words.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import trio

from ..wire.budget import Allowance

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["Handlers"]

logger = logging.getLogger("trio_sse.connection")

LINES_PER_SECOND = 1
"""Ten of them at once show what is the matter; a client that comes back to such a handler again and
again must not fill the log. To find out where one stands takes 0.1 ms."""

LOOK_SECONDS = 1.0
"""How often those are looked at for whom the end of the server waits."""


class Handlers:
    """The handlers of a server that run now. Nothing here blocks, but `seen_out`."""

    def __init__(self, patience: float, noted: Callable[[], None]) -> None:
        """Call `noted` for each who goes on for `patience` seconds, and name some of them."""
        self._patience = patience
        self._lines = Allowance(LINES_PER_SECOND)
        self._noted = noted
        self._running: dict[Exchange, _Stay] = {}
        self._gone = trio.Event()
        self._all_told = False

    def began(self, exchange: Exchange, handler: Callable[..., Any]) -> None:
        """Note that the task this is called in runs a handler from now on."""
        self._running[exchange] = _Stay(handler, trio.lowlevel.current_task())

    def ended(self, exchange: Exchange) -> None:
        """Note that a handler has ended."""
        del self._running[exchange]
        if not self._running:
            self._gone.set()

    def look(self, now: float) -> None:
        """Note those who were told to stop long enough ago, once each, and end their streams."""
        for exchange, stay in list(self._running.items()):
            try:
                if not stay.noted and (self._all_told or exchange.stopped):
                    self._look_at(exchange, stay, now)
            except Exception:
                # A defect that one connection brings out must not cost the others theirs.
                stay.noted = True
                exchange.service.counters.failed += 1
                logger.exception("The stream of %.200r failed", exchange.request.path)

    def _look_at(self, exchange: Exchange, stay: _Stay, now: float) -> None:
        if stay.told is None:
            stay.told = now
        elif now - stay.told >= self._patience:
            stay.noted = True
            self._noted()
            if self._lines.spend(1, now):
                self._name(exchange, stay, now - stay.told)
            exchange.abandon()

    def _name(self, exchange: Exchange, stay: _Stay, seconds: float) -> None:
        logger.warning(
            "The handler %s of %.200r was told to stop %.0f s ago and goes on; its stream is cut "
            "off. It must let trio.Cancelled pass, and shield only what ends by itself. It "
            "stands here:\n%s",
            stay.name,
            exchange.request.path,
            seconds,
            stay.place(),
        )

    async def seen_out(self) -> None:
        """Wait for the last handler to end, and note who keeps it waiting; all are told to stop."""
        self._all_told = True
        with trio.CancelScope(shield=True):
            while self._running:
                self.look(trio.current_time())
                self._gone = trio.Event()
                with trio.move_on_after(min(LOOK_SECONDS, self._patience)):
                    await self._gone.wait()


class _Stay:
    """One handler at work."""

    __slots__ = ("_handler", "_others", "_task", "noted", "told")

    def __init__(self, handler: Callable[..., Any], task: trio.lowlevel.Task) -> None:
        self._handler = handler
        self._task = task
        self._others = len(task.child_nurseries)
        """Nurseries of the connection, which are not the handler's."""
        self.told: float | None = None
        """When it was first seen to have been told to stop."""
        self.noted = False

    @property
    def name(self) -> str:
        handler = self._handler
        return f"{handler.__module__}.{getattr(handler, '__qualname__', repr(handler))}"

    def place(self) -> str:
        """Return the stack of the handler, or of a task of its nurseries that it waits for."""
        task = self._task
        children = _children(task.child_nurseries[self._others :])
        while (below := next(children, None)) is not None:
            task, children = below, _children(below.child_nurseries)
        stack = traceback.StackSummary.extract(task.iter_await_frames())
        return "".join(stack.format())


def _children(nurseries: Iterable[trio.Nursery]) -> Iterator[trio.lowlevel.Task]:
    for nursery in nurseries:
        yield from nursery.child_tasks
