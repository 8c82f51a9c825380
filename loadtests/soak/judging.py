"""What of a soak is wrong, in sentences, and how the end of the run compares with its beginning.

How long the canaries waited is not judged, for it depends on the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from .record import Record, Sample

__all__ = ["GROWTH", "WARM_UP_SECONDS", "Trend", "allowed", "opening", "trends", "verdict"]

WARM_UP_SECONDS = 300.0
"""Until the crowd is as large as it gets, every attack has been made once, and the events that
the log was filled with have all been replaced."""

GROWTH = 1.1
"""How much memory may have grown: what Python's allocator keeps varies."""

GROWTH_AFTER_A_SHORT_WARM_UP = 1.5
"""The same where the crowd had not its full size before: only a bad leak is seen."""

LONG = 600.0
"""Seconds from which on the quarters of a run are long enough to be compared."""

KEPT = ("tasks", "files", "connections", "audiences")

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Trend:
    """A median of the first quarter of the run and of its last, with everybody there."""

    name: str
    unit: str
    first: float
    last: float

    @property
    def factor(self) -> float:
        """Return how many times the first the last is."""
        return self.last / self.first if self.first else 1.0

    def __str__(self) -> str:
        change = 100 * (self.factor - 1)
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} {self.first:,.4g}{unit}, then {self.last:,.4g}{unit} ({change:+.1f} %)"


def allowed(record: Record) -> float:
    """Return how many times as much memory the server may have at the end."""
    return GROWTH if record.warm_up >= WARM_UP_SECONDS else GROWTH_AFTER_A_SHORT_WARM_UP


def opening(protocol: str, figure: str) -> Callable[[Sample], float]:
    """Return what reads a canary's figure of opening a stream, in ms; 0 if there is none."""

    def read(sample: Sample) -> float:
        canary = sample.canaries.get(protocol)
        return 1e3 * canary["opened"][figure] if canary else 0.0

    return read


def trends(record: Record) -> list[Trend]:
    """Compare the last quarter of the run with its first; empty if there are too few samples."""
    run = record.samples
    quarter = len(run) // 4
    if not quarter:
        return []
    figures: list[tuple[str, str, Callable[[Sample], float]]] = [
        ("memory", "MiB", lambda sample: sample.holdings.resident / MIB),
        ("tasks", "", lambda sample: sample.holdings.tasks),
        ("open files", "", lambda sample: sample.holdings.files),
        ("connections", "", lambda sample: sample.holdings.connections),
        ("the server's CPU", "%", lambda sample: 100 * sample.server_cpu),
    ]
    figures += [
        (f"a stream over {protocol} opened, {figure}", "ms", opening(protocol, figure))
        for protocol in run[0].canaries
        for figure in ("p50", "p99")
    ]
    return [
        Trend(name, unit, _median(run[:quarter], read), _median(run[-quarter:], read))
        for name, unit, read in figures
    ]


def verdict(record: Record) -> list[str]:
    """Say what was lost, broke, or was not let go of; empty if all is well."""
    wrong = list(record.broken)
    wrong += [f"{number:,} {fault}" for fault, number in record.faults.items() if number]
    first_lines = [each.partition("\n")[0] for each in record.errors]
    wrong += [f"the server logged an error: {line}" for line in first_lines[:SHOWN]]
    if len(record.errors) > SHOWN:
        wrong.append(f"and {len(record.errors) - SHOWN:,} more errors in the server's log")
    if failed := record.server.get("failed"):
        wrong.append(f"{failed:,} handlers of the server raised")
    return wrong + _kept(record) + _grown(record)


SHOWN = 5


def _kept(record: Record) -> list[str]:
    start, after = record.start, record.after
    if start is None or after is None:
        return ["the run did not come to its end"]
    return [
        f"{name}: {getattr(start, name):,} at the start, {getattr(after, name):,} at the end"
        for name in KEPT
        if getattr(after, name) != getattr(start, name)
    ]


def _grown(record: Record) -> list[str]:
    grown = []
    before, after, most = record.before, record.after, allowed(record)
    if before is not None and after is not None and after.resident > before.resident * most:
        grown.append(
            f"memory: {before.resident / MIB:.1f} MiB after the warm-up, "
            f"{after.resident / MIB:.1f} MiB at the end"
        )
    if record.seconds >= LONG:
        grown += [
            f"{trend}, which is more than {most:g} times as much"
            for trend in trends(record)
            if trend.name == "memory" and trend.factor > most
        ]
    return grown


def _median(samples: Sequence[Sample], read: Callable[[Sample], float]) -> float:
    return median(read(sample) for sample in samples)
