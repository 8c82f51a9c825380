"""How the cost of an event grows with the subscribers, from few to as many as there may be."""

from __future__ import annotations

from typing import Any

from ...payload import SIZE
from ..fanout import FanOut, fan_out, faults
from ..figures import Row, Series
from ..stage import Stage

__all__ = ["growth"]


def growth(stage: Stage) -> Row:
    """Let a crowd grow and publish some events at each size, on both protocols."""
    sizes = stage.sizes
    stage.needs(max(sizes.growth_http1))
    http1 = _grow(stage, sizes.growth_http1, {})
    settings = {"protocol": "http2", "streams": sizes.streams}
    http2 = _grow(stage, sizes.growth_http2, settings)
    return Row(
        "growth",
        f"Growth to {max(http1):,} HTTP/1.1 subscribers and to {max(http2):,} HTTP/2 streams",
        faults=faults(*http1.values(), *http2.values()),
        series=(
            _series("HTTP/1.1: server CPU a delivery, µs", {n: r.cpu for n, r in http1.items()}),
            _series("HTTP/2: server CPU a delivery, µs", {n: r.cpu for n, r in http2.items()}),
            _series("HTTP/1.1: last client, ms", {n: r.last_client for n, r in http1.items()}),
            _series("HTTP/2: last client, ms", {n: r.last_client for n, r in http2.items()}),
        ),
    )


def _grow(stage: Stage, steps: tuple[int, ...], settings: dict[str, Any]) -> dict[int, FanOut]:
    sizes = stage.sizes
    server = stage.trio_sse()
    swarm = stage.swarm(server.port, **settings)
    connections = 0
    measured = {}
    for step in steps:
        swarm.connect(step - connections)
        connections = step
        # Newcomers learn from the first event.
        swarm.wait(server.publish(1, 0, SIZE))
        measured[swarm.size] = fan_out(server, swarm, sizes.events, 3 * sizes.busy_interval, SIZE)
    return measured


def _series(name: str, points: dict[int, float]) -> Series:
    return Series(name, tuple((float(size), value) for size, value in points.items()))
