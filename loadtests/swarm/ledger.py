"""What a swarm has counted: deliveries, faults, and how old events were when they arrived.

One for all connections of a process. It knows no protocol. Ages go into a histogram with
steps of one per cent, so that a report of a million of them stays short.
"""

from __future__ import annotations

import math
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .client import Client
from .findings import Batch, Fault, Offence, Received

__all__ = ["Ledger"]


class Ledger:
    """Counts from the last `mark()` on. Times are in ns, by CLOCK_MONOTONIC."""

    def __init__(self, *, one_topic: bool) -> None:
        """With `one_topic` each event is followed to the last of its receivers."""
        self._one_topic = one_topic
        self.faults: Counter[Fault] = Counter()
        """Since the start: a fault is not forgotten."""
        self.parsed = 0
        """Reads that were not simply what others had received."""
        self.deliveries = 0
        self.bytes = 0
        self._ages = array("q")
        self._first = 0
        """Number of the first event since the mark. What has a lower one is only counted."""
        self._published = array("q")  # by number - first
        self._last_receipt = array("q")  # likewise
        self.mark()

    def mark(self) -> None:
        """Count from now on."""
        self.deliveries = 0
        self.bytes = 0
        self.parsed = 0
        self._ages = array("q")
        self._first += len(self._published)
        self._published = array("q")
        self._last_receipt = array("q")
        self._since = time.monotonic()
        self._cpu = time.process_time()

    def blame(self, client: Client, offences: Sequence[Offence]) -> None:
        """Count faults. What turned up after all is not lost."""
        for offence in offences:
            fault: Fault = "lost" if offence.fault == "skipped" else offence.fault
            self.faults[fault] += offence.events
            if fault == "reordered":
                self.faults["lost"] -= 1

    def learn(self, events: Sequence[Received]) -> None:
        """Take note of events that somebody has received."""
        for event in events:
            index = event.number - self._first
            if index >= 0:
                # Somebody may have lost those before it: they are filled in by who has not.
                missing = [0] * (index + 1 - len(self._published))
                self._published.extend(missing)
                self._last_receipt.extend(missing)
                self._published[index] = event.published

    def read(self, length: int) -> None:
        """Count the bytes of one read."""
        self.bytes += length

    def delivered(
        self, client: Client, batches: Sequence[Batch], begun: list[int], kernel: int, now: int
    ) -> None:
        """Count events that one client has received and parsed itself."""
        self.parsed += 1
        before: tuple[Received, ...] = ()
        oldest = now
        for _, events in batches:
            self.deliveries += len(events)
            if events is before:
                continue
            before = events
            oldest = min(oldest, events[0].published)
            if self._one_topic:
                for event in events:
                    self._received(event.number, event.number, now)
        self._ages.append(now - oldest)

    def passed(self, client: Client, first: int, last: int, kernel: int, now: int) -> None:
        """Count events `first` to `last`, known to the ledger, for each stream of a client."""
        self.deliveries += (last - first + 1) * client.streams
        index = first - self._first
        if index >= 0:
            self._ages.append(now - self._published[index])
        self._received(first, last, now)

    def _received(self, first: int, last: int, now: int) -> None:
        # Time does not go back, so the latest note is the last receipt.
        start, stop = max(0, first - self._first), last - self._first + 1
        if stop - start == 1:
            self._last_receipt[start] = now
        elif stop > start:
            self._last_receipt[start:stop] = array("q", [now]) * (stop - start)

    def report(self) -> dict[str, Any]:
        """Return what has been counted since the mark, for JSON."""
        ages = Counter(_step(age) for age in self._ages)
        events = [
            [self._first + index, published, self._last_receipt[index]]
            for index, published in enumerate(self._published)
            if published
        ]
        return {
            "deliveries": self.deliveries,
            "bytes": self.bytes,
            "faults": {fault: count for fault, count in self.faults.items() if count},
            "parsed": self.parsed,
            "reads": len(self._ages),
            "ages": sorted(ages.items()),
            "oldest": max(self._ages, default=0),
            "events": events,
            "cpu": time.process_time() - self._cpu,
            "seconds": time.monotonic() - self._since,
        }


def _step(age: int) -> int:
    """Return the step of the histogram: ages up to exp(step / 100) ns."""
    return math.ceil(math.log(max(1, age)) * 100)
