"""HTTP/1.1: one write a client is the kernel's price; what do we add to it?"""

from __future__ import annotations

from ...payload import SIZE
from ..fanout import (
    combine,
    disturbance,
    fan_out,
    faults,
    part_waited,
    remarks,
    side_by_side,
)
from ..figures import CannotMeasure, Figure, Goal, Row
from ..stage import Stage
from ..subjects import Publisher, Swarm

__all__ = ["burst", "http1", "latency"]

SINGLE_EVENTS = 40
SINGLE_INTERVAL = 0.05


def http1(stage: Stage) -> Row:
    """Many connections, an event now and then, beside the C loop and nchan."""
    sizes = stage.sizes
    stage.needs(sizes.http1, stages=3)
    ours = stage.trio_sse()
    listeners = stage.swarm(ours.port)
    listeners.connect(sizes.http1)
    loop = stage.bare_loop(sizes.http1)
    loop_listeners = stage.swarm(loop.port)
    loop_listeners.connect(sizes.http1)
    loop.connected()
    pairs: list[tuple[Publisher, Swarm]] = [(ours, listeners), (loop, loop_listeners)]
    notes: tuple[str, ...] = ()
    try:
        nchan = stage.nchan()
    except CannotMeasure as reason:
        notes = (f"nchan: {reason}",)
    else:
        nchan_listeners = stage.swarm(nchan.port)
        nchan_listeners.connect(sizes.http1)
        pairs.append((nchan, nchan_listeners))
    results = side_by_side(pairs, sizes.http1_rounds, sizes.events, sizes.http1_interval, SIZE)
    by_name = {pair[0].name: result for pair, result in zip(pairs, results, strict=True)}
    mine = by_name.pop("trio-sse")
    goals = [Goal("at most", 1.25, "bare C loop")]
    if "nchan" in by_name:
        goals.append(Goal("at most", 1.0, "nchan"))
    cpu = {name: result.cpu for name, result in by_name.items()}
    last = {name: result.last_client for name, result in by_name.items()}
    return Row(
        "http1",
        f"HTTP/1.1, {sizes.http1:,} connections, an event every {sizes.http1_interval:g} s",
        (
            Figure("server CPU a delivery", mine.cpu, "µs", cpu, tuple(goals)),
            Figure("last client served", mine.last_client, "ms", last),
            Figure("p99 of all clients", mine.p99, "ms", {n: r.p99 for n, r in by_name.items()}),
            Figure("client's CPU a delivery", mine.client_cpu, "µs"),
        ),
        notes + remarks(trio_sse=mine),
        faults(mine, *by_name.values()),
    )


def burst(stage: Stage) -> Row:
    """More events than passes over the clients: a pass carries all that is new."""
    sizes = stage.sizes
    stage.needs(sizes.burst)
    server = stage.trio_sse()
    swarm = stage.swarm(server.port)
    swarm.connect(sizes.burst)
    swarm.wait(server.publish(1, 0, SIZE))
    singles, bursts = [], []
    for _ in range(sizes.rounds):
        singles.append(fan_out(server, swarm, SINGLE_EVENTS, SINGLE_INTERVAL, SIZE))
        count = round(sizes.burst_rate * sizes.burst_seconds)
        bursts.append(fan_out(server, swarm, count, 1 / sizes.burst_rate, SIZE))
    single, many = combine(singles), combine(bursts)
    one = "one at a time"
    return Row(
        "burst",
        f"HTTP/1.1, {sizes.burst:,} connections, {sizes.burst_rate:,} events/s offered",
        (
            Figure(
                "server CPU a delivery",
                many.cpu,
                "µs",
                {one: single.cpu},
                (Goal("at most", 0.15, one),),
            ),
            Figure("oldest event when read", many.oldest, "ms"),
            Figure("client's CPU a delivery", many.client_cpu, "µs"),
        ),
        remarks(one_at_a_time=single, all_at_once=many),
        faults(many),
    )


def latency(stage: Stage) -> Row:
    """How long another task of the program waits while the hub is busy without a pause."""
    sizes = stage.sizes
    stage.needs(sizes.http1)
    server = stage.trio_sse()
    swarm = stage.swarm(server.port)
    swarm.connect(sizes.http1)
    swarm.wait(server.publish(1, 0, SIZE))
    count = 4 * sizes.events
    seconds = count * sizes.busy_interval
    before = server.scheduled()
    publishing = server.start_publishing(count, sizes.busy_interval, SIZE)
    # Over before the publishing is: what it sees is a hub at work.
    probed = server.ask("probe", seconds=seconds * 0.8, within=seconds + 30)
    swarm.wait(server.collect(publishing, seconds + 30)["last"])
    report = swarm.report()
    return Row(
        "latency",
        f"Another task's wait during fan-out to {sizes.http1:,} HTTP/1.1 connections",
        (
            Figure("p99", probed["p99"] * 1000, "ms", goals=(Goal("at most", 5.0),)),
            Figure("worst", probed["worst"] * 1000, "ms"),
        ),
        (
            f"{probed['samples']:,} sleeps of 1 ms, an event every {sizes.busy_interval:g} s",
            *disturbance("trio sse", part_waited(before, server.scheduled())),
        ),
        report["faults"],
    )
