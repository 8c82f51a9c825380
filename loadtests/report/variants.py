"""What was measured of one server, protocol and setting, as values.

Durations stay in microseconds and times in seconds since the epoch, as they were written.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

__all__ = ["Event", "Latencies", "Step", "Variant"]


class Latencies:
    """A distribution of durations, in µs, from an encoded HdrHistogram."""

    def __init__(self, encoded: str | None) -> None:
        self._values: list[int] = []
        self._counts: list[int] = []  # how many are not longer than the value
        if encoded:
            histogram = HdrHistogram.decode(encoded)
            total = 0
            # Its own iterator asks each of 20,000 counters in Python: half a second.
            for index, number in enumerate(histogram.counts[:]):
                if number:
                    total += number
                    value = histogram.get_value_from_index(index)
                    self._values.append(histogram.get_highest_equivalent_value(value))
                    self._counts.append(total)

    @property
    def count(self) -> int:
        """How many durations there are."""
        return self._counts[-1] if self._counts else 0

    @property
    def highest(self) -> float:
        """The longest."""
        return float(self._values[-1])

    def at(self, part: float) -> float:
        """Return what that part of them, at most 1, does not pass."""
        wanted = max(1.0, part * self.count)
        return float(self._values[bisect_left(self._counts, wanted - 1e-6)])

    def __bool__(self) -> bool:
        return self.count > 0


@dataclass(frozen=True, slots=True)
class Event:
    """An event, and how long after it was due clients had it."""

    due: float
    clients: int
    first: float
    median: float
    last: float
    last_application: float


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the run with a number of clients of its own."""

    users: int
    begin: float
    end: float
    kernel: Latencies
    events: tuple[Event, ...]

    def cost(self, cpu_seconds: float | None) -> float | None:
        """Return the µs a delivery, if so much CPU went into this step."""
        deliveries = sum(event.clients for event in self.events)
        return cpu_seconds * 1e6 / deliveries if cpu_seconds and deliveries else None


class Variant:
    """One server, protocol and setting: what was asked for, and what was measured, if it was."""

    def __init__(self, manifest: dict[str, Any], raw: dict[str, Any] | None) -> None:
        self.name: str = manifest["name"]
        self.server: str = manifest["server"]
        self.protocol: str = manifest["protocol"]
        self.tls: bool = manifest["tls"]
        self.users: int = manifest["users"]
        self.ok: bool = manifest["ok"]
        self.problems: list[str] = manifest.get("problems") or []
        self.skipped: str | None = manifest.get("skipped")
        self.settings: dict[str, Any] = manifest.get("settings") or {}
        self.rate: float = manifest.get("rate") or 0.0
        self.raw: dict[str, Any] | None = raw
        self._distributions: dict[str, Latencies] = {}

    @property
    def measured(self) -> dict[str, Any]:
        """The raw data; empty if there is none."""
        return self.raw or {}

    @cached_property
    def kernel(self) -> Latencies:
        """From when an event was due to the kernel's receipt: the headline."""
        return Latencies((self.measured.get("latency") or {}).get("kernel"))

    @cached_property
    def application(self) -> Latencies:
        """From when an event was due to the client program's read."""
        return Latencies((self.measured.get("latency") or {}).get("application"))

    def distribution(self, name: str) -> Latencies:
        """Return connect, first_event or recovery."""
        if name not in self._distributions:
            self._distributions[name] = Latencies(self.measured.get(name))
        return self._distributions[name]

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Those that at least one client had, in the order in which they were due."""
        return _events(self.measured.get("events"))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Of a ramp."""
        return tuple(
            Step(
                each["users"],
                each["from"],
                each["to"],
                Latencies((each.get("latency") or {}).get("kernel")),
                _events(each.get("events")),
            )
            for each in self.measured.get("steps") or ()
        )

    @property
    def largest(self) -> Step | None:
        """The last step of a ramp: figures of all its steps together would be of none of them."""
        return self.steps[-1] if self.steps else None

    @property
    def begin(self) -> float:
        """When measuring began; if it never did, when the run began."""
        return float(self.measured.get("measured_from") or self.measured.get("start") or 0.0)

    @property
    def seconds(self) -> float:
        """For how long was measured."""
        return float(self.measured.get("measured_to") or self.begin) - self.begin

    @property
    def connected_after(self) -> float | None:
        """After how many seconds, from the first client on, all were connected, by the timeline."""
        begin = self.measured.get("start")
        for time, connected, *_ in self.measured.get("timeline") or ():
            if begin is not None and connected >= self.users and time > begin:
                return float(time - begin)
        return None

    @property
    def deliveries(self) -> int:
        return int(self.measured.get("deliveries") or 0)

    @property
    def expected(self) -> int:
        return int(self.measured.get("expected") or 0)

    @property
    def last_client(self) -> float | None:
        """The median, over the events (of the largest step), of when the last client had it."""
        events = self.largest.events if self.largest else self.events
        return median(event.last for event in events) if events else None

    @property
    def faults(self) -> dict[str, int]:
        """What clients found wrong, without what they were told to expect."""
        found = self.measured.get("faults") or {}
        expects_gap = self.settings.get("expect_gap") or self.settings.get("expect-gap")
        return {
            name: number
            for name, number in found.items()
            if number and not (name == "gap" and expects_gap)
        }

    @property
    def cpu_a_delivery(self) -> float | None:
        """µs of server CPU, all its processes together; of a ramp, in the largest step."""
        step = self.largest
        if step is None:
            return self.cost("cpu_us_per_delivery") if self.deliveries else None
        return step.cost(self.cpu_between(step.begin, step.end))

    def cost(self, figure: str) -> float | None:
        """Return what the server took: cpu_us_per_delivery, rss_per_subscriber, …"""
        value = (self.measured.get("server") or {}).get(figure)
        return None if value is None else float(value)

    @property
    def samples(self) -> list[list[float]]:
        """Of the server, once a second: time, CPU s, resident, slab, socket buffers in bytes."""
        return self.measured.get("server_samples") or []

    def cpu_between(self, begin: float, end: float) -> float | None:
        """Return the CPU seconds that the server used between two times, if both were seen."""
        if len(self.samples) < 2 or self.samples[0][0] > begin or self.samples[-1][0] < end:
            return None
        return self._cpu_at(end) - self._cpu_at(begin)

    def _cpu_at(self, time: float) -> float:
        index = max(1, bisect_left(self.samples, time, key=lambda sample: sample[0]))
        before, after = self.samples[index - 1], self.samples[index]
        part = (time - before[0]) / ((after[0] - before[0]) or 1.0)
        return before[1] + part * (after[1] - before[1])


def _events(raw: list[list[Any]] | None) -> tuple[Event, ...]:
    # One that nobody had has no times.
    return tuple(
        Event(due, clients, first, middle, last, application)
        for _, due, clients, first, middle, last, application in sorted(
            raw or [], key=lambda event: event[1]
        )
        if clients
    )
