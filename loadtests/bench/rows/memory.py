"""What a subscriber costs who just listens: ours, and the kernel's part."""

from __future__ import annotations

from typing import Any

from ...proc import kernel_bytes
from ..figures import Figure, Goal, Row
from ..stage import Stage

__all__ = ["memory"]

WARM_UP = 20
"""Connections made before memory is measured: what is needed once is not theirs."""


def memory(stage: Stage) -> Row:
    """Idle HTTP/1.1 subscribers and HTTP/2 streams."""
    sizes = stage.sizes
    stage.needs(sizes.http1)
    http1, http1_kernel = _grow(stage, sizes.http1, {})
    settings = {"protocol": "http2", "streams": sizes.streams}
    http2, http2_kernel = _grow(stage, sizes.http2, settings)
    return Row(
        "memory",
        f"Memory of {sizes.http1:,} idle HTTP/1.1 subscribers, and of "
        f"{sizes.http2:,} x {sizes.streams} HTTP/2 streams",
        (
            Figure("resident, an HTTP/1.1 subscriber", http1, "KiB", goals=(Goal("at most", 8.0),)),
            Figure("resident, an HTTP/2 stream", http2, "KiB", goals=(Goal("at most", 1.5),)),
            Figure("kernel, both ends of an HTTP/1.1 connection", http1_kernel, "KiB"),
            Figure("kernel, both ends of an HTTP/2 stream", http2_kernel, "KiB"),
        ),
    )


def _grow(stage: Stage, connections: int, settings: dict[str, Any]) -> tuple[float, float]:
    server = stage.trio_sse()
    swarm = stage.swarm(server.port, **settings)
    swarm.connect(WARM_UP)
    before, kernel_before = server.figures()["rss"], kernel_bytes()
    opened = swarm.connect(connections)["opened"]
    rss = server.figures()["rss"] - before
    return rss / opened / 1024, (kernel_bytes() - kernel_before) / opened / 1024
