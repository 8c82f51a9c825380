"""Whom a swarm talks to and how: everything that its connections have in common.

Makes sockets, requests and parsers; holds no connection.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .events import EventReader
from .findings import Parser, Position
from .http1 import Http1Parser, request
from .http2 import Http2Parser, requests
from .windows import Width, Windows

__all__ = ["Target"]

CONNECTIONS_AN_ADDRESS = 25_000
"""Of the 28,232 ports that Linux gives away on each address by default."""

IP_BIND_ADDRESS_NO_PORT = 24
"""Linux: choose the port when connecting, when the other end is known (ip(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server, a protocol, and topics."""

    port: int
    protocol: Literal["http1", "http2"] = "http1"
    streams: int = 1
    """Of each connection."""
    tls: ssl.SSLContext | None = None
    windows: Width = "wide"
    topics: Sequence[str] = ("a",)
    """Stream after stream follows one after the other, and the first again after the last."""
    path: str = "/events?topic={topic}"

    @property
    def one_topic(self) -> bool:
        """True if all streams hear the same."""
        return len(self.topics) == 1

    def topics_of(self, connection: int) -> list[str]:
        """Return the topic of each stream of one connection."""
        first = connection * self.streams
        return [self.topics[(first + n) % len(self.topics)] for n in range(self.streams)]

    def dial(self, connection: int) -> socket.socket:
        """Begin to connect, from an address of loopback that has ports left."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        high, low = divmod(os.getpid(), 254)
        last = 1 + connection // CONNECTIONS_AN_ADDRESS
        sock.bind((f"127.{1 + high % 254}.{1 + low}.{last}", 0))
        sock.connect_ex(("127.0.0.1", self.port))
        return sock

    def secure(self, sock: socket.socket) -> ssl.SSLSocket:
        """Lay TLS over a connected socket; the handshake is still to be done."""
        if self.tls is None:
            raise ValueError("this target speaks clear text")
        return self.tls.wrap_socket(sock, do_handshake_on_connect=False)

    def make_windows(self, first: float) -> Windows | None:
        """Return the windows of a connection, if its protocol has them."""
        if self.protocol == "http1":
            return None
        return Windows(self.windows, range(1, 2 * self.streams, 2), first)

    def requests(
        self, connection: int, windows: Windows | None, positions: Sequence[Position]
    ) -> bytes:
        """Return what a connection sends at first, to go on from where its streams stand."""
        paths = [self.path.format(topic=topic) for topic in self.topics_of(connection)]
        ids = [position.id for position in positions]
        if windows is None:
            return request(paths[0], ids[0])
        return requests(windows, paths, ids)

    def parser(
        self,
        connection: int,
        windows: Windows | None,
        positions: Sequence[Position],
        *,
        opened: bool = False,
        chunked: bool = True,
    ) -> Parser:
        """Return what understands a connection's answer.

        With `opened` the streams are under way: it starts between two frames, or chunks,
        if there are such.
        """
        topics = self.topics_of(connection)
        readers = [EventReader(*each) for each in zip(topics, positions, strict=True)]
        if self.protocol == "http1":
            return Http1Parser(readers[0], in_body=opened, chunked=chunked)
        return Http2Parser(readers, windows)
