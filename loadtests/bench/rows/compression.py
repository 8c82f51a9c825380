"""Compression: is it true that it costs once an event, whatever the number of subscribers?"""

from __future__ import annotations

import time

from trio_sse.coding import Coding
from trio_sse.event import Event, encode

from ... import payload
from ..fanout import faults, remarks, side_by_side
from ..figures import Figure, Goal, Row
from ..stage import Stage

__all__ = ["compression"]

EVENT_BYTES = 4096
COMPRESS_ABOVE = 1024
REPETITIONS = 200

PLAIN = "uncompressed"
PLAIN_AND_ONE = "uncompressed + 1 compression"


def compression(stage: Stage) -> Row:
    """HTTP/1.1: the same events to as many connections, compressed and not, in turn."""
    sizes = stage.sizes
    stage.needs(sizes.http1, stages=2)
    plain = stage.trio_sse(padding="quotes")
    plain_swarm = stage.swarm(plain.port)
    plain_swarm.connect(sizes.http1)
    coded = stage.trio_sse(padding="quotes", compress_above=COMPRESS_ABOVE)
    coded_swarm = stage.swarm(coded.port, compressed=True)
    coded_swarm.connect(sizes.http1)
    uncompressed, compressed = side_by_side(
        [(plain, plain_swarm), (coded, coded_swarm)],
        sizes.rounds,
        sizes.events,
        sizes.http1_interval,
        EVENT_BYTES,
    )
    once = _one_compression() * 1e3
    an_event = sizes.http1 / 1e3  # from µs a delivery to ms an event
    return Row(
        "compression",
        f"HTTP/1.1, {EVENT_BYTES // 1024} KiB of JSON to {sizes.http1:,} connections, compressed",
        (
            Figure(
                "server CPU an event",
                compressed.cpu * an_event,
                "ms",
                {
                    PLAIN: uncompressed.cpu * an_event,
                    PLAIN_AND_ONE: uncompressed.cpu * an_event + once,
                },
                (Goal("at most", 1.0, PLAIN_AND_ONE),),
            ),
            Figure("of which one compression", once, "ms"),
            Figure("server CPU a delivery", compressed.cpu, "µs", {PLAIN: uncompressed.cpu}),
            Figure(
                "on the wire, a delivery", compressed.bytes, "bytes", {PLAIN: uncompressed.bytes}
            ),
            Figure(
                "last client served",
                compressed.last_client,
                "ms",
                {PLAIN: uncompressed.last_client},
            ),
        ),
        remarks(compressed=compressed, uncompressed=uncompressed),
        faults(compressed, uncompressed),
    )


def _one_compression() -> float:
    """Return the seconds that it takes to compress one such event, each another one."""
    coding = Coding(COMPRESS_ABOVE)
    events = [
        encode(Event(payload.make("a", number, EVENT_BYTES, padding=payload.quotes())))
        for number in range(REPETITIONS)
    ]
    start = time.process_time()
    for event in events:
        coding.encode(event)
    return (time.process_time() - start) / REPETITIONS
