"""A server that sends what a test tells it to, right or wrong, to the load client."""

from __future__ import annotations

import select
import socket
import sys
from pathlib import Path
from typing import Literal, Self, get_args

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # loadtests is not a part of what is installed

from loadtests import payload  # noqa: E402
from loadtests.swarm.frames import frame  # noqa: E402

Protocol = Literal["http1", "http2"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

STREAMS = {"http1": 1, "http2": 2}

PATIENCE = 20.0
"""Seconds that a peer may take on a busy machine. Nothing waits for this long on purpose."""


def event(
    number: int, topic: str = "a", *, at: int | None = None, hub: str = "x", size: int = 124
) -> bytes:
    """An event as a server encodes it."""
    return f"id: {hub}.{number}\ndata: {payload.make(topic, number, size, at)}\n\n".encode()


def on_the_wire(protocol: Protocol, content: bytes) -> bytes:
    """What one connection is sent in order that each of its streams receives this."""
    if protocol == "http1":
        return b"%x\r\n%b\r\n" % (len(content), content)
    return b"".join(frame(0, 0, 2 * n + 1, content) for n in range(STREAMS[protocol]))


class Impostor:
    """Listens, and holds the connections that it has taken."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]
        self.clients: list[socket.socket] = []

    def pending(self) -> bool:
        """Tell whether there is a connection to be taken."""
        return bool(select.select([self._listener], [], [], 0)[0])

    def take(self) -> socket.socket:
        """Take a connection."""
        client, _ = self._listener.accept()
        client.settimeout(PATIENCE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.clients.append(client)
        return client

    def welcome(self, client: socket.socket) -> None:
        """Open the streams of a connection, whatever it asks for."""
        if self._protocol == "http1":
            client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        else:
            client.sendall(frame(4, 0, 0, b""))
            for n in range(STREAMS["http2"]):
                client.sendall(frame(1, 4, 2 * n + 1, b"\x88"))

    def greet(self, connections: int) -> None:
        """Take so many connections and open their streams."""
        for _ in range(connections):
            client = self.take()
            client.recv(65_536)
            self.welcome(client)

    def send(self, *contents: bytes) -> None:
        """Send events to all streams of all connections."""
        for client in self.clients:
            client.sendall(b"".join(on_the_wire(self._protocol, each) for each in contents))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self.clients):
            each.close()
