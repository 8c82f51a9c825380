"""A Trio program in a thread beside the test, for servers whose state a browser test looks into.

Rules: the thread's loop is the program's; a test reaches in with `call` and nothing else. It
ends with the block, and what it raised is raised there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import trio

__all__ = ["Beside", "beside"]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Beside(Generic[T]):
    """A running program: what it handed out when it had started, and a way in."""

    started: T
    _token: trio.lowlevel.TrioToken
    _scope: trio.CancelScope

    def call(self, function: Callable[..., R], *arguments: object) -> R:
        """Run a synchronous function in the program's loop and return what it returns."""
        return trio.from_thread.run_sync(function, *arguments, trio_token=self._token)

    def cancel(self) -> None:
        """Stop the program at once, as the end of the block does."""
        self.call(self._scope.cancel)


@contextmanager
def beside(program: Callable[[trio.TaskStatus[T]], Awaitable[None]]) -> Iterator[Beside[T]]:
    """Run `program(task_status)` in a thread until the block ends.

    The block begins when the program calls `task_status.started(value)`.
    """
    ready: Future[Beside[T]] = Future()

    async def main() -> None:
        async def start(
            task_status: trio.TaskStatus[T] = trio.TASK_STATUS_IGNORED,
        ) -> None:
            await program(task_status)

        async with trio.open_nursery() as nursery:
            value: T = await nursery.start(start)
            token = trio.lowlevel.current_trio_token()
            ready.set_result(Beside(value, token, nursery.cancel_scope))

    with ThreadPoolExecutor(1, "trio") as threads:
        ended = threads.submit(trio.run, main)
        both: list[Future[Any]] = [ready, ended]
        wait(both, return_when=FIRST_COMPLETED)
        if not ready.done():
            ended.result()
        try:
            yield ready.result()
        finally:
            # It may have ended by itself; then `ended` says how.
            with suppress(trio.RunFinishedError):
                ready.result().cancel()
            ended.result()
