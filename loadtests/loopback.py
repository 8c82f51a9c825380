"""Where the connections of a load test come from: each address of loopback has some 28,000 ports.

With `bind` alone the kernel looks for a port that nobody has, whomever it is for. Where tens of
thousands of connections have just ended, nearly all are waiting (TIME_WAIT), and that takes long.
"""

from __future__ import annotations

import socket

__all__ = ["come_from"]

IP_BIND_ADDRESS_NO_PORT = 24
"""Linux: choose the port when connecting, when the other end is known (ip(7))."""


def come_from(source: str, sock: socket.socket) -> None:
    """Have a socket connect from an address of loopback, from any port. Raises OSError."""
    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((source, 0))
