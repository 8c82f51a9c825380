"""Read this machine's figures and publish them to a hub, four times a second.

What lives here: `Reading` (the raw counters at one moment), the arithmetic between two
readings, and `Figures`, which turns them into events. Rules: the arithmetic is pure; psutil is
asked in one place; every event carries the moment it was published, so that whoever receives
it can tell how long it travelled. Nothing here knows of HTTP.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import psutil
import trio

from trio_sse import Event, Hub, Server

EVERY = 0.25
"""Seconds between two readings."""

WINDOW = 1.0
"""Seconds over which rates are taken. The kernel counts processor time in steps of 10 ms: over
a quarter of a second one step is 4 %, over a second 1 %."""

KEEP = 60.0
"""Seconds of history that a page draws, and so asks for when it opens."""

PULSE = 1.0
"""Seconds between two events on the topic `pulse`, which the grid of 100 streams follows."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters since the machine started: processor time in seconds, traffic in bytes."""

    moment: float
    busy: tuple[float, ...]
    total: tuple[float, ...]
    received: int
    sent: int


def read() -> Reading:
    """Read the counters now. Loopback traffic counts too: the demo's own goes there."""
    cores = psutil.cpu_times(percpu=True)
    # `guest` time is counted in `user` as well (man 5 proc), so it comes off the sum.
    total = tuple(
        sum(core) - getattr(core, "guest", 0.0) - getattr(core, "guest_nice", 0.0) for core in cores
    )
    idle = tuple(core.idle + getattr(core, "iowait", 0.0) for core in cores)
    traffic = psutil.net_io_counters()
    return Reading(
        moment=time.monotonic(),
        busy=tuple(all_of_it - rest for all_of_it, rest in zip(total, idle, strict=True)),
        total=total,
        received=traffic.bytes_recv if traffic else 0,
        sent=traffic.bytes_sent if traffic else 0,
    )


def cores_busy(earlier: Reading, later: Reading) -> list[float]:
    """Return how busy each core was between two readings, in percent."""
    return [
        round(100 * min(max(busy / total, 0.0), 1.0), 1) if total > 0 else 0.0
        for busy, total in zip(
            (b - a for a, b in zip(earlier.busy, later.busy, strict=False)),
            (b - a for a, b in zip(earlier.total, later.total, strict=False)),
            strict=True,
        )
    ]


def traffic(earlier: Reading, later: Reading) -> dict[str, int]:
    """Return the bytes a second received and sent between two readings."""
    seconds = later.moment - earlier.moment
    return {
        "received": round(max(later.received - earlier.received, 0) / seconds),
        "sent": round(max(later.sent - earlier.sent, 0) / seconds),
    }


class Figures:
    """Publishes the figures, and knows from which event on a page's minute of history starts."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._recent: deque[tuple[float, str]] = deque()

    @property
    def since(self) -> str | None:
        """The id of the event a minute ago, or None if nothing was published yet."""
        return self._recent[0][1] if self._recent else None

    async def publish(self, server: Server) -> None:
        """Publish the figures of the machine and of this server until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._figures, server)
            nursery.start_soon(self._pulse)

    async def _figures(self, server: Server) -> None:
        readings = deque([read()], maxlen=round(WINDOW / EVERY) + 1)
        due = trio.current_time()
        while True:
            # A machine that slept does not catch up on what nobody saw.
            due = max(due + EVERY, trio.current_time())
            await trio.sleep_until(due)
            readings.append(read())
            self._machine(readings[0], readings[-1])
            self._server(server)

    async def _pulse(self) -> None:
        for beat in itertools.count():
            self._send("pulse", "pulse", {"beat": beat})
            await trio.sleep(PULSE)

    def _machine(self, earlier: Reading, later: Reading) -> None:
        memory = psutil.virtual_memory()
        self._send("machine/cpu", "cpu", {"cores": cores_busy(earlier, later)})
        self._send(
            "machine/memory",
            "memory",
            {"used": memory.total - memory.available, "total": memory.total},
        )
        self._send("machine/network", "network", traffic(earlier, later))
        average = [round(load, 2) for load in psutil.getloadavg()]
        self._send("machine/load", "load", {"average": average, "cores": len(later.total)})

    def _server(self, server: Server) -> None:
        hub, counts = self._hub.statistics(), server.statistics()
        self._send(
            "server",
            "server",
            {
                "connections": counts.connections,
                "streams": counts.streams,
                "published": hub.published,
            },
        )

    def _send(self, topic: str, kind: str, figures: dict[str, Any]) -> None:
        now = time.time()
        identity = self._hub.publish(
            topic, Event.json({"at": round(now * 1000, 3), **figures}, type=kind)
        )
        self._recent.append((now, identity))
        while self._recent[0][0] < now - KEEP:
            self._recent.popleft()
