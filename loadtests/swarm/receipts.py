"""What the clients of one process have received of each event, and when: made to be merged.

Latency is from when an event was due to when the kernel had received it, and beside that to when
this program had read it. Only events that were due within the window count for it, and only with
clients that had joined before: those are expected to have them. Faults count always.

It is told of every delivery: a µs here is half a minute in a run of 30 million.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from .bins import FINE, LONGEST, Bins
from .client import Client
from .faults import Faults
from .findings import Batch, Offence, Position, Received
from .tally import EVENT_BITS, Tally, alike

__all__ = ["Receipts"]

KERNEL, APPLICATION = "kernel", "application"
CONNECT, FIRST_EVENT, RECOVERY = "connect", "first event", "recovery"


class Receipts:
    """The book of a crowd. `process` begins each example of a fault."""

    def __init__(self, process: str = "swarm", *, expect_gap: bool = False) -> None:
        """With `expect_gap` a server may say that it has lost events, and they are not missed."""
        self.process = process
        self.expect_gap = expect_gap
        self.events = 0
        """Events received by a stream, ever."""
        self.total_bytes = 0
        """Bytes read, ever."""
        self.faults = Faults(process)
        self._dues: dict[int, int] = {}
        self._joined: list[tuple[int, int]] = []
        """When, and how many streams."""
        self._left: Counter[tuple[int, int]] = Counter()
        """When streams that left had joined, and the last event that they had."""
        self._durations = {name: Bins() for name in (CONNECT, FIRST_EVENT, RECOVERY)}
        self._taken: dict[str, dict[int, int]] = {}
        """Since the last `take`, by whole ms."""
        self._taken_bytes = 0
        self.take()
        self.measure(0, 0)

    # -- what is measured ---------------------------------------------------------------

    def measure(self, begin: int, end: int) -> None:
        """Measure events due from `begin` to `end`, ns since the epoch, and forget others'.

        Both are to be ahead: an event that somebody has received already does not count.
        """
        self._begin, self._end = begin, end
        self._tallies: dict[int, Tally] = {}
        self._kernel_bins, self._application_bins = Bins(), Bins()
        self._kernel = self._kernel_bins.counts
        self._application = self._application_bins.counts
        self._forgiven: Counter[int] = Counter()
        self._reads = self._piled_reads = self._bytes = self._unclaimed = 0

    def measured(self) -> list[int]:
        """Return the numbers of the measured events that somebody here has received."""
        return sorted(self._tallies)

    def due(self, number: int) -> int:
        """Return when a received event was due."""
        return self._dues[number]

    # -- what connections tell ----------------------------------------------------------

    def learn(self, events: Sequence[Received]) -> None:
        """Take note of events that somebody has received, before they are counted."""
        for event in events:
            if event.number not in self._dues:
                due = self._dues[event.number] = event.published
                if self._begin <= due <= self._end:
                    self._tallies[event.number] = Tally(due)

    def read(self, length: int) -> None:
        """Count the bytes of one read."""
        self.total_bytes += length
        self._unclaimed += length

    def passed(self, client: Client, first: int, last: int, kernel: int, now: int) -> None:
        """Count events `first` to `last`, which are known, for all streams of a client.

        Of HTTP/2's streams all have the time of the read that completed the last of them.
        """
        self.events += (last - first + 1) * client.streams
        measured = 0
        for number in range(first, last + 1):
            measured += self._count(client, number, client.streams, kernel, now)
        if client.recovering:
            for number in range(first, last + 1):
                self._catch_up(client, list(client.recovering), number, kernel)
        self._claim(measured > 0, last > first)

    def delivered(
        self, client: Client, batches: Sequence[Batch], begun: list[int], kernel: int, now: int
    ) -> None:
        """Count events that a client has received and parsed itself."""
        measured = piled = False
        for events, streams in alike(batches):
            self.events += len(events) * streams
            piled = piled or len(events) > 1
            for event in events:
                measured = self._count(client, event.number, streams, kernel, now) or measured
        if client.recovering:
            for stream, events in batches:
                for event in events:
                    self._catch_up(client, [stream], event.number, kernel)
        for number in begun:
            client.first = max(client.first, number)
            if not client.reconnects:
                self._last(FIRST_EVENT, (kernel - client.dialled) // 1000)
        piled = piled or len(batches) > len({stream for stream, _ in batches})
        self._claim(measured, piled)

    def _count(self, client: Client, number: int, streams: int, kernel: int, now: int) -> bool:
        """Count one event; tell whether it is measured."""
        due = self._dues[number]
        us, application = (kernel - due) // 1000, (now - due) // 1000
        if not 0 <= us <= application <= LONGEST:
            # A publisher's clock that is ahead, or a time set back.
            application = min(max(application, 0), LONGEST)
            us = min(max(us, 0), application)
        self._taken_kernel[us // 1000] += streams
        self._taken_application[application // 1000] += streams
        tally = self._tallies.get(number)
        if tally is None or client.joined is None or client.joined > due:
            return False
        tally.clients += streams
        if us < tally.first:
            tally.first = us
        if us > tally.last:
            tally.last = us
        if application > tally.last_application:
            tally.last_application = application
        # `bins.index`, without the calls.
        shift = us.bit_length() - EVENT_BITS
        tally.counts[us if shift <= 0 else (shift << EVENT_BITS - 1) + (us >> shift)] += streams
        shift = us.bit_length() - FINE
        self._kernel[us if shift <= 0 else (shift << FINE - 1) + (us >> shift)] += streams
        shift = application.bit_length() - FINE
        self._application[
            application if shift <= 0 else (shift << FINE - 1) + (application >> shift)
        ] += streams
        return True

    def _claim(self, measured: bool, piled: bool) -> None:
        """Count the bytes read since the last event for the window, if this one is of it."""
        if measured:
            self._bytes += self._unclaimed
            self._reads += 1
            self._piled_reads += piled
        self._unclaimed = 0

    def blame(self, client: Client, offences: Sequence[Offence]) -> None:
        """Count faults, and forgive what a gap has announced, if that is expected."""
        for offence in offences:
            if offence.fault == "skipped" and self.expect_gap:
                if offence.first is not None and offence.last is not None:
                    self._forgiven.update(range(offence.first, offence.last + 1))
            else:
                self.faults.blame(client, offence)

    # -- what the crowd tells -----------------------------------------------------------

    def opened(self, client: Client, streams: int, us: int) -> None:
        """Note that streams were answered so long after the client began to connect."""
        self._last(CONNECT, us, streams)

    def joined(self, client: Client) -> None:
        """Note that from `client.joined` on a client is expected to have every event."""
        assert client.joined is not None
        self._joined.append((client.joined, client.streams))

    def left(self, client: Client, positions: Iterable[Position]) -> None:
        """Note that a client has left for good, and expect no more of it than it has."""
        if client.joined is not None:
            self._left.update((client.joined, position.number or 0) for position in positions)

    def _catch_up(self, client: Client, places: Iterable[int], number: int, kernel: int) -> None:
        """Note that streams which had been cut off have an event."""
        due = self._dues[number]
        for place in places:
            recovery = client.recovering.get(place)
            if recovery is None or recovery.opened is None:
                continue
            if due <= recovery.opened:
                recovery.caught_up = kernel
            else:
                self.recovered(client, place)

    def recovered(self, client: Client, place: int) -> None:
        """Note that a stream has what it missed, and when that was."""
        recovery = client.recovering.pop(place)
        if recovery.opened is not None:
            back = max(recovery.opened, recovery.caught_up)
            self._last(RECOVERY, (back - recovery.cut) // 1000)

    def _last(self, name: str, us: int, number: int = 1) -> None:
        """Count something that lasted so long."""
        us = min(max(us, 0), LONGEST)
        self._durations[name].add(us, number)
        self._taken[name][us // 1000] += number

    # -- what is told of it -------------------------------------------------------------

    def take(self) -> dict[str, Any]:
        """Return what has come since the last `take`, measured or not.

        By kind of duration, how many took so many whole ms; `bytes`; and `faults` by kind.
        """
        taken: dict[str, Any] = {name: dict(counts) for name, counts in self._taken.items()}
        taken["bytes"] = self.total_bytes - self._taken_bytes
        taken["faults"] = self.faults.take()
        names = (KERNEL, APPLICATION, CONNECT, FIRST_EVENT, RECOVERY)
        self._taken = {name: defaultdict(int) for name in names}
        self._taken_kernel = self._taken[KERNEL]
        self._taken_application = self._taken[APPLICATION]
        self._taken_bytes = self.total_bytes
        return taken

    def report(self) -> dict[str, Any]:
        """Return everything for `merging.merge`: dicts by str, lists, str and int."""
        return {
            "process": self.process,
            "window": [self._begin, self._end],
            "reads": self._reads,
            "piled_reads": self._piled_reads,
            "bytes": self._bytes,
            "faults": self.faults.found(),
            "examples": list(self.faults.examples),
            "kernel": self._kernel_bins.filled(),
            "application": self._application_bins.filled(),
            "connect": self._durations[CONNECT].filled(),
            "first_event": self._durations[FIRST_EVENT].filled(),
            "recovery": self._durations[RECOVERY].filled(),
            "events": [
                [number, t.due, t.clients, t.first, t.last, t.last_application, t.bins.filled()]
                for number, t in sorted(self._tallies.items())
            ],
            "joined": sorted([when, streams] for when, streams in self._joined),
            "left": sorted([when, last, number] for (when, last), number in self._left.items()),
            "forgiven": sorted([number, streams] for number, streams in self._forgiven.items()),
        }
