"""What the servers use and hold, once a second, and what that makes a delivery and a subscriber.

CPU and resident memory by the accounting of each server's processes; the kernel's memory and the
load of other programs by the whole machine's, which is why load tests want a quiet one.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..proc import slab_bytes, socket_bytes
from .load import Load
from .servers import Hub

__all__ = ["Sampler", "costs", "wait_for_the_kernel"]

KERNEL_KNOWN = 1_000
"""Connections from which on the kernel's memory, which is the whole machine's, is mostly theirs."""

LETTING_GO = 1024 * 1024
"""Bytes in half a second: less is what a quiet machine does anyhow."""

Sample = list[float]
"""Time (s since the epoch), CPU s, and bytes: resident, slab, in socket buffers."""


class Sampler:
    """Samples of all servers together, from before the first client on."""

    def __init__(self, hubs: Sequence[Hub], cpus: Iterable[int]) -> None:
        self._hubs = hubs
        self._cpus = set(cpus)
        self.samples: list[Sample] = []
        self._busy: list[float] = []

    def take(self) -> None:
        """Look once; takes a millisecond or so."""
        used = [hub.usage() for hub in self._hubs]
        cpu, resident = sum(each.cpu for each in used), sum(each.resident for each in used)
        self.samples.append(
            [time.time(), cpu, float(resident), float(slab_bytes()), float(socket_bytes())]
        )
        self._busy.append(_busy(self._cpus))

    def lately(self) -> tuple[float, float]:
        """Return how busy the servers have been since the sample before (1 is a processor), and
        what they hold."""
        before, now = self.samples[-2:] if len(self.samples) > 1 else self.samples * 2
        seconds = now[0] - before[0]
        return (now[1] - before[1]) / seconds if seconds else 0.0, now[2]

    def foreign(self, begin: float, end: float) -> float:
        """Return which part of the servers' processors others had between two times."""
        times = [sample[0] for sample in self.samples]
        first = min(bisect_left(times, begin), len(times) - 1)
        last = min(bisect_left(times, end), len(times) - 1)
        seconds = times[last] - times[first]
        if seconds <= 0:
            return 0.0
        ours = self.samples[last][1] - self.samples[first][1]
        return max(0.0, self._busy[last] - self._busy[first] - ours) / seconds / len(self._cpus)


def costs(load: Load, measured: dict[str, Any], samples: Sequence[Sample]) -> dict[str, Any]:
    """Return `cpu_us_per_delivery`, `rss_per_subscriber` and `kernel_per_subscriber`.

    What cannot be known is None. CPU counts until the last client has the last event. Memory is
    that of the moment at which all clients are there, less that of before the first one, divided
    by them; of a ramp, of its last step.
    """
    begin, end = measured.get("measured_from"), measured.get("measured_to")
    deliveries, connected = measured.get("deliveries"), measured.get("connected")
    found: dict[str, Any] = dict.fromkeys(
        ("cpu_us_per_delivery", "rss_per_subscriber", "kernel_per_subscriber")
    )
    if not samples or begin is None or end is None:
        return found
    if deliveries:
        # Also the events of a burst that come when no more are published.
        lasts = [
            due + last / 1e6 for _, due, clients, _, _, last, _ in measured["events"] if clients
        ]
        used = _at(samples, max([end, *lasts]))[1] - _at(samples, begin)[1]
        found["cpu_us_per_delivery"] = used * 1e6 / deliveries
    if connected:
        before, full = samples[0], _at(samples, end if load.ramp else begin)
        resident, kernel = full[2] - before[2], full[3] + full[4] - before[3] - before[4]
        # Of a few clients it is less than what others take or let go of meanwhile.
        if resident > 0:
            found["rss_per_subscriber"] = resident / connected
        if kernel > 0 and load.connections >= KERNEL_KNOWN:
            found["kernel_per_subscriber"] = kernel / connected
    return found


def wait_for_the_kernel(seconds: float = 10.0) -> None:
    """Wait until the kernel has let go of the sockets of an earlier variant; at most so long."""
    deadline = time.monotonic() + seconds
    before, now = math.inf, float(slab_bytes())
    while before - now > LETTING_GO and time.monotonic() < deadline:
        time.sleep(0.5)
        before, now = now, float(slab_bytes())


def _at(samples: Sequence[Sample], moment: float) -> Sample:
    """Return what a sample at that moment would have been; between two, in proportion."""
    index = bisect_left(samples, moment, key=lambda sample: sample[0])
    if index == 0:
        return samples[0]
    if index == len(samples):
        return samples[-1]
    before, after = samples[index - 1], samples[index]
    part = (moment - before[0]) / (after[0] - before[0])
    return [b + part * (a - b) for b, a in zip(before, after, strict=True)]


def _busy(cpus: set[int]) -> float:
    """Return for how many seconds programs have run on these processors (proc_stat).

    Interrupts are left out: on loopback most of those are the servers' own packets.
    """
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *figures = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cpus:
            user, nice, system = map(int, figures[:3])
            ticks += user + nice + system
    return ticks / 100
