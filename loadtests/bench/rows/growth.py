"""How the cost of an event grows with the subscribers, from few to as many as there may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...payload import SIZE
from ..fanout import FanOut, fan_out, faults
from ..figures import Row, Series
from ..stage import Stage

__all__ = ["growth"]

Grown = dict[int, FanOut]
"""What was measured at each size of the crowd."""


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
            *_series("server CPU a delivery, µs", http1, http2, lambda r: r.cpu),
            *_series("time to the last client, ms", http1, http2, lambda r: r.last_client),
        ),
    )


def _grow(stage: Stage, steps: tuple[int, ...], settings: dict[str, Any]) -> Grown:
    sizes = stage.sizes
    server = stage.trio_sse()
    swarm = stage.swarm(server.port, **settings)
    connections = 0
    measured: Grown = {}
    for step in steps:
        swarm.connect(step - connections)
        connections = step
        # Newcomers learn from the first event.
        swarm.wait(server.publish(1, 0, SIZE))
        measured[swarm.size] = fan_out(server, swarm, sizes.events, 3 * sizes.busy_interval, SIZE)
    return measured


def _series(
    quantity: str, http1: Grown, http2: Grown, figure: Callable[[FanOut], float]
) -> tuple[Series, ...]:
    return tuple(
        Series(f"{name}: {quantity}", tuple((float(n), figure(r)) for n, r in grown.items()))
        for name, grown in (("HTTP/1.1", http1), ("HTTP/2", http2))
    )
