"""What takes part in a measurement: servers that publish, and the swarm that listens.

Each is one process, spoken to through `Child`; nothing here judges or computes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from .. import ROOT
from ..processes import Child

__all__ = ["BareLoop", "Publisher", "Swarm", "TrioSse"]

STARTUP_SECONDS = 30.0


class Publisher(Protocol):
    """A server that can be told to publish."""

    name: str

    def publish(self, count: int, interval: float, size: int) -> int:
        """Publish so many events, one every `interval` s; return the number of the last."""

    def cpu(self) -> float:
        """Return the seconds of CPU that it has used for publishing, or at all."""

    def scheduled(self) -> tuple[float, float]:
        """Return the seconds that it has run, and that it was ready but had to wait."""


class TrioSse(Child):
    """Our server."""

    name = "trio-sse"

    def __init__(self, cpus: Iterable[int], settings: dict[str, Any]) -> None:
        argv = [sys.executable, "-m", "loadtests.server_under_test", json.dumps(settings)]
        super().__init__(argv, cpus, cwd=str(ROOT))
        self.port = self.tls_port = 0

    def greet(self) -> None:
        listening = self.read(STARTUP_SECONDS)
        self.port, self.tls_port = listening["port"], listening["tls_port"]

    def publish(self, count: int, interval: float, size: int, topics: int = 0) -> int:
        ticket = self.start_publishing(count, interval, size, topics)
        last: int = self.collect(ticket, count * interval + 60)["last"]
        return last

    def start_publishing(self, count: int, interval: float, size: int, topics: int = 0) -> int:
        """Begin to publish; the ticket is answered when that is done."""
        return self.order("publish", count=count, interval=interval, size=size, topics=topics)

    def figures(self) -> dict[str, Any]:
        """Return what it uses and holds."""
        return self.ask("figures")

    def wait_until_empty(self, within: float = 30.0) -> None:
        """Wait until the last connection has ended. Raises ChildFailed."""
        deadline = time.monotonic() + within
        while left := self.figures()["server"]["connections"]:
            if time.monotonic() > deadline:
                raise self.failure(f"has {left} connections {within:.0f} s after all left")
            time.sleep(0.05)

    def cpu(self) -> float:
        used: float = self.figures()["cpu"]
        return used

    def resident(self) -> int:
        """Return the bytes of memory that it has."""
        resident: int = self.figures()["rss"]
        return resident


class BareLoop(Child):
    """The C program that does nothing but write()."""

    name = "bare C loop"

    def __init__(
        self, program: Path, cpus: Iterable[int], connections: int, streams: int, size: int
    ) -> None:
        super().__init__([str(program), *map(str, (connections, streams, size))], cpus, cwd="/")
        self.port = 0
        self._cpu = 0.0

    def greet(self) -> None:
        self.port = self.read(STARTUP_SECONDS)["port"]

    def connected(self) -> None:
        """Wait until it has all the clients that it waits for."""
        self.read(STARTUP_SECONDS)

    def publish(self, count: int, interval: float, size: int) -> int:
        self.send(f"{count} {round(interval * 1e6)}")
        done = self.read(count * interval + 60)
        self._cpu += done["cpu"]
        last: int = done["last"]
        return last

    def cpu(self) -> float:
        return self._cpu


class Swarm(Child):
    """A process of load clients, all of one kind."""

    def __init__(self, cpus: Iterable[int], settings: dict[str, Any]) -> None:
        argv = [sys.executable, "-m", "loadtests.swarm", json.dumps(settings)]
        super().__init__(argv, cpus, cwd=str(ROOT))
        self.streams: int = settings.get("streams", 1)
        self.size = 0
        """Streams that were opened."""

    def greet(self) -> None:
        self.read(STARTUP_SECONDS)

    def connect(self, connections: int, within: float = 90.0) -> dict[str, Any]:
        """Open connections with all their streams; say how long that took, and the CPU."""
        answer = self.ask("connect", within=within + 10, connections=connections, seconds=within)
        self.size += answer["opened"]
        return answer

    def wait(self, number: int, within: float = 60.0) -> int:
        """Wait until all have an event; return how many have not."""
        missing: int = self.ask("wait", within=within + 10, number=number, seconds=within)[
            "missing"
        ]
        return missing

    def count(self, deliveries: int, within: float = 60.0) -> int:
        """Wait for so many deliveries since the mark; return how many are missing."""
        missing: int = self.ask("count", within=within + 10, deliveries=deliveries, seconds=within)[
            "missing"
        ]
        return missing

    def mark(self) -> None:
        """Count from now on."""
        self.ask("mark")

    def report(self) -> dict[str, Any]:
        """Return what has been counted since the mark."""
        return self.ask("report")
