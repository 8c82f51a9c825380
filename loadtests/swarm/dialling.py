"""How a swarm gets thousands of connections out of one machine: where they come from.

An address of loopback has some 28,000 ports to connect from, so each process has addresses of
its own.
"""

from __future__ import annotations

import os
from errno import EINPROGRESS
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY, socket

from ..loopback import come_from
from .link import Link, Secure
from .stamped import Stamped, StampedSecure
from .target import Target

__all__ = ["dial"]

CONNECTIONS_AN_ADDRESS = 10_000
"""Of the 28,232 ports that Linux gives away on each address by default. Those of closed
connections are not free at once."""


def dial(target: Target, server: int, turn: int) -> Link:
    """Begin to connect, from an address of loopback that has ports left, if it is to loopback.

    `turn` counts the connections of the process. Raises OSError.
    """
    host, port = target.hubs[server]
    sock = socket(AF_INET, SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        if host.startswith("127."):
            come_from(_source(turn), sock)
        error = sock.connect_ex((host, port))
        if error not in (0, EINPROGRESS):
            raise OSError(error, os.strerror(error))
        if target.tls is None:
            return Stamped(sock) if target.stamped else Link(sock)
        return (StampedSecure if target.stamped else Secure)(sock, target.tls)
    except BaseException:
        sock.close()
        raise


def _source(turn: int) -> str:
    high, low = divmod(os.getpid(), 254)
    last = 1 + turn // CONNECTIONS_AN_ADDRESS % 250
    return f"127.{1 + high % 254}.{1 + low}.{last}"
