"""How fast subscribers get in, on an idle server and on one that fans out meanwhile."""

from __future__ import annotations

from typing import Any

from ...payload import SIZE
from ..figures import Figure, Goal, Row
from ..stage import Stage

__all__ = ["setup"]

HTTP1_GOAL = 4_000.0
HTTP2_GOAL = 10_000.0


def setup(stage: Stage) -> Row:
    """Open half as many connections as the large rows have, twice."""
    sizes = stage.sizes
    stage.needs(sizes.http1)
    kinds: tuple[tuple[str, dict[str, Any], int, float], ...] = (
        ("HTTP/1.1 subscribers", {}, sizes.http1 // 2, HTTP1_GOAL),
        (
            "HTTP/2 streams",
            {"protocol": "http2", "streams": sizes.streams},
            sizes.http2 // 2,
            HTTP2_GOAL,
        ),
    )
    figures: list[Figure] = []
    notes: list[str] = []
    for name, settings, connections, goal in kinds:
        server = stage.trio_sse()
        swarm = stage.swarm(server.port, **settings)
        for while_what in ("", ", while fanning out"):
            publishing = None
            if while_what:
                count = round(connections * swarm.streams / goal / sizes.busy_interval) + 1
                publishing = server.start_publishing(count, sizes.busy_interval, SIZE)
            before = server.cpu()
            answer = swarm.connect(connections)
            cpu = server.cpu() - before
            if publishing is not None:
                server.collect(publishing, 60)
            rate = answer["opened"] / answer["took"]
            figures.append(
                Figure(f"{name}{while_what}", rate, "/s", goals=(Goal("at least", goal),))
            )
            notes.append(
                f"{name}{while_what}: {cpu / answer['opened'] * 1e6:.0f} µs of server CPU each; "
                f"the client was busy {answer['cpu'] / answer['took']:.0%} of the time"
            )
    return Row(
        "setup",
        f"Set-up of {sizes.http1 // 2:,} HTTP/1.1 subscribers and of "
        f"{sizes.http2 // 2 * sizes.streams:,} HTTP/2 streams",
        tuple(figures),
        (*notes, f"while fanning out: an event every {sizes.busy_interval:g} s to all so far"),
    )
