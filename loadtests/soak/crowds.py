"""Honest clients of all kinds, who come, stall, come back with their last id, and leave by chance.

Swarms check every event of every stream for loss, repetition and order. Who stalls for long is
dropped by the server, which is no fault; whatever else they find is one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from ..bench.stage import Stage
from ..bench.subjects import Swarm, TrioSse
from ..payload import SIZE

__all__ = ["Crowds"]

LARGE = 64 * 1024
"""Size of every twentieth event: it fills the buffers of those who do not read."""

SMALL_ONES = 19
INTERVAL = 0.05
HISTORY = 10_000
"""Events that the log holds."""

ROUNDS_UNTIL_RETURN = 10
"""A round is a second or so: who is still stalled by then has been dropped."""

KINDS: tuple[tuple[int, dict[str, Any]], ...] = (
    (400, {}),
    (20, {"protocol": "http2", "streams": 10, "windows": "default"}),
    (80, {"tls": True}),
    (10, {"protocol": "http2", "streams": 20, "tls": True}),
)
"""How many connections of which kind there are, more or less."""

EXPECTED = {"dropped"}
"""Not a fault: the server drops who stalls."""


class Crowds:
    """A swarm of each kind."""

    def __init__(self, stage: Stage, server: TrioSse) -> None:
        self._server = server
        self._crowds: list[tuple[int, Swarm]] = []
        for size, settings in KINDS:
            port = server.tls_port if settings.get("tls") else server.port
            self._crowds.append((size, stage.swarm(port, **settings)))
        self._random = random.Random(1)
        self._turn = 0
        self.events = 0
        """Published so far, the last one's number."""
        self.returned = 0
        """Streams that came back."""

    def fill_log(self) -> None:
        """Publish as much as the log holds, so that it grows no more."""
        for _ in range(HISTORY // (SMALL_ONES + 1) + 1):
            self._publish(0.0)

    def stir(self, meanwhile: Callable[[], None]) -> None:
        """Have some come and go, and publish for a second; calls `meanwhile` now and then."""
        self._turn += 1
        for size, swarm in self._crowds:
            self._stir(size, swarm)
            meanwhile()
        self._publish(INTERVAL)
        meanwhile()

    def settle(self) -> None:
        """Have all come back who have stalled, and wait until everyone has the last event."""
        for _, swarm in self._crowds:
            self._return(swarm)
        # Who was never sent anything has nothing to go on from, and starts with this one.
        self._publish(0.0)
        for _, swarm in self._crowds:
            swarm.wait(self.events)

    def leave(self) -> None:
        """Have everyone leave."""
        for _, swarm in self._crowds:
            swarm.ask("leave", connections=1_000_000)

    def faults(self) -> dict[str, int]:
        """Return what clients found wrong."""
        found: dict[str, int] = {}
        for _, swarm in self._crowds:
            for fault, count in swarm.report()["faults"].items():
                if fault not in EXPECTED:
                    found[fault] = found.get(fault, 0) + count
        return found

    def cpu(self) -> float:
        """Return the seconds that the swarms have run."""
        return sum(swarm.scheduled()[0] for _, swarm in self._crowds)

    def _publish(self, interval: float) -> None:
        self._server.publish(SMALL_ONES, interval, SIZE)
        self.events = self._server.publish(1, 0, LARGE)

    def _stir(self, size: int, swarm: Swarm) -> None:
        some = max(1, size // 10)
        here = swarm.report()["connections"]
        swarm.ask("wake", connections=self._random.randint(0, some // 2))
        swarm.connect(self._random.randint(0, max(1, (size - here) // 2)))
        swarm.ask("leave", connections=self._random.randint(0, some))
        swarm.ask("stall", connections=self._random.randint(0, some))
        if self._turn % ROUNDS_UNTIL_RETURN == 0:
            self._return(swarm)
        # Reports would become long otherwise.
        swarm.mark()

    def _return(self, swarm: Swarm) -> None:
        self.returned += swarm.ask("return", seconds=20, within=30)["opened"]
