"""Says so when the event loop is held: by a handler that computes, or waits without `await`.

Nobody is served meanwhile, on any connection, and nothing in the loop can notice it. So a thread
looks now and then whether a task of the loop has had its turn, and logs where the loop is if it
has not. It wakes up a few times a second and holds nothing.

Owns the thread. Refuses to end what holds the loop: it could not do so safely.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable

import trio

__all__ = ["watch"]

logger = logging.getLogger("trio_sse.server")

LOOKS = 4
"""How often it looks within the time that the loop may be held."""

END_SECONDS = 1.0


async def watch(patience: float, noted: Callable[[], None]) -> None:
    """Warn when the loop this runs in is held for `patience` seconds; until cancelled.

    Calls `noted` for each time, from the thread. A process that was stopped or suspended has held
    nothing.
    """
    watchdog = _Watchdog(patience, noted)
    thread = threading.Thread(target=watchdog.look, name="trio-sse watchdog", daemon=True)
    thread.start()
    try:
        while True:
            watchdog.had_turn = time.monotonic()
            await trio.sleep(patience / LOOKS)
    finally:
        watchdog.over.set()
        thread.join(END_SECONDS)


class _Watchdog:
    def __init__(self, patience: float, noted: Callable[[], None]) -> None:
        self._patience = patience
        self._noted = noted
        self._loop = threading.get_ident()
        self.had_turn = time.monotonic()
        self.over = threading.Event()

    def look(self) -> None:
        looked, told = time.monotonic(), 0.0
        while not self.over.wait(self._patience / LOOKS):
            now, before = time.monotonic(), looked
            looked, turn = now, self.had_turn
            stopped = now - before > self._patience  # this thread had no turn either
            if now - turn >= self._patience and turn != told and not stopped:
                told = turn
                self._tell(now - turn)

    def _tell(self, held: float) -> None:
        frame = sys._current_frames().get(self._loop)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        self._noted()
        logger.warning(
            "The event loop is held for %.1f s now, and nobody is served meanwhile. "
            "What holds it should be awaited, or run in a thread (trio.to_thread):\n%s",
            held,
            stack,
        )
