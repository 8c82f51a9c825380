"""Clients that read nothing: what do the others notice, what do they cost, what do they lose?"""

from __future__ import annotations

import time
from statistics import median

from ...payload import SIZE
from ...proc import socket_bytes
from ..fanout import fan_out, faults, remarks
from ..figures import CannotMeasure, Figure, Goal, Row
from ..stage import Stage
from ..subjects import Swarm, TrioSse

__all__ = ["stalled"]

FILLING = 64 * 1024
"""Bytes of the events that fill the sockets of who does not read."""

ROUNDS = 3

MOST_FILLING = 80
"""Events of that size: more than the 4 MiB that Linux lets a socket buffer by default."""


def stalled(stage: Stage) -> Row:
    """None, one and many stalled; then half of them read on, and half are dropped and return."""
    sizes = stage.sizes
    stage.needs(sizes.http1, stages=2)
    server = stage.trio_sse(write_timeout=sizes.write_timeout)
    swarm = stage.swarm(server.port)
    swarm.connect(sizes.http1)
    swarm.wait(server.publish(1, 0, SIZE))
    without, with_one = [], []
    for _ in range(ROUNDS):
        # In turn: from one half minute to the next a p99 varies by more than what is asked.
        swarm.ask("wake", connections=1)
        without.append(fan_out(server, swarm, sizes.events, sizes.http1_interval, SIZE))
        swarm.ask("stall", connections=1)
        with_one.append(fan_out(server, swarm, sizes.events, sizes.http1_interval, SIZE))
    resident, kernel = server.figures()["rss"], socket_bytes()
    swarm.ask("stall", connections=sizes.stalled - 1)
    filled = _fill(server, swarm, sizes.stalled)
    with_many = [
        fan_out(server, swarm, sizes.events, sizes.http1_interval, SIZE) for _ in range(ROUNDS)
    ]
    # Those who read have taken everything: what is left in buffers is the stalled ones'.
    resident, kernel = server.figures()["rss"] - resident, socket_bytes() - kernel
    returned = _come_back(server, swarm, sizes.stalled, sizes.write_timeout)
    final = fan_out(server, swarm, sizes.events, sizes.http1_interval, SIZE)
    base, baseline = "none stalled", median(each.p99 for each in without)
    notes = [
        f"{filled} events of 64 KiB filled the sockets of the stalled"
        if filled < MOST_FILLING
        else f"{filled} events of 64 KiB did not fill the sockets of the stalled",
        returned,
    ]
    return Row(
        "stalled",
        f"{sizes.stalled:,} of {sizes.http1:,} HTTP/1.1 clients stalled",
        (
            Figure(
                "p99 of the others, one stalled",
                median(each.p99 for each in with_one),
                "ms",
                {base: baseline},
                (Goal("at most", 1.1, base),),
            ),
            Figure(
                f"p99 of the others, {sizes.stalled:,} stalled",
                median(each.p99 for each in with_many),
                "ms",
                {base: baseline},
                (Goal("at most", 1.1, base),),
            ),
            Figure("kernel buffers, a stalled client", kernel / sizes.stalled / 1024, "KiB"),
            Figure("resident, a stalled client", resident / sizes.stalled / 1024, "KiB"),
        ),
        (*notes, *remarks(none_stalled=without[-1], many_stalled=with_many[-1])),
        faults(final),
    )


def _fill(server: TrioSse, swarm: Swarm, stalled: int) -> int:
    """Publish large events until the stalled have left the head of the log; return how many."""
    for count in range(1, MOST_FILLING + 1):
        swarm.wait(server.publish(1, 0, FILLING))
        if server.figures()["hub"]["subscribers"] <= swarm.size - stalled:
            return count
    return MOST_FILLING


def _come_back(server: TrioSse, swarm: Swarm, stalled: int, write_timeout: float) -> str:
    """Have half of the stalled read on, the others be dropped and return; say what happened."""
    reading = stalled - stalled // 2
    swarm.ask("wake", connections=reading)
    swarm.wait(server.publish(1, 0, SIZE))
    deadline = time.monotonic() + 2 * write_timeout + 5
    while server.figures()["server"]["dropped"] < stalled // 2:
        if time.monotonic() > deadline:
            dropped = server.figures()["server"]["dropped"]
            raise CannotMeasure(
                f"only {dropped} of {stalled // 2} stalled clients were dropped in time"
            )
        time.sleep(0.2)
    last = server.publish(1, 0, SIZE)
    answer = swarm.ask("return", seconds=30, within=40)
    missing = swarm.wait(last)
    return (
        f"{reading} of the stalled read on; {stalled // 2} were dropped after "
        f"{write_timeout:g} s and {answer['opened']} came back with Last-Event-ID; "
        f"{missing or 'none'} of all lack anything"
    )
