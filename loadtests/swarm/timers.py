"""What is to be done later: clients that come back, and those that have stalled for long enough."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from time import monotonic
from typing import Any

__all__ = ["Timers"]


class Timers:
    """Things to do, by time.monotonic()."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._set = 0

    @property
    def next(self) -> float | None:
        """When there is something to do next."""
        return self._heap[0][0] if self._heap else None

    def set(self, seconds: float, act: Callable[[Any], None], subject: Any) -> None:
        """Have `act(subject)` called after so many seconds."""
        self._set += 1
        heappush(self._heap, (monotonic() + seconds, self._set, act, subject))

    def run(self, deadline: float) -> None:
        """Do what is due, until the deadline."""
        while self._heap and self._heap[0][0] <= monotonic() < deadline:
            _, _, act, subject = heappop(self._heap)
            act(subject)
