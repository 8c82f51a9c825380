"""What goes wrong at a chosen moment: at the n-th step of the server's tasks, or the n-th call
of a transport.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from trio_sse.message import Peer
from trio_sse.transport import Broken, MemoryTransport

__all__ = ["AtStep", "Fragile", "fragile_pair"]


class AtStep(trio.abc.Instrument):
    """Does something after the n-th step of tasks of this package, wherever they stand then."""

    def __init__(self, step: int, action: Callable[[], None]) -> None:
        self.countdown = step
        self._action = action

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task.name.startswith("trio_sse.") and not task.name.endswith("._tick"):
            self.countdown -= 1
            if self.countdown == 0:
                self._action()

    @property
    def has_happened(self) -> bool:
        return self.countdown <= 0


class Fragile(MemoryTransport):
    """Breaks at the n-th call and stays broken."""

    def __init__(self, call: int, capacity: int) -> None:
        super().__init__(Peer("127.0.0.1", 1), capacity)
        self.countdown = call

    def send(self, data: bytes | memoryview) -> int:
        self._count()
        return super().send(data)

    def receive(self) -> bytes | None:
        self._count()
        return super().receive()

    async def wait_writable(self) -> None:
        await super().wait_writable()
        self._count()

    async def wait_readable(self) -> None:
        await super().wait_readable()
        self._count()

    @property
    def has_broken(self) -> bool:
        return self.countdown <= 0

    def _count(self) -> None:
        self.countdown -= 1
        if self.has_broken:
            raise Broken("as was to be shown")


def fragile_pair(call: int, capacity: int) -> Fragile:
    """Return the server's end of a connection; its `other` is the client's."""
    ours, theirs = Fragile(call, capacity), MemoryTransport(Peer("127.0.0.1", 2), capacity)
    ours.other, theirs.other = theirs, ours
    return ours
