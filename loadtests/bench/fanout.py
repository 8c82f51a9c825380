"""The measurement itself: publish, wait until the last client has it, divide.

Owns what a figure means. Server CPU is what the operating system says the server's process
has used, from before the first event is published until after the last client has the last,
divided by the deliveries. Ages and last receipts are times from just before `publish` to just
after the client's read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .figures import CannotMeasure
from .subjects import Publisher, Swarm

__all__ = [
    "FanOut",
    "Watch",
    "combine",
    "disturbance",
    "fan_out",
    "faults",
    "part_waited",
    "remarks",
    "side_by_side",
]

BUSY = 0.8
"""A client busier than this may be what limits; then it is said."""

DISTURBED = 0.1
"""If others had more than this of the processor's time that was ours, it is said."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """What some events cost, and when they arrived. CPU in µs a delivery, times in ms."""

    deliveries: int
    cpu: float
    bytes: float
    """What a client has read for each, with all that is around it."""
    client_cpu: float
    busy: float
    """Part of the time in which deliveries were under way that the client worked."""
    disturbed: float
    """Part of the time in which the server, or the clients, could have run that others did."""
    last_client: float
    """Median, over the events, of when the last client had it."""
    p50: float
    p99: float
    """Of the ages of events when they were read."""
    oldest: float
    faults: dict[str, int]


def fan_out(publisher: Publisher, swarm: Swarm, count: int, interval: float, size: int) -> FanOut:
    """Publish `count` events, one every `interval` s, and measure until all have them."""
    watch = Watch(publisher, swarm)
    last = publisher.publish(count, interval, size)
    swarm.wait(last)
    return watch.summary()


class Watch:
    """Sees what a server and its clients use, from its making to its summary."""

    def __init__(self, publisher: Publisher, swarm: Swarm) -> None:
        self._publisher = publisher
        self._swarm = swarm
        swarm.mark()
        self._scheduled = publisher.scheduled(), swarm.scheduled()
        self._cpu = publisher.cpu()

    def summary(self) -> FanOut:
        """Return figures of all that was received since."""
        cpu = self._publisher.cpu() - self._cpu
        report = self._swarm.report()
        scheduled = self._publisher.scheduled(), self._swarm.scheduled()
        waited = max(map(part_waited, self._scheduled, scheduled))
        return _summarise(report, cpu, waited)


def part_waited(before: tuple[float, float], after: tuple[float, float]) -> float:
    """Return the part of the time in which a process could have run that it did not.

    Between two looks at `Process.scheduled`.
    """
    ran, waited = after[0] - before[0], after[1] - before[1]
    return waited / (ran + waited) if ran + waited else 0.0


def _summarise(report: dict[str, Any], cpu: float, disturbed: float) -> FanOut:
    deliveries = report["deliveries"]
    if not deliveries:
        raise CannotMeasure(f"not one event arrived; the clients say {report['faults']}")
    lasts = [(last - published) / 1e6 for _, published, last in report["events"] if last]
    under_way = _union((published, last) for _, published, last in report["events"]) / 1e9
    return FanOut(
        deliveries=deliveries,
        cpu=cpu / deliveries * 1e6,
        bytes=report["bytes"] / deliveries,
        client_cpu=report["cpu"] / deliveries * 1e6,
        disturbed=disturbed,
        busy=min(1.0, report["cpu"] / (under_way or report["seconds"])),
        last_client=median(lasts) if lasts else math.nan,
        p50=_quantile(report["ages"], 0.5),
        p99=_quantile(report["ages"], 0.99),
        oldest=report["oldest"] / 1e6,
        faults=report["faults"],
    )


def side_by_side(
    pairs: Sequence[tuple[Publisher, Swarm]], rounds: int, count: int, interval: float, size: int
) -> list[FanOut]:
    """Measure several in turn, round after round, so that drift meets all; medians of each."""
    results: list[list[FanOut]] = [[] for _ in pairs]
    for publisher, swarm in pairs:
        # The first event is another: clients learn from it what the others will be like.
        swarm.wait(publisher.publish(1, 0, size))
    for _ in range(rounds):
        for (publisher, swarm), done in zip(pairs, results, strict=True):
            done.append(fan_out(publisher, swarm, count, interval, size))
    return [combine(done) for done in results]


def remarks(**measured: FanOut) -> tuple[str, ...]:
    """Return what must be said about measurements before their times are believed."""
    said = []
    for name, result in measured.items():
        name = name.replace("_", " ")
        if result.busy > BUSY:
            said.append(
                f"{name}: the clients were busy {result.busy:.0%} of the time that deliveries "
                "took, so times say as much of them as of the server; CPU figures stand"
            )
        said += disturbance(name, result.disturbed)
    return tuple(said)


def disturbance(name: str, part: float) -> list[str]:
    """Say so if others had much of the processor's time."""
    if part <= DISTURBED:
        return []
    return [
        f"{name}: other programs had {part:.0%} of the processor's time that was the server's "
        "or the clients'; times are too long by as much"
    ]


def faults(*measured: FanOut) -> dict[str, int]:
    """Add up what clients found wrong."""
    total: Counter[str] = Counter()
    for result in measured:
        total.update(result.faults)
    return dict(total)


def combine(results: Sequence[FanOut]) -> FanOut:
    """Return the medians of several measurements of the same."""
    return FanOut(
        deliveries=sum(each.deliveries for each in results),
        cpu=median(each.cpu for each in results),
        bytes=median(each.bytes for each in results),
        client_cpu=median(each.client_cpu for each in results),
        busy=median(each.busy for each in results),
        disturbed=median(each.disturbed for each in results),
        last_client=median(each.last_client for each in results),
        p50=median(each.p50 for each in results),
        p99=median(each.p99 for each in results),
        oldest=max(each.oldest for each in results),
        faults=results[-1].faults,  # the swarm counts them from its start
    )


def _union(intervals: Iterable[tuple[int, int]]) -> int:
    """Return for how long at least one of the intervals was under way."""
    total = until = 0
    for start, stop in sorted(intervals):
        total += max(0, stop - max(start, until))
        until = max(until, stop)
    return total


def _quantile(histogram: Sequence[tuple[int, int]], part: float) -> float:
    """Return, in ms, what that part of the ages does not pass; steps are 1 %."""
    left = part * sum(count for _, count in histogram)
    for step, count in histogram:
        left -= count
        if left <= 0:
            return math.exp(step / 100) / 1e6
    return math.nan
