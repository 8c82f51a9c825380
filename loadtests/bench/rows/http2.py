"""HTTP/2: all streams of a connection in one buffer and one write."""

from __future__ import annotations

from ...payload import SIZE
from ..fanout import combine, fan_out, faults, remarks, side_by_side
from ..figures import Figure, Goal, Row
from ..stage import Stage

__all__ = ["default_windows", "http2", "http2_large"]


def http2(stage: Stage) -> Row:
    """Many streams, beside a C loop that writes the same bytes to the same connections."""
    sizes = stage.sizes
    stage.needs(sizes.http2, stages=2)
    ours = stage.trio_sse()
    listeners = stage.swarm(ours.port, protocol="http2", streams=sizes.streams)
    listeners.connect(sizes.http2)
    loop = stage.bare_loop(sizes.http2, sizes.streams)
    loop_listeners = stage.swarm(loop.port, protocol="http2", streams=sizes.streams)
    loop_listeners.connect(sizes.http2)
    loop.connected()
    mine, bare = side_by_side(
        [(ours, listeners), (loop, loop_listeners)],
        sizes.rounds,
        2 * sizes.events,
        sizes.http2_interval,
        SIZE,
    )
    return Row(
        "http2",
        f"HTTP/2, {sizes.http2:,} connections x {sizes.streams} streams",
        (
            Figure(
                "last client served",
                mine.last_client,
                "ms",
                {loop.name: bare.last_client},
                (Goal("at most", 15.0),),
            ),
            Figure(
                "server CPU a delivery",
                mine.cpu,
                "µs",
                {loop.name: bare.cpu},
                (Goal("at most", 0.25),),
            ),
            Figure("client's CPU a delivery", mine.client_cpu, "µs"),
        ),
        remarks(trio_sse=mine),
        faults(mine, bare),
    )


def http2_large(stage: Stage) -> Row:
    """Twice as many connections."""
    sizes = stage.sizes
    stage.needs(sizes.http2_large)
    server = stage.trio_sse()
    swarm = stage.swarm(server.port, protocol="http2", streams=sizes.streams)
    swarm.connect(sizes.http2_large)
    (result,) = side_by_side(
        [(server, swarm)], sizes.rounds, sizes.events, 2 * sizes.http2_interval, SIZE
    )
    return Row(
        "http2-large",
        f"HTTP/2, {sizes.http2_large:,} connections x {sizes.streams} streams",
        (
            Figure("last client served", result.last_client, "ms", goals=(Goal("at most", 30.0),)),
            Figure("server CPU a delivery", result.cpu, "µs"),
            Figure("client's CPU a delivery", result.client_cpu, "µs"),
        ),
        remarks(trio_sse=result),
        faults(result),
    )


def default_windows(stage: Stage) -> Row:
    """Clients that leave the windows as they are, and return them as they read."""
    sizes = stage.sizes
    stage.needs(sizes.http2, stages=2)
    kinds = []
    for windows in ("wide", "default"):
        server = stage.trio_sse()
        swarm = stage.swarm(server.port, protocol="http2", streams=sizes.streams, windows=windows)
        swarm.connect(sizes.http2)
        swarm.wait(server.publish(1, 0, SIZE))
        kinds.append((server, swarm))
    wide, default = [], []
    for _ in range(sizes.rounds):
        interval = sizes.windows_interval
        wide.append(fan_out(*kinds[0], sizes.windows_events // 5, interval, SIZE))
        # Enough events for each stream's own window to be returned too.
        default.append(fan_out(*kinds[1], sizes.windows_events, interval, SIZE))
    others, mine = combine(wide), combine(default)
    name = "wide windows"
    return Row(
        "windows",
        f"HTTP/2 with windows of 64 KiB, {sizes.http2:,} connections x {sizes.streams} streams",
        (
            Figure(
                "server CPU a delivery",
                mine.cpu,
                "µs",
                {name: others.cpu},
                (Goal("at most", 2.0, name),),
            ),
            Figure("last client served", mine.last_client, "ms", {name: others.last_client}),
            Figure("p99 of all clients", mine.p99, "ms", {name: others.p99}),
        ),
        remarks(default_windows=mine),
        faults(mine, others),
    )
