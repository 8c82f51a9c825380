"""A reconnect storm: ten thousand followers who all come back in one instant, and stay.

As after a network's failure: nobody waits for anybody, each asks for its stream as soon as it is
connected, and who is let in stays until all have been answered. Then all are lost at once.
"""

from __future__ import annotations

import select
import socket
import time
from collections import Counter

from ..loopback import come_from
from .attack import Attack
from .handshakes import RESET

__all__ = ["storm"]

CLIENTS = 10_000
FEW = 400
"""Where the attack is made once."""

OF_ONE_ADDRESS = 400
"""Twice what the server of the tests and of the table lets in from one address."""

FOLLOW = b"GET /events?topic=storm HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""Not what the canary follows: how it is to have ten thousand neighbours, not companions."""

ROUND_SECONDS = 10.0
"""Who has not been answered then never will be."""


def storm(attack: Attack) -> None:
    """Come back, all together, as often as there is time for."""
    while attack.goes_on:
        crowd = _Crowd(attack)
        for number in range(CLIENTS if attack.is_at_full_strength else FEW):
            crowd.connect(attack.source or f"127.0.1.{1 + number // OF_ONE_ADDRESS}")
            if number % 100 == 0:
                crowd.look(0.0)
        deadline = time.monotonic() + ROUND_SECONDS
        while crowd.waiting and time.monotonic() < deadline:
            crowd.look(0.1)
        attack.ends.update(crowd.leave())


class _Crowd:
    """All who come back in one round."""

    def __init__(self, attack: Attack) -> None:
        self.waiting: dict[int, socket.socket] = {}
        """Those who have not been answered, by the numbers of their files."""
        self._attack = attack
        self._let_in: list[socket.socket] = []
        self._ends: Counter[str] = Counter()
        self._poll = select.epoll()

    def connect(self, source: str) -> None:
        """Have one more, who comes from `source`."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        come_from(source, sock)
        sock.connect_ex(("127.0.0.1", self._attack.port))
        self._attack.connections += 1
        self.waiting[sock.fileno()] = sock
        self._poll.register(sock, select.EPOLLOUT)

    def look(self, seconds: float) -> None:
        """Ask where there is a connection, and see who has been answered."""
        for number, events in self._poll.poll(seconds):
            sock = self.waiting[number]
            try:
                if events & select.EPOLLOUT:
                    self._attack.sent += sock.send(FOLLOW)
                    self._poll.modify(number, select.EPOLLIN)
                    continue
                said = sock.recv(4096)
            except OSError:
                end = "reset"
            else:
                end = said[9:12].decode() if said else "closed"
            self._poll.unregister(number)
            del self.waiting[number]
            self._ends[end] += 1
            if end == "200":
                self._let_in.append(sock)
            else:
                sock.close()

    def leave(self) -> Counter[str]:
        """Be lost, all at once; return how it was for how many."""
        self._ends["unanswered"] += len(self.waiting)
        for sock in (*self._let_in, *self.waiting.values()):
            sock.close()
        self._poll.close()
        return +self._ends
