"""Makes the crowd of a process, whose sockets and epoll gevent must leave alone.

Locust has gevent put its own in place of `socket.socket` and `select.epoll`. A crowd has a loop of
its own, and gevent waits for that as for one file; so it is imported with the originals.
"""

from __future__ import annotations

import select
import socket
from typing import Literal

from gevent import monkey

from .settings import Settings

_patched = socket.socket
socket.socket = monkey.get_original("socket", "socket")  # type: ignore[misc]
select.epoll = monkey.get_original("select", "epoll")  # type: ignore[misc]
try:
    from ..swarm.client import Client
    from ..swarm.crowd import Crowd
    from ..swarm.merging import merge
    from ..swarm.receipts import Receipts
    from ..swarm.target import Target
finally:
    socket.socket = _patched  # type: ignore[misc]

__all__ = ["Client", "Crowd", "Protocol", "Receipts", "make", "merge"]

Protocol = Literal["http1", "http2"]


def make(settings: Settings, protocol: Protocol, process: str, seed: int) -> Crowd:
    """Return a crowd without connections; examples of faults begin with `process`."""
    target = Target.of(
        urls=settings.hubs,
        protocol=protocol,
        path=settings.subscribe_path + "?topic={topic}",
        topics=(settings.topic,),
        windows=settings.windows,
        streams=settings.streams,
    )
    receipts = Receipts(process=process, expect_gap=settings.expect_gap)
    return Crowd(target, receipts=receipts, seed=seed)
