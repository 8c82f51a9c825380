"""When events are due: a steady rate, bursts, and pauses. Pure; the time is given.

An event has its due time before it is published, and keeps it however late that is: who
measures from there does not leave out what a busy publisher or server held up (coordinated
omission). Times are CLOCK_REALTIME in ns.
"""

from __future__ import annotations

import heapq

__all__ = ["Schedule"]

SECOND = 1_000_000_000


class Schedule:
    """Due times, by number: `dues[0]` is that of event 1."""

    def __init__(self, rate: float, start: int) -> None:
        """`rate` is events a second, which may be 0; the first is due at `start`."""
        self.dues: list[int] = []
        self._rate = rate
        self._origin = start
        self._ticks = 0
        """Of the steady rate, since `origin`."""
        self._bursts: list[tuple[int, int]] = []
        """(at, count); a heap."""
        self._paused: int | None = None

    def burst(self, count: int, at: int) -> None:
        """Have `count` events due at once. Not in the past: those have their numbers."""
        heapq.heappush(self._bursts, (at, count))

    def pause(self, at: int) -> None:
        """Have nothing due from `at` on."""
        self._paused = at

    def resume(self, rate: float, at: int) -> None:
        """Go on at this rate, perhaps after a pause, with an event that is due at `at`."""
        self._paused = None
        self._rate, self._origin, self._ticks = rate, at, 0

    def next(self) -> int | None:
        """Return when the next event is due that has no number yet, if there is to be one."""
        due = self._bursts[0][0] if self._bursts else None
        if self._rate and (due is None or self._tick() < due):
            due = self._tick()
        return None if due is None or self._is_after_pause(due) else due

    def until(self, now: int) -> int:
        """Number all events that are due by now; return the last number."""
        while (due := self.next()) is not None and due <= now:
            if self._bursts and self._bursts[0][0] == due:
                _, count = heapq.heappop(self._bursts)
                self.dues += [due] * count
            else:
                self.dues.append(due)
                self._ticks += 1
        return len(self.dues)

    def is_idle_from(self, now: int) -> bool:
        """Tell whether it is paused by now."""
        return self._paused is not None and self._paused <= now

    def _is_after_pause(self, due: int) -> bool:
        return self._paused is not None and due >= self._paused

    def _tick(self) -> int:
        return self._origin + round(self._ticks * SECOND / self._rate)
