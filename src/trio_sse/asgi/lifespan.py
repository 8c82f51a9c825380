"""A server's life, as ASGI tells it: `lifespan.startup`, the time of requests, `lifespan.shutdown`.

Owns what the program runs around that time, and says in a sentence why it could not begin. An
application without a lifespan of its own needs none of it, as frameworks that mount an application
do not pass it on; whoever mounts it so calls `drain()` when the time has come.

Refuses: anything but Trio.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext

import trio

from .request import Receive, Send

__all__ = ["Life", "Lifespan"]

logger = logging.getLogger("trio_sse.asgi")

Lifespan = Callable[[], AbstractAsyncContextManager[object]]
"""What to run around the time in which requests come: makes a block to be in. If what the block
yields is `Routes`, they are what is served for its length."""

NOT_ON_TRIO = (
    "trio_sse.asgi runs on Trio, and this server runs applications on something else. Hypercorn "
    "has a worker for it: hypercorn --worker-class trio MODULE:APPLICATION"
)

NOT_STARTED = (
    "this application has a lifespan of its own, which has not begun, or has ended. Whoever "
    "mounts it must pass the ASGI lifespan on, or give it routes that need none"
)


class Life:
    """The lifespan of one application. A server may live several times."""

    def __init__(self, lifespan: Lifespan | None) -> None:
        self._lifespan: Lifespan = lifespan or nullcontext
        self._is_open = self._lifespan is nullcontext

    def check(self) -> None:
        """Raise RuntimeError if this is no time for requests, or not Trio."""
        if not trio.lowlevel.in_trio_task():
            raise RuntimeError(NOT_ON_TRIO)
        if not self._is_open:
            raise RuntimeError(NOT_STARTED)

    async def live(
        self,
        receive: Receive,
        send: Send,
        begin: Callable[[object], None],
        drain: Callable[[], Awaitable[None]],
    ) -> None:
        """Be in the lifespan's block from startup to shutdown.

        `begin` is called with what it yields, `drain` before it is left. What `begin` raises, or
        the block as it begins, is logged, and told to the server as why it cannot start.
        """
        await receive()  # lifespan.startup
        if not trio.lowlevel.in_trio_task():
            await send({"type": "lifespan.startup.failed", "message": NOT_ON_TRIO})
            return
        started = False
        try:
            async with self._lifespan() as yielded:
                begin(yielded)
                started = self._is_open = True
                await send({"type": "lifespan.startup.complete"})
                await receive()  # lifespan.shutdown
                await drain()
        except Exception as error:
            if started:
                raise
            logger.exception("The application could not start")
            await send({"type": "lifespan.startup.failed", "message": str(_cause(error))})
            return
        finally:
            self._is_open = self._lifespan is nullcontext
        await send({"type": "lifespan.shutdown.complete"})


def _cause(error: Exception) -> Exception:
    """Return what one nursery after another has wrapped, if it is one error alone."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
