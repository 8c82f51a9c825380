"""What TLS 1.3 adds, on both protocols."""

from __future__ import annotations

from typing import Any, Literal

from ...payload import SIZE
from ..fanout import faults, remarks, side_by_side
from ..figures import Figure, Goal, Row
from ..stage import Stage

__all__ = ["tls_http1", "tls_http2"]

CLEAR = "clear text"
WARM_UP = 20
"""Connections made before memory is measured: what is needed once is not theirs."""


def tls_http1(stage: Stage) -> Row:
    """HTTP/1.1: a TLS record a client and an event."""
    return _compare(stage, "http1", stage.sizes.tls_http1, 1, stage.sizes.http1_interval, 1.6)


def tls_http2(stage: Stage) -> Row:
    """HTTP/2: the streams of a connection share records."""
    sizes = stage.sizes
    return _compare(stage, "http2", sizes.http2, sizes.streams, 2 * sizes.http2_interval, 2.5)


def _compare(
    stage: Stage,
    protocol: Literal["http1", "http2"],
    connections: int,
    streams: int,
    interval: float,
    bound: float,
) -> Row:
    sizes = stage.sizes
    stage.needs(connections, stages=2)
    settings: dict[str, Any] = {"protocol": protocol, "streams": streams}
    clear, secure = stage.trio_sse(), stage.trio_sse()
    clear_swarm = stage.swarm(clear.port, **settings)
    clear_swarm.connect(connections)
    secure_swarm = stage.swarm(secure.tls_port, tls=True, **settings)
    warm_up = min(WARM_UP, connections // 2)
    secure_swarm.connect(warm_up)
    before = secure.figures()
    opening = secure_swarm.connect(connections - warm_up)
    after = secure.figures()
    each = (after["rss"] - before["rss"]) / (connections - warm_up)
    handshake = (after["cpu"] - before["cpu"]) / (connections - warm_up)
    plain, tls = side_by_side(
        [(clear, clear_swarm), (secure, secure_swarm)],
        sizes.rounds,
        sizes.events,
        interval,
        SIZE,
    )
    limit = (Goal("at most", 28.0),) if protocol == "http1" else ()
    shown = f"x {streams} streams" if streams > 1 else ""
    return Row(
        f"tls-{protocol}",
        f"{'HTTP/1.1' if protocol == 'http1' else 'HTTP/2'} over TLS 1.3, "
        f"{connections:,} connections {shown}".rstrip(),
        (
            Figure(
                "server CPU a delivery",
                tls.cpu,
                "µs",
                {CLEAR: plain.cpu},
                (Goal("at most", bound, CLEAR),),
            ),
            Figure("last client served", tls.last_client, "ms", {CLEAR: plain.last_client}),
            Figure("memory a connection", each / 1024, "KiB", goals=limit),
            Figure("server CPU a connection's set-up", handshake * 1000, "ms"),
            Figure("connections a second", (connections - warm_up) / opening["took"], "/s"),
        ),
        remarks(clear_text=plain, tls=tls),
        faults(plain, tls),
    )
