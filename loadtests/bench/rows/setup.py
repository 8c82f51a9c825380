"""How fast subscribers get in, on an idle server and on one that fans out meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from ...payload import SIZE
from ..fanout import disturbance, part_waited
from ..figures import Figure, Goal, Row
from ..stage import Stage
from ..subjects import Swarm, TrioSse

__all__ = ["setup"]

HTTP1_GOAL = 4_000.0
HTTP2_GOAL = 10_000.0


def setup(stage: Stage) -> Row:
    """Open half as many connections as the large rows have, and as many again meanwhile."""
    sizes = stage.sizes
    stage.needs(sizes.http1)
    http2 = {"protocol": "http2", "streams": sizes.streams}
    figures: list[Figure] = []
    notes = [f"while fanning out: an event every {sizes.busy_interval:g} s to all so far"]
    for name, settings, connections, goal in (
        ("HTTP/1.1 subscribers", {}, sizes.http1 // 2, HTTP1_GOAL),
        ("HTTP/2 streams", http2, sizes.http2 // 2, HTTP2_GOAL),
    ):
        idle, fanning_out = _measure(stage, settings, connections, goal)
        for what, openings in ((name, idle), (f"{name}, while fanning out", fanning_out)):
            rate = median(each.rate for each in openings)
            figures.append(Figure(what, rate, "/s", goals=(Goal("at least", goal),)))
            notes.append(
                f"{what}: {median(each.cpu for each in openings):.0f} µs of server CPU each; the "
                f"client was busy {median(each.client_busy for each in openings):.0%} of the time"
            )
            notes += disturbance(what, median(each.disturbed for each in openings))
    return Row(
        "setup",
        f"Set-up of {sizes.http1 // 2:,} HTTP/1.1 subscribers and of "
        f"{sizes.http2 // 2 * sizes.streams:,} HTTP/2 streams",
        tuple(figures),
        tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class Opening:
    """What it was like to open many streams."""

    rate: float
    """Streams a second."""
    cpu: float
    """The server's, in µs a stream."""
    client_busy: float
    disturbed: float


def _measure(
    stage: Stage, settings: dict[str, Any], connections: int, goal: float
) -> tuple[list[Opening], list[Opening]]:
    """Measure rounds of openings, on an idle server and on one that fans out meanwhile."""
    interval = stage.sizes.busy_interval
    server = stage.trio_sse()
    swarm = stage.swarm(server.port, **settings)
    idle, fanning_out = [], []
    for _ in range(stage.sizes.rounds):
        idle.append(_open(server, swarm, connections))
        count = round(connections * swarm.streams / goal / interval) + 1
        publishing = server.start_publishing(count, interval, SIZE)
        fanning_out.append(_open(server, swarm, connections))
        server.collect(publishing, 60)
        swarm.ask("leave", connections=2 * connections)
        server.wait_until_empty()
    return idle, fanning_out


def _open(server: TrioSse, swarm: Swarm, connections: int) -> Opening:
    before, cpu = server.scheduled(), server.cpu()
    answer = swarm.connect(connections)
    cpu = server.cpu() - cpu
    return Opening(
        answer["opened"] / answer["took"],
        cpu / answer["opened"] * 1e6,
        answer["cpu"] / answer["took"],
        part_waited(before, server.scheduled()),
    )
