"""What an attack costs the server, by what the kernel says of its process: memory and CPU.

CPU is counted in visits: what the server spends on an honest client that connects, asks for a
page, reads it and leaves, measured in the same run. So a slow or busy machine is slow for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count

from hyperframe.frame import PingFrame
from loadtests import proc
from loadtests.abuse.attack import Attack
from loadtests.abuse.case import Protocol
from loadtests.abuse.connection import Connection
from loadtests.abuse.http1 import GET
from loadtests.abuse.http2_frames import HELLO, request

__all__ = ["Cost", "Costs", "Visit"]

VISITS = 40
"""As many are made to know what one costs; the same number before, which do not count."""


FLOOD_BYTES = 16 * 1024
STEP_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Visit:
    """What an honest client sends, in bytes, and costs, in seconds of CPU."""

    sent: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one attack has cost."""

    cpu: float
    growth: int
    """Bytes of memory more than before, at most."""


class Costs:
    """Measures one server, which is a process of its own."""

    def __init__(self, pid: int, port: int, tls_port: int) -> None:
        self._pid = pid
        self._ports = port, tls_port
        self.visits = {name: self._measured(visit) for name, visit in HONEST.items()}
        """What a visit costs over each protocol."""
        pages = (request(stream_id) for stream_id in count(1, 2))
        self.per_byte = self.of_flood(pages)
        """Seconds of CPU that a byte of requests for a page costs over HTTP/2."""

    def of(self, deed: Callable[[], None]) -> Cost:
        """Return what something costs."""
        proc.forget_peak(self._pid)
        before = proc.usage(self._pid)
        deed()
        cpu = proc.usage(self._pid).cpu - before.cpu
        return Cost(cpu, proc.peak(self._pid) - before.resident)

    def of_flood(self, pieces: Iterator[bytes]) -> float:
        """Return what a byte of a flood costs, in seconds of CPU; all of it has been read."""
        client = Attack(*self._ports, seconds=0)
        connection = client.connect(http2=True)
        connection.send(HELLO)
        cost = self.of(lambda: in_step(connection, pieces))
        client.over(connection)
        return cost.cpu / connection.sent

    def _measured(self, visit: Callable[[Attack], None]) -> Visit:
        self._visit(visit)
        sent = 0

        def visits() -> None:
            nonlocal sent
            sent = self._visit(visit)

        cost = self.of(visits)
        return Visit(sent / VISITS, cost.cpu / VISITS)

    def _visit(self, visit: Callable[[Attack], None]) -> int:
        client = Attack(*self._ports, seconds=0)
        for _ in range(VISITS):
            visit(client)
        assert set(client.ends) <= {"200", "closed"}, client.ends
        return client.sent


def in_step(connection: Connection, pieces: Iterator[bytes]) -> None:
    """Send a kilobyte only once the one before has been read, until the server has had enough."""
    turn = 0
    while connection.sent < FLOOD_BYTES and not connection.is_over:
        turn += 1
        batch = b""
        while len(batch) < STEP_BYTES:
            batch += next(pieces)
        mark = turn.to_bytes(8)
        connection.send(batch + PingFrame(0, opaque_data=mark).serialize())
        connection.wait_until(partial(answered, connection, mark))


def answered(connection: Connection, mark: bytes) -> bool:
    return mark in connection.pongs or connection.is_over


def http1(client: Attack) -> None:
    connection = client.connect()
    connection.send(GET + b"Connection: close\r\n\r\n")
    connection.finish()
    client.over(connection)


def http2(client: Attack) -> None:
    connection = client.connect(http2=True)
    connection.send(HELLO + request(1))
    connection.finish()
    client.over(connection)


def tls(client: Attack) -> None:
    connection = client.connect_tls(alpn="http/1.1", http2=False)
    connection.send(GET + b"Connection: close\r\n\r\n")
    connection.wait(10)
    client.over(connection)


HONEST: dict[Protocol, Callable[[Attack], None]] = {"HTTP/1.1": http1, "HTTP/2": http2, "TLS": tls}
