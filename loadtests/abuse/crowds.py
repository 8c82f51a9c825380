"""Attacks by their number: connections that are opened and do nothing, or come and go."""

from __future__ import annotations

import socket
import time
from collections import deque

from ..loopback import come_from
from .attack import Attack
from .case import Case
from .handshakes import RESET, SOURCE
from .http1 import FOLLOW
from .storm import storm

__all__ = ["CASES", "SOURCE"]

CROWD = 3_000
SMALL_CROWD = 300
"""More than the server of the tests and of the table lets in from one address."""


def idle_crowd(attack: Attack) -> None:
    """Be very many, and say nothing."""
    while attack.goes_on:
        crowd = [
            attack.connect(source=SOURCE)
            for _ in range(CROWD if attack.is_at_full_strength else SMALL_CROWD)
        ]
        deadline = time.monotonic() + attack.patience
        for connection in crowd:
            connection.wait(max(0.1, deadline - time.monotonic()))
            attack.over(connection)


def coming_and_going(attack: Attack) -> None:
    """Open a stream and be gone, as fast as this process can."""
    while attack.goes_on:
        for _ in range(100):
            connection = attack.connect(source=SOURCE)
            connection.send(FOLLOW)
            attack.over(connection)


def flood(attack: Attack) -> None:
    """Connect without end, as fast as this process can; a few hundred are open at a time."""
    crowd: deque[socket.socket] = deque()
    while attack.goes_on:
        for _ in range(SMALL_CROWD):
            sock = socket.socket()
            sock.setblocking(False)
            # No port is left behind in TIME_WAIT, or there would be none soon.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            come_from(attack.source or SOURCE, sock)
            sock.connect_ex(("127.0.0.1", attack.port))
            attack.connections += 1
            crowd.append(sock)
            if len(crowd) > SMALL_CROWD:
                crowd.popleft().close()
    while crowd:
        crowd.popleft().close()


CASES = (
    Case(
        "a crowd that says nothing",
        "connection exhaustion",
        idle_crowd,
        ("closed", "503", "reset"),
        "turned_away",
        protocol="HTTP/1.1",
        waits=True,
    ),
    Case("connections without end", "connection flood", flood, (), protocol="HTTP/1.1"),
    Case(
        "streams opened and left",
        "connection churn",
        coming_and_going,
        ("open", "200, open", "503, open", "closed"),
        protocol="HTTP/1.1",
    ),
    Case(
        "ten thousand come back at once",
        "reconnect storm",
        storm,
        ("200", "503", "closed", "reset", "unanswered"),
        "turned_away",
        protocol="HTTP/1.1",
        keeps_memory=True,
    ),
)
