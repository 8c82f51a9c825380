"""Many small audiences: does an event cost what it delivers, however many others there are?"""

from __future__ import annotations

from typing import Any, Literal

from ...payload import SIZE
from ..fanout import FanOut, Watch, combine, faults, remarks
from ..figures import Figure, Goal, Row
from ..stage import Stage
from ..subjects import Swarm, TrioSse

__all__ = ["topics"]

AUDIENCE = 5
"""Subscribers of each topic."""

FEWER = 50
"""How many times fewer topics there are in what is compared."""


def topics(stage: Stage) -> Row:
    """Few topics and many, with the same events a second and the same audiences."""
    sizes = stage.sizes
    many = sizes.topics
    few = max(2, many // FEWER)
    connections = many * AUDIENCE // sizes.streams
    stage.needs(connections, stages=2)
    # As many connections in both: only the streams on each, and the topics, differ.
    streams = max(1, few * AUDIENCE // connections)
    http2 = _compare(stage, "http2", connections, (few, streams), (many, sizes.streams))
    stage.needs(many)
    http1_many = many // 5
    http1 = _compare(stage, "http1", 0, (max(2, http1_many // 10), 1), (http1_many, 1))
    figures = [
        Figure(
            f"server CPU a delivery, {name}, {topics_of:,} topics x {AUDIENCE}",
            large.cpu,
            "µs",
            {f"{fewer:,} topics": small.cpu},
            (Goal("at most", 1.25, f"{fewer:,} topics"),),
        )
        for name, topics_of, fewer, (small, large) in (
            ("HTTP/2", many, few, http2),
            ("HTTP/1.1", http1_many, max(2, http1_many // 10), http1),
        )
    ]
    return Row(
        "topics",
        f"{many:,} topics x {AUDIENCE} subscribers, {sizes.topics_rate:,} events/s",
        (*figures, Figure("p99 of all clients, HTTP/2", http2[1].p99, "ms")),
        remarks(http2=http2[1], http1=http1[1]),
        faults(*http2, *http1),
    )


def _compare(
    stage: Stage,
    protocol: Literal["http1", "http2"],
    connections: int,
    *kinds: tuple[int, int],
) -> list[FanOut]:
    """Measure each of `kinds`, topics and streams a connection, in turn."""
    pairs = []
    for count, streams in kinds:
        server = stage.trio_sse()
        settings: dict[str, Any] = {"protocol": protocol, "streams": streams, "topics": count}
        swarm = stage.swarm(server.port, **settings)
        swarm.connect(connections or count * AUDIENCE)
        pairs.append((server, swarm, count))
    results: list[list[FanOut]] = [[] for _ in pairs]
    for _ in range(stage.sizes.rounds):
        for (server, swarm, count), done in zip(pairs, results, strict=True):
            done.append(_measure(stage, server, swarm, count))
    return [combine(done) for done in results]


def _measure(stage: Stage, server: TrioSse, swarm: Swarm, topics: int) -> FanOut:
    sizes = stage.sizes
    count = round(sizes.topics_rate * sizes.topics_seconds)
    watch = Watch(server, swarm)
    server.publish(count, 1 / sizes.topics_rate, SIZE, topics)
    swarm.count(count * swarm.size // topics)
    return watch.summary()
